//! `serve`: the server for real use.

use std::path::{Path, PathBuf};

use anyhow::bail;
use chancery_config::Config;
use secrecy::ExposeSecret as _;
use tokio::signal::unix::{SignalKind, signal};

use crate::app::public_url;
use crate::assemble::{Running, Surroundings};
use crate::founding::{Founded, Founding};
use crate::terminal::{Style, Terminal};

/// Where a client looks for the server unless told otherwise.
pub const USUAL_SERVER: &str = "http://127.0.0.1:8420";

/// Serves until SIGTERM or SIGINT; a second signal does not wait for anything.
///
/// # Errors
/// When the server does not start, or can't go on.
pub async fn serve(config: Config, organization: &str, terminal: Terminal) -> anyhow::Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let organization = Founding::new(organization, None)?;
    let running = Running::start(&config, Surroundings::system()).await?;
    let told = welcome(&config, &running, organization, terminal).await;
    let outcome = match told {
        Err(error) => Err(error),
        Ok(()) => tokio::select! {
            _ = terminate.recv() => Ok(()),
            _ = interrupt.recv() => Ok(()),
            () = running.lost.cancelled() => Err(anyhow::anyhow!("what the server needs was lost; the log says what")),
        },
    };
    tracing::info!("stopping");
    tokio::select! {
        stopped = running.stop() => stopped?,
        _ = terminate.recv() => bail!("stopped at the second signal, without waiting"),
        _ = interrupt.recv() => bail!("stopped at the second signal, without waiting"),
    }
    tracing::info!("stopped");
    outcome
}

/// Tells where the server is; at the first start also founds the organization and shows its key.
async fn welcome(
    config: &Config,
    running: &Running,
    organization: Founding,
    terminal: Terminal,
) -> anyhow::Result<()> {
    let url = public_url(&config.server, running.address);
    tracing::info!(address = %running.address, "listening");
    let first = running.books.store.organizations().await?.is_empty();
    let founded = if first { Some(running.books.found(organization).await?) } else { None };
    if first {
        advise_backup(config, terminal)?;
    }
    terminal.line(format_args!("chancery serves at {}", terminal.paint(Style::Bold, &url)))?;
    terminal.line(format_args!("its record is signed by {}", running.vkey))?;
    match founded {
        Some(founded) => introduce(&founded, &url, running, terminal),
        None => Ok(()),
    }
}

/// Said when the first organization is made: from then on there is something to lose.
pub(crate) fn advise_backup(config: &Config, terminal: Terminal) -> anyhow::Result<()> {
    let kek = config.kek_file.display();
    terminal.line(terminal.paint(Style::Bold, format_args!("The key file of this installation is {kek}")))?;
    terminal.line("Back it up now. Without it, nothing that this installation sealed can be read again.")?;
    Ok(terminal.gap()?)
}

fn introduce(founded: &Founded, url: &str, running: &Running, terminal: Terminal) -> anyhow::Result<()> {
    let program = program();
    let server = if url == USUAL_SERVER { String::new() } else { format!(" --server {url}") };
    let key = founded.admin_key.expose_secret();
    terminal.gap()?;
    terminal.line(format_args!(
        "The organization `{}` was made. The key of its admin, shown only now:",
        founded.slug
    ))?;
    terminal.gap()?;
    terminal.line(format_args!("  {}", terminal.paint(Style::Bold, key)))?;
    let steps = [
        ("apply a policy pack", format!("{program} packs apply payments{server}")),
        // What an agent of the admin's asks, nobody could approve whom the admin made.
        (
            "make somebody who runs agents",
            format!(
                "{program} members create Olga --email olga@example.org --role operator --audience billing \
                 --scope agents:manage,keys:manage,intents:submit,intents:read,tokens:verify \
                 --save-key olga.key{server}"
            ),
        ),
        (
            "make an agent as they, with a key of its own",
            format!(
                "{program} agents create \"My first agent\" --audience billing --key-file olga.key \
                 --save-key agent.key{server}"
            ),
        ),
        (
            "submit an intent as the agent",
            format!(
                "{program} intents submit payments.refund Payment/pay_1 --arg amount=40 --arg currency=EUR \
                 --arg reason=duplicate --connector billing --save-evidence evidence.json --key-file agent.key{server}"
            ),
        ),
        (
            "verify the evidence, offline",
            format!("{program} verify evidence.json --trust '{}'", running.vkey),
        ),
    ];
    terminal.gap()?;
    terminal.line("Five commands to begin with, for another terminal, which is told the key first:")?;
    terminal.gap()?;
    // Not as an argument of each: everybody on the machine can read those of a running program.
    terminal
        .line(format_args!("  {}", terminal.paint(Style::Command, format!("export CHANCERY_KEY={key}"))))?;
    for (number, (what, command)) in steps.iter().enumerate() {
        terminal.gap()?;
        terminal.line(format_args!("  {}. {what}", number + 1))?;
        terminal.line(format_args!("  {}", terminal.paint(Style::Command, command)))?;
    }
    terminal.gap()?;
    Ok(())
}

/// How to call this program from any folder, so that what is printed can be copied: its name, when
/// that is how it was called, else its path.
fn program() -> String {
    let called = std::env::args_os().next().map(PathBuf::from).unwrap_or_default();
    let path = std::env::current_exe().ok().filter(|_| called.components().count() > 1);
    let plain = |text: &str| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"/_-.".contains(&b));
    path.as_deref().and_then(Path::to_str).filter(|text| plain(text)).unwrap_or("chancery").to_owned()
}
