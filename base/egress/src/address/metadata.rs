//! Where clouds give out credentials, keys and configuration to whoever asks from within.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

const ADDRESSES_V4: &[Ipv4Addr] = &[
    // AWS, Google Cloud, Azure, Oracle, DigitalOcean, Hetzner, OpenStack and most others.
    Ipv4Addr::new(169, 254, 169, 254),
    // AWS: credentials of ECS tasks and of EKS pods; its resolver and its clock.
    Ipv4Addr::new(169, 254, 170, 2),
    Ipv4Addr::new(169, 254, 170, 23),
    Ipv4Addr::new(169, 254, 169, 253),
    Ipv4Addr::new(169, 254, 169, 123),
    // Scaleway, Tencent.
    Ipv4Addr::new(169, 254, 42, 42),
    Ipv4Addr::new(169, 254, 0, 23),
    // Azure's host: WireServer.
    Ipv4Addr::new(168, 63, 129, 16),
    // Alibaba.
    Ipv4Addr::new(100, 100, 100, 200),
    // Oracle, of old.
    Ipv4Addr::new(192, 0, 0, 192),
];

const ADDRESSES_V6: &[Ipv6Addr] = &[
    // AWS: instances, EKS pods, its resolver and its clock.
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x254),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x23),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x253),
    Ipv6Addr::new(0xfd00, 0xec2, 0, 0, 0, 0, 0, 0x123),
    // Google Cloud.
    Ipv6Addr::new(0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254),
    // Scaleway.
    Ipv6Addr::new(0xfd00, 0x42, 0, 0, 0, 0, 0, 0x42),
    // OpenStack.
    Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0xa9fe, 0xa9fe),
];

/// These names, and all beneath them.
const NAMES: &[&str] = &[
    "metadata",
    "metadata.google.internal",
    "metadata.goog",
    "metadata.azure.internal",
    "metadata.azure.com",
    "metadata.oraclecloud.com",
    "metadata.packet.net",
    "metadata.platformequinix.com",
    "metadata.tencentyun.com",
    "instance-data",
    "instance-data.ec2.internal",
    "rancher-metadata",
    "rancher-metadata.rancher.internal",
];

pub(crate) fn is_metadata_address(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => ADDRESSES_V4.contains(&address),
        IpAddr::V6(address) => ADDRESSES_V6.contains(&address),
    }
}

/// Whether a name, in lower case and without a point at its end, is such a service's, wherever it
/// leads.
pub(crate) fn is_metadata_name(name: &str) -> bool {
    NAMES.iter().any(|listed| {
        name.strip_suffix(listed).is_some_and(|before| before.is_empty() || before.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_count_with_all_beneath_them_and_not_with_what_looks_like_them() {
        for name in ["metadata", "metadata.google.internal", "a.metadata.google.internal", "x.instance-data"]
        {
            assert!(is_metadata_name(name), "{name}");
        }
        for name in ["metadata.example.com", "mymetadata", "google.internal", ""] {
            assert!(!is_metadata_name(name), "{name}");
        }
    }
}
