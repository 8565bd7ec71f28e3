//! `/api/v1/members`: the people in the organization.

use chancery_api::{ChangeMember, Code, CreateMember, ListQuery, Member};
use chancery_authenticate::permission::{MembersManage, MembersRead};
use chancery_model::{DisplayName, MemberId};
use chancery_people::Profile;
use chancery_people::member::{self, NewMember};
use chancery_store::{Keyring, KeyringError};

use crate::{Answer, ApiError, Created, Cx, Json, Many, Needs, Query, Route};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::post("/api/v1/members", create).named("members.create", "Creates a member."),
        Route::get("/api/v1/members", list).named("members.list", "Members, newest first, removed ones too."),
        Route::get("/api/v1/members/{id}", show).named("members.show", "One member."),
        Route::patch("/api/v1/members/{id}", change)
            .named(
                "members.change",
                "Gives a member another name, or another role, which holds from the next request on.",
            )
            .may(&[Code::Unchanged, Code::MemberRemoved, Code::LastAdmin]),
        Route::delete("/api/v1/members/{id}", remove)
            .named("members.remove", "Removes a member: their keys and those they made stop at once.")
            .may(&[Code::MemberRemoved, Code::LastAdmin]),
    ]
}

async fn create(cx: Cx<Needs<MembersManage>, Json<CreateMember>>) -> Result<Created<Member>, ApiError> {
    let wanted = &cx.input.0;
    let profile = Profile { name: wanted.name.clone(), email: wanted.email.parse()? };
    let new = NewMember { profile: profile.clone(), role: wanted.role, by: Some(cx.member()?) };
    let org_key = cx.keyring().org_key(cx.org()).await?;
    let mut scoped = cx.write().await?;
    let (made, change) = member::create(&mut scoped, cx.keyring(), &org_key, new).await?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Created::new(view(&made, Some(profile)), &receipt))
}

async fn list(cx: Cx<Needs<MembersRead>, Query<ListQuery>>) -> Result<Many<Member>, ApiError> {
    let (limit, after) = cx.input.window()?;
    let mut scoped = cx.read().await?;
    let found = member::list(&mut scoped, after, limit).await?;
    drop(scoped);
    let mut members = Vec::with_capacity(found.len());
    for member in &found {
        members.push(open(member, cx.keyring()).await?);
    }
    Ok(Many::page(members, limit, |member| member.id))
}

async fn show(cx: Cx<Needs<MembersRead>>) -> Result<Answer<Member>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.read().await?;
    let found = member::read(&mut scoped, id).await?.ok_or_else(ApiError::not_found)?;
    drop(scoped);
    Ok(Answer::read(open(&found, cx.keyring()).await?))
}

async fn change(cx: Cx<Needs<MembersManage>, Json<ChangeMember>>) -> Result<Answer<Member>, ApiError> {
    let id: MemberId = cx.param("id")?;
    let by = Some(cx.member()?);
    let changed = match (&cx.input.0.name, cx.input.0.role) {
        (Some(name), None) => return rename(&cx, id, name.clone()).await,
        (None, Some(role)) => {
            let mut scoped = cx.write().await?;
            member::change_role(&mut scoped, cx.keyring(), id, role, by).await?.map(|done| (scoped, done))
        }
        _ => return Err(ApiError::invalid("name", "send either `name` or `role`")),
    };
    let (scoped, (changed, change)) = changed.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(open(&changed, cx.keyring()).await?, &receipt))
}

async fn rename(
    cx: &Cx<Needs<MembersManage>, Json<ChangeMember>>,
    id: MemberId,
    name: DisplayName,
) -> Result<Answer<Member>, ApiError> {
    let mut scoped = cx.read().await?;
    let found = member::read(&mut scoped, id).await?.ok_or_else(ApiError::not_found)?;
    drop(scoped);
    let renaming = member::prepare_rename(found, cx.keyring(), name).await?;
    let mut scoped = cx.write().await?;
    let changed = member::rename(&mut scoped, renaming).await?;
    let (changed, change) = changed.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(open(&changed, cx.keyring()).await?, &receipt))
}

async fn remove(cx: Cx<Needs<MembersManage>>) -> Result<Answer<Member>, ApiError> {
    let id = cx.param("id")?;
    let mut scoped = cx.write().await?;
    let removed = member::remove(&mut scoped, cx.keyring(), id).await?;
    let (removed, change) = removed.ok_or_else(ApiError::not_found)?;
    let receipt = cx.commit(scoped, change).await?;
    Ok(Answer::changed(open(&removed, cx.keyring()).await?, &receipt))
}

/// The transaction is gone by now: the keyring may need a connection of its own.
async fn open(member: &member::Member, keyring: &Keyring) -> Result<Member, ApiError> {
    match member.profile(keyring).await {
        Ok(profile) => Ok(view(member, Some(profile))),
        Err(KeyringError::Shredded) => Ok(view(member, None)),
        Err(error) => Err(error.into()),
    }
}

fn view(member: &member::Member, profile: Option<Profile>) -> Member {
    let (name, email) = profile.map(|profile| (profile.name, profile.email)).unzip();
    Member {
        id: member.id,
        name,
        email: email.map(String::from),
        role: member.role,
        role_granted_at: member.role_granted_at,
        role_granted_by: member.role_granted_by,
        created_by: member.created_by,
        created_at: member.created_at,
        removed_at: member.removed_at,
    }
}
