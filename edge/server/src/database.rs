//! The database with its key file: found, checked against each other, provisioned and migrated.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, anyhow, bail};
use chancery_config::Config;
use chancery_crypto::{Custody, Random};
use chancery_model::Clock;
use chancery_store::embedded::{Embedded, EmbeddedOptions, SUPERUSER};
use chancery_store::provision::{Logins, provision, require_tls};
use chancery_store::{CommitRight, Migration, PoolSizes, Store, migrate};
use secrecy::{ExposeSecret as _, SecretString};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use crate::data_dir::{DataDir, Held, holds_cluster};
use crate::installation::{self, Found};

/// The database's name in the embedded cluster, and where a URL names none.
const NAME: &str = "chancery";

/// Every table of the server, in the order of need.
#[must_use]
pub fn migrations() -> Vec<Migration> {
    [
        chancery_store::MIGRATIONS,
        chancery_people::MIGRATIONS,
        chancery_keys::MIGRATIONS,
        chancery_policies::MIGRATIONS,
        chancery_mint::MIGRATIONS,
        chancery_record::MIGRATIONS,
        chancery_approve::MIGRATIONS,
        chancery_connectors::MIGRATIONS,
        chancery_execute::MIGRATIONS,
    ]
    .concat()
}

/// A database that is ready for use, with the key file that opens what is sealed in it.
#[derive(Debug)]
pub struct Database {
    /// The cluster, when it is the embedded one and this process runs it.
    pub embedded: Option<Embedded>,
    /// How to log in.
    pub logins: Logins,
    /// The key file.
    pub custody: Arc<Custody>,
    /// Held as long as this process is the data directory's.
    pub data_dir: Option<DataDir>,
}

impl Database {
    /// Opens the database as the server does: alone in the data directory.
    ///
    /// # Errors
    /// When another process has the data directory, the key file is missing or another's, or the
    /// database can't be had.
    pub async fn open(config: &Config, random: &dyn Random) -> anyhow::Result<Self> {
        match DataDir::take(&config.data_dir)? {
            Held::Ours(data_dir) => Self::own(config, random, data_dir).await,
            Held::Theirs => bail!(
                "the data directory `{}` is in use by another running chancery",
                config.data_dir.display()
            ),
        }
    }

    /// Opens the database of an installation for a command that does not make one: a folder named by
    /// mistake must not become an installation with a key of its own.
    ///
    /// # Errors
    /// When there is none; else as [`Database::open`].
    pub async fn existing(config: &Config, random: &dyn Random) -> anyhow::Result<Self> {
        let made = match external(config).await? {
            Some((options, database)) => installation::find(&options, &database).await? != Found::Nothing,
            None => holds_cluster(&config.data_dir),
        };
        if !made {
            bail!(
                "there is no installation in `{}`: name its folder with --data-dir or CHANCERY_DATA_DIR; \
                 `chancery serve` makes one",
                config.data_dir.display()
            );
        }
        Self::reach(config, random).await
    }

    /// Opens the database for a command: beside the server that runs, or alone when none does.
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn reach(config: &Config, random: &dyn Random) -> anyhow::Result<Self> {
        match DataDir::take(&config.data_dir)? {
            Held::Ours(data_dir) => Self::own(config, random, data_dir).await,
            Held::Theirs => Self::join(config).await,
        }
    }

    async fn own(config: &Config, random: &dyn Random, data_dir: DataDir) -> anyhow::Result<Self> {
        let external = external(config).await?;
        let (admin, name, embedded, custody);
        match external {
            Some((options, database)) => {
                let found = installation::find(&options, &database).await?;
                custody = open_custody(&config.kek_file, found != Found::Nothing, random)?;
                (admin, name, embedded) = (options, database, None);
            }
            None => {
                let holds_data = holds_cluster(&config.data_dir);
                custody = open_custody(&config.kek_file, holds_data, random)?;
                let running = start(config, &custody, &data_dir).await?;
                (admin, name, embedded) = (running.superuser(), NAME.to_owned(), Some(running));
            }
        }
        installation::check(installation::find(&admin, &name).await?, custody.installation_id())?;
        let logins = provision(&admin, &name, &|role| password(&custody, role), random).await?;
        installation::mark(&admin, custody.installation_id()).await?;
        migrate(&logins.owner, &migrations()).await?;
        Ok(Self { embedded, logins, custody: Arc::new(custody), data_dir: Some(data_dir) })
    }

    async fn join(config: &Config) -> anyhow::Result<Self> {
        let custody = Custody::load(&config.kek_file)?;
        let (admin, name) = match external(config).await? {
            Some(external) => external,
            None => {
                let options = Embedded::join(&config.data_dir, &password(&custody, SUPERUSER)).await?;
                (options, NAME.to_owned())
            }
        };
        installation::check(installation::find(&admin, &name).await?, custody.installation_id())?;
        let logins = Logins::of(&admin, &name, &|role| password(&custody, role));
        Ok(Self { embedded: None, logins, custody: Arc::new(custody), data_dir: None })
    }

    /// Opens the database to look at it, beside a server that runs or without one: nothing is made,
    /// provisioned or migrated.
    ///
    /// # Errors
    /// When there is none, or the embedded one can't be had.
    pub async fn look(config: &Config, custody: Custody) -> anyhow::Result<Self> {
        let (mut embedded, mut data_dir) = (None, None);
        let (admin, name) = match external_options(config)? {
            Some(external) => external,
            None => {
                let admin = match DataDir::take(&config.data_dir)? {
                    Held::Theirs => Embedded::join(&config.data_dir, &password(&custody, SUPERUSER)).await?,
                    Held::Ours(held) => {
                        let running = start(config, &custody, &held).await?;
                        data_dir = Some(held);
                        embedded.insert(running).superuser()
                    }
                };
                (admin, NAME.to_owned())
            }
        };
        let logins = Logins::of(&admin, &name, &|role| password(&custody, role));
        Ok(Self { embedded, logins, custody: Arc::new(custody), data_dir })
    }

    /// Opens the pools.
    ///
    /// # Errors
    /// When a login can't connect.
    pub async fn connect(
        &self,
        sizes: PoolSizes,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> anyhow::Result<(Store, CommitRight)> {
        Store::connect(&self.logins, sizes, Arc::clone(&self.custody), clock, random)
            .await
            .context("the database does not answer")
    }

    /// Stops the cluster, where it is ours, and lets go of the data directory.
    ///
    /// # Errors
    /// When Postgres does not end.
    pub async fn close(self) -> anyhow::Result<()> {
        if let Some(embedded) = self.embedded {
            embedded.stop().await?;
        }
        Ok(())
    }
}

/// Starts the embedded cluster of a data directory.
async fn start(config: &Config, custody: &Custody, data_dir: &DataDir) -> anyhow::Result<Embedded> {
    let options = EmbeddedOptions {
        data_dir: data_dir.path().to_owned(),
        binaries: config.database.binaries.clone(),
        superuser_password: password(custody, SUPERUSER),
        settings: Vec::new(),
    };
    Ok(Embedded::start(options).await?)
}

/// The external database, where one is configured, and its name.
fn external_options(config: &Config) -> anyhow::Result<Option<(PgConnectOptions, String)>> {
    let Some(url) = &config.database.url else { return Ok(None) };
    // The parser's error may quote the URL, which holds a password.
    let options: PgConnectOptions =
        url.expose_secret().parse().map_err(|_| anyhow!("`database.url` does not read as a Postgres URL"))?;
    let options = require_tls(&options)?;
    let name = options.get_database().unwrap_or(NAME).to_owned();
    Ok(Some((options.database(&name), name)))
}

/// The same, connected to once; or the database that every cluster has, where it is still to be made.
async fn external(config: &Config) -> anyhow::Result<Option<(PgConnectOptions, String)>> {
    let Some((named, name)) = external_options(config)? else { return Ok(None) };
    match PgConnection::connect_with(&named).await {
        Ok(connection) => {
            connection.close().await?;
            Ok(Some((named, name)))
        }
        Err(error) if is_missing_database(&error) => Ok(Some((named.database("postgres"), name))),
        Err(error) => Err(error).context("the database does not answer"),
    }
}

fn is_missing_database(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "3D000")
}

/// Reads the key file. Makes one only for an installation that has no data: to any other it would
/// be as good as none.
fn open_custody(path: &Path, holds_data: bool, random: &dyn Random) -> anyhow::Result<Custody> {
    let exists = path.symlink_metadata().is_ok();
    if exists || holds_data {
        return Ok(Custody::load(path)?);
    }
    Ok(Custody::create(path, random)?)
}

/// A login's password: derived, so that it is stored nowhere but in the key file.
fn password(custody: &Custody, role: &str) -> SecretString {
    use std::fmt::Write as _;
    let secret = custody.derive(&format!("postgres/{role}"));
    let hex = secret.iter().fold(String::with_capacity(64), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    });
    SecretString::from(hex)
}

#[cfg(test)]
mod tests {
    use super::*;
    use chancery_crypto::SystemRandom;

    #[test]
    fn a_key_file_is_made_only_where_there_is_no_data() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let missing = open_custody(&path, true, &SystemRandom).unwrap_err().to_string();
        assert!(missing.contains("restore it from its backup"), "{missing}");
        assert!(!path.exists());
        let made = open_custody(&path, false, &SystemRandom).unwrap();
        let found = open_custody(&path, false, &SystemRandom).unwrap();
        assert_eq!(found.installation_id(), made.installation_id());
    }

    #[test]
    fn each_login_has_its_own_password_and_keeps_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kek");
        let custody = Custody::create(&path, &SystemRandom).unwrap();
        let of = |role| password(&custody, role).expose_secret().to_owned();
        assert_eq!(of("a").len(), 64);
        assert_ne!(of("a"), of("b"));
        let again = Custody::load(&path).unwrap();
        assert_eq!(password(&again, "a").expose_secret(), of("a"));
    }

    #[test]
    fn migrations_are_in_order_and_none_stands_twice() {
        let versions: Vec<i32> = migrations().iter().map(|step| step.version).collect();
        assert!(versions.is_sorted_by(|one, two| one < two), "{versions:?}");
    }
}
