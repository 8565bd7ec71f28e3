//! The first two stages of the way: who is calling, and in which organization.
//!
//! [`Authenticator::authenticate`] turns an API key into a [`Caller`]; [`Entrance::enter`] turns a
//! caller into an [`Entered`]; [`Entered::allow`] turns that into an [`Allowed`] for one
//! permission, which is what every route asks for. The organization comes from the key's row and
//! from nowhere else. Each is a proof: private fields, one constructor, no `Clone`.

mod allow;
pub mod bearer;
mod caller;
mod enter;
mod epochs;

pub use allow::{Allow, Allowed, Forbidden, permission};
pub use caller::{AuthenticateError, Authenticator, Caller, RoleRights};
pub use enter::{EnterError, Entered, Entrance};
pub use epochs::KnownEpochs;
