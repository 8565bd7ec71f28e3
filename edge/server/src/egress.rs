//! The way out as the configuration says, and the command that asks it.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chancery_config::Config;
use chancery_egress::{Egress, Limits, Reach, Report, Rules, Settings, Verdict};
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::terminal::{Style, Terminal};

/// The way out. `listeners` are the addresses on which this process answers, which it never reaches;
/// what the configuration says of them is refused too, for the port may be bound by a server beside us.
///
/// # Errors
/// When the file of authorities does not read, or TLS or the resolver can't be set up.
pub fn open(config: &Config, listeners: &[SocketAddr]) -> anyhow::Result<Egress> {
    let egress = &config.egress;
    let extra_roots_pem = match &egress.ca_file {
        Some(file) => {
            let bytes = fs::read(file).with_context(|| format!("`{}` can't be read", file.display()))?;
            // A file without a certificate is not what the operator meant.
            if !bytes.windows(BEGIN.len()).any(|window| window == BEGIN) {
                bail!("`{}` holds no certificate in PEM", file.display());
            }
            bytes
        }
        None => Vec::new(),
    };
    let mut own = listeners.to_vec();
    own.push(config.server.listen);
    let name_servers =
        egress.name_servers.iter().filter_map(|text| chancery_config::Egress::name_server(text));
    let settings = Settings {
        rules: Rules {
            allow: parsed("egress.allow", &egress.allow)?,
            allow_plain_http: parsed("egress.allow_plain_http", &egress.allow_plain_http)?,
            nat64: parsed("egress.nat64_prefixes", &egress.nat64_prefixes)?,
            listeners: own,
        },
        name_servers: name_servers.collect(),
        extra_roots_pem,
        ..Settings::default()
    };
    Egress::new(settings).context("the way out can't be set up")
}

const BEGIN: &[u8] = b"-----BEGIN CERTIFICATE-----";

fn parsed<T>(key: &str, values: &[String]) -> anyhow::Result<Vec<T>>
where
    T: std::str::FromStr,
    T::Err: std::error::Error + Send + Sync + 'static,
{
    values.iter().map(|value| value.parse().with_context(|| format!("`{key}`"))).collect()
}

/// The limits of a request that has none of its own.
#[must_use]
pub fn limits(config: &chancery_config::Egress) -> Limits {
    Limits {
        connect: Duration::from_millis(config.connect_timeout_ms),
        head: Duration::from_millis(config.head_timeout_ms),
        total: Duration::from_millis(config.timeout_ms),
        body_bytes: config.body_limit_bytes,
    }
}

/// `egress check`: says of each URL whether it may be reached, in the order given.
///
/// # Errors
/// When any may not, or standard input does not read.
pub async fn check(
    config: &Config,
    urls: Vec<String>,
    as_json: bool,
    terminal: Terminal,
) -> anyhow::Result<()> {
    let egress = open(config, &[])?;
    let patience = limits(&config.egress).connect;
    let from_input = urls.is_empty() || urls == ["-"];
    let given: Box<dyn Iterator<Item = io::Result<String>>> =
        if from_input { Box::new(io::stdin().lines()) } else { Box::new(urls.into_iter().map(Ok)) };
    let (mut asked, mut refused, mut unresolved) = (0_usize, 0_usize, 0_usize);
    for url in given {
        let url = url.context("standard input does not read")?;
        // A line without text is no URL; a URL with blanks around it is one that is refused.
        if from_input && url.is_empty() {
            continue;
        }
        let report = egress.check(&url, Reach::Allowed, Instant::now() + patience).await;
        asked += 1;
        match report.verdict {
            Verdict::Allowed(_) => {}
            Verdict::Refused(_) => refused += 1,
            Verdict::Unresolved(_) => unresolved += 1,
        }
        if as_json {
            terminal.line(told(&url, &report))?;
        } else {
            let style = if report.is_allowed() { Style::Good } else { Style::Bad };
            // Escaped, so that no URL writes to the terminal what it likes.
            terminal.line(format_args!(
                "{}  {}",
                url.escape_debug(),
                terminal.paint(style, &report.verdict)
            ))?;
        }
    }
    match (refused, unresolved) {
        (0, 0) => Ok(()),
        (_, 0) => bail!("{refused} of {asked} may not be reached"),
        _ => bail!(
            "of {asked}, {refused} may not be reached, and {unresolved} have a name that does not resolve"
        ),
    }
}

fn told(url: &str, report: &Report) -> Value {
    let (verdict, reason, addresses) = match &report.verdict {
        Verdict::Allowed(places) => ("allowed", None, places.iter().map(ToString::to_string).collect()),
        Verdict::Refused(refusal) => ("refused", Some(refusal.to_string()), Vec::new()),
        Verdict::Unresolved(why) => ("unresolved", Some(why.clone()), Vec::new()),
    };
    let origin = report.target.as_ref().map(ToString::to_string);
    json!({"url": url, "origin": origin, "verdict": verdict, "reason": reason, "addresses": addresses})
}
