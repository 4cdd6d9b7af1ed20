//! The programs we must get along with, as `tools/peers/install.sh` puts them.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Output, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// The cosign versions: 2 reads and writes the legacy format only, 3 prefers bundles.
pub(crate) const COSIGN_2: &str = "cosign-2.5";
pub(crate) const COSIGN_3: &str = "cosign-3.1";

/// The password of every key in these tests.
pub(crate) const PASSWORD: &str = "correct horse";

fn peer(name: &str) -> PathBuf {
    #[allow(clippy::disallowed_methods, reason = "the peers' folder is named by the environment")]
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from);
    let cache = variable("XDG_CACHE_HOME").or_else(|| Some(variable("HOME")?.join(".cache"))).unwrap();
    let program = cache.join("schleuse/peers/bin").join(name);
    assert!(program.exists(), "{name} is not there: run tools/peers/install.sh");
    program
}

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

/// A running docker-registry 2.8; killed on drop.
pub(crate) struct DockerRegistry {
    pub(crate) host: String,
    process: Child,
    _folder: TempDir,
}

impl DockerRegistry {
    pub(crate) async fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // The port could be taken between our look and its start; then it ends at once and the next one is tried.
        for _ in 0..5 {
            let host = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
            let config = folder.path().join("config.yml");
            let root = folder.path().join("data");
            let text = format!(
                "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                 storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {host}}}\n",
                root.display()
            );
            std::fs::write(&config, text).unwrap();
            let mut process = command("docker-registry", folder.path())
                .arg("serve")
                .arg(&config)
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            for _ in 0..500 {
                if tokio::net::TcpStream::connect(&host).await.is_ok() {
                    return Self { host, process, _folder: folder };
                }
                if process.try_wait().unwrap().is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("docker-registry does not start");
    }
}

impl Drop for DockerRegistry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
