//! The database and its logins, made and kept as they must be.
//!
//! One login per purpose, none of them a superuser, none able to see past row-level security:
//!
//! | role | logs in | is |
//! |---|---|---|
//! | `chancery_owner` | for migrations | owner of the database and its tables |
//! | `chancery_app` | for requests | bound to the organization of its transaction |
//! | `chancery_appender` | as the committer | writer of the record, across organizations |
//! | `chancery_worker` | for schedulers | caller of `SECURITY DEFINER` functions |
//! | `chancery_definer` | never | owner of those functions |

mod scram;

use std::fmt;
use std::net::IpAddr;

use chancery_crypto::Random;
use secrecy::{ExposeSecret, SecretString};
use sqlx::postgres::{PgConnectOptions, PgConnection, PgSslMode};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

/// The login that owns the database and runs the migrations.
pub const OWNER: &str = "chancery_owner";
/// The login of requests.
pub const APP: &str = "chancery_app";
/// The login of the committer.
pub const APPENDER: &str = "chancery_appender";
/// The login of schedulers.
pub const WORKER: &str = "chancery_worker";
/// The role that owns the `SECURITY DEFINER` functions; nobody logs in as it.
pub const DEFINER: &str = "chancery_definer";
/// All of them.
pub const ROLES: [&str; 5] = [OWNER, APP, APPENDER, WORKER, DEFINER];

/// The oldest server, as `server_version_num` counts.
const OLDEST_SERVER: i32 = 150_000;

/// Held while provisioning, so that servers that start together take turns. ("chancery", in ASCII.)
const ADVISORY_LOCK: i64 = 0x6368_616e_6365_7279;

struct Login {
    name: &'static str,
    /// The owner uses what it is granted (the definer's functions) without changing roles.
    inherits: bool,
    statement_timeout: &'static str,
    lock_timeout: &'static str,
    idle_in_transaction_timeout: &'static str,
}

/// A request or a batch that takes longer is lost; a migration may take what it takes, but must not
/// queue behind a lock and stop everyone else.
const LOGINS: [Login; 4] = [
    Login {
        name: OWNER,
        inherits: true,
        statement_timeout: "0",
        lock_timeout: "10s",
        idle_in_transaction_timeout: "60s",
    },
    Login {
        name: APP,
        inherits: false,
        statement_timeout: "10s",
        lock_timeout: "3s",
        idle_in_transaction_timeout: "10s",
    },
    Login {
        name: APPENDER,
        inherits: false,
        statement_timeout: "10s",
        lock_timeout: "5s",
        idle_in_transaction_timeout: "10s",
    },
    Login {
        name: WORKER,
        inherits: false,
        statement_timeout: "5min",
        lock_timeout: "5s",
        idle_in_transaction_timeout: "60s",
    },
];

/// How to connect as each login. [`PgConnectOptions`] prints its password when debugged; this does
/// not.
#[derive(Clone)]
pub struct Logins {
    /// As [`OWNER`].
    pub owner: PgConnectOptions,
    /// As [`APP`].
    pub app: PgConnectOptions,
    /// As [`APPENDER`].
    pub appender: PgConnectOptions,
    /// As [`WORKER`].
    pub worker: PgConnectOptions,
}

impl fmt::Debug for Logins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Logins").field("database", &self.owner.get_database()).finish_non_exhaustive()
    }
}

impl Logins {
    /// The logins of a database that is provisioned already.
    #[must_use]
    pub fn of(
        admin: &PgConnectOptions,
        database: &str,
        passwords: &(dyn Fn(&str) -> SecretString + Sync),
    ) -> Self {
        let login = |name: &str| {
            admin
                .clone()
                .username(name)
                .password(passwords(name).expose_secret())
                .database(database)
                .application_name(name)
        };
        Self { owner: login(OWNER), app: login(APP), appender: login(APPENDER), worker: login(WORKER) }
    }
}

/// Why the database could not be provisioned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProvisionError {
    /// The server is too old.
    #[error("the database server has version {0}, and Postgres 15 or newer is needed")]
    OldServer(String),
    /// One of our roles can do more than it may.
    #[error(
        "the role `{role}` {excess}; take that away (row-level security would not hold it), then start again"
    )]
    Privileged {
        /// The role.
        role: String,
        /// What it can do.
        excess: String,
    },
    /// The existing database has another encoding.
    #[error("the database `{database}` is encoded as {encoding}; it must be UTF8")]
    Encoding {
        /// The database.
        database: String,
        /// Its encoding.
        encoding: String,
    },
    /// The configured user lacks a right.
    #[error(
        "while {step}: {source} (the user of the database URL must own the database or be able to create roles and databases)"
    )]
    Refused {
        /// What was being done.
        step: &'static str,
        /// The server's answer.
        source: sqlx::Error,
    },
    /// The server failed or went away.
    #[error("while {step}: {source}")]
    Database {
        /// What was being done.
        step: &'static str,
        /// The failure.
        source: sqlx::Error,
    },
}

/// The connection to a database elsewhere would not be protected.
#[derive(Debug, thiserror::Error)]
#[error(
    "the database URL turns TLS off (`sslmode`) for `{host}`, which is not this machine; use `sslmode=verify-full`"
)]
pub struct TlsRefused {
    /// The host.
    pub host: String,
}

/// The options with TLS verified in full (certificate and host name), unless they lead through a
/// socket or the loopback interface.
///
/// # Errors
/// When they turn TLS off explicitly.
pub fn require_tls(options: &PgConnectOptions) -> Result<PgConnectOptions, TlsRefused> {
    let host = options.get_host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let local = options.get_socket().is_some()
        || host.starts_with('/')
        || host == "localhost"
        || address.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
    match options.get_ssl_mode() {
        _ if local => Ok(options.clone()),
        PgSslMode::Disable | PgSslMode::Allow => Err(TlsRefused { host: host.to_owned() }),
        _ => Ok(options.clone().ssl_mode(PgSslMode::VerifyFull)),
    }
}

/// Makes the roles and the database, or brings existing ones into line; safe to repeat, also by
/// several servers at once. `admin` must be able to create roles and databases; the passwords come
/// from `passwords` by role name and are ASCII.
///
/// # Errors
/// When the server is too old, `admin` lacks the rights, or a role has more rights than it may.
pub async fn provision(
    admin: &PgConnectOptions,
    database: &str,
    passwords: &(dyn Fn(&str) -> SecretString + Sync),
    random: &dyn Random,
) -> Result<Logins, ProvisionError> {
    let admin = admin.clone().disable_statement_logging();
    let mut server = connect(&admin, "connecting to the database server").await?;
    check_version(&mut server).await?;
    sqlx::query("SELECT pg_advisory_lock($1)")
        .bind(ADVISORY_LOCK)
        .execute(&mut server)
        .await
        .step("waiting for another server's provisioning")?;

    make_roles(&mut server).await?;
    check_roles(&mut server).await?;
    for login in &LOGINS {
        configure(&mut server, login, &scram::verifier(passwords(login.name).expose_secret(), random))
            .await?;
    }
    make_database(&mut server, database).await?;
    let mut inside = connect(&admin.clone().database(database), "connecting to the database").await?;
    own_schema(&mut inside).await?;
    inside.close().await.step("closing the connection")?;
    // The lock ends with its connection.
    server.close().await.step("closing the connection")?;
    Ok(Logins::of(&admin, database, passwords))
}

async fn connect(options: &PgConnectOptions, step: &'static str) -> Result<PgConnection, ProvisionError> {
    let mut connection = PgConnection::connect_with(options).await.step(step)?;
    // What exists already is nothing to be told about at every start.
    run(&mut connection, "SET client_min_messages = warning".to_owned(), step).await?;
    Ok(connection)
}

async fn check_version(server: &mut PgConnection) -> Result<(), ProvisionError> {
    let (number, text): (i32, String) = sqlx::query_as(
        "SELECT current_setting('server_version_num')::int, current_setting('server_version')",
    )
    .fetch_one(server)
    .await
    .step("reading the server's version")?;
    if number < OLDEST_SERVER { Err(ProvisionError::OldServer(text)) } else { Ok(()) }
}

async fn make_roles(server: &mut PgConnection) -> Result<(), ProvisionError> {
    const STEP: &str = "creating the roles";
    let existing: Vec<String> =
        sqlx::query_scalar("SELECT rolname::text FROM pg_roles").fetch_all(&mut *server).await.step(STEP)?;
    for role in LOGINS.iter().map(|login| login.name).chain([DEFINER]) {
        if !existing.iter().any(|name| name == role) {
            // Attributes that only a superuser may name in ALTER ROLE are named here, once.
            let create = format!(
                "CREATE ROLE {role} NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOINHERIT"
            );
            run(server, create, STEP).await?;
        }
    }
    run(server, format!("GRANT {DEFINER} TO {OWNER}"), STEP).await?;
    let superuser: bool = sqlx::query_scalar("SELECT rolsuper FROM pg_roles WHERE rolname = current_user")
        .fetch_one(&mut *server)
        .await
        .step(STEP)?;
    if !superuser {
        // To give the database to the owner, one must be able to act as it.
        run(server, format!("GRANT {OWNER} TO CURRENT_USER"), STEP).await?;
    }
    Ok(())
}

/// Refuses roles that somebody made, or made stronger, by hand.
async fn check_roles(server: &mut PgConnection) -> Result<(), ProvisionError> {
    const STEP: &str = "checking the roles";
    let excess: Option<(String, String)> = sqlx::query_as(
        "SELECT rolname::text, CASE WHEN rolsuper THEN 'is a superuser' \
           WHEN rolbypassrls THEN 'has BYPASSRLS' WHEN rolcreaterole THEN 'has CREATEROLE' \
           WHEN rolreplication THEN 'has REPLICATION' ELSE 'has CREATEDB' END \
         FROM pg_roles WHERE rolname = ANY($1) \
           AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolreplication OR rolcreatedb) \
         UNION ALL \
         SELECT member.rolname::text, format('is a member of %I', granted.rolname) \
         FROM pg_auth_members m JOIN pg_roles member ON member.oid = m.member \
           JOIN pg_roles granted ON granted.oid = m.roleid \
         WHERE member.rolname = ANY($1) AND (member.rolname, granted.rolname) <> ($2, $3) \
         UNION ALL \
         SELECT rolname::text, 'can log in' FROM pg_roles WHERE rolname = $3 AND rolcanlogin \
         LIMIT 1",
    )
    .bind(&ROLES[..])
    .bind(OWNER)
    .bind(DEFINER)
    .fetch_optional(server)
    .await
    .step(STEP)?;
    match excess {
        Some((role, excess)) => Err(ProvisionError::Privileged { role, excess }),
        None => Ok(()),
    }
}

async fn configure(server: &mut PgConnection, login: &Login, verifier: &str) -> Result<(), ProvisionError> {
    let name = login.name;
    let inherit = if login.inherits { "INHERIT" } else { "NOINHERIT" };
    // A verifier is base64 and `$:-`: nothing in it needs quoting.
    run(server, format!("ALTER ROLE {name} LOGIN {inherit} PASSWORD '{verifier}'"), "setting a password")
        .await?;
    let settings = [
        ("search_path", "public, pg_temp"),
        ("statement_timeout", login.statement_timeout),
        ("lock_timeout", login.lock_timeout),
        ("idle_in_transaction_session_timeout", login.idle_in_transaction_timeout),
    ];
    for (setting, value) in settings {
        // A list of schemas is not one quoted word.
        let value = if setting == "search_path" { value.to_owned() } else { format!("'{value}'") };
        run(server, format!("ALTER ROLE {name} SET {setting} = {value}"), "setting a role's limits").await?;
    }
    Ok(())
}

async fn make_database(server: &mut PgConnection, database: &str) -> Result<(), ProvisionError> {
    const STEP: &str = "creating the database";
    let existing: Option<(String, String)> = sqlx::query_as(
        "SELECT pg_encoding_to_char(encoding)::text, pg_get_userbyid(datdba)::text \
         FROM pg_database WHERE datname = $1",
    )
    .bind(database)
    .fetch_optional(&mut *server)
    .await
    .step(STEP)?;
    let name = quoted(database);
    match existing {
        None => {
            let create = format!(
                "CREATE DATABASE {name} OWNER {OWNER} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0"
            );
            run(server, create, STEP).await?;
        }
        Some((encoding, _)) if encoding != "UTF8" => {
            return Err(ProvisionError::Encoding { database: database.to_owned(), encoding });
        }
        Some((_, owner)) if owner != OWNER => {
            run(server, format!("ALTER DATABASE {name} OWNER TO {OWNER}"), STEP).await?;
        }
        Some(_) => {}
    }
    run(server, format!("REVOKE ALL ON DATABASE {name} FROM PUBLIC"), STEP).await?;
    let logins = LOGINS.map(|login| login.name).join(", ");
    run(server, format!("GRANT CONNECT ON DATABASE {name} TO {logins}"), STEP).await
}

async fn own_schema(database: &mut PgConnection) -> Result<(), ProvisionError> {
    const STEP: &str = "securing the schema";
    let statements = [
        format!("ALTER SCHEMA public OWNER TO {OWNER}"),
        "REVOKE ALL ON SCHEMA public FROM PUBLIC".to_owned(),
        // Who is handed a function must be able to create in its schema, for that moment: `definer_function`.
        format!("GRANT USAGE ON SCHEMA public TO {APP}, {APPENDER}, {WORKER}, {DEFINER}"),
        format!("ALTER DEFAULT PRIVILEGES FOR ROLE {OWNER} REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC"),
    ];
    for statement in statements {
        run(database, statement, STEP).await?;
    }
    Ok(())
}

/// Runs a statement that takes no parameters: its parts are our constants, a quoted name, a verifier.
async fn run(server: &mut PgConnection, statement: String, step: &'static str) -> Result<(), ProvisionError> {
    sqlx::raw_sql(AssertSqlSafe(statement)).execute(server).await.step(step)?;
    Ok(())
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

trait Step<T> {
    fn step(self, step: &'static str) -> Result<T, ProvisionError>;
}

impl<T> Step<T> for Result<T, sqlx::Error> {
    fn step(self, step: &'static str) -> Result<T, ProvisionError> {
        self.map_err(|source| {
            let code = source.as_database_error().and_then(|error| error.code());
            // insufficient_privilege
            if code.is_some_and(|code| code == "42501") {
                ProvisionError::Refused { step, source }
            } else {
                ProvisionError::Database { step, source }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(url: &str) -> PgConnectOptions {
        url.parse().unwrap()
    }

    #[test]
    fn tls_is_verified_except_on_this_machine() {
        for local in [
            "postgres://u@localhost/d",
            "postgres://u@127.0.0.1/d",
            "postgres://u@[::1]/d",
            "postgres://u@localhost/d?sslmode=disable",
            "postgres://u@%2Fvar%2Frun%2Fpostgresql/d",
        ] {
            let given = options(local);
            let kept = require_tls(&given).unwrap();
            assert_eq!(
                format!("{:?}", kept.get_ssl_mode()),
                format!("{:?}", given.get_ssl_mode()),
                "{local}"
            );
        }
        for (url, held) in [
            ("postgres://u@db.example.com/d", true),
            ("postgres://u@db.example.com/d?sslmode=require", true),
            ("postgres://u@10.0.0.7/d?sslmode=prefer", true),
            ("postgres://u@db.example.com/d?sslmode=disable", false),
            ("postgres://u@localhost.example.com/d?sslmode=allow", false),
        ] {
            match require_tls(&options(url)) {
                Ok(kept) => assert!(held && matches!(kept.get_ssl_mode(), PgSslMode::VerifyFull), "{url}"),
                Err(_) => assert!(!held, "{url}"),
            }
        }
    }

    #[test]
    fn logins_do_not_print_their_passwords() {
        let logins = Logins::of(&options("postgres://u@localhost/d"), "c", &|_| "canary".into());
        assert!(!format!("{logins:?}").contains("canary"));
    }
}
