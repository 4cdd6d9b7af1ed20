//! Archives: as a layer that is unpacked, and as a file with images in it.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use async_trait::async_trait;
use bytes::Bytes;
use schleuse_image::{Archive, Limits, Ownership, unpack};
use schleuse_model::{Digest, PinnedRef, Repository, Tag, TagRef, json};
use schleuse_oci::manifest::{RootFs, RuntimeConfig};
use schleuse_oci::{
    BodyStream, Descriptor, Error, ImageConfig, ImageManifest, Manifest, Platform, Pull, media_type, stream_of,
};
use tokio::runtime::{Builder, Runtime};

const ENTRIES: u64 = 64;
const BYTES: u64 = 1 << 20;
const WATCHED: &str = "outside";

fn limits() -> Limits {
    Limits { entries: ENTRIES, total_bytes: BYTES, file_bytes: BYTES, depth: 32, ..Limits::default() }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Whatever a layer says, nothing outside the root changes, and the limits hold for what is in it; after an error the root is empty.
pub fn layer(data: &[u8]) {
    unpacks(data);
}

/// The same, and whether the layer was unpacked.
pub fn unpacks(data: &[u8]) -> bool {
    let folder = tempfile::tempdir().expect("a folder");
    let (root, work) = (folder.path().join("root"), folder.path().join("work"));
    fs::create_dir(&work).expect("a folder");
    fs::write(folder.path().join(WATCHED), WATCHED).expect("a file");
    let source = Source::with_layer(data);
    let unpacked = runtime().block_on(async {
        unpack::unpack(&source, &source.image, &platform(), &root, &work, &limits(), Ownership::Ours).await
    });
    let left: Vec<_> = fs::read_dir(folder.path()).expect("the folder").map(|it| it.expect("an entry")).collect();
    assert!(left.iter().all(|it| ["root", "work", WATCHED].iter().any(|known| it.file_name() == *known)), "{left:?}");
    assert_eq!(fs::read(folder.path().join(WATCHED)).expect("the file outside"), WATCHED.as_bytes());
    assert_eq!(fs::metadata(folder.path().join(WATCHED)).expect("the file outside").nlink(), 1);
    let mut found = Found::default();
    if root.exists() {
        found.walk(&root);
    }
    match unpacked {
        Ok(ref unpacked) => {
            assert!(found.entries <= unpacked.entries && unpacked.entries <= ENTRIES, "{found:?} {unpacked:?}");
            assert!(found.bytes <= BYTES, "{found:?}");
        }
        Err(_) => assert_eq!(found.entries, 0, "something is left of what was refused"),
    }
    unpacked.is_ok()
}

#[derive(Debug, Default)]
struct Found {
    entries: u64,
    bytes: u64,
}

impl Found {
    fn walk(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let about = fs::symlink_metadata(&path).expect("an entry");
            self.entries += 1;
            assert!(about.is_file() || about.is_dir() || about.is_symlink(), "{}", path.display());
            assert_eq!(about.mode() & 0o6000, 0, "{} sets a user or a group", path.display());
            if about.is_dir() {
                self.walk(&path);
            } else if about.is_file() {
                self.bytes += about.len();
            }
        }
    }
}

/// Whatever a file says, opening it ends; and what it is read to hold has the digests that it says.
pub fn archive(data: &[u8]) {
    let folder = tempfile::tempdir().expect("a folder");
    let (file, work) = (folder.path().join("archive"), folder.path().join("work"));
    fs::create_dir(&work).expect("a folder");
    fs::write(&file, data).expect("a file");
    runtime().block_on(async {
        let Ok(archive) = Archive::open(&file, &work, &limits()).await else { return };
        let repository: Repository = "registry.example/a".parse().expect("a repository");
        for one in archive.listed() {
            let digest = &one.image.digest;
            let Ok(Some(manifest)) = archive.manifest(&repository.pin(digest.clone())).await else { continue };
            assert!(digest.matches(manifest.bytes()));
            let Ok(image) = manifest.as_image() else { continue };
            for blob in image.layers.iter().chain([&image.config]) {
                if let Ok(Some(bytes)) = archive.blob(&repository, &blob.digest, 1 << 20).await {
                    assert!(blob.digest.matches(&bytes));
                }
            }
        }
    });
    let left = fs::read_dir(&work).expect("the work folder").count();
    assert_eq!(left, 0, "something is left in the work folder");
}

fn platform() -> Platform {
    Platform { architecture: "amd64".to_owned(), os: "linux".to_owned(), variant: None }
}

/// An image whose one layer is what is tried.
#[derive(Debug)]
struct Source {
    image: PinnedRef,
    manifest: Manifest,
    blobs: BTreeMap<Digest, Bytes>,
}

impl Source {
    fn with_layer(layer: &[u8]) -> Self {
        // The digests are right: what is tried comes after them.
        let (kind, plain) = match layer.strip_prefix(b"gzip") {
            Some(rest) => (media_type::LAYER_GZIP, rest),
            None => (media_type::LAYER_TAR, layer),
        };
        let config = json::to_bytes(&ImageConfig {
            created: None,
            architecture: "amd64".to_owned(),
            os: "linux".to_owned(),
            variant: None,
            config: RuntimeConfig::default(),
            rootfs: RootFs { kind: "layers".to_owned(), diff_ids: vec![Digest::sha256(plain)] },
            history: Vec::new(),
        });
        let (layer, config_of) = (Descriptor::of(kind, plain), Descriptor::of(media_type::IMAGE_CONFIG, &config));
        let blobs = [(layer.digest.clone(), Bytes::copy_from_slice(plain)), (config_of.digest.clone(), config.into())];
        let manifest = ImageManifest::new(config_of, vec![layer]).to_manifest();
        let repository: Repository = "registry.example/a".parse().expect("a repository");
        Self { image: repository.pin(manifest.digest().clone()), manifest, blobs: blobs.into() }
    }
}

#[async_trait]
impl Pull for Source {
    async fn resolve(&self, _: &TagRef) -> Result<Option<PinnedRef>, Error> {
        Ok(Some(self.image.clone()))
    }

    async fn manifest(&self, _: &PinnedRef) -> Result<Option<Manifest>, Error> {
        Ok(Some(self.manifest.clone()))
    }

    async fn tagged(&self, _: &TagRef) -> Result<Option<Manifest>, Error> {
        Ok(Some(self.manifest.clone()))
    }

    async fn blob(&self, _: &Repository, digest: &Digest, _: usize) -> Result<Option<Bytes>, Error> {
        Ok(self.blobs.get(digest).cloned())
    }

    async fn blob_stream(&self, _: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        Ok(self.blobs.get(&blob.digest).cloned().map(|bytes| stream_of(bytes, blob)))
    }

    async fn tags(&self, _: &Repository, _: &str, _: usize) -> Result<Vec<Tag>, Error> {
        Ok(Vec::new())
    }
}
