//! Allow: the permission is a type in the signature of whatever needs it.

use std::marker::PhantomData;

use chancery_model::Permission;

use crate::Entered;

/// A permission as a type.
pub trait Allow: Send + Sync + 'static {
    /// The permission.
    const PERMISSION: Permission;
}

/// The caller lacks a permission.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the key lacks the scope `{needed}`, or its holder's or creator's role does")]
pub struct Forbidden {
    /// What is missing.
    pub needed: Permission,
}

/// A caller inside its organization who holds the permission `P`.
///
/// Whoever needs the permission takes the proof of it:
///
/// ```no_run
/// use chancery_authenticate::permission::IntentsSubmit;
/// use chancery_authenticate::{Allowed, Entered, Forbidden};
/// fn submit(_: Allowed<IntentsSubmit>) {}
/// fn enters(caller: Entered) -> Result<(), Forbidden> {
///     submit(caller.allow()?);
///     Ok(())
/// }
/// ```
///
/// Neither the caller alone is that proof, nor one of another permission, and nobody else makes it:
///
/// ```compile_fail,E0308
/// # use chancery_authenticate::permission::IntentsSubmit;
/// # use chancery_authenticate::{Allowed, Entered};
/// # fn submit(_: Allowed<IntentsSubmit>) {}
/// fn skips(caller: Entered) {
///     submit(caller);
/// }
/// ```
/// ```compile_fail,E0308
/// # use chancery_authenticate::permission::{IntentsRead, IntentsSubmit};
/// # use chancery_authenticate::Allowed;
/// # fn submit(_: Allowed<IntentsSubmit>) {}
/// fn mistakes(reader: Allowed<IntentsRead>) {
///     submit(reader);
/// }
/// ```
/// ```compile_fail,E0451
/// # use chancery_authenticate::permission::IntentsSubmit;
/// # use chancery_authenticate::{Allowed, Entered};
/// fn forges(entered: Entered) -> Allowed<IntentsSubmit> {
///     Allowed { entered, permission: std::marker::PhantomData }
/// }
/// ```
#[derive(Debug)]
pub struct Allowed<P> {
    entered: Entered,
    permission: PhantomData<P>,
}

impl<P: Allow> Allowed<P> {
    pub(crate) fn check(entered: Entered) -> Result<Self, Forbidden> {
        entered.require::<P>()?;
        Ok(Self { entered, permission: PhantomData })
    }
}

impl<P> std::ops::Deref for Allowed<P> {
    type Target = Entered;
    fn deref(&self) -> &Entered {
        &self.entered
    }
}

/// One type for each permission.
pub mod permission {
    use chancery_model::Permission;

    use super::Allow;

    macro_rules! types {
        ($($name:ident),+ $(,)?) => {$(
            #[doc = concat!("See [`Permission::", stringify!($name), "`].")]
            #[derive(Debug)]
            pub struct $name;
            impl Allow for $name {
                const PERMISSION: Permission = Permission::$name;
            }
        )+};
    }

    types!(
        IntentsSubmit,
        IntentsRead,
        ApprovalsRead,
        ApprovalsDecide,
        TokensVerify,
        TokensRevoke,
        SigningKeysRead,
        SigningKeysManage,
        AgentsRead,
        AgentsManage,
        KeysRead,
        KeysManage,
        MembersRead,
        MembersManage,
        DelegationsRead,
        DelegationsManage,
        ActionsRead,
        ActionsManage,
        PoliciesRead,
        PoliciesManage,
        ConnectorsRead,
        ConnectorsManage,
        SettingsRead,
        SettingsManage,
        RecordRead,
        EmergencyUse,
    );
}
