//! The names that secrets go by, in JSON, logfmt, queries, forms, headers and configurations.
//!
//! A name counts when it is the end of a longer one too: `db_password`, `X-Api-Key`, `accessToken`.

use crate::kind::Kind;

/// How the value after a name is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As a value.
    Value,
    /// As a value, where the name is a word by itself and only after `=` or in quotes: it is short, and
    /// other words end in it.
    Strict,
    /// As a signature in a query: a long value after `=`.
    Signature,
    /// As credentials: a scheme may stand before them.
    Credentials,
    /// As a list of cookies.
    Cookies,
}

/// A name.
pub(super) struct Name {
    /// In lower case. `_` stands for itself, for `-`, and for nothing.
    pub(super) text: &'static str,
    pub(super) kind: Kind,
    pub(super) reading: Reading,
}

const fn name(kind: Kind, text: &'static str) -> Name {
    Name { text, kind, reading: Reading::Value }
}

const fn read(reading: Reading, kind: Kind, text: &'static str) -> Name {
    Name { text, kind, reading }
}

#[rustfmt::skip]
pub(super) const NAMES: &[Name] = &[
    name(Kind::Password, "password"), name(Kind::Password, "passwords"), name(Kind::Password, "passwd"),
    name(Kind::Password, "passphrase"), name(Kind::Password, "password_hash"),
    name(Kind::Password, "password_confirmation"), name(Kind::Password, "password_confirm"),
    name(Kind::Password, "senha"), name(Kind::Password, "contrasena"), name(Kind::Password, "contraseña"),
    read(Reading::Strict, Kind::Password, "pwd"), read(Reading::Strict, Kind::Password, "pass"),
    name(Kind::Secret, "secret"), name(Kind::Secret, "secrets"), name(Kind::Secret, "credential"),
    name(Kind::Secret, "credentials"),
    name(Kind::Token, "token"), read(Reading::Strict, Kind::Token, "jwt"),
    read(Reading::Credentials, Kind::Token, "authorization"),
    name(Kind::Key, "api_key"), name(Kind::Key, "api_keys"), name(Kind::Key, "access_key"),
    name(Kind::Key, "secret_key"), name(Kind::Key, "private_key"), name(Kind::Key, "encryption_key"),
    name(Kind::Key, "master_key"), name(Kind::Key, "account_key"), name(Kind::Key, "auth_key"),
    name(Kind::Key, "subscription_key"), name(Kind::Key, "functions_key"), name(Kind::Key, "routing_key"),
    name(Kind::Key, "integration_key"),
    read(Reading::Signature, Kind::Key, "sig"),
    read(Reading::Cookies, Kind::Cookie, "cookie"),
];
