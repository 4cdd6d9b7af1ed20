//! `NO_PROXY`. There is no standard; this is what curl, Go and Python agree on, and networks as Go and Ruby have them.

use std::net::IpAddr;

use reqwest::Url;

/// What is reached without a proxy.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Bypass {
    everything: bool,
    entries: Vec<(Which, Option<u16>)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Which {
    /// The name and all below it, without a leading dot, lower-case.
    Name(String),
    /// Addresses whose first bits are these.
    Network(IpAddr, u32),
}

impl Bypass {
    /// Reads a list. What is no entry matches nothing.
    pub(super) fn parse(list: &str) -> Self {
        let mut bypass = Self::default();
        for entry in list.split([',', ' ', '\t', '\n']).filter(|entry| !entry.is_empty()) {
            if entry == "*" {
                bypass.everything = true;
            } else {
                bypass.entries.extend(parse_entry(entry));
            }
        }
        bypass
    }

    /// Whether `url` is reached without a proxy: it is this machine, or listed.
    pub(super) fn covers(&self, url: &Url) -> bool {
        let Some(host) = url.host_str() else { return true };
        let host = host.trim_matches(['[', ']']).trim_end_matches('.').to_ascii_lowercase();
        let address: Option<IpAddr> = host.parse().ok().map(canonical);
        let here = address.map_or(host == "localhost" || host.ends_with(".localhost"), |address| address.is_loopback());
        here || self.everything
            || self.entries.iter().any(|(which, port)| {
                port.is_none_or(|port| url.port_or_known_default() == Some(port))
                    && match (which, address) {
                        (Which::Network(network, bits), Some(address)) => within(address, *network, *bits),
                        (Which::Name(name), None) => {
                            host.strip_suffix(name.as_str()).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
                        }
                        _ => false,
                    }
            })
    }
}

fn parse_entry(entry: &str) -> Option<(Which, Option<u16>)> {
    if let Ok(address) = entry.trim_matches(['[', ']']).parse::<IpAddr>() {
        let address = canonical(address);
        return Some((Which::Network(address, bits(address)), None));
    }
    if let Some((network, length)) = entry.split_once('/') {
        let network: IpAddr = network.parse().ok()?;
        return length
            .parse()
            .ok()
            .filter(|length| *length <= bits(network))
            .map(|length| (Which::Network(network, length), None));
    }
    let (host, port) = match entry.rsplit_once(':') {
        Some((host, port)) => (host, Some(port.parse().ok()?)),
        None => (entry, None),
    };
    if let Ok(address) = host.trim_matches(['[', ']']).parse::<IpAddr>() {
        let address = canonical(address);
        return Some((Which::Network(address, bits(address)), port));
    }
    let name = host.trim_start_matches("*.").trim_matches('.').to_ascii_lowercase();
    (!name.is_empty()).then_some((Which::Name(name), port))
}

/// An IPv4 address in IPv6's clothes is that IPv4 address.
fn canonical(address: IpAddr) -> IpAddr {
    address.to_canonical()
}

const fn bits(address: IpAddr) -> u32 {
    match address {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn within(address: IpAddr, network: IpAddr, length: u32) -> bool {
    match (address, network) {
        (IpAddr::V4(one), IpAddr::V4(other)) => {
            (one.to_bits() ^ other.to_bits()).checked_shr(32 - length).unwrap_or(0) == 0
        }
        (IpAddr::V6(one), IpAddr::V6(other)) => {
            (one.to_bits() ^ other.to_bits()).checked_shr(128 - length).unwrap_or(0) == 0
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn covers(list: &str, url: &str) -> bool {
        Bypass::parse(list).covers(&Url::parse(url).unwrap())
    }

    #[test]
    fn names_addresses_networks_and_ports() {
        for (list, url, expected) in [
            ("r.io", "https://r.io/", true),
            ("r.io", "https://sub.R.io./", true),
            ("r.io", "https://evilr.io/", false),
            ("r.io", "https://r.io.evil/", false),
            (".r.io", "https://r.io/", true),
            ("*.r.io", "https://a.r.io/", true),
            ("a, b\tr.io", "https://r.io/", true),
            ("r.io:5000", "https://r.io:5000/", true),
            ("r.io:5000", "https://r.io/", false),
            ("r.io:443", "https://r.io/", true),
            ("r.io:x", "https://r.io/", false),
            ("*", "https://anything.example/", true),
            ("10.0.0.0/8", "http://10.255.0.1/", true),
            ("10.0.0.0/8", "http://11.0.0.1/", false),
            ("10.0.0.0/33", "http://10.0.0.1/", false),
            ("0.0.0.0/0", "http://8.8.8.8/", true),
            ("0.0.0.0/0", "http://r.io/", false),
            ("192.0.2.7", "http://192.0.2.7:5000/", true),
            ("192.0.2.7:80", "http://192.0.2.7:5000/", false),
            ("192.0.2.7", "http://[::ffff:192.0.2.7]/", true),
            ("fd00::/8", "http://[fd12::1]/", true),
            ("fd00::1", "http://[fd00::1]/", true),
            ("[fd00::1]:80", "http://[fd00::1]/", true),
            ("::/0", "http://[fd00::1]/", true),
            ("", "https://r.io/", false),
            (",,. ", "https://r.io/", false),
            ("", "http://app.localhost/", true),
        ] {
            assert_eq!(covers(list, url), expected, "{list} {url}");
        }
    }

    proptest! {
        /// Any text is a list, and never sends this machine's traffic away.
        #[test]
        fn any_list(list in "\\PC{0,60}", port in 1u16..) {
            let here = format!("http://127.0.0.1:{port}/");
            prop_assert!(covers(&list, &here));
            if !list.contains('*') && !list.to_ascii_lowercase().contains("example") {
                prop_assert!(!covers(&list, "https://registry.example/"));
            }
        }

        /// A network covers an address exactly if their first bits agree.
        #[test]
        fn networks(one: u32, other: u32, length in 0u32..=32) {
            let mask = if length == 0 { 0 } else { u32::MAX << (32 - length) };
            let (one, other) = (std::net::Ipv4Addr::from(one), std::net::Ipv4Addr::from(other));
            let same = one.to_bits() & mask == other.to_bits() & mask;
            prop_assert_eq!(within(one.into(), other.into(), length), same);
        }
    }
}
