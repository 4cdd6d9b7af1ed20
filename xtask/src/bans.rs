//! The crates that `deny.toml` bans, held against `Cargo.lock`.
//!
//! `cargo deny` reads the same list and more (licences, advisories), but takes minutes to build; this keeps the ban in every run.

use crate::Report;
use crate::tree::Tree;

/// Holds `Cargo.lock` against `deny.toml`.
pub(crate) fn rule(tree: &Tree) -> Result<Report, String> {
    let deny = parse("deny.toml", tree.file("deny.toml")?)?;
    let lock = parse("Cargo.lock", tree.file("Cargo.lock")?)?;
    let bans = banned(&deny);
    if bans.is_empty() {
        return Err("deny.toml bans nothing: [bans] deny is missing".to_owned());
    }
    let violations = check(&bans, &locked(&lock)?);
    Ok(Report { figures: vec![format!("{} banned", bans.len())], violations })
}

fn parse(path: &str, text: &str) -> Result<toml::Table, String> {
    text.parse().map_err(|error| format!("{path}: {error}"))
}

/// Name and reason of each banned crate.
fn banned(deny: &toml::Table) -> Vec<(String, String)> {
    let list = deny.get("bans").and_then(|bans| bans.get("deny")).and_then(toml::Value::as_array);
    let text = |entry: &toml::Value, key: &str| entry.get(key).and_then(toml::Value::as_str).unwrap_or("").to_owned();
    list.into_iter().flatten().map(|entry| (text(entry, "crate"), text(entry, "reason"))).collect()
}

/// Name and source of each locked package; those of the workspace have no source.
fn locked(lock: &toml::Table) -> Result<Vec<(String, Option<String>)>, String> {
    let packages = lock.get("package").and_then(toml::Value::as_array).ok_or("Cargo.lock has no packages")?;
    let text = |package: &toml::Value, key: &str| package.get(key).and_then(toml::Value::as_str).map(str::to_owned);
    Ok(packages.iter().filter_map(|package| Some((text(package, "name")?, text(package, "source")))).collect())
}

fn check(bans: &[(String, String)], locked: &[(String, Option<String>)]) -> Vec<String> {
    const CRATES_IO: &str = "registry+https://github.com/rust-lang/crates.io-index";
    let mut violations = Vec::new();
    for (name, reason) in bans {
        if name.is_empty() || reason.is_empty() {
            violations
                .push(format!("deny.toml: a ban of `{name}` needs `crate` and a `reason` that names the replacement"));
        } else if locked.iter().any(|(locked, _)| locked == name) {
            violations.push(format!("{name} is banned: {reason} (who brings it: `cargo tree --invert {name}`)"));
        }
    }
    for (name, source) in locked {
        if source.as_deref().is_some_and(|source| source != CRATES_IO) {
            violations.push(format!("{name} does not come from crates.io"));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(deny: &str, lock: &str) -> Vec<String> {
        check(&banned(&deny.parse().unwrap()), &locked(&lock.parse().unwrap()).unwrap())
    }

    const DENY: &str = "[bans]\ndeny = [{ crate = \"openssl\", reason = \"use rustls\" }]";

    #[test]
    fn a_banned_crate_is_found_with_its_replacement() {
        let found = found(DENY, "[[package]]\nname = \"openssl\"\n");
        assert_eq!(found, ["openssl is banned: use rustls (who brings it: `cargo tree --invert openssl`)"]);
    }

    #[test]
    fn a_crate_from_elsewhere_is_found() {
        let found = found(DENY, "[[package]]\nname = \"x\"\nsource = \"git+https://example.org/x\"\n");
        assert_eq!(found, ["x does not come from crates.io"]);
    }

    #[test]
    fn a_ban_without_a_reason_is_found() {
        assert_eq!(found("[bans]\ndeny = [{ crate = \"openssl\" }]", "[[package]]\nname = \"a\"\n").len(), 1);
    }
}
