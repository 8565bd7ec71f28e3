//! The payloads of entries about intents, as `docs/evidence.md` has them.

use std::fmt::{self, Write as _};

use chancery_evidence::Hex;
use chancery_model::{IntentId, Principal, TokenId};
use chancery_screen::Intent;

use crate::Outcome;

/// The references of the entry that decides an intent. A token rests on the one that names it, with
/// the hash of its claims: whoever has a signing key can sign others under the same id.
pub(crate) fn decided_refs(
    intent: IntentId,
    principal: Principal,
    token: Option<(TokenId, &[u8; 32])>,
) -> String {
    let principal = principal.id();
    match token {
        Some((token, claims)) => format!(
            r#"{{"claims":"{}","intent":"{intent}","principal":"{principal}","token":"{token}"}}"#,
            Hex(*claims)
        ),
        None => format!(r#"{{"intent":"{intent}","principal":"{principal}"}}"#),
    }
}

/// About as many bytes as a payload has beside its varying parts.
const PAYLOAD_BYTES: usize = 640;

/// The payload of the entry that decides an intent first, written in canonical order: what it consists of
/// is canonical already, and this is the hottest path of all.
pub(crate) fn decided(outcome: &Outcome, decision: &str) -> Result<String, fmt::Error> {
    let cleared = outcome.cleared();
    let caller = cleared.caller().caller();
    let token = match outcome {
        Outcome::Minted(minted) => minted.public_claims(),
        _ => "null",
    };
    let principal = caller.principal();
    let intent = cleared.intent();
    let varying = [decision, token, intent.canonical(), intent.stated()];
    let mut text = String::with_capacity(PAYLOAD_BYTES + varying.map(str::len).iter().sum::<usize>());
    text.extend([r#"{"decision":"#, decision]);
    write_call(&mut text, outcome)?;
    text.push_str(r#","intent":"#);
    write_intent(&mut text, intent)?;
    write!(
        text,
        r#","key_id":"{}","principal":{{"id":"{}","type":"{}"}},"token":{token}}}"#,
        caller.key(),
        principal.id(),
        principal.kind(),
    )?;
    Ok(text)
}

fn write_intent(text: &mut String, intent: &Intent) -> fmt::Result {
    let quoted = |text: &mut String, value: Option<&dyn fmt::Display>| match value {
        Some(value) => write!(text, "\"{value}\""),
        None => text.write_str("null"),
    };
    text.extend([r#"{"canonical":"#, intent.canonical(), r#","connector":"#]);
    quoted(text, intent.connector.as_ref().map(|it| it as _))?;
    write!(
        text,
        r#","context":{},"correlation_id":"{}","environment":"{}","hash":"{}","id":"{}","on_behalf_of":"#,
        intent.stated(),
        intent.correlation,
        intent.environment,
        Hex(*intent.hash()),
        intent.id,
    )?;
    quoted(text, intent.on_behalf_of.as_ref().map(|it| it as _))?;
    text.write_str("}")
}

/// The call that the entry opens, if it opens one.
fn write_call(text: &mut String, outcome: &Outcome) -> fmt::Result {
    match outcome {
        Outcome::Call(_, terms) => write!(text, r#","execution":{{"connector":"{}"}}"#, terms.connector),
        _ => Ok(()),
    }
}

/// The payload of the entry that decides an intent again, after people agreed to what stands at
/// `escalated_seq`.
pub(crate) fn decided_again(
    outcome: &Outcome,
    decision: &str,
    escalated_seq: i64,
) -> Result<String, fmt::Error> {
    let cleared = outcome.cleared();
    let (caller, intent) = (cleared.caller().caller(), cleared.intent());
    let token = match outcome {
        Outcome::Minted(minted) => minted.public_claims(),
        _ => "null",
    };
    let mut text = String::with_capacity(PAYLOAD_BYTES + decision.len() + token.len());
    text.extend([r#"{"decision":"#, decision]);
    write!(text, r#","escalated_seq":{escalated_seq}"#)?;
    write_call(&mut text, outcome)?;
    let principal = caller.principal();
    write!(
        text,
        r#","intent_hash":"{}","intent_id":"{}","key_id":"{}","principal":{{"id":"{}","type":"{}"}},"token":{token}}}"#,
        Hex(*intent.hash()),
        intent.id,
        caller.key(),
        principal.id(),
        principal.kind(),
    )?;
    Ok(text)
}
