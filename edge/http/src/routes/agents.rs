//! `/api/v1/agents`: the programs that act.

use chancery_api::{Agent, ChangeAgent, Code, CreateAgent, ListQuery};
use chancery_authenticate::permission::{AgentsManage, AgentsRead, MembersManage};
use chancery_keys::NoteError;
use chancery_keys::agent::{self, NewAgent};

use crate::{Answer, ApiError, Created, Cx, Json, Many, Needs, Query, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/agents", create)
            .named("agents.create", "Creates an agent, owned by the caller unless said otherwise.")
            .may(&[Code::OwnerNotActive, Code::MemberRequired]),
        Route::get("/api/v1/agents", list).named("agents.list", "Agents, newest first, retired ones too."),
        Route::get("/api/v1/agents/{id}", show).named("agents.show", "One agent."),
        Route::patch("/api/v1/agents/{id}", change)
            .named("agents.change", "Gives an agent another name or another owner.")
            .may(&[Code::OwnerNotActive, Code::AgentRetired, Code::Unchanged]),
        Route::post("/api/v1/agents/{id}/retire", retire)
            .named("agents.retire", "Retires an agent for good: its keys stop at once.")
            .may(&[Code::AgentRetired]),
    ]
}

async fn create(cx: Cx<Needs<AgentsManage>, Json<CreateAgent>>) -> Result<Created<Agent>, ApiError> {
    let (wanted, created_by) = (&cx.input.0, cx.member()?);
    let owner = wanted.owner_id.unwrap_or(created_by);
    if owner != created_by {
        // Who answers for an agent may not approve what it asks: nobody puts that on others, or takes it
        // off them, who may not decide about members.
        cx.require::<MembersManage>()?;
    }
    let new = NewAgent {
        name: wanted.name.clone(),
        description: wanted
            .description
            .parse()
            .map_err(|rule: NoteError| ApiError::invalid("description", rule))?,
        owner,
        created_by,
    };
    let org_key = cx.keyring().org_key(cx.org()).await?;
    let mut scoped = cx.write().await?;
    let (made, change) = agent::create(&mut scoped, cx.keyring(), &org_key, new).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view(made), &receipt))
}

async fn list(cx: Cx<Needs<AgentsRead>, Query<ListQuery>>) -> Result<Many<Agent>, ApiError> {
    let (limit, after) = cx.input.window()?;
    let mut scoped = cx.read().await?;
    let found = agent::list(&mut scoped, after, limit).await?;
    Ok(Many::page(found.into_iter().map(view).collect(), limit, |agent| agent.id))
}

async fn show(cx: Cx<Needs<AgentsRead>>) -> Result<Answer<Agent>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.read().await?;
    let found = agent::read(&mut scoped, id).await?;
    Ok(Answer::read(view(found.ok_or_else(ApiError::not_found)?)))
}

async fn change(cx: Cx<Needs<AgentsManage>, Json<ChangeAgent>>) -> Result<Answer<Agent>, ApiError> {
    let id = cx.param("id")?;
    let changes = (&cx.input.0.name, cx.input.0.owner_id);
    if changes.1.is_some() {
        // One's own agent is given to another, or another's is taken: either concerns another member.
        cx.require::<MembersManage>()?;
    }
    let mut scoped = cx.write().await?;
    let changed = match changes {
        (Some(name), None) => agent::rename(&mut scoped, id, name.clone()).await?,
        (None, Some(owner)) => agent::change_owner(&mut scoped, id, owner).await?,
        _ => return Err(ApiError::invalid("name", "send either `name` or `owner_id`")),
    };
    let (changed, change) = changed.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(changed), &receipt))
}

async fn retire(cx: Cx<Needs<AgentsManage>>) -> Result<Answer<Agent>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let retired = agent::retire(&mut scoped, cx.keyring(), id).await?;
    let (retired, change) = retired.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(retired), &receipt))
}

fn view(agent: agent::Agent) -> Agent {
    Agent {
        id: agent.id,
        name: agent.name,
        description: agent.description.to_string(),
        owner_id: agent.owner,
        created_by: agent.created_by,
        created_at: agent.created_at,
        retired_at: agent.retired_at,
    }
}
