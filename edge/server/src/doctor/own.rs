//! This installation: files, database, record, configuration.

use anyhow::{Context as _, bail};
use chancery_config::Config;
use chancery_doctor::{
    Check, Code, Expected, Finding, Guarded, Report, Trusted, begin_reading, examine as examine_tenants,
};
use chancery_model::SystemClock;
use chancery_store::embedded::SUPERUSER;
use chancery_store::provision::{APPENDER, DEFINER};
use sqlx::Connection as _;
use sqlx::postgres::{PgConnectOptions, PgConnection};

use super::{Depth, files, posture, record, schema, settings, split_outside, unseen};
use crate::data_dir::holds_cluster;
use crate::database::{Database, migrations};
use crate::installation;

/// The tables that the committer writes, for every organization: `docs/adr/0003`.
pub const RECORD: [&str; 9] = [
    "checkpoints",
    "entries",
    "escalations",
    "heads",
    "idempotency",
    "intents",
    "releases",
    "tiles",
    "token_uses",
];

/// Tables without `org_id`, each with its reason.
pub const INSTALLATION: &[(&str, &str)] = &[
    ("schema_migrations", "which migrations ran; no organization's data"),
    ("installation_keys", "the installation's checkpoint key, sealed by the KEK"),
];

/// `SECURITY DEFINER` functions that reach across organizations, each with how it guards itself; another of
/// the same name, or with another owner, is none of these. What else they do is held by the digest of their
/// text (`schema.txt`).
pub const GUARDED: &[(&str, &str)] = &[
    ("public.find_organization(text)", "gives an id only, for a whole slug, which is public"),
    ("public.find_api_key(uuid, bytea)", "gives one row, to who holds the whole key"),
    (
        "public.touch_api_keys(uuid[], uuid[], timestamp with time zone[], bigint[])",
        "counts uses of keys that exist in the organization named; gives a number",
    ),
    (
        "public.signing_keys_due(timestamp with time zone, timestamp with time zone, integer)",
        "gives ids of keys that are due, a bounded number",
    ),
    (
        "public.connector_credentials_ended(timestamp with time zone, integer)",
        "gives ids of credentials whose time is over, a bounded number",
    ),
    (
        "public.escalations_due(timestamp with time zone, integer)",
        "gives ids of escalations whose time is over, a bounded number",
    ),
    (
        "public.breaker_probe(uuid, uuid, text, timestamp with time zone, integer, interval)",
        "counts a probe of a connector that exists in the organization named; gives yes or no",
    ),
    (
        "public.breaker_note(uuid, uuid, text, timestamp with time zone, boolean, integer, interval, interval)",
        "counts how a call of such a connector ended; gives yes or no",
    ),
    ("public.breaker_abandon(uuid, uuid, text)", "counts a probe of such a connector less; gives nothing"),
];

/// Examines the installation of a configuration.
///
/// # Errors
/// When there is none, or its database does not answer.
pub(super) async fn examine(config: &Config, depth: Depth) -> anyhow::Result<Report> {
    if config.database.url.is_none() && !holds_cluster(&config.data_dir) {
        bail!(
            "there is no installation in `{}`: name its folder with --data-dir or CHANCERY_DATA_DIR",
            config.data_dir.display()
        );
    }
    let (kek, custody) = files::check_kek(config);
    let tls = posture::check_tls(config);
    let mut checks = vec![kek, files::check_data(config)];
    match custody {
        Some(custody) if !tls.findings.iter().any(|it| it.code == Code::DatabaseWithoutTls) => {
            let database = Database::look(config, custody).await?;
            let looked = look(config, &database, depth).await;
            database.close().await?;
            checks.extend(looked?);
        }
        _ => {
            checks.push(unseen("Database", "the database", &"it is opened with the key file, by a safe way"))
        }
    }
    checks.extend([tls, posture::check_configuration(config), posture::check_routes()]);
    Ok(Report { checks })
}

async fn look(config: &Config, database: &Database, depth: Depth) -> anyhow::Result<Vec<Check>> {
    let owner: &PgConnectOptions = &database.logins.owner;
    let mut owner = PgConnection::connect_with(owner)
        .await
        .context("the database does not let its owner in, with the password that the key file gives")?;
    let mut checks = Vec::new();
    checks.extend(whose(&mut owner, database).await?);
    let admin = admin(config)?;
    let mut tenants = examine_tenants(&mut owner, &expected(config, &admin)).await?.checks;
    for finding in tenants.iter_mut().flat_map(|check| &mut check.findings) {
        leave_out_options(&mut finding.fix);
    }
    checks.extend(tenants);
    let mut reading = begin_reading(&mut owner).await?;
    match schema::check(&mut reading, &admin, &migrations()).await {
        Ok(compared) => checks.extend(compared),
        Err(error) => checks.push(unseen("Schema", "the schema", &error)),
    }
    reading.rollback().await?;
    checks.push(settings::check(&mut owner).await?);
    checks.push(settings::check_clock(&mut owner, &SystemClock).await?);
    owner.close().await?;
    if depth == Depth::Record {
        checks.push(record::check(config, database).await);
    }
    Ok(checks)
}

/// Whether database and key file belong together.
async fn whose(owner: &mut PgConnection, database: &Database) -> sqlx::Result<Option<Check>> {
    let ours = database.custody.installation_id();
    let marked = installation::marked(owner).await?;
    Ok(marked.filter(|theirs| *theirs != ours).map(|theirs| {
        let meaning = format!("The key file is of the installation {ours}, and the database of {theirs}.");
        let fix = "Put the database's own key file back: nothing sealed can be read without it.";
        let finding = Finding::new(Code::OtherInstallation, "the database", meaning, fix);
        Check { name: "Installation", seen: theirs.to_string(), findings: vec![finding] }
    }))
}

fn expected(config: &Config, admin: &str) -> Expected {
    let record = RECORD.map(str::to_owned).to_vec();
    let mut trusted = vec![Trusted { role: APPENDER.to_owned(), tables: Some(record) }];
    if config.database.url.is_none() {
        // Nobody but this server and its operator's commands can be the superuser of a cluster of its own.
        trusted.push(Trusted { role: SUPERUSER.to_owned(), tables: None });
    }
    Expected {
        column: "org_id".to_owned(),
        schemas: Vec::new(),
        trusted,
        // Provisioning makes the roles, and so whom it connects as may.
        administrators: vec![admin.to_owned()],
        guarded: GUARDED.iter().map(|(function, _)| guarded(function)).collect(),
        whole_cluster: config.database.url.is_none(),
        by_hand: false,
    }
}

fn guarded(function: &str) -> Guarded {
    Guarded { function: function.to_owned(), owner: Some(DEFINER.to_owned()) }
}

/// Of one's own database nobody says that something is meant to be so: a fix ends before it offers an option
/// for that.
fn leave_out_options(fix: &mut String) {
    let (mut rest, mut last) = (fix.as_str(), None);
    while let Some((before, after)) = split_outside(rest, "; or, ") {
        last = Some((fix.len() - rest.len() + before.len(), after));
        rest = after;
    }
    let option = last.filter(|(_, last)| split_outside(last, "--").is_some());
    if let Some(at) = option.map(|(at, _)| at) {
        fix.truncate(at);
        fix.push('.');
    }
}

/// Whom the database's URL names, who has to be a member of our roles where it is no superuser.
fn admin(config: &Config) -> anyhow::Result<String> {
    use secrecy::ExposeSecret as _;
    let Some(url) = &config.database.url else { return Ok(SUPERUSER.to_owned()) };
    let options: PgConnectOptions =
        url.expose_secret().parse().ok().context("`database.url` does not read as a Postgres URL")?;
    Ok(options.get_username().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fix_offers_no_option_that_is_not_there() {
        for (fix, left) in [
            (
                "ALTER ROLE a NOSUPERUSER; or, where it is meant to, --trusted-role.",
                "ALTER ROLE a NOSUPERUSER.",
            ),
            (
                "Compare; or make it; or, once somebody has read it, --guarded-function.",
                "Compare; or make it.",
            ),
            (
                "REVOKE \"a; or, --b\" FROM \"c\"; or, where \"d; or, --\" is meant to, --trusted-role.",
                "REVOKE \"a; or, --b\" FROM \"c\".",
            ),
            ("REVOKE \"a; or, --b\" FROM \"c\";", "REVOKE \"a; or, --b\" FROM \"c\";"),
            ("Do this; or, where that is so, do that.", "Do this; or, where that is so, do that."),
        ] {
            let mut fix = fix.to_owned();
            leave_out_options(&mut fix);
            assert_eq!(fix, left);
        }
    }
}
