//! Many writers of evidence about one image: whatever they overtake, nothing that was written is lost, and nothing is there twice.
//!
//! # What could be lost
//! docker-registry 2.8 has no referrers API. Its fallback index is read, changed and written back without a condition: whoever
//! reads early and writes late erases what came in between. A writer that is held back exactly there erases seven entries, in
//! each round; that those are found nevertheless rests on the evidence's own tags. The embedded registry keeps the list itself; a
//! writer held back there shows that the list is made when the manifest arrives, not when its writer last looked.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use schleuse_model::{Digest, Repository};
use schleuse_oci::manifest::ImageManifest;
use schleuse_oci::{Body, Descriptor, Push as _, media_type};
use schleuse_testkit::Proxy;
use schleuse_testkit::proxy::{Fault, Match, When};

use crate::project::{Kind, Project, Rung, Setup, runtime};
use crate::run::Running;

const WRITERS: usize = 8;
/// How long the others may take before the one that is held back is let go, come what may: less than its deadline for an answer.
const PATIENCE: Duration = Duration::from_secs(45);

/// 20 in each form is 900 runs of the program, each with its key to unlock: two minutes of two cores when it is built for tests.
fn rounds() -> usize {
    if std::env::var_os("SCHLEUSE_SOAK").is_some_and(|value| value == "1") { 20 } else { 5 }
}

/// Where the images lie.
#[derive(Clone, Copy, Debug)]
enum Registry {
    /// docker-registry 2.8.
    Docker,
    /// `schleuse registry serve --memory`.
    Memory,
    /// `schleuse registry serve --folder`.
    Disk,
}

/// A registry and a project with a trusted key.
struct Ground {
    /// Before the project, which insists that nothing of it is left.
    _server: Option<Running>,
    address: std::net::SocketAddr,
    project: Project,
}

impl Ground {
    fn new(registry: Registry) -> Self {
        let kind = if matches!(registry, Registry::Docker) { Kind::Docker } else { Kind::Memory };
        let ladder = vec![Rung { name: "staging", local: false }];
        let project = Project::with(Setup { registry: kind, ladder, ..Setup::default() });
        for number in 0..WRITERS {
            project.write(&format!("{number}.json"), &predicate(number));
        }
        let serve = ["registry", "serve", "--listen", "127.0.0.1:0"];
        let server = match registry {
            Registry::Docker => None,
            Registry::Memory => Some(project.spawn(&[&serve[..], &["--memory"]].concat())),
            Registry::Disk => Some(project.spawn(&[&serve[..], &["--folder", "served"]].concat())),
        };
        let address = server.as_ref().map_or(project.registry, listens);
        Self { _server: server, address, project }
    }

    /// An image that nobody has said anything about.
    fn image(&self, name: &str) -> Digest {
        let repository: Repository = format!("{}/acme/billing", self.address).parse().expect("a repository");
        let config = format!(r#"{{"architecture":"amd64","os":"linux","author":"{name}"}}"#).into_bytes();
        let descriptor = Descriptor::of(media_type::IMAGE_CONFIG, &config);
        let manifest = ImageManifest::new(descriptor.clone(), Vec::new()).to_manifest();
        runtime().block_on(async {
            let client = self.project.client();
            client.push_blob(&repository, &descriptor, Body::Bytes(config.into())).await.unwrap();
            client.push_manifest(&repository, &manifest).await.unwrap();
        });
        manifest.digest().clone()
    }

    fn attest(&self, number: usize, image: &str) -> Running {
        let predicate = format!("{number}.json");
        self.project.spawn(&["attest", image, "--type", &kind(number), "--predicate", &predicate])
    }

    /// Every attestation is found, verified, and once.
    #[track_caller]
    fn has_all(&self, image: &str, round: usize) {
        let folder = format!("found-{round}");
        let found = self.project.run(&["evidence", image, "--format", "json", "--download", &folder]).exits(0);
        let result = found.result();
        let items = result["evidence"].as_array().expect("evidence");
        assert!(items.iter().all(|item| item["verified"] == true), "round {round}: {found}");
        let mut kinds: Vec<_> = items.iter().map(|item| item["predicate_type"].as_str().expect("a type")).collect();
        kinds.sort_unstable();
        let mut wanted: Vec<_> = (0..WRITERS).map(full_kind).collect();
        wanted.sort_unstable();
        assert_eq!(kinds, wanted, "round {round}: {found}");
        let said = |path: &serde_json::Value| {
            let name = path.as_str().expect("a path").strip_suffix(".predicate.json")?;
            Some(fs::read_to_string(self.project.path(&format!("{name}.predicate.json"))).expect("a predicate"))
        };
        let downloaded = result["downloaded"].as_array().expect("files").iter();
        let said: BTreeSet<_> = downloaded.filter_map(said).collect();
        assert_eq!(said, (0..WRITERS).map(predicate).collect(), "round {round}: {found}");
    }
}

/// Where a registry that was just started listens, as it says itself.
fn listens(server: &Running) -> std::net::SocketAddr {
    let began = Instant::now();
    loop {
        let said = server.stderr();
        if let Some((_, rest)) = said.split_once("listening on http://")
            && let Some((address, _)) = rest.split_once('\n')
        {
            return address.parse().expect("an address");
        }
        assert!(began.elapsed() < PATIENCE, "the registry does not start: {said}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What the writer says. Half of them say it of one type, so that what is told apart by its type alone would be missed.
fn kind(number: usize) -> String {
    if number.is_multiple_of(2) { "test-result".to_owned() } else { full_kind(number) }
}

fn full_kind(number: usize) -> String {
    match number % 2 {
        0 => "https://in-toto.io/attestation/test-result/v0.1".to_owned(),
        _ => format!("https://example.org/claim-{number}/v1"),
    }
}

fn predicate(number: usize) -> String {
    format!(r#"{{"result":"PASSED","configuration":[{{"name":"suite {number}"}}]}}"#)
}

/// All at once.
fn race(registry: Registry) {
    let ground = Ground::new(registry);
    let began = Instant::now();
    for round in 0..rounds() {
        let image = format!("{}/acme/billing@{}", ground.address, ground.image(&format!("round {round}")));
        let writers: Vec<_> = (0..WRITERS).map(|number| ground.attest(number, &image)).collect();
        for writer in writers {
            writer.wait().exits(0);
        }
        ground.has_all(&image, round);
    }
    eprintln!("{registry:?}: {} rounds in {:?}", rounds(), began.elapsed());
}

/// Holds a request back.
#[derive(Debug, Default)]
struct Gate {
    state: Mutex<GateState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct GateState {
    reached: bool,
    open: bool,
}

impl Gate {
    fn state(&self) -> MutexGuard<'_, GateState> {
        self.state.lock().expect("nobody panics with it")
    }

    /// The request's side.
    fn pass(&self) {
        let mut state = self.state();
        state.reached = true;
        self.changed.notify_all();
        drop(self.changed.wait_timeout_while(state, PATIENCE, |state| !state.open));
    }

    /// Waits until the request stands there.
    fn is_reached(&self) -> bool {
        let waited = self.changed.wait_timeout_while(self.state(), PATIENCE, |state| !state.reached);
        waited.expect("nobody panics with it").0.reached
    }

    fn open(&self) {
        self.state().open = true;
        self.changed.notify_all();
    }
}

/// One has read, and writes only when the other seven are done.
fn race_with_one_held_back(registry: Registry) {
    let ground = Ground::new(registry);
    let proxy = Proxy::start(ground.address);
    let began = Instant::now();
    for round in 0..rounds() {
        let digest = ground.image(&format!("held back, round {round}"));
        let behind_the_proxy = format!("{}/acme/billing@{digest}", proxy.address());
        let image = format!("{}/acme/billing@{digest}", ground.address);
        // What it writes last: the fallback index, or, where the registry keeps the list, the evidence's manifest.
        let tag = format!("/manifests/{}", digest.to_string().replace(':', "-"));
        let writes = match registry {
            Registry::Docker => Match::Each(Arc::new(move |it| it.method == "PUT" && it.path.ends_with(&tag))),
            Registry::Memory | Registry::Disk => Match::path("PUT", "/manifests/"),
        };
        let gate = Arc::new(Gate::default());
        proxy.reset();
        proxy.inject(
            writes,
            When::Before,
            Fault::hold({
                let gate = gate.clone();
                move || gate.pass()
            }),
        );

        // Whoever is held back is another one in each round.
        let last = round % WRITERS;
        let mut held = ground.attest(last, &behind_the_proxy);
        // Every other round it starts first, and has read an image without evidence.
        let head_start = round % 2 == 0;
        if head_start {
            assert!(gate.is_reached(), "round {round}: {}", held.stderr());
        }
        let others = (0..WRITERS).filter(|number| *number != last);
        let others: Vec<_> = others.map(|number| ground.attest(number, &image)).collect();
        for other in others {
            other.wait().exits(0);
        }
        assert!(gate.is_reached() && !held.has_ended(), "round {round}: {}", held.stderr());
        let log = proxy.log();
        assert!(log.iter().any(|it| it.method == "GET" && it.status.is_some()), "round {round}: it has not read");
        gate.open();
        held.wait().exits(0);
        ground.has_all(&image, round);
    }
    eprintln!("{registry:?}, one held back: {} rounds in {:?}", rounds(), began.elapsed());
}

#[test]
fn eight_on_docker_registry() {
    race(Registry::Docker);
}

#[test]
fn eight_on_the_embedded_registry() {
    race(Registry::Memory);
}

#[test]
fn eight_on_the_embedded_registry_on_disk() {
    race(Registry::Disk);
}

#[test]
fn eight_on_docker_registry_one_held_back() {
    race_with_one_held_back(Registry::Docker);
}

#[test]
fn eight_on_the_embedded_registry_one_held_back() {
    race_with_one_held_back(Registry::Memory);
}
