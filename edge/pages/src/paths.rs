//! Where the pages are, and where their forms post to. The routes are to be served under these.

/// Leads to the inbox, or to signing in.
pub const HOME: &str = "/";
/// Signing in.
pub const SIGN_IN: &str = "/sign-in";
/// Signing in with a passkey.
pub const SIGN_IN_PASSKEY: &str = "/sign-in/passkey";
/// The second factor.
pub const SECOND_FACTOR: &str = "/sign-in/factor";
/// Signing out.
pub const SIGN_OUT: &str = "/sign-out";
/// Choosing among one's organizations.
pub const ORGANIZATIONS: &str = "/organizations";
/// Proving again who one is.
pub const STEP_UP: &str = "/step-up";
/// A password was forgotten.
pub const FORGOT: &str = "/forgot";
/// A new password, with the link from the mail.
pub const RESET: &str = "/reset";
/// Confirming an e-mail address, with the link from the mail.
pub const VERIFY: &str = "/verify";
/// Taking an invitation, with the link from the mail.
pub const INVITATION: &str = "/invitation";

/// Where the script gets the options of a passkey's ceremony: to sign in, as a second factor, to step up.
pub const PASSKEY_REQUEST: &str = "/passkeys/request";
/// Where the script gets the options of a passkey's ceremony: to add one.
pub const PASSKEY_CREATION: &str = "/passkeys/creation";

/// One's sessions.
pub const SESSIONS: &str = "/account";
/// Ending all sessions but this one.
pub const SESSIONS_END_OTHERS: &str = "/account/sessions/end-others";
/// One's second factors and passkeys.
pub const FACTORS: &str = "/account/factors";
/// Beginning to use an authenticator app.
pub const TOTP_BEGIN: &str = "/account/factors/totp";
/// Its first code.
pub const TOTP_CONFIRM: &str = "/account/factors/totp/confirm";
/// Doing without it.
pub const TOTP_REMOVE: &str = "/account/factors/totp/remove";
/// New recovery codes.
pub const RECOVERY_CODES: &str = "/account/factors/recovery-codes";
/// Adding a passkey.
pub const PASSKEYS: &str = "/account/passkeys";
/// One's password.
pub const PASSWORD: &str = "/account/password";
/// Deleting one's account.
pub const DELETE_ACCOUNT: &str = "/account/delete";

/// The organization's members.
pub const MEMBERS: &str = "/members";
/// Inviting somebody.
pub const INVITE: &str = "/members/invitations";
/// Handing the organization on.
pub const TRANSFER: &str = "/members/transfer";

/// The organization's settings. Each section posts below: see [`crate::OrganizationSettings`].
pub const SETTINGS: &str = "/settings";
/// The organization's name.
pub const SETTINGS_NAME: &str = "/settings/name";
/// The rules for passwords.
pub const SETTINGS_PASSWORDS: &str = "/settings/passwords";
/// How long a session lasts.
pub const SETTINGS_SESSIONS: &str = "/settings/sessions";
/// How people sign in.
pub const SETTINGS_SIGN_IN: &str = "/settings/sign-in";
/// Adding a domain.
pub const SETTINGS_DOMAINS: &str = "/settings/domains";
/// From which addresses people and keys come.
pub const SETTINGS_ADDRESSES: &str = "/settings/addresses";
/// How long things are kept.
pub const SETTINGS_RETENTION: &str = "/settings/retention";
/// From which risk on an approver proves again who they are.
pub const SETTINGS_STEP_UP: &str = "/settings/step-up";

/// The approval inbox.
pub const APPROVALS: &str = "/approvals";
/// The inbox with what has ended.
pub const APPROVALS_ENDED: &str = "/approvals?ended=true";
/// Server-sent events: `event: change` when the inbox is another than before.
pub const APPROVALS_EVENTS: &str = "/approvals/events";

/// What is done with one thing of a list: `/members/{id}/remove`.
pub(crate) fn of(list: &str, id: &str, verb: &str) -> String {
    format!("{list}/{id}/{verb}")
}
