//! Checking one repository, once it is known which blobs are good.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use schleuse_model::{Digest, Tag};
use schleuse_oci::Descriptor;

use super::{Check, Fault, Outcome};
use crate::error::Error;
use crate::route::Name;
use crate::shape::Shape;
use crate::store::disk::{LINKS, MANIFESTS, REFERRERS, TAGS, folder, in_folder};
use crate::store::{Links, Manifests, Referring, StoredManifest, Tags};

/// What the repository's manifests say.
#[derive(Default)]
struct Named {
    manifests: BTreeSet<Digest>,
    /// What is named, and by which manifest first.
    blobs: BTreeMap<Digest, Digest>,
    children: BTreeMap<Digest, Digest>,
    referrers: BTreeMap<Digest, BTreeMap<Digest, Descriptor>>,
}

impl Check {
    pub(super) fn repository(&mut self, name: &Name) -> Result<(), Error> {
        let named = self.manifests(name)?;
        self.links(name, &named)?;
        for (digest, index) in &named.children {
            // An index may also list what is no manifest.
            let is_blob = self.is_good(digest) && self.store.linked(name, digest)?.is_some();
            if !named.manifests.contains(digest) && !is_blob {
                self.note_missing(Fault::MissingManifest, name, digest, index);
            }
        }
        self.tags(name, &named)?;
        self.referrers(name, &named)
    }

    fn note(&mut self, problem: Fault, outcome: Outcome, name: &Name, digest: &Digest, manifest: Option<&Digest>) {
        self.find(problem, outcome, |finding| {
            finding.repository = Some(name.to_string());
            finding.digest = Some(digest.clone());
            finding.manifest = manifest.cloned();
        });
    }

    fn note_missing(&mut self, problem: Fault, name: &Name, digest: &Digest, manifest: &Digest) {
        if !self.options.allow_sparse {
            self.note(problem, self.left(), name, digest, Some(manifest));
        }
    }

    fn stems(&mut self, folder: &Path) -> Result<Vec<Digest>, Error> {
        let (digests, others) = self.store.stems(folder)?;
        self.report.foreign.extend(others.into_iter().map(|name| folder.join(name)));
        Ok(digests)
    }

    fn manifests(&mut self, name: &Name) -> Result<Named, Error> {
        let mut named = Named::default();
        for digest in self.stems(&folder(name, MANIFESTS))? {
            self.report.manifests += 1;
            let manifest = match self.store.manifest(name, &digest) {
                Ok(manifest) => manifest,
                Err(Error::Damaged { .. }) => None,
                Err(error) => return Err(error),
            };
            let shape = manifest.as_ref().and_then(|manifest| {
                Shape::parse(Some(&manifest.media_type), &manifest.bytes, manifest.bytes.len()).ok()
            });
            let (manifest, shape) = match (manifest, shape) {
                (Some(manifest), Some(shape)) => (manifest, shape),
                (Some(manifest), None) => {
                    let Some(known) = self.misnamed(name, &digest, manifest)? else {
                        named.manifests.insert(digest);
                        continue;
                    };
                    known
                }
                (None, _) => {
                    let outcome = self.move_aside(&in_folder(name, MANIFESTS, &digest))?;
                    self.note(Fault::DamagedManifest, outcome, name, &digest, None);
                    continue;
                }
            };
            if let Some(subject) = &shape.subject {
                let entry = shape.as_referrer(&digest, manifest.bytes.len());
                named.referrers.entry(subject.clone()).or_default().insert(digest.clone(), entry);
            }
            for (list, of) in [(&mut named.blobs, shape.blobs), (&mut named.children, shape.manifests)] {
                for one in of {
                    list.entry(one).or_insert_with(|| digest.clone());
                }
            }
            named.manifests.insert(digest);
        }
        Ok(named)
    }

    /// The bytes are what was pushed, but they do not go with their media type. If they say their own, that is written down again;
    /// otherwise the manifest stays: clients can have it by its digest, and moving it aside would free what it names for collection.
    fn misnamed(
        &mut self,
        name: &Name,
        digest: &Digest,
        mut manifest: StoredManifest,
    ) -> Result<Option<(StoredManifest, Shape)>, Error> {
        let Ok(shape) = Shape::parse(None, &manifest.bytes, manifest.bytes.len()) else {
            self.note(Fault::DamagedManifest, self.left(), name, digest, None);
            return Ok(None);
        };
        manifest.media_type.clone_from(&shape.media_type);
        let outcome = self.repaired(|store| store.write_manifest(name, digest, &manifest))?;
        self.note(Fault::DamagedManifest, outcome, name, digest, None);
        Ok(Some((manifest, shape)))
    }

    fn links(&mut self, name: &Name, named: &Named) -> Result<(), Error> {
        let linked: BTreeSet<_> = self.stems(&folder(name, LINKS))?.into_iter().collect();
        for (digest, manifest) in &named.blobs {
            if !self.is_good(digest) {
                self.note_missing(Fault::MissingBlob, name, digest, manifest);
            } else if !linked.contains(digest) {
                let outcome = self.repaired(|store| store.link(name, digest, self.now))?;
                self.note(Fault::MissingLink, outcome, name, digest, Some(manifest));
            }
        }
        for digest in linked {
            if !self.is_good(&digest) && !named.blobs.contains_key(&digest) {
                let outcome = self.repaired(|store| store.unlink(name, std::slice::from_ref(&digest)).map(drop))?;
                self.note(Fault::DanglingLink, outcome, name, &digest, None);
            }
        }
        Ok(())
    }

    fn tags(&mut self, name: &Name, named: &Named) -> Result<(), Error> {
        for text in self.store.tag_names(name)?.unwrap_or_default() {
            let Ok(tag) = text.parse::<Tag>() else {
                self.report.foreign.push(folder(name, TAGS).join(text));
                continue;
            };
            let (problem, digest) = match self.store.target(name, &tag) {
                Ok(Some(digest)) if !named.manifests.contains(&digest) => (Fault::DanglingTag, Some(digest)),
                Ok(_) => continue,
                Err(Error::Damaged { .. }) => (Fault::DamagedTag, None),
                Err(error) => return Err(error),
            };
            self.find(problem, self.left(), |finding| {
                finding.repository = Some(name.to_string());
                (finding.tag, finding.digest) = (Some(text), digest);
            });
        }
        Ok(())
    }

    fn referrers(&mut self, name: &Name, named: &Named) -> Result<(), Error> {
        for (subject, entries) in &named.referrers {
            for (digest, entry) in entries {
                if self.store.referrer(name, subject, digest)?.as_ref() != Some(entry) {
                    let outcome = self.repaired(|store| store.add_referring(name, subject, entry))?;
                    self.note(Fault::WrongReferrer, outcome, name, digest, Some(subject));
                }
            }
        }
        for subject in self.stems(&folder(name, REFERRERS))? {
            for digest in self.stems(&in_folder(name, REFERRERS, &subject))? {
                if !named.referrers.get(&subject).is_some_and(|entries| entries.contains_key(&digest)) {
                    let outcome = self.repaired(|store| store.remove_referring(name, &subject, &digest))?;
                    self.note(Fault::DanglingReferrer, outcome, name, &digest, Some(&subject));
                }
            }
        }
        Ok(())
    }
}
