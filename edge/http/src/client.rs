//! Where a request comes from: what limits count by address.

use std::net::{IpAddr, SocketAddr};

use chancery_egress::Network;
use http::{HeaderMap, HeaderName};

use crate::Origins;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// What stands between the server and who asks.
#[derive(Clone, Debug, Default)]
pub struct Edge {
    /// The proxies in front.
    pub proxies: Proxies,
    /// The pages of other origins that may call.
    pub origins: Origins,
    /// Whether clients reach it through TLS, its own or a proxy's.
    pub https: bool,
}

/// The other end of a connection: the listener puts it beside each request (as an extension of it).
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The proxies in front, whose word on where a request comes from is taken.
#[derive(Clone, Debug, Default)]
pub struct Proxies(Vec<Network>);

impl Proxies {
    /// Those in these blocks of addresses.
    #[must_use]
    pub const fn new(blocks: Vec<Network>) -> Self {
        Self(blocks)
    }

    fn trust(&self, address: IpAddr) -> bool {
        self.0.iter().any(|block| block.contains(address))
    }

    /// The client of a request: each proxy appends to `X-Forwarded-For` whom it was called by, so from the
    /// right the first that is no proxy of ours is the client, and what stands left of it is the client's own
    /// word. A hop that does not read is nobody: then it is the proxy that let it through.
    pub(crate) fn client(&self, peer: IpAddr, headers: &HeaderMap) -> IpAddr {
        let lines: Vec<&[u8]> = headers.get_all(X_FORWARDED_FOR).iter().map(|line| line.as_bytes()).collect();
        let hops = lines.iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        let mut client = peer.to_canonical();
        for hop in hops {
            if !self.trust(client) {
                break;
            }
            let Some(before) = address(hop) else { break };
            client = before;
        }
        client
    }
}

/// A hop as proxies write it: an address, in brackets or not, with a port or not.
fn address(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let bare = hop.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse().ok().or_else(|| hop.parse().ok().map(|socket: SocketAddr| socket.ip()));
    address.map(|address: IpAddr| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    const PROXY: &str = "10.0.0.1";
    const CLIENT: &str = "192.0.2.7";

    fn client(proxies: &[&str], peer: &str, lines: &[&str]) -> String {
        let proxies = Proxies::new(proxies.iter().map(|block| block.parse().unwrap()).collect());
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        proxies.client(peer.parse().unwrap(), &headers).to_string()
    }

    #[test]
    fn without_a_proxy_nobody_says_where_they_come_from() {
        for line in ["198.51.100.1", "127.0.0.1", "10.0.0.1", "", ",,", "::1"] {
            assert_eq!(client(&[], CLIENT, &[line]), CLIENT, "{line}");
            assert_eq!(client(&["10.0.0.0/8"], CLIENT, &[line]), CLIENT, "{line}");
        }
    }

    #[test]
    fn of_a_chain_only_what_our_proxies_say_counts() {
        let ours = &["10.0.0.0/8", "2001:db8:aa::/48"];
        for (lines, found) in [
            // As a proxy of ours writes it.
            (&[CLIENT] as &[&str], CLIENT),
            (&["192.0.2.7, 10.9.9.9"], CLIENT),
            (&["192.0.2.7", "10.9.9.9"], CLIENT),
            (&["192.0.2.7:4711"], CLIENT),
            (&["\t192.0.2.7 "], CLIENT),
            (&["::ffff:192.0.2.7"], CLIENT),
            (&["[2001:db8::5]:443"], "2001:db8::5"),
            (&["[2001:db8::5]"], "2001:db8::5"),
            (&["192.0.2.7, 2001:db8:aa::1"], CLIENT),
            // What the client sent of itself stands left of it.
            (&["198.51.100.1, 192.0.2.7"], CLIENT),
            (&["10.0.0.1, 192.0.2.7"], CLIENT),
            (&["10.0.0.2", "127.0.0.1", "192.0.2.7"], CLIENT),
            (&["10.0.0.1, 198.51.100.1, 192.0.2.7, 10.0.0.3"], CLIENT),
            (&["unknown, 192.0.2.7"], CLIENT),
            // What does not read is nobody, and nothing left of it counts.
            (&["198.51.100.1, unknown"], PROXY),
            (&["198.51.100.1,"], PROXY),
            (&["198.51.100.1, 192.0.2.7.1"], PROXY),
            (&["198.51.100.1, 0x7f.1"], PROXY),
            (&["198.51.100.1, \"192.0.2.7\""], PROXY),
            (&["198.51.100.1, _hidden, 10.0.0.3"], "10.0.0.3"),
            (&["198.51.100.1, \u{e9}"], PROXY),
            // Proxies all the way: the outermost.
            (&["10.0.0.4, 10.0.0.3"], "10.0.0.4"),
            (&[], PROXY),
        ] {
            assert_eq!(client(ours, PROXY, lines), found, "{lines:?}");
        }
    }
}
