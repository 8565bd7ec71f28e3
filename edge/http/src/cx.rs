//! The one argument of every handler.

use std::ops::Deref;
use std::sync::Arc;

use chancery_api::Code;
use chancery_authenticate::{Allow, Allowed, Entered};
use chancery_model::{MemberId, Principal};
use chancery_record::Actor;
use chancery_store::{Change, Keyring, Read, Receipt, Scoped, Write};

use crate::guard::{AnyCaller, Guard, Needs};
use crate::input::{Input, Nothing};
use crate::{ApiError, App, Head};

/// What a handler is called with: the server, the request, the proof that the caller passed the
/// guard `G`, and what was sent, parsed as `I`.
///
/// A handler has no effect but through [`Cx::commit`]: it may be run again from the start when the
/// organization changed under it.
pub struct Cx<G: Guard, I: Input = Nothing> {
    /// The server.
    pub app: Arc<App>,
    /// The request without its body.
    pub head: Arc<Head>,
    /// The proof that the caller passed the guard.
    pub proof: G::Proof,
    /// What was sent.
    pub input: I,
}

/// What was sent may hold a secret: only the head is shown.
impl<G: Guard, I: Input> std::fmt::Debug for Cx<G, I> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx").field("head", &self.head).finish_non_exhaustive()
    }
}

/// A proof that says who is inside which organization.
pub trait Inside {
    /// Who, where.
    fn entered(&self) -> &Entered;
}

impl Inside for Entered {
    fn entered(&self) -> &Entered {
        self
    }
}

impl<P: Allow> Inside for Allowed<P> {
    fn entered(&self) -> &Entered {
        self
    }
}

/// A guard behind which somebody is known.
pub trait Inner: Guard<Proof: Inside> {}
impl Inner for AnyCaller {}
impl<P: Allow> Inner for Needs<P> {}

impl<G: Guard, I: Input> Cx<G, I> {
    /// A part of the path by its name in the route. What is not of its type names nothing: 404.
    ///
    /// # Errors
    /// [`Code::NotFound`].
    pub fn param<T: std::str::FromStr>(&self, name: &str) -> Result<T, ApiError> {
        self.head.param(name)
    }

    /// The keys that seal organizations' data.
    #[must_use]
    pub fn keyring(&self) -> &Keyring {
        self.app.store.keyring()
    }
}

impl<G: Inner, I: Input> Cx<G, I> {
    /// Who asks, in which organization.
    pub fn entered(&self) -> &Entered {
        self.proof.entered()
    }

    /// The member the caller is, where only a person may act.
    ///
    /// # Errors
    /// [`Code::MemberRequired`] when it is an agent.
    pub fn member(&self) -> Result<MemberId, ApiError> {
        match self.entered().caller().principal() {
            Principal::Member(id) => Ok(id),
            Principal::Agent(_) => Err(ApiError::new(
                Code::MemberRequired,
                "only a member may do this, and the key is an agent's",
            )),
        }
    }

    /// A transaction that reads in the caller's organization.
    ///
    /// # Errors
    /// When the store does not answer, or the organization changed.
    pub async fn read(&self) -> Result<Scoped<Read>, ApiError> {
        Ok(self.app.store.read(self.entered().scope()).await?)
    }

    /// That the caller's key and rights are current, for a handler that reads nothing else of the
    /// organization: every other transaction says so by beginning.
    ///
    /// # Errors
    /// When the store does not answer, or the organization changed.
    pub async fn confirm(&self) -> Result<(), ApiError> {
        self.read().await.map(drop)
    }

    /// A transaction that changes something in the caller's organization.
    ///
    /// # Errors
    /// When the store does not answer, or the organization changed.
    pub async fn write(&self) -> Result<Scoped<Write>, ApiError> {
        Ok(self.app.store.write(self.entered().scope()).await?)
    }

    /// Appends the change's entry and commits both.
    ///
    /// # Errors
    /// When it could not be recorded; then nothing was changed.
    pub async fn commit(&self, scoped: Scoped<Write>, change: Change) -> Result<Receipt, ApiError> {
        Ok(self.app.recorder.commit(scoped, Actor::of(self.entered().caller()), change).await?)
    }
}

impl<P: Allow, I: Input> Deref for Cx<Needs<P>, I> {
    type Target = Entered;
    fn deref(&self) -> &Entered {
        &self.proof
    }
}
