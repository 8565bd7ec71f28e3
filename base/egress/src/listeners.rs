//! The addresses on which this process listens: a request to one of them would come back in, as from
//! within.

use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Whether an address is one of this machine's.
pub(crate) type IsLocal = fn(IpAddr) -> bool;

/// Whether the address is ours: only one's own can be bound to. No packet leaves. Where the system lets
/// anybody bind to anything, every address is ours, which refuses more than it must.
pub(crate) fn is_local(address: IpAddr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

/// Whether one of the listeners answers at this address. One at an unspecified address answers at every
/// address of the machine, in both families: `[::]` takes IPv4 too where the system says so.
pub(crate) fn is_own(listeners: &[SocketAddr], address: SocketAddr, is_local: IsLocal) -> bool {
    let asked = address.ip().to_canonical();
    listeners.iter().filter(|listener| listener.port() == address.port()).any(|listener| {
        let ip = listener.ip().to_canonical();
        ip == asked || (ip.is_unspecified() && is_local(asked))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own(listener: &str, address: &str) -> bool {
        let is_local = |ip: IpAddr| ip.is_loopback() || ip == IpAddr::from([192, 168, 7, 7]);
        is_own(&[listener.parse().unwrap()], address.parse().unwrap(), is_local)
    }

    #[test]
    fn a_listener_at_one_address_is_that_address_and_port() {
        assert!(own("10.0.0.5:8443", "10.0.0.5:8443"));
        assert!(own("10.0.0.5:8443", "[::ffff:10.0.0.5]:8443"));
        assert!(!own("10.0.0.5:8443", "10.0.0.5:443"));
        assert!(!own("10.0.0.5:8443", "10.0.0.6:8443"));
    }

    #[test]
    fn a_listener_at_every_address_is_every_address_of_the_machine() {
        for listener in ["0.0.0.0:8443", "[::]:8443"] {
            for address in ["127.0.0.1:8443", "127.9.9.9:8443", "[::1]:8443", "192.168.7.7:8443"] {
                assert!(own(listener, address), "{listener} {address}");
            }
            for address in ["192.168.7.8:8443", "127.0.0.1:443", "8.8.8.8:8443"] {
                assert!(!own(listener, address), "{listener} {address}");
            }
        }
    }

    #[test]
    fn the_system_knows_its_own_addresses() {
        assert!(is_local("127.0.0.1".parse().unwrap()));
        assert!(!is_local("192.0.2.1".parse().unwrap()));
    }
}
