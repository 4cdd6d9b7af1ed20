//! What a round runs, and what the rounds took.

use std::collections::BTreeMap;
use std::process::Command;

use crate::measure::{self, Figures, Series};
use crate::scene::Scene;

/// Odd, so that a median is a round that happened; more than the 15 that the bars ask for.
pub(crate) const ROUNDS: usize = 21;
/// Rounds before the first that counts: caches fill, the journal begins.
pub(crate) const WARM_UP: usize = 2;

/// A program that is timed, in the order of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Step {
    Promote,
    Skopeo,
    Tag,
    Public,
    Version,
    Verify,
    CosignVerify,
    Sign,
    SignBundle,
    CosignSign,
    CosignPublic,
    CosignVersion,
}

/// A round's images.
#[derive(Debug)]
pub(crate) struct Images {
    /// Signed, to be promoted and verified.
    release: String,
    /// Nobody has signed them: one for each step that signs.
    unsigned: [String; 3],
}

impl Step {
    const ALL: [Self; 12] = [
        Self::Promote,
        Self::Skopeo,
        Self::Tag,
        Self::Public,
        Self::Version,
        Self::Verify,
        Self::CosignVerify,
        Self::Sign,
        Self::SignBundle,
        Self::CosignSign,
        Self::CosignPublic,
        Self::CosignVersion,
    ];

    const fn name(self) -> &'static str {
        match self {
            Self::Promote => "schleuse promote",
            Self::Skopeo => "skopeo copy --preserve-digests, the same registry",
            Self::Tag => "schleuse image tag, the same registry",
            Self::Public => "schleuse key public (unlocks the key)",
            Self::Version => "schleuse --version",
            Self::Verify => "schleuse verify --key",
            Self::CosignVerify => "cosign verify --key 3.1",
            Self::Sign => "schleuse sign, both formats",
            Self::SignBundle => "schleuse sign --formats bundle",
            Self::CosignSign => "cosign sign 3.1, without a transparency log",
            Self::CosignPublic => "cosign public-key (unlocks the key)",
            Self::CosignVersion => "cosign version",
        }
    }

    fn command(self, scene: &Scene<'_>, images: &Images) -> Command {
        let Images { release, unsigned: [first, second, third] } = images;
        match self {
            Self::Promote => scene.promote("staging", release),
            Self::Skopeo => scene.skopeo_copy(release),
            Self::Tag => scene.tag(release),
            Self::Public => scene.key_public(),
            Self::Version => scene.version(),
            Self::Verify => scene.verify(&[release.as_str()]),
            Self::CosignVerify => scene.cosign_verify(release),
            Self::Sign => scene.sign("bundle,legacy", first),
            Self::SignBundle => scene.sign("bundle", second),
            Self::CosignSign => scene.cosign_sign(third),
            Self::CosignPublic => scene.cosign(&["public-key", "--key", "schleuse.key"]),
            Self::CosignVersion => scene.cosign(&["version"]),
        }
    }
}

/// What the rounds on one registry took, in ms.
#[derive(Debug, Default)]
pub(crate) struct Timings(BTreeMap<Step, Series>);

impl Timings {
    /// Goes through all rounds, each with releases of its own.
    pub(crate) fn take(scene: &Scene<'_>) -> Self {
        let mut timings = Self::default();
        let releases = scene.releases(WARM_UP + ROUNDS);
        for (round, release) in releases.into_iter().enumerate() {
            let unsigned = std::array::from_fn(|_| scene.unsigned());
            let images = Images { release, unsigned };
            let mut steps = Step::ALL;
            // Nobody always runs first, or always behind the same other.
            steps.rotate_left(round % Step::ALL.len());
            if round % 2 == 1 {
                steps.reverse();
            }
            for step in steps {
                let took = measure::timed(&mut step.command(scene, &images));
                if round >= WARM_UP {
                    timings.0.entry(step).or_default().add(took);
                }
            }
        }
        timings
    }

    pub(crate) fn of(&self, step: Step) -> &Series {
        &self.0[&step]
    }

    fn figures(&self, step: Step) -> Figures {
        self.of(step).figures()
    }

    /// One key unlock of ours.
    fn unlock(&self) -> Figures {
        self.figures(Step::Public).less(self.figures(Step::Version))
    }

    /// One key unlock of cosign's.
    fn cosign_unlock(&self) -> Figures {
        self.figures(Step::CosignPublic).less(self.figures(Step::CosignVersion))
    }

    /// A promotion less one key unlock, over moving a tag.
    pub(crate) fn promote_ratio(&self) -> Figures {
        self.figures(Step::Promote).less(self.unlock()).over(self.figures(Step::Skopeo))
    }

    /// Moving a tag, over moving a tag.
    pub(crate) fn tag_ratio(&self) -> Figures {
        self.of(Step::Tag).over(self.of(Step::Skopeo))
    }

    pub(crate) fn verify_ratio(&self) -> Figures {
        self.of(Step::Verify).over(self.of(Step::CosignVerify))
    }

    /// A signature by `step`, one of ours, over cosign's: each less its own key unlock.
    pub(crate) fn sign_ratio(&self, step: Step) -> Figures {
        let ours = self.figures(step).less(self.unlock());
        ours.over(self.figures(Step::CosignSign).less(self.cosign_unlock()))
    }

    pub(crate) fn print(&self, title: &str) {
        println!("\n{title}: {ROUNDS} rounds\n  {:<58}{:>9}{:>9}{:>9}", "milliseconds", "median", "p10", "p90");
        for (step, series) in &self.0 {
            let [median, low, high] = [0.5, 0.1, 0.9].map(|share| series.at(share));
            println!("  {:<58}{median:>9.1}{low:>9.1}{high:>9.1}", step.name());
        }
        for (name, figure) in [
            ("one key unlock", self.unlock()),
            ("one key unlock of cosign's", self.cosign_unlock()),
            ("promote less one key unlock", self.figures(Step::Promote).less(self.unlock())),
            ("sign, both formats, less one key unlock", self.figures(Step::Sign).less(self.unlock())),
            ("cosign sign less one key unlock", self.figures(Step::CosignSign).less(self.cosign_unlock())),
        ] {
            println!("  {name:<58}{:>9.1}   ±{:.1}", figure.median, figure.noise);
        }
    }
}
