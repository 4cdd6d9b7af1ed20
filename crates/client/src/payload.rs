//! What a request carries, openable again for each attempt.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::{Bytes, BytesMut};
use schleuse_oci::{Body, Error};
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
}

impl Payload {
    /// The blob `body`, which must have `size` bytes: checked before a request is made.
    pub(crate) async fn of(body: Body, size: u64, what: &str) -> Result<Self, Error> {
        let (payload, actual) = match body {
            Body::Bytes(bytes) => {
                let actual = bytes.len() as u64;
                (Self::Bytes(bytes), actual)
            }
            Body::File(path) => {
                let metadata = tokio::fs::metadata(&path).await.map_err(|source| local(&path, source))?;
                (Self::File(path, size), metadata.len())
            }
        };
        if actual == size {
            return Ok(payload);
        }
        let message = format!("it has {actual} bytes, its descriptor says {size}");
        let source = std::io::Error::new(std::io::ErrorKind::InvalidData, message);
        Err(Error::Local { what: what.to_owned(), source })
    }

    /// Its length in bytes; `None`: the request has no body.
    pub(crate) fn length(&self) -> Option<u64> {
        match self {
            Self::Empty => None,
            Self::Bytes(bytes) => Some(bytes.len() as u64),
            Self::File(_, size) => Some(*size),
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
                Some(streamed(file, *size, progress.clone()))
            }
        })
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

/// Exactly `size` bytes of the file: one that grew meanwhile is cut (and its digest then refused), one that shrank is an error.
fn streamed(file: File, size: u64, progress: Progress) -> reqwest::Body {
    reqwest::Body::wrap_stream(futures_util::stream::try_unfold((file, size), move |(mut file, left)| {
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
            Ok(Some((piece.freeze(), (file, left))))
        }
    }))
}
