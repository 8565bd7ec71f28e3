//! Signing keys are activated and retired by themselves, at whichever server is first.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use chancery_config::{Config, Sources};
use chancery_crypto::{Algorithm, SigningKey, SystemRandom};
use chancery_mint::signing_keys::{self, Forge, KeyState, PUBLISHED_SECONDS, VERIFIES_SECONDS};
use chancery_model::{ManualClock, OrgId, Slug, Timestamp};
use chancery_record::Actor;
use chancery_server::assemble::{Books, Running, Surroundings};
use chancery_server::founding::Founding;
use chancery_server::tend::tend;
use chancery_store::Scope;
use support::{folder, runtime};
use tokio::time::{sleep, timeout};

fn config(folder: &Path) -> Config {
    let mut config = Config::defaults(folder);
    let environment = Sources::of_process(None).environment;
    config.database.binaries = environment.get("PG_BIN").filter(|path| !path.is_empty()).map(Into::into);
    config.server.listen = ([127, 0, 0, 1], 0).into();
    config
}

/// A new key of the organization: its first, or the one that will follow it.
async fn make(books: &Books, org: OrgId, slug: &Slug, state: KeyState) {
    let keyring = books.store.keyring();
    let org_key = keyring.org_key(org).await.unwrap();
    let forge = Forge { slug, org_key: &org_key, keyring };
    let key = SigningKey::generate(Algorithm::Es256).unwrap();
    let mut scoped = books.store.write(&Scope::installation(org)).await.unwrap();
    let (_, change) = match state {
        KeyState::Next => signing_keys::publish_next(&mut scoped, forge, &key).await.unwrap(),
        _ => signing_keys::create_first(&mut scoped, forge, &key).await.unwrap(),
    };
    books.recorder.commit(scoped, Actor::installation(), change).await.unwrap();
}

async fn states(books: &Books, org: OrgId) -> Vec<KeyState> {
    let mut scoped = books.store.read(&Scope::installation(org)).await.unwrap();
    let mut states: Vec<KeyState> =
        signing_keys::list(&mut scoped).await.unwrap().into_iter().map(|key| key.state).collect();
    states.sort_unstable_by_key(|state| state.as_str());
    states
}

/// How many entries of each type about signing keys an organization has, and its epoch.
async fn told(books: &Books, org: OrgId) -> (BTreeMap<String, i64>, i64) {
    let entries = sqlx::query_as(
        "SELECT kind, count(*) FROM entries WHERE org_id = $1 AND kind LIKE 'signing_key.%' GROUP BY kind",
    );
    let entries: Vec<(String, i64)> =
        entries.bind(org.as_uuid()).fetch_all(books.store.appender()).await.unwrap();
    let epoch = sqlx::query_scalar("SELECT epoch FROM heads WHERE org_id = $1").bind(org.as_uuid());
    (entries.into_iter().collect(), epoch.fetch_one(books.store.appender()).await.unwrap())
}

async fn eventually(books: &Books, org: OrgId, wanted: &[KeyState]) {
    let reached = async {
        while states(books, org).await != wanted {
            sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(Duration::from_secs(30), reached).await.unwrap_or_else(|_| panic!("never {wanted:?}"));
}

#[test]
fn what_is_due_is_done_once_with_an_entry_each_and_nothing_else_is() {
    runtime().block_on(async {
        let folder = folder();
        let clock = Arc::new(ManualClock::new(Timestamp::from_micros(1_800_000_000_000_000)));
        let around = Surroundings { clock: Arc::clone(&clock) as _, random: Arc::new(SystemRandom) };
        let running = Running::start(&config(&folder.path().join("data")), around).await.unwrap();
        let books = &running.books;
        let mut orgs = Vec::new();
        for name in ["Acme", "Globex"] {
            let founded = books.found(Founding::new(name, None).unwrap()).await.unwrap();
            make(books, founded.org, &founded.slug, KeyState::Active).await;
            orgs.push((founded.org, founded.slug));
        }
        let (org, slug) = &orgs[0];
        make(books, *org, slug, KeyState::Next).await;
        let untouched = told(books, orgs[1].0).await;
        clock.advance_seconds(PUBLISHED_SECONDS - 1);
        assert_eq!(tend(&books.store, &books.recorder).await.unwrap(), 0, "too early");
        assert_eq!(states(books, *org).await, [KeyState::Active, KeyState::Next]);
        let (_, before) = told(books, *org).await;

        // The server's own loop is a third.
        clock.advance_seconds(1);
        let (one, two) =
            tokio::join!(tend(&books.store, &books.recorder), tend(&books.store, &books.recorder));
        assert!(one.unwrap() + two.unwrap() <= 1);
        eventually(books, *org, &[KeyState::Active, KeyState::Previous]).await;
        let (entries, epoch) = told(books, *org).await;
        assert_eq!((entries["signing_key.activated"], epoch), (1, before + 1));

        clock.advance_seconds(VERIFIES_SECONDS - 1);
        assert_eq!(tend(&books.store, &books.recorder).await.unwrap(), 0, "its tokens may be good");
        clock.advance_seconds(1);
        // Nobody is asked to: the server does it.
        eventually(books, *org, &[KeyState::Active, KeyState::Retired]).await;
        let (entries, epoch) = told(books, *org).await;
        assert_eq!((entries["signing_key.retired"], epoch), (1, before + 2));
        assert_eq!(told(books, orgs[1].0).await, untouched, "another organization's");
        running.stop().await.unwrap();
    });
}
