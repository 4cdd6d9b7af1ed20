//! How much an image may ask of the machine it is unpacked on.

use std::fmt;

/// Limits on everything an image's author controls. The defaults hold every image we know of with room to spare, and stop an
/// attack long before a small server suffers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Layers of the image. Docker writes at most 127.
    pub layers: usize,
    /// Bytes of all layers as they are downloaded.
    pub compressed_bytes: u64,
    /// Bytes of all layers uncompressed, archive headers included; what is written is less.
    pub total_bytes: u64,
    /// Bytes of one file.
    pub file_bytes: u64,
    /// Entries of all layers: files, folders (also those that only stand above an entry), links, what is skipped.
    pub entries: u64,
    /// How many times larger a layer may become uncompressed, once it is larger than [`Limits::ratio_floor`]. gzip's own ceiling
    /// is 1032; programs and text reach 5, large empty databases 200.
    pub ratio: u64,
    /// Bytes of a layer below which no ratio is demanded: small layers of empty files compress well and harm nobody.
    pub ratio_floor: u64,
    /// Folders one within another.
    pub depth: usize,
    /// Bytes of a path or of a link's target.
    pub path_bytes: usize,
    /// Bytes of the extended header of one entry (pax records, long names), which is the only part read into memory.
    pub extension_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            layers: 256,
            compressed_bytes: 8 << 30,
            total_bytes: 16 << 30,
            file_bytes: 8 << 30,
            entries: 2_000_000,
            ratio: 250,
            ratio_floor: 64 << 20,
            depth: 128,
            path_bytes: crate::path::PATH_BYTES,
            extension_bytes: 1 << 20,
        }
    }
}

/// Which limit was exceeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// [`Limits::layers`].
    Layers,
    /// [`Limits::compressed_bytes`].
    CompressedBytes,
    /// [`Limits::total_bytes`].
    TotalBytes,
    /// [`Limits::file_bytes`].
    FileBytes,
    /// [`Limits::entries`].
    Entries,
    /// [`Limits::ratio`].
    Ratio,
    /// [`Limits::depth`].
    Depth,
    /// [`Limits::path_bytes`].
    PathBytes,
    /// [`Limits::extension_bytes`].
    ExtensionBytes,
}

impl fmt::Display for Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Layers => "layers",
            Self::CompressedBytes => "bytes to download",
            Self::TotalBytes => "bytes uncompressed",
            Self::FileBytes => "bytes in one file",
            Self::Entries => "files and folders",
            Self::Ratio => "times its compressed size in one layer",
            Self::Depth => "folders one within another",
            Self::PathBytes => "bytes in one path",
            Self::ExtensionBytes => "bytes in one extended header",
        })
    }
}
