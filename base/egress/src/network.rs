//! Blocks of addresses (CIDR, RFC 4632).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// A block of IPv4 or of IPv6 addresses.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    first: IpAddr,
    length: u8,
}

/// Text that is no block of addresses.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NetworkError {
    /// Neither an address nor an address, `/` and a length.
    #[error("`{0}` is not a block of addresses: write `10.1.0.0/16` or `2001:db8::/32`")]
    Malformed(String),
    /// Bits are set that the block does not fix, so two readers would take it for two blocks.
    #[error("`{given}` has bits beyond its length: the block is `{meant}`")]
    BeyondLength {
        /// What was given.
        given: String,
        /// The block that its address lies in.
        meant: Network,
    },
    /// An IPv4 block in IPv6 clothes.
    #[error("`{0}` is IPv4 written as IPv6: write it as IPv4")]
    Mapped(String),
}

impl Network {
    pub(crate) const fn v4([a, b, c, d]: [u8; 4], length: u8) -> Self {
        Self { first: IpAddr::V4(Ipv4Addr::new(a, b, c, d)), length }
    }

    pub(crate) const fn v6(first: u128, length: u8) -> Self {
        Self { first: IpAddr::V6(Ipv6Addr::from_bits(first)), length }
    }

    /// Whether the address lies in the block. IPv4 in IPv6 clothes is IPv4.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.first, address.to_canonical()) {
            (IpAddr::V4(first), IpAddr::V4(address)) => {
                (first.to_bits() ^ address.to_bits()) & mask_v4(self.length) == 0
            }
            (IpAddr::V6(first), IpAddr::V6(address)) => {
                (first.to_bits() ^ address.to_bits()) & mask_v6(self.length) == 0
            }
            _ => false,
        }
    }

    /// How many leading bits the block fixes.
    #[must_use]
    pub const fn length(&self) -> u8 {
        self.length
    }

    /// The first address of the block.
    #[must_use]
    pub const fn first(&self) -> IpAddr {
        self.first
    }
}

const fn mask_v4(length: u8) -> u32 {
    match u32::MAX.checked_shl(32_u32.saturating_sub(length as u32)) {
        Some(mask) => mask,
        None => 0,
    }
}

const fn mask_v6(length: u8) -> u128 {
    match u128::MAX.checked_shl(128_u32.saturating_sub(length as u32)) {
        Some(mask) => mask,
        None => 0,
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let malformed = || NetworkError::Malformed(text.to_owned());
        let (address, length) = match text.split_once('/') {
            Some((address, length)) if length.bytes().all(|byte| byte.is_ascii_digit()) => {
                (address, Some(length.parse::<u8>().map_err(|_| malformed())?))
            }
            Some(_) => return Err(malformed()),
            None => (text, None),
        };
        let given: IpAddr = address.parse().map_err(|_| malformed())?;
        let (most, is_mapped) = match given {
            IpAddr::V4(_) => (32, false),
            IpAddr::V6(address) => (128, address.to_ipv4_mapped().is_some()),
        };
        if is_mapped {
            return Err(NetworkError::Mapped(text.to_owned()));
        }
        let length = length.unwrap_or(most);
        if length > most {
            return Err(malformed());
        }
        let first = match given {
            IpAddr::V4(address) => Ipv4Addr::from_bits(address.to_bits() & mask_v4(length)).into(),
            IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & mask_v6(length)).into(),
        };
        let meant = Self { first, length };
        if first == given {
            Ok(meant)
        } else {
            Err(NetworkError::BeyondLength { given: text.to_owned(), meant })
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.length)
    }
}

impl fmt::Debug for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_reads_as_it_is_written_and_no_other_way() {
        for text in ["10.0.0.0/8", "0.0.0.0/0", "::/0", "1.2.3.4/32", "2001:db8::/32", "::1/128"] {
            assert_eq!(text.parse::<Network>().unwrap().to_string(), text);
        }
        assert_eq!("10.1.2.3".parse::<Network>().unwrap().to_string(), "10.1.2.3/32");
        for text in [
            "",
            "10/8",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "10.0.0.0/",
            "a/8",
            "010.0.0.0/8",
            "fe80::1%1",
        ] {
            assert!(matches!(text.parse::<Network>(), Err(NetworkError::Malformed(_))), "{text}");
        }
        let error = "10.1.0.0/8".parse::<Network>().unwrap_err().to_string();
        assert_eq!(error, "`10.1.0.0/8` has bits beyond its length: the block is `10.0.0.0/8`");
        assert!(matches!("::ffff:10.0.0.0/104".parse::<Network>(), Err(NetworkError::Mapped(_))));
    }

    #[test]
    fn a_block_contains_its_own_family_and_ipv4_in_ipv6_clothes() {
        let ten: Network = "10.0.0.0/8".parse().unwrap();
        for (address, within) in
            [("10.255.255.255", true), ("11.0.0.0", false), ("::ffff:10.0.0.1", true), ("::10.0.0.1", false)]
        {
            assert_eq!(ten.contains(address.parse().unwrap()), within, "{address}");
        }
        assert!("::/0".parse::<Network>().unwrap().contains("fe80::1".parse().unwrap()));
        assert!(!"::/0".parse::<Network>().unwrap().contains("1.1.1.1".parse().unwrap()));
    }
}
