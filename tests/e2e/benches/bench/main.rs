//! `make bench`: what a promotion and a verification cost, beside the programs people use today. Whole processes, one run.
//!
//! # What is measured
//!
//! Each round does the same with the same image on the same registry, each program once, in an order that turns with the round:
//!
//! - `schleuse promote ENV IMAGE` of a release the environment has never seen, which checks its signature and writes the signed
//!   journal, beside `skopeo copy --preserve-digests`, which only moves a tag and checks nothing. From the promotion one key
//!   unlock is taken off: scrypt costs what its parameters say, and those are cosign's. It is measured as a process of its own:
//!   `schleuse key public` of the encrypted key, less `schleuse --version`.
//! - `schleuse image tag` beside the same `skopeo copy`.
//! - `schleuse verify --key` beside `cosign verify --key` 3.1, and `schleuse --version`.
//! - `schleuse sign` of an image that nobody has signed, in both formats, beside `cosign sign` 3.1 of another such, which writes
//!   one format. Neither sends anything to a transparency log. From each its own key unlock is taken off: cosign's is
//!   `cosign public-key`, less `cosign version`.
//!
//! Beside the rounds: the most memory that a verification has at a time, and one call that verifies many images.
//!
//! The bars hold on our own registry, which all programs talk to. docker-registry 2.8 with a git remote on the same disk is
//! reported beside it: there a promotion runs `git push` as well. Requests are counted by a proxy, in promotions that are not
//! timed.
//!
//! # When it fails
//!
//! A ratio or time is the median over the rounds, with twice its standard error (from the median absolute deviation, so that a
//! round the machine spent elsewhere counts little). A bar is missed, and the exit code 1, if the figure less that noise is above
//! it: a machine that is busy may say "cannot tell", never "missed" for that alone. Counts have no noise.
#![allow(
    clippy::disallowed_methods,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program of its own for the console: it times real processes, and one that cannot be set up has measured nothing"
)]

mod measure;
mod memory;
mod requests;
mod rounds;
mod scene;
mod server;
mod transfer;

use std::process::ExitCode;

use measure::{Bar, Figures, Series};
use rounds::{Step, Timings};
use scene::Scene;
use server::{Kind, Programs};

/// `promote` less one key unlock, over `skopeo copy`.
const PROMOTE_BAR: f64 = 1.0;
/// `verify` over `cosign verify`.
const VERIFY_BAR: f64 = 0.15;
/// The most memory of `verify`, over that of `cosign verify`.
const MEMORY_BAR: f64 = 0.25;
/// `sign` over `cosign sign`, each less its key unlock.
const SIGN_BAR: f64 = 0.3;
/// One call that verifies [`MANY`] images, in ms.
const MANY_BAR: f64 = 1500.0;
/// `schleuse --version`, in ms.
const VERSION_BAR: f64 = 10.0;
/// Requests of one promotion.
const REQUESTS_BAR: f64 = 30.0;

/// How many images one call verifies, and how often that is timed.
const MANY: usize = 100;
const CALLS: usize = 11;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    if arguments.next_if(|first| first == memory::FLAG).is_some() {
        return memory::wrapper(arguments);
    }
    // `cargo test --benches` calls us without it: nothing to test here.
    let (flags, parts): (Vec<_>, Vec<_>) = arguments.partition(|argument| argument.starts_with("--"));
    if !flags.iter().any(|flag| flag == "--bench") {
        return ExitCode::SUCCESS;
    }
    let programs = Programs::at_hand();
    let wanted = |part: &str| parts.is_empty() || parts.iter().any(|wanted| wanted == part);
    let mut bars = Vec::new();
    if wanted("promotion") {
        bars.extend(promotion(&programs));
    }
    if wanted("transfer") {
        bars.extend(transfer::bars(&programs));
    }
    if wanted("pushes") {
        bars.push(transfer::many_pushes(&programs));
    }
    println!("\n{:<44}{:>9}{:>9}{:>9}", "bar", "measured", "±noise", "at most");
    for bar in &bars {
        println!("{bar}");
    }
    if bars.iter().any(Bar::is_missed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Promoting, verifying and signing.
fn promotion(programs: &Programs) -> Vec<Bar> {
    let scene = Scene::new(Kind::Embedded, programs);
    let ours = Timings::take(&scene);
    let many = scene.releases(MANY);
    let many_at_once = many_at_once(&scene, &many);
    let peaks = [memory::peaks(|| scene.verify(&[many[0].as_str()])), memory::peaks(|| scene.cosign_verify(&many[0]))];
    drop(scene);
    let git = Timings::take(&Scene::new(Kind::DockerRegistryAndGit, programs));
    let counted = requests::count(programs);
    ours.print("our registry (on disk), committed by its tags");
    let call = format!("schleuse verify --key, {MANY} images in one call, {CALLS} calls");
    println!("  {call:<58}{:>9.1}{:>9.1}{:>9.1}", many_at_once.at(0.5), many_at_once.at(0.1), many_at_once.at(0.9));
    println!("\n  {:<58}{:>9}{:>9}{:>9}", "most memory at a time, MiB", "median", "p10", "p90");
    for (name, series) in ["schleuse verify --key", "cosign verify --key 3.1"].iter().zip(&peaks) {
        println!("  {name:<58}{:>9.1}{:>9.1}{:>9.1}", series.at(0.5), series.at(0.1), series.at(0.9));
    }
    git.print("docker-registry 2.8, committed by git refs on a remote on this disk");
    println!("\nrequests of one promotion, without a rollout");
    for count in &counted {
        println!("  {:<58}{:>6}", count.what, count.requests);
    }
    let most = |first: bool| counted.iter().filter(|count| count.first == first).map(|count| count.requests).max();
    let most = |first| most(first).unwrap_or(usize::MAX) as f64;
    let bars = [
        Bar::new("promote less key unlock : skopeo copy", ours.promote_ratio(), PROMOTE_BAR),
        Bar::new("verify : cosign verify 3.1", ours.verify_ratio(), VERIFY_BAR),
        Bar::new("verify : cosign verify 3.1, peak memory", peaks[0].over(&peaks[1]), MEMORY_BAR),
        Bar::new("sign : cosign sign 3.1, less key unlocks", ours.sign_ratio(Step::Sign), SIGN_BAR),
        Bar::new("verify of 100 images in one call, ms", many_at_once.figures(), MANY_BAR),
        Bar::new("schleuse --version, ms", ours.of(Step::Version).figures(), VERSION_BAR),
        Bar::new("requests of one promotion, the most", Figures::exact(most(false)), REQUESTS_BAR),
        Bar::new(
            "of an environment's first, the most",
            Figures::exact(most(true)),
            REQUESTS_BAR + requests::FIRST as f64,
        ),
    ];
    println!();
    for (name, figures) in [
        ("sign --formats bundle : cosign sign 3.1", ours.sign_ratio(Step::SignBundle)),
        ("promote : skopeo copy, with git", git.promote_ratio()),
        // The bar is held by the transfers: ours in our registry, theirs in docker-registry.
        ("image tag : skopeo copy, our registry", ours.tag_ratio()),
        ("image tag : skopeo copy, docker-registry", git.tag_ratio()),
        ("verify : cosign verify 3.1, docker-registry", git.verify_ratio()),
        ("sign : cosign sign 3.1, docker-registry", git.sign_ratio(Step::Sign)),
    ] {
        println!("no bar: {name:<44}{:>9.2} ±{:.2}", figures.median, figures.noise);
    }
    bars.into()
}

fn many_at_once(scene: &Scene<'_>, images: &[String]) -> Series {
    let images: Vec<_> = images.iter().map(String::as_str).collect();
    let mut series = Series::default();
    for _ in 0..CALLS {
        series.add(measure::timed(&mut scene.verify(&images)));
    }
    series
}
