//! The way of one action, whole, on one page.
//!
//! ```text
//! request ─▶ authenticate ─▶ enter ─▶ screen ─▶ decide ─┬▶ Refusal ────▶ record
//!            Caller          Entered  Cleared           ├▶ Escalation ─▶ record
//!                                                       └▶ Permit ┬▶ mint ─▶ record ─▶ the token
//!                                                                 └▶ record ─▶ execute ─▶ record
//!                                                                    Opened   Engaged    the answer
//!
//! an approved intent ─▶ authenticate ─▶ enter ─▶ recall ─▶ decide ─▶ …   as above, with who agreed
//!                                                Cleared
//! ```
//!
//! Authenticate and enter happen in the route's guard, for every route alike; [`submit`] begins
//! with the proof of both. An approval releases nothing by itself: [`release`] screens what was recorded
//! and decides on it again. What is executed is recorded as opened before (here) and as closed after
//! (`call.rs`). Each stage takes the proof of the one before, so none can be skipped,
//! and nothing is released but by what [`chancery_record::Recorder::open`] gives back.

use chancery_api::Code;
use chancery_approve::Agreed;
use chancery_authenticate::{Allow, Allowed, permission::IntentsSubmit};
use chancery_decide::{Circumstances, Delegation, Permit, Subject, Thresholds, Verdict, decide};
use chancery_execute::Prepared;
use chancery_mint::signing_keys::{self, Forge, SigningKeyError};
use chancery_mint::{Lifetime, Minted, Terms, mint};
use chancery_model::{IntentId, MemberId, Principal, Role};
use chancery_people::{delegation, member};
use chancery_record::{Actor, IdempotencyKey, Opened, Opening, Outcome, Replayed};
use chancery_screen::{Cleared, Draft, RecallError, ScreenError, recall, screen};

use crate::{ApiError, App};

/// What a caller asks for.
#[derive(Debug)]
pub(crate) struct Request {
    /// The intent.
    pub(crate) draft: Draft,
    /// What an allowed intent is answered with.
    pub(crate) carry: Carry,
    /// The idempotency key, if one was sent.
    pub(crate) idempotency: Option<IdempotencyKey>,
}

/// What becomes of an allowed intent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carry {
    /// Nothing: only the decision is wanted.
    Nothing,
    /// A token, for whoever carries it out.
    Token,
    /// A call of ours.
    Call,
}

/// What stands in the record, and what is to be done now.
#[derive(Debug)]
pub(crate) enum Step {
    /// The verdict, with its token if there is one.
    Opened(Box<Opened>),
    /// A call that is to be made: it stands as opened.
    Call(Box<Opened>, Box<Prepared>),
    /// An earlier request with the same idempotency key.
    Replayed(Replayed),
}

/// The way from a caller with a draft to a verdict that stands in the record.
pub(crate) async fn submit(
    app: &App,
    caller: Allowed<IntentsSubmit>,
    request: Request,
) -> Result<Step, ApiError> {
    let cleared = screen(caller, request.draft, &*app.clock, &*app.random)?;
    let (outcome, prepared) = outcome(app, verdict(app, cleared, &[]).await?, request.carry).await?;
    let opening = app.recorder.open(outcome, request.idempotency.as_ref()).await;
    match (opening, prepared) {
        (Ok(Opening::Opened(opened)), Some(prepared)) => Ok(Step::Call(opened, prepared)),
        (Ok(Opening::Opened(opened)), None) => Ok(Step::Opened(opened)),
        (opening, prepared) => {
            abandon(app, prepared).await;
            match opening? {
                Opening::Replayed(replayed) => Ok(Step::Replayed(replayed)),
                Opening::Opened(opened) => Ok(Step::Opened(opened)),
            }
        }
    }
}

/// The way of an intent that people agreed to: what was recorded is screened and decided on again, with
/// the roles of those who agreed and still may, and only a permit of that is released.
pub(crate) async fn release(
    app: &App,
    caller: Allowed<IntentsSubmit>,
    approved: &Approved,
    carry: Carry,
) -> Result<Step, ApiError> {
    let Approved { intent, recorded, agreed } = approved;
    let cleared = recall(caller, *intent, recorded, &agreed.intent_hash)?;
    let roles: Vec<Role> = agreed.people.iter().map(|one| one.role).collect();
    let (outcome, prepared) = outcome(app, verdict(app, cleared, &roles).await?, carry).await?;
    match (app.recorder.open_again(outcome, agreed.seq).await, prepared) {
        (Ok(opened), Some(prepared)) => Ok(Step::Call(Box::new(opened), prepared)),
        (Ok(opened), None) => Ok(Step::Opened(Box::new(opened))),
        (Err(error), prepared) => {
            abandon(app, prepared).await;
            Err(error.into())
        }
    }
}

/// What is to be recorded of a verdict, with the call that a permit is for.
async fn outcome(
    app: &App,
    verdict: Verdict,
    carry: Carry,
) -> Result<(Outcome, Option<Box<Prepared>>), ApiError> {
    Ok(match (verdict, carry) {
        (Verdict::Permit(permit), Carry::Token) => {
            (Outcome::Minted(Box::new(minted(app, permit).await?)), None)
        }
        (Verdict::Permit(permit), Carry::Nothing) => (Outcome::Permit(permit), None),
        (Verdict::Permit(permit), Carry::Call) => {
            let cleared = permit.cleared();
            let prepared = app.executor.prepare(cleared.caller().scope(), cleared.intent()).await?;
            (Outcome::Call(permit, prepared.terms()), Some(Box::new(prepared)))
        }
        (Verdict::Escalation(escalation), _) => (Outcome::Escalation(escalation), None),
        (Verdict::Refusal(refusal), _) => (Outcome::Refusal(refusal), None),
    })
}

async fn abandon(app: &App, prepared: Option<Box<Prepared>>) {
    if let Some(prepared) = prepared {
        app.executor.abandon(*prepared).await;
    }
}

/// An intent that people agreed to.
#[derive(Debug)]
pub(crate) struct Approved {
    /// Which.
    pub(crate) intent: IntentId,
    /// The intent as its entry holds it.
    pub(crate) recorded: serde_json::Value,
    /// Who agreed.
    pub(crate) agreed: Agreed,
}

/// Decides on what was screened, by what is so now.
async fn verdict(app: &App, cleared: Cleared, agreed: &[Role]) -> Result<Verdict, ApiError> {
    require_going(app, &cleared).await?;
    let policies = app.policies.of(&app.store, cleared.caller().scope()).await?;
    let (on_behalf_of, delegation) = delegator(app, &cleared).await?;
    let settings = cleared.caller().settings();
    let circumstances = Circumstances {
        policies: &policies,
        thresholds: Thresholds::new(settings.escalate_at, settings.deny_at).map_err(ApiError::internal)?,
        on_behalf_of,
        delegation,
        agreed,
        now: app.clock.now(),
    };
    Ok(decide(cleared, &circumstances))
}

/// That the connector the intent is for is not paused or retired, as of the caller's epoch: the committer
/// compares it, so that of two processes neither goes on with one that the other paused. A name that no
/// connector has is whoever redeems the token under it.
async fn require_going(app: &App, cleared: &Cleared) -> Result<(), ApiError> {
    let Some(connector) = &cleared.intent().connector else { return Ok(()) };
    let stopped = app.stops.of(&app.store, cleared.caller().scope()).await?;
    match stopped.why(connector) {
        None => Ok(()),
        Some(why) => {
            Err(ApiError::new(Code::ConnectorPaused, format!("the connector is {why}")).at("connector"))
        }
    }
}

/// The member in whose name the caller asks, as the database knows them, and whether a stored
/// delegation covers this action. An unknown member is a missing delegation: a refusal.
async fn delegator(app: &App, cleared: &Cleared) -> Result<(Option<Subject>, Delegation), ApiError> {
    let Some(id) = cleared.intent().on_behalf_of else { return Ok((None, Delegation::NotAsked)) };
    let caller = cleared.caller();
    let Principal::Agent(agent) = caller.caller().principal() else {
        return Ok((None, Delegation::Missing));
    };
    let mut scoped = app.store.read(caller.scope()).await?;
    let now = app.clock.now();
    let covers = delegation::find_active(&mut scoped, id, agent, &cleared.intent().action, now).await?;
    let Some(member) = member::read(&mut scoped, id).await? else { return Ok((None, Delegation::Missing)) };
    // Nobody lets another do what they may not do themselves, also when their role is another since.
    let may_ask = app.authenticator.roles().of(member.role) & IntentsSubmit::PERMISSION.bit() != 0;
    let delegation = if covers.is_some() && may_ask { Delegation::Covers } else { Delegation::Missing };
    Ok((Some(subject(id, member.role)), delegation))
}

const fn subject(id: MemberId, role: Role) -> Subject {
    Subject { principal: Principal::Member(id), role, owner: None }
}

/// Mints the permit's token with the organization's active key, which is made at its first mint.
async fn minted(app: &App, permit: Permit) -> Result<Minted, ApiError> {
    let caller = permit.cleared().caller();
    let (settings, record) = (caller.settings(), caller.caller().record());
    let lifetime = Lifetime::new(settings.token_ttl_seconds).map_err(ApiError::internal)?;
    let Some(signer) = app.signing_keys.active(&app.store, caller.scope(), settings.token_algorithm).await?
    else {
        return Err(first_key(app, caller).await?);
    };
    let issuer = app.issuer(&record.slug);
    let terms = Terms { issuer: &issuer, lifetime, now: app.clock.now() };
    mint(permit, &signer, terms, &*app.random).map_err(ApiError::internal)
}

/// Makes the organization's first key of an algorithm. Publishing it moves the epoch, so the
/// request begins again and finds it.
async fn first_key(app: &App, caller: &Allowed<IntentsSubmit>) -> Result<ApiError, ApiError> {
    let key = app.key_pool.take(caller.settings().token_algorithm).await?;
    let keyring = app.store.keyring();
    let org_key = keyring.org_key(caller.org()).await?;
    let forge = Forge { slug: &caller.caller().record().slug, org_key: &org_key, keyring };
    let mut scoped = app.store.write(caller.scope()).await?;
    match signing_keys::create_first(&mut scoped, forge, &key).await {
        Ok((_, change)) => {
            app.recorder.commit(scoped, Actor::of(caller.caller()), change).await?;
        }
        // Another request made it at the same moment.
        Err(SigningKeyError::Lost) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(ApiError::stale(caller.epoch().saturating_add(1)))
}

impl From<ScreenError> for ApiError {
    fn from(error: ScreenError) -> Self {
        match error {
            ScreenError::Draft(error) => Self::new(Code::ValidationError, error.rule).at(error.field),
            ScreenError::Halted => Self::new(Code::OrganizationHalted, "the organization is halted"),
        }
    }
}

impl From<RecallError> for ApiError {
    fn from(error: RecallError) -> Self {
        match error {
            RecallError::Halted => Self::new(Code::OrganizationHalted, "the organization is halted"),
            RecallError::Elsewhere => Self::not_found(),
            RecallError::Changed(_) => Self::internal(error),
        }
    }
}
