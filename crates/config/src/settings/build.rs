//! `[build]`.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schleuse_model::Reference;

use super::reader::Reader;
use crate::document::KeyPath;
use crate::error::{Rule, What, clip};
use crate::{Origin, raw};

/// How the image is built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Build {
    /// `None`: Schleuse's own builder makes layers of `copy`.
    pub dockerfile: Option<Dockerfile>,
    /// What lies below the layers.
    pub base: Base,
    /// The layers, in order.
    pub copy: Vec<Copied>,
    /// The program that always runs.
    pub entrypoint: Option<Vec<String>>,
    /// Its arguments.
    pub cmd: Option<Vec<String>>,
    /// Variables.
    pub env: BTreeMap<String, String>,
    /// Who it runs as: a name or `uid[:gid]`.
    pub user: Option<String>,
    /// The working folder, absolute.
    pub workdir: Option<String>,
    /// TCP ports.
    pub expose: Vec<u16>,
    /// `None`: `linux` and this machine's architecture.
    pub platform: Option<Platform>,
}

/// A Dockerfile, and who builds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dockerfile {
    /// Who.
    pub builder: Builder,
    /// The file, relative to the configuration file, below it.
    pub file: String,
    /// The folder that it copies from, likewise.
    pub context: String,
    /// The stage to stop at.
    pub target: Option<String>,
    /// Its `ARG`s.
    pub args: BTreeMap<String, String>,
    /// How long it may take.
    pub timeout: Duration,
}

/// A builder of Dockerfiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Builder {
    /// `docker buildx`.
    Buildx,
    /// `buildah`.
    Buildah,
}

/// How long a Dockerfile may take to build: a cold cache and a slow package registry, and still an end.
const DEFAULT_BUILD_TIMEOUT: Duration = Duration::from_secs(30 * 60);

/// What lies below the layers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Base {
    /// Nothing.
    Scratch,
    /// An OCI layout's folder, relative to the configuration file.
    Layout(String),
    /// An image.
    Image(Reference),
}

/// One layer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copied {
    /// Relative to the configuration file, below it.
    pub from: String,
    /// Absolute, in the image.
    pub to: String,
    /// Its owner.
    pub owner: Owner,
}

/// Numeric owner: an image without `/etc/passwd` knows no names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// `linux/arm64/v8`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Platform {
    /// The operating system.
    pub os: String,
    /// The architecture, by Go's names.
    pub architecture: String,
    /// The variant.
    pub variant: Option<String>,
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        self.variant.iter().try_for_each(|variant| write!(f, "/{variant}"))
    }
}

pub(super) fn read(raw: &raw::Build, reader: &mut Reader<'_>) -> Build {
    let at = KeyPath::of(&["build"]);
    let dockerfile = dockerfile(raw, &at, reader);
    let base = match &dockerfile {
        // What a Dockerfile stands on, it says itself.
        Some(_) => Base::Scratch,
        None => base(raw.base.as_deref(), &at.key("base"), reader),
    };
    let copy = raw.copy.iter().enumerate().map(|(i, copy)| copied(copy, &at.key("copy").index(i), reader)).collect();
    for (key, arguments) in [("entrypoint", &raw.entrypoint), ("cmd", &raw.cmd)] {
        let path = at.key(key);
        if let Some(arguments) = arguments {
            reader.arguments(&path, arguments);
            reader.show(&path, clip(&arguments.join(" ")), &reader.origin(&path));
        }
    }
    reader.variables(&at.key("env"), &raw.env);
    if let Some(user) = &raw.user {
        let good = !user.is_empty() && !user.contains(|c: char| c.is_control() || c.is_whitespace());
        reader.need(good, &at.key("user"), user, "a name or `uid[:gid]`");
    }
    if let Some(workdir) = &raw.workdir {
        reader.need(is_absolute(workdir), &at.key("workdir"), workdir, "an absolute path without `..`");
    }
    for (i, port) in raw.expose.iter().enumerate() {
        reader.need(*port != 0, &at.key("expose").index(i), "0", "a port from 1 to 65535");
    }
    let platform = raw.platform.as_deref().and_then(|text| {
        let parsed = platform(text);
        reader.need(parsed.is_some(), &at.key("platform"), text, "os/architecture[/variant], such as linux/amd64,");
        parsed
    });
    Build {
        dockerfile,
        base,
        copy,
        entrypoint: raw.entrypoint.clone(),
        cmd: raw.cmd.clone(),
        env: raw.env.clone(),
        user: raw.user.clone(),
        workdir: raw.workdir.clone(),
        expose: raw.expose.clone(),
        platform,
    }
}

/// The keys of the one builder have no effect with the other, and silence about it would hide a mistake.
fn dockerfile(raw: &raw::Build, at: &KeyPath, reader: &mut Reader<'_>) -> Option<Dockerfile> {
    let builder = match raw.builder {
        None | Some(raw::Builder::Layers) => None,
        Some(raw::Builder::Buildx) => Some(Builder::Buildx),
        Some(raw::Builder::Buildah) => Some(Builder::Buildah),
    };
    let (foreign, rule): (&[&str], _) = match builder {
        None => (&["dockerfile", "context", "target", "args", "timeout"], Rule::NeedsDockerfileBuilder),
        Some(_) => {
            (&["base", "copy", "entrypoint", "cmd", "env", "user", "workdir", "expose"], Rule::NeedsLayersBuilder)
        }
    };
    for key in foreign {
        let path = at.key(key);
        if reader.stands(&path) {
            reader.rule(&path, rule);
        }
    }
    let builder = builder?;
    let name = if builder == Builder::Buildx { "buildx" } else { "buildah" };
    reader.show(&at.key("builder"), name, &reader.origin(&at.key("builder")));
    let mut below = |key: &str, text: &Option<String>, default: &str| {
        let path = at.key(key);
        let value = reader.or(&path, text.clone(), default.to_owned());
        let good = !value.value.is_empty() && !value.value.starts_with('/') && no_way_up(&value.value);
        reader.need(good, &path, &value.value, "a relative path that stays in the project");
        reader.show(&path, clip(&value.value), &value.origin);
        value.value
    };
    let file = below("dockerfile", &raw.dockerfile, "Dockerfile");
    let context = below("context", &raw.context, ".");
    if let Some(target) = &raw.target {
        let word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.');
        let good = target.starts_with(|c: char| c.is_ascii_alphanumeric()) && target.chars().all(word);
        reader.need(good, &at.key("target"), target, "the name of a stage");
    }
    reader.variables(&at.key("args"), &raw.args);
    let path = at.key("timeout");
    let timeout = reader.duration(&path, raw.timeout.as_deref(), DEFAULT_BUILD_TIMEOUT);
    if timeout.is_zero() {
        reader.rule(&path, Rule::Zero);
    }
    Some(Dockerfile { builder, file, context, target: raw.target.clone(), args: raw.args.clone(), timeout })
}

fn base(text: Option<&str>, path: &KeyPath, reader: &mut Reader<'_>) -> Base {
    let origin = if text.is_some() { reader.origin(path) } else { Origin::Default };
    reader.show(path, clip(text.unwrap_or("scratch")), &origin);
    match text {
        None | Some("scratch") => Base::Scratch,
        Some(text) => match text.strip_prefix("oci:") {
            Some(folder) => {
                reader.need(!folder.is_empty() && !folder.contains('\0'), path, text, "oci:<folder>");
                Base::Layout(folder.to_owned())
            }
            None => text.parse().map(Base::Image).unwrap_or_else(|source| {
                reader.wrong(path, What::Reference { key: path.to_string(), source });
                Base::Scratch
            }),
        },
    }
}

fn copied(raw: &raw::Copy, path: &KeyPath, reader: &mut Reader<'_>) -> Copied {
    let below = !raw.from.is_empty() && !raw.from.starts_with('/') && no_way_up(&raw.from);
    reader.need(below, &path.key("from"), &raw.from, "a relative path that stays in the project");
    reader.need(is_absolute(&raw.to), &path.key("to"), &raw.to, "an absolute path without `..`");
    let owner = raw.user.as_deref().map_or(Some(Owner::default()), owner);
    reader.need(owner.is_some(), &path.key("user"), raw.user.as_deref().unwrap_or(""), "`uid[:gid]` in numbers");
    reader.show(path, format_args!("{} -> {}", clip(&raw.from), clip(&raw.to)), &reader.origin(path));
    Copied { from: raw.from.clone(), to: raw.to.clone(), owner: owner.unwrap_or_default() }
}

fn no_way_up(path: &str) -> bool {
    !path.contains('\0') && path.split('/').all(|part| part != "..")
}

fn is_absolute(path: &str) -> bool {
    path.starts_with('/') && no_way_up(path)
}

fn owner(text: &str) -> Option<Owner> {
    let (uid, gid) = text.split_once(':').unwrap_or((text, text));
    let number = |text: &str| text.parse().ok().filter(|_| text.bytes().all(|b| b.is_ascii_digit()));
    Some(Owner { uid: number(uid)?, gid: number(gid)? })
}

fn platform(text: &str) -> Option<Platform> {
    let word = |text: &str| !text.is_empty() && text.len() <= 32 && text.bytes().all(|b| b.is_ascii_alphanumeric());
    let parts: Vec<&str> = text.split('/').collect();
    let (os, architecture, variant) = match parts.as_slice() {
        [os, architecture] => (os, architecture, None),
        [os, architecture, variant] => (os, architecture, Some((*variant).to_owned())),
        _ => return None,
    };
    parts.iter().all(|part| word(part)).then(|| Platform {
        os: (*os).to_owned(),
        architecture: (*architecture).to_owned(),
        variant,
    })
}
