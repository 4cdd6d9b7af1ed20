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
//! - `schleuse verify` beside `cosign verify` 3.1, and `schleuse --version`.
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
mod requests;
mod scene;

use std::process::ExitCode;

use measure::{Bar, Figures, Series};
use scene::{Kind, Programs, Scene};

/// Odd, so that a median is a round that happened; more than the 15 that the bars ask for.
const ROUNDS: usize = 21;
/// Rounds before the first that counts: caches fill, the journal begins.
const WARM_UP: usize = 2;

/// `promote` less one key unlock, over `skopeo copy`.
const PROMOTE_BAR: f64 = 1.0;
/// `verify` over `cosign verify`.
const VERIFY_BAR: f64 = 0.2;
/// `schleuse --version`, in ms.
const VERSION_BAR: f64 = 10.0;
/// Requests of one promotion.
const REQUESTS_BAR: f64 = 30.0;

fn main() -> ExitCode {
    // `cargo test --benches` calls us without it: nothing to test here.
    if !std::env::args().any(|argument| argument == "--bench") {
        return ExitCode::SUCCESS;
    }
    let programs = Programs::at_hand();
    let ours = rounds(&Scene::new(Kind::Embedded, &programs));
    let git = rounds(&Scene::new(Kind::DockerRegistryAndGit, &programs));
    let counted = requests::count(&programs);
    print("our registry (on disk), committed by its tags", &ours);
    print("docker-registry 2.8, committed by git refs on a remote on this disk", &git);
    println!("\nrequests of one promotion, without a rollout");
    for count in &counted {
        println!("  {:<58}{:>6}", count.what, count.requests);
    }
    let most = counted.iter().map(|count| count.requests).max().unwrap_or(usize::MAX);
    let bars = [
        Bar::new("promote less key unlock : skopeo copy", promote_ratio(&ours), PROMOTE_BAR),
        Bar::new("verify : cosign verify 3.1", ours.verify.over(&ours.cosign), VERIFY_BAR),
        Bar::new("schleuse --version, ms", ours.version.figures(), VERSION_BAR),
        Bar::new("requests of one promotion, the most", Figures::exact(most as f64), REQUESTS_BAR),
    ];
    println!("\n{:<44}{:>9}{:>9}{:>9}", "bar", "measured", "±noise", "at most");
    for bar in &bars {
        println!("{bar}");
    }
    let other = promote_ratio(&git);
    println!("\nno bar: promote less key unlock : skopeo copy, with git: {:.2} ±{:.2}", other.median, other.noise);
    if bars.iter().any(Bar::is_missed) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What the rounds on one registry took.
#[derive(Debug, Default)]
struct Timings {
    promote: Series,
    skopeo: Series,
    public: Series,
    version: Series,
    verify: Series,
    cosign: Series,
}

fn rounds(scene: &Scene<'_>) -> Timings {
    let mut timings = Timings::default();
    let releases = scene.releases(WARM_UP + ROUNDS);
    for (round, image) in releases.iter().enumerate() {
        let mut one = Timings::default();
        let mut steps: [(&mut Series, std::process::Command); 6] = [
            (&mut one.promote, scene.promote("staging", image)),
            (&mut one.skopeo, scene.skopeo_copy(image)),
            (&mut one.public, scene.key_public()),
            (&mut one.version, scene.version()),
            (&mut one.verify, scene.verify(image)),
            (&mut one.cosign, scene.cosign_verify(image)),
        ];
        // Nobody always runs first, or always behind the same other.
        steps.rotate_left(round % 6);
        if round % 2 == 1 {
            steps.reverse();
        }
        for (series, command) in &mut steps {
            series.add(measure::timed(command));
        }
        if round >= WARM_UP {
            timings.take(one);
        }
    }
    timings
}

impl Timings {
    fn take(&mut self, one: Self) {
        self.promote.append(one.promote);
        self.skopeo.append(one.skopeo);
        self.public.append(one.public);
        self.version.append(one.version);
        self.verify.append(one.verify);
        self.cosign.append(one.cosign);
    }

    /// One key unlock, in ms.
    fn unlock(&self) -> f64 {
        self.public.figures().median - self.version.figures().median
    }
}

fn promote_ratio(timings: &Timings) -> Figures {
    timings.promote.less(timings.unlock()).over(&timings.skopeo)
}

fn print(title: &str, timings: &Timings) {
    let Timings { promote, skopeo, public, version, verify, cosign } = timings;
    println!("\n{title}: {ROUNDS} rounds\n  {:<58}{:>9}{:>9}{:>9}", "milliseconds", "median", "p10", "p90");
    for (name, series) in [
        ("schleuse promote", promote),
        ("skopeo copy --preserve-digests, the same registry", skopeo),
        ("schleuse key public (unlocks the key)", public),
        ("schleuse --version", version),
        ("schleuse verify", verify),
        ("cosign verify 3.1", cosign),
    ] {
        println!("  {name:<58}{:>9.1}{:>9.1}{:>9.1}", series.figures().median, series.at(0.1), series.at(0.9));
    }
    println!("  {:<58}{:>9.1}", "one key unlock", timings.unlock());
    println!("  {:<58}{:>9.1}", "promote less one key unlock", promote.figures().median - timings.unlock());
}
