//! What an address is, from the address alone.
//!
//! The sources are the IANA special-purpose registries (RFC 6890, as they stand in 2026) and the
//! addresses at which clouds give out credentials. Whoever connects asks [`crate::Rules`], which adds
//! what an operator allows.

mod embedded;
mod metadata;

use std::fmt;
use std::net::IpAddr;

pub(crate) use embedded::{carried, maybe_carried};
pub(crate) use metadata::{is_metadata_address, is_metadata_name};

pub use embedded::{Nat64Prefix, Nat64PrefixError};

use crate::network::Network;

/// Why an address is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// A service that gives out credentials or keys of the machine to whoever asks.
    Metadata,
    /// An address on which this process listens itself.
    OwnListener,
    /// `0.0.0.0/8`, `::`: this host, on most systems the loopback interface.
    ThisHost,
    /// `127.0.0.0/8`, `::1`.
    Loopback,
    /// RFC 1918, unique local (RFC 4193), site-local (RFC 3879).
    Private,
    /// `100.64.0.0/10`: behind a carrier's or a cloud's translation (RFC 6598).
    Shared,
    /// `169.254.0.0/16`, `fe80::/10`.
    LinkLocal,
    /// `224.0.0.0/4`, `ff00::/8`.
    Multicast,
    /// `255.255.255.255`.
    Broadcast,
    /// `240.0.0.0/4`.
    Reserved,
    /// `192.0.0.0/24`, `2001::/23`: assignments of the IETF, with Teredo, ORCHID, benchmarking.
    Protocol,
    /// Addresses for examples.
    Documentation,
    /// `198.18.0.0/15`: measuring devices (RFC 2544).
    Benchmark,
    /// Sinks for reverse lookups of private addresses (RFC 7534, RFC 7535).
    As112,
    /// `192.52.193.0/24`, `192.88.99.0/24`: relays of multicast and 6to4.
    Relay,
    /// `::/96`: an IPv4 address as IPv6, of a form long gone (RFC 4291).
    V4Compatible,
    /// `::ffff:0:0:0/96`: translated IPv4 (SIIT, RFC 2765).
    V4Translated,
    /// A translator's prefix, well-known, local, or added by the operator (RFC 6052, RFC 8215).
    Nat64,
    /// `2002::/16` (RFC 3056).
    SixToFour,
    /// `100::/64`, `100:0:0:1::/64`: thrown away (RFC 6666), dummy (RFC 9780).
    Discard,
    /// `5f00::/16`: segment routing (RFC 9602).
    SegmentRouting,
    /// Outside `2000::/3`, of which alone the registries have given IPv6 addresses to anybody.
    Unassigned,
}

impl Reason {
    /// Whether it holds whatever the operator allows.
    #[must_use]
    pub const fn is_final(self) -> bool {
        matches!(
            self,
            Self::Metadata | Self::OwnListener | Self::ThisHost | Self::Multicast | Self::Broadcast
        )
    }

    const fn text(self) -> &'static str {
        match self {
            Self::Metadata => "gives out credentials of the machine",
            Self::OwnListener => "is this server itself",
            Self::ThisHost => "means this host",
            Self::Loopback => "is a loopback address",
            Self::Private => "is a private address",
            Self::Shared => "is behind a carrier's translation",
            Self::LinkLocal => "is a link-local address",
            Self::Multicast => "is a multicast address",
            Self::Broadcast => "is the broadcast address",
            Self::Reserved => "is reserved",
            Self::Protocol => "is set aside for protocols",
            Self::Documentation => "is for documentation",
            Self::Benchmark => "is for benchmarks",
            Self::As112 => "is a sink for lookups of private addresses",
            Self::Relay => "is a relay",
            Self::V4Compatible => "is an IPv4-compatible IPv6 address",
            Self::V4Translated => "is a translated IPv4 address",
            Self::Nat64 => "is behind an IPv4 translator",
            Self::SixToFour => "is a 6to4 address",
            Self::Discard => "is a discarding address",
            Self::SegmentRouting => "is for segment routing",
            Self::Unassigned => "is assigned to nobody",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text())
    }
}

/// The first that contains an address counts: what is final, or says more, stands before what is wider.
const SPECIAL: &[(Network, Reason)] = &[
    (Network::v4([0, 0, 0, 0], 8), Reason::ThisHost),
    (Network::v4([10, 0, 0, 0], 8), Reason::Private),
    (Network::v4([100, 64, 0, 0], 10), Reason::Shared),
    (Network::v4([127, 0, 0, 0], 8), Reason::Loopback),
    (Network::v4([169, 254, 0, 0], 16), Reason::LinkLocal),
    (Network::v4([172, 16, 0, 0], 12), Reason::Private),
    (Network::v4([192, 0, 0, 0], 24), Reason::Protocol),
    (Network::v4([192, 0, 2, 0], 24), Reason::Documentation),
    (Network::v4([192, 31, 196, 0], 24), Reason::As112),
    (Network::v4([192, 52, 193, 0], 24), Reason::Relay),
    (Network::v4([192, 88, 99, 0], 24), Reason::Relay),
    (Network::v4([192, 168, 0, 0], 16), Reason::Private),
    (Network::v4([192, 175, 48, 0], 24), Reason::As112),
    (Network::v4([198, 18, 0, 0], 15), Reason::Benchmark),
    (Network::v4([198, 51, 100, 0], 24), Reason::Documentation),
    (Network::v4([203, 0, 113, 0], 24), Reason::Documentation),
    (Network::v4([224, 0, 0, 0], 4), Reason::Multicast),
    (Network::v4([255, 255, 255, 255], 32), Reason::Broadcast),
    (Network::v4([240, 0, 0, 0], 4), Reason::Reserved),
    (Network::v6(0, 128), Reason::ThisHost),
    (Network::v6(1, 128), Reason::Loopback),
    (Network::v6(0, 96), Reason::V4Compatible),
    (Network::v6(0xffff << 48, 96), Reason::V4Translated),
    (Network::v6(0x0064_ff9b << 96, 96), Reason::Nat64),
    (Network::v6(0x0064_ff9b_0001 << 80, 48), Reason::Nat64),
    (Network::v6(0x0100 << 112, 64), Reason::Discard),
    (Network::v6((0x0100 << 112) | (1 << 64), 64), Reason::Discard),
    (Network::v6(0x2001 << 112, 23), Reason::Protocol),
    (Network::v6(0x2001_0db8 << 96, 32), Reason::Documentation),
    (Network::v6(0x2002 << 112, 16), Reason::SixToFour),
    (Network::v6(0x2620_004f_8000 << 80, 48), Reason::As112),
    (Network::v6(0x3fff << 112, 20), Reason::Documentation),
    (Network::v6(0x5f00 << 112, 16), Reason::SegmentRouting),
    (Network::v6(0xfc00 << 112, 7), Reason::Private),
    (Network::v6(0xfe80 << 112, 10), Reason::LinkLocal),
    (Network::v6(0xfec0 << 112, 10), Reason::Private),
    (Network::v6(0xff00 << 112, 8), Reason::Multicast),
];

/// What IANA calls global unicast; all else of IPv6 is unassigned where it is not special.
const GLOBAL_UNICAST: Network = Network::v6(0x2000 << 112, 3);

/// Why nobody should connect to this address on a stranger's word; `None` for a public one. Of an IPv6
/// address that carries an IPv4 address, the block is judged here; [`crate::Rules`] judge what it
/// carries too, once the block is allowed.
#[must_use]
pub fn refused(address: IpAddr) -> Option<Reason> {
    let address = address.to_canonical();
    if is_metadata_address(address) {
        return Some(Reason::Metadata);
    }
    let special = SPECIAL.iter().find(|(network, _)| network.contains(address));
    match special {
        Some((_, reason)) => Some(*reason),
        None if address.is_ipv6() && !GLOBAL_UNICAST.contains(address) => Some(Reason::Unassigned),
        None => None,
    }
}
