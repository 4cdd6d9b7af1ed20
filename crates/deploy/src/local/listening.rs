//! On which addresses an instance listens: its processes' sockets, looked up in the kernel's table.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// `TCP_LISTEN` in `/proc/net/tcp`.
const LISTEN: &str = "0A";

/// The addresses on which `init` and its descendants listen. What cannot be read (a process that has just ended) counts as
/// nothing: this is a diagnosis, not a decision.
pub(crate) fn listening(init: i32) -> Vec<SocketAddr> {
    let sockets: HashSet<String> = family(init).into_iter().flat_map(sockets_of).collect();
    let mut found = Vec::new();
    for table in ["tcp", "tcp6"] {
        let text = fs::read_to_string(format!("/proc/{init}/net/{table}")).unwrap_or_default();
        found.extend(
            text.lines().skip(1).filter_map(row).filter(|(_, inode)| sockets.contains(inode)).map(|(at, _)| at),
        );
    }
    found.sort();
    found.dedup();
    found
}

fn row(line: &str) -> Option<(SocketAddr, String)> {
    let fields: Vec<&str> = line.split_ascii_whitespace().collect();
    if fields.get(3) != Some(&LISTEN) {
        return None;
    }
    let (ip, port) = fields.get(1)?.split_once(':')?;
    let address = SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?);
    Some((address, (*fields.get(9)?).to_owned()))
}

/// Words of 4 bytes, each in the processor's order.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let mut bytes = Vec::new();
    for at in (0..hex.len()).step_by(8) {
        bytes.extend(u32::from_str_radix(hex.get(at..at + 8)?, 16).ok()?.to_ne_bytes());
    }
    match bytes.len() {
        4 => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        16 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}

fn sockets_of(pid: i32) -> Vec<String> {
    let Ok(files) = fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let targets = files.flatten().filter_map(|file| fs::read_link(file.path()).ok());
    let sockets =
        targets.filter_map(|target| Some(target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.to_owned()));
    sockets.collect()
}

/// `root` and all its descendants.
fn family(root: i32) -> Vec<i32> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let stat = fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat.rfind(')').and_then(|end| stat.get(end + 1..)?.split_ascii_whitespace().nth(1)?.parse().ok());
        if let Some(parent) = parent {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut family = vec![root];
    let mut at = 0;
    while let Some(pid) = family.get(at).copied() {
        family.extend(children.remove(&pid).unwrap_or_default());
        at += 1;
    }
    family
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    fn finds_our_own_listeners() {
        let v4 = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let open = TcpListener::bind("127.0.0.1:0").unwrap();
        let found = listening(i32::try_from(std::process::id()).unwrap());
        assert!(found.contains(&open.local_addr().unwrap()), "{found:?}");
        assert!(!found.contains(&v4), "closed again");
    }
}
