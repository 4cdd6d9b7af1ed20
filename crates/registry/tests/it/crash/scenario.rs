//! What clients do to a registry, and what may be there after each of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use hyper::StatusCode;
use schleuse_model::{Clock as _, Digest, SystemClock};
use schleuse_oci::{Descriptor, ImageManifest, Index, Manifest, media_type};
use schleuse_registry::{GcOptions, Registry, Running};

use super::volume::CrashVolume;
use crate::it::harness::{Client, Got, loopback};

type Text = &'static str;

/// One thing that a client asks for, and is told to be done.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Blob {
        repository: Text,
        content: Text,
        chunked: bool,
    },
    /// Without `from`: from anywhere.
    Mount {
        from: Option<Text>,
        to: Text,
        content: Text,
    },
    Put {
        repository: Text,
        tag: Option<Text>,
        manifest: Manifest,
        once: bool,
    },
    DeleteTag {
        repository: Text,
        tag: Text,
    },
    DeleteManifest {
        repository: Text,
        digest: Digest,
    },
    DeleteBlob {
        repository: Text,
        content: Text,
    },
    Collect,
}

/// How a step is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    First,
    /// By a client that was cut off before: finding it done is as good as doing it.
    Again,
    /// As [`How::Again`], by one that looks first and does not push what it finds.
    Looking,
}

/// What is there, as far as clients were told.
#[derive(Clone, Debug, Default)]
pub(crate) struct World {
    blobs: BTreeSet<(Text, Digest)>,
    manifests: BTreeMap<(Text, Digest), Manifest>,
    tags: BTreeMap<(Text, Text), Digest>,
}

fn digest(content: Text) -> Digest {
    Digest::sha256(content.as_bytes())
}

fn image(layers: &[Text], subject: Option<&Manifest>) -> Manifest {
    let config = Descriptor::of(media_type::EMPTY, b"{}");
    let layers = layers.iter().map(|content| Descriptor::of(media_type::LAYER_TAR, content.as_bytes())).collect();
    let mut image = ImageManifest::new(config, layers);
    image.subject = subject.map(Manifest::descriptor);
    image.to_manifest()
}

/// A life of two repositories.
pub(crate) fn steps() -> Vec<Step> {
    let blob = |repository, content| Step::Blob { repository, content, chunked: false };
    let put =
        |repository, tag, manifest: &Manifest| Step::Put { repository, tag, manifest: manifest.clone(), once: false };
    let one = image(&["layer one"], None);
    let two = image(&["layer one", "layer two"], None);
    let other = image(&["other"], None);
    let evidence = image(&["layer one"], Some(&one));
    let index = Index::new(vec![one.descriptor(), two.descriptor()]).to_manifest();
    let late = image(&["loose"], None);
    vec![
        blob("a", "{}"),
        Step::Blob { repository: "a", content: "layer one", chunked: true },
        put("a", Some("v1"), &one),
        Step::Mount { from: Some("a"), to: "b/c", content: "{}" },
        Step::Mount { from: None, to: "b/c", content: "layer one" },
        blob("b/c", "other"),
        Step::Put { repository: "b/c", tag: Some("j-1"), manifest: other, once: true },
        blob("a", "layer two"),
        // The tag moves.
        put("a", Some("v1"), &two),
        put("a", None, &evidence),
        // The same bytes under another tag.
        put("a", Some("v2"), &two),
        put("a", Some("all"), &index),
        Step::DeleteTag { repository: "a", tag: "v2" },
        Step::DeleteManifest { repository: "a", digest: evidence.digest().clone() },
        Step::DeleteManifest { repository: "a", digest: index.digest().clone() },
        blob("a", "loose"),
        Step::DeleteBlob { repository: "a", content: "loose" },
        blob("a", "looser"),
        Step::Collect,
        blob("a", "loose"),
        put("a", Some("v3"), &late),
    ]
}

impl World {
    pub(crate) fn after(&self, step: &Step) -> Self {
        let mut world = self.clone();
        match step.clone() {
            Step::Blob { repository, content, .. } | Step::Mount { to: repository, content, .. } => {
                world.blobs.insert((repository, digest(content)));
            }
            Step::Put { repository, tag, manifest, .. } => {
                let digest = manifest.digest().clone();
                world.manifests.insert((repository, digest.clone()), manifest);
                world.tags.extend(tag.map(|tag| ((repository, tag), digest)));
            }
            Step::DeleteTag { repository, tag } => {
                world.tags.remove(&(repository, tag));
            }
            Step::DeleteManifest { repository, digest } => {
                world.tags.retain(|(of, _), target| *of != repository || *target != digest);
                world.manifests.remove(&(repository, digest));
            }
            Step::DeleteBlob { repository, content } => {
                world.blobs.remove(&(repository, digest(content)));
            }
            Step::Collect => {
                let named = |repository: &str, digest: &Digest| {
                    let mut manifests = world.manifests.iter().filter(|((of, _), _)| *of == repository);
                    manifests.any(|(_, manifest)| names(manifest).contains(digest))
                };
                let blobs = world.blobs.iter().filter(|(repository, digest)| named(repository, digest));
                world.blobs = blobs.cloned().collect();
            }
        }
        world
    }
}

/// Everything a manifest says is there beside it.
fn names(manifest: &Manifest) -> Vec<Digest> {
    let json: serde_json::Value = schleuse_model::json::from_untrusted(manifest.bytes(), 1 << 20).unwrap();
    let lists = ["layers", "manifests"].into_iter().filter_map(|key| json[key].as_array());
    let all = lists.flatten().chain(json.get("config"));
    all.map(|descriptor| descriptor["digest"].as_str().unwrap().parse().unwrap()).collect()
}

fn subject(manifest: &Manifest) -> Option<Digest> {
    manifest.as_image().ok()?.subject.map(|subject| subject.digest)
}

/// A registry on a crash volume, and a client.
pub(crate) struct Server {
    registry: Registry,
    _running: Running,
    client: Client,
}

impl Server {
    pub(crate) async fn try_on(volume: &CrashVolume) -> Result<Self, schleuse_registry::Error> {
        let registry = Registry::on(Arc::new(volume.clone()))?;
        let running = registry.clone().spawn(loopback()).await?;
        let client = Client::new(running.addr()).await;
        Ok(Self { registry, _running: running, client })
    }

    pub(crate) async fn on(volume: &CrashVolume) -> Self {
        Self::try_on(volume).await.unwrap()
    }

    /// Does one step; what was answered, unless it was done.
    pub(crate) async fn run(&mut self, step: &Step, how: How) -> Result<(), Refused> {
        let again = how != How::First;
        let got = match step {
            Step::Blob { repository, content, chunked } => {
                let (digest, uploads) = (digest(content), format!("/v2/{repository}/blobs/uploads/"));
                let path = format!("/v2/{repository}/blobs/{digest}");
                if how == How::Looking && self.ask("HEAD", &path, "").await.status == StatusCode::OK {
                    return Ok(());
                }
                if how == How::Looking {
                    self.mount(repository, None, content, true).await
                } else if *chunked {
                    let (first, second) = content.split_at(4);
                    let location = self.ask("POST", &uploads, "").await.wanted(StatusCode::ACCEPTED)?;
                    let location = location.header("location").to_owned();
                    self.ask("PATCH", &location, first).await.wanted(StatusCode::ACCEPTED)?;
                    self.ask("PUT", &format!("{location}?digest={digest}"), second).await
                } else {
                    self.ask("POST", &format!("{uploads}?digest={digest}"), content).await
                }
            }
            Step::Mount { from, to, content } => {
                // Only after a failure may it be refused: then the content has to be pushed.
                self.mount(to, *from, content, again).await
            }
            Step::Put { repository, tag, manifest, once } => {
                let reference = tag.map_or_else(|| manifest.digest().to_string(), str::to_owned);
                let condition = [("if-none-match", "*")];
                let headers = if *once { condition.as_slice() } else { &[] };
                let got = self.client.put(repository, &reference, manifest, headers).await;
                if again && *once && got.header("etag") == format!("\"{}\"", manifest.digest()) {
                    return Ok(());
                }
                got
            }
            Step::DeleteTag { repository, tag } => {
                self.ask("DELETE", &format!("/v2/{repository}/manifests/{tag}"), "").await
            }
            Step::DeleteManifest { repository, digest } => {
                self.ask("DELETE", &format!("/v2/{repository}/manifests/{digest}"), "").await
            }
            Step::DeleteBlob { repository, content } => {
                self.ask("DELETE", &format!("/v2/{repository}/blobs/{}", digest(content)), "").await
            }
            Step::Collect => {
                let (grace, now) = (Duration::from_secs(3600), SystemClock.now());
                let options = GcOptions { grace, ..GcOptions::default() };
                return self.registry.collect(options, now.plus(2 * grace)).map(drop).map_err(Refused::Collector);
            }
        };
        match step {
            Step::DeleteTag { .. } | Step::DeleteManifest { .. } | Step::DeleteBlob { .. } => {
                if again && got.status == StatusCode::NOT_FOUND {
                    return Ok(());
                }
                got.wanted(StatusCode::ACCEPTED).map(drop)
            }
            _ => got.wanted(StatusCode::CREATED).map(drop),
        }
    }

    /// Mounts; or, if that is refused, pushes.
    async fn mount(&mut self, to: Text, from: Option<Text>, content: Text, push: bool) -> Got {
        let digest = digest(content);
        let from = from.map_or(String::new(), |from| format!("&from={from}"));
        let got = self.ask("POST", &format!("/v2/{to}/blobs/uploads/?mount={digest}{from}"), "").await;
        if got.status != StatusCode::ACCEPTED || !push {
            return got;
        }
        let location = got.header("location").to_owned();
        self.ask("PUT", &format!("{location}?digest={digest}"), content).await
    }

    async fn ask(&mut self, method: &str, path: &str, body: &'static str) -> Got {
        self.client.send(method, path, &[], body).await
    }

    /// Whether what is there is whole, and between the two worlds: nothing lost that both have, nothing there that neither has.
    /// `universe`: everything that ever was.
    pub(crate) async fn check(&mut self, before: &World, after: &World, universe: &World) -> Result<(), String> {
        let there = self.content(universe).await?;
        let judge = |what: &dyn std::fmt::Debug, there: bool, before: bool, after: bool| match (there, before, after) {
            (false, true, true) => Err(format!("{what:?} was acknowledged and is lost")),
            (true, false, false) => Err(format!("{what:?} came back")),
            _ => Ok(()),
        };
        for key in &universe.blobs {
            judge(key, there.blobs.contains(key), before.blobs.contains(key), after.blobs.contains(key))?;
        }
        for key in universe.manifests.keys() {
            let [old, new] = [before, after].map(|world| world.manifests.contains_key(key));
            judge(key, there.manifests.contains_key(key), old, new)?;
        }
        for key in universe.tags.keys() {
            let (now, old, new) = (there.tags.get(key), before.tags.get(key), after.tags.get(key));
            if now != old && now != new {
                return Err(format!("the tag {key:?} is {now:?}: neither {old:?} nor {new:?}"));
            }
        }
        for ((repository, digest), manifest) in &there.manifests {
            for named in names(manifest) {
                let has = there.blobs.contains(&(repository, named.clone()));
                if !has && !there.manifests.contains_key(&(repository, named.clone())) {
                    return Err(format!("{digest} in {repository} names {named}, which is not there"));
                }
            }
        }
        for ((repository, digest), manifest) in &universe.manifests {
            let Some(subject) = subject(manifest) else { continue };
            let got = self.ask("GET", &format!("/v2/{repository}/referrers/{subject}"), "").await.whole()?;
            let json = got.json();
            let mut listed =
                json["manifests"].as_array().unwrap().iter().map(|entry| entry["digest"].as_str().unwrap());
            let listed = listed.any(|listed| listed == digest.to_string());
            let key = (*repository, digest.clone());
            let there = there.manifests.contains_key(&key);
            if listed && !there {
                return Err(format!("{digest} is listed as a referrer and is not there"));
            }
            if !listed && [before, after].iter().all(|world| world.manifests.contains_key(&key)) {
                return Err(format!("{digest} was acknowledged and is no referrer"));
            }
        }
        Ok(())
    }

    /// Whether the tags are those of `world`.
    pub(crate) async fn tags_are(&mut self, world: &World, universe: &World) -> Result<(), String> {
        let there = self.content(universe).await?.tags;
        if there == world.tags { Ok(()) } else { Err(format!("tags {there:?} instead of {:?}", world.tags)) }
    }

    /// What can be read, each answer verified.
    async fn content(&mut self, universe: &World) -> Result<World, String> {
        let mut world = World::default();
        for (repository, digest) in &universe.blobs {
            let got = self.ask("GET", &format!("/v2/{repository}/blobs/{digest}"), "").await;
            if got.found()? {
                if !digest.matches(&got.body) {
                    return Err(format!("{digest} in {repository} is served with other bytes"));
                }
                world.blobs.insert((repository, digest.clone()));
            }
        }
        for ((repository, digest), manifest) in &universe.manifests {
            let got = self.ask("GET", &format!("/v2/{repository}/manifests/{digest}"), "").await;
            if got.found()? {
                if got.body != *manifest.bytes() {
                    return Err(format!("{digest} in {repository} is served with other bytes"));
                }
                world.manifests.insert((repository, digest.clone()), manifest.clone());
            }
        }
        for (repository, tag) in universe.tags.keys() {
            let got = self.ask("GET", &format!("/v2/{repository}/manifests/{tag}"), "").await;
            if got.found()? {
                world.tags.insert((repository, tag), Digest::sha256(&got.body));
            }
            let list = self.ask("GET", &format!("/v2/{repository}/tags/list"), "").await;
            let listed = list.found()? && list.json()["tags"].as_array().unwrap().iter().any(|listed| listed == tag);
            if listed != (got.status == StatusCode::OK) {
                return Err(format!("the tag {tag} of {repository}: listed {listed}, read {}", got.status));
            }
        }
        Ok(world)
    }
}

/// All that is ever there.
pub(crate) fn universe(worlds: &[World]) -> World {
    let mut all = World::default();
    for world in worlds {
        all.blobs.extend(world.blobs.iter().cloned());
        all.manifests.extend(world.manifests.clone());
        all.tags.extend(world.tags.clone());
    }
    all
}

/// A step was not done.
#[derive(Debug)]
pub(crate) enum Refused {
    Answer(Got),
    Collector(schleuse_registry::Error),
}

impl Got {
    fn wanted(self, status: StatusCode) -> Result<Self, Refused> {
        if self.status == status { Ok(self) } else { Err(Refused::Answer(self)) }
    }

    fn whole(self) -> Result<Self, String> {
        if self.found()? { Ok(self) } else { Err(format!("not there: {self:?}")) }
    }

    fn found(&self) -> Result<bool, String> {
        match self.status {
            StatusCode::OK => Ok(true),
            StatusCode::NOT_FOUND => Ok(false),
            _ => Err(format!("{self:?}")),
        }
    }
}
