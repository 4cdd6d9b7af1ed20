//! The programs we must get along with.

use std::path::PathBuf;

/// Where the scripts of `tools/peers` have put the peer called `name`: `cosign-2.5`, `cosign-3.1`, `docker-registry`, `skopeo`,
/// `skopeo-1.22`, `sigstore-js`, `docker`, `crane` or `oci-conformance`.
/// # Panics
/// If it is not there; the message says what to do.
pub fn peer(name: &str) -> PathBuf {
    #[allow(clippy::disallowed_methods, reason = "the peers' folder is named by the environment, as for the script")]
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache")));
    let program = cache.expect("HOME is set").join("schleuse/peers/bin").join(name);
    assert!(program.exists(), "{name} is not there: run tools/setup.sh");
    program
}
