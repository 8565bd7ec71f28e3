//! The operator's commands: on the data directory, beside a running server or without one.

use std::time::Duration;

use anyhow::Context as _;
use chancery_config::Config;
use chancery_model::Slug;
use chancery_record::checkpoint::checkpoint_signer;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use secrecy::ExposeSecret as _;
use serde_json::json;

use crate::assemble::{Books, Surroundings};
use crate::consent::Consent;
use crate::database::Database;
use crate::founding::{Founded, Founding};
use crate::kek;
use crate::serve::advise_backup;
use crate::terminal::{Style, Terminal};

/// Opens the books of an installation for one command, and closes them after it, whatever came of it.
pub(crate) async fn with_books<T>(
    config: &Config,
    act: impl AsyncFnOnce(&Books) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let around = Surroundings::system();
    let database = Database::existing(config, &*around.random).await?;
    over(config, around, database, act).await
}

async fn over<T>(
    config: &Config,
    around: Surroundings,
    database: Database,
    act: impl AsyncFnOnce(&Books) -> anyhow::Result<T>,
) -> anyhow::Result<T> {
    let outcome = match Books::open(config, &database, &around).await {
        Ok(books) => {
            let outcome = act(&books).await;
            books.close().await;
            outcome
        }
        Err(error) => Err(error),
    };
    database.close().await?;
    outcome
}

/// `org create`: founds organizations and shows their admins' keys.
///
/// # Errors
/// At the first that can't be founded; those before it stand, and their keys were shown.
pub async fn create_orgs(
    config: &Config,
    foundings: Vec<Founding>,
    as_json: bool,
    terminal: Terminal,
) -> anyhow::Result<()> {
    let around = Surroundings::system();
    let database = Database::reach(config, &*around.random).await?;
    over(config, around, database, async |books| {
        let first = books.store.organizations().await?.is_empty();
        for (number, founding) in foundings.into_iter().enumerate() {
            let founded = books.found(founding).await?;
            if first && number == 0 && !as_json {
                advise_backup(config, terminal)?;
            }
            show_founded(&founded, as_json, terminal)?;
        }
        Ok(())
    })
    .await
}

fn show_founded(founded: &Founded, as_json: bool, terminal: Terminal) -> anyhow::Result<()> {
    let key = founded.admin_key.expose_secret();
    if as_json {
        return Ok(terminal.line(json!({"id": founded.org, "slug": founded.slug, "admin_key": key}))?);
    }
    terminal.line(format_args!("The organization `{}` was made ({}).", founded.slug, founded.org))?;
    terminal.line("The key of its admin, shown only now:")?;
    terminal.gap()?;
    Ok(terminal.line(format_args!("  {}", terminal.paint(Style::Bold, key)))?)
}

/// `org admin-key`: makes another admin's key for an organization, and shows it.
///
/// # Errors
/// When there is no such organization, or the database refuses.
pub async fn make_admin_key(
    config: &Config,
    slug: &Slug,
    as_json: bool,
    terminal: Terminal,
) -> anyhow::Result<()> {
    let made = with_books(config, async |books| books.another_key(slug).await).await?;
    let key = made.key.expose_secret();
    if as_json {
        let told = json!({"id": made.org, "slug": slug, "member": made.admin, "admin_key": key});
        return Ok(terminal.line(told)?);
    }
    terminal.line(format_args!("Another key for the admin {} of `{slug}`, shown only now:", made.admin))?;
    terminal.gap()?;
    terminal.line(format_args!("  {}", terminal.paint(Style::Bold, key)))?;
    terminal.gap()?;
    Ok(terminal.line("A key that was lost is revoked with `chancery keys revoke`.")?)
}

/// `trust export`: the public half of the installation's checkpoint key, which `--trust` takes.
///
/// # Errors
/// When the database can't be had.
pub async fn export_trust(config: &Config, terminal: Terminal) -> anyhow::Result<()> {
    let vkey =
        with_books(config, async |books| Ok(checkpoint_signer(&books.store).await?.vkey().to_string()))
            .await?;
    Ok(terminal.line(vkey)?)
}

/// `kek rotate`: a new version of the KEK with every key under it; with `resume`, no new version.
///
/// # Errors
/// When the key file or the database refuses; the command can be repeated.
pub async fn rotate_kek(config: &Config, resume: bool, terminal: Terminal) -> anyhow::Result<()> {
    with_books(config, async |books| {
        let keyring = books.store.keyring();
        if !resume {
            let version = keyring.custody().add_version(&**keyring.random())?;
            terminal
                .line(format_args!("version {version} of the KEK is in {}", config.kek_file.display()))?;
        }
        let progress = bar("organizations");
        let rotated = kek::rewrap_all(&books.store, &books.recorder, &progress)
            .await
            .context("broken off; `chancery kek rotate --resume` goes on")?;
        progress.finish_and_clear();
        terminal.line(format_args!(
            "{} keys wrapped anew, {} already were; back the key file up again",
            rotated.rewrapped, rotated.skipped
        ))?;
        Ok(())
    })
    .await
}

/// `kek drop`: destroys the versions of the KEK that wrap nothing any more.
///
/// # Errors
/// When any key is still wrapped under one of them, or the operator does not consent: then none is
/// destroyed.
pub async fn drop_kek_versions(config: &Config, consent: Consent, terminal: Terminal) -> anyhow::Result<()> {
    let (active, older) = with_books(config, async |books| {
        let custody = books.store.keyring().custody();
        let active = custody.active_version();
        kek::none_wrapped_before(&books.store, active).await?;
        Ok((active, custody.versions_before(active)))
    })
    .await?;
    if older == 0 {
        return Ok(terminal.line(format_args!("there is no version of the KEK before {active} to drop"))?);
    }
    // With nothing open, which a server may want meanwhile; dropping looks again at what wraps.
    let question = format!(
        "This destroys what the key file holds of the KEK before version {active} ({older} in number), for \
         good: backups of the database from before the last rotation can't be read without it.\n\
         To go on, type the number of the version that stays, {active}:"
    );
    consent.obtain(question, active.to_string()).await?;
    let dropped = with_books(config, async |books| Ok(kek::drop_before(&books.store, active).await?)).await?;
    let versions = if dropped == 1 { "version" } else { "versions" };
    terminal.line(format_args!(
        "{dropped} {versions} of the KEK before {active} dropped from {}",
        config.kek_file.display()
    ))?;
    Ok(terminal.line(
        "Backups of the database from before the last rotation can't be read with it; back it up again.",
    )?)
}

/// A bar on standard error when that is a terminal, nothing otherwise.
pub(crate) fn bar(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(0), ProgressDrawTarget::stderr());
    let style = ProgressStyle::with_template("{bar:40} {pos}/{len} {msg} ({per_sec}, {eta})");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
    bar.set_message(what);
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}
