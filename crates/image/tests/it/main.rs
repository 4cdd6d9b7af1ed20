//! Images on disk: built, kept, moved, unpacked; and images that attack.

mod attack;
mod copy;
mod escape;
mod layers;
mod layout;
mod support;
mod unpack;
