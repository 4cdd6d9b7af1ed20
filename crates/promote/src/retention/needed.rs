//! Which releases an environment rests on. Pure.

use schleuse_journal::State;
use schleuse_model::{EnvironmentName, Release};

/// A release that must stay, and where it is needed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Staying {
    /// Which.
    pub release: Release,
    /// `staging`, `production (way back)`: in the order of the states.
    pub places: Vec<String>,
}

/// The releases that must stay, each once: what each environment runs, and where it would go back to.
pub fn staying<'a>(states: impl IntoIterator<Item = (&'a EnvironmentName, &'a State)>) -> Vec<Staying> {
    let mut staying: Vec<Staying> = Vec::new();
    for (environment, state) in states {
        // What an unfinished rollout would return to is a way back, too.
        let before = state.rollout.as_ref().and_then(|rollout| rollout.before.as_ref());
        let current = state.current.iter().map(|placed| (placed, environment.to_string()));
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
        let name = |text: &str| text.parse::<EnvironmentName>().unwrap();
        let staging = State { current: Some(placed("c")), good: vec![placed("b"), placed("c")], ..State::default() };
        let production =
            State { current: Some(placed("b")), good: vec![placed("z"), placed("a"), placed("b")], ..State::default() };
        let found = staying([(&name("staging"), &staging), (&name("production"), &production)]);
        let found: Vec<_> =
            found.iter().map(|one| (one.release.version.as_deref().unwrap(), one.places.join(", "))).collect();
        let expected = [("c", "staging"), ("b", "staging (way back), production"), ("a", "production (way back)")];
        assert_eq!(found, expected.map(|(name, places)| (name, places.to_owned())));
        assert_eq!(staying([(&name("dev"), &State::default())]), []);
    }
}
