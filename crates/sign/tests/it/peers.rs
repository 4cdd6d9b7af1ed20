//! The programs we must get along with, as `tools/peers/install.sh` puts them.

use std::path::Path;
use std::process::{Output, Stdio};

use schleuse_testkit::peer;

/// The cosign versions: 2 reads and writes the legacy format only, 3 prefers bundles.
pub(crate) const COSIGN_2: &str = "cosign-2.5";
pub(crate) const COSIGN_3: &str = "cosign-3.1";

/// The password of every key in these tests.
pub(crate) const PASSWORD: &str = "correct horse";

#[allow(clippy::disallowed_methods, reason = "a peer of the test, not a program of the product")]
fn command(name: &str, folder: &Path) -> std::process::Command {
    let mut command = std::process::Command::new(peer(name));
    // A home of its own: no user's configuration, and no trust root fetched from the network into it.
    command.env_clear().env("HOME", folder).env("COSIGN_PASSWORD", PASSWORD).current_dir(folder).stdin(Stdio::null());
    command
}

/// Runs cosign to its end in `folder`. Call it off the runtime's threads where the registry runs in this process.
pub(crate) fn cosign(version: &str, folder: &Path, args: &[&str]) -> Output {
    command(version, folder).args(args).output().unwrap()
}

/// What a program printed, for a failed assertion.
pub(crate) fn words(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}
