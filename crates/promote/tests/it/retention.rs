//! Cleaning up beside promotions.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use schleuse_model::Digest;
use schleuse_oci::evidence::{keep_tag, legacy_tag};
use schleuse_oci::{Delete as _, Descriptor, ImageManifest, Pull as _, Push as _, Referrers as _};
use schleuse_promote::Outcome;
use schleuse_promote::retention::prune::{Found, Removed, Remover, Unpinned, unpin};
use schleuse_promote::retention::{Named, named, pin, pinned, set_right};

use tokio::time::{Instant, timeout};

use crate::gate::Gate;
use crate::registry::Wire;
use crate::scene::{Command, STAGING, Scene};

fn wire(scene: &Scene) -> Wire {
    scene.wire(Arc::new(Gate::open()))
}

fn found(digest: &Digest) -> Found {
    Found { digest: digest.clone(), tags: Vec::new(), created: None, children: Vec::new() }
}

/// What a cleanup does that has looked before, and removes now.
async fn remove(scene: &Scene, release: usize) -> Removed {
    let (wire, journals) = (wire(scene), scene.journals());
    let (repository, stay) = (scene.image(), BTreeSet::new());
    let remover = Remover {
        pull: &wire,
        referrers: &wire,
        delete: &wire,
        repository: &repository,
        journals: &journals,
        stay: &stay,
    };
    remover.remove(&found(&scene.releases[release])).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn what_came_to_be_needed_since_it_was_looked_at_is_not_removed() {
    let scene = Scene::new().await;
    let (wire, repository) = (wire(&scene), scene.image());
    assert!(matches!(remove(&scene, 2).await, Removed::Gone { manifests: 2.. }), "with its signature");
    assert_eq!(wire.manifest(&repository.pin(scene.releases[2].clone())).await.unwrap(), None);
    // Pinned: a promotion is about to commit.
    pin(&wire, &wire, &repository, &scene.releases[1..2]).await.unwrap();
    assert_eq!(remove(&scene, 1).await, Removed::Needed);
    // Committed, and somebody took the pin.
    scene.now(STAGING, Command::Promote(0)).await.unwrap();
    wire.delete_tag(&repository.tag(keep_tag(&scene.releases[0]).unwrap())).await.unwrap();
    assert_eq!(remove(&scene, 0).await, Removed::Needed);
    assert!(wire.manifest(&repository.pin(scene.releases[0].clone())).await.unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn everything_that_was_ever_promoted_is_named() {
    let scene = Scene::new().await;
    for release in [0, 1, 2] {
        scene.now(STAGING, Command::Promote(release)).await.unwrap();
    }
    scene.production(Command::Promote(1)).await.unwrap();
    let Named { releases, .. } = named(&scene.journals()).await.unwrap();
    let places = |release: usize| releases[&scene.releases[release]].join(", ");
    assert_eq!([places(0), places(1), places(2)], ["staging", "staging, production", "staging"]);
    assert!(!releases.contains_key(&scene.releases[3]));
}

#[tokio::test(start_paused = true)]
async fn pins_are_taken_back_only_where_that_leaves_the_image_alone() {
    let scene = Scene::new().await;
    let (wire, repository) = (wire(&scene), scene.image());
    let stale = BTreeSet::from([scene.releases[0].clone(), scene.releases[1].clone()]);
    pin(&wire, &wire, &repository, &scene.releases[..2]).await.unwrap();
    let pins = pinned(&wire, &repository).await.unwrap();
    let old = scene.fork();
    old.registry.take_manifests_with_tags();
    let at_old = self::wire(&old);
    assert_eq!(unpin(&at_old, &repository, &pins, &stale).await.unwrap(), Unpinned::TakesManifests);
    assert_eq!(pinned(&at_old, &repository).await.unwrap(), pins);
    assert_eq!(unpin(&wire, &repository, &pins, &stale).await.unwrap(), Unpinned::Done(2));
    assert_eq!(pinned(&wire, &repository).await.unwrap(), BTreeSet::new());
    for release in &stale {
        assert!(wire.manifest(&repository.pin(release.clone())).await.unwrap().is_some());
    }
}

/// A tag says whatever its writer wants.
#[tokio::test(start_paused = true)]
async fn what_only_looks_like_evidence_is_not_removed_with_an_image() {
    let scene = Scene::new().await;
    let (wire, repository) = (wire(&scene), scene.image());
    let [old, other, goes] = [0, 1, 2].map(|number| scene.releases[number].clone());
    // Nobody's pin, nobody's release any more: a plain image under the tag where cosign's signatures lie.
    for (suffix, posing) in [("sig", &old), ("att", &other)] {
        let posing = wire.manifest(&repository.pin(posing.clone())).await.unwrap().unwrap();
        wire.tag(&repository.tag(legacy_tag(&goes, suffix).unwrap()), &posing).await.unwrap();
    }
    assert!(matches!(remove(&scene, 2).await, Removed::Gone { manifests: 2 }), "itself and its bundle");
    for release in [old, other] {
        assert!(wire.manifest(&repository.pin(release)).await.unwrap().is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn pins_that_point_elsewhere_are_set_right() {
    let scene = Scene::new().await;
    let (wire, repository) = (wire(&scene), scene.image());
    pin(&wire, &wire, &repository, &scene.releases[..2]).await.unwrap();
    let tag = repository.tag(keep_tag(&scene.releases[0]).unwrap());
    scene.registry.move_tag(&tag, &scene.releases[3]);
    let moved = set_right(&wire, &wire, &repository, &scene.releases[..3]).await.unwrap();
    assert_eq!(moved, scene.releases[..1]);
    assert_eq!(scene.registry.points_to(&tag).as_ref(), Some(&scene.releases[0]));
}

#[tokio::test(start_paused = true)]
async fn a_way_back_is_not_held_up_by_a_registry_that_hangs_at_pins() {
    let scene = Scene::new().await;
    scene.production(Command::Promote(0)).await.unwrap();
    scene.production(Command::Promote(1)).await.unwrap();
    let calm = scene.fork();
    let started = Instant::now();
    calm.production(Command::Rollback).await.unwrap();
    let usual = started.elapsed();
    scene.registry.hang_at_pins();
    let started = Instant::now();
    let outcome = timeout(Duration::from_secs(600), scene.production(Command::Rollback)).await.unwrap().unwrap();
    assert_eq!(outcome, Outcome::WentBack);
    assert!(started.elapsed() <= usual + Duration::from_secs(15), "{:?}, not {usual:?}", started.elapsed());
}

/// Whoever may push can attach as much as they like.
#[tokio::test(start_paused = true)]
async fn thousands_of_attachments_do_not_hold_up_a_promotion() {
    let scene = Scene::new().await;
    let (wire, repository) = (wire(&scene), scene.image());
    let release = repository.pin(scene.releases[0].clone());
    let signature = wire.referrers(&release, 9).await.unwrap()[0].digest.clone();
    let subject = wire.manifest(&release).await.unwrap().unwrap().descriptor();
    for number in 0..2000 {
        let mut garbage = ImageManifest::new(Descriptor::empty(), Vec::new());
        (garbage.subject, garbage.artifact_type) = (Some(subject.clone()), Some(format!("x/{number}")));
        wire.attach(&release, &garbage.to_manifest()).await.unwrap();
    }
    // Listed behind all of them.
    scene.registry.list_last(&release, &signature);
    scene.now(STAGING, Command::Promote(0)).await.unwrap();
    let pins = pinned(&wire, &repository).await.unwrap();
    assert_eq!(pins.len(), 513);
    assert!(pins.contains(&keep_tag(&signature).unwrap()));
}
