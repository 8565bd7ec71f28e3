//! Organizations, members and delegations against a real Postgres.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use chancery_crypto::Algorithm;
use chancery_model::{AgentId, Clock, MemberId, Role};
use chancery_people::delegation::{self, Delegation, DelegationError, NewDelegation};
use chancery_people::member::{self, Member, MemberError, NewMember};
use chancery_people::organization::{self, FoundError};
use chancery_people::settings::{self, SettingsPatch};
use chancery_people::{MIGRATIONS, Profile};
use chancery_store::{Epoch, KeyringError, Scope};
use sqlx::types::Uuid;

use support::{Org, World};

async fn world() -> World {
    World::start(&[chancery_store::MIGRATIONS, MIGRATIONS]).await
}

fn profile(name: &str) -> Profile {
    Profile { name: name.parse().unwrap(), email: format!("{name}@example.org").parse().unwrap() }
}

async fn join(world: &World, org: &Org, name: &str, role: Role) -> Member {
    // Ids of one millisecond are in no order.
    world.clock.advance_seconds(1);
    let mut scoped = world.write(org).await;
    let new = NewMember { profile: profile(name), role, by: None };
    let (member, change) = member::create(&mut scoped, world.keyring(), &org.key, new).await.unwrap();
    assert_eq!((change.kind, change.epoch), ("member.created", Epoch::Keep));
    world.commit(scoped, &change).await;
    member
}

fn agent(number: u128) -> AgentId {
    AgentId::from_uuid(Uuid::from_u128(number))
}

async fn delegate(world: &World, org: &Org, new: NewDelegation) -> Delegation {
    world.clock.advance_seconds(1);
    let mut scoped = world.write(org).await;
    let (delegation, change) = delegation::create(&mut scoped, world.keyring(), new).await.unwrap();
    world.commit(scoped, &change).await;
    delegation
}

#[tokio::test]
async fn rows_of_another_organization_do_not_exist() {
    let world = world().await;
    let (acme, other) = (world.found("acme").await, world.found("other").await);
    let ada = join(&world, &acme, "ada", Role::Admin).await;
    let new = NewDelegation {
        delegator: ada.id,
        agent: agent(1),
        actions: vec!["a.b".parse().unwrap()],
        expires_at: None,
    };
    let delegation = delegate(&world, &acme, new).await;
    for (table, column) in
        [("organizations", "deny_at"), ("members", "removed_at"), ("delegations", "revoked_at")]
    {
        world.assert_isolated(table, Some(column), &acme, &other).await;
    }
    let mut scoped = world.write(&other).await;
    assert!(member::read(&mut scoped, ada.id).await.unwrap().is_none());
    assert!(member::remove(&mut scoped, world.keyring(), ada.id).await.unwrap().is_none());
    assert!(delegation::revoke(&mut scoped, world.keyring(), delegation.id).await.unwrap().is_none());
    assert!(member::list(&mut scoped, None, 100).await.unwrap().is_empty());
}

#[tokio::test]
async fn organizations_are_found_by_their_slug_alone() {
    let world = world().await;
    let acme = world.found("acme").await;
    assert_eq!(organization::find(&world.store, &"acme".parse().unwrap()).await.unwrap(), Some(acme.id));
    assert_eq!(organization::find(&world.store, &"acm".parse().unwrap()).await.unwrap(), None);
    assert_eq!(organization::read(&mut world.read(&acme).await).await.unwrap().slug.as_str(), "acme");

    let id = chancery_model::OrgId::new(world.clock.now(), [9; 10]);
    let mut founding = world.store.write(&Scope::founding(id)).await.unwrap();
    let (slug, name) = ("acme".parse().unwrap(), "Acme".parse().unwrap());
    let error = organization::found(&mut founding, world.keyring(), slug, name).await.unwrap_err();
    assert!(matches!(error, FoundError::SlugTaken), "{error:?}");
}

#[tokio::test]
async fn settings_start_at_their_defaults_and_change_together() {
    let world = world().await;
    let acme = world.found("acme").await;
    let before = settings::read(&mut world.read(&acme).await).await.unwrap();
    assert_eq!(
        (before.token_algorithm, before.token_ttl_seconds, before.escalate_at, before.deny_at),
        (Algorithm::Rs256, 300, 70, 90)
    );
    let patch = SettingsPatch {
        token_algorithm: Some(Algorithm::EdDsa),
        escalate_at: Some(100),
        deny_at: Some(101),
        ..SettingsPatch::default()
    };
    let mut scoped = world.write(&acme).await;
    let (after, change) = settings::change(&mut scoped, &patch).await.unwrap();
    assert_eq!((change.kind, change.epoch), ("settings.changed", Epoch::Bump));
    assert_eq!(change.payload["from"]["deny_at"], 90);
    assert_eq!(change.payload["to"]["token_algorithm"], "EdDSA");
    world.commit(scoped, &change).await;
    assert_eq!(settings::read(&mut world.read(&acme).await).await.unwrap(), after);
}

#[tokio::test]
async fn a_profile_is_sealed_and_bound_to_its_row() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, "ada", Role::Admin).await;
    let bob = join(&world, &acme, "bob", Role::Viewer).await;
    let mut scoped = world.read(&acme).await;
    let readable: i64 = support::scalar(
        scoped.connection(),
        "SELECT count(*) FROM members WHERE position('example.org'::bytea in profile) > 0",
    )
    .await;
    assert_eq!(readable, 0);
    let listed = member::list(&mut scoped, None, 100).await.unwrap();
    assert_eq!(listed.iter().map(|m| m.id).collect::<Vec<_>>(), [bob.id, ada.id]);
    let page = member::list(&mut scoped, Some(bob.id), 1).await.unwrap();
    assert_eq!(page.iter().map(|m| m.id).collect::<Vec<_>>(), [ada.id]);
    drop(scoped);
    assert_eq!(listed[0].profile(world.keyring()).await.unwrap(), profile("bob"));

    world
        .as_superuser(&format!(
            "UPDATE members SET profile = (SELECT profile FROM members WHERE id = '{}') WHERE id = '{}'",
            ada.id, bob.id
        ))
        .await;
    let swapped = member::read(&mut world.read(&acme).await, bob.id).await.unwrap().unwrap();
    assert!(matches!(swapped.profile(world.keyring()).await, Err(KeyringError::Open(_))));
}

#[tokio::test]
async fn a_role_says_who_granted_it_and_when() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ada = join(&world, &acme, "ada", Role::Admin).await;
    let bob = join(&world, &acme, "bob", Role::Viewer).await;
    world.clock.advance_seconds(60);
    let mut scoped = world.write(&acme).await;
    let keyring = world.keyring();
    let (_, change) = member::change_role(&mut scoped, keyring, bob.id, Role::Approver, Some(ada.id))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(change.epoch, Epoch::Bump);
    assert_eq!((&change.payload["from"], &change.payload["to"]), (&"viewer".into(), &"approver".into()));
    world.commit(scoped, &change).await;

    let mut scoped = world.write(&acme).await;
    let bob = member::read(&mut scoped, bob.id).await.unwrap().unwrap();
    assert_eq!((bob.role, bob.role_granted_by), (Role::Approver, Some(ada.id)));
    assert_eq!(
        (bob.role_granted_at, bob.created_at.plus_seconds(60)),
        (world.clock.now(), world.clock.now())
    );

    let again = member::change_role(&mut scoped, keyring, bob.id, Role::Approver, None).await.unwrap_err();
    assert_eq!(again.code(), "unchanged");
    let agent = member::change_role(&mut scoped, keyring, bob.id, Role::Agent, None).await.unwrap_err();
    assert_eq!((agent.code(), agent.field()), ("validation_error", Some("role")));
    let nobody = MemberId::from_uuid(Uuid::from_u128(1));
    assert!(member::change_role(&mut scoped, keyring, nobody, Role::Viewer, None).await.unwrap().is_none());
    let (_, change) = member::remove(&mut scoped, keyring, bob.id).await.unwrap().unwrap();
    assert_eq!((change.kind, change.epoch), ("member.removed", Epoch::Bump));
    let gone = member::change_role(&mut scoped, keyring, bob.id, Role::Viewer, None).await.unwrap_err();
    assert_eq!(gone.code(), "member_removed");
}

/// Takes away an admin, one way or the other.
async fn end_admin(world: &World, org: &Org, id: MemberId, remove: bool) -> Result<(), MemberError> {
    let mut scoped = world.write(org).await;
    let ended = if remove {
        member::remove(&mut scoped, world.keyring(), id).await?
    } else {
        member::change_role(&mut scoped, world.keyring(), id, Role::Viewer, None).await?
    };
    world.database.somebody_waits().await.unwrap();
    world.commit(scoped, &ended.unwrap().1).await;
    Ok(())
}

#[tokio::test]
async fn two_at_once_cannot_take_away_the_last_two_admins() {
    let world = world().await;
    for (slug, remove_one, remove_two) in
        [("both-demoted", false, false), ("both-removed", true, true), ("one-each", true, false)]
    {
        let org = world.found(slug).await;
        let ada = join(&world, &org, "ada", Role::Admin).await;
        let bob = join(&world, &org, "bob", Role::Admin).await;
        let (one, two) = tokio::join!(
            end_admin(&world, &org, ada.id, remove_one),
            end_admin(&world, &org, bob.id, remove_two)
        );
        let codes: Vec<_> = [one, two].into_iter().filter_map(Result::err).map(|e| e.code()).collect();
        assert_eq!(codes, ["last_admin"], "{slug}");
        let members = member::list(&mut world.read(&org).await, None, 10).await.unwrap();
        assert_eq!(members.iter().filter(|m| m.role == Role::Admin && m.is_active()).count(), 1, "{slug}");
    }
}

#[tokio::test]
async fn a_delegation_holds_for_what_it_names_while_it_lasts() {
    let world = world().await;
    let acme = world.found("acme").await;
    let admin = join(&world, &acme, "admin", Role::Admin).await;
    let ada = join(&world, &acme, "ada", Role::Operator).await;
    let soon = world.clock.now().plus_seconds(60);
    let new = NewDelegation {
        delegator: ada.id,
        agent: agent(1),
        actions: ["pay.refund", "pay.refund", "mail.send"].map(|a| a.parse().unwrap()).to_vec(),
        expires_at: Some(soon),
    };
    let made = delegate(&world, &acme, new.clone()).await;
    assert_eq!(made.actions.len(), 2);
    let lasting =
        delegate(&world, &acme, NewDelegation { expires_at: None, agent: agent(2), ..new.clone() }).await;
    let newest = delegation::list(&mut world.read(&acme).await, None, 1).await.unwrap();
    assert_eq!(newest, std::slice::from_ref(&lasting));

    let active = async |member, agent, action: &str, at| {
        let mut scoped = world.read(&acme).await;
        delegation::find_active(&mut scoped, member, agent, &action.parse().unwrap(), at).await.unwrap()
    };
    let now = world.clock.now();
    assert_eq!(active(ada.id, agent(1), "pay.refund", now).await, Some(made.id));
    assert_eq!(active(ada.id, agent(1), "pay.charge", now).await, None);
    assert_eq!(active(ada.id, agent(3), "pay.refund", now).await, None);
    assert_eq!(active(admin.id, agent(1), "pay.refund", now).await, None);
    assert_eq!(active(ada.id, agent(1), "pay.refund", soon).await, None);

    let mut scoped = world.write(&acme).await;
    let (_, change) = delegation::revoke(&mut scoped, world.keyring(), made.id).await.unwrap().unwrap();
    assert_eq!((change.kind, change.epoch), ("delegation.revoked", Epoch::Bump));
    let again = delegation::revoke(&mut scoped, world.keyring(), made.id).await.unwrap_err();
    assert!(matches!(again, DelegationError::Revoked));
    world.commit(scoped, &change).await;
    assert_eq!(active(ada.id, agent(1), "pay.refund", now).await, None);

    assert_eq!(active(ada.id, agent(2), "pay.refund", now).await, Some(lasting.id));
    let mut scoped = world.write(&acme).await;
    let (_, change) = member::remove(&mut scoped, world.keyring(), ada.id).await.unwrap().unwrap();
    world.commit(scoped, &change).await;
    assert_eq!(active(ada.id, agent(2), "pay.refund", now).await, None);

    for (bad, code) in [
        (new.clone(), "delegator_not_active"),
        (NewDelegation { delegator: admin.id, actions: vec![], ..new.clone() }, "validation_error"),
        (NewDelegation { delegator: admin.id, expires_at: Some(now), ..new }, "validation_error"),
    ] {
        let mut scoped = world.write(&acme).await;
        assert_eq!(delegation::create(&mut scoped, world.keyring(), bad).await.unwrap_err().code(), code);
    }
}

#[tokio::test]
async fn connections_that_die_in_the_pool_cost_no_request() {
    let world = world().await;
    let org = world.found("acme").await;
    for _ in 0..3 {
        // Several connections in the pool, all used a moment ago and therefore thought alive.
        let (one, two) = tokio::join!(world.read(&org), world.read(&org));
        drop((one, two));
        drop(world.store.outside().await.unwrap());
        world
            .as_superuser(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()",
            )
            .await;
        drop(world.store.outside().await.unwrap());
        drop(world.write(&org).await);
    }
}
