//! Removing what nobody can name any more.
//!
//! **What goes**: a repository's link to a blob that no manifest of that repository names and that no client has pushed, mounted or
//! asked for within the grace period; and the bytes of a blob that no repository links to. Manifests never go by themselves:
//! releases, evidence and journal entries are named by digest, from outside, and may have no tag.
//!
//! **Beside pushes**: two looks. The first, without locks, finds what might go. The second, for a few at a time and under the locks
//! that keep manifests (`Shared::lock`) and links (`Shared::collecting`) still, looks again at the date, the links and the
//! manifests that came since, and removes. So a client that was told "it is there" has either renewed the date before the second
//! look, or asked after it and was told the truth. Links go, durably, before bytes: a power cut leaves bytes without a link, never
//! a link without bytes.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use schleuse_model::{Digest, Timestamp};
use serde::Serialize;

use crate::error::Error;
use crate::registry::{Registry, Shared};
use crate::route::Name;
use crate::shape::Shape;
use crate::store::StoredManifest;

/// How many are removed at a time: pushes wait that long.
const BATCH: usize = 32;

/// How a collection is done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcOptions {
    /// How long what no manifest names is kept after a client last pushed, mounted or asked for it. It has to be longer than a
    /// client takes from its first layer to its manifest.
    pub grace: Duration,
    /// Only say what would go.
    pub dry_run: bool,
}

impl GcOptions {
    /// A day: longer than any push.
    pub const GRACE: Duration = Duration::from_secs(24 * 3600);
}

impl Default for GcOptions {
    fn default() -> Self {
        Self { grace: Self::GRACE, dry_run: false }
    }
}

/// What a collection did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct GcReport {
    /// Whether nothing was removed.
    pub dry_run: bool,
    /// Repositories looked at.
    pub repositories: usize,
    /// Manifests read.
    pub manifests: usize,
    /// Links removed from repositories.
    pub links_removed: usize,
    /// Links that no manifest names, kept because a client used them within the grace period.
    pub links_recent: usize,
    /// Blobs removed.
    pub blobs_removed: usize,
    /// Their bytes.
    pub bytes_freed: u64,
    /// Half-written files of an earlier process, cleared when the folder was opened.
    pub uploads_cleared: usize,
    /// Repositories in which nothing was collected, because a manifest of theirs cannot be read: nobody knows what it names.
    pub skipped: Vec<String>,
}

impl Registry {
    /// Collects once; blocks. `now` is what ages are measured against.
    ///
    /// # Errors
    /// [`Error::Storage`]. What was collected until then is gone; nothing else is.
    pub fn collect(&self, options: GcOptions, now: Timestamp) -> Result<GcReport, Error> {
        self.collect_until(options, now, &AtomicBool::new(false))
    }

    /// As [`Registry::collect`], ending early when told to.
    fn collect_until(&self, options: GcOptions, now: Timestamp, stop: &AtomicBool) -> Result<GcReport, Error> {
        let shared = &*self.shared;
        let mut report =
            GcReport { dry_run: options.dry_run, uploads_cleared: shared.store.swept(), ..GcReport::default() };
        let limit = Limit { now, grace: options.grace };
        let mut linked = HashSet::new();
        for name in shared.store.repositories()? {
            if stop.load(Relaxed) {
                return Ok(report);
            }
            report.repositories += 1;
            linked.extend(collect_links(shared, &name, limit, &mut report)?);
        }
        let loose: Vec<_> = shared.store.blobs()?.into_iter().filter(|digest| !linked.contains(digest)).collect();
        for batch in loose.chunks(BATCH).take_while(|_| !stop.load(Relaxed)) {
            collect_blobs(shared, batch, &mut report)?;
        }
        Ok(report)
    }

    /// As [`Registry::collect`], from asynchronous code and by the registry's clock. Dropped, it ends soon.
    ///
    /// # Errors
    /// As [`Registry::collect`]; [`Error::Ended`].
    pub async fn gc(&self, options: GcOptions) -> Result<GcReport, Error> {
        let (registry, now) = (self.clone(), self.clock.now());
        let dropped = Arc::new(AtomicBool::new(false));
        let _told = SetOnDrop(dropped.clone());
        let work = move || registry.collect_until(options, now, &dropped);
        tokio::task::spawn_blocking(work).await.map_err(|_| Error::Ended)?
    }

    /// Collects at once and then again and again, with a pause of `every` between; `done` hears of each. A collection that fails is
    /// no reason not to try the next.
    pub async fn gc_every(&self, every: Duration, options: GcOptions, done: impl Fn(Result<GcReport, Error>)) {
        loop {
            done(self.gc(options).await);
            tokio::time::sleep(every).await;
        }
    }
}

struct SetOnDrop(Arc<AtomicBool>);

impl Drop for SetOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Relaxed);
    }
}

#[derive(Clone, Copy)]
struct Limit {
    now: Timestamp,
    grace: Duration,
}

impl Limit {
    fn is_over(self, dated: Timestamp) -> bool {
        self.now.since(dated) >= self.grace
    }
}

/// Adds what the manifest names to `named`; whether it could be told.
fn add_named(
    digest: &Digest,
    manifest: Result<Option<StoredManifest>, Error>,
    named: &mut HashSet<Digest>,
) -> Result<bool, Error> {
    let manifest = match manifest {
        Ok(Some(manifest)) => manifest,
        // Deleted since it was listed.
        Ok(None) => return Ok(true),
        Err(Error::Damaged { .. }) => return Ok(false),
        Err(error) => return Err(error),
    };
    let shape = Shape::parse(Some(&manifest.media_type), &manifest.bytes, manifest.bytes.len());
    let Ok(shape) = shape else { return Ok(false) };
    named.extend(shape.blobs);
    named.extend(shape.manifests);
    named.extend(shape.subject);
    named.insert(digest.clone());
    Ok(true)
}

/// Removes links of one repository; returns those that stay.
fn collect_links(shared: &Shared, name: &Name, limit: Limit, report: &mut GcReport) -> Result<Vec<Digest>, Error> {
    let store = &*shared.store;
    let links = store.links(name)?;
    let (mut named, mut seen) = (HashSet::new(), HashSet::new());
    for digest in store.manifests(name)? {
        report.manifests += 1;
        if !add_named(&digest, store.manifest(name, &digest), &mut named)? {
            report.skipped.push(name.to_string());
            return Ok(links);
        }
        seen.insert(digest);
    }
    let (mut stay, mut go) = (Vec::new(), Vec::new());
    for digest in links {
        match store.linked(name, &digest)? {
            None => {}
            Some(_) if named.contains(&digest) => stay.push(digest),
            Some(dated) if limit.is_over(dated) => go.push(digest),
            Some(_) => {
                report.links_recent += 1;
                stay.push(digest);
            }
        }
    }
    if report.dry_run {
        report.links_removed += go.len();
        return Ok(stay);
    }
    for batch in go.chunks(BATCH) {
        let _lock = shared.lock(name);
        let _collecting = shared.collecting();
        let mut readable = true;
        for digest in store.manifests(name)? {
            if !seen.contains(&digest) {
                readable &= add_named(&digest, store.manifest(name, &digest), &mut named)?;
                seen.insert(digest);
            }
        }
        let mut still = Vec::new();
        for digest in batch {
            match store.linked(name, digest)? {
                Some(dated) if readable && limit.is_over(dated) && !named.contains(digest) => {
                    still.push(digest.clone())
                }
                Some(_) => stay.push(digest.clone()),
                None => {}
            }
        }
        report.links_removed += store.unlink(name, &still)?;
    }
    Ok(stay)
}

/// Removes those blobs that, seen with links kept still, no repository has.
fn collect_blobs(shared: &Shared, batch: &[Digest], report: &mut GcReport) -> Result<(), Error> {
    let store = &*shared.store;
    let _collecting = shared.collecting();
    let repositories = if report.dry_run { Vec::new() } else { store.repositories()? };
    let mut free: Vec<_> = batch.iter().collect();
    // Repository by repository: what is known of its folder may be forgotten before the next round, and learning it costs a sync.
    for name in &repositories {
        let mut still = Vec::new();
        for digest in free {
            if store.linked(name, digest)?.is_none() {
                still.push(digest);
            }
        }
        free = still;
    }
    for digest in free {
        if let Some(content) = store.blob(digest)? {
            report.blobs_removed += 1;
            report.bytes_freed += content.len();
            if !report.dry_run {
                store.remove_blob(digest)?;
            }
        }
    }
    Ok(())
}
