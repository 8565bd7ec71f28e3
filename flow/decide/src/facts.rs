//! What a decision is made on.

use chancery_model::{Environment, MemberId, OrgId, Principal, Role, Timestamp};
use serde_json::Value;

/// One who asks, or on whose behalf is asked. Comes from database rows, never from the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Subject {
    /// Who.
    pub principal: Principal,
    /// Its role in the organization.
    pub role: Role,
    /// The member who owns the agent.
    pub owner: Option<MemberId>,
}

/// What the stored delegations say about acting on a member's behalf.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delegation {
    /// The request names nobody to act for.
    NotAsked,
    /// A delegation from that member to this agent covers the action.
    Covers,
    /// None does.
    Missing,
}

/// Everything a decision depends on besides the policies and the thresholds.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The organization, from the principal's row.
    pub org: OrgId,
    /// Who asks.
    pub subject: Subject,
    /// The member it acts for; rights are then the intersection of both.
    pub on_behalf_of: Option<Subject>,
    /// What the delegations say about that.
    pub delegation: Delegation,
    /// The action asked for, as sent.
    pub action: &'a str,
    /// The type of the resource, as sent.
    pub resource_type: &'a str,
    /// Which resource.
    pub resource_id: &'a str,
    /// The arguments, as [`chancery_model::ijson::parse`] read them.
    pub arguments: &'a Value,
    /// The facts that the caller states; `null` is the same as `{}`.
    pub context: &'a Value,
    /// The environment of the key.
    pub environment: Environment,
    /// The connector that would carry it out.
    pub connector: Option<&'a str>,
    /// The roles of the people who agreed to exactly this, each another person; none at first.
    pub agreed: &'a [Role],
    /// The moment of the decision.
    pub now: Timestamp,
}
