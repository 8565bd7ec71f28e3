//! Every range of the reference, at its edges, and all of IPv4 against a table of its own.

#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests may fail loudly")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use chancery_egress::{Network, Reason, refused};
use proptest::prelude::*;

/// The blocks of `reference` written anew, with the first and last address by hand, so that a slip in
/// the crate's own table is not repeated here.
const V4: &[(&str, &str)] = &[
    ("0.0.0.0", "0.255.255.255"),
    ("10.0.0.0", "10.255.255.255"),
    ("100.64.0.0", "100.127.255.255"),
    ("127.0.0.0", "127.255.255.255"),
    ("169.254.0.0", "169.254.255.255"),
    ("172.16.0.0", "172.31.255.255"),
    ("192.0.0.0", "192.0.0.255"),
    ("192.0.2.0", "192.0.2.255"),
    ("192.31.196.0", "192.31.196.255"),
    ("192.52.193.0", "192.52.193.255"),
    ("192.88.99.0", "192.88.99.255"),
    ("192.168.0.0", "192.168.255.255"),
    ("192.175.48.0", "192.175.48.255"),
    ("198.18.0.0", "198.19.255.255"),
    ("198.51.100.0", "198.51.100.255"),
    ("203.0.113.0", "203.0.113.255"),
    ("224.0.0.0", "239.255.255.255"),
    ("240.0.0.0", "255.255.255.255"),
    ("168.63.129.16", "168.63.129.16"),
];

/// First, last, and whether what lies just before and just after is public.
const V6: &[(&str, &str, bool, bool)] = &[
    ("::", "::ffff:ffff", false, false),
    ("::ffff:0:0:0", "::ffff:0:ffff:ffff", false, false),
    ("64:ff9b::", "64:ff9b::ffff:ffff", false, false),
    ("64:ff9b:1::", "64:ff9b:1:ffff:ffff:ffff:ffff:ffff", false, false),
    ("100::", "100::ffff:ffff:ffff:ffff", false, false),
    ("100:0:0:1::", "100:0:0:1:ffff:ffff:ffff:ffff", false, false),
    ("2001::", "2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("2001:db8::", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("2002::", "2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("2620:4f:8000::", "2620:4f:8000:ffff:ffff:ffff:ffff:ffff", true, true),
    ("3fff::", "3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", true, true),
    ("5f00::", "5f00:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("fc00::", "fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("fe80::", "febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("fec0::", "feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    ("ff00::", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
    // What nobody has been given: stricter than the reference.
    ("4000::", "5eff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", true, false),
    ("::1:0:0:0", "64:ff9a:ffff:ffff:ffff:ffff:ffff:ffff", false, false),
];

fn v4(text: &str) -> u32 {
    text.parse::<Ipv4Addr>().unwrap().to_bits()
}

fn v6(text: &str) -> u128 {
    text.parse::<Ipv6Addr>().unwrap().to_bits()
}

fn is_refused_v4(bits: u32) -> bool {
    V4.iter().any(|(first, last)| (v4(first)..=v4(last)).contains(&bits))
}

#[test]
fn every_block_of_ipv4_ends_where_the_reference_says() {
    for (first, last) in V4 {
        let (first, last) = (v4(first), v4(last));
        for bits in [first, first + (last - first) / 2, last] {
            assert!(refused(Ipv4Addr::from_bits(bits).into()).is_some(), "{}", Ipv4Addr::from_bits(bits));
        }
        for bits in [first.checked_sub(1), last.checked_add(1)].into_iter().flatten() {
            let address = Ipv4Addr::from_bits(bits);
            assert_eq!(refused(address.into()).is_some(), is_refused_v4(bits), "{address}");
        }
    }
}

#[test]
fn every_block_of_ipv6_ends_where_the_reference_says() {
    for (first, last, before_is_public, after_is_public) in V6 {
        let (first, last) = (v6(first), v6(last));
        for bits in [first, first + (last - first) / 2, last] {
            let address = Ipv6Addr::from_bits(bits);
            assert!(refused(address.into()).is_some(), "{address}");
        }
        for (bits, is_public) in
            [(first.checked_sub(1), before_is_public), (last.checked_add(1), after_is_public)]
        {
            let Some(bits) = bits else { continue };
            let address = Ipv6Addr::from_bits(bits);
            assert_eq!(refused(address.into()).is_none(), *is_public, "{address}");
        }
    }
}

#[test]
fn the_reasons_are_the_right_ones() {
    for (address, reason) in [
        ("169.254.169.254", Reason::Metadata),
        ("168.63.129.16", Reason::Metadata),
        ("100.100.100.200", Reason::Metadata),
        ("192.0.0.192", Reason::Metadata),
        ("fd00:ec2::254", Reason::Metadata),
        ("::ffff:169.254.169.254", Reason::Metadata),
        ("0.1.2.3", Reason::ThisHost),
        ("::", Reason::ThisHost),
        ("127.1.2.3", Reason::Loopback),
        ("::1", Reason::Loopback),
        ("::ffff:127.0.0.1", Reason::Loopback),
        ("::2", Reason::V4Compatible),
        ("::ffff:0:1.1.1.1", Reason::V4Translated),
        ("64:ff9b::1.1.1.1", Reason::Nat64),
        ("2001::1", Reason::Protocol),
        ("255.255.255.255", Reason::Broadcast),
        ("255.255.255.254", Reason::Reserved),
        ("4000::1", Reason::Unassigned),
    ] {
        assert_eq!(refused(address.parse().unwrap()), Some(reason), "{address}");
    }
    for address in
        ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "223.255.255.255", "2001:200::1"]
    {
        assert_eq!(refused(address.parse().unwrap()), None, "{address}");
    }
}

proptest! {
    #[test]
    fn any_ipv4_address_is_judged_as_the_table_says(bits: u32) {
        let address = Ipv4Addr::from_bits(bits);
        let is_metadata = matches!(refused(address.into()), Some(Reason::Metadata));
        prop_assert_eq!(refused(address.into()).is_some(), is_refused_v4(bits) || is_metadata);
        prop_assert_eq!(refused(address.into()), refused(address.to_ipv6_mapped().into()));
    }

    #[test]
    fn any_address_near_an_edge_is_judged_as_the_table_says(index in 0..V4.len(), offset in -300_i64..300) {
        for edge in [V4[index].0, V4[index].1] {
            let bits = u32::try_from((i64::from(v4(edge)) + offset).clamp(0, i64::from(u32::MAX))).unwrap();
            let address = IpAddr::from(Ipv4Addr::from_bits(bits));
            prop_assert_eq!(refused(address).is_some(), is_refused_v4(bits), "{}", address);
        }
    }

    #[test]
    fn a_block_contains_what_shares_its_bits(first: u128, length in 0_u8..=128, other: u128) {
        let mask = if length == 0 { 0 } else { u128::MAX << (128 - length) };
        let block: Network = match format!("{}/{length}", Ipv6Addr::from_bits(first & mask)).parse() {
            Ok(block) => block,
            Err(_) => return Ok(()),
        };
        for address in [other, first, (first & mask) | (other & !mask)] {
            let parsed = Ipv6Addr::from_bits(address);
            if parsed.to_ipv4_mapped().is_none() {
                prop_assert_eq!(block.contains(parsed.into()), address & mask == first & mask);
            }
        }
    }
}
