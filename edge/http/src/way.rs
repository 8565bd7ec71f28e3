//! The way of one action, whole, on one page.
//!
//! ```text
//! request ─▶ authenticate ─▶ enter ─▶ screen ─▶ decide ─┬▶ Refusal ────▶ record
//!            Caller          Entered  Cleared           ├▶ Escalation ─▶ record
//!                                                       └▶ Permit ─▶ mint ─▶ record ─▶ the token
//! ```
//!
//! Authenticate and enter happen in the route's guard, for every route alike; [`submit`] begins
//! with the proof of both. Each stage takes the proof of the one before, so none can be skipped,
//! and nothing is released but by what [`chancery_record::Recorder::open`] gives back.

use chancery_api::Code;
use chancery_authenticate::{Allow, Allowed, permission::IntentsSubmit};
use chancery_decide::{Circumstances, Delegation, Permit, Subject, Thresholds, Verdict, decide};
use chancery_mint::signing_keys::{self, Forge, SigningKeyError};
use chancery_mint::{Lifetime, Minted, Terms, mint};
use chancery_model::{MemberId, Principal};
use chancery_people::{delegation, member};
use chancery_record::{Actor, IdempotencyKey, Opening, Outcome};
use chancery_screen::{Cleared, Draft, ScreenError, screen};

use crate::{ApiError, App};

/// What a caller asks for.
#[derive(Debug)]
pub(crate) struct Request {
    /// The intent.
    pub(crate) draft: Draft,
    /// Whether an allowed intent is answered with a token.
    pub(crate) token: bool,
    /// The idempotency key, if one was sent.
    pub(crate) idempotency: Option<IdempotencyKey>,
}

/// The way from a caller with a draft to a verdict that stands in the record.
pub(crate) async fn submit(
    app: &App,
    caller: Allowed<IntentsSubmit>,
    request: Request,
) -> Result<Opening, ApiError> {
    let cleared = screen(caller, request.draft, &*app.clock, &*app.random)?;
    require_going(app, &cleared).await?;
    let policies = app.policies.of(&app.store, cleared.caller().scope()).await?;
    let (on_behalf_of, delegation) = delegator(app, &cleared).await?;
    let settings = cleared.caller().settings();
    let circumstances = Circumstances {
        policies: &policies,
        thresholds: Thresholds::new(settings.escalate_at, settings.deny_at).map_err(ApiError::internal)?,
        on_behalf_of,
        delegation,
        now: app.clock.now(),
    };
    let outcome = match decide(cleared, &circumstances) {
        Verdict::Permit(permit) if request.token => Outcome::Minted(Box::new(minted(app, permit).await?)),
        Verdict::Permit(permit) => Outcome::Permit(permit),
        Verdict::Escalation(escalation) => Outcome::Escalation(escalation),
        Verdict::Refusal(refusal) => Outcome::Refusal(refusal),
    };
    Ok(app.recorder.open(outcome, request.idempotency.as_ref()).await?)
}

/// That the connector the intent is for is not paused or retired, as of the caller's epoch: the committer
/// compares it, so that of two processes neither goes on with one that the other paused. A name that no
/// connector has is whoever redeems the token under it.
async fn require_going(app: &App, cleared: &Cleared) -> Result<(), ApiError> {
    let Some(connector) = &cleared.intent().connector else { return Ok(()) };
    if app.stops.of(&app.store, cleared.caller().scope()).await?.has(connector) {
        return Err(
            ApiError::new(Code::ConnectorPaused, "the connector is paused or retired").at("connector")
        );
    }
    Ok(())
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

const fn subject(id: MemberId, role: chancery_model::Role) -> Subject {
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
