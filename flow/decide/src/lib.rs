//! Decide: policies and facts in, a decision with its reasons out. Pure: no clock, no store, no task.
//!
//! An organization's [`Catalogue`] describes its actions; the Cedar schema is generated from it.
//! Policies of two layers, the installation's and the organization's, are checked strictly when they
//! are written ([`check_policy`]) and compiled once ([`Policies::compile`]). [`evaluate`] then takes a
//! request through seven gates, in order: *catalogue*, *arguments*, *context*, *delegation*,
//! *policy_installation*, *policy_organization*, *risk*. The first that fails ends it.
//!
//! What can't be decided is refused. In particular Cedar skips a policy that it can't evaluate, a
//! forbid as well as a permit, and goes on; here any such error refuses.
//!
//! A forbid may carry annotations that let people lift it: `@escalate("approver")`,
//! `@approvals("2")` (else 1), `@timeout("4h")` (else a day), and `@message("…")` for them to read. An
//! intent to which people agreed is decided on again, with their roles among its facts.

#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing,
        reason = "tests may fail loudly"
    )
)]

mod action;
mod cache;
mod catalogue;
mod check;
mod condition;
mod decision;
mod evaluate;
mod extension;
mod facts;
mod pack;
mod policies;
mod problem;
mod request;
mod risk;
mod roles;
mod shape;
mod text;
mod trace;
mod verdict;

pub use action::{ActionDefinition, ActionEffect};
pub use cache::ParseCache;
pub use catalogue::{Action, Catalogue, CatalogueError, MAX_ACTIONS};
pub use check::{PolicyCheck, check_policy};
pub use decision::{Decision, Effect, Gate, Layer, Outcome, PolicyRef, Reason, Requirement, may_answer};
pub use evaluate::evaluate;
pub use facts::{Delegation, Facts, Subject};
pub use pack::Pack;
pub use policies::{CompileError, MAX_POLICIES, Policies, PolicySource};
pub use problem::PolicyProblem;
pub use risk::{Factor, MAX_RISK, Risk, Thresholds, ThresholdsError};
pub use roles::{ROLE_POLICY, RolePolicyError, RoleTable};
pub use text::{DEFAULT_TIMEOUT_SECONDS, MAX_APPROVALS, MAX_POLICY_BYTES, MAX_TIMEOUT_SECONDS};
pub use verdict::{Circumstances, Escalation, Permit, Refusal, Verdict, decide};
