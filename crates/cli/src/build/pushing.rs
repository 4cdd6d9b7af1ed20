//! Says how far a push is.

use std::sync::atomic::{AtomicUsize, Ordering};

use schleuse_image::Moved;
use schleuse_oci::Descriptor;

use crate::output::Printer;
use crate::progress::Progress;

/// Counts what has arrived; with `--verbose`, names it.
#[derive(Debug)]
pub(crate) struct Pushing<'a> {
    progress: &'a Progress,
    printer: &'a Printer,
    done: AtomicUsize,
}

impl<'a> Pushing<'a> {
    /// Nothing is done yet.
    pub(crate) const fn new(progress: &'a Progress, printer: &'a Printer) -> Self {
        Self { progress, printer, done: AtomicUsize::new(0) }
    }
}

impl schleuse_image::Progress for Pushing<'_> {
    fn blob(&self, blob: &Descriptor, moved: Moved) {
        let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
        self.progress.say(format!("pushing: {done} blobs done"));
        let how = match moved {
            Moved::Present => "is there already",
            Moved::Mounted => "was mounted",
            Moved::Sent => "was sent",
        };
        self.printer.detail(&format!("{} ({} bytes) {how}", blob.digest.short(), blob.size));
    }
}
