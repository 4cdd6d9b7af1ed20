//! Which releases must stay trusted when a key goes: what each environment runs, and where it would go back to.

use schleuse_journal::{State, ToAdopt};
use schleuse_model::{EnvironmentName, Release};

use crate::failure::Failure;
use crate::ladder::Ladder;

/// One environment's newest entry, believed or not. `None`: it has no journal yet.
#[derive(Debug)]
pub(super) struct Newest {
    pub(super) environment: EnvironmentName,
    pub(super) found: Option<ToAdopt>,
}

/// Reads every environment's newest entry.
pub(super) async fn newest(ladder: &Ladder<'_>) -> Result<Vec<Newest>, Failure> {
    let mut all = Vec::new();
    for rung in ladder.rungs() {
        let found = ladder.journal(rung).to_adopt().await?;
        all.push(Newest { environment: rung.name.clone(), found });
    }
    Ok(all)
}

/// A release that must stay trusted, and where it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Staying {
    pub(super) release: Release,
    /// `staging`, `production (way back)`: in the ladder's order.
    pub(super) places: Vec<String>,
}

/// The releases that must stay, each once, in the ladder's order.
pub(super) fn staying(all: &[Newest]) -> Vec<Staying> {
    let states = all.iter().filter_map(|one| Some((one.environment.as_str(), &one.found.as_ref()?.entry().state)));
    of_states(states)
}

fn of_states<'a>(states: impl Iterator<Item = (&'a str, &'a State)>) -> Vec<Staying> {
    let mut staying: Vec<Staying> = Vec::new();
    for (environment, state) in states {
        // What an unfinished rollout would return to is a way back, too.
        let before = state.rollout.as_ref().and_then(|rollout| rollout.before.as_ref());
        let current = state.current.iter().map(|placed| (placed, environment.to_owned()));
        let back = state.way_back().into_iter().chain(before);
        let back = back.map(|placed| (placed, format!("{environment} (way back)")));
        for (placed, place) in current.chain(back) {
            let digest = &placed.release.digest;
            match staying.iter_mut().find(|known| known.release.digest == *digest) {
                Some(known) if known.places.contains(&place) => {}
                Some(known) => known.places.push(place),
                None => staying.push(Staying { release: placed.release.clone(), places: vec![place] }),
            }
        }
    }
    staying
}

#[cfg(test)]
mod tests {
    use schleuse_journal::{Placed, Standing};
    use schleuse_model::{Digest, Timestamp};

    use super::*;

    fn placed(name: &str) -> Placed {
        let release = Release { digest: Digest::sha256(name.as_bytes()), commit: None, version: Some(name.to_owned()) };
        Placed { release, sequence: 1, standing: Standing::Healthy, since: Timestamp::UNIX_EPOCH }
    }

    #[test]
    fn what_runs_and_where_one_would_go_back_to_each_once() {
        let staging = State { current: Some(placed("c")), good: vec![placed("b"), placed("c")], ..State::default() };
        let production =
            State { current: Some(placed("b")), good: vec![placed("z"), placed("a"), placed("b")], ..State::default() };
        let found = of_states([("staging", &staging), ("production", &production)].into_iter());
        let found: Vec<_> =
            found.iter().map(|one| (one.release.version.as_deref().unwrap(), one.places.join(", "))).collect();
        let expected = [("c", "staging"), ("b", "staging (way back), production"), ("a", "production (way back)")];
        assert_eq!(found, expected.map(|(name, places)| (name, places.to_owned())));
        assert_eq!(of_states([("dev", &State::default())].into_iter()), []);
    }
}
