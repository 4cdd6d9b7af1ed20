//! What the registry accepts at most, and how long it waits.

use std::time::Duration;

/// Bounds on everything a client can make the registry hold or wait for. [`Limits::DEFAULT`] unless set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections served at once; further ones wait in the kernel's queue. An idle one holds a place and some kilobytes, one that
    /// transfers a megabyte and two files.
    pub connections: usize,
    /// How long a request's header may take to arrive, and how long a connection may idle between two requests.
    pub header_wait: Duration,
    /// How long a connection without a request is left alone while others wait for a place. It is the one idle longest that goes.
    pub spare: Duration,
    /// How long a TLS handshake may take.
    pub handshake: Duration,
    /// How long the sender of a body, or the receiver of one, may stand still.
    pub stall: Duration,
    /// How long running requests may take after the server was asked to stop.
    pub drain: Duration,
    /// Size of one manifest in bytes. The specification asks for at least 4 MiB.
    pub manifest_bytes: usize,
    /// Size of one blob in bytes.
    pub blob_bytes: u64,
    /// Uploads in progress at once.
    pub uploads: usize,
    /// After how long without a request an upload in progress is forgotten.
    pub upload_idle: Duration,
    /// Entries in one page of tags or referrers.
    pub page: usize,
}

impl Limits {
    /// What holds unless it is set otherwise: room for any real image, and nothing that a stuck client could hold for long.
    pub const DEFAULT: Self = Self {
        connections: 1024,
        header_wait: Duration::from_secs(60),
        spare: Duration::from_secs(3),
        handshake: Duration::from_secs(10),
        stall: Duration::from_secs(30),
        drain: Duration::from_secs(5),
        manifest_bytes: schleuse_oci::manifest::MANIFEST_LIMIT,
        blob_bytes: 64 << 30,
        uploads: 1024,
        upload_idle: Duration::from_secs(3600),
        page: 1000,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}
