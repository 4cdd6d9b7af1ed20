//! The program under test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// The real `schleuse`, as it is built now, under a name of this test run's own: a build that goes on beside it changes nothing.
pub(crate) fn schleuse() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| {
        // cargo builds another package's binary for tests only if it is asked to. Nothing happens if it is fresh.
        let built = target().join("schleuse");
        let mut build = Command::new(env!("CARGO"));
        build.args(["build", "--quiet", "--package", "schleuse-cli", "--bin", "schleuse"]);
        if target().file_name().is_some_and(|name| name == "release") {
            build.arg("--release");
        }
        // What cargo has told this test about itself would make dependencies look changed: ring's build script watches it.
        for (name, _) in std::env::vars_os() {
            let told = ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_EXE_", "CARGO_TARGET_TMPDIR"];
            if told.iter().any(|start| name.to_string_lossy().starts_with(start)) {
                build.env_remove(name);
            }
        }
        // In the folder that cargo runs tests in, this package's: clones that share a target folder share this program too.
        let status = build.status().expect("cargo starts");
        assert!(status.success() && built.is_file(), "{} cannot be built", built.display());
        let own = folder().join("schleuse");
        std::fs::hard_link(&built, &own).or_else(|_| std::fs::copy(&built, &own).map(drop)).expect("a copy");
        own
    })
}

/// The service that the images hold.
pub(crate) fn app() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_schleuse-e2e-app"))
}

/// `target/debug` or `target/release`: this program is `deps/e2e-…` in it.
fn target() -> PathBuf {
    let here = std::env::current_exe().expect("this program lies somewhere");
    here.ancestors().nth(2).expect("cargo's folder").to_owned()
}

/// A folder of this test run's own.
pub(crate) fn folder() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let all = Path::new(env!("CARGO_TARGET_TMPDIR")).join("e2e");
        std::fs::create_dir_all(&all).expect("a folder");
        // A test run cannot clean up after its own end; the next one does.
        for entry in std::fs::read_dir(&all).expect("a folder").flatten() {
            if !Path::new("/proc").join(entry.file_name()).exists() {
                let _ = std::fs::remove_dir_all(entry.path());
            }
        }
        let own = all.join(std::process::id().to_string());
        std::fs::create_dir(&own).expect("a folder");
        own
    })
}
