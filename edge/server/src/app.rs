//! The parts that requests find, from the configuration.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use chancery_approve::Waits;
use chancery_authenticate::{Authenticator, Entrance, KnownEpochs};
use chancery_config::{Config, Server};
use chancery_connectors::Stops;
use chancery_decide::{Catalogue, Layer, ParseCache, Policies, PolicySource, check_policy};
use chancery_egress::Egress;
use chancery_execute::Executor;
use chancery_http::{App, Bounds, Edge, Origins, Proxies, Witness};
use chancery_keys::LastUsed;
use chancery_mint::{KeyPool, SigningKeys, Stock};
use chancery_model::Clock;
use chancery_policies::PolicyCache;
use chancery_screen::{Limits, Rate, Rates};
use metrics_exporter_prometheus::PrometheusHandle;
use tokio_util::task::TaskTracker;

use crate::assemble::{Books, Surroundings};

/// Makes the parts.
///
/// # Errors
/// When the installation's policies do not read.
pub(crate) fn make(
    config: &Config,
    books: &Books,
    around: Surroundings,
    (witness, egress): (Witness, Egress),
    (last_used, metrics): (Arc<LastUsed>, PrometheusHandle),
) -> anyhow::Result<Arc<App>> {
    let store = books.store.clone();
    let epochs = KnownEpochs::default();
    let authenticator = Authenticator::new(
        store.clone(),
        Arc::clone(&around.clock),
        books.prefix.clone(),
        books.roles,
        epochs.clone(),
        last_used,
    );
    let policies = installation_policies(config.policies.installation_dir.as_deref())?;
    let (clock, random) = (Arc::clone(&around.clock), Arc::clone(&around.random));
    Ok(Arc::new(App {
        executor: Executor::new(
            store.clone(),
            (egress, crate::egress::limits(&config.egress)),
            clock,
            random,
        ),
        calls: TaskTracker::new(),
        entrance: Entrance::new(store.clone(), epochs),
        store,
        authenticator,
        edge: edge(&config.server)?,
        limits: limits(config, Arc::clone(&around.clock)),
        policies: PolicyCache::new(policies),
        stops: Stops::default(),
        signing_keys: SigningKeys::default(),
        key_pool: KeyPool::fill(Stock::default()),
        witness,
        waits: Waits::default(),
        recorder: books.recorder.clone(),
        clock: around.clock,
        random: around.random,
        metrics,
        bounds: bounds(&config.server),
        key_prefix: books.prefix.clone(),
        issuer_base: issuer_base(&config.server, books),
    }))
}

fn bounds(server: &Server) -> Bounds {
    let request_time = Duration::from_millis(server.request_timeout_ms);
    // Sooner than the whole: who sends no body is told so, and not that the outcome is unknown.
    let body_time = Bounds::default().body_time.min(request_time / 2);
    Bounds { body_bytes: server.body_limit_bytes, body_time, request_time }
}

fn limits(config: &Config, clock: Arc<dyn Clock>) -> Limits {
    let limits = &config.limits;
    let rate = |per_minute, burst| Rate { per_minute, burst };
    let rates = Rates {
        key: rate(limits.key_per_minute, limits.key_burst),
        organization: rate(limits.organization_per_minute, limits.organization_burst),
        address: rate(limits.address_per_minute, limits.address_burst),
        door: rate(limits.door_per_minute, limits.door_burst),
    };
    Limits::new(&rates, clock)
}

/// Proxies are believed only where one is said to stand in front.
fn edge(server: &Server) -> anyhow::Result<Edge> {
    let proxies: &[String] = if server.behind_proxy { &server.trusted_proxies } else { &[] };
    let proxies = proxies.iter().map(|block| block.parse().context("`server.trusted_proxies`"));
    let origins = server
        .allowed_origins
        .iter()
        .map(|origin| origin.parse().with_context(|| format!("`server.allowed_origins`: `{origin}`")));
    let public = server.public_url.as_deref().is_some_and(|url| url.starts_with("https://"));
    Ok(Edge {
        proxies: Proxies::new(proxies.collect::<anyhow::Result<_>>()?),
        origins: Origins::new(origins.collect::<anyhow::Result<_>>()?),
        https: public || server.tls.files().is_some(),
    })
}

/// What `iss` begins with: the public address where one is configured, else the installation's name.
fn issuer_base(server: &Server, books: &Books) -> String {
    match &server.public_url {
        Some(url) => url.trim_end_matches('/').to_owned(),
        None => format!("urn:chancery:{}", books.store.keyring().custody().installation_id()),
    }
}

/// Where the server is reached, without a slash at the end.
#[must_use]
pub(crate) fn public_url(server: &Server, address: SocketAddr) -> String {
    let scheme = if server.tls.files().is_some() { "https" } else { "http" };
    let url = server.public_url.clone().unwrap_or_else(|| format!("{scheme}://{address}"));
    url.trim_end_matches('/').to_owned()
}

/// The `.cedar` files of the folder, in the order of their names, strictly checked: of a forbid that
/// could never apply nobody would hear later.
fn installation_policies(folder: Option<&Path>) -> anyhow::Result<Vec<PolicySource>> {
    let Some(folder) = folder else { return Ok(Vec::new()) };
    let unreadable = || format!("the installation's policies in `{}` do not read", folder.display());
    let mut sources = Vec::new();
    for file in std::fs::read_dir(folder).with_context(unreadable)? {
        let path = file.with_context(unreadable)?.path();
        if path.extension().is_some_and(|extension| extension == "cedar") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            let text = std::fs::read_to_string(&path).with_context(unreadable)?.into();
            sources.push(PolicySource { id: name.clone(), version: 1, name, text });
        }
    }
    sources.sort_by(|one, two| one.id.cmp(&two.id));
    let nothing = Arc::new(Catalogue::build(Vec::new())?);
    let problems: Vec<_> = sources.iter().flat_map(|source| problems(folder, source, &nothing)).collect();
    if !problems.is_empty() {
        bail!("the installation's policies are refused:\n{}", problems.join("\n"));
    }
    Policies::compile(nothing, &sources, &[], &ParseCache::default()).with_context(unreadable)?;
    Ok(sources)
}

/// What is wrong with a file, each with its place: `path:line:column: message`.
fn problems(folder: &Path, source: &PolicySource, catalogue: &Catalogue) -> Vec<String> {
    let file = folder.join(format!("{}.cedar", source.id));
    let problems = check_policy(&source.text, catalogue, Layer::Installation).err().unwrap_or_default();
    problems.iter().map(|problem| format!("{}:{problem}", file.display())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(files: &[(&str, &str)]) -> anyhow::Result<Vec<PolicySource>> {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            std::fs::write(folder.path().join(name), text).unwrap();
        }
        installation_policies(Some(folder.path()))
    }

    #[test]
    fn installation_policies_are_read_in_order() {
        let found = read(&[
            ("b.cedar", "forbid (principal, action, resource) when { context.risk >= 90 };"),
            ("a.cedar", "forbid (principal, action in Action::\"destructive\", resource);"),
            ("notes.txt", "not a policy"),
        ])
        .unwrap();
        assert_eq!(found.iter().map(|source| source.id.as_str()).collect::<Vec<_>>(), ["a", "b"]);
        assert!(installation_policies(None).unwrap().is_empty());
    }

    #[test]
    fn an_installation_policy_that_could_never_apply_keeps_the_server_from_starting() {
        for (text, place, word) in [
            ("permit (principal, action, resource);", "b.cedar:1:1: ", "can only forbid"),
            ("forbid (principal, action, resource) when { context has never };", "b.cedar:1:1: ", ""),
            (
                "forbid (principal, action, resource) when { context.enviroment == \"live\" };",
                "b.cedar:1:",
                "enviroment",
            ),
            (
                "\nforbid (principal, action == Action::\"payments.refnd\", resource);",
                "b.cedar:2:",
                "payments.refnd",
            ),
            (
                "forbid (principal, action == Action::\"payments.refund\", resource);",
                "b.cedar:1:",
                "payments.refund",
            ),
            ("forbid (principal, action in Action::\"destructiv\", resource);", "b.cedar:1:", "destructiv"),
            ("forbid (principal is Robot, action, resource);", "b.cedar:1:", "Robot"),
            ("forbid (principal, action", "b.cedar:1:", ""),
        ] {
            let good = "forbid (principal, action, resource) when { context.risk >= 90 };";
            let refused = read(&[("a.cedar", good), ("b.cedar", text)]).unwrap_err().to_string();
            assert!(refused.contains(place) && refused.contains(word), "{text}: {refused}");
            assert!(!refused.contains("a.cedar:"), "{refused}");
        }
    }
}
