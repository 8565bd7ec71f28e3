//! Making one call: what authenticates it, how often it is tried, and what its outcome is.

use std::time::Duration;

use chancery_connectors::{Credential, Ready, Rendered};
use chancery_crypto::Random;
use chancery_egress::{
    Answer, Egress, Failure, FailureKind, Limits, Outgoing, Permit, Pin, Pins, PoolKey, Reach, Sent, Target,
};
use chancery_model::{CredentialId, OrgId};
use chancery_record::Conclusion;
use chancery_record::releases::CallOutcome;
use http::{HeaderMap, Method, StatusCode};
use secrecy::SecretString;
use tokio::time::{Instant, sleep, timeout_at};

use crate::authorize::headers;
use crate::budget::Budgets;
use crate::oauth::{FetchError, Tokens};

/// The pause before the second try, in milliseconds; twice as long before each after it.
const PAUSE_MS: u64 = 100;

/// A credential, unsealed.
pub(crate) type Unsealed = (CredentialId, Credential);

/// One call, and what it is made with.
pub(crate) struct Sending<'a> {
    pub(crate) org: OrgId,
    pub(crate) ready: &'a Ready,
    pub(crate) rendered: &'a Rendered,
    pub(crate) current: Option<&'a Unsealed>,
    pub(crate) previous: Option<&'a Unsealed>,
}

/// What calls are made through.
pub(crate) struct Means<'a> {
    pub(crate) egress: &'a Egress,
    pub(crate) tokens: &'a Tokens,
    pub(crate) budgets: &'a Budgets,
    /// Beyond which nothing goes, whatever a connector says.
    pub(crate) limits: &'a Limits,
    pub(crate) random: &'a dyn Random,
}

/// How a call ended, and whether it counts against its system.
pub(crate) struct Ended {
    pub(crate) conclusion: Conclusion,
    pub(crate) health: Health,
}

/// What a call says of the system it went to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Health {
    /// It answered; what it refused is its good right.
    Well,
    /// It did not answer, or said that it fails.
    Ill,
    /// Nothing: it was not asked.
    Unasked,
}

/// What came of one try.
enum Tried {
    /// With the fetched token that it was sent with, if one was.
    Answered(Answer, Option<SecretString>),
    Failed(Failure),
    /// Nothing was sent.
    Unsent(&'static str),
}

/// Makes a call. Only an idempotent one is tried again after it may have arrived, and no other is tried
/// again at all but where the system said that it did not know who calls.
pub(crate) async fn send(sending: &Sending<'_>, means: &Means<'_>) -> Ended {
    let deadline = Instant::now() + sending.rendered.timeout;
    let retries = sending.ready.definition.limits().retries;
    means.budgets.earn(sending.ready.connector, retries.budget_percent);
    let mut with = sending.current;
    let (mut changed, mut perhaps_done) = (false, false);
    let mut attempts = 0;
    loop {
        attempts += 1;
        let tried = once(sending, means, with, deadline).await;
        if let (Tried::Answered(answer, refused), false) = (&tried, changed)
            && answer.status == StatusCode::UNAUTHORIZED
            && let Some(next) = another(sending, means, with, refused.as_ref()).await
        {
            (with, changed) = (next, true);
            continue;
        }
        let again = sending.rendered.idempotent
            && attempts < retries.attempts
            && is_passing(&tried)
            && means.budgets.spend(sending.ready.connector);
        if !again || !pause(attempts, deadline, means.random).await {
            return ended(tried, attempts, perhaps_done, &sending.rendered.method);
        }
        perhaps_done |= may_be_done(&tried, &sending.rendered.method);
    }
}

/// What to authenticate with after the system did not know who calls: a token fetched anew, or the
/// credential before this one while the two overlap.
async fn another<'a>(
    sending: &Sending<'a>,
    means: &Means<'_>,
    with: Option<&'a Unsealed>,
    refused: Option<&SecretString>,
) -> Option<Option<&'a Unsealed>> {
    if let (Some((id, _)), Some(refused)) = (with, refused) {
        // Only that one: another call may have fetched a newer token meanwhile.
        means.tokens.forget((sending.org, sending.ready.connector, *id), refused).await;
        return Some(with);
    }
    sending.previous.map(Some)
}

async fn once(sending: &Sending<'_>, means: &Means<'_>, with: Option<&Unsealed>, deadline: Instant) -> Tried {
    let (credential_headers, fetched) = match timeout_at(deadline, authorized(sending, means, with)).await {
        Ok(Ok(authorized)) => authorized,
        Ok(Err(code)) => return Tried::Unsent(code),
        Err(_) => return Tried::Unsent(FetchError::Unavailable.code()),
    };
    let Ok(target) = Target::parse(&sending.rendered.url) else { return Tried::Unsent("egress_refused") };
    let mut headers = sending.rendered.headers.clone();
    // A header of the credential stands in the place of one with its name.
    for name in credential_headers.keys() {
        headers.remove(name);
    }
    let left = deadline.saturating_duration_since(Instant::now());
    let permit = Permit {
        pool: PoolKey {
            organization: sending.org.as_uuid().as_u128(),
            policy: sending.ready.connector.as_uuid().as_u128(),
        },
        reach: Reach::Allowed,
        pins: pins(sending.ready),
        limits: Limits {
            connect: means.limits.connect.min(left),
            head: means.limits.head.min(left),
            total: left,
            body_bytes: sending.rendered.max_answer_bytes,
        },
        redirects: u8::try_from(sending.ready.definition.limits().redirects).unwrap_or(0),
    };
    let request = Outgoing {
        method: sending.rendered.method.clone(),
        target,
        headers,
        credential_headers,
        body: sending.rendered.body.clone(),
    };
    match means.egress.send(request, &permit).await {
        Ok(answer) => Tried::Answered(answer, fetched),
        Err(failure) => {
            tracing::warn!(org = %sending.org, connector = %sending.ready.connector, code = failure.code(),
                cause = %failure.cause(), "a connector was not reached as it should be");
            Tried::Failed(failure)
        }
    }
}

/// A connector is called at its own host and nowhere else.
fn pins(ready: &Ready) -> Pins {
    Pins::to(Target::parse(ready.definition.base_url().origin()).ok().map(|target| Pin::of(&target)))
}

async fn authorized(
    sending: &Sending<'_>,
    means: &Means<'_>,
    with: Option<&Unsealed>,
) -> Result<(HeaderMap, Option<SecretString>), &'static str> {
    let Some((id, credential)) = with else { return Ok((HeaderMap::new(), None)) };
    let fetched = match credential {
        Credential::OAuth2ClientCredentials { .. } => {
            let key = (sending.org, sending.ready.connector, *id);
            Some(means.tokens.of(means, key, credential).await.map_err(FetchError::code)?)
        }
        _ => None,
    };
    let headers = headers(credential, fetched.as_ref()).map_err(|_| "credential_unusable")?;
    Ok((headers, fetched))
}

/// Whether it may go better a moment later.
fn is_passing(tried: &Tried) -> bool {
    match tried {
        Tried::Answered(answer, _) => matches!(answer.status.as_u16(), 429 | 502 | 503 | 504),
        Tried::Failed(failure) => {
            matches!(failure.kind(), FailureKind::Unreachable | FailureKind::TimedOut)
        }
        Tried::Unsent(_) => false,
    }
}

/// Waits before another try, a half to one and a half of the pause; `false` when there is no time left.
async fn pause(attempts: u32, deadline: Instant, random: &dyn Random) -> bool {
    let [die] = random.bytes::<1>();
    let whole = PAUSE_MS << attempts.saturating_sub(1).min(6);
    let pause = Duration::from_millis(whole / 2 + whole * u64::from(die) / 255);
    if Instant::now() + pause >= deadline {
        return false;
    }
    sleep(pause).await;
    true
}

/// Whether a try that did not succeed may have been carried out all the same.
fn may_be_done(tried: &Tried, method: &Method) -> bool {
    match tried {
        Tried::Unsent(_) => false,
        Tried::Failed(failure) => failure.sent() == Sent::Perhaps,
        Tried::Answered(answer, _) => of_answer(answer, method).0 == CallOutcome::Unknown,
    }
}

/// How a call ended whose last try this is. Where an earlier one may have been carried out, that the last
/// was not does not make it a failure.
fn ended(tried: Tried, attempts: u32, perhaps_done: bool, method: &Method) -> Ended {
    let conclusion = |outcome, status, code, answer| {
        let outcome =
            if perhaps_done && outcome == CallOutcome::Failed { CallOutcome::Unknown } else { outcome };
        Conclusion { outcome, status, code, attempts, answer }
    };
    match tried {
        Tried::Unsent(code) => Ended {
            conclusion: conclusion(CallOutcome::Failed, None, Some(code), None),
            health: Health::Unasked,
        },
        Tried::Failed(ref failure) => {
            let outcome =
                if may_be_done(&tried, method) { CallOutcome::Unknown } else { CallOutcome::Failed };
            let health = if failure.kind() == FailureKind::Refused { Health::Unasked } else { Health::Ill };
            Ended { conclusion: conclusion(outcome, None, Some(failure.code()), None), health }
        }
        Tried::Answered(answer, _) => {
            let (outcome, code) = of_answer(&answer, method);
            let health = if answer.status.is_server_error() { Health::Ill } else { Health::Well };
            let status = Some(answer.status.as_u16());
            Ended { conclusion: conclusion(outcome, status, code, Some(answer.body.to_vec())), health }
        }
    }
}

/// What an answer says of the outcome. To another method than was meant, nothing: a redirect made a GET of
/// it, and of what was written it tells nobody how it went.
fn of_answer(answer: &Answer, meant: &Method) -> (CallOutcome, Option<&'static str>) {
    if answer.method == *meant {
        of_status(answer.status)
    } else {
        (CallOutcome::Unknown, Some("redirected"))
    }
}

/// What a status says of the outcome. A gateway that did not get its answer does not know.
fn of_status(status: StatusCode) -> (CallOutcome, Option<&'static str>) {
    match status.as_u16() {
        200..=299 => (CallOutcome::Succeeded, None),
        502 | 504 => (CallOutcome::Unknown, Some("gateway_failed")),
        // See Other (RFC 9110 §15.4.4) is how some say that it is done.
        303 => (CallOutcome::Unknown, Some("redirected")),
        300..=399 => (CallOutcome::Failed, Some("redirected")),
        400..=499 => (CallOutcome::Failed, Some("refused_by_system")),
        _ => (CallOutcome::Failed, Some("failed_in_system")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_system_says_is_a_success() {
        for (status, outcome) in [
            (200, CallOutcome::Succeeded),
            (204, CallOutcome::Succeeded),
            (302, CallOutcome::Failed),
            (303, CallOutcome::Unknown),
            (401, CallOutcome::Failed),
            (500, CallOutcome::Failed),
            (502, CallOutcome::Unknown),
            (504, CallOutcome::Unknown),
        ] {
            assert_eq!(of_status(StatusCode::from_u16(status).unwrap()).0, outcome, "{status}");
        }
    }
}
