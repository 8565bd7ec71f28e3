//! Connectors and their credentials against a real Postgres, also as whoever can write to it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

#[path = "../../people/tests/support/mod.rs"]
mod support;

use chancery_connectors::connector::{self, ConnectorPatch};
use chancery_connectors::credential::{self, CredentialRecord, Writing};
use chancery_connectors::{
    ConnectorError, Credential, CredentialDraft, CredentialKind, MIGRATIONS, Ready, Stop, Stops, usable,
};
use chancery_model::{Audience, Clock, ConnectorId, CredentialId, PrincipalId};
use chancery_store::{Change, Epoch, KeyringError};
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use support::{Org, World, scalar};
use uuid::Uuid;

async fn world() -> World {
    let policies = chancery_policies::MIGRATIONS;
    World::start(&[chancery_store::MIGRATIONS, chancery_people::MIGRATIONS, policies, MIGRATIONS]).await
}

fn nobody() -> PrincipalId {
    PrincipalId::from_uuid(Uuid::from_u128(1))
}

fn name(text: &str) -> Audience {
    text.parse().unwrap()
}

fn at(base_url: &str) -> Value {
    json!({"base_url": base_url, "operations": {"a.b": {"method": "GET", "path": "/{resource.id}"}}})
}

async fn create(world: &World, org: &Org, named: &str, definition: &Value) -> ConnectorId {
    let mut scoped = world.write(org).await;
    let (made, change) =
        connector::create(&mut scoped, world.keyring(), name(named), definition, nobody()).await.unwrap();
    assert_eq!((change.kind, change.epoch), ("connector.created", Epoch::Bump));
    world.commit(scoped, &change).await;
    made.id
}

fn bearer(token: &str) -> CredentialDraft {
    CredentialDraft {
        kind: CredentialKind::Bearer,
        token: Some(token.to_owned().into()),
        username: None,
        password: None,
        name: None,
        value: None,
        token_url: None,
        client_id: None,
        client_secret: None,
        scope: None,
        audience: None,
        auth: None,
    }
}

fn empty() -> CredentialDraft {
    CredentialDraft { token: None, ..bearer("") }
}

fn basic(username: &str, password: &str) -> CredentialDraft {
    CredentialDraft {
        kind: CredentialKind::Basic,
        username: Some(username.to_owned()),
        password: Some(password.to_owned().into()),
        ..empty()
    }
}

fn header(name: &str, value: &str) -> CredentialDraft {
    CredentialDraft {
        kind: CredentialKind::Header,
        name: Some(name.to_owned()),
        value: Some(value.to_owned().into()),
        ..empty()
    }
}

fn oauth(token_url: &str) -> CredentialDraft {
    CredentialDraft {
        kind: CredentialKind::OAuth2ClientCredentials,
        token_url: Some(token_url.to_owned()),
        client_id: Some("me".to_owned()),
        client_secret: Some("s3cret".to_owned().into()),
        scope: Some("a b".to_owned()),
        ..empty()
    }
}

async fn try_write(
    world: &World,
    org: &Org,
    connector: ConnectorId,
    draft: CredentialDraft,
    overlap_seconds: u32,
) -> Result<(CredentialRecord, Change), ConnectorError> {
    let mut scoped = world.write(org).await;
    let writing = Writing { keyring: world.keyring(), org_key: &org.key, by: nobody(), overlap_seconds };
    let (written, change) = credential::write(&mut scoped, connector, draft, writing).await?.unwrap();
    world.commit(scoped, &change).await;
    Ok((written, change))
}

async fn write(world: &World, org: &Org, connector: ConnectorId, token: &str, overlap: u32) -> CredentialId {
    let (written, change) = try_write(world, org, connector, bearer(token), overlap).await.unwrap();
    assert_eq!((change.kind, change.epoch), ("connector.credential_written", Epoch::Bump));
    assert!(!format!("{change:?}").contains(token), "an entry tells a secret");
    written.id
}

async fn ready(world: &World, org: &Org, named: &str) -> Option<Ready> {
    usable(&mut world.read(org).await, &name(named), world.clock.now()).await.unwrap()
}

/// What a call of this connector would authenticate with.
async fn token(world: &World, org: &Org, named: &str) -> Result<String, KeyringError> {
    let ready = ready(world, org, named).await.unwrap();
    let sealed = ready.current.as_ref().expect("a credential");
    match credential::open(world.keyring(), org.id, &ready, sealed).await? {
        Credential::Bearer { token } => Ok(token.expose_secret().to_owned()),
        other => panic!("{other:?}"),
    }
}

async fn stored(world: &World, org: &Org, sql: &str) -> i64 {
    let mut scoped = world.read(org).await;
    scalar(scoped.connection(), &format!("SELECT count(*) FROM connector_credentials WHERE {sql}")).await
}

#[tokio::test]
async fn rows_of_another_organization_do_not_exist() {
    let world = world().await;
    let (acme, other) = (world.found("acme").await, world.found("other").await);
    let ledger = create(&world, &acme, "ledger", &at("https://ledger.example")).await;
    write(&world, &acme, ledger, "s3cret", 0).await;
    world.assert_isolated("connectors", Some("retired_at"), &acme, &other).await;
    world.assert_isolated("connector_credentials", Some("state"), &acme, &other).await;
    let now = world.clock.now();
    let mut scoped = world.write(&other).await;
    assert!(connector::read(&mut scoped, ledger).await.unwrap().is_none());
    assert!(connector::list(&mut scoped, None, 10).await.unwrap().is_empty());
    assert!(connector::retire(&mut scoped, ledger, now).await.unwrap().is_none());
    assert!(connector::pause(&mut scoped, ledger, "x", now).await.unwrap().is_none());
    assert!(credential::remove(&mut scoped, ledger, now).await.unwrap().is_none());
    assert!(credential::list(&mut scoped, ledger, now).await.unwrap().is_empty());
    let writing = Writing { keyring: world.keyring(), org_key: &other.key, by: nobody(), overlap_seconds: 0 };
    assert!(credential::write(&mut scoped, ledger, bearer("mine"), writing).await.unwrap().is_none());
    drop(scoped);
    assert!(ready(&world, &other, "ledger").await.is_none());
    // A name is free in each organization.
    create(&world, &other, "ledger", &at("https://ledger.example")).await;
    assert_eq!(token(&world, &acme, "ledger").await.unwrap(), "s3cret");
}

#[tokio::test]
async fn a_credential_that_somebody_moves_does_not_open() {
    let world = world().await;
    let (acme, other) = (world.found("acme").await, world.found("other").await);
    let ours = create(&world, &acme, "ours", &at("https://ours.example")).await;
    let evil = create(&world, &acme, "evil", &at("https://ours.example")).await;
    let theirs = create(&world, &other, "ours", &at("https://ours.example")).await;
    write(&world, &acme, ours, "s3cret", 0).await;
    for (org, connector, id) in [(&acme, evil, "evil"), (&other, theirs, "ours")] {
        write(&world, org, connector, "worthless", 0).await;
        // The bytes alone, and then under the very id that they were sealed with.
        for copied in ["sealed = ours.sealed", "sealed = ours.sealed, id = ours.id"] {
            world
                .as_superuser(&format!(
                    "UPDATE connector_credentials c SET {copied} FROM connector_credentials ours
                     WHERE ours.connector_id = '{ours}' AND c.connector_id = '{connector}'"
                ))
                .await;
            let refused = token(&world, org, id).await.expect_err("it opened elsewhere");
            let known = matches!(refused, KeyringError::Open(_) | KeyringError::Missing);
            assert!(known && !refused.to_string().contains("s3cret"), "{refused}");
        }
    }
    assert_eq!(token(&world, &acme, "ours").await.unwrap(), "s3cret");
    // Nor where the connector it was given for is made to point elsewhere.
    for host in ["https://evil.example", "http://ours.example", "https://ours.example:444"] {
        world
            .as_superuser(&format!(
                "UPDATE connectors SET definition = regexp_replace(definition, '\"base_url\":\"[^\"]*\"', '\"base_url\":\"{host}\"')
                 WHERE id = '{ours}'"
            ))
            .await;
        assert_eq!(ready(&world, &acme, "ours").await.unwrap().definition.base_url().origin(), host);
        assert!(matches!(token(&world, &acme, "ours").await, Err(KeyringError::Open(_))), "{host}");
    }
}

#[tokio::test]
async fn at_another_host_credentials_are_written_anew() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ledger = create(&world, &acme, "ledger", &at("https://ledger.example/v1")).await;
    let change = async |definition: Value| {
        let mut scoped = world.write(&acme).await;
        let patch = ConnectorPatch { definition: Some(&definition), ..ConnectorPatch::default() };
        let changed = connector::update(&mut scoped, ledger, patch, world.clock.now()).await;
        if let Ok(Some((_, change))) = &changed {
            assert_eq!((change.kind, change.epoch), ("connector.changed", Epoch::Bump));
            world.commit(scoped, change).await;
        }
        changed.map(drop)
    };
    for (host, stays) in [
        ("https://ledger.example/v2", true),
        ("https://LEDGER.example:443/v3", true),
        ("https://ledger.example:8443/v3", false),
        ("http://ledger.example:8443/v3", false),
        ("https://ledgers.example", false),
    ] {
        write(&world, &acme, ledger, "before", 0).await;
        write(&world, &acme, ledger, "s3cret", 60).await;
        change(at(host)).await.unwrap();
        let ready = ready(&world, &acme, "ledger").await.unwrap();
        assert_eq!((ready.current.is_some(), ready.previous.is_some()), (stays, stays), "{host}");
        assert_eq!(stored(&world, &acme, "sealed IS NOT NULL").await == 2, stays, "{host}");
        if stays {
            assert_eq!(token(&world, &acme, "ledger").await.unwrap(), "s3cret", "{host}");
        }
    }
    let same = change(at("https://ledgers.example")).await;
    assert!(matches!(same, Err(ConnectorError::Unchanged)), "{same:?}");
    let broken = change(json!({"base_url": "https://ledgers.example"})).await;
    assert!(matches!(broken, Err(ConnectorError::Definition(_))), "{broken:?}");
}

#[tokio::test]
async fn a_credential_serves_on_for_its_overlap_and_then_is_gone() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ledger = create(&world, &acme, "ledger", &at("https://ledger.example")).await;
    let serving = async || {
        let ready = ready(&world, &acme, "ledger").await.unwrap();
        (ready.current.map(|one| one.id), ready.previous.map(|one| one.id))
    };
    assert_eq!(serving().await, (None, None));
    let first = write(&world, &acme, ledger, "s3cret1", 0).await;
    let second = write(&world, &acme, ledger, "s3cret2", 60).await;
    assert_eq!(serving().await, (Some(second), Some(first)));
    world.clock.advance_seconds(59);
    assert_eq!(serving().await, (Some(second), Some(first)));
    world.clock.advance_seconds(1);
    assert_eq!(serving().await, (Some(second), None));
    let shown = credential::list(&mut world.read(&acme).await, ledger, world.clock.now()).await.unwrap();
    assert_eq!(shown.iter().map(|one| one.id).collect::<Vec<_>>(), [second]);
    // Its bytes are destroyed by whoever comes by first, once.
    let due = chancery_connectors::ended(&world.store, world.clock.now()).await.unwrap();
    assert_eq!(due, [(acme.id, ledger)]);
    for first in [true, false] {
        let mut scoped = world.write(&acme).await;
        let now = world.clock.now();
        let destroyed = chancery_connectors::destroy_ended(&mut scoped, ledger, now).await.unwrap();
        assert_eq!(destroyed.is_some(), first);
        if let Some(change) = destroyed {
            assert_eq!((change.kind, change.epoch), ("connector.credential_ended", Epoch::Keep));
            world.commit(scoped, &change).await;
        }
    }
    assert_eq!(stored(&world, &acme, "sealed IS NOT NULL").await, 1);
    assert!(chancery_connectors::ended(&world.store, world.clock.now()).await.unwrap().is_empty());
    // Without an overlap the one before is gone at once, and what was previous ends with the next.
    let third = write(&world, &acme, ledger, "s3cret3", 60).await;
    assert_eq!(serving().await, (Some(third), Some(second)));
    let fourth = write(&world, &acme, ledger, "s3cret4", 0).await;
    assert_eq!(serving().await, (Some(fourth), None));
    assert_eq!(stored(&world, &acme, "sealed IS NOT NULL").await, 1);
    let error = try_write(&world, &acme, ledger, bearer("x"), 604_801).await.unwrap_err();
    assert!(matches!(error, ConnectorError::Credential { field: "overlap_seconds", .. }));
    let mut scoped = world.write(&acme).await;
    let removed = credential::remove(&mut scoped, ledger, world.clock.now()).await.unwrap().unwrap();
    assert_eq!((removed.0, removed.1.kind), (vec![fourth], "connector.credential_removed"));
    world.commit(scoped, &removed.1).await;
    assert_eq!(serving().await, (None, None));
    assert_eq!(stored(&world, &acme, "sealed IS NOT NULL").await, 0);
}

#[tokio::test]
async fn each_kind_of_credential_opens_as_what_was_written() {
    let world = world().await;
    let acme = world.found("acme").await;
    let ledger = create(&world, &acme, "ledger", &at("https://ledger.example")).await;
    for (draft, shows) in [
        (bearer("s3cret"), "Bearer"),
        (basic("me", "s3 cret"), "Basic"),
        (header("X-Key", "s3cret"), "Header"),
        (header("Authorization", "Token s3cret"), "Header"),
        (oauth("https://id.example/token/"), "OAuth2ClientCredentials"),
    ] {
        let asked = format!("{draft:?}");
        try_write(&world, &acme, ledger, draft, 0).await.unwrap();
        let ready = ready(&world, &acme, "ledger").await.unwrap();
        let opened =
            credential::open(world.keyring(), acme.id, &ready, ready.current.as_ref().unwrap()).await;
        let told = format!("{:?} {asked} {ready:?}", opened.as_ref().unwrap());
        assert!(told.starts_with(shows), "{told}");
        assert!(!told.contains("s3cret") && !told.contains("s3 cret"), "a secret shows: {told}");
        match opened.unwrap() {
            Credential::Bearer { token } => assert_eq!(token.expose_secret(), "s3cret"),
            Credential::Basic { username, password } => {
                assert_eq!((&*username, password.expose_secret()), ("me", "s3 cret"));
            }
            Credential::Header { name, value } => assert!(
                [("x-key", "s3cret"), ("authorization", "Token s3cret")]
                    .contains(&(name.as_str(), value.expose_secret()))
            ),
            Credential::OAuth2ClientCredentials { token_url, client_secret, scope, .. } => {
                assert_eq!(
                    (&*token_url, client_secret.expose_secret()),
                    ("https://id.example/token/", "s3cret")
                );
                assert_eq!(scope.as_deref(), Some("a b"));
            }
        }
    }
}

#[tokio::test]
async fn a_credential_that_could_not_be_sent_as_it_is_is_refused() {
    let world = world().await;
    let acme = world.found("acme").await;
    let mut definition = at("https://ledger.example");
    definition["operations"]["a.b"]["headers"] = json!({"x-set": "by the template"});
    let ledger = create(&world, &acme, "ledger", &definition).await;
    for (draft, wrong) in [
        (bearer("a\r\nx: y"), "token"),
        (bearer(""), "token"),
        (bearer("two words"), "token"),
        (empty(), "token"),
        (CredentialDraft { password: Some("p".to_owned().into()), ..bearer("t") }, "password"),
        (basic("a:b", "p"), "username"),
        (basic("a", "\n"), "password"),
        (header("host", "v"), "name"),
        (header("cookie", "v"), "name"),
        (header("transfer-encoding", "v"), "name"),
        (header("X-Set", "v"), "name"),
        (header("a b", "v"), "name"),
        (header("x-key", "a\r\nb"), "value"),
        (oauth("http://id.example/token"), "token_url"),
        (oauth("https://me@id.example/token"), "token_url"),
        (oauth("https://id.example/token?x=y"), "token_url"),
    ] {
        match try_write(&world, &acme, ledger, draft, 0).await {
            Err(ConnectorError::Credential { field, .. }) => assert_eq!(field, wrong),
            other => panic!("{wrong}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_paused_or_retired_connector_is_not_usable_and_its_name_is_stopped() {
    let world = world().await;
    let (acme, other) = (world.found("acme").await, world.found("other").await);
    let stops = Stops::default();
    let mut epoch = 1;
    let ledger = create(&world, &acme, "ledger", &at("https://ledger.example")).await;
    let books = create(&world, &acme, "books", &at("https://ledger.example")).await;
    write(&world, &acme, ledger, "s3cret", 0).await;
    let mut stopped = async |org: &Org| {
        let mut scoped = world.read(org).await;
        epoch = scalar(scoped.connection(), "SELECT epoch FROM heads").await;
        drop(scoped);
        let scope = chancery_store::Scope::of_principal(org.id, None, chancery_model::Role::Admin, epoch);
        stops.of(&world.store, &scope).await.unwrap()
    };
    assert_eq!(stopped(&acme).await.why(&name("ledger")), None);
    let mut scoped = world.write(&acme).await;
    let paused = connector::pause(&mut scoped, ledger, "a drill", world.clock.now()).await.unwrap().unwrap();
    assert_eq!((paused.1.kind, paused.1.epoch), ("connector.paused", Epoch::Bump));
    world.commit(scoped, &paused.1).await;
    assert!(ready(&world, &acme, "ledger").await.is_none());
    assert!(ready(&world, &acme, "books").await.is_some());
    let now = stopped(&acme).await;
    assert_eq!(["ledger", "books", "no"].map(|one| now.why(&name(one))), [Some(Stop::Paused), None, None]);
    assert_eq!(stopped(&other).await.why(&name("ledger")), None);
    let mut scoped = world.write(&acme).await;
    let again = connector::pause(&mut scoped, ledger, "x", world.clock.now()).await;
    assert!(matches!(again, Err(ConnectorError::Unchanged)));
    let resumed = connector::resume(&mut scoped, ledger, "over").await.unwrap().unwrap();
    assert_eq!((resumed.1.kind, resumed.1.epoch), ("connector.resumed", Epoch::Bump));
    world.commit(scoped, &resumed.1).await;
    assert_eq!(stopped(&acme).await.why(&name("ledger")), None);
    assert_eq!(token(&world, &acme, "ledger").await.unwrap(), "s3cret");

    let mut scoped = world.write(&acme).await;
    let retired = connector::retire(&mut scoped, ledger, world.clock.now()).await.unwrap().unwrap();
    assert_eq!((retired.1.kind, retired.1.epoch), ("connector.retired", Epoch::Bump));
    world.commit(scoped, &retired.1).await;
    assert!(ready(&world, &acme, "ledger").await.is_none());
    assert_eq!(stopped(&acme).await.why(&name("ledger")), Some(Stop::Retired));
    assert_eq!(stored(&world, &acme, "sealed IS NOT NULL").await, 0, "its credential is still there");
    let mut scoped = world.write(&acme).await;
    let late = connector::resume(&mut scoped, ledger, "x").await;
    assert!(matches!(late, Err(ConnectorError::Retired)));
    // A name belongs to one connector that is not retired.
    let rename = ConnectorPatch { name: Some(&name("books")), ..ConnectorPatch::default() };
    drop(scoped);
    let again = create(&world, &acme, "ledger", &at("https://ledger.example")).await;
    assert_eq!(stopped(&acme).await.why(&name("ledger")), None);
    let mut scoped = world.write(&acme).await;
    let taken = connector::update(&mut scoped, again, rename, world.clock.now()).await;
    assert!(matches!(taken, Err(ConnectorError::NameTaken)), "{taken:?}");
    assert_ne!(again, books);
}

#[tokio::test]
async fn templates_are_held_to_the_catalogue_when_a_connector_is_saved() {
    let world = world().await;
    let acme = world.found("acme").await;
    let definition = json!({
        "name": "a.b", "resource_type": "Thing", "description": "d", "effect": "read", "base_risk": 1,
        "arguments": {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]},
    });
    let mut scoped = world.write(&acme).await;
    let definition = serde_json::from_value(definition).unwrap();
    let (_, change) =
        chancery_policies::actions::put(&mut scoped, definition, world.clock.now()).await.unwrap();
    world.commit(scoped, &change).await;
    for (path, fits) in [("/{arguments.n}", true), ("/{arguments.m}", false)] {
        let mut wanted = at("https://ledger.example");
        wanted["operations"]["a.b"]["path"] = path.into();
        wanted["operations"]["not.there"] = json!({"method": "GET", "path": "/{arguments.anything}"});
        let mut scoped = world.write(&acme).await;
        let made = connector::create(&mut scoped, world.keyring(), name("x"), &wanted, nobody()).await;
        match made {
            Err(ConnectorError::Definition(invalid)) => {
                assert_eq!((invalid.pointer.as_str(), fits), ("/operations/a.b/path", false));
            }
            made => assert!(made.is_ok() && fits, "{made:?}"),
        }
    }
}
