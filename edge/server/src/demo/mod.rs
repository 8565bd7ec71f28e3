//! `demo`: the whole story over real HTTP, on a server of its own in a temporary folder.
//!
//! One file for each step; each asks the server as anyone would, and checks what comes back.

mod allowed;
mod approved;
mod changed;
mod denied;
mod escalated;
mod evidence;
mod executed;
mod halted;
mod own;
mod redirected;
mod replayed;
mod scene;
mod secret;
mod story;
mod stranger;
mod tampering;
mod upstream;

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use chancery_config::{Config, Sources};
use tempfile::TempDir;

use self::scene::Scene;
use self::story::Story;
use self::upstream::Upstream;
use crate::assemble::{Running, Surroundings};
use crate::logging;
use crate::terminal::Terminal;

/// Tells the story, cleans up, and fails unless every step held.
///
/// # Errors
/// When the server does not start, or anything is not as the story says.
pub async fn run(terminal: Terminal) -> anyhow::Result<()> {
    // Started by root, Postgres runs as someone else, who must pass through.
    let open_to_pass =
        Permissions::from_mode(if rustix::process::geteuid().is_root() { 0o711 } else { 0o700 });
    let folder = tempfile::Builder::new().prefix("chancery-demo-").permissions(open_to_pass).tempdir()?;
    let mut story = Story::begin(terminal, logging::keep())?;
    let upstream = Upstream::start().await?;
    let config = config(&folder, &upstream);
    let running = Running::start(&config, Surroundings::system()).await?;
    let told = tell(&mut story, &running, upstream, (&config, &folder)).await;
    let stopped = running.stop().await;
    folder.close().context("the demo's folder can't be removed")?;
    told?;
    stopped?;
    if story.end()? { Ok(()) } else { bail!("not every step held") }
}

/// The defaults, on a free port; of what is not public, the gateway may be reached. Of the environment only
/// where the Postgres binaries are counts: the story never touches a database that exists.
fn config(folder: &TempDir, upstream: &Upstream) -> Config {
    let mut config = Config::defaults(folder.path());
    let environment = Sources::of_process(None).environment;
    config.database.binaries = environment.get("PG_BIN").filter(|path| !path.is_empty()).map(PathBuf::from);
    config.server.listen = ([127, 0, 0, 1], 0).into();
    // As often as can be: the story waits for checkpoints.
    config.record.checkpoint_interval_ms = 100;
    let gateway = upstream.address.ip().to_string();
    config.egress.allow = vec![gateway.clone()];
    config.egress.allow_plain_http = vec![gateway];
    config
}

async fn tell(
    story: &mut Story,
    running: &Running,
    upstream: Upstream,
    (config, folder): (&Config, &TempDir),
) -> anyhow::Result<()> {
    let scene = Scene::set(story, running, upstream, folder.path()).await?;
    let allowed = allowed::tell(story, &scene).await?;
    replayed::tell(story, &scene, &allowed).await?;
    changed::tell(story, &scene).await?;
    denied::tell(story, &scene).await?;
    let escalated = escalated::tell(story, &scene).await?;
    own::tell(story, &scene, &escalated).await?;
    approved::tell(story, &scene, &escalated).await?;
    executed::tell(story, &scene, &escalated).await?;
    redirected::tell(story, &scene, config).await?;
    halted::tell(story, &scene).await?;
    stranger::tell(story, &scene, &allowed).await?;
    secret::tell(story, &scene, running).await?;
    tampering::tell(story, &scene, running).await?;
    evidence::tell(story, &scene, &escalated).await
}
