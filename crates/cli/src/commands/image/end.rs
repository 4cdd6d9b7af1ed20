//! The two ends of a way: from what people write to what can be read and written.

use std::path::{Path, PathBuf};

use schleuse_client::Client;
use schleuse_image::listing::{Listed, pick};
use schleuse_image::{Archive, Layout, Limits, Pick, Place, archive};
use schleuse_model::{Digest, PinnedRef, Reference, Repository, Tag};
use schleuse_oci::{Manifest, Pull, Push};

use crate::context::Context;
use crate::failure::Failure;
use crate::project::Project;
use crate::reference::pinned;
use crate::usage::Usage;

/// What images in a folder or a file are called where a repository must be named: they have none.
const LOCAL: &str = "localhost/local";

/// A source, opened, and the image in it that is meant.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) pull: Box<dyn Pull>,
    pub(super) image: PinnedRef,
    /// The tag by which it was asked for.
    pub(super) tag: Option<Tag>,
    /// The registry, if it is in one.
    pub(super) registry: Option<Client>,
    place: Place,
}

impl Source {
    /// Its place and digest, for an answer.
    pub(super) fn shown(&self) -> String {
        shown(&self.place, self.image.digest())
    }
}

/// A place with the digest of the image that is meant.
fn shown(place: &Place, digest: &Digest) -> String {
    match place {
        Place::Registry(reference) => reference.repository().pin(digest.clone()).to_string(),
        Place::Layout(path, _) => Place::Layout(path.clone(), Pick::Digest(digest.clone())).to_string(),
        Place::OciArchive(path, _) => Place::OciArchive(path.clone(), Pick::Digest(digest.clone())).to_string(),
        Place::DockerArchive(path, _) => Place::DockerArchive(path.clone(), Pick::Digest(digest.clone())).to_string(),
    }
}

/// One client for all places of a call: a login that the environment gives is for the registry of `most`, the one that is written
/// to, and for no other.
pub(super) fn client(
    project: &Project,
    context: &Context,
    most: &Place,
    other: &[&Place],
) -> Result<Option<Client>, Failure> {
    let repository = |place: &Place| match place {
        Place::Registry(reference) => Some(reference.repository().clone()),
        _ => None,
    };
    let known = repository(most).or_else(|| other.iter().find_map(|place| repository(place)));
    known.map(|repository| project.client(context, &repository)).transpose()
}

/// Opens a source. A tag is resolved once, here.
pub(super) async fn source(place: &Place, client: Option<&Client>, work: &Path) -> Result<Source, Failure> {
    let local = || LOCAL.parse::<Repository>().map_err(schleuse_oci::Error::from);
    let (pull, image, tag): (Box<dyn Pull>, _, _) = match (place, client) {
        (Place::Registry(reference), Some(client)) => {
            let tag = match reference {
                Reference::Tagged(tagged) => Some(tagged.tag().clone()),
                Reference::Pinned(_) => None,
            };
            (Box::new(client.clone()), pinned(client, reference).await?, tag)
        }
        (Place::Registry(_), None) => return Err(Usage::new("no client for a registry", "name a registry").into()),
        (Place::Layout(folder, wanted), _) => {
            let layout = Layout::open(folder)?;
            let digest = pick(&layout.listed()?, wanted, &format!("oci:{}", folder.display()))?;
            let tag = tag_of(wanted, &layout.listed()?, &digest);
            (Box::new(layout), local()?.pin(digest), tag)
        }
        (Place::OciArchive(file, wanted) | Place::DockerArchive(file, wanted), _) => {
            let archive = Archive::open(file, work, &Limits::default()).await?;
            let transport = if matches!(place, Place::OciArchive(..)) { "oci-archive" } else { "docker-archive" };
            let digest = pick(archive.listed(), wanted, &format!("{transport}:{}", file.display()))?;
            let tag = tag_of(wanted, archive.listed(), &digest);
            (Box::new(archive), local()?.pin(digest), tag)
        }
    };
    let registry = client.filter(|_| matches!(place, Place::Registry(_))).cloned();
    Ok(Source { pull, image, tag, registry, place: place.clone() })
}

/// The tag in what an image was asked for by, or else is called there.
fn tag_of(wanted: &Pick, listed: &[Listed], digest: &Digest) -> Option<Tag> {
    let tag = |name: &String| match (name.parse::<Tag>(), name.parse::<Reference>()) {
        (Ok(tag), _) => Some(tag),
        (_, Ok(Reference::Tagged(tagged))) => Some(tagged.tag().clone()),
        _ => None,
    };
    match wanted {
        Pick::Named(name) => tag(name),
        Pick::Only => listed.iter().find(|one| one.image.digest == *digest)?.names.iter().find_map(tag),
        Pick::Digest(_) => None,
    }
}

/// A destination, opened.
#[derive(Debug)]
pub(super) struct Destination {
    pub(super) push: Box<dyn Push>,
    pub(super) repository: Repository,
    /// What the image is to be called.
    pub(super) tags: Vec<Tag>,
    pub(super) registry: Option<Client>,
    /// Where blobs on their way lie: on the destination's own file system, if it is one.
    pub(super) work: PathBuf,
    /// A layout in the work folder that becomes this file.
    archive: Option<(Layout, PathBuf)>,
    place: Place,
}

/// Opens a destination. `tags` are more names; `source_tag` is one for a folder or file that was given none.
pub(super) fn destination(
    place: &Place,
    client: Option<&Client>,
    tags: &[Tag],
    source_tag: Option<&Tag>,
    work: &Path,
) -> Result<Destination, Failure> {
    let local = LOCAL.parse::<Repository>().map_err(schleuse_oci::Error::from)?;
    let mut names = Vec::new();
    let mut passing = work.to_owned();
    let (push, repository, archive): (Box<dyn Push>, _, _) = match (place, client) {
        (Place::Registry(reference), Some(client)) => {
            if let Reference::Tagged(tagged) = reference {
                names.push(tagged.tag().clone());
            }
            (Box::new(client.clone()), reference.repository().clone(), None)
        }
        (Place::Registry(_), None) => return Err(Usage::new("no client for a registry", "name a registry").into()),
        (Place::Layout(folder, wanted), _) => {
            names.extend(local_tag(wanted, tags, source_tag)?);
            let layout = Layout::create(folder)?;
            passing = layout.root().join("blobs").join("sha256");
            (Box::new(layout), local, None)
        }
        (Place::OciArchive(file, wanted), _) => {
            names.extend(local_tag(wanted, tags, source_tag)?);
            let layout = Layout::create(work.join("archive"))?;
            (Box::new(layout.clone()), local, Some((layout, file.clone())))
        }
        (Place::DockerArchive(..), _) => {
            let what = "a docker-archive keeps no digest, so none is written";
            return Err(
                Usage::new(what, "write oci-archive:FILE: `docker load` of Docker 25 and later reads it").into()
            );
        }
    };
    names.extend(tags.iter().cloned());
    names.dedup();
    let registry = client.filter(|_| matches!(place, Place::Registry(_))).cloned();
    Ok(Destination { push, repository, tags: names, registry, work: passing, archive, place: place.clone() })
}

/// The name of an image in a folder or a file: the one that was written there, else the source's. A layout's index lists images by
/// name.
fn local_tag(wanted: &Pick, more: &[Tag], source_tag: Option<&Tag>) -> Result<Option<Tag>, Failure> {
    match wanted {
        Pick::Named(name) => Ok(Some(name.parse().map_err(schleuse_oci::Error::from)?)),
        _ if !more.is_empty() => Ok(None),
        _ => match source_tag {
            Some(tag) => Ok(Some(tag.clone())),
            None => Ok(Some("latest".parse().map_err(schleuse_oci::Error::from)?)),
        },
    }
}

impl Destination {
    /// A destination that names a digest takes only that image.
    pub(super) fn must_take(&self, digest: &Digest) -> Result<(), Usage> {
        let named = match &self.place {
            Place::Registry(Reference::Pinned(pinned)) => Some(pinned.digest()),
            Place::Layout(_, Pick::Digest(named)) | Place::OciArchive(_, Pick::Digest(named)) => Some(named),
            _ => None,
        };
        match named {
            Some(named) if named != digest => {
                let what = format!("the destination names {}, the image is {}", named.short(), digest.short());
                Err(Usage::new(
                    what,
                    "a digest is the content's: it cannot be chosen; write a tag, or the image's own digest",
                ))
            }
            _ => Ok(()),
        }
    }

    /// What is left to do once the image is there; its place and digest.
    pub(super) async fn finish(self, image: &Manifest) -> Result<String, Failure> {
        if let Some((layout, file)) = &self.archive {
            archive::write(layout, file).await?;
        }
        Ok(shown(&self.place, image.digest()))
    }
}
