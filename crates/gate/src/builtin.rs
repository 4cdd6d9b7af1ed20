//! The checks that come with the program, one a file. The first three are always there.

pub(crate) mod clock;
pub(crate) mod command;
pub(crate) mod ladder;
pub(crate) mod signature;
