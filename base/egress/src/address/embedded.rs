//! IPv4 addresses inside IPv6 addresses: whoever allows the outer one reaches the inner one.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::network::{Network, NetworkError};

/// A prefix behind which a translator reaches IPv4 (RFC 6052).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Nat64Prefix(Network);

/// Text that is no prefix of a translator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Nat64PrefixError {
    /// It is no block at all.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// It is no block of IPv6, or of a length that RFC 6052 does not know.
    #[error("`{0}` is no NAT64 prefix: it is IPv6, and 32, 40, 48, 56, 64 or 96 bits long")]
    Length(Network),
}

const LENGTHS: [u8; 6] = [32, 40, 48, 56, 64, 96];

impl Nat64Prefix {
    pub(crate) fn contains(self, address: Ipv6Addr) -> bool {
        self.0.contains(IpAddr::V6(address))
    }
}

impl FromStr for Nat64Prefix {
    type Err = Nat64PrefixError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network: Network = text.parse()?;
        if network.first().is_ipv6() && LENGTHS.contains(&network.length()) {
            Ok(Self(network))
        } else {
            Err(Nat64PrefixError::Length(network))
        }
    }
}

impl fmt::Display for Nat64Prefix {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Where RFC 6052, 2.2 puts the IPv4 address behind a prefix of this length: around the octet 8, which
/// is zero.
const fn behind(address: Ipv6Addr, length: u8) -> Ipv4Addr {
    let [_, _, _, _, b4, b5, b6, b7, _, b9, b10, b11, b12, b13, b14, b15] = address.octets();
    match length {
        32 => Ipv4Addr::new(b4, b5, b6, b7),
        40 => Ipv4Addr::new(b5, b6, b7, b9),
        48 => Ipv4Addr::new(b6, b7, b9, b10),
        56 => Ipv4Addr::new(b7, b9, b10, b11),
        64 => Ipv4Addr::new(b9, b10, b11, b12),
        _ => Ipv4Addr::new(b12, b13, b14, b15),
    }
}

const WELL_KNOWN: Nat64Prefix = Nat64Prefix(Network::v6(0x0064_ff9b << 96, 96));
const LOCAL_USE: Network = Network::v6(0x0064_ff9b_0001 << 80, 48);
const COMPATIBLE: Network = Network::v6(0, 96);
const TRANSLATED: Network = Network::v6(0xffff << 48, 96);
const SIX_TO_FOUR: Network = Network::v6(0x2002 << 112, 16);
const TEREDO: Network = Network::v6(0x2001 << 112, 32);

/// The IPv4 addresses that an IPv6 address carries, however it does; what reaches it may reach them.
pub(crate) fn carried(address: Ipv6Addr, nat64: &[Nat64Prefix]) -> Vec<Ipv4Addr> {
    let mut found = Vec::new();
    let is_in = |network: Network| network.contains(IpAddr::V6(address));
    let [_, _, b2, b3, b4, b5, b6, b7, b8, b9, b10, b11, b12, b13, b14, b15] = address.octets();
    let last = Ipv4Addr::new(b12, b13, b14, b15);
    let is_isatap = b8 & !0x02 == 0 && (b9, b10, b11) == (0, 0x5e, 0xfe);
    if is_in(COMPATIBLE) || is_in(TRANSLATED) || is_isatap {
        found.push(last);
    }
    if is_in(SIX_TO_FOUR) {
        found.push(Ipv4Addr::new(b2, b3, b4, b5));
    }
    if is_in(TEREDO) {
        // RFC 4380: the server as it is, the client with every bit turned.
        found.push(Ipv4Addr::new(b4, b5, b6, b7));
        found.push(Ipv4Addr::from_bits(!last.to_bits()));
    }
    let prefixes = nat64.iter().chain([&WELL_KNOWN]);
    found.extend(
        prefixes.filter(|prefix| prefix.contains(address)).map(|prefix| behind(address, prefix.0.length())),
    );
    found
}

/// The IPv4 addresses that an IPv6 address may carry, where the length of its prefix is not known: the
/// block for translators of one's own (RFC 8215).
pub(crate) fn maybe_carried(address: Ipv6Addr) -> Vec<Ipv4Addr> {
    if LOCAL_USE.contains(IpAddr::V6(address)) {
        [48, 56, 64, 96].map(|length| behind(address, length)).to_vec()
    } else {
        Vec::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6052, 2.4 gives these, for 192.0.2.33.
    #[test]
    fn addresses_behind_a_translator_are_read_as_the_rfc_writes_them() {
        for (prefix, address) in [
            ("2001:db8::/32", "2001:db8:c000:221::"),
            ("2001:db8:100::/40", "2001:db8:1c0:2:21::"),
            ("2001:db8:122::/48", "2001:db8:122:c000:2:2100::"),
            ("2001:db8:122:300::/56", "2001:db8:122:3c0:0:221::"),
            ("2001:db8:122:344::/64", "2001:db8:122:344:c0:2:2100::"),
            ("2001:db8:122:344::/96", "2001:db8:122:344::192.0.2.33"),
        ] {
            let prefix: Nat64Prefix = prefix.parse().unwrap();
            assert_eq!(
                carried(address.parse().unwrap(), &[prefix]),
                [Ipv4Addr::new(192, 0, 2, 33)],
                "{prefix}"
            );
        }
    }

    #[test]
    fn every_form_is_seen() {
        for (address, inner) in [
            ("::10.1.2.3", vec!["10.1.2.3"]),
            ("::ffff:0:10.1.2.3", vec!["10.1.2.3"]),
            ("64:ff9b::10.1.2.3", vec!["10.1.2.3"]),
            ("2002:a01:203::1", vec!["10.1.2.3"]),
            ("2001:0:a01:203:0:0:5601:203", vec!["10.1.2.3", "169.254.253.252"]),
            ("2606:4700::5efe:10.1.2.3", vec!["10.1.2.3"]),
            ("2606:4700::200:5efe:10.1.2.3", vec!["10.1.2.3"]),
            ("2606:4700::10.1.2.3", vec![]),
        ] {
            let inner: Vec<Ipv4Addr> = inner.into_iter().map(|inner| inner.parse().unwrap()).collect();
            assert_eq!(carried(address.parse().unwrap(), &[]), inner, "{address}");
        }
    }

    #[test]
    fn a_prefix_of_a_wrong_kind_is_refused() {
        for text in ["2001:db8::/33", "10.0.0.0/8", "2001:db8::1/32", "x"] {
            assert!(text.parse::<Nat64Prefix>().is_err(), "{text}");
        }
    }
}
