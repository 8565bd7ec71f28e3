//! What the operator allows, and the judgement over an address that follows from it.

use std::net::{IpAddr, SocketAddr};

use crate::address::{self, Nat64Prefix, Reason, carried, is_metadata_address, maybe_carried};
use crate::failure::Refusal;
use crate::host::{Host, Pattern};
use crate::listeners;
use crate::target::{Scheme, Target};

/// The operator's policy. The default: public addresses only, HTTPS only.
#[derive(Clone, Debug, Default)]
pub struct Rules {
    /// What may be reached although it is refused otherwise, by a request that [`Reach::Allowed`] lets.
    /// What [`Reason::is_final`] says stays refused.
    pub allow: Vec<Pattern>,
    /// What may be spoken to in plain HTTP. This alone opens no address: a private one must be in
    /// `allow` too.
    pub allow_plain_http: Vec<Pattern>,
    /// Prefixes of the operator's own translators to IPv4, refused like the well-known one. Where
    /// `allow` opens one, the IPv4 address behind it is judged as well.
    pub nat64: Vec<Nat64Prefix>,
    /// Where this process listens: never reached. An unspecified address means all of the machine's.
    pub listeners: Vec<SocketAddr>,
}

/// How far a request may go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Reach {
    /// Public addresses only, whatever the operator allows to others.
    #[default]
    Public,
    /// Public addresses, and what the operator allows.
    Allowed,
}

/// Ports that browsers refuse too, since what speaks there may take an HTTP request for its own
/// protocol (the Fetch standard, "bad port").
const BAD_PORTS: &[u16] = &[
    1, 7, 9, 11, 13, 15, 17, 19, 20, 21, 22, 23, 25, 37, 42, 43, 53, 69, 77, 79, 87, 95, 101, 102, 103, 104,
    109, 110, 111, 113, 115, 117, 119, 123, 135, 137, 139, 143, 161, 179, 389, 427, 465, 512, 513, 514, 515,
    526, 530, 531, 532, 540, 548, 554, 556, 563, 587, 601, 636, 989, 990, 993, 995, 1719, 1720, 1723, 2049,
    3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080,
];

impl Rules {
    /// Judges what is known before a name is resolved.
    pub(crate) fn judge_target(&self, target: &Target, reach: Reach) -> Result<(), Refusal> {
        if BAD_PORTS.contains(&target.port()) {
            return Err(Refusal::Port(target.port()));
        }
        match target.host() {
            Host::Name(name) => {
                let is_listed = || self.names(reach).any(|pattern| pattern.takes_name(name));
                if !name.contains('.') && !is_listed() {
                    return Err(Refusal::SingleLabel);
                }
                // Addresses may be in the list yet: `judge_answer` sees them.
                if target.scheme() == Scheme::Http
                    && !self
                        .allow_plain_http
                        .iter()
                        .any(|pattern| pattern.takes_name(name) || matches!(pattern, Pattern::Network(_)))
                {
                    return Err(Refusal::PlainHttp);
                }
                Ok(())
            }
            Host::Address(address) => self.judge_answer(target, reach, &[*address]),
        }
    }

    /// Judges the addresses of a target, all of them: one that is refused refuses the target.
    pub(crate) fn judge_answer(
        &self,
        target: &Target,
        reach: Reach,
        addresses: &[IpAddr],
    ) -> Result<(), Refusal> {
        for address in addresses {
            let place = SocketAddr::new(*address, target.port());
            self.judge(target.host(), place, reach)
                .map_err(|reason| Refusal::Address { address: *address, reason })?;
            if target.scheme() == Scheme::Http && !self.takes_plain_http(target.host(), *address) {
                return Err(Refusal::PlainHttp);
            }
        }
        Ok(())
    }

    fn takes_plain_http(&self, host: &Host, address: IpAddr) -> bool {
        takes(self.allow_plain_http.iter(), host, address)
    }

    fn names(&self, reach: Reach) -> impl Iterator<Item = &Pattern> {
        self.allow.iter().filter(move |_| reach == Reach::Allowed)
    }

    /// Whether a host may be reached at an address.
    pub(crate) fn judge(&self, host: &Host, place: SocketAddr, reach: Reach) -> Result<(), Reason> {
        let address = place.ip().to_canonical();
        let inner: Vec<IpAddr> = match address {
            IpAddr::V4(_) => Vec::new(),
            IpAddr::V6(outer) => {
                if maybe_carried(outer).into_iter().any(|inner| is_metadata_address(inner.into())) {
                    return Err(Reason::Metadata);
                }
                carried(outer, &self.nat64).into_iter().map(IpAddr::V4).collect()
            }
        };
        let all = || std::iter::once(address).chain(inner.iter().copied());
        // What is final is found first, however deep it lies.
        if all().any(is_metadata_address) {
            return Err(Reason::Metadata);
        }
        for each in all() {
            if listeners::is_own(&self.listeners, SocketAddr::new(each, place.port()), listeners::is_local) {
                return Err(Reason::OwnListener);
            }
        }
        if let Some(reason) = all().filter_map(address::refused).find(|reason| reason.is_final()) {
            return Err(reason);
        }
        for each in all() {
            let reason = self.behind_translator(each).or_else(|| address::refused(each));
            if let Some(reason) = reason
                && !takes(self.names(reach), host, each)
            {
                return Err(reason);
            }
        }
        Ok(())
    }

    fn behind_translator(&self, address: IpAddr) -> Option<Reason> {
        let IpAddr::V6(address) = address else { return None };
        self.nat64.iter().any(|prefix| prefix.contains(address)).then_some(Reason::Nat64)
    }
}

fn takes<'a>(mut patterns: impl Iterator<Item = &'a Pattern>, host: &Host, address: IpAddr) -> bool {
    patterns.any(|pattern| {
        pattern.takes_address(address) || matches!(host, Host::Name(name) if pattern.takes_name(name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(allow: &[&str], nat64: &[&str], address: &str) -> Result<(), Reason> {
        let rules = Rules {
            allow: allow.iter().map(|text| text.parse().unwrap()).collect(),
            nat64: nat64.iter().map(|text| text.parse().unwrap()).collect(),
            ..Rules::default()
        };
        let place = SocketAddr::new(address.parse().unwrap(), 443);
        rules.judge(&Host::Name("api.example.com".into()), place, Reach::Allowed)
    }

    #[test]
    fn metadata_is_refused_whatever_is_allowed_and_however_it_is_written() {
        let everything = ["0.0.0.0/0", "::/0", "api.example.com", "*.com"];
        for address in [
            "169.254.169.254",
            "168.63.129.16",
            "100.100.100.200",
            "192.0.0.192",
            "fd00:ec2::254",
            "::ffff:169.254.169.254",
            "::169.254.169.254",
            "::ffff:0:169.254.169.254",
            "64:ff9b::169.254.169.254",
            "64:ff9b:1::169.254.169.254",
            "64:ff9b:1:a9fe:a9:fe00::",
            "2002:a9fe:a9fe::1",
            "2001:0:a9fe:a9fe::1",
            "2001:0:102:304::5601:5601",
            "2606:4700::5efe:169.254.169.254",
            "2001:db8:1::a9fe:a9fe",
        ] {
            assert_eq!(
                judged(&everything, &["2001:db8:1::/96"], address),
                Err(Reason::Metadata),
                "{address}"
            );
        }
    }

    #[test]
    fn what_is_final_stays_refused() {
        let everything = ["0.0.0.0/0", "::/0"];
        for (address, reason) in [
            ("0.0.0.0", Reason::ThisHost),
            ("::", Reason::ThisHost),
            ("64:ff9b::", Reason::ThisHost),
            ("224.0.0.1", Reason::Multicast),
            ("ff02::1", Reason::Multicast),
            ("255.255.255.255", Reason::Broadcast),
        ] {
            assert_eq!(judged(&everything, &[], address), Err(reason), "{address}");
        }
    }

    #[test]
    fn what_is_allowed_is_reached_and_no_more() {
        assert_eq!(judged(&["10.1.0.0/16"], &[], "10.1.2.3"), Ok(()));
        assert_eq!(judged(&["10.1.0.0/16"], &[], "::ffff:10.1.2.3"), Ok(()));
        assert_eq!(judged(&["10.1.0.0/16"], &[], "10.2.0.0"), Err(Reason::Private));
        assert_eq!(judged(&["api.example.com"], &[], "10.2.0.0"), Ok(()));
        assert_eq!(judged(&["*.example.com"], &[], "fd00::1"), Ok(()));
        assert_eq!(judged(&["example.com"], &[], "fd00::1"), Err(Reason::Private));
        assert_eq!(judged(&[], &[], "8.8.8.8"), Ok(()));
    }

    #[test]
    fn behind_an_allowed_translator_the_inner_address_is_judged() {
        let well_known = "64:ff9b::/96";
        assert_eq!(judged(&[], &[], "64:ff9b::808:808"), Err(Reason::Nat64));
        assert_eq!(judged(&[well_known], &[], "64:ff9b::808:808"), Ok(()));
        assert_eq!(judged(&[well_known], &[], "64:ff9b::a00:1"), Err(Reason::Private));
        assert_eq!(judged(&[well_known, "10.0.0.0/8"], &[], "64:ff9b::a00:1"), Ok(()));
        let own = "2606:4700:1::/96";
        assert_eq!(judged(&[], &[], "2606:4700:1::a00:1"), Ok(()));
        assert_eq!(judged(&[], &[own], "2606:4700:1::808:808"), Err(Reason::Nat64));
        assert_eq!(judged(&[own], &[own], "2606:4700:1::a00:1"), Err(Reason::Private));
        assert_eq!(judged(&["2002::/16"], &[], "2002:a00:1::"), Err(Reason::Private));
        assert_eq!(judged(&["2001::/23"], &[], "2001:0:808:808::f5ff:fffe"), Err(Reason::Private));
        assert_eq!(judged(&[], &[], "2606:4700::5efe:10.0.0.1"), Err(Reason::Private));
    }

    #[test]
    fn a_listener_stays_refused_also_inside_ipv6() {
        let rules = Rules {
            allow: vec!["::/0".parse().unwrap(), "0.0.0.0/0".parse().unwrap()],
            listeners: vec!["127.0.0.1:443".parse().unwrap()],
            ..Rules::default()
        };
        for address in ["127.0.0.1", "::ffff:127.0.0.1", "64:ff9b::7f00:1", "2002:7f00:1::"] {
            let place = SocketAddr::new(address.parse().unwrap(), 443);
            let host = Host::Address(place.ip());
            assert_eq!(rules.judge(&host, place, Reach::Allowed), Err(Reason::OwnListener), "{address}");
        }
    }
}
