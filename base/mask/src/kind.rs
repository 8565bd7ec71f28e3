//! What is masked, and the word that stands in its place.

/// What was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An e-mail address.
    Email,
    /// A telephone number.
    Phone,
    /// The number of a payment card.
    Card,
    /// Brazil: a person's number (CPF).
    Cpf,
    /// Brazil: an organization's number (CNPJ).
    Cnpj,
    /// Mexico: a person's code (CURP).
    Curp,
    /// Mexico: a taxpayer's code (RFC).
    Rfc,
    /// Argentina: a taxpayer's or worker's number (CUIT, CUIL).
    Cuit,
    /// Chile: a person's or organization's number (RUT).
    Rut,
    /// Portugal: a taxpayer's number (NIF). Spain: a citizen's (NIF, DNI).
    Nif,
    /// Spain: a foreigner's number (NIE).
    Nie,
    /// The number of a bank account (IBAN).
    Iban,
    /// A key: of an API, or a private one.
    Key,
    /// A token: a JWT, a session, what follows `Bearer`.
    Token,
    /// A password.
    Password,
    /// A secret without a better name.
    Secret,
    /// The value of a cookie.
    Cookie,
}

impl Kind {
    /// All kinds.
    pub const ALL: [Self; 17] = [
        Self::Email,
        Self::Phone,
        Self::Card,
        Self::Cpf,
        Self::Cnpj,
        Self::Curp,
        Self::Rfc,
        Self::Cuit,
        Self::Rut,
        Self::Nif,
        Self::Nie,
        Self::Iban,
        Self::Key,
        Self::Token,
        Self::Password,
        Self::Secret,
        Self::Cookie,
    ];

    /// What is written instead.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Email => "[email]",
            Self::Phone => "[phone]",
            Self::Card => "[card]",
            Self::Cpf => "[cpf]",
            Self::Cnpj => "[cnpj]",
            Self::Curp => "[curp]",
            Self::Rfc => "[rfc]",
            Self::Cuit => "[cuit]",
            Self::Rut => "[rut]",
            Self::Nif => "[nif]",
            Self::Nie => "[nie]",
            Self::Iban => "[iban]",
            Self::Key => "[key]",
            Self::Token => "[token]",
            Self::Password => "[password]",
            Self::Secret => "[secret]",
            Self::Cookie => "[cookie]",
        }
    }

    /// Whether `text` is one of the words, whole.
    pub(crate) fn is_word(text: &[u8]) -> bool {
        Self::ALL.iter().any(|kind| kind.word().as_bytes() == text)
    }

    /// Whether one of the words stands at the end of `text`.
    pub(crate) fn ends(text: &[u8]) -> bool {
        text.last() == Some(&b']') && Self::ALL.iter().any(|kind| text.ends_with(kind.word().as_bytes()))
    }

    /// Whether one of the words stands at the start of `text`.
    pub(crate) fn starts(text: &[u8]) -> bool {
        text.first() == Some(&b'[') && Self::ALL.iter().any(|kind| text.starts_with(kind.word().as_bytes()))
    }
}
