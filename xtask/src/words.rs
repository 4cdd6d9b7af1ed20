//! Nothing in the tree may depend on, or tell of, the machine it was written on.

use crate::Report;
use crate::tree::Tree;

/// Starts of paths that exist on one machine only. Written in halves, so that this file does not contain them.
const PATHS: [(&str, &str); 4] = [("/wo", "rk/"), ("/ro", "ot/"), ("/fa", "rm/"), ("/Us", "ers/")];

/// Holds every file against [`PATHS`].
pub(crate) fn rule(tree: &Tree) -> Result<Report, String> {
    Ok(tree.files.iter().flat_map(|(path, text)| check(path, text)).collect::<Vec<_>>().into())
}

fn check(path: &str, text: &str) -> Vec<String> {
    let mut violations = Vec::new();
    for (number, line) in text.lines().enumerate() {
        for (first, second) in PATHS {
            let needle = format!("{first}{second}");
            // `$prefix/…` and `a/…` are paths below something; only an absolute one names a machine.
            let absolute = |at: usize| {
                let before = line[..at].chars().next_back();
                before.is_none_or(|c| !(c.is_alphanumeric() || "._-})".contains(c)))
            };
            if line.match_indices(&needle).any(|(at, _)| absolute(at)) {
                violations.push(format!("{path}:{}: names a machine's path ({needle})", number + 1));
            }
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn absolute_paths_of_a_machine_are_found() {
        let line = |prefix: &str| format!("ok\n{prefix}/{}/x", "root");
        assert_eq!(check("a.sh", &line("cd ")), [format!("a.sh:2: names a machine's path (/{}/)", "root")]);
        assert_eq!(check("a.sh", &line("")).len(), 1);
        assert_eq!(check("a.sh", &line("\"")).len(), 1);
    }

    #[test]
    fn paths_below_something_are_not() {
        for prefix in ["$work", "..", "layer", "${dir}"] {
            assert!(check("a.sh", &format!("{prefix}/{}/x", "root")).is_empty(), "{prefix}");
        }
    }
}
