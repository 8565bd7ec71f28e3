//! `signing-keys`.

use chancery_model::SigningKeyId;
use clap::Subcommand;
use http::Method;
use serde_json::json;

use super::request::Request;

/// `signing-keys`.
#[derive(Debug, Subcommand)]
pub enum SigningKeysCommand {
    /// List signing keys, without their private halves.
    List,
    /// Publish the next key, which signs when verifiers know it; the one before verifies on.
    Rotate {
        /// `RS256`, `ES256` or `EdDSA`; that of the organization's settings if absent.
        #[arg(long)]
        algorithm: Option<String>,
        /// The new key signs at once: the active one may be in other hands.
        #[arg(long)]
        immediately: bool,
    },
    /// Retire a previous key: it verifies nothing any more.
    Retire {
        /// The key's id.
        id: SigningKeyId,
        /// Its private half may be in other hands, for this reason: do not wait for its tokens to end.
        #[arg(long, value_name = "REASON")]
        compromised: Option<String>,
    },
}

impl SigningKeysCommand {
    pub(super) fn request(self) -> Request {
        const AT: &str = "/api/v1/signing-keys";
        match self {
            Self::List => Request::all(
                AT,
                &[
                    ("ID", "/id"),
                    ("STATE", "/state"),
                    ("ALGORITHM", "/algorithm"),
                    ("CREATED", "/created_at"),
                    ("SIGNS FROM", "/activates_at"),
                    ("KID", "/kid"),
                ],
            ),
            Self::Rotate { algorithm, immediately } => Request::send(
                Method::POST,
                format!("{AT}/rotate"),
                json!({ "algorithm": algorithm, "immediately": immediately }),
            ),
            Self::Retire { id, compromised } => Request::send(
                Method::POST,
                format!("{AT}/{id}/retire"),
                json!({ "compromised": compromised }),
            ),
        }
    }
}
