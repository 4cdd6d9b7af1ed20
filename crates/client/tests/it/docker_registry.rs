//! `docker-registry` 2.8, the Debian package: what most people's registry is made of.

use std::net::TcpListener;
use std::process::{Child, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// A running registry; killed on drop.
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
            std::fs::write(
                &config,
                format!(
                    "version: 0.1\nlog: {{level: error, accesslog: {{disabled: true}}}}\n\
                     storage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {host}}}\n",
                    root.display()
                ),
            )
            .unwrap();
            #[allow(clippy::disallowed_methods, reason = "a peer of the test, not a program of the product")]
            let mut process = std::process::Command::new(schleuse_testkit::peer("docker-registry"))
                .arg("serve")
                .arg(&config)
                .env_remove("OTEL_TRACES_EXPORTER")
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .expect("docker-registry starts");
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
