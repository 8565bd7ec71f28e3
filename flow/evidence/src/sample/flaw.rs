//! Records that lie.

/// What the record itself may have wrong, though a trusted key signed it: an exporter or a server
/// that lies about meaning, not about bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flaw {
    /// The intent's hash is another's.
    IntentHash,
    /// The canonical form has a member too many.
    CanonicalForm,
    /// The effect is not that of the entry's type.
    Effect,
    /// The token names another intent.
    TokenBinding,
    /// The token names another organization.
    TokenOrganization,
    /// The token was signed by a key that no entry published.
    TokenKey,
    /// The token's signature covers other claims.
    TokenClaims,
    /// The token was used twice.
    TokenUsedTwice,
    /// The use is of another token.
    TokenUseOfAnother,
    /// The published key has another thumbprint.
    KeyThumbprint,
    /// An approval is of another intent.
    ApprovalOfAnother,
    /// The result is of another intent.
    ResultOfAnother,
}

impl Flaw {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::IntentHash,
        Self::CanonicalForm,
        Self::Effect,
        Self::TokenBinding,
        Self::TokenOrganization,
        Self::TokenKey,
        Self::TokenClaims,
        Self::TokenUsedTwice,
        Self::TokenUseOfAnother,
        Self::KeyThumbprint,
        Self::ApprovalOfAnother,
        Self::ResultOfAnother,
    ];

    /// The finding it leads to.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::IntentHash => "intent-hash",
            Self::CanonicalForm => "intent-form",
            Self::Effect => "effect",
            Self::TokenBinding | Self::TokenOrganization => "token-binding",
            Self::TokenKey | Self::TokenClaims => "token-signature",
            Self::TokenUsedTwice | Self::TokenUseOfAnother => "token-use",
            Self::KeyThumbprint => "key-unproven",
            Self::ApprovalOfAnother => "approvals",
            Self::ResultOfAnother => "result",
        }
    }
}
