//! Images on this machine: fetched and unpacked once, shared read-only by the instances of a digest.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use nix::sys::signal::Signal;
use schleuse_image::unpack::{Limits, Ownership, unpack};
use schleuse_model::{Digest, PinnedRef};
use schleuse_oci::manifest::RuntimeConfig;
use schleuse_oci::{Platform, Pull};
use serde::{Deserialize, Serialize};

use super::LocalSettings;
use super::instance::Definition;
use super::paths::Paths;
use super::user;
use crate::atomic;
use crate::failure::Failure;
use schleuse_model::Release;

/// What docker gives a program whose image says no `PATH`.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/// Parts of the names of variables whose values are not shown.
const SECRET: [&str; 8] = ["PASS", "SECRET", "TOKEN", "KEY", "CREDENTIAL", "DATABASE_URL", "DSN", "AUTH"];

/// How an unpacked image is run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Unpacked {
    config: RuntimeConfig,
}

/// An image that lies ready.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    root: PathBuf,
    config: RuntimeConfig,
}

/// The image, if it lies ready.
pub(crate) fn find(paths: &Paths, digest: &Digest) -> Result<Option<Ready>, Failure> {
    let folder = paths.image(digest);
    let Some(unpacked) = atomic::read_json::<Unpacked>(&folder.join("config.json"))? else { return Ok(None) };
    Ok(Some(Ready { root: folder.join("rootfs"), config: unpacked.config }))
}

/// Fetches, verifies and unpacks it, unless it lies ready: then nothing is asked of the registry.
pub(crate) async fn make_ready(paths: &Paths, image: &PinnedRef, pull: &dyn Pull) -> Result<Ready, Failure> {
    if let Some(ready) = find(paths, image.digest())? {
        return Ok(ready);
    }
    drop_passing(&paths.images())?;
    // Into a passing folder, renamed when it is whole: what has a final name is complete.
    let passing = paths.images().join(format!(".passing-{}", image.digest().short()));
    let (root, work) = (passing.join("rootfs"), passing.join("work"));
    atomic::create_folder(&work)?;
    let ownership = if nix::unistd::geteuid().is_root() { Ownership::Keep } else { Ownership::Ours };
    let unpacked = unpack(pull, image, &platform(), &root, &work, &Limits::default(), ownership).await?;
    for place in ["proc", "dev", "tmp"] {
        make_folder(&root, place)?;
    }
    delete(&work)?;
    atomic::write_json(&passing.join("config.json"), &Unpacked { config: unpacked.config.config })?;
    let folder = paths.image(image.digest());
    let finish = passing.clone();
    let finished = tokio::task::spawn_blocking(move || {
        // Once for all files, instead of one by one: the way back is to be whole after a power cut.
        nix::unistd::syncfs(File::open(&finish)?)?;
        fs::rename(&finish, &folder)?;
        File::open(folder.parent().unwrap_or(&folder))?.sync_all()
    });
    let finished = finished.await.unwrap_or_else(|error| Err(io::Error::other(error)));
    finished.map_err(Failure::io("keep", &passing))?;
    find(paths, image.digest())?.ok_or_else(|| Failure::io("find", &passing)(io::ErrorKind::NotFound.into()))
}

/// A place to mount on. The image may bring it; a link in its place would lead out.
fn make_folder(root: &Path, place: &'static str) -> Result<(), Failure> {
    let path = root.join(place);
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => Ok(()),
        Ok(_) => Err(Failure::NoFolder { place }),
        Err(_) => fs::create_dir(&path).map_err(Failure::io("create", &path)),
    }
}

/// What an interrupted run left.
fn drop_passing(images: &Path) -> Result<(), Failure> {
    atomic::create_folder(images)?;
    for entry in fs::read_dir(images).map_err(Failure::io("read", images))? {
        let entry = entry.map_err(Failure::io("read", images))?;
        if entry.file_name().to_string_lossy().starts_with(".passing-") {
            delete(&entry.path())?;
        }
    }
    Ok(())
}

pub(crate) fn delete(folder: &Path) -> Result<(), Failure> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Failure::io("delete", folder)(error)),
        _ => Ok(()),
    }
}

fn platform() -> Platform {
    let architecture = match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "x86" => "386",
        "powerpc64" => "ppc64le",
        other => other,
    };
    Platform { architecture: architecture.to_owned(), os: "linux".to_owned(), variant: None }
}

/// What an instance of the image will be.
pub(crate) fn define(ready: &Ready, release: &Release, settings: &LocalSettings) -> Result<Definition, Failure> {
    let config = &ready.config;
    let argv: Vec<String> = config.entrypoint.iter().chain(&config.cmd).cloned().collect();
    if argv.first().is_none_or(String::is_empty) {
        return Err(Failure::NoCommand);
    }
    let user = user::resolve(config, &ready.root)?;
    let env = environment(config, release, settings);
    let secret = settings.env.keys().filter(|name| is_secret(name)).cloned().collect();
    let stop_grace = u32::try_from(settings.stop_grace.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    Ok(Definition {
        release: release.clone(),
        hostname: settings.environment.to_string(),
        root: ready.root.clone(),
        argv,
        env,
        secret,
        folder: config.working_dir.clone().filter(|folder| folder.starts_with('/')).unwrap_or_else(|| "/".to_owned()),
        uid: user.uid,
        gid: user.gid,
        stop_signal: stop_signal(config.stop_signal.as_deref()),
        stop_grace,
    })
}

/// The image's variables, ours, then the environment's: the later wins, by name.
fn environment(config: &RuntimeConfig, release: &Release, settings: &LocalSettings) -> BTreeMap<String, String> {
    let mut env = BTreeMap::from([("PATH".to_owned(), PATH.to_owned()), ("HOME".to_owned(), "/".to_owned())]);
    let pairs = config.env.iter().filter_map(|pair| pair.split_once('='));
    env.extend(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())));
    env.insert("SCHLEUSE_ENVIRONMENT".to_owned(), settings.environment.to_string());
    env.insert("SCHLEUSE_DIGEST".to_owned(), release.digest.to_string());
    env.extend(settings.env.clone());
    env
}

pub(crate) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    SECRET.iter().any(|part| name.contains(part))
}

/// `SIGQUIT` or `3`; anything else, and nothing: SIGTERM.
fn stop_signal(text: Option<&str>) -> i32 {
    let text = text.unwrap_or("SIGTERM");
    let number = text.parse().ok().and_then(|number: i32| Signal::try_from(number).ok());
    number.or_else(|| Signal::from_str(text).ok()).unwrap_or(Signal::SIGTERM) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stop_signals() {
        for (text, signal) in
            [(None, 15), (Some("SIGQUIT"), 3), (Some("3"), 3), (Some("SIGRTMIN+3"), 15), (Some("0"), 15)]
        {
            assert_eq!(stop_signal(text), signal, "{text:?}");
        }
    }

    #[test]
    fn a_link_in_the_place_of_a_mount_is_refused() {
        let root = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/etc", root.path().join("tmp")).unwrap();
        assert!(matches!(make_folder(root.path(), "tmp"), Err(Failure::NoFolder { place: "tmp" })));
        assert!(make_folder(root.path(), "dev").is_ok());
    }

    #[test]
    fn names_that_hide_their_values() {
        assert!(is_secret("DATABASE_URL") && is_secret("stripe_api_key") && is_secret("SMTP_PASSWORD"));
        assert!(!is_secret("NODE_ENV") && !is_secret("PORT"));
    }
}
