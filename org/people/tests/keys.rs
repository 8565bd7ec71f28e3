//! A subject's key is that subject's, whatever the table says: else erasing one would erase another.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

#[allow(dead_code, reason = "other tests use the rest")]
mod support;

use chancery_model::{MemberId, Role};
use chancery_people::member::{self, NewMember};
use chancery_people::{MIGRATIONS, Profile};
use chancery_store::KeyringError;

use support::{Org, World};

async fn join(world: &World, org: &Org, name: &str) -> MemberId {
    let mut scoped = world.write(org).await;
    let profile =
        Profile { name: name.parse().unwrap(), email: format!("{name}@example.org").parse().unwrap() };
    let new = NewMember { profile, role: Role::Viewer, by: None };
    let (member, change) = member::create(&mut scoped, world.keyring(), &org.key, new).await.unwrap();
    world.commit(scoped, &change).await;
    member.id
}

/// The columns of two subjects' keys exchanged, past every constraint.
fn exchange(columns: &[&str], org: &Org, one: MemberId, other: MemberId) -> String {
    let set: Vec<_> = columns.iter().map(|column| format!("{column} = o.{column}")).collect();
    format!(
        "BEGIN;
         DROP INDEX data_keys_of_subject;
         ALTER TABLE data_keys DROP CONSTRAINT data_keys_pkey CASCADE;
         UPDATE data_keys k SET {} FROM (SELECT * FROM data_keys) o
         WHERE k.org_id = '{}' AND o.org_id = k.org_id AND k.subject_id IN ('{one}', '{other}')
           AND o.subject_id IN ('{one}', '{other}') AND o.subject_id <> k.subject_id;
         COMMIT",
        set.join(", "),
        org.id,
    )
}

#[tokio::test]
async fn a_key_that_was_given_to_another_subject_does_not_open() {
    for columns in [&["subject_id"][..], &["wrapped"], &["id"], &["id", "wrapped"]] {
        let world = World::start(&[chancery_store::MIGRATIONS, MIGRATIONS]).await;
        let acme = world.found("acme").await;
        let (ada, bob, cyd) = (
            join(&world, &acme, "ada").await,
            join(&world, &acme, "bob").await,
            join(&world, &acme, "cyd").await,
        );
        world.as_superuser(&exchange(columns, &acme, ada, bob)).await;
        for swapped in [ada, bob] {
            let key = world.keyring().subject_key(acme.id, swapped.into()).await;
            assert!(matches!(key, Err(KeyringError::Open(_))), "{columns:?}");
            let mut scoped = world.write(&acme).await;
            let key = world.keyring().key_within(&mut scoped, Some(swapped.into())).await;
            assert!(matches!(key, Err(KeyringError::Open(_))), "{columns:?}");
            let member = member::read(&mut world.read(&acme).await, swapped).await.unwrap().unwrap();
            assert!(member.profile(world.keyring()).await.is_err(), "{columns:?}");
        }
        world.keyring().subject_key(acme.id, cyd.into()).await.unwrap();
    }
}
