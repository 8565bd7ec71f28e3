//! The types of the HTTP API: what is sent, what is answered, and the codes of what goes wrong.
//!
//! One module for each resource. Requests refuse unknown fields; answers may gain fields in later
//! versions. The server describes these types in its OpenAPI document, and the client reads them.

mod actions;
mod agents;
mod api_keys;
mod approvals;
mod code;
mod connectors;
mod delegations;
mod emergency;
mod envelope;
mod installation;
mod intents;
mod me;
mod members;
mod organization;
mod policies;
mod reason;
mod record;
mod signing_keys;
mod tokens;
pub mod words;

pub use actions::{Action, ActionEffect, PutAction, RetiredAction};
pub use agents::{Agent, ChangeAgent, CreateAgent};
pub use api_keys::{ApiKey, CreateApiKey, IssuedApiKey, RevokeApiKey, RotateApiKey};
pub use approvals::{
    AnswerTaken, AnswerWord, Answering, Approval, ApprovalQuery, ApprovalState, ApprovalStatus, GivenAnswer,
    Release, ReleaseWord, Requirement,
};
pub use code::Code;
pub use connectors::{
    ChangeConnector, Connector, ConnectorBreaker, ConnectorCredential, ConnectorDetail, ConnectorOrder,
    ConnectorTest, CreateConnector, RemovedCredentials, SecretText, WriteCredential,
};
pub use delegations::{CreateDelegation, Delegation};
pub use emergency::{EmergencyOrder, EmergencyState, HaltedEnvironment, OrganizationHalt, PausedConnector};
pub use envelope::{Data, ErrorBody, Failure, List, ListQuery, Page};
pub use installation::{Health, Readiness};
pub use intents::{
    Execution, ExecutionStatus, IntentAnswer, IntentDetail, IntentQuery, IntentStatus, IntentSummary,
    RecordRef, ReleaseIntent, ResourceRef, SubmitIntent, WaitQuery,
};
pub use me::{Me, MyKey};
pub use members::{ChangeMember, CreateMember, Member};
pub use organization::{ChangeOrganization, ChangeSettings, Organization, Settings};
pub use policies::{
    ActivatePolicy, AddPolicyVersion, AppliedPack, CheckPolicy, CreatePolicy, Pack, Policy, PolicyCheck,
    PolicyDetail, PolicyProblem, PolicyText, PolicyVersion,
};
pub use reason::{Reason, ReasonError};
pub use record::{RecordEntry, RecordFault, RecordQuery, RecordVerification};
pub use signing_keys::{RetireSigningKey, RotateSigningKey, SigningKey};
pub use tokens::{Revocation, RevocationTarget, RevokeTokens, VerifiedToken, VerifyToken};
