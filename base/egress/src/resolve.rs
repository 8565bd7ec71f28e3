//! Names to addresses.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
};
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::Name;

use crate::failure::{Cause, SetupError};

/// An address may have changed hands after this time, whatever its record says.
const MOST_TTL: Duration = Duration::from_secs(60);
/// An answer with more addresses than this is nobody's honest one.
const MOST_ADDRESSES: usize = 64;

#[derive(Clone, Debug)]
pub(crate) struct Resolver(TokioResolver);

impl Resolver {
    /// With these name servers, or with the system's and its hosts file. What either says is judged the
    /// same.
    pub(crate) fn new(name_servers: &[SocketAddr]) -> Result<Self, SetupError> {
        let mut builder = if name_servers.is_empty() {
            TokioResolver::builder_tokio().unwrap_or_else(|error| {
                tracing::warn!(%error, "the system's resolver can't be read: names will not resolve");
                TokioResolver::builder_with_config(
                    ResolverConfig::from_parts(None, Vec::new(), Vec::new()),
                    TokioRuntimeProvider::default(),
                )
            })
        } else {
            let servers = name_servers.iter().map(|server| at(*server)).collect();
            let config = ResolverConfig::from_parts(None, Vec::new(), servers);
            TokioResolver::builder_with_config(config, TokioRuntimeProvider::default())
        };
        let options = builder.options_mut();
        options.ip_strategy = LookupIpStrategy::Ipv4AndIpv6;
        options.use_hosts_file =
            if name_servers.is_empty() { ResolveHosts::Always } else { ResolveHosts::Never };
        options.timeout = Duration::from_secs(2);
        options.positive_max_ttl = Some(MOST_TTL);
        options.negative_max_ttl = Some(MOST_TTL);
        builder.build().map(Self).map_err(|error| SetupError::Resolver(error.to_string()))
    }

    /// Every address of a name, of both families. The name is whole: no domain is searched.
    pub(crate) async fn resolve(&self, name: &str) -> Result<Vec<IpAddr>, Cause> {
        let mut whole = Name::from_ascii(name).map_err(|error| Cause::Resolve(error.to_string()))?;
        whole.set_fqdn(true);
        let answer = self.0.lookup_ip(whole).await.map_err(|error| Cause::Resolve(error.to_string()))?;
        let mut addresses: Vec<IpAddr> = Vec::new();
        for address in answer.iter().map(|address| address.to_canonical()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        match addresses.len() {
            0 => Err(Cause::NoAddress),
            1..=MOST_ADDRESSES => Ok(addresses),
            _ => Err(Cause::Resolve(format!("more than {MOST_ADDRESSES} addresses"))),
        }
    }
}

fn at(server: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.to_vec())
}
