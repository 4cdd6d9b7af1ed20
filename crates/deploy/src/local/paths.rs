//! Where everything lies in an environment's folder.
//!
//! ```text
//! <root>/<environment>/
//!   lease.lock                  held by the run that works on the environment
//!   state.json                  sequence, active instance, newest rollout
//!   intent                      a signed way back the journal does not know yet
//!   images/<hex>/rootfs         an unpacked image, shared by its instances; config.json beside it
//!   instances/<name>/           definition.json, spec.json (last start), running.json, exit.json, life.lock, instance.log
//!   front-door/                 settings.json, backend, control.sock, life.lock
//! ```

use std::path::{Path, PathBuf};

use schleuse_model::Digest;

#[derive(Clone, Debug)]
pub(crate) struct Paths(PathBuf);

impl Paths {
    pub(crate) fn at(folder: PathBuf) -> Self {
        Self(folder)
    }
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
    pub(crate) fn lease(&self) -> PathBuf {
        self.0.join("lease.lock")
    }
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state.json")
    }
    pub(crate) fn intent(&self) -> PathBuf {
        self.0.join("intent")
    }
    pub(crate) fn images(&self) -> PathBuf {
        self.0.join("images")
    }
    pub(crate) fn image(&self, digest: &Digest) -> PathBuf {
        self.images().join(digest.as_tag_stem())
    }
    pub(crate) fn instances(&self) -> PathBuf {
        self.0.join("instances")
    }
    pub(crate) fn instance(&self, name: &str) -> InstancePaths {
        InstancePaths(self.instances().join(name))
    }
    pub(crate) fn front_door(&self) -> PathBuf {
        self.0.join("front-door")
    }
}

/// One instance's folder.
#[derive(Clone, Debug)]
pub(crate) struct InstancePaths(PathBuf);

impl InstancePaths {
    pub(crate) fn at(folder: &Path) -> Self {
        Self(folder.to_owned())
    }
    pub(crate) fn folder(&self) -> &Path {
        &self.0
    }
    /// Its name.
    pub(crate) fn name(&self) -> String {
        self.0.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
    pub(crate) fn definition(&self) -> PathBuf {
        self.0.join("definition.json")
    }
    pub(crate) fn spec(&self) -> PathBuf {
        self.0.join("spec.json")
    }
    pub(crate) fn running(&self) -> PathBuf {
        self.0.join("running.json")
    }
    pub(crate) fn exit(&self) -> PathBuf {
        self.0.join("exit.json")
    }
    pub(crate) fn lock(&self) -> PathBuf {
        self.0.join("life.lock")
    }
    pub(crate) fn log(&self) -> PathBuf {
        self.0.join("instance.log")
    }
    /// What the supervisor itself says.
    pub(crate) fn supervisor_log(&self) -> PathBuf {
        self.0.join("supervisor.txt")
    }
}
