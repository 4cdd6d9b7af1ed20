//! The compressor that decides image digests (DESIGN, Build hygiene).
//!
//! flate2 takes the first of several backends that anybody in the workspace asks for, and features unify: a dependency that switches
//! `zlib-rs` on would change every digest. Each backend is a crate of its own, so `Cargo.lock` shows it; a golden digest in
//! `crates/image/tests` guards the bytes themselves.

use crate::Report;
use crate::tree::Tree;

/// What flate2 stands on: checksums, and the one backend.
const EXPECTED: [&str; 2] = ["crc32fast", "miniz_oxide"];
/// The crates whose version is pinned exactly.
const PINNED: [&str; 2] = ["flate2", "miniz_oxide"];

/// Holds `Cargo.lock` against the pins of the workspace.
pub(crate) fn rule(tree: &Tree) -> Result<Report, String> {
    let parse = |path: &str| tree.file(path)?.parse().map_err(|error| format!("{path}: {error}"));
    let (manifest, lock): (toml::Table, toml::Table) = (parse("Cargo.toml")?, parse("Cargo.lock")?);
    let violations = check(&manifest, &lock);
    Ok(Report { figures: vec!["flate2 on miniz_oxide".to_owned()], violations })
}

fn check(manifest: &toml::Table, lock: &toml::Table) -> Vec<String> {
    let mut violations = Vec::new();
    let packages = lock.get("package").and_then(toml::Value::as_array).map_or(&[][..], Vec::as_slice);
    let text = |value: &toml::Value, key: &str| value.get(key).and_then(toml::Value::as_str).unwrap_or("").to_owned();
    for name in PINNED {
        let pin = manifest.get("workspace").and_then(|workspace| workspace.get("dependencies")?.get(name));
        let pin = pin.map(|pin| text(pin, "version")).unwrap_or_default();
        let versions: Vec<String> = packages
            .iter()
            .filter(|package| text(package, "name") == name)
            .map(|package| text(package, "version"))
            .collect();
        match versions.as_slice() {
            [one] if pin == format!("={one}") => {}
            [_] => {
                violations.push(format!("{name} must be pinned exactly in the workspace's Cargo.toml, as it is locked"))
            }
            _ => violations.push(format!("{name} must be there in one version, not {}", versions.len())),
        }
    }
    let flate2 = packages.iter().find(|package| text(package, "name") == "flate2");
    let on = flate2.and_then(|package| package.get("dependencies")?.as_array()).map_or(&[][..], Vec::as_slice);
    let on: Vec<&str> = on.iter().filter_map(toml::Value::as_str).filter_map(|name| name.split(' ').next()).collect();
    if on != EXPECTED {
        violations.push(format!(
            "flate2 is built on {}, not on {}: another backend changes every image's digest (who asks for it: `cargo tree \
             --edges features --invert flate2`)",
            on.join(" and "),
            EXPECTED.join(" and ")
        ));
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str =
        "[workspace.dependencies]\nflate2 = { version = \"=1.1.11\" }\nminiz_oxide = { version = \"=0.9.1\" }";

    fn found(manifest: &str, on: &str, more: &str) -> Vec<String> {
        let lock = format!(
            "[[package]]\nname = \"flate2\"\nversion = \"1.1.11\"\ndependencies = [{on}]\n[[package]]\nname = \
             \"miniz_oxide\"\nversion = \"0.9.1\"\n{more}"
        );
        check(&manifest.parse().unwrap(), &lock.parse().unwrap())
    }

    #[test]
    fn another_backend_is_found() {
        assert!(found(MANIFEST, "\"crc32fast\", \"miniz_oxide\"", "").is_empty());
        let backend = found(MANIFEST, "\"crc32fast\", \"miniz_oxide\", \"zlib-rs\"", "");
        assert!(
            backend[0].starts_with("flate2 is built on crc32fast and miniz_oxide and zlib-rs, not on"),
            "{backend:?}"
        );
        assert_eq!(found(MANIFEST, "\"libz-sys\"", "").len(), 1);
    }

    #[test]
    fn a_loose_pin_and_a_second_version_are_found() {
        let loose = MANIFEST.replace("=0.9.1", "0.9.1");
        assert_eq!(found(&loose, "\"crc32fast\", \"miniz_oxide\"", "").len(), 1);
        let second = "[[package]]\nname = \"miniz_oxide\"\nversion = \"0.8.0\"\n";
        let found = found(MANIFEST, "\"crc32fast\", \"miniz_oxide 0.9.1\"", second);
        assert_eq!(found, ["miniz_oxide must be there in one version, not 2"]);
    }
}
