//! The executor: what is needed before a call is recorded as opened, and the call.

use std::sync::Arc;
use std::time::Duration;

use chancery_connectors::{Call, Ready, RenderError, Rendered, credential, usable};
use chancery_crypto::Random;
use chancery_egress::{Egress, Limits};
use chancery_model::{Audience, Clock, IntentId, Timestamp};
use chancery_record::releases::CallOutcome;
use chancery_record::{CallTerms, Conclusion, Engaged};
use chancery_screen::Intent;
use chancery_store::{KeyringError, Scope, Store, StoreError};

use crate::breaker::{self, Switch};
use crate::budget::Budgets;
use crate::bulkhead::{Bulkheads, Place};
use crate::oauth::Tokens;
use crate::send::{Health, Means, Sending, Unsealed, send};

/// How much longer than it may take a call counts as under way, before its outcome is unknown.
const GRACE: Duration = Duration::from_secs(15);

/// Why an intent can't be called now. Nothing was recorded and nothing was sent.
#[derive(Debug, thiserror::Error)]
pub enum PrepareError {
    /// The intent names no connector.
    #[error("the intent names no connector")]
    Unnamed,
    /// There is no such connector, or it is paused or retired.
    #[error("no connector of this name can be called")]
    Unknown,
    /// Its credentials were removed, or ended at another host.
    #[error("the connector's credential is gone; write another before it is called")]
    Uncredentialed,
    /// The connector does not do this.
    #[error(transparent)]
    Render(#[from] RenderError),
    /// Its system failed too often of late.
    #[error("the connector's system failed too often; it is left alone until {until}")]
    Open {
        /// Until when.
        until: Timestamp,
    },
    /// As many calls are under way as may be.
    #[error("as many calls of this connector are under way as may be")]
    Full,
    /// Its credential does not open.
    #[error("the connector's credential does not open: {0}")]
    Credential(#[from] KeyringError),
    /// The store did not answer.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// A call that can be made: its connector, the bytes, what authenticates it, and its place among others.
pub struct Prepared {
    intent: IntentId,
    name: Audience,
    ready: Ready,
    rendered: Rendered,
    current: Option<Unsealed>,
    previous: Option<Unsealed>,
    switch: Switch,
    probes: bool,
    _place: Place,
}

impl std::fmt::Debug for Prepared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Prepared").field("intent", &self.intent).finish_non_exhaustive()
    }
}

impl Prepared {
    /// On what terms it is to be recorded as opened.
    #[must_use]
    pub fn terms(&self) -> CallTerms {
        let seconds = (self.rendered.timeout + GRACE).as_secs();
        CallTerms {
            connector: self.name.clone(),
            unknown_after_seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        }
    }

    /// The longest that the call takes.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.rendered.timeout
    }
}

/// A call that ended: the proof that it was opened, to be used up by closing it, and how it ended.
#[derive(Debug)]
pub struct Finished {
    /// What was opened.
    pub engaged: Engaged,
    /// How it ended.
    pub conclusion: Conclusion,
}

/// Calls connectors.
pub struct Executor {
    pub(crate) store: Store,
    pub(crate) egress: Egress,
    limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Arc<dyn Random>,
    bulkheads: Bulkheads,
    pub(crate) budgets: Budgets,
    pub(crate) tokens: Tokens,
}

impl std::fmt::Debug for Executor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Executor(..)")
    }
}

impl Executor {
    /// An executor that reaches systems through the guarded way out, within limits that no connector's own
    /// go beyond.
    #[must_use]
    pub fn new(
        store: Store,
        (egress, limits): (Egress, Limits),
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Self {
        let (bulkheads, budgets, tokens) = (Bulkheads::default(), Budgets::default(), Tokens::default());
        Self { store, egress, limits, clock, random, bulkheads, budgets, tokens }
    }

    /// Makes a permitted intent's call ready: whatever would keep it from being made is found here, before
    /// anything is recorded. What comes out is run, or given back with [`Self::abandon`].
    ///
    /// # Errors
    /// See [`PrepareError`].
    pub async fn prepare(&self, scope: &Scope, intent: &Intent) -> Result<Prepared, PrepareError> {
        let name = intent.connector.clone().ok_or(PrepareError::Unnamed)?;
        let now = self.clock.now();
        let mut scoped = self.store.read(scope).await?;
        let ready = usable(&mut scoped, &name, now).await?.ok_or(PrepareError::Unknown)?;
        if ready.lost_credential() {
            return Err(PrepareError::Uncredentialed);
        }
        let breakers = breaker::read(&mut scoped, ready.connector).await?;
        drop(scoped);
        let rendered = self.bounded(ready.definition.render(&Call {
            action: &intent.action,
            resource_type: &intent.resource_type,
            resource_id: &intent.resource_id,
            arguments: &intent.arguments,
            intent: intent.id,
        })?);
        let org = scope.org();
        let (current, previous) =
            (self.unsealed(&ready, org, true).await?, self.unsealed(&ready, org, false).await?);
        let switch = Switch {
            org,
            connector: ready.connector,
            host: ready.definition.base_url().origin().to_owned(),
            rule: ready.definition.limits().breaker,
        };
        let place = self
            .bulkheads
            .take(ready.connector, ready.definition.limits().concurrency)
            .await
            .ok_or(PrepareError::Full)?;
        let open_until = breakers.iter().find(|one| one.host == switch.host).and_then(|one| one.open_until);
        let probes = match open_until {
            None => false,
            Some(until) => {
                let lost_after = rendered.timeout + GRACE;
                if now < until || !switch.probe(&self.store, now, lost_after).await? {
                    return Err(PrepareError::Open { until });
                }
                true
            }
        };
        Ok(Prepared {
            intent: intent.id,
            name,
            ready,
            rendered,
            current,
            previous,
            switch,
            probes,
            _place: place,
        })
    }

    /// A call within the limits of the whole server.
    pub(crate) fn bounded(&self, call: Rendered) -> Rendered {
        let timeout = call.timeout.min(self.limits.total);
        let max_answer_bytes = call.max_answer_bytes.min(self.limits.body_bytes);
        Rendered { timeout, max_answer_bytes, ..call }
    }

    async fn unsealed(
        &self,
        ready: &Ready,
        org: chancery_model::OrgId,
        current: bool,
    ) -> Result<Option<Unsealed>, KeyringError> {
        let sealed = if current { &ready.current } else { &ready.previous };
        let Some(sealed) = sealed else { return Ok(None) };
        let opened = credential::open(self.store.keyring(), org, ready, sealed).await?;
        Ok(Some((sealed.id, opened)))
    }

    /// Gives back a call that is not made after all.
    pub async fn abandon(&self, prepared: Prepared) {
        if prepared.probes
            && let Err(error) = prepared.switch.abandon(&self.store).await
        {
            tracing::warn!(%error, "a probe that was not made counts for a while");
        }
    }

    /// Makes the call that stands in the record as opened.
    pub async fn run(&self, engaged: Engaged, prepared: Prepared) -> Finished {
        // The two were made for one intent; if not, nothing is sent.
        if engaged.cleared().intent().id != prepared.intent {
            self.abandon(prepared).await;
            let code = Some("mixed_up");
            let conclusion =
                Conclusion { outcome: CallOutcome::Failed, status: None, code, attempts: 0, answer: None };
            return Finished { engaged, conclusion };
        }
        let sending = Sending {
            org: prepared.switch.org,
            ready: &prepared.ready,
            rendered: &prepared.rendered,
            current: prepared.current.as_ref(),
            previous: prepared.previous.as_ref(),
        };
        let ended = send(&sending, &self.means()).await;
        self.note(&prepared, ended.health).await;
        let outcome = ended.conclusion.outcome.as_str();
        metrics::counter!("executions_total", "outcome" => outcome).increment(1);
        Finished { engaged, conclusion: ended.conclusion }
    }

    pub(crate) fn means(&self) -> Means<'_> {
        Means {
            egress: &self.egress,
            tokens: &self.tokens,
            budgets: &self.budgets,
            limits: &self.limits,
            random: &*self.random,
        }
    }

    /// Tells the breaker, where it matters: a success only to one that is open.
    async fn note(&self, prepared: &Prepared, health: Health) {
        let switch = &prepared.switch;
        let noted = match health {
            Health::Well if !prepared.probes => return,
            Health::Unasked if !prepared.probes => return,
            Health::Unasked => switch.abandon(&self.store).await.map(|()| false),
            Health::Well | Health::Ill => {
                switch.note(&self.store, self.clock.now(), health == Health::Well).await
            }
        };
        match noted {
            Ok(true) => {
                metrics::counter!("breakers_opened_total").increment(1);
                tracing::warn!(org = %switch.org, connector = %switch.connector, "a connector is left alone");
            }
            Ok(false) => {}
            Err(error) => tracing::warn!(%error, "a breaker was not told how a call ended"),
        }
    }
}
