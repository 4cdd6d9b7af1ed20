//! Reading a registry's folder from end to end: is everything what it is called, and does everything that is named exist?
//!
//! Works on a folder that nobody serves. Content is the truth; links and referrers are drawn from manifests and can be drawn again.
//! A repair never deletes content: what is damaged is moved to `quarantine/`, under the path it had. What only a client can
//! bring back (a blob, a manifest) and what only a person can decide (a tag that points nowhere: a create-once tag must not become
//! free by itself) is left and named in the report.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use schleuse_model::{Digest, Hasher, Timestamp};
use serde::Serialize;

use crate::error::Error;
use crate::store::disk::{DiskStore, blob_path};
use crate::store::{Blobs, Content, Inventory};
use crate::volume::Volume;

mod repository;

/// How many blobs are read at once: enough to keep a disk and two cores busy.
const READERS: usize = 2;

/// How much of a blob is read at a time.
const PIECE: usize = 1 << 20;

/// How a folder is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckOptions {
    /// Repair what can be repaired from what is there.
    pub repair: bool,
    /// Do not report content that manifests name and that is not there: the registry was served as a mirror of some platforms.
    pub allow_sparse: bool,
}

/// What a check found. This is the JSON that `schleuse registry check` answers.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CheckReport {
    /// Whether it was asked to repair.
    pub repair: bool,
    /// Repositories looked at.
    pub repositories: usize,
    /// Manifests read.
    pub manifests: usize,
    /// Blobs read.
    pub blobs: usize,
    /// Their bytes.
    pub bytes: u64,
    /// What is not as it should be.
    pub findings: Vec<Finding>,
    /// Files that are not of a registry. They harm nothing.
    pub foreign: Vec<PathBuf>,
}

impl CheckReport {
    /// Whether all is well now: nothing was found, or all of it was repaired.
    pub fn is_whole(&self) -> bool {
        self.findings.iter().all(|finding| matches!(finding.outcome, Outcome::Repaired | Outcome::MovedAside))
    }
}

/// One thing that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub problem: Fault,
    /// In which repository; blobs belong to all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repository: Option<String>,
    /// With which content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub digest: Option<Digest>,
    /// Which tag.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<String>,
    /// The manifest that names it, or that it refers to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub manifest: Option<Digest>,
    /// What became of it.
    pub outcome: Outcome,
}

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Fault {
    /// The blob's bytes have another digest, or cannot be read.
    DamagedBlob,
    /// The manifest's bytes have another digest, or are no manifest.
    DamagedManifest,
    /// A manifest names a blob that is not there.
    MissingBlob,
    /// An index names a manifest that is not there.
    MissingManifest,
    /// A manifest names a blob that is there, but the repository does not know that it has it.
    MissingLink,
    /// The repository believes to have a blob that is not there; no manifest needs it.
    DanglingLink,
    /// The tag's file holds no digest.
    DamagedTag,
    /// The tag points at a manifest that is not there.
    DanglingTag,
    /// A manifest is not listed, or not rightly, among its subject's referrers.
    WrongReferrer,
    /// A referrer is listed that is not there.
    DanglingReferrer,
}

/// What became of a finding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Nothing: it was not asked to repair.
    Found,
    /// It is right again.
    Repaired,
    /// It is in `quarantine/` now.
    MovedAside,
    /// It cannot be repaired from what is here.
    Left,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let repository = self.repository.as_deref().unwrap_or_default();
        let shown = |digest: &Option<Digest>| digest.as_ref().map(Digest::to_string).unwrap_or_default();
        let (digest, manifest) = (shown(&self.digest), shown(&self.manifest));
        let tag = self.tag.as_deref().unwrap_or_default();
        match self.problem {
            Fault::DamagedBlob => write!(f, "blob {digest} is damaged"),
            Fault::DamagedManifest => write!(f, "{repository}: manifest {digest} is damaged"),
            Fault::MissingBlob => write!(f, "{repository}: blob {digest} is missing; {manifest} names it"),
            Fault::MissingManifest => write!(f, "{repository}: manifest {digest} is missing; {manifest} names it"),
            Fault::MissingLink => write!(f, "{repository}: blob {digest} is not linked; {manifest} names it"),
            Fault::DanglingLink => write!(f, "{repository}: blob {digest} is linked and missing; nothing names it"),
            Fault::DamagedTag => write!(f, "{repository}: the tag {tag} is damaged"),
            Fault::DanglingTag => write!(f, "{repository}: the tag {tag} points at {digest}, which is missing"),
            Fault::WrongReferrer => {
                write!(f, "{repository}: {digest} is not listed rightly as a referrer of {manifest}")
            }
            Fault::DanglingReferrer => {
                write!(f, "{repository}: {digest} is listed as a referrer of {manifest} and is none")
            }
        }
    }
}

/// Checks what is on `volume`, which nobody may be serving. Links that are made anew are dated `now`. `progress` hears, from several threads, how many bytes of how many have been read.
///
/// # Errors
/// [`Error::Storage`] where the disk did not answer: then it is not known how things are.
pub fn check(
    volume: Arc<dyn Volume>,
    options: CheckOptions,
    now: Timestamp,
    progress: &(dyn Fn(u64, u64) + Sync),
) -> Result<CheckReport, Error> {
    let store = DiskStore::open(volume)?;
    let report = CheckReport { repair: options.repair, ..CheckReport::default() };
    let mut check = Check { store, options, now, good: HashMap::new(), report };
    check.blobs(progress)?;
    for name in check.store.repositories()? {
        check.report.repositories += 1;
        check.repository(&name)?;
    }
    Ok(check.report)
}

struct Check {
    store: DiskStore,
    options: CheckOptions,
    now: Timestamp,
    /// Every blob that is there, and whether it is what it is called.
    good: HashMap<Digest, bool>,
    report: CheckReport,
}

impl Check {
    fn is_good(&self, digest: &Digest) -> bool {
        self.good.get(digest).copied().unwrap_or(false)
    }

    fn blobs(&mut self, progress: &(dyn Fn(u64, u64) + Sync)) -> Result<(), Error> {
        let digests = self.store.blobs()?;
        let mut total = 0;
        for digest in &digests {
            total += self.store.blob(digest)?.map_or(0, |content| content.len());
        }
        let results = self.read_all(&digests, &|done| progress(done, total))?;
        (self.report.blobs, self.report.bytes) = (digests.len(), total);
        for (digest, good) in results {
            if !good {
                let outcome = self.move_aside(&blob_path(&digest))?;
                self.find(Fault::DamagedBlob, outcome, |finding| finding.digest = Some(digest.clone()));
            }
            self.good.insert(digest, good);
        }
        Ok(())
    }

    fn read_all(&self, digests: &[Digest], progress: &(dyn Fn(u64) + Sync)) -> Result<Vec<(Digest, bool)>, Error> {
        let (next, done) = (AtomicUsize::new(0), AtomicU64::new(0));
        let results = Mutex::new(Vec::new());
        let read = || {
            while let Some(digest) = digests.get(next.fetch_add(1, Relaxed)) {
                let good = self.store.blob(digest).map(|content| {
                    content.is_some_and(|content| {
                        is_intact(&*content, digest, &|read| progress(done.fetch_add(read, Relaxed) + read))
                    })
                });
                let mut results = results.lock().unwrap_or_else(PoisonError::into_inner);
                results.push(good.map(|good| (digest.clone(), good)));
            }
        };
        std::thread::scope(|scope| {
            for _ in 1..READERS {
                scope.spawn(read);
            }
            read();
        });
        let mut results: Vec<_> =
            results.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect::<Result<_, _>>()?;
        results.sort_unstable();
        Ok(results)
    }

    /// Moves a file to the quarantine, if asked to repair.
    fn move_aside(&self, path: &Path) -> Result<Outcome, Error> {
        if !self.options.repair {
            return Ok(Outcome::Found);
        }
        let mut to = Path::new("quarantine").join(path);
        for number in 1_u32.. {
            if !self.store.files.exists(&to)? {
                break;
            }
            to.set_extension(number.to_string());
        }
        self.store.files.move_aside(path, &to)?;
        Ok(Outcome::MovedAside)
    }

    /// What becomes of something that only a client or a person can put right.
    const fn left(&self) -> Outcome {
        if self.options.repair { Outcome::Left } else { Outcome::Found }
    }

    /// Repairs by `work`, if asked to.
    fn repaired(&self, work: impl FnOnce(&DiskStore) -> Result<(), Error>) -> Result<Outcome, Error> {
        if !self.options.repair {
            return Ok(Outcome::Found);
        }
        work(&self.store).map(|()| Outcome::Repaired)
    }

    fn find(&mut self, problem: Fault, outcome: Outcome, fill: impl FnOnce(&mut Finding)) {
        let mut finding = Finding { problem, repository: None, digest: None, tag: None, manifest: None, outcome };
        fill(&mut finding);
        self.report.findings.push(finding);
    }
}

/// Whether the content has that digest. What cannot be read has not.
fn is_intact(content: &dyn Content, digest: &Digest, progress: &dyn Fn(u64)) -> bool {
    let mut hasher = Hasher::new(digest.algorithm());
    let mut offset = 0;
    while offset < content.len() {
        match content.read_at(offset, PIECE) {
            Ok(piece) if !piece.is_empty() => {
                hasher.update(&piece);
                offset += piece.len() as u64;
                progress(piece.len() as u64);
            }
            _ => return false,
        }
    }
    hasher.finish() == *digest
}
