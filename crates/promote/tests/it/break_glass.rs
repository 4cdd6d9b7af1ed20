//! Going back with the key that may do nothing else, whatever the CI's runs have left behind.

use std::sync::Arc;

use schleuse_promote::{Error, Outcome};

use crate::gate::Gate;
use crate::outage::{sick, time_to_restore};
use crate::scene::{Command, End, PRODUCTION, Scene};

/// Who signed each entry after the first three, the CI or the break-glass key.
async fn signers(scene: &Scene) -> Vec<(&'static str, bool)> {
    let entries = scene.entries(PRODUCTION).await;
    let ci = entries[0].signer().to_owned();
    entries.iter().skip(3).map(|entry| (entry.entry().event.name(), entry.signer() == ci)).collect()
}

/// Ends at `r0`, which answers; nothing is unfinished or untold.
async fn is_back(scene: &Scene) -> End {
    let end = scene.stands(PRODUCTION).await;
    assert_eq!(end.current, Some(("r0".to_owned(), "healthy")));
    assert_eq!((end.traffic.as_deref(), end.unfinished, end.intent), (Some("r0"), false, false));
    end
}

/// The CI died in each place of a promotion; the break-glass key leaves it.
#[tokio::test(start_paused = true)]
async fn it_leaves_what_a_dead_promotion_was_rolling_out() {
    for at in (0..).step_by(3) {
        let scene = Scene::new().await;
        scene.production(Command::Promote(0)).await.unwrap();
        if scene.run(PRODUCTION, Command::Promote(1), Arc::new(Gate::kill(at))).await.is_some() {
            break;
        }
        match scene.production(Command::BreakGlass).await {
            Ok(outcome) => {
                assert_eq!(outcome, Outcome::WentBack, "died at {at}");
                is_back(&scene).await;
            }
            // It died before anything was journaled: there is nothing to go back from.
            Err(Error::NoWayBack { .. }) => assert_eq!(scene.entries(PRODUCTION).await.len(), 3, "died at {at}"),
            Err(error) => panic!("died at {at}: {error}"),
        }
    }
}

/// The CI's rollout went back by itself, and could not tell the journal. A way back of its own says as much.
#[tokio::test(start_paused = true)]
async fn it_does_not_finish_a_way_back_that_the_ci_had_begun() {
    let scene = sick().await;
    time_to_restore(&scene, true).await;
    assert!(scene.target.state().has_intent());
    scene.registry.set_down(false);
    assert_eq!(scene.production(Command::BreakGlass).await.unwrap(), Outcome::WentBack);
    is_back(&scene).await;
    let expected = [
        ("promoted", true),
        ("rollout-started", true),
        ("rollback", false),
        ("rollout-started", false),
        ("healthy", false),
    ];
    assert_eq!(signers(&scene).await, expected);
}

/// Without the registry, and recorded by the CI when it is there again.
#[tokio::test(start_paused = true)]
async fn it_goes_back_without_the_registry_and_the_ci_records_it() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    scene.production(Command::Promote(1)).await.unwrap();
    scene.registry.set_down(true);
    assert_eq!(scene.production(Command::BreakGlass).await.unwrap(), Outcome::WentBack);
    scene.registry.set_down(false);
    assert_eq!(scene.production(Command::Resume).await.unwrap(), Outcome::WentBack);
    is_back(&scene).await;
    assert_eq!(signers(&scene).await.last(), Some(&("rollback", true)));
}
