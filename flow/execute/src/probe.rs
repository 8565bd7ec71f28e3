//! The connection test: whether a connector is reached and knows who calls. It acts on nothing.

use chancery_connectors::{credential, usable};
use chancery_model::Audience;
use chancery_record::releases::CallOutcome;
use chancery_store::{KeyringError, Scope, StoreError};

use crate::Executor;
use crate::send::{Sending, send};

/// What a connection test found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probed {
    /// Whether it was reached and answered with a success.
    pub works: bool,
    /// The status that came back.
    pub status: Option<u16>,
    /// Why not: a stable word.
    pub code: Option<&'static str>,
}

/// Why nothing was tested.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// There is no such connector, or it is paused or retired.
    #[error("no connector of this name can be called")]
    Unknown,
    /// Its definition has no `test`.
    #[error("the connector's definition has no `test`")]
    Untestable,
    /// Its credentials were removed, or ended at another host.
    #[error("the connector's credential is gone; write another before it is called")]
    Uncredentialed,
    /// Its credential does not open.
    #[error("the connector's credential does not open: {0}")]
    Credential(#[from] KeyringError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Executor {
    /// Asks a connector for what its definition says tells that it works, with its credential. The breaker
    /// is neither asked nor told: somebody wants to know how it is now.
    ///
    /// # Errors
    /// See [`ProbeError`].
    pub async fn test(&self, scope: &Scope, name: &Audience) -> Result<Probed, ProbeError> {
        let mut scoped = self.store.read(scope).await?;
        let ready = usable(&mut scoped, name, self.clock.now()).await?.ok_or(ProbeError::Unknown)?;
        drop(scoped);
        if ready.lost_credential() {
            return Err(ProbeError::Uncredentialed);
        }
        let rendered = ready.definition.render_probe().ok_or(ProbeError::Untestable)?;
        let rendered = self.bounded(rendered);
        let current = match &ready.current {
            Some(sealed) => {
                let opened = credential::open(self.store.keyring(), scope.org(), &ready, sealed).await?;
                Some((sealed.id, opened))
            }
            None => None,
        };
        let sending = Sending {
            org: scope.org(),
            ready: &ready,
            rendered: &rendered,
            current: current.as_ref(),
            previous: None,
        };
        let conclusion = send(&sending, &self.means()).await.conclusion;
        Ok(Probed {
            works: conclusion.outcome == CallOutcome::Succeeded,
            status: conclusion.status,
            code: conclusion.code,
        })
    }
}
