//! A machine to roll out on.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use schleuse_model::{Digest, PinnedRef, Release, Repository, Tag, TagRef, json};
use schleuse_oci::manifest::{ImageConfig, ImageManifest, RootFs, RuntimeConfig};
use schleuse_oci::{BodyStream, Descriptor, Error, Manifest, Pull, media_type, stream_of};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::local::instance::{Handle, Status};
use crate::local::wire::Running;
use crate::target::{Observation, Receipt, Target, TargetError};
use crate::{LocalSettings, LocalTarget};

/// Names the fixture when the tests were moved away from it.
pub(super) const FIXTURE: &str = "SCHLEUSE_DEPLOY_FIXTURE";

/// The example `deploy_fixture`, which cargo builds before it runs any test.
#[allow(clippy::disallowed_methods, reason = "how the tests that run as another user find it")]
pub(super) fn fixture() -> PathBuf {
    if let Some(path) = std::env::var_os(FIXTURE) {
        return path.into();
    }
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().unwrap().parent().unwrap().join("examples/deploy_fixture");
    assert!(path.is_file(), "run `cargo test -p schleuse-deploy` or `cargo build --example deploy_fixture` first");
    path
}

/// The one layer of all images: the fixture and the libraries it is linked with.
fn layer() -> &'static Bytes {
    static LAYER: OnceLock<Bytes> = OnceLock::new();
    LAYER.get_or_init(|| {
        let mut archive = tar::Builder::new(Vec::new());
        archive.sparse(false);
        let mut add = |from: &Path, to: &str| archive.append_path_with_name(from, to.trim_start_matches('/')).unwrap();
        add(&fixture(), "/app");
        let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
        let mut libraries: Vec<&str> = maps
            .lines()
            .filter_map(|line| line.split_ascii_whitespace().nth(5))
            .filter(|path| path.contains(".so"))
            .collect();
        libraries.sort_unstable();
        libraries.dedup();
        for library in libraries {
            let name = Path::new(library).file_name().unwrap().to_str().unwrap();
            // The loader is looked for where the program says, the others in the loader's folders.
            let places = if name.starts_with("ld-") { ["/lib64", "/lib"].as_slice() } else { ["/usr/lib"].as_slice() };
            for place in places {
                add(Path::new(library), &format!("{place}/{name}"));
            }
        }
        archive.into_inner().unwrap().into()
    })
}

/// A registry in memory that can be switched off.
#[derive(Debug, Default)]
pub(super) struct Registry {
    manifests: Mutex<BTreeMap<Digest, Manifest>>,
    blobs: Mutex<BTreeMap<Digest, Bytes>>,
    pub(super) down: AtomicBool,
}

impl Registry {
    /// An image of the fixture's application that says it is `version`.
    fn image(&self, version: &str, env: &[&str]) -> PinnedRef {
        let mut variables = vec![format!("APP_VERSION={version}"), "FROM_IMAGE=image".to_owned()];
        variables.extend(env.iter().map(|pair| (*pair).to_owned()));
        let config = ImageConfig {
            created: None,
            architecture: if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" }.to_owned(),
            os: "linux".to_owned(),
            variant: None,
            config: RuntimeConfig {
                env: variables,
                entrypoint: vec!["/app".to_owned()],
                cmd: vec!["app".to_owned()],
                working_dir: Some("/usr".to_owned()),
                ..RuntimeConfig::default()
            },
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![Digest::sha256(layer())] },
            history: Vec::new(),
        };
        let config = json::to_bytes(&config);
        let layers = vec![Descriptor::of("application/vnd.oci.image.layer.v1.tar", layer())];
        let image = ImageManifest::new(Descriptor::of(media_type::IMAGE_CONFIG, &config), layers).to_manifest();
        let mut blobs = self.blobs.lock().unwrap();
        blobs.insert(Digest::sha256(&config), config.into());
        blobs.insert(Digest::sha256(layer()), layer().clone());
        self.manifests.lock().unwrap().insert(image.digest().clone(), image.clone());
        "registry.example/app".parse::<Repository>().unwrap().pin(image.digest().clone())
    }

    fn up(&self) -> Result<(), Error> {
        if self.down.load(Ordering::SeqCst) {
            let (host, what) = ("registry.example".to_owned(), "anything".to_owned());
            return Err(Error::Unavailable { host, what, message: "switched off".to_owned() });
        }
        Ok(())
    }
}

#[async_trait]
impl Pull for Registry {
    async fn resolve(&self, _: &TagRef) -> Result<Option<PinnedRef>, Error> {
        Ok(None)
    }
    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error> {
        self.up()?;
        Ok(self.manifests.lock().unwrap().get(image.digest()).cloned())
    }
    async fn tagged(&self, _: &TagRef) -> Result<Option<Manifest>, Error> {
        Ok(None)
    }
    async fn blob(&self, _: &Repository, digest: &Digest, _: usize) -> Result<Option<Bytes>, Error> {
        self.up()?;
        Ok(self.blobs.lock().unwrap().get(digest).cloned())
    }
    async fn blob_stream(&self, _: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        self.up()?;
        Ok(self.blobs.lock().unwrap().get(&blob.digest).cloned().map(|bytes| stream_of(bytes, blob)))
    }
    async fn tags(&self, _: &Repository, _: &str, _: usize) -> Result<Vec<Tag>, Error> {
        Ok(Vec::new())
    }
}

pub(super) struct World {
    folder: TempDir,
    pub(super) settings: LocalSettings,
    pub(super) registry: Arc<Registry>,
    pub(super) target: LocalTarget,
}

impl World {
    pub(super) fn with_door() -> Self {
        Self::new(|settings| settings.listen = Some(free()))
    }

    pub(super) fn without_door() -> Self {
        Self::new(|settings| settings.port = Some(free().port()))
    }

    pub(super) fn new(adjust: impl FnOnce(&mut LocalSettings)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let env = [("FROM_IMAGE", "environment"), ("APP_PASSWORD", "hunter2-hunter2")];
        let mut settings = LocalSettings {
            root: folder.path().join("state"),
            environment: "production".parse().unwrap(),
            exe: fixture(),
            listen: None,
            port: None,
            env: env.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            stop_grace: Duration::from_secs(1),
            drain: Duration::from_secs(3),
        };
        adjust(&mut settings);
        let registry = Arc::new(Registry::default());
        let target = LocalTarget::new(settings.clone(), Arc::clone(&registry) as Arc<dyn Pull>);
        Self { folder, settings, registry, target }
    }

    /// What the next run of the tool has: the same settings, nothing else.
    pub(super) fn next_run(&self) -> LocalTarget {
        LocalTarget::new(self.settings.clone(), Arc::clone(&self.registry) as Arc<dyn Pull>)
    }

    pub(super) async fn prepare(&self, version: &str, sequence: u64) -> Result<Receipt, TargetError> {
        self.prepare_with(version, sequence, &[]).await
    }

    pub(super) async fn prepare_with(
        &self,
        version: &str,
        sequence: u64,
        env: &[&str],
    ) -> Result<Receipt, TargetError> {
        let image = self.registry.image(version, env);
        let release = Release { digest: image.digest().clone(), commit: None, version: Some(version.to_owned()) };
        self.target.prepare_release(&image, &release, sequence, false).await
    }

    /// Prepared, applied, answering, switched.
    pub(super) async fn switched(&self, version: &str, sequence: u64) -> Receipt {
        self.switched_with(version, sequence, &[]).await
    }

    pub(super) async fn switched_with(&self, version: &str, sequence: u64, env: &[&str]) -> Receipt {
        let receipt = self.applied_with(version, sequence, env).await;
        self.target.switch(&receipt).await.unwrap();
        receipt
    }

    pub(super) async fn applied(&self, version: &str, sequence: u64) -> Receipt {
        self.applied_with(version, sequence, &[]).await
    }

    pub(super) async fn applied_with(&self, version: &str, sequence: u64, env: &[&str]) -> Receipt {
        let receipt = self.prepare_with(version, sequence, env).await.unwrap();
        self.target.apply(&receipt).await.unwrap();
        assert_eq!(eventually(self.address_of(&receipt).await, "/").await, version);
        receipt
    }

    /// The instance's own address.
    pub(super) async fn address_of(&self, receipt: &Receipt) -> SocketAddr {
        match self.target.observe(receipt).await.unwrap() {
            Observation::Running { address } => address,
            other => panic!("{other:?}; its log: {:?}", self.target.logs(receipt, 30).await),
        }
    }

    /// Where users go.
    pub(super) async fn get(&self, path: &str) -> Option<String> {
        get(self.target.address().unwrap(), path).await
    }

    pub(super) fn handle(&self, receipt: &Receipt) -> Handle {
        self.target.instance(&receipt.instance().name)
    }

    pub(super) fn running(&self, receipt: &Receipt) -> Running {
        match self.handle(receipt).status().unwrap() {
            Status::Running(running) => running,
            other => panic!("{other:?}"),
        }
    }

    pub(super) fn folder(&self) -> PathBuf {
        self.settings.root.join("production")
    }
}

impl Drop for World {
    /// Also after a failed test nothing is left behind.
    fn drop(&mut self) {
        let target = self.next_run();
        let removed = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(target.remove()).map_err(|error| format!("{error:?}"))
        });
        let removed = removed.join();
        if !std::thread::panicking() {
            removed.unwrap().unwrap();
        }
        let _ = self.folder.path();
    }
}

pub(super) fn free() -> SocketAddr {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap()
}

/// One request on a connection of its own. `None`: no whole answer.
pub(super) async fn get(address: SocketAddr, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(address).await.ok()?;
    ask(&mut stream, path).await
}

/// One request on a kept connection.
pub(super) async fn ask(stream: &mut TcpStream, path: &str) -> Option<String> {
    let asked = async {
        stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: test\r\n\r\n").as_bytes()).await.ok()?;
        let mut answer = Vec::new();
        let mut buffer = [0; 4096];
        loop {
            let text = String::from_utf8_lossy(&answer).into_owned();
            if let Some((head, body)) = text.split_once("\r\n\r\n") {
                let length: usize = head.rsplit("Content-Length: ").next()?.trim().parse().ok()?;
                if body.len() >= length {
                    return Some(body.to_owned());
                }
            }
            match stream.read(&mut buffer).await.ok()? {
                0 => return None,
                read => answer.extend_from_slice(&buffer[..read]),
            }
        }
    };
    timeout(Duration::from_secs(10), asked).await.ok().flatten()
}

pub(super) async fn eventually(address: SocketAddr, path: &str) -> String {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        if let Some(answer) = get(address, path).await {
            return answer;
        }
        assert!(Instant::now() < deadline, "{address} does not answer");
        sleep(Duration::from_millis(10)).await;
    }
}

pub(super) async fn until(what: &str, done: impl AsyncFn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !done().await {
        assert!(Instant::now() < deadline, "{what} took too long");
        sleep(Duration::from_millis(10)).await;
    }
}
