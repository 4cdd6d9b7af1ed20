//! House tools.
fn main() {}
