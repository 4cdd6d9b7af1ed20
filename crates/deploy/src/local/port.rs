//! A port for an instance that has none of its own.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};

/// Below 32768, from where kernels hand out ports by default (`ip_local_port_range`, ip(7)): between our look and the release's
/// `listen` nobody who asks for any port, or only connects to somewhere, is given this one.
const FIRST: u16 = 20_000;
/// Enough that two starts at the same moment hardly ever look at the same one.
const COUNT: u16 = 10_000;
/// How many are looked at before the kernel is asked for any.
const TRIES: u16 = 100;

/// A port that is free now. `who` is what tells this start from others.
pub(crate) fn free_address(who: &impl Hash) -> std::io::Result<SocketAddr> {
    let mut hasher = DefaultHasher::new();
    who.hash(&mut hasher);
    let start = u16::try_from(hasher.finish() % u64::from(COUNT)).unwrap_or_default();
    let ours = (0..TRIES).map(|n| FIRST + (start + n) % COUNT);
    let free = ours.map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).find(|at| TcpListener::bind(at).is_ok());
    free.map_or_else(|| TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr(), Ok)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_not_offered_again_and_none_is_the_kernels() {
        let first = free_address(&("canary", 1)).unwrap();
        let _taken = TcpListener::bind(first).unwrap();
        let second = free_address(&("canary", 1)).unwrap();
        assert_ne!(first, second);
        for at in [first, second] {
            assert!((FIRST..FIRST + COUNT).contains(&at.port()), "{at}");
        }
    }
}
