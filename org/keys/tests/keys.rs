//! Agents and API keys against a real Postgres.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

#[path = "../../people/tests/support/mod.rs"]
mod support;

use chancery_keys::agent::{self, Agent, NewAgent};
use chancery_keys::api_key::{self, ApiKeyError, Creator, Issued, NewApiKey};
use chancery_keys::format::{KeyPrefix, Presented};
use chancery_keys::{KeyRecord, LastUsed, MIGRATIONS, lookup};
use chancery_model::{Clock, Environment, KeyId, MemberId, Permission, Principal, Role};
use chancery_people::{Profile, member};
use chancery_store::{Epoch, StoreError};
use secrecy::ExposeSecret;
use uuid::Uuid;

use support::{Org, World};

const ALL: u64 = u64::MAX;

fn agents_submit(role: Role) -> u64 {
    if role == Role::Agent { Permission::IntentsSubmit.bit() } else { ALL }
}

fn creator(member: MemberId, rights: u64) -> Creator<'static> {
    let (environment, audiences) = (Environment::Live, &[]);
    Creator { member, key: None, rights, environment, audiences, expires_at: None, rights_of: &agents_submit }
}

async fn world() -> World {
    World::start(&[chancery_store::MIGRATIONS, chancery_people::MIGRATIONS, MIGRATIONS]).await
}

async fn join(world: &World, org: &Org, role: Role) -> MemberId {
    let profile = Profile { name: "Ada".parse().unwrap(), email: "ada@example.org".parse().unwrap() };
    let mut scoped = world.write(org).await;
    let new = member::NewMember { profile, role, by: None };
    let (member, change) = member::create(&mut scoped, world.keyring(), &org.key, new).await.unwrap();
    world.commit(scoped, &change).await;
    member.id
}

async fn employ(world: &World, org: &Org, owner: MemberId) -> Agent {
    let mut scoped = world.write(org).await;
    let name = "clerk".parse().unwrap();
    let new = NewAgent { name, description: "pays".parse().unwrap(), owner, created_by: owner };
    let (agent, change) = agent::create(&mut scoped, world.keyring(), &org.key, new).await.unwrap();
    assert_eq!((change.kind, change.epoch), ("agent.created", Epoch::Keep));
    world.commit(scoped, &change).await;
    agent
}

fn submitting(holder: Principal) -> NewApiKey {
    NewApiKey {
        holder,
        name: "key".parse().unwrap(),
        environment: Environment::Live,
        scopes: vec![Permission::IntentsSubmit],
        audiences: vec![],
        expires_at: None,
    }
}

async fn issue(world: &World, org: &Org, by: MemberId, new: NewApiKey) -> Issued {
    let mut scoped = world.write(org).await;
    let (issued, change) =
        api_key::create(&mut scoped, world.keyring(), &KeyPrefix::default(), &creator(by, ALL), new)
            .await
            .unwrap();
    assert_eq!((change.kind, change.epoch), ("api_key.created", Epoch::Keep));
    world.commit(scoped, &change).await;
    issued
}

fn presented(issued: &Issued) -> Presented {
    Presented::parse(issued.text.expose_secret(), &KeyPrefix::default()).unwrap()
}

async fn look(world: &World, presented: &Presented) -> Option<KeyRecord> {
    lookup(&world.store, presented.id, &presented.hash()).await.unwrap()
}

#[tokio::test]
async fn rows_of_another_organization_do_not_exist() {
    let world = world().await;
    let (acme, other) = (world.found("acme").await, world.found("other").await);
    let ada = join(&world, &acme, Role::Admin).await;
    let clerk = employ(&world, &acme, ada).await;
    let issued = issue(&world, &acme, ada, submitting(Principal::Agent(clerk.id))).await;
    let used = LastUsed::new();
    used.note(acme.id, issued.key.id, world.clock.now());
    assert_eq!(used.flush(&world.store).await.unwrap(), 1);
    for (table, column) in
        [("agents", Some("retired_at")), ("api_keys", Some("revoked_at")), ("api_key_use", None)]
    {
        world.assert_isolated(table, column, &acme, &other).await;
    }
    let mut scoped = world.write(&other).await;
    let keyring = world.keyring();
    assert!(agent::read(&mut scoped, clerk.id).await.unwrap().is_none());
    assert!(agent::retire(&mut scoped, keyring, clerk.id).await.unwrap().is_none());
    assert!(api_key::read(&mut scoped, issued.key.id).await.unwrap().is_none());
    let reason = "stolen".parse().unwrap();
    assert!(
        api_key::revoke(&mut scoped, keyring, &creator(ada, ALL), (issued.key.id, reason))
            .await
            .unwrap()
            .is_none()
    );
    let foreign = submitting(Principal::Agent(clerk.id));
    let by = creator(join(&world, &other, Role::Admin).await, ALL);
    let error = api_key::create(&mut scoped, keyring, &KeyPrefix::default(), &by, foreign).await.unwrap_err();
    assert_eq!(error.code(), "holder_not_active");
}

#[tokio::test]
async fn a_key_is_found_by_its_id_and_secret_together() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, Role::Admin).await;
    let clerk = employ(&world, &acme, ada).await;
    let one = issue(&world, &acme, ada, submitting(Principal::Agent(clerk.id))).await;
    let two = issue(&world, &acme, ada, submitting(Principal::Member(ada))).await;
    let (one_text, two_text) = (presented(&one), presented(&two));

    let record = look(&world, &one_text).await.unwrap();
    assert_eq!((record.org, record.slug.as_str(), record.epoch, record.halted), (acme.id, "acme", 1, false));
    assert_eq!(
        (record.holder, record.holder_role, record.holder_active),
        (one.key.holder, Role::Agent, true)
    );
    assert_eq!((record.owner, record.created_by, record.creator_role), (Some(ada), ada, Some(Role::Admin)));
    assert_eq!((record.scopes, record.environment), (Permission::IntentsSubmit.bit(), Environment::Live));
    let of_member = look(&world, &two_text).await.unwrap();
    assert_eq!((of_member.holder_role, of_member.owner), (Role::Admin, None));

    assert_eq!(lookup(&world.store, one_text.id, &two_text.hash()).await.unwrap(), None);
    assert_eq!(lookup(&world.store, two_text.id, &one_text.hash()).await.unwrap(), None);
    let nothing = KeyId::from_uuid(Uuid::from_u128(7));
    assert_eq!(lookup(&world.store, nothing, &one_text.hash()).await.unwrap(), None);
    let as_test = Presented { environment: Environment::Test, ..one_text };
    assert_eq!(look(&world, &as_test).await, None);
}

#[tokio::test]
async fn who_stands_behind_a_key_is_read_with_it() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, Role::Admin).await;
    let (owner, creator) =
        (join(&world, &acme, Role::Operator).await, join(&world, &acme, Role::Operator).await);
    let clerk = employ(&world, &acme, owner).await;
    let key = issue(&world, &acme, creator, submitting(Principal::Agent(clerk.id))).await;
    let text = presented(&key);
    let keyring = world.keyring();

    let mut scoped = world.write(&acme).await;
    let (_, change) = member::remove(&mut scoped, keyring, creator).await.unwrap().unwrap();
    world.commit(scoped, &change).await;
    let record = look(&world, &text).await.unwrap();
    assert_eq!((record.creator_role, record.holder_active, record.epoch), (None, true, 2));

    let mut scoped = world.write(&acme).await;
    let (_, change) = member::remove(&mut scoped, keyring, owner).await.unwrap().unwrap();
    world.commit(scoped, &change).await;
    assert!(!look(&world, &text).await.unwrap().holder_active);

    let mut scoped = world.write(&acme).await;
    let error = agent::change_owner(&mut scoped, clerk.id, creator).await.unwrap_err();
    assert_eq!(error.code(), "owner_not_active");
    let (_, change) = agent::change_owner(&mut scoped, clerk.id, ada).await.unwrap().unwrap();
    assert_eq!((change.kind, change.epoch), ("agent.owner_changed", Epoch::Bump));
    world.commit(scoped, &change).await;
    assert!(look(&world, &text).await.unwrap().holder_active);

    let mut scoped = world.write(&acme).await;
    let (_, change) = agent::retire(&mut scoped, keyring, clerk.id).await.unwrap().unwrap();
    assert_eq!((change.kind, change.epoch), ("agent.retired", Epoch::Bump));
    assert_eq!(agent::retire(&mut scoped, keyring, clerk.id).await.unwrap_err().code(), "agent_retired");
    world.commit(scoped, &change).await;
    assert!(!look(&world, &text).await.unwrap().holder_active);

    let by_member = presented(&issue(&world, &acme, ada, submitting(Principal::Member(ada))).await);
    world.as_superuser(&format!("UPDATE members SET removed_at = now() WHERE id = '{ada}'")).await;
    let record = look(&world, &by_member).await.unwrap();
    assert_eq!((record.holder_active, record.creator_role), (false, None));
}

#[tokio::test]
async fn no_key_exceeds_who_makes_it_or_who_holds_it() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, Role::Admin).await;
    let clerk = employ(&world, &acme, ada).await;
    let of_agent = submitting(Principal::Agent(clerk.id));
    let of_member = submitting(Principal::Member(ada));
    let manage = vec![Permission::IntentsSubmit, Permission::KeysManage];
    let few = creator(ada, Permission::IntentsSubmit.bit());
    let rehearsing = Creator { environment: Environment::Test, ..creator(ada, ALL) };
    let nobody = Principal::Member(MemberId::from_uuid(Uuid::from_u128(1)));
    let now = world.clock.now();
    let bob = join(&world, &acme, Role::Admin).await;
    let operator = creator(ada, Permission::KeysManage.bit() | Permission::IntentsSubmit.bit());
    let (depot, ends) = (["depot".parse().unwrap()], Some(now.plus_seconds(3_600)));
    let limited = Creator { audiences: &depot, expires_at: ends, ..creator(ada, ALL) };
    let redeeming = |audience: &str, expires_at| NewApiKey {
        scopes: vec![Permission::TokensVerify],
        audiences: vec![audience.parse().unwrap()],
        expires_at,
        ..of_member.clone()
    };
    for (by, new, code, field) in [
        (&few, NewApiKey { scopes: manage.clone(), ..of_member.clone() }, "scope_exceeds_creator", "scopes"),
        (
            &creator(ada, ALL),
            NewApiKey { scopes: manage, ..of_agent.clone() },
            "scope_exceeds_holder",
            "scopes",
        ),
        (&rehearsing, of_agent.clone(), "environment_exceeds_creator", "environment"),
        (&creator(ada, ALL), NewApiKey { holder: nobody, ..of_agent.clone() }, "holder_not_active", "holder"),
        (
            &operator,
            NewApiKey { holder: Principal::Member(bob), ..of_agent.clone() },
            "scope_exceeds_creator",
            "holder",
        ),
        (&limited, redeeming("shop", ends), "scope_exceeds_creator", "audiences"),
        (&limited, redeeming("depot", None), "scope_exceeds_creator", "expires_at"),
        (
            &limited,
            redeeming("depot", ends.map(|end| end.plus_seconds(1))),
            "scope_exceeds_creator",
            "expires_at",
        ),
        (&few, NewApiKey { scopes: vec![], ..of_agent.clone() }, "validation_error", "scopes"),
        (&few, NewApiKey { expires_at: Some(now), ..of_agent.clone() }, "validation_error", "expires_at"),
        (
            &few,
            NewApiKey { audiences: vec!["shop".parse().unwrap()], ..of_agent.clone() },
            "validation_error",
            "audiences",
        ),
    ] {
        let mut scoped = world.write(&acme).await;
        let refused =
            api_key::create(&mut scoped, world.keyring(), &KeyPrefix::default(), by, new).await.unwrap_err();
        assert_eq!((refused.code(), refused.field()), (code, Some(field)), "{refused}");
        if let ApiKeyError::ScopeExceedsCreator { scopes } = &refused {
            assert_eq!(scopes, &[Permission::KeysManage]);
            assert_eq!(refused.to_string(), "you do not have `keys:manage`");
        }
    }
    let mut scoped = world.write(&acme).await;
    let prefix = KeyPrefix::default();
    let within = redeeming("depot", ends);
    assert!(api_key::create(&mut scoped, world.keyring(), &prefix, &limited, within).await.is_ok());
    let in_test = NewApiKey { environment: Environment::Test, ..of_agent };
    assert!(api_key::create(&mut scoped, world.keyring(), &prefix, &rehearsing, in_test).await.is_ok());
}

#[tokio::test]
async fn the_keys_of_another_member_are_no_operators_business() {
    let world = world().await;
    let acme = world.found("acme").await;
    let (ada, bob) = (join(&world, &acme, Role::Admin).await, join(&world, &acme, Role::Operator).await);
    let of_admin = issue(&world, &acme, ada, submitting(Principal::Member(ada))).await;
    let operator = creator(bob, Permission::KeysManage.bit() | Permission::IntentsSubmit.bit());
    let (keyring, prefix) = (world.keyring(), KeyPrefix::default());
    let mut scoped = world.write(&acme).await;
    let reason = || "mine now".parse().unwrap();
    let revoked = api_key::revoke(&mut scoped, keyring, &operator, (of_admin.key.id, reason())).await;
    assert_eq!(revoked.unwrap_err().field(), Some("holder"));
    let rotated = api_key::rotate(&mut scoped, keyring, &prefix, &operator, (of_admin.key.id, 0)).await;
    assert_eq!(rotated.unwrap_err().field(), Some("holder"));
    drop(scoped);
    assert!(!look(&world, &presented(&of_admin)).await.unwrap().revoked);
}

#[tokio::test]
async fn a_rotated_key_works_beside_the_new_one_for_the_overlap() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, Role::Admin).await;
    let day = 24 * 3_600;
    let ends = world.clock.now().plus_seconds(30 * day);
    let new = NewApiKey {
        scopes: vec![Permission::TokensVerify, Permission::KeysManage],
        audiences: vec!["shop".parse().unwrap()],
        expires_at: Some(ends),
        ..submitting(Principal::Member(ada))
    };
    let old = issue(&world, &acme, ada, new).await;
    let keyring = world.keyring();
    let prefix = KeyPrefix::default();
    world.clock.advance_seconds(day);

    let mut scoped = world.write(&acme).await;
    let few = creator(ada, Permission::TokensVerify.bit());
    let error = api_key::rotate(&mut scoped, keyring, &prefix, &few, (old.key.id, 60)).await.unwrap_err();
    assert_eq!(error.code(), "scope_exceeds_creator");
    let by = creator(ada, ALL);
    let error = api_key::rotate(&mut scoped, keyring, &prefix, &by, (old.key.id, 604_801)).await.unwrap_err();
    assert_eq!(error.field(), Some("overlap_seconds"));
    let (new, change) =
        api_key::rotate(&mut scoped, keyring, &prefix, &by, (old.key.id, 60)).await.unwrap().unwrap();
    assert_eq!((change.kind, change.epoch), ("api_key.rotated", Epoch::Bump));
    world.commit(scoped, &change).await;

    let (before, after) =
        (look(&world, &presented(&old)).await.unwrap(), look(&world, &presented(&new)).await.unwrap());
    assert_eq!(before.expires_at, Some(world.clock.now().plus_seconds(60)));
    assert_eq!(after.expires_at, Some(ends.plus_seconds(day)));
    assert_eq!(KeyRecord { id: before.id, expires_at: before.expires_at, ..after.clone() }, before);
    let mut scoped = world.write(&acme).await;
    let stored = api_key::read(&mut scoped, new.key.id).await.unwrap().unwrap();
    assert_eq!((stored.rotated_from, &stored), (Some(old.key.id), &new.key));
    let again = api_key::rotate(&mut scoped, keyring, &prefix, &by, (old.key.id, 60)).await.unwrap_err();
    assert_eq!(again.code(), "key_not_active");
    let ids: Vec<_> = api_key::list(&mut scoped, None, 10).await.unwrap().iter().map(|key| key.id).collect();
    assert_eq!(ids, [new.key.id, old.key.id]);
}

#[tokio::test]
async fn a_revoked_key_says_so_and_stays_revoked() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, Role::Admin).await;
    let issued = issue(&world, &acme, ada, submitting(Principal::Member(ada))).await;
    let text = presented(&issued);
    assert!(!look(&world, &text).await.unwrap().revoked);

    let mut scoped = world.write(&acme).await;
    let keyring = world.keyring();
    let (key, change) =
        api_key::revoke(&mut scoped, keyring, &creator(ada, ALL), (issued.key.id, "lost".parse().unwrap()))
            .await
            .unwrap()
            .unwrap();
    assert_eq!(
        (change.kind, change.epoch, &change.payload["reason"]),
        ("api_key.revoked", Epoch::Bump, &"lost".into())
    );
    assert!(!format!("{change:?}").contains(issued.text.expose_secret()));
    world.commit(scoped, &change).await;
    let record = look(&world, &text).await.unwrap();
    assert_eq!((record.revoked, record.epoch), (true, 2));

    let mut scoped = world.write(&acme).await;
    assert_eq!(api_key::read(&mut scoped, key.id).await.unwrap(), Some(key.clone()));
    let again = api_key::revoke(&mut scoped, keyring, &creator(ada, ALL), (key.id, "twice".parse().unwrap()))
        .await
        .unwrap_err();
    assert_eq!(again.code(), "key_revoked");
    let by = creator(ada, ALL);
    let rotated = api_key::rotate(&mut scoped, keyring, &KeyPrefix::default(), &by, (key.id, 0)).await;
    assert_eq!(rotated.unwrap_err().code(), "key_not_active");
}

#[tokio::test]
async fn uses_are_added_up_by_the_worker_alone() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, Role::Admin).await;
    let key = issue(&world, &acme, ada, submitting(Principal::Member(ada))).await.key.id;
    let used = LastUsed::new();
    let early = world.clock.now();
    world.clock.advance_seconds(5);
    used.note(acme.id, key, world.clock.now());
    used.note(acme.id, key, early);
    used.note(acme.id, KeyId::from_uuid(Uuid::from_u128(1)), early);
    assert_eq!(used.flush(&world.store).await.unwrap(), 1);
    used.note(acme.id, key, early);
    assert_eq!(used.flush(&world.store).await.unwrap(), 1);
    assert_eq!(used.flush(&world.store).await.unwrap(), 0);
    let stored = api_key::read(&mut world.read(&acme).await, key).await.unwrap().unwrap();
    assert_eq!((stored.last_used_at, stored.uses), (Some(world.clock.now()), 3));

    let mut scoped = world.write(&acme).await;
    for refused in ["SELECT touch_api_keys('{}', '{}', '{}', '{}')", "SELECT secret_hash FROM api_keys"] {
        let mut attempt = world.store.outside().await.unwrap();
        assert!(sqlx::query(refused).execute(&mut *attempt).await.is_err(), "{refused}");
        assert!(sqlx::query(refused).execute(scoped.connection()).await.is_err(), "{refused}");
        scoped = world.write(&acme).await;
    }
    assert!(sqlx::query("SELECT id FROM api_keys").fetch_all(world.store.worker()).await.is_err());
}

#[tokio::test]
async fn an_unknown_scope_is_an_error_and_no_right() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, Role::Admin).await;
    let text = presented(&issue(&world, &acme, ada, submitting(Principal::Member(ada))).await);
    world.as_superuser("UPDATE api_keys SET scopes = '{root}'").await;
    let looked = lookup(&world.store, text.id, &text.hash()).await;
    assert!(matches!(looked, Err(StoreError::Corrupt { .. })), "{looked:?}");
}
