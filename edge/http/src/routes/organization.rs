//! `/api/v1/organization`: the caller's organization and its settings.

use chancery_api::{ChangeOrganization, Code, Organization, Settings};
use chancery_authenticate::permission::{SettingsManage, SettingsRead};
use chancery_keys::halt;
use chancery_model::DisplayName;
use chancery_people::organization;
use chancery_people::settings::{self, SettingsPatch};

use crate::{Answer, ApiError, Cx, Json, Needs, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::get("/api/v1/organization", show).named("organization.show", "The caller's organization."),
        Route::patch("/api/v1/organization", change)
            .named(
                "organization.change",
                "Changes the name, or settings, which hold from the next decision on.",
            )
            .may(&[Code::Unchanged]),
    ]
}

async fn show(cx: Cx<Needs<SettingsRead>>) -> Result<Answer<Organization>, ApiError> {
    let mut scoped = cx.read().await?;
    let found = organization::read(&mut scoped).await?;
    let settings = settings::read(&mut scoped).await?;
    let halted = halt::is_organization_halted(&mut scoped).await?;
    Ok(Answer::read(view(found, settings, halted)))
}

async fn change(
    cx: Cx<Needs<SettingsManage>, Json<ChangeOrganization>>,
) -> Result<Answer<Organization>, ApiError> {
    let wanted = match (&cx.input.0.name, cx.input.0.settings) {
        (Some(name), None) => return rename(&cx, name.clone()).await,
        (None, Some(settings)) => settings,
        _ => return Err(ApiError::invalid("name", "send either `name` or `settings`")),
    };
    let patch = SettingsPatch {
        token_algorithm: wanted.token_algorithm,
        token_ttl_seconds: wanted.token_ttl_seconds,
        escalate_at: wanted.escalate_at,
        deny_at: wanted.deny_at,
    };
    let mut scoped = cx.write().await?;
    let found = organization::read(&mut scoped).await?;
    let halted = halt::is_organization_halted(&mut scoped).await?;
    let (settings, change) = settings::change(&mut scoped, &patch).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(found, settings, halted), &receipt))
}

async fn rename(
    cx: &Cx<Needs<SettingsManage>, Json<ChangeOrganization>>,
    name: DisplayName,
) -> Result<Answer<Organization>, ApiError> {
    let mut scoped = cx.write().await?;
    let settings = settings::read(&mut scoped).await?;
    let halted = halt::is_organization_halted(&mut scoped).await?;
    let renamed = organization::rename(&mut scoped, name).await?;
    let (renamed, change) =
        renamed.ok_or_else(|| ApiError::new(Code::Unchanged, "the organization already has this name"))?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(view(renamed, settings, halted), &receipt))
}

fn view(found: organization::Organization, settings: settings::Settings, halted: bool) -> Organization {
    Organization {
        id: found.id,
        slug: found.slug,
        name: found.name,
        halted,
        settings: Settings {
            token_algorithm: settings.token_algorithm,
            token_ttl_seconds: settings.token_ttl_seconds,
            escalate_at: settings.escalate_at,
            deny_at: settings.deny_at,
        },
        created_at: found.created_at,
    }
}
