//! The programs we must get along with, as the scripts of `tools/peers` put them.

use std::path::Path;
use std::process::{Output, Stdio};

use schleuse_testkit::peer;

/// The cosign versions: 2 knows signatures in the legacy format only, and attestations as bundles if told to; 3 prefers bundles.
pub(crate) const COSIGN_2: &str = "cosign-2.5";
pub(crate) const COSIGN_3: &str = "cosign-3.1";
/// Reads and writes the legacy format only.
pub(crate) const SKOPEO: &str = "skopeo-1.22";
/// npm's `@sigstore/verify`: reads bundles only.
pub(crate) const SIGSTORE_JS: &str = "sigstore-js";

/// The password of every key in these tests.
pub(crate) const PASSWORD: &str = "correct horse";

/// A proxy that nobody is: what wants to leave the machine fails, here as in a closed network. Loopback needs none.
const NO_WAY_OUT: &str = "http://127.0.0.1:9";

#[allow(clippy::disallowed_methods, reason = "a peer of the test, not a program of the product")]
fn command(name: &str, folder: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(peer(name));
    // A home of its own: no user's configuration, and no trust root fetched from the network into it.
    command.env_clear().env("HOME", folder).env("HTTPS_PROXY", NO_WAY_OUT).env("HTTP_PROXY", NO_WAY_OUT);
    command.env("COSIGN_PASSWORD", PASSWORD).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs a peer to its end in `folder`. Call it off the runtime's threads where the registry runs in this process.
pub(crate) fn run(name: &str, folder: &Path, args: &[&str]) -> Output {
    command(name, folder).args(args).output().unwrap()
}

/// What a program printed, for a failed assertion.
pub(crate) fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
