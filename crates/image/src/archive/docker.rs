//! What `docker save` writes without an OCI layout: `manifest.json`, a configuration and tars
//! (<https://github.com/moby/docker-image-spec>, "Combined Image JSON + Filesystem Changeset Format").

use std::collections::BTreeMap;
use std::io::Read as _;

use schleuse_model::digest::Algorithm;
use schleuse_model::{Digest, Hasher, json};
use schleuse_oci::manifest::{CONFIG_LIMIT, MANIFEST_LIMIT};
use schleuse_oci::{Descriptor, ImageConfig, ImageManifest, media_type};
use serde::Deserialize;

use super::entries::{Entries, Span};
use super::{Archive, ArchiveError, Spot};
use crate::copy::MAX_BLOBS;
use crate::listing::Listed;
use crate::path::printable;

/// The most images of one archive.
const MAX_IMAGES: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Option<Vec<String>>,
}

/// Content of the archive, hashed once however many images share it.
type Known = BTreeMap<Span, Descriptor>;

impl Archive {
    pub(super) fn read_docker(&mut self, entries: &Entries) -> Result<(), ArchiveError> {
        let bytes = self.whole(entries, "manifest.json", MANIFEST_LIMIT as u64)?;
        let malformed = ArchiveError::malformed(&self.path, "manifest.json");
        let images: Vec<Saved> = json::from_untrusted(&bytes, MANIFEST_LIMIT).map_err(malformed)?;
        if images.len() > MAX_IMAGES {
            return Err(ArchiveError::TooMuch { path: self.path.clone(), what: "images" });
        }
        let mut known = Known::new();
        for saved in images {
            let listed = self.saved(entries, saved, &mut known)?;
            match self.listed.iter_mut().find(|one| one.image.digest == listed.image.digest) {
                Some(one) => one.names.extend(listed.names),
                None => self.listed.push(listed),
            }
        }
        Ok(())
    }

    /// Makes the manifest that the archive lacks.
    fn saved(&mut self, entries: &Entries, saved: Saved, known: &mut Known) -> Result<Listed, ArchiveError> {
        let bytes = self.whole(entries, &saved.config, CONFIG_LIMIT as u64)?;
        let malformed = ArchiveError::malformed(&self.path, &printable(saved.config.as_bytes()));
        let config: ImageConfig = json::from_untrusted(&bytes, CONFIG_LIMIT).map_err(malformed)?;
        let (names, diff_ids) = (saved.layers.unwrap_or_default(), &config.rootfs.diff_ids);
        if names.len() >= MAX_BLOBS {
            return Err(ArchiveError::TooMuch { path: self.path.clone(), what: "layers" });
        }
        if names.len() != diff_ids.len() {
            let what = format!("{} of the {} layers that the configuration has", diff_ids.len(), names.len());
            return Err(ArchiveError::Missing { path: self.path.clone(), what });
        }
        let mut layers = Vec::new();
        for (name, diff_id) in names.iter().zip(diff_ids) {
            let layer = self.layer(entries, name, known)?;
            // A plain layer's digest is its diff_id; of a compressed one that is seen when it is unpacked.
            if layer.media_type == media_type::LAYER_TAR && layer.digest != *diff_id {
                let (path, expected, actual) = (self.path.clone(), diff_id.clone(), layer.digest);
                return Err(ArchiveError::WrongLayer { path, expected, actual });
            }
            layers.push(layer);
        }
        let described = Descriptor::of(media_type::IMAGE_CONFIG, &bytes);
        self.blobs.insert(described.digest.clone(), Spot::Made(bytes.into()));
        let manifest = ImageManifest::new(described, layers).to_manifest();
        let mut image = manifest.descriptor();
        image.platform = Some(config.platform());
        self.blobs.insert(image.digest.clone(), Spot::Made(manifest.bytes().clone()));
        Ok(Listed { image, names: saved.repo_tags.unwrap_or_default() })
    }

    fn layer(&mut self, entries: &Entries, name: &str, known: &mut Known) -> Result<Descriptor, ArchiveError> {
        let missing = || ArchiveError::Missing { path: self.path.clone(), what: printable(name.as_bytes()) };
        let span = entries.get(name)?.ok_or_else(missing)?;
        if let Some(layer) = known.get(&span) {
            return Ok(layer.clone());
        }
        let (digest, start) = self.hash(span)?;
        let media_type = match start {
            [0x1f, 0x8b, _, _] => media_type::LAYER_GZIP,
            [0x28, 0xb5, 0x2f, 0xfd] => media_type::LAYER_ZSTD,
            _ => media_type::LAYER_TAR,
        };
        let layer = Descriptor::new(media_type, digest, span.size);
        self.blobs.insert(layer.digest.clone(), Spot::In(span));
        known.insert(span, layer.clone());
        Ok(layer)
    }

    /// A piece's digest, and its first bytes.
    fn hash(&self, span: Span) -> Result<(Digest, [u8; 4]), ArchiveError> {
        let read = || {
            let mut reader = span.open(&self.plain)?;
            let mut hasher = Hasher::new(Algorithm::Sha256);
            let (mut piece, mut start, mut seen) = (vec![0; 256 << 10], [0; 4], 0);
            loop {
                let read = reader.read(&mut piece)?;
                if read == 0 {
                    return Ok((hasher.finish(), start));
                }
                if seen == 0 && read >= 4 {
                    start.copy_from_slice(&piece[..4]);
                }
                seen += read;
                hasher.update(&piece[..read]);
            }
        };
        read().map_err(ArchiveError::io(&self.path))
    }
}
