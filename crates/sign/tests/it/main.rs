//! Signatures in registries: ours and others', read by us and by others.

mod interop;
mod keys;
mod meddler;
mod peers;
mod storage;
mod world;
