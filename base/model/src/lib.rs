//! The vocabulary every other crate speaks: typed identifiers, names, principals, roles,
//! environments, permissions, time, and canonical JSON.
//!
//! Nothing here does input or output. A value of one of these types is right by its type: it was
//! parsed once at the edge and is never validated again.

mod address;
mod clock;
mod id;
pub mod ijson;
mod name;
mod permission;
mod principal;

pub use address::client_network;
pub use clock::{Clock, ManualClock, SystemClock, Timestamp};
pub use id::{
    AgentId, ConnectorId, CorrelationId, CredentialId, DelegationId, EntropyBytes, IntentId, KeyId, MemberId,
    OrgId, ParseIdError, PolicyId, PrincipalId, SigningKeyId, SubjectKeyId, TokenId,
};
pub use name::{
    ActionName, Audience, DisplayName, MAX_RESOURCE_ID_BYTES, NameError, ResourceId, ResourceType, Slug,
};
pub use permission::{ParsePermissionError, Permission};
pub use principal::{Environment, Principal, Role, UnknownVariant};
