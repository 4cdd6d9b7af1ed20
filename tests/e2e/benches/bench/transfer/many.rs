//! Ten thousand pushes into one registry: its memory stays where it is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use schleuse_client::Client;
use schleuse_oci::{Body, Descriptor, ImageManifest, Push as _, media_type};

use crate::measure::{Bar, Figures};
use crate::server::{Kind, Programs};

/// Pushes: each a configuration, a layer, a manifest and a tag of its own.
const PUSHES: usize = 10_000;
/// By then it has whatever a registry in use has.
const WARM: usize = 1_000;
/// How many push at a time.
const WRITERS: usize = 8;
/// What it may grow by from the thousandth push to the last, in MiB: less than 512 bytes a push. A table with an entry for each would
/// need more.
const GROWTH_BAR: f64 = 4.0;

/// Pushes, and says by how much the registry grew.
pub(crate) fn many_pushes(programs: &Programs) -> Bar {
    let server = Kind::Embedded.serve(programs);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(push(server.address, 0..WARM));
    let warm = server.resident();
    runtime.block_on(push(server.address, WARM..PUSHES));
    let end = server.resident();
    println!("\nmemory of our registry: {warm:.1} MiB after {WARM} pushes, {end:.1} MiB after {PUSHES}");
    Bar::new("growth over 10,000 pushes, MiB", Figures::exact(end - warm), GROWTH_BAR)
}

async fn push(address: SocketAddr, numbers: std::ops::Range<usize>) {
    let next = Arc::new(AtomicUsize::new(numbers.start));
    let mut writers = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (next, end) = (next.clone(), numbers.end);
        writers.spawn(async move {
            let client = Client::builder().build().expect("a client");
            let repository = format!("{address}/bench/many").parse().expect("a repository");
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= end {
                    return;
                }
                let content = [format!("{{\"number\":{number}}}"), format!("layer {number}")];
                let [config, layer] = content.map(String::into_bytes);
                let descriptors =
                    [(media_type::IMAGE_CONFIG, config), (media_type::LAYER_TAR, layer)].map(|(kind, it)| {
                        let descriptor = Descriptor::of(kind, &it);
                        (descriptor, it)
                    });
                for (descriptor, bytes) in &descriptors {
                    let body = Body::Bytes(bytes.clone().into());
                    client.push_blob(&repository, descriptor, body).await.expect("a blob is pushed");
                }
                let [(config, _), (layer, _)] = descriptors;
                let manifest = ImageManifest::new(config, vec![layer]).to_manifest();
                let tag = repository.tag(format!("t{number}").parse().expect("a tag"));
                client.tag(&tag, &manifest).await.expect("a manifest is pushed");
            }
        });
    }
    writers.join_all().await;
}
