//! The journal against a real registry on loopback: races, truncation, forks, forged entries, the git commit point.

mod commit_points;
mod tampering;
mod world;
