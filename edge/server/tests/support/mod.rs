//! What tests of the whole server share: a server on a fresh data directory, and people in it.

#![allow(dead_code, reason = "each test uses a part")]

pub(crate) mod bank;
pub(crate) mod calls;
pub(crate) mod things;
pub(crate) mod upstream;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use chancery_config::{Config, Sources};
use chancery_server::assemble::{Books, Surroundings};
use chancery_server::database::Database;
use chancery_server::founding::Founding;
use chancery_store::embedded::{Embedded, EmbeddedOptions};
use chancery_testkit::{Client, ServerOptions, ServerProcess, TestDatabase, TestPostgres, password};
use serde_json::{Value, json};
use sqlx::Connection as _;
use sqlx::postgres::PgConnection;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

/// A database as migrations make it, in the cluster that tests share.
pub(crate) async fn database() -> TestDatabase {
    let postgres = TestPostgres::shared().await.unwrap();
    // The template outlives this build, so it is named by what it was made with.
    let migrations = chancery_server::database::migrations();
    let text: Vec<&[u8]> = migrations.iter().map(|step| step.sql.as_bytes()).collect();
    let digest = chancery_crypto::sha256(&text)
        .iter()
        .fold(0_u64, |hash, byte| hash.rotate_left(7) ^ u64::from(*byte));
    postgres
        .database_from(&format!("server_tables_{digest:x}"), async |postgres, name| {
            let logins = chancery_store::provision::provision(
                &postgres.superuser("postgres"),
                name,
                &password,
                &chancery_crypto::SystemRandom,
            )
            .await?;
            chancery_store::migrate(&logins.owner, &migrations).await?;
            Ok(())
        })
        .await
        .unwrap()
}

/// A folder that Postgres may pass through when root starts it.
pub(crate) fn folder() -> TempDir {
    tempfile::Builder::new().permissions(Permissions::from_mode(0o711)).tempdir().unwrap()
}

/// A server of this build on a data directory, which may call systems of the test's own.
pub(crate) fn options(data_dir: &Path) -> ServerOptions {
    ServerOptions::new(Path::new(env!("CARGO_BIN_EXE_chancery")), data_dir)
        .with("CHANCERY_EGRESS__ALLOW", "127.0.0.1")
        .with("CHANCERY_EGRESS__ALLOW_PLAIN_HTTP", "127.0.0.1")
}

/// A field as text.
#[track_caller]
pub(crate) fn text(value: &Value, pointer: &str) -> String {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no `{pointer}` in {value}"))
        .to_owned()
}

/// A server with the first organization.
pub(crate) struct World {
    pub(crate) server: ServerProcess,
    pub(crate) options: ServerOptions,
    pub(crate) admin_key: String,
    pub(crate) folder: TempDir,
}

impl World {
    pub(crate) fn start() -> Self {
        Self::start_with(|options| options)
    }

    pub(crate) fn start_with(change: impl FnOnce(ServerOptions) -> ServerOptions) -> Self {
        let folder = folder();
        let options = change(options(&folder.path().join("data")));
        let mut server = options.start().unwrap();
        let admin_key = server.admin_key().unwrap();
        Self { server, options, admin_key, folder }
    }

    pub(crate) fn admin(&self) -> Client {
        self.server.client(Some(&self.admin_key))
    }

    /// Another organization's admin key.
    pub(crate) fn organization(&self, name: &str) -> String {
        found_with(&self.options, name)
    }

    /// Founds so many organizations beside the running server.
    pub(crate) fn crowd(&self, organizations: usize) {
        let place = ("CHANCERY_DATA_DIR".to_owned(), self.options.data_dir.display().to_string());
        let environment = self.options.environment.iter().cloned().chain([place]).collect();
        let config = Config::load(&Sources { environment, ..Sources::default() }).unwrap();
        runtime().block_on(async {
            let around = Surroundings::system();
            let database = Database::reach(&config, &*around.random).await.unwrap();
            let books = Arc::new(Books::open(&config, &database, &around).await.unwrap());
            let mut founders = JoinSet::new();
            for first in 0..FOUNDERS {
                let books = Arc::clone(&books);
                founders.spawn(async move {
                    for number in (first..organizations).step_by(FOUNDERS) {
                        let founding = Founding::new(&format!("crowd {number}"), None).unwrap();
                        books.found(founding).await.unwrap();
                    }
                });
            }
            founders.join_all().await;
            books.close().await;
            database.close().await.unwrap();
        });
    }
}

/// Founders at once, within the pool's connections.
const FOUNDERS: usize = 8;

/// An organization founded on the command line: its admin's key.
pub(crate) fn found_with(options: &ServerOptions, name: &str) -> String {
    let output = options.command(&["org", "create", name, "--json"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    text(&serde_json::from_slice(&output.stdout).unwrap(), "/admin_key")
}

pub(crate) fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap()
}

/// The payments pack, an agent, its key, and a key that redeems for `billing`.
pub(crate) struct Desk {
    pub(crate) agent: String,
    pub(crate) key: String,
    pub(crate) redeemer: String,
}

impl Desk {
    pub(crate) fn open(admin: &mut Client) -> Self {
        admin.made("/api/v1/policies/packs/payments/apply", &json!({})).unwrap();
        let agent = text(&admin.made("/api/v1/agents", &json!({"name": "desk"})).unwrap(), "/id");
        let key = key_of(admin, ("agent", &agent), &["intents:submit", "intents:read"], &[]);
        let redeemer = key_of(admin, ("agent", &agent), &["tokens:verify"], &["billing"]);
        Self { agent, key, redeemer }
    }
}

/// A new live key; gives its text.
pub(crate) fn key_of(
    admin: &mut Client,
    holder: (&str, &str),
    scopes: &[&str],
    audiences: &[&str],
) -> String {
    let wanted = json!({"name": "test", "holder": {"type": holder.0, "id": holder.1}, "environment": "live",
                        "scopes": scopes, "audiences": audiences});
    text(&admin.made("/api/v1/api-keys", &wanted).unwrap(), "/secret")
}

/// A refund that the payments pack allows.
pub(crate) fn refund(number: usize) -> Value {
    json!({
        "action": "payments.refund",
        "resource": {"type": "Payment", "id": format!("pay_{number}")},
        "arguments": {"amount": 40, "currency": "EUR", "reason": "duplicate"},
        "connector": "billing",
    })
}

/// What a refund's token is redeemed with.
pub(crate) fn redemption(number: usize, token: &str) -> Value {
    let mut asked = refund(number);
    let members = asked.as_object_mut().unwrap();
    members.remove("connector");
    members.insert("token".to_owned(), token.into());
    asked
}

/// The password of its superuser.
pub(crate) const CLUSTER_PASSWORD: &str = "of-this-test";

/// A Postgres of the test's own, for servers that share it.
pub(crate) async fn cluster(folder: &Path) -> Embedded {
    let options = EmbeddedOptions {
        data_dir: folder.join("cluster"),
        binaries: None,
        superuser_password: CLUSTER_PASSWORD.into(),
        settings: Vec::new(),
    };
    Embedded::start(options).await.unwrap()
}

/// Two servers on one database, with one key file.
pub(crate) fn twins(folder: &Path, postgres: &Embedded) -> [ServerOptions; 2] {
    let login = postgres.superuser();
    let socket = login.get_socket().unwrap().display().to_string().replace('/', "%2F");
    let (user, port) = (login.get_username(), login.get_port());
    let url = format!("postgres://{user}:{CLUSTER_PASSWORD}@localhost/chancery?host={socket}&port={port}");
    let kek = folder.join("chancery.kek");
    ["one", "two"].map(|name| {
        options(&folder.join(name))
            .with("DATABASE_URL", &url)
            .with("CHANCERY_KEK_FILE", &kek.to_string_lossy())
    })
}

/// Two servers over one database, which belongs to the test.
pub(crate) struct Twins {
    pub(crate) servers: [ServerProcess; 2],
    pub(crate) options: [ServerOptions; 2],
    pub(crate) admin_key: String,
    pub(crate) desk: Desk,
    pub(crate) postgres: Embedded,
    pub(crate) runtime: Runtime,
    pub(crate) folder: TempDir,
}

impl Twins {
    pub(crate) fn start() -> Self {
        Self::start_with(|_, options| options)
    }

    /// `change` is given the folder of the test and the options of each server.
    pub(crate) fn start_with(change: impl Fn(&Path, ServerOptions) -> ServerOptions) -> Self {
        let (runtime, folder) = (runtime(), folder());
        let postgres = runtime.block_on(cluster(folder.path()));
        let options = twins(folder.path(), &postgres).map(|options| change(folder.path(), options));
        let mut first = options[0].start().unwrap();
        let admin_key = first.admin_key().unwrap();
        let desk = Desk::open(&mut first.client(Some(&admin_key)));
        let second = options[1].start().unwrap();
        Self { servers: [first, second], options, admin_key, desk, postgres, runtime, folder }
    }

    pub(crate) fn client(&self, server: usize, key: &str) -> Client {
        self.servers[server].client(Some(key))
    }

    pub(crate) fn admin(&self, server: usize) -> Client {
        self.client(server, &self.admin_key)
    }

    /// A new token, from the first server.
    pub(crate) fn token(&self, number: usize) -> String {
        text(&self.client(0, &self.desk.key).made("/api/v1/intents", &refund(number)).unwrap(), "/token")
    }

    /// The database, around every lock.
    pub(crate) fn superuser(&self) -> PgConnection {
        let login = self.postgres.superuser().database("chancery");
        self.runtime.block_on(PgConnection::connect_with(&login)).unwrap()
    }

    pub(crate) fn stop(self) {
        drop(self.servers);
        self.runtime.block_on(self.postgres.stop()).unwrap();
    }
}
