//! Who accepts whose signatures: each cell of the matrix is a test, once on docker-registry 2.8 (no referrers API: the fallback
//! index) and once on our embedded registry (with it). No cell reaches anything outside this machine.

/// Makes a module of each cell, with one test for each kind of registry. A cell is an async function of a [`Desk`](desk::Desk).
macro_rules! cells {
    ($($cell:ident),+ $(,)?) => {$(
        mod $cell {
            use schleuse_registry::Registry;
            use schleuse_testkit::DockerRegistry;

            use crate::interop::desk::Desk;

            #[tokio::test(flavor = "multi_thread")]
            async fn docker_registry() {
                let registry = DockerRegistry::start();
                super::$cell(&Desk::before(registry.address())).await;
            }

            #[tokio::test(flavor = "multi_thread")]
            async fn embedded_registry() {
                let registry = Registry::memory().spawn("127.0.0.1:0".parse().unwrap()).await.unwrap();
                super::$cell(&Desk::before(registry.addr())).await;
                registry.stop().await.unwrap();
            }
        }
    )+};
}

mod algorithms;
mod annotations;
mod cosign;
mod desk;
mod sigstore_js;
mod skopeo;
