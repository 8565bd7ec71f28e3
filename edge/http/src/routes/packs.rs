//! `/api/v1/policies/packs`: ready sets of actions and policies.

use chancery_api::{AppliedPack, Code, Pack};
use chancery_authenticate::permission::{PoliciesManage, PoliciesRead};
use chancery_policies::packs::{self, Applied};

use super::policies::authorship;
use crate::{Answer, ApiError, Cx, Many, Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/policies/packs", list)
            .named("packs.list", "The packs that come with the server."),
        Route::post("/api/v1/policies/packs/{name}/apply", apply)
            .named("packs.apply", "Puts a pack's actions into the catalogue and its policy in force.")
            .may(&[Code::PolicyInvalid, Code::PolicyBreaks, Code::LimitReached]),
    ]
}

async fn list(cx: Cx<Needs<PoliciesRead>>) -> Result<Many<Pack>, ApiError> {
    cx.confirm().await?;
    let packs = chancery_decide::Pack::builtin().iter().map(|pack| Pack {
        name: pack.name.clone(),
        title: pack.title.clone(),
        description: pack.description.clone(),
        actions: pack.actions.iter().map(|action| action.name.clone()).collect(),
        policies: pack.policies.to_owned(),
    });
    Ok(Many::all(packs.collect()))
}

async fn apply(cx: Cx<Needs<PoliciesManage>>) -> Result<Answer<AppliedPack>, ApiError> {
    let name: String = cx.param("name")?;
    let mut scoped = cx.write().await?;
    let (applied, change) = packs::apply(&mut scoped, &name, authorship(&cx)).await?;
    let applied = view(name, applied);
    // Everything was there: nothing changed, so the record has nothing to say.
    let Some(change) = change else { return Ok(Answer::read(applied)) };
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(applied, &receipt))
}

fn view(name: String, applied: Applied) -> AppliedPack {
    let actions = applied.actions.iter();
    AppliedPack {
        name,
        actions: actions.map(|(action, outcome)| (action.to_string(), outcome.as_str().to_owned())).collect(),
        policy: applied.policy.as_str().to_owned(),
        policy_id: applied.policy_id,
        version: applied.version,
    }
}
