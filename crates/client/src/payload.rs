//! What a request carries, openable again for each attempt.

use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};
use schleuse_model::Digest;
use schleuse_oci::{Body, Check, Descriptor, Error};
use tokio::fs::File;
use tokio::io::AsyncReadExt as _;

/// How much of a file is read at a time: few hops to the blocking pool, little memory.
const PIECE: usize = 256 << 10;

/// How many pieces the connection has taken: what tells a slow upload from a stalled one.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Arc<AtomicU64>);

impl Progress {
    pub(crate) fn seen(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn advance(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// A request's body.
#[derive(Clone, Debug)]
pub(crate) enum Payload {
    /// None.
    Empty,
    /// In memory.
    Bytes(Bytes),
    /// A file of that many bytes, streamed.
    File(PathBuf, u64),
    /// A file that has to turn out to be this blob while it is streamed, and what digest it had instead.
    Unchecked(PathBuf, Descriptor, Arc<OnceLock<Digest>>),
}

impl Payload {
    /// `body` as `blob`, which must have that many bytes: checked before a request is made.
    pub(crate) async fn of(body: Body, blob: &Descriptor) -> Result<Self, Error> {
        let size = blob.size;
        let (payload, actual) = match body {
            Body::Bytes(bytes) => {
                let actual = bytes.len() as u64;
                (Self::Bytes(bytes), actual)
            }
            Body::File(path) => {
                let metadata = tokio::fs::metadata(&path).await.map_err(|source| local(&path, source))?;
                (Self::File(path, size), metadata.len())
            }
            Body::Unchecked(path) => {
                let metadata = tokio::fs::metadata(&path).await.map_err(|source| local(&path, source))?;
                (Self::Unchecked(path, blob.clone(), Arc::default()), metadata.len())
            }
        };
        if actual == size {
            return Ok(payload);
        }
        let message = format!("it has {actual} bytes, its descriptor says {size}");
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, message);
        Err(Error::Local { what: format!("blob {}", blob.digest), source })
    }

    /// Its length in bytes; `None`: the request has no body.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => None,
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(_, size) => Some(*size),
            Self::Unchecked(_, blob, _) => Some(blob.size),
        }
    }

    /// A fresh body for one attempt. Memory is handed out in pieces too, so that progress shows.
    pub(crate) async fn open(&self, progress: &Progress) -> Result<Option<reqwest::Body>, Error> {
        Ok(match self {
            Self::Empty => None,
            Self::Bytes(bytes) if bytes.len() <= PIECE => Some(bytes.clone().into()),
            Self::Bytes(bytes) => Some(in_pieces(bytes.clone(), progress.clone())),
            Self::File(path, size) => {
                let file = File::open(path).await.map_err(|source| local(path, source))?;
                Some(streamed(file, *size, progress.clone(), None))
            }
            Self::Unchecked(path, blob, other) => {
                let file = File::open(path).await.map_err(|source| local(path, source))?;
                let check = Checking { check: Check::new(blob, path.display().to_string()), other: other.clone() };
                Some(streamed(file, blob.size, progress.clone(), Some(check)))
            }
        })
    }

    /// Says if the file turned out to be something else than its blob: then no other attempt is of any use.
    pub(crate) fn is_right(&self) -> Result<(), Error> {
        match self {
            Self::Unchecked(path, blob, other) => other.get().map_or(Ok(()), |actual| {
                let what = path.display().to_string();
                Err(Error::WrongDigest { what, expected: blob.digest.clone(), actual: actual.clone() })
            }),
            _ => Ok(()),
        }
    }
}

fn local(path: &std::path::Path, source: std::io::Error) -> Error {
    Error::Local { what: path.display().to_string(), source }
}

fn in_pieces(bytes: Bytes, progress: Progress) -> reqwest::Body {
    reqwest::Body::wrap_stream(futures_util::stream::unfold(bytes, move |mut rest| {
        progress.advance();
        let piece = rest.split_to(rest.len().min(PIECE));
        async move { (!piece.is_empty()).then_some((Ok::<_, std::io::Error>(piece), rest)) }
    }))
}

/// A file that has to turn out to be its blob, and where it is noted if it does not.
struct Checking {
    check: Check,
    other: Arc<OnceLock<Digest>>,
}

impl Checking {
    fn finish(self) -> std::io::Result<()> {
        let Err(error) = self.check.finish() else { return Ok(()) };
        if let Error::WrongDigest { actual, .. } = error {
            // Whoever tries again finds the same.
            let _ = self.other.set(actual);
        }
        Err(std::io::Error::new(std::io::ErrorKind::InvalidData, "the file has another digest"))
    }
}

/// Exactly `size` bytes of the file: one that grew meanwhile is cut (and its digest then refused), one that shrank is an error. The
/// last piece of one that is checked leaves only if it is right.
fn streamed(file: File, size: u64, progress: Progress, check: Option<Checking>) -> reqwest::Body {
    let state = (file, size, check);
    reqwest::Body::wrap_stream(futures_util::stream::try_unfold(state, move |(mut file, left, mut check)| {
        progress.advance();
        async move {
            if left == 0 {
                return Ok(None);
            }
            let most = usize::try_from(left).unwrap_or(PIECE).min(PIECE);
            let mut piece = BytesMut::with_capacity(most);
            let mut window = (&mut file).take(most as u64);
            while piece.len() < most {
                if window.read_buf(&mut piece).await? == 0 {
                    return Err(std::io::Error::new(std::io::ErrorKind::UnexpectedEof, "the file became shorter"));
                }
            }
            let left = left - piece.len() as u64;
            if let Some(check) = &mut check {
                check.check.update(&piece).map_err(std::io::Error::other)?;
            }
            if left == 0
                && let Some(check) = check.take()
            {
                check.finish()?;
            }
            Ok(Some((piece.freeze(), (file, left, check))))
        }
    }))
}
