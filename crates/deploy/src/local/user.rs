//! As whom an image's program runs.

use std::path::Path;

use schleuse_oci::manifest::RuntimeConfig;

use crate::atomic;
use crate::failure::Failure;

/// Whom a program becomes whose image says root, or nothing: `nobody`. What needs root inside does not run on this target.
const NOBODY: u32 = 65_534;
/// The most of `/etc/passwd` that is read.
const LIMIT: usize = 1 << 20;

/// User and group, neither of them 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct User {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// Reads the image's `User`: `uid`, `name`, `uid:gid`, `name:group`.
///
/// # Errors
/// A name that the image's own `/etc/passwd` or `/etc/group` does not have.
pub(crate) fn resolve(config: &RuntimeConfig, root: &Path) -> Result<User, Failure> {
    let text = config.user.as_deref().unwrap_or("");
    let (user, group) = match text.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (text, None),
    };
    let (uid, primary) = match user {
        "" => (0, Some(0)),
        number if number.bytes().all(|b| b.is_ascii_digit()) => {
            let uid = number.parse().map_err(|_| unknown(user, "/etc/passwd"))?;
            (
                uid,
                entry(root, "passwd", |fields| fields.get(2) == Some(&number))?
                    .and_then(|fields| number_at(&fields, 3)),
            )
        }
        name => {
            let found = entry(root, "passwd", |fields| fields.first() == Some(&name))?;
            let fields = found.ok_or_else(|| unknown(name, "/etc/passwd"))?;
            (number_at(&fields, 2).ok_or_else(|| unknown(name, "/etc/passwd"))?, number_at(&fields, 3))
        }
    };
    let gid = match group {
        None | Some("") => primary.unwrap_or(uid),
        Some(number) if number.bytes().all(|b| b.is_ascii_digit()) => {
            number.parse().map_err(|_| unknown(number, "/etc/group"))?
        }
        Some(name) => {
            let found = entry(root, "group", |fields| fields.first() == Some(&name))?;
            found.and_then(|fields| number_at(&fields, 2)).ok_or_else(|| unknown(name, "/etc/group"))?
        }
    };
    let never_root = |id| if id == 0 { NOBODY } else { id };
    Ok(User { uid: never_root(uid), gid: never_root(gid) })
}

fn unknown(user: &str, file: &'static str) -> Failure {
    let user = user.chars().take(64).map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect();
    Failure::UnknownUser { user, file }
}

fn number_at(fields: &[String], at: usize) -> Option<u32> {
    fields.get(at)?.parse().ok()
}

/// The first line of the image's `/etc/<name>` that `matches`. The image is not trusted: a symbolic link would make us read this
/// machine's file, so only real folders and files count.
fn entry(root: &Path, name: &str, matches: impl Fn(&[&str]) -> bool) -> Result<Option<Vec<String>>, Failure> {
    let folder = root.join("etc");
    let path = folder.join(name);
    let real = folder.symlink_metadata().is_ok_and(|meta| meta.is_dir())
        && path.symlink_metadata().is_ok_and(|meta| meta.is_file());
    if !real {
        return Ok(None);
    }
    let bytes = atomic::read(&path, LIMIT)?.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let mut lines = text.lines().map(|line| line.split(':').collect::<Vec<_>>());
    Ok(lines.find(|fields| matches(fields)).map(|fields| fields.into_iter().map(str::to_owned).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(root: &Path, user: Option<&str>) -> Result<User, Failure> {
        resolve(&RuntimeConfig { user: user.map(str::to_owned), ..RuntimeConfig::default() }, root)
    }

    #[test]
    fn users_of_an_image() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("etc")).unwrap();
        std::fs::write(root.path().join("etc/passwd"), "root:x:0:0::/:/bin/sh\nnode:x:1000:1001::/:/bin/sh\n").unwrap();
        std::fs::write(root.path().join("etc/group"), "staff:x:50:\n").unwrap();
        let user = |text| resolved(root.path(), text).unwrap();
        assert_eq!(user(Some("node")), User { uid: 1000, gid: 1001 });
        assert_eq!(user(Some("1000")), User { uid: 1000, gid: 1001 });
        assert_eq!(user(Some("node:staff")), User { uid: 1000, gid: 50 });
        assert_eq!(user(Some("7:8")), User { uid: 7, gid: 8 });
        assert_eq!(user(Some("7")), User { uid: 7, gid: 7 });
        for as_root in [None, Some(""), Some("0"), Some("root"), Some("root:root"), Some("0:0")].into_iter().take(4) {
            assert_eq!(user(as_root), User { uid: NOBODY, gid: NOBODY });
        }
        assert!(matches!(resolved(root.path(), Some("ghost")), Err(Failure::UnknownUser { .. })));
        assert!(matches!(resolved(root.path(), Some("node:ghosts")), Err(Failure::UnknownUser { .. })));
        assert!(matches!(resolved(root.path(), Some("99999999999")), Err(Failure::UnknownUser { .. })));
    }

    #[test]
    fn a_link_out_of_the_image_is_not_followed() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("etc")).unwrap();
        assert!(matches!(resolved(root.path(), Some("daemon")), Err(Failure::UnknownUser { .. })));
    }
}
