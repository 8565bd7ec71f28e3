//! Screen: an entered caller with a well-formed intent, in an organization that acts.

use chancery_authenticate::{Allowed, permission::IntentsSubmit};
use chancery_crypto::Random;
use chancery_evidence::Hex;
use chancery_model::{Clock, IntentId};
use serde_json::Value;

use crate::{Draft, DraftError, Intent};

/// Why an intent is not even decided on. Nothing of it is recorded: it never became an intent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ScreenError {
    /// A part of it breaks its rule.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// The organization is halted.
    #[error("the organization is halted")]
    Halted,
}

/// Proof that an intent may be decided on.
///
/// It comes from [`screen`], which takes the proof before it:
///
/// ```no_run
/// use chancery_authenticate::{Allowed, permission::IntentsSubmit};
/// use chancery_crypto::Random;
/// use chancery_model::Clock;
/// use chancery_screen::{Cleared, Draft, ScreenError, screen};
/// fn screens(
///     caller: Allowed<IntentsSubmit>,
///     draft: Draft,
///     (clock, random): (&dyn Clock, &dyn Random),
/// ) -> Result<Cleared, ScreenError> {
///     screen(caller, draft, clock, random)
/// }
/// ```
///
/// Who is in the organization but may not submit does not get here, nobody else makes one, and there
/// is no second one of it:
///
/// ```compile_fail,E0308
/// # use chancery_authenticate::Entered;
/// # use chancery_crypto::Random;
/// # use chancery_model::Clock;
/// # use chancery_screen::{Cleared, Draft, ScreenError, screen};
/// fn skips(
///     caller: Entered,
///     draft: Draft,
///     (clock, random): (&dyn Clock, &dyn Random),
/// ) -> Result<Cleared, ScreenError> {
///     screen(caller, draft, clock, random)
/// }
/// ```
/// ```compile_fail,E0451
/// # use chancery_authenticate::{Allowed, permission::IntentsSubmit};
/// # use chancery_screen::{Cleared, Intent};
/// fn forges(caller: Allowed<IntentsSubmit>, intent: Intent) -> Cleared {
///     Cleared { caller, intent }
/// }
/// ```
/// ```compile_fail,E0277
/// # use chancery_screen::Cleared;
/// fn twice<T: Clone>() {}
/// twice::<Cleared>();
/// ```
#[derive(Debug)]
pub struct Cleared {
    caller: Allowed<IntentsSubmit>,
    intent: Intent,
}

impl Cleared {
    /// Who asks.
    #[must_use]
    pub const fn caller(&self) -> &Allowed<IntentsSubmit> {
        &self.caller
    }

    /// What for.
    #[must_use]
    pub const fn intent(&self) -> &Intent {
        &self.intent
    }
}

/// Screens a draft: checks it and gives it its identifier. The environment is the key's, never the
/// caller's word.
///
/// # Errors
/// See [`ScreenError`].
pub fn screen(
    caller: Allowed<IntentsSubmit>,
    draft: Draft,
    clock: &dyn Clock,
    random: &dyn Random,
) -> Result<Cleared, ScreenError> {
    let record = caller.caller().record();
    if record.halted {
        return Err(ScreenError::Halted);
    }
    let id = IntentId::new(clock.now(), random.bytes());
    let intent = Intent::check(draft, id, id.into(), record.environment)?;
    Ok(Cleared { caller, intent })
}

/// Why an intent can't be decided on again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecallError {
    /// The organization is halted.
    #[error("the organization is halted")]
    Halted,
    /// The key is of the other environment: there the intent does not exist.
    #[error("the intent is of another environment")]
    Elsewhere,
    /// What the record holds is not an intent, or not this one.
    #[error("the record does not hold the intent as it was hashed: {0}")]
    Changed(&'static str),
}

/// Screens an intent again as the record holds it: `recorded` is the `intent` of the payload that
/// decided it, which nothing of the present request replaces. It must have the hash that people agreed to.
///
/// # Errors
/// See [`RecallError`].
pub fn recall(
    caller: Allowed<IntentsSubmit>,
    id: IntentId,
    recorded: &Value,
    agreed_hash: &[u8; 32],
) -> Result<Cleared, RecallError> {
    let record = caller.caller().record();
    if record.halted {
        return Err(RecallError::Halted);
    }
    let text = |pointer: &str| recorded.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
    let needed = |pointer: &'static str| text(pointer).ok_or(RecallError::Changed(pointer));
    if needed("/environment")? != record.environment.as_str() {
        return Err(RecallError::Elsewhere);
    }
    if needed("/id")? != id.to_string() {
        return Err(RecallError::Changed("it is another one"));
    }
    let draft = Draft {
        action: needed("/canonical/action")?,
        resource_type: needed("/canonical/resource/type")?,
        resource_id: needed("/canonical/resource/id")?,
        arguments: recorded.pointer("/canonical/arguments").cloned(),
        context: recorded.get("context").cloned(),
        connector: text("/connector"),
        on_behalf_of: text("/on_behalf_of"),
    };
    let intent = Intent::check(draft, id, id.into(), record.environment)
        .map_err(|_| RecallError::Changed("it breaks a rule"))?;
    let is_same = intent.hash() == agreed_hash && needed("/hash")? == Hex(*intent.hash()).to_string();
    if !is_same {
        return Err(RecallError::Changed("its hash is another"));
    }
    Ok(Cleared { caller, intent })
}
