//! `/api/v1/me`: who the caller is.

use chancery_api::{Me, MyKey};
use chancery_model::Permission;

use crate::{Answer, AnyCaller, ApiError, Cx, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![Route::get("/api/v1/me", show).named("me.show", "Who the caller is and what it may do.")]
}

async fn show(cx: Cx<AnyCaller>) -> Result<Answer<Me>, ApiError> {
    cx.confirm().await?;
    let caller = cx.proof.caller();
    let record = caller.record();
    Ok(Answer::read(Me {
        principal: caller.principal(),
        role: record.holder_role,
        organization_id: caller.org(),
        organization_slug: record.slug.clone(),
        rights: Permission::ALL.iter().copied().filter(|right| caller.rights() & right.bit() != 0).collect(),
        key: MyKey {
            id: caller.key(),
            environment: record.environment,
            audiences: record.audiences.to_vec(),
            expires_at: record.expires_at,
        },
    }))
}
