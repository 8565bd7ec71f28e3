//! Whose an address is, as far as limits go.

use std::net::{IpAddr, Ipv6Addr};

/// What one client has, however many addresses: an IPv4 address, or the 64 bits of an IPv6 address that are
/// given out as one (RFC 6177). IPv4 in IPv6 clothes is IPv4.
#[must_use]
pub fn client_network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => Ipv6Addr::from(u128::from(address) & !u128::from(u64::MAX)).into(),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_client_is_an_address_or_a_network_of_ipv6() {
        for (address, network) in [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8::1", "2001:db8::"),
            ("2001:db8:0:1:ffff::2", "2001:db8:0:1::"),
        ] {
            let [address, network] = [address, network].map(str::parse::<IpAddr>);
            assert_eq!(address.map(client_network), network);
        }
    }
}
