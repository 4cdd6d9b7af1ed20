//! Says how far a copy is, and counts what it took.

use std::sync::{Mutex, PoisonError};

use schleuse_image::Moved;
use schleuse_model::Digest;
use schleuse_oci::Descriptor;
use serde::Serialize;

use super::size::Bytes;
use crate::output::Printer;
use crate::progress::Progress;

/// What a copy took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Count {
    /// Blobs whose bytes were sent.
    pub(super) sent: usize,
    /// Blobs that the registry linked from another repository.
    pub(super) mounted: usize,
    /// Blobs that were there already.
    pub(super) present: usize,
    pub(super) bytes_sent: u64,
    pub(super) manifests: usize,
    #[serde(skip)]
    expected: usize,
    #[serde(skip)]
    expected_bytes: u64,
    #[serde(skip)]
    done_bytes: u64,
}

/// Follows a copy.
#[derive(Debug)]
pub(super) struct Moving<'a> {
    progress: &'a Progress,
    printer: &'a Printer,
    count: Mutex<Count>,
}

impl<'a> Moving<'a> {
    pub(super) fn new(progress: &'a Progress, printer: &'a Printer) -> Self {
        Self { progress, printer, count: Mutex::default() }
    }

    pub(super) fn count(&self) -> Count {
        *self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change(&self, change: impl FnOnce(&mut Count)) {
        let mut count = self.count.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut count);
        let done = count.sent + count.mounted + count.present;
        let (all, bytes, of) = (count.expected, Bytes(count.done_bytes), Bytes(count.expected_bytes));
        self.progress.say(format!("copying: {done} of {all} blobs, {bytes} of {of}"));
    }
}

impl schleuse_image::Progress for Moving<'_> {
    fn expect(&self, blobs: &[Descriptor]) {
        self.change(|count| {
            count.expected += blobs.len();
            let bytes = blobs.iter().fold(0_u64, |sum, blob| sum.saturating_add(blob.size));
            count.expected_bytes = count.expected_bytes.saturating_add(bytes);
        });
    }

    fn blob(&self, blob: &Descriptor, moved: Moved) {
        self.change(|count| {
            count.done_bytes = count.done_bytes.saturating_add(blob.size);
            match moved {
                Moved::Present => count.present += 1,
                Moved::Mounted => count.mounted += 1,
                Moved::Sent => {
                    count.sent += 1;
                    count.bytes_sent = count.bytes_sent.saturating_add(blob.size);
                }
            }
        });
        let how = match moved {
            Moved::Present => "is there already",
            Moved::Mounted => "was mounted",
            Moved::Sent => "was sent",
        };
        self.printer.detail(&format!("{} ({}) {how}", blob.digest.short(), Bytes(blob.size)));
    }

    fn manifest(&self, _: &Digest) {
        self.change(|count| count.manifests += 1);
    }
}
