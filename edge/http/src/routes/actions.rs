//! `/api/v1/actions`: the action catalogue.

use chancery_api::{Action, ActionEffect, Code, ListQuery, PutAction, RetiredAction};
use chancery_authenticate::permission::{ActionsManage, ActionsRead};
use chancery_decide::{self as decide, ActionDefinition};
use chancery_model::ActionName;
use chancery_policies::actions::{self, ActionRecord};

use crate::{Answer, ApiError, Cx, Json, Many, Needs, Query, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/actions", list).named("actions.list", "Actions by name, retired ones too."),
        Route::get("/api/v1/actions/{name}", show).named("actions.show", "One action, retired or not."),
        Route::put("/api/v1/actions/{name}", put)
            .named("actions.put", "Defines an action, or defines it anew; a retired one comes back.")
            .may(&[Code::Unchanged, Code::PolicyBreaks, Code::LimitReached]),
        Route::post("/api/v1/actions/{name}/retire", retire)
            .named("actions.retire", "Takes an action out of the catalogue: it is refused from here on.")
            .may(&[Code::PolicyBreaks]),
    ]
}

async fn list(cx: Cx<Needs<ActionsRead>, Query<ListQuery>>) -> Result<Many<Action>, ApiError> {
    let (limit, after) = cx.input.window::<ActionName>()?;
    let mut scoped = cx.read().await?;
    let found = actions::list(&mut scoped, after.as_ref(), limit).await?;
    Ok(Many::page(found.into_iter().map(view).collect(), limit, |action| action.name.clone()))
}

async fn show(cx: Cx<Needs<ActionsRead>>) -> Result<Answer<Action>, ApiError> {
    let name = cx.param("name")?;
    let mut scoped = cx.read().await?;
    let found = actions::read(&mut scoped, &name).await?;
    Ok(Answer::read(view(found.ok_or_else(ApiError::not_found)?)))
}

async fn put(cx: Cx<Needs<ActionsManage>, Json<PutAction>>) -> Result<Answer<Action>, ApiError> {
    // A name that breaks its rule is a mistake to tell here, not something absent.
    let name: String = cx.param("name")?;
    let name = name.parse().map_err(|rule: chancery_model::NameError| ApiError::invalid("name", rule))?;
    let wanted = cx.input.0.clone();
    let definition = ActionDefinition {
        name,
        resource_type: wanted.resource_type,
        description: wanted.description,
        effect: effect(wanted.effect),
        base_risk: wanted.base_risk,
        arguments: wanted.arguments,
        context: wanted.context,
    };
    let mut scoped = cx.write().await?;
    let (put, change) = actions::put(&mut scoped, definition, cx.app.clock.now()).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(put), &receipt))
}

async fn retire(cx: Cx<Needs<ActionsManage>>) -> Result<Answer<RetiredAction>, ApiError> {
    let name = cx.param("name")?;
    let retired_at = cx.app.clock.now();
    let mut scoped = cx.write().await?;
    let change = actions::retire(&mut scoped, &name, retired_at).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(RetiredAction { name, retired_at }, &receipt))
}

const fn effect(effect: ActionEffect) -> decide::ActionEffect {
    match effect {
        ActionEffect::Read => decide::ActionEffect::Read,
        ActionEffect::Write => decide::ActionEffect::Write,
        ActionEffect::Destructive => decide::ActionEffect::Destructive,
    }
}

const fn word(effect: decide::ActionEffect) -> ActionEffect {
    match effect {
        decide::ActionEffect::Read => ActionEffect::Read,
        decide::ActionEffect::Write => ActionEffect::Write,
        decide::ActionEffect::Destructive => ActionEffect::Destructive,
    }
}

fn view(action: ActionRecord) -> Action {
    let is = action.definition;
    Action {
        name: is.name,
        resource_type: is.resource_type,
        description: is.description,
        effect: word(is.effect),
        base_risk: is.base_risk,
        arguments: is.arguments,
        context: is.context,
        created_at: action.created_at,
        updated_at: action.updated_at,
        retired_at: action.retired_at,
    }
}
