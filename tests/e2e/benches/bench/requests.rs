//! How many requests a promotion makes, as a proxy in front of the registry counts them.

use schleuse_testkit::Proxy;

use crate::measure;
use crate::scene::Scene;
use crate::server::{Kind, Programs};

const OF_A_JOURNAL: &str = "the first of a journal";

/// How many promotions into the first rung go before the one that is counted there.
const EARLIER: usize = 4;

/// What the very first promotion of an environment may take beyond the others: its commit point is proven by a race.
pub(crate) const FIRST: usize = 5;

/// One promotion's.
#[derive(Debug)]
pub(crate) struct Count {
    pub(crate) what: String,
    pub(crate) requests: usize,
    /// Whether it is the first of its journal.
    pub(crate) first: bool,
}

/// Counts the promotions that differ: the very first, which finds a commit point; one among many; and one from rung to rung.
pub(crate) fn count(programs: &Programs) -> Vec<Count> {
    let mut counts = Vec::new();
    for (kind, name) in [(Kind::Embedded, "our registry"), (Kind::DockerRegistryAndGit, "docker-registry and git")] {
        let registry = kind.serve(programs);
        let proxy = Proxy::start(registry.address);
        let scene = Scene::at(kind, proxy.address(), Some(registry), programs);
        let releases = scene.releases(EARLIER + 1);
        let mut counted = |what: &str, environment: &str, image: &str| {
            proxy.reset();
            measure::timed(&mut scene.promote(environment, image));
            if std::env::var_os("SCHLEUSE_BENCH_LIST").is_some() {
                eprintln!("{name}, {what}:");
                proxy.log().iter().for_each(|record| eprintln!("  {record}"));
            }
            let first = what == OF_A_JOURNAL;
            counts.push(Count { what: format!("{name}, {what}"), requests: proxy.count(), first });
        };
        let (first, others) = releases.split_first().expect("there are releases");
        counted(OF_A_JOURNAL, "staging", first);
        let (last, between) = others.split_last().expect("there are more");
        for image in between {
            measure::timed(&mut scene.promote("staging", image));
        }
        counted("one among many", "staging", last);
        counted("from rung to rung", "production", last);
    }
    counts
}
