//! Moving an image of 200 MB: ten layers that are compressed already, as a builder leaves them.
//!
//! Each round has two fresh registries, ours and docker-registry, both on the same disk, and moves the image through each: our
//! program through ours, `skopeo` through docker-registry (what people have), our program through docker-registry. The order turns
//! with the round. A push reads an OCI layout, a pull writes one. Ours syncs what it has answered 201 for to the disk; docker-registry
//! does not.

mod image;
mod many;

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::measure::{Bar, Series, timed};
use crate::server::{Kind, Programs, Server};
pub(crate) use many::many_pushes;

/// Odd, so that a median is a round that happened.
const ROUNDS: usize = 7;

/// Our push, and our pull, through our registry over skopeo's through docker-registry.
const OURS_BAR: f64 = 0.5;
/// The same through docker-registry.
const CLIENT_BAR: f64 = 0.6;
/// `image tag` over `skopeo copy` of one tag to another.
const RETAG_BAR: f64 = 0.25;
/// Our registry's peak memory over docker-registry's.
const MEMORY_BAR: f64 = 0.6;

/// Who moves it, and through which registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Ours,
    Theirs,
    OursThroughTheirs,
}

impl Way {
    const ALL: [Self; 3] = [Self::Ours, Self::Theirs, Self::OursThroughTheirs];

    const fn name(self) -> &'static str {
        match self {
            Self::Ours => "schleuse, our registry",
            Self::Theirs => "skopeo, docker-registry",
            Self::OursThroughTheirs => "schleuse, docker-registry",
        }
    }

    const fn registry(self) -> Kind {
        match self {
            Self::Ours => Kind::Embedded,
            Self::Theirs | Self::OursThroughTheirs => Kind::DockerRegistryAndGit,
        }
    }
}

/// What was measured of one way, round by round.
#[derive(Debug, Default)]
struct Measured {
    push: Series,
    pull: Series,
    retag: Series,
    memory: Series,
}

/// Runs all rounds, prints the table, and says what holds.
pub(crate) fn bars(programs: &Programs) -> Vec<Bar> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    image::lay_out(&folder.path().join("layout"));
    let mut measured = [Measured::default(), Measured::default(), Measured::default()];
    for round in 0..=ROUNDS {
        for turn in 0..Way::ALL.len() {
            let way = (round + turn) % Way::ALL.len();
            let server = Way::ALL[way].registry().serve(programs);
            let figures = go_around(programs, folder.path(), Way::ALL[way], &server);
            // The first only fills the caches.
            if round > 0 {
                let Measured { push, pull, retag, memory } = &mut measured[way];
                for (series, figure) in [push, pull, retag, memory].into_iter().zip(figures) {
                    series.add(figure);
                }
            }
        }
    }
    print(&measured);
    let [ours, theirs, client] = &measured;
    vec![
        Bar::new("push 200 MB : skopeo and docker-registry", ours.push.over(&theirs.push), OURS_BAR),
        Bar::new("pull 200 MB : skopeo and docker-registry", ours.pull.over(&theirs.pull), OURS_BAR),
        Bar::new("push through docker-registry : skopeo", client.push.over(&theirs.push), CLIENT_BAR),
        Bar::new("pull through docker-registry : skopeo", client.pull.over(&theirs.pull), CLIENT_BAR),
        Bar::new("re-tag : skopeo and docker-registry", ours.retag.over(&theirs.retag), RETAG_BAR),
        Bar::new("peak memory : docker-registry's", ours.memory.over(&theirs.memory), MEMORY_BAR),
    ]
}

fn print(measured: &[Measured]) {
    println!("\nan image of 200 MB in ten layers, {ROUNDS} rounds, each with fresh registries on disk");
    println!("  {:<58}{:>9}{:>9}{:>9}", "ms; memory in MiB", "median", "p10", "p90");
    for (way, Measured { push, pull, retag, memory }) in Way::ALL.iter().zip(measured) {
        for (what, series) in
            [("push", push), ("pull", pull), ("re-tag", retag), ("the registry's peak memory", memory)]
        {
            let name = format!("{}: {what}", way.name());
            println!("  {name:<58}{:>9.1}{:>9.1}{:>9.1}", series.at(0.5), series.at(0.1), series.at(0.9));
        }
    }
}

/// Push, pull and re-tag, in ms, and the registry's peak memory, in MiB.
fn go_around(programs: &Programs, folder: &Path, way: Way, server: &Server) -> [f64; 4] {
    // skopeo remembers where it has seen a blob: each time as on a new machine.
    let home = tempfile::tempdir().expect("a temporary folder");
    let (layout, out) = (folder.join("layout"), home.path().join("out"));
    let image = format!("{}/bench/image", server.address);
    let run = |arguments: [String; 2]| timed(&mut copy(programs, way, &home, &arguments));
    let (tag, other) = (format!("{image}:1"), format!("{image}:2"));
    let push = run([format!("oci:{}:1", layout.display()), remote(way, &tag)]);
    let pull = run([remote(way, &tag), format!("oci:{}:1", out.display())]);
    let retag = match way {
        Way::Theirs => run([remote(way, &tag), remote(way, &other)]),
        _ => timed(ours(programs, &home).args(["image", "tag", &tag, "2"])),
    };
    [push, pull, retag, server.peak()]
}

fn remote(way: Way, image: &str) -> String {
    if way == Way::Theirs { format!("docker://{image}") } else { image.to_owned() }
}

fn copy(programs: &Programs, way: Way, home: &TempDir, arguments: &[String]) -> Command {
    let mut command = match way {
        Way::Theirs => {
            let mut command = Command::new(programs.peers.join("skopeo"));
            command.env_clear().env("HOME", home.path()).env("TMPDIR", home.path());
            command.args(["copy", "--quiet", "--insecure-policy", "--preserve-digests"]);
            command.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
            command
        }
        _ => {
            let mut command = ours(programs, home);
            command.args(["image", "copy"]);
            command
        }
    };
    command.args(arguments);
    command
}

fn ours(programs: &Programs, home: &TempDir) -> Command {
    let mut command = Command::new(&programs.schleuse);
    command.env_clear().env("HOME", home.path()).env("TMPDIR", home.path()).current_dir(home.path());
    command
}
