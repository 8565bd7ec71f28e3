//! What one organization that floods the server does to another.

use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;

use crate::load::{self, Outcome, Target};
use crate::scenario::submit;
use crate::setting::{Disk, Setting};

/// Its name.
pub(crate) const NAME: &str = "a neighbour of one that floods";

/// Limits of each organization and key, in requests a minute.
const PER_MINUTE: &str = "6000";
/// Connections of the quiet one, and the pause of each between two requests: 80 a second in all.
const QUIET: (usize, Duration) = (8, Duration::from_millis(100));
/// Connections of the one that floods, without any pause.
const FLOOD: usize = 64;

/// How the quiet organization fares.
#[derive(Debug)]
pub(crate) struct Neighbours {
    /// By itself.
    pub(crate) alone: Outcome,
    /// Beside the flood.
    pub(crate) flooded: Outcome,
    /// What became of the flood.
    pub(crate) flood: Outcome,
}

/// Measures one organization alone, then beside another that sends as much as it can.
pub(crate) async fn measure(server: &Path, time: Duration) -> anyhow::Result<Neighbours> {
    let environment = [
        ("CHANCERY_LIMITS__KEY_PER_MINUTE", PER_MINUTE),
        ("CHANCERY_LIMITS__KEY_BURST", "200"),
        ("CHANCERY_LIMITS__ORGANIZATION_PER_MINUTE", PER_MINUTE),
        ("CHANCERY_LIMITS__ORGANIZATION_BURST", "200"),
    ];
    let setting = Setting::with(server, Disk::AsItIs, &environment)?;
    let keys = setting.found_many(1)?;
    let quiet = target(&setting, keys.first().context("no neighbour")?);
    let flood = target(&setting, &setting.agent_key);
    let (connections, pause) = QUIET;
    load::paced(&quiet, connections, pause, Duration::from_secs(1)).await?;
    let alone = load::paced(&quiet, connections, pause, time).await?;
    let (flooded, flood) = tokio::try_join!(
        load::paced(&quiet, connections, pause, time),
        load::paced(&flood, FLOOD, Duration::ZERO, time),
    )?;
    Ok(Neighbours { alone, flooded, flood })
}

fn target(setting: &Setting, key: &str) -> Target {
    let requests = (0..64).map(|number| submit(key, number * 10, false)).collect();
    Target { address: setting.address().to_owned(), requests: Rc::new(requests), once: None }
}
