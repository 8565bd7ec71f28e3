//! From a target to a connection: resolve, judge, connect to what was judged, agree on TLS.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};
use tokio_rustls::TlsConnector;

use crate::connection::{Connection, Wire};
use crate::failure::{Cause, Phase};
use crate::host::Host;
use crate::progress::Progress;
use crate::resolve::Resolver;
use crate::rules::{Reach, Rules};
use crate::target::{Scheme, Target};
use crate::tls;

/// So many addresses of a name are tried.
const MOST_TRIED: usize = 4;

pub(crate) struct Dialer {
    pub(crate) rules: Arc<Rules>,
    pub(crate) resolver: Resolver,
    pub(crate) tls: TlsConnector,
    pub(crate) wire: Wire,
}

impl Dialer {
    /// The addresses of a target, each of which may be connected to; or the first reason why not.
    pub(crate) async fn admit(&self, target: &Target, reach: Reach) -> Result<Vec<SocketAddr>, Cause> {
        self.rules.judge_target(target, reach)?;
        let addresses = match target.host() {
            Host::Address(address) => vec![*address],
            Host::Name(name) => {
                let addresses = self.resolver.resolve(name).await?;
                self.rules.judge_answer(target, reach, &addresses)?;
                addresses
            }
        };
        Ok(addresses.into_iter().map(|address| SocketAddr::new(address, target.port())).collect())
    }

    /// A new connection, until `deadline`.
    pub(crate) async fn dial(
        &self,
        target: &Target,
        reach: Reach,
        deadline: Instant,
        progress: &Progress,
    ) -> Result<Connection, Cause> {
        progress.enter(Phase::Resolve);
        let places = timeout_at(deadline, self.admit(target, reach))
            .await
            .map_err(|_| Cause::TimedOut(Phase::Resolve))??;
        progress.enter(Phase::Connect);
        timeout_at(deadline, self.connect(target, &places, deadline))
            .await
            .map_err(|_| Cause::TimedOut(Phase::Connect))?
    }

    async fn connect(
        &self,
        target: &Target,
        places: &[SocketAddr],
        deadline: Instant,
    ) -> Result<Connection, Cause> {
        let (stream, peer) = first_to_answer(places, deadline).await?;
        // Each small message leaves at once.
        stream.set_nodelay(true).map_err(|source| Cause::Connect { place: peer, source })?;
        match target.scheme() {
            Scheme::Http => self.wire.http1(TokioIo::new(stream), peer).await,
            Scheme::Https => {
                let name = tls::server_name(target.host())
                    .ok_or_else(|| Cause::Tls(io::Error::other("no certificate can be for this host")))?;
                let stream = self.tls.connect(name, stream).await.map_err(Cause::Tls)?;
                if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
                    self.wire.http2(TokioIo::new(stream), peer).await
                } else {
                    self.wire.http1(TokioIo::new(stream), peer).await
                }
            }
        }
        .map_err(Cause::Broken)
    }
}

/// Tries one address after another, the families in turns; each has its share of the time that is left,
/// and TLS one more.
async fn first_to_answer(places: &[SocketAddr], deadline: Instant) -> Result<(TcpStream, SocketAddr), Cause> {
    let places = in_turns(places);
    let mut last = Cause::NoAddress;
    let mut left = u32::try_from(places.len()).unwrap_or(u32::MAX);
    for place in places {
        let now = Instant::now();
        let share = deadline.saturating_duration_since(now) / (left.saturating_add(1));
        left = left.saturating_sub(1);
        match timeout_at(now + share, TcpStream::connect(place)).await {
            Ok(Ok(stream)) => {
                let found = stream.peer_addr().ok();
                if found != Some(place) {
                    return Err(Cause::WrongPeer { place, found });
                }
                return Ok((stream, place));
            }
            Ok(Err(source)) => last = Cause::Connect { place, source },
            Err(_) => last = Cause::TimedOut(Phase::Connect),
        }
    }
    Err(last)
}

fn in_turns(places: &[SocketAddr]) -> Vec<SocketAddr> {
    let (mut v6, mut v4): (Vec<_>, Vec<_>) = places.iter().copied().partition(SocketAddr::is_ipv6);
    v6.reverse();
    v4.reverse();
    let mut turns = Vec::with_capacity(MOST_TRIED);
    while turns.len() < MOST_TRIED {
        let before = turns.len();
        turns.extend(v6.pop());
        turns.extend(v4.pop());
        if turns.len() == before {
            break;
        }
    }
    turns.truncate(MOST_TRIED);
    turns
}
