//! The network that an address is likely to share with others of its owner.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::num::NonZeroU64;

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// A /24 of IPv4 or a /48 of IPv6. Tens of thousands are compared, so it is a number: the prefix, and above it the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network(NonZeroU64);

const V4: u64 = 1 << 48;
const V6: u64 = 2 << 48;

impl Network {
    /// That of an address; `None` of what is none.
    pub fn of(ip: &str) -> Option<Network> {
        let number = match ip.parse().ok()? {
            IpAddr::V4(ip) => V4 | u64::from(ip.to_bits() >> 8),
            IpAddr::V6(ip) => V6 | (ip.to_bits() >> 80) as u64,
        };
        NonZeroU64::new(number).map(Network)
    }

    /// The same as others write it.
    pub fn net(self) -> IpNet {
        let number = self.0.get();
        if number < V6 {
            Ipv4Net::new_assert(Ipv4Addr::from_bits((number << 8) as u32), 24).into()
        } else {
            Ipv6Net::new_assert(Ipv6Addr::from_bits(u128::from(number) << 80), 48).into()
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.net().fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_of_addresses() {
        for (ip, expected) in [
            ("192.0.2.99", Some("192.0.2.0/24")),
            ("0.0.0.1", Some("0.0.0.0/24")),
            ("255.255.255.255", Some("255.255.255.0/24")),
            ("2001:db8:10:7::25", Some("2001:db8:10::/48")),
            ("::1", Some("::/48")),
            ("ffff:ffff:ffff:ffff::", Some("ffff:ffff:ffff::/48")),
            ("nonsense", None),
        ] {
            let network = Network::of(ip);
            assert_eq!(network.map(|network| network.to_string()).as_deref(), expected);
            let holds = |network: Network| network.net().contains(&ip.parse::<IpAddr>().unwrap());
            assert!(network.is_none_or(holds), "{ip}");
        }
    }
}
