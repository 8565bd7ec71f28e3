//! The pages that the server renders, for people: signing in, one's account, the organization, and the
//! approval inbox.
//!
//! Pure: a view model goes in, a whole HTML document comes out. Nothing here knows a store, a route or a
//! session; who fills a view model decides what may be seen. Each page is a struct whose fields are what
//! it shows, with `render`; its documentation says what its forms post, and where ([`paths`]).
//!
//! - Every form posts and carries the field `csrf`. All works without the script, but passkeys, which no
//!   browser has without one.
//! - No style, script or handler stands in a page, and nothing comes from elsewhere:
//!   [`CONTENT_SECURITY_POLICY`] holds for all of them.
//! - What others wrote is text, with what cannot be seen in it made visible, and never a link.
//! - Times are UTC, and relative to [`Frame::now`].
//!
//! Why maud and not askama: a page is a Rust function, so that a part which needs a label cannot be called
//! without one, and there is no second language whose files and filters have to be learned and checked.

mod account;
mod approvals;
mod asset;
mod factor;
mod field;
mod frame;
mod invitation;
mod members;
mod moment;
mod organization;
mod passkey;
pub mod paths;
mod problem;
mod recovery;
mod sign_in;
mod text;
mod tree;

pub use account::{
    ChangePassword, DeleteAccount, Factors, Passkey, RecoveryCodes, Session, Sessions, Totp, TotpEnrolment,
};
pub use approvals::{
    Answer, AnswerForm, Answered, Asked, Demand, Ended, Factor, Inbox, OneApproval, PolicyName, Progress,
    Reason, Released, Requester, Risk, State, Waiting,
};
pub use asset::{ASSETS, Asset, CONTENT_SECURITY_POLICY, FOLDER, SCRIPT, STYLESHEET};
pub use factor::{Proofs, SecondFactor, StepUp};
pub use field::Field;
pub use frame::{Door, Flash, Frame, Opens, Tone};
pub use invitation::{Invitation, InvitationState, Offer, Taker};
pub use members::{Heir, Invite, Marks, MayDo, MemberRow, Members, PendingInvitation, RoleChoice};
pub use organization::{
    Domain, Domains, OrganizationSettings, PasswordPolicy, Retention, SessionLimits, SignInMethods,
};
pub use problem::{Problem, ProblemKind};
pub use recovery::{Forgot, PasswordRules, Reset, VerifyEmail};
pub use sign_in::{Around, ChooseOrganization, Membership, SignIn};
