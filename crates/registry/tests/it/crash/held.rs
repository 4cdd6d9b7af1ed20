//! What another request has made visible and not yet durable.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use schleuse_model::Digest;
use schleuse_oci::{Descriptor, media_type};
use schleuse_registry::Registry;

use super::volume::CrashVolume;
use crate::it::harness::{Client, loopback};

/// One client pushes a layer, and the disk is slow to sync. Another finds that layer (by its link, or by mounting it from anywhere)
/// and relies upon it: it is not answered before the first client's sync is done, however quick its own are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_relies_on_it_waits_for_it() {
    let layer = Digest::sha256(b"layer");
    for slow in ["repos/a/_links".to_owned(), format!("blobs/sha256/{}", &layer.hex()[..2])] {
        let volume = CrashVolume::default();
        let running = Registry::on(Arc::new(volume.clone())).unwrap().spawn(loopback()).await.unwrap();
        let (mut first, mut second) = (Client::new(running.addr()).await, Client::new(running.addr()).await);
        // The folders are there, and clean.
        let mut image = second.image("a", b"other").await;
        second.blob("b", b"other").await;
        image.layers.push(Descriptor::of(media_type::LAYER_TAR, b"layer"));
        let manifest = image.to_manifest();

        volume.hold(Some(Path::new(&slow)));
        let pushing = tokio::spawn(async move { first.blob("a", b"layer").await });
        let relying = if slow.starts_with("repos") {
            let path = format!("/v2/a/blobs/{layer}");
            while second.send("HEAD", &path, &[], "").await.status != StatusCode::OK {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            tokio::spawn(async move { second.put("a", "t", &manifest, &[]).await.status })
        } else {
            let stored = format!("{slow}/{}", layer.hex());
            while schleuse_registry::Volume::modified(&volume, Path::new(&stored)).is_err() {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            let mount = format!("/v2/b/blobs/uploads/?mount={layer}");
            tokio::spawn(async move { second.send("POST", &mount, &[], "").await.status })
        };
        tokio::time::sleep(Duration::from_millis(150)).await;
        assert!(!pushing.is_finished() && !relying.is_finished(), "{slow}");
        volume.hold(None);
        assert_eq!(relying.await.unwrap(), StatusCode::CREATED);
        pushing.await.unwrap();
        running.stop().await.unwrap();
    }
}
