//! An environment where a release runs, the promotion that dies there, and what must be true in the end.

use std::fmt;
use std::time::{Duration, Instant};

use schleuse_model::Digest;

use crate::project::{Project, Rung, Setup};
use crate::run::Output;

/// The environment.
pub(crate) const PRODUCTION: &str = "production";
/// After so many releases a new ground is made: a long journal takes long to verify.
const WORN: u32 = 10;

/// What the promoted release is like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// It is the first one there, and stays.
    First,
    /// It stays.
    Good,
    /// It starts well, gets the traffic, and is brought back.
    Sick,
}

impl Story {
    /// How an uninterrupted promotion exits.
    pub(crate) const fn code(self) -> i32 {
        match self {
            Self::First | Self::Good => 0,
            Self::Sick => 20,
        }
    }

    /// What an uninterrupted promotion writes.
    const fn events(self) -> [&'static str; 3] {
        let end = match self {
            Self::First | Self::Good => "healthy",
            Self::Sick => "rolled-back",
        };
        ["promoted", "rollout-started", end]
    }

    /// What `status` says is next.
    const fn next(self) -> &'static str {
        match self {
            Self::First | Self::Good => "nothing",
            Self::Sick => "failed-here",
        }
    }

    const fn fault(self) -> &'static str {
        match self {
            Self::First | Self::Good => "",
            Self::Sick => "health-500-after=400",
        }
    }
}

/// Who comes after a run that died.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Successor {
    /// The same command.
    Same,
    /// `resume`; and the same command, if the promotion had not been journaled.
    Resume,
}

/// A release and its version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Release {
    pub(crate) digest: Digest,
    version: String,
}

#[derive(Debug)]
pub(crate) struct Ground {
    pub(crate) project: Project,
    story: Story,
    /// What runs there; of a first release: what it is made of.
    running: Release,
    /// The newest entry of its journal.
    head: u64,
    releases: u32,
}

impl Ground {
    pub(crate) fn new(story: Story, setup: Setup) -> Self {
        let project = Project::with(Setup { ladder: vec![Rung { name: PRODUCTION, local: true }], ..setup });
        let version = "1.0.0".to_owned();
        let digest = project.release(&version, "");
        let mut ground = Self { project, story, running: Release { digest, version }, head: 0, releases: 0 };
        if story != Story::First {
            ground.promote(&ground.running).exits(0);
            ground.head = 3;
        }
        ground
    }

    /// Whether it is time for a new one.
    pub(crate) fn is_worn(&self) -> bool {
        self.releases >= if self.story == Story::First { 1 } else { WORN }
    }

    /// A release that has never been here.
    pub(crate) fn candidate(&mut self) -> Release {
        self.releases += 1;
        let version = format!("1.{}.0", self.releases);
        let digest = self.project.variant(&self.running.digest, &version, self.story.fault());
        Release { digest, version }
    }

    /// The promotion of a release, as arguments.
    pub(crate) fn promotion(&self, release: &Release) -> [String; 3] {
        ["promote".to_owned(), PRODUCTION.to_owned(), self.project.image(&release.digest)]
    }

    fn promote(&self, release: &Release) -> Output {
        let arguments = self.promotion(release);
        self.project.run(&arguments.each_ref().map(String::as_str))
    }

    /// Somebody comes after the run that promoted `candidate` and died; then everything is as if it had not.
    pub(crate) fn come_after(&mut self, candidate: Release, successor: Successor, tale: &dyn fmt::Display) {
        let mut tale = format!("{tale}, then {successor:?}");
        let before = self.events();
        // A run that had told the journal before it died had done its work.
        let told = before.len() == self.story.events().len();
        if successor == Successor::Resume {
            let resumed = self.project.run(&["resume", PRODUCTION]);
            tale = format!("{tale}\n{resumed}");
            let expected = if before.is_empty() || told { 0 } else { self.story.code() };
            assert_eq!(resumed.code, Some(expected), "after {before:?}: {tale}");
        }
        if successor == Successor::Same || before.is_empty() {
            let promoted = self.promote(&candidate);
            tale = format!("{tale}\n{promoted}");
            // A release that has failed here is not tried again unasked.
            let expected = if told && self.story == Story::Sick { 10 } else { self.story.code() };
            assert_eq!(promoted.code, Some(expected), "after {before:?}: {tale}");
        }
        self.must_have_ended(candidate, &tale);
    }

    /// An uninterrupted run. Answers how long it took.
    pub(crate) fn in_peace(&mut self) -> Duration {
        let candidate = self.candidate();
        let began = Instant::now();
        let promoted = self.promote(&candidate).exits(self.story.code());
        let took = began.elapsed();
        self.must_have_ended(candidate, &promoted);
        took
    }

    /// Looks at everything.
    pub(crate) fn must_have_ended(&mut self, candidate: Release, tale: &dyn fmt::Display) {
        let project = &self.project;
        assert_eq!(self.events(), self.story.events(), "{tale}");
        let current = if self.story == Story::Sick { &self.running } else { &candidate };
        let status = project.run(&["status", "--format", "json"]).exits(0).result();
        let row = &status["environments"][0];
        assert_eq!(row["release"]["digest"], current.digest.to_string(), "{status}\n{tale}");
        assert_eq!(
            (&row["verdict"], &row["next"]["is"]),
            (&"healthy".into(), &self.story.next().into()),
            "{status}\n{tale}"
        );
        assert_eq!(project.tag(PRODUCTION).as_ref(), Some(&current.digest), "the tag; {tale}");
        for _ in 0..5 {
            let expected = Some((200, format!("billing {}", current.version)));
            assert_eq!(project.get(PRODUCTION, "/"), expected, "the front door; {tale}");
        }
        assert_eq!(project.instances(PRODUCTION), 1, "instances; {tale}");
        assert!(!project.state(PRODUCTION).join("intent").exists(), "an intent is left; {tale}");
        self.head = row["head"].as_u64().expect("the newest entry");
        if self.story != Story::Sick {
            self.running = candidate;
        }
    }

    /// What happened here since the last release, and that the whole journal verifies. Who took what over is left out.
    pub(crate) fn events(&self) -> Vec<String> {
        let history = self.project.run(&["history", PRODUCTION, "--verify", "--limit", "1000", "--format", "json"]);
        let history = history.exits(0).result();
        let entries = history["environments"][0]["entries"].as_array().expect("entries").iter().rev();
        let new = entries.filter(|entry| entry["sequence"].as_u64() > Some(self.head));
        let names = new.map(|entry| entry["event"].as_str().expect("an event").to_owned());
        names.filter(|name| name != "taken-over").collect()
    }
}

/// What the whole suite rests on: an end that is not one is noticed.
#[test]
fn a_dead_run_that_nobody_comes_after_is_noticed() {
    let mut ground = Ground::new(Story::Good, Setup::default());
    let candidate = ground.candidate();
    let mut running = ground.project.spawn(&ground.promotion(&candidate).each_ref().map(String::as_str));
    while !running.stderr().contains("rollout-started") {
        assert!(!running.has_ended(), "{}", running.stderr());
        std::thread::sleep(Duration::from_millis(5));
    }
    running.kill();
    let ended = running.wait();
    assert_eq!(ground.events(), ["promoted", "rollout-started"]);
    let looked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        ground.must_have_ended(candidate.clone(), &"nobody came");
    }));
    assert!(looked.is_err(), "an unfinished rollout passes for finished");
    ground.come_after(candidate, Successor::Resume, &ended);
}
