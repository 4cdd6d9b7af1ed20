//! The scene: one folder with everything in it, from which it can also be cleared away.

use std::collections::BTreeMap;
use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schleuse_client::Client;
use schleuse_deploy::local::{DRAIN, STOP_GRACE};
use schleuse_deploy::{LocalSettings, LocalTarget};
use schleuse_model::{EnvironmentName, json};
use serde::{Deserialize, Serialize};

use super::error::{DemoError, file};
use super::rootfs;
use crate::failure::Failure;

/// Marks a folder as the demo's: only such a one is ever cleared away.
const MARK: &str = "schleuse-demo.json";
const MARK_LIMIT: usize = 64 << 10;

/// What stands where.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Scene {
    /// The folder; absolute.
    pub(crate) folder: PathBuf,
    /// This program.
    pub(crate) exe: PathBuf,
    /// The registry.
    pub(crate) registry: SocketAddr,
    /// The front doors.
    pub(crate) canary: SocketAddr,
    /// The front doors.
    pub(crate) production: SocketAddr,
    /// Whether the probes are fewer.
    pub(crate) fast: bool,
}

impl Scene {
    /// Sets the scene in a new folder. `ports`: any number; free ports are looked for from there.
    pub(crate) fn set(folder: PathBuf, exe: PathBuf, fast: bool, ports: u16) -> Result<Self, DemoError> {
        fs::create_dir_all(&folder).map_err(file(&folder))?;
        let [registry, canary, production] = free_ports(ports).map_err(file("a free port"))?;
        let scene = Self { folder, exe, registry, canary, production, fast };
        let mark = scene.folder.join(MARK);
        fs::write(&mark, json::to_bytes(&scene)).map_err(file(&mark))?;
        rootfs::lay_out(&scene.folder.join("image"), &scene.exe)?;
        Ok(scene)
    }

    /// The scene that was set in `folder`.
    pub(crate) fn found(folder: &Path) -> Result<Self, DemoError> {
        let not_ours = || DemoError::NotADemo(folder.to_owned());
        let bytes = fs::read(folder.join(MARK)).map_err(|_| not_ours())?;
        let scene: Self = json::from_untrusted(&bytes, MARK_LIMIT).map_err(|_| not_ours())?;
        let here = fs::canonicalize(folder).map_err(file(folder))?;
        if scene.folder == here { Ok(scene) } else { Err(not_ours()) }
    }

    /// The image's repository.
    pub(crate) fn image(&self) -> String {
        format!("{}/acme/billing", self.registry)
    }

    /// Writes schleuse.toml so that the next build makes this version, sick in this way.
    pub(crate) fn configure(&self, version: &str, fault: &str) -> Result<(), DemoError> {
        let path = self.folder.join("schleuse.toml");
        fs::write(&path, self.configuration(version, fault)).map_err(file(&path))
    }

    fn configuration(&self, version: &str, fault: &str) -> String {
        let Self { canary, production, .. } = self;
        let window = if self.fast { "1500ms" } else { "3s" };
        let health = format!(
            "{{ path = \"/api/health\", interval = \"150ms\", timeout = \"150ms\", window = \"{window}\", grace = \"1s\", \
             span = \"300ms\" }}"
        );
        format!(
            "image  = \"{image}\"\n\
             source = \"https://git.example/acme/billing\"\n\n\
             [build]\n\
             copy       = [{{ from = \"image\", to = \"/\" }}]\n\
             entrypoint = [\"{program}\", \"demo-app\"]\n\
             env        = {{ APP_VERSION = \"{version}\", APP_FAULT = \"{fault}\" }}\n\
             user       = \"10001\"\n\n\
             [environment.staging]\n\
             checks = [\"smoke\"]\n\n\
             [environment.canary]\n\
             host   = \"local\"\n\
             listen = \"{canary}\"\n\
             port   = 3000\n\
             state  = \"state\"\n\
             health = {health}\n\n\
             [environment.production]\n\
             host   = \"local\"\n\
             listen = \"{production}\"\n\
             port   = 3000\n\
             state  = \"state\"\n\
             health = {health}\n\n\
             [check.smoke]\n\
             run = [\"sleep\", \"0.4\"]    # stands for tests that take a moment\n",
            image = self.image(),
            program = rootfs::PROGRAM,
        )
    }

    /// Stops everything that runs in this scene.
    pub(crate) async fn stop(&self) -> Result<(), Failure> {
        let client = Arc::new(Client::builder().build()?);
        for (name, listen) in [("canary", self.canary), ("production", self.production)] {
            let settings = LocalSettings {
                root: self.folder.join("state"),
                environment: name.parse::<EnvironmentName>().map_err(|error| DemoError::Wrong(error.to_string()))?,
                exe: self.exe.clone(),
                listen: Some(listen),
                port: None,
                env: BTreeMap::new(),
                stop_grace: STOP_GRACE,
                drain: DRAIN,
            };
            LocalTarget::new(settings, client.clone()).remove().await?;
        }
        Ok(())
    }

    /// Removes the folder. Everything in it was stopped.
    pub(crate) fn remove(&self) -> Result<(), DemoError> {
        fs::remove_dir_all(&self.folder).map_err(file(&self.folder))
    }
}

/// Three ports that are free now, below those that the kernel gives to outgoing connections: one of these would be taken by
/// somebody's connection before its server listens. All are held until all are known, so that they differ.
fn free_ports(from: u16) -> std::io::Result<[SocketAddr; 3]> {
    let mut held = Vec::new();
    let tries = (0..1000_u16).map(|step| 10_000 + from.wrapping_add(step) % 10_000);
    for port in tries {
        held.extend(TcpListener::bind(("127.0.0.1", port)));
        if let [first, second, third] = held.as_slice() {
            return Ok([first.local_addr()?, second.local_addr()?, third.local_addr()?]);
        }
    }
    Err(std::io::ErrorKind::AddrInUse.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_folder_of_the_demo_is_taken_for_one() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Scene::found(folder.path()), Err(DemoError::NotADemo(_))));
        fs::write(folder.path().join(MARK), "{}").unwrap();
        assert!(matches!(Scene::found(folder.path()), Err(DemoError::NotADemo(_))));
    }
}
