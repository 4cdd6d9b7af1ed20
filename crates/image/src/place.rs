//! Where an image is, as people write it: by the names of skopeo's transports (containers-transports(5)).

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use schleuse_model::{Digest, Exit, Explain, Reference, ReferenceError};

/// A place that holds images.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// `[docker://]HOST/NAME[:TAG|@DIGEST]`
    Registry(Reference),
    /// `oci:FOLDER[:NAME|@DIGEST]`
    Layout(PathBuf, Pick),
    /// `oci-archive:FILE[:NAME|@DIGEST]`
    OciArchive(PathBuf, Pick),
    /// `docker-archive:FILE[:NAME|@DIGEST]`
    DockerArchive(PathBuf, Pick),
}

/// Which image of a place that can hold several.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pick {
    /// The only one.
    Only,
    /// The one of that name: a tag or a whole reference.
    Named(String),
    /// The one of that digest.
    Digest(Digest),
}

/// Why a text names no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlaceError {
    /// A transport that is not spoken here.
    // Shown by the command line's grammar, which knows no hints: it says itself what to do.
    #[error(
        "`{transport}:` is not spoken here; docker://, oci:, oci-archive: and docker-archive: are (what an engine holds, \
         `docker save` writes into a file)"
    )]
    Transport {
        /// What was written.
        transport: String,
    },
    /// No path, or a name after it that is none.
    #[error("`{text}` is malformed: {reason}")]
    Malformed {
        /// What was written, shortened.
        text: String,
        /// Why.
        reason: &'static str,
    },
    /// A path, and nothing that says what lies there.
    #[error(
        "`{text}` does not say what it is: write oci:{text} for a folder, oci-archive:{text} or docker-archive:{text} for a file"
    )]
    Bare {
        /// What was written, shortened.
        text: String,
    },
    /// No reference to a registry.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
}

impl Explain for PlaceError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::Malformed { .. } => {
                vec!["`oci:FOLDER:TAG`, `oci-archive:FILE`, `docker-archive:FILE:NAME:TAG`".to_owned()]
            }
            Self::Transport { .. } | Self::Bare { .. } | Self::Reference(_) => Vec::new(),
        }
    }
}

/// What others call transports, and we do not speak.
const FOREIGN: [&str; 6] = ["docker-daemon", "containers-storage", "dir", "ostree", "sif", "tarball"];

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let place: fn(PathBuf, Pick) -> Self = match text.split_once(':') {
            Some(("docker", rest)) if rest.starts_with("//") => return Ok(Self::Registry(rest[2..].parse()?)),
            Some(("oci", _)) => Self::Layout,
            Some(("oci-archive", _)) => Self::OciArchive,
            Some(("docker-archive", _)) => Self::DockerArchive,
            Some((transport, _)) if FOREIGN.contains(&transport) => {
                return Err(PlaceError::Transport { transport: transport.to_owned() });
            }
            _ if ["/", "./", "../", "~/"].iter().any(|start| text.starts_with(start)) => {
                return Err(PlaceError::Bare { text: crate::path::printable(text.as_bytes()) });
            }
            _ => return Ok(Self::Registry(text.parse()?)),
        };
        let rest = text.split_once(':').map_or("", |(_, rest)| rest);
        let (path, pick) = path_and_pick(rest)
            .map_err(|reason| PlaceError::Malformed { text: crate::path::printable(text.as_bytes()), reason })?;
        Ok(place(path, pick))
    }
}

fn path_and_pick(rest: &str) -> Result<(PathBuf, Pick), &'static str> {
    let (path, pick) = match (rest.rsplit_once("@sha"), rest.split_once(':')) {
        (Some((path, digest)), _) => {
            let digest = format!("sha{digest}").parse().map_err(|_| "the digest after `@` is malformed")?;
            // A name before the digest is a remark, as in references.
            (path.split_once(':').map_or(path, |(path, _)| path), Pick::Digest(digest))
        }
        (None, Some((_, ""))) => return Err("there is no name after the colon"),
        (None, Some((path, name))) => (path, Pick::Named(name.to_owned())),
        (None, None) => (rest, Pick::Only),
    };
    match &pick {
        _ if path.is_empty() || path.contains('\0') => Err("there is no path"),
        Pick::Named(name) if name.len() > 512 || name.chars().any(char::is_control) => Err("the name is none"),
        _ => Ok((path.into(), pick)),
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (transport, path, pick) = match self {
            Self::Registry(reference) => return fmt::Display::fmt(reference, f),
            Self::Layout(path, pick) => ("oci", path, pick),
            Self::OciArchive(path, pick) => ("oci-archive", path, pick),
            Self::DockerArchive(path, pick) => ("docker-archive", path, pick),
        };
        write!(f, "{transport}:{}", path.display())?;
        match pick {
            Pick::Only => Ok(()),
            Pick::Named(name) => write!(f, ":{name}"),
            Pick::Digest(digest) => write!(f, "@{digest}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn transports() {
        for text in [
            "ghcr.io/acme/billing:1.4.0",
            "oci:dir",
            "oci:dir:1.4.0",
            "oci-archive:f.tar",
            "docker-archive:f.tar:a/b:1",
        ] {
            assert_eq!(text.parse::<Place>().unwrap().to_string(), text);
        }
        assert_eq!("docker://localhost:5000/x".parse::<Place>().unwrap().to_string(), "localhost:5000/x:latest");
        let digest = Digest::sha256(b"");
        let pinned: Place = format!("oci:dir:v1@{digest}").parse().unwrap();
        assert_eq!(pinned, Place::Layout("dir".into(), Pick::Digest(digest)));
        // A registry may be called `oci`; then it is written with its port and a slash, as any is.
        assert!(matches!("oci.example:5000/x".parse::<Place>().unwrap(), Place::Registry(_)));
        assert!(matches!("oci/x:1".parse::<Place>().unwrap(), Place::Registry(_)));
    }

    #[test]
    fn a_path_wants_to_know_what_it_is() {
        for text in ["./build/layout", "/tmp/x.tar", "../x", "~/x"] {
            let error = text.parse::<Place>().unwrap_err().to_string();
            assert!(error.contains(&format!("oci:{text}")), "{error}");
        }
    }

    #[test]
    fn what_names_no_place() {
        for bad in ["oci:", "oci::x", "oci:dir:", "oci:dir@sha256:00", "docker-daemon:x", "docker://", "oci:a\0b"] {
            assert!(bad.parse::<Place>().is_err(), "{bad:?}");
        }
    }
}
