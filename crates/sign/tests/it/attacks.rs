//! What somebody who can push, or who answers in the registry's place, tries against a reader: over HTTP, with the real client.
//! Each rule that needs no registry is broken in `src/verify/tests.rs`.

mod answers;
mod crowds;
mod planted;
mod siege;
