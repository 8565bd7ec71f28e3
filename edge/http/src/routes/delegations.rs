//! `/api/v1/delegations`: what members let agents do on their behalf.

use chancery_api::{Code, CreateDelegation, Delegation, ListQuery};
use chancery_authenticate::permission::{DelegationsManage, DelegationsRead};
use chancery_keys::agent;
use chancery_people::delegation::{self, NewDelegation};

use crate::{Answer, ApiError, Created, Cx, Json, Many, Needs, Query, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/delegations", create)
            .named("delegations.create", "Lets an agent act on the caller's behalf.")
            .may(&[Code::NotFound, Code::AgentRetired, Code::DelegatorNotActive, Code::MemberRequired]),
        Route::get("/api/v1/delegations", list)
            .named("delegations.list", "Delegations, newest first, revoked and expired ones too."),
        Route::post("/api/v1/delegations/{id}/revoke", revoke)
            .named("delegations.revoke", "Takes a delegation back; it holds from the next decision on.")
            .may(&[Code::DelegationRevoked]),
    ]
}

async fn create(
    cx: Cx<Needs<DelegationsManage>, Json<CreateDelegation>>,
) -> Result<Created<Delegation>, ApiError> {
    let wanted = &cx.input.0;
    let delegator = cx.member()?;
    let mut scoped = cx.write().await?;
    let agent = agent::read(&mut scoped, wanted.agent_id).await?;
    let agent = agent.ok_or_else(|| ApiError::not_found().at("agent_id"))?;
    if agent.retired_at.is_some() {
        return Err(ApiError::new(Code::AgentRetired, "the agent is retired").at("agent_id"));
    }
    let new = NewDelegation {
        delegator,
        agent: agent.id,
        actions: wanted.actions.clone(),
        expires_at: wanted.expires_at,
    };
    let (made, change) = delegation::create(&mut scoped, cx.keyring(), new).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view(made), &receipt))
}

async fn list(cx: Cx<Needs<DelegationsRead>, Query<ListQuery>>) -> Result<Many<Delegation>, ApiError> {
    let (limit, after) = cx.input.window()?;
    let mut scoped = cx.read().await?;
    let found = delegation::list(&mut scoped, after, limit).await?;
    Ok(Many::page(found.into_iter().map(view).collect(), limit, |delegation| delegation.id))
}

async fn revoke(cx: Cx<Needs<DelegationsManage>>) -> Result<Answer<Delegation>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let revoked = delegation::revoke(&mut scoped, cx.keyring(), id).await?;
    let (revoked, change) = revoked.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(revoked), &receipt))
}

fn view(delegation: delegation::Delegation) -> Delegation {
    Delegation {
        id: delegation.id,
        member_id: delegation.member,
        agent_id: delegation.agent,
        actions: delegation.actions,
        expires_at: delegation.expires_at,
        created_at: delegation.created_at,
        revoked_at: delegation.revoked_at,
    }
}
