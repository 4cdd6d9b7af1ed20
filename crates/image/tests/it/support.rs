//! Archives written byte by byte, as no builder would, and images made of them.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use schleuse_image::{Layout, Limits, Ownership, UnpackError, Unpacked};
use schleuse_model::{Digest, PinnedRef, Repository, Tag, TagRef, json};
use schleuse_oci::manifest::{RootFs, RuntimeConfig};
use schleuse_oci::{
    Body, BodyStream, Descriptor, Error, ImageConfig, ImageManifest, Manifest, Platform, Pull, Push as _, media_type,
    stream_of,
};
use tar::Header;

pub(crate) fn linux() -> Platform {
    Platform { architecture: "amd64".to_owned(), os: "linux".to_owned(), variant: None }
}

pub(crate) fn repository() -> Repository {
    "registry.example/acme/billing".parse().unwrap()
}

/// A tar archive under construction. Names go in as they are.
#[derive(Clone, Default)]
pub(crate) struct Tar(Vec<u8>);

impl Tar {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    pub(crate) fn file(self, path: &str, content: &[u8]) -> Self {
        self.raw(b'0', path.as_bytes(), b"", 0o644, content)
    }

    pub(crate) fn folder(self, path: &str) -> Self {
        self.raw(b'5', path.as_bytes(), b"", 0o755, b"")
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.raw(b'2', path.as_bytes(), target.as_bytes(), 0o777, b"")
    }

    pub(crate) fn hard_link(self, path: &str, target: &str) -> Self {
        self.raw(b'1', path.as_bytes(), target.as_bytes(), 0o644, b"")
    }

    /// A pax header for the entry that follows.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let mut content = String::new();
        for (key, value) in records {
            let rest = format!(" {key}={value}\n");
            let mut length = rest.len() + 1;
            while format!("{length}{rest}").len() != length {
                length += 1;
            }
            content.push_str(&format!("{length}{rest}"));
        }
        self.raw(b'x', b"pax", b"", 0o644, content.as_bytes())
    }

    pub(crate) fn raw(self, flag: u8, path: &[u8], link: &[u8], mode: u32, content: &[u8]) -> Self {
        self.sized(flag, path, link, mode, content, content.len() as u64)
    }

    /// Also with a size that the content does not have.
    pub(crate) fn sized(mut self, flag: u8, path: &[u8], link: &[u8], mode: u32, content: &[u8], size: u64) -> Self {
        let mut header = Header::new_old();
        header.set_mode(mode);
        header.set_uid(1000);
        header.set_gid(1000);
        header.set_mtime(1_700_000_000);
        header.set_size(size);
        let old = header.as_old_mut();
        old.name[..path.len()].copy_from_slice(path);
        old.linkname[..link.len()].copy_from_slice(link);
        old.linkflag = [flag];
        header.set_cksum();
        self.0.extend_from_slice(header.as_bytes());
        self.0.extend_from_slice(content);
        self.0.resize(self.0.len().next_multiple_of(512), 0);
        self
    }

    pub(crate) fn bytes(mut self) -> Vec<u8> {
        self.0.resize(self.0.len() + 1024, 0);
        self.0
    }
}

pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// One layer as the manifest and the configuration describe it.
pub(crate) struct LayerBytes {
    pub(crate) media_type: &'static str,
    pub(crate) blob: Vec<u8>,
    pub(crate) diff_id: Digest,
}

impl From<Tar> for LayerBytes {
    fn from(tar: Tar) -> Self {
        tar.bytes().into()
    }
}

impl From<Vec<u8>> for LayerBytes {
    fn from(tar: Vec<u8>) -> Self {
        Self { media_type: media_type::LAYER_GZIP, blob: gzip(&tar), diff_id: Digest::sha256(&tar) }
    }
}

fn config(diff_ids: Vec<Digest>) -> Vec<u8> {
    json::to_bytes(&ImageConfig {
        created: None,
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        variant: None,
        config: RuntimeConfig { cmd: vec!["/run".to_owned()], ..RuntimeConfig::default() },
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
        history: Vec::new(),
    })
}

/// Puts an image into a layout and gives its reference.
pub(crate) async fn image(layout: &Layout, layers: Vec<LayerBytes>) -> PinnedRef {
    let repository = repository();
    let mut descriptors = Vec::new();
    let mut diff_ids = Vec::new();
    for layer in layers {
        let descriptor = Descriptor::of(layer.media_type, &layer.blob);
        layout.push_blob(&repository, &descriptor, Body::from(layer.blob)).await.unwrap();
        descriptors.push(descriptor);
        diff_ids.push(layer.diff_id);
    }
    let config = config(diff_ids);
    let descriptor = Descriptor::of(media_type::IMAGE_CONFIG, &config);
    layout.push_blob(&repository, &descriptor, Body::from(config)).await.unwrap();
    let manifest = ImageManifest::new(descriptor, descriptors).to_manifest();
    layout.push_manifest(&repository, &manifest).await.unwrap();
    repository.pin(manifest.digest().clone())
}

/// An image in memory, for tests that need thousands.
#[derive(Debug, Default)]
pub(crate) struct Memory(BTreeMap<Digest, Bytes>);

impl Memory {
    pub(crate) fn image(layers: Vec<LayerBytes>) -> (Self, PinnedRef) {
        let mut memory = Self::default();
        let mut add = |media_type: &str, bytes: Vec<u8>| {
            let descriptor = Descriptor::of(media_type, &bytes);
            memory.0.insert(descriptor.digest.clone(), bytes.into());
            descriptor
        };
        let diff_ids = layers.iter().map(|layer| layer.diff_id.clone()).collect();
        let descriptors = layers.into_iter().map(|layer| add(layer.media_type, layer.blob)).collect();
        let config = add(media_type::IMAGE_CONFIG, config(diff_ids));
        let manifest = ImageManifest::new(config, descriptors).to_manifest();
        add(media_type::IMAGE_MANIFEST, manifest.bytes().to_vec());
        (memory, repository().pin(manifest.digest().clone()))
    }
}

#[async_trait]
impl Pull for Memory {
    async fn resolve(&self, _: &TagRef) -> Result<Option<PinnedRef>, Error> {
        Ok(None)
    }
    async fn manifest(&self, image: &PinnedRef) -> Result<Option<Manifest>, Error> {
        let bytes = self.0.get(image.digest()).cloned();
        Ok(bytes.map(|bytes| Manifest::new(media_type::IMAGE_MANIFEST, bytes)))
    }
    async fn tagged(&self, _: &TagRef) -> Result<Option<Manifest>, Error> {
        Ok(None)
    }
    async fn blob(&self, _: &Repository, digest: &Digest, _: usize) -> Result<Option<Bytes>, Error> {
        Ok(self.0.get(digest).cloned())
    }
    async fn blob_stream(&self, _: &Repository, blob: &Descriptor) -> Result<Option<BodyStream>, Error> {
        Ok(self.0.get(&blob.digest).cloned().map(|bytes| stream_of(bytes, blob)))
    }
    async fn tags(&self, _: &Repository, _: &str, _: usize) -> Result<Vec<Tag>, Error> {
        Ok(Vec::new())
    }
}

/// How deep the folder of a test lies in its temporary folder. Deeper than any test climbs: a broken rule must be seen by the
/// test, not felt by the machine it runs on.
const DEPTH: usize = 8;

/// A folder for one test: a layout, a work folder, a root, and beside the root something that must stay as it is.
pub(crate) struct Bench {
    _temporary: tempfile::TempDir,
    pub(crate) folder: PathBuf,
    pub(crate) layout: Layout,
    pub(crate) limits: Limits,
}

impl Bench {
    pub(crate) fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let folder = (0..DEPTH).fold(temporary.path().to_owned(), |path, _| path.join("deeper"));
        for name in ["work", "outside"] {
            std::fs::create_dir_all(folder.join(name)).unwrap();
        }
        std::fs::write(folder.join("outside/file"), "untouched").unwrap();
        let layout = Layout::create(folder.join("layout")).unwrap();
        Self { _temporary: temporary, folder, layout, limits: Limits::default() }
    }

    pub(crate) fn root(&self) -> std::path::PathBuf {
        self.folder.join("root")
    }

    pub(crate) fn outside(&self) -> std::path::PathBuf {
        self.folder.join("outside")
    }

    /// Unpacks an image of these layers into the root, and looks whether everything outside stayed as it was.
    pub(crate) async fn unpack<L: Into<LayerBytes>>(
        &self,
        layers: impl IntoIterator<Item = L>,
    ) -> Result<Unpacked, UnpackError> {
        let image = image(&self.layout, layers.into_iter().map(Into::into).collect()).await;
        self.unpack_image(&image, Ownership::Ours).await
    }

    pub(crate) async fn unpack_image(&self, image: &PinnedRef, owner: Ownership) -> Result<Unpacked, UnpackError> {
        self.unpack_from(&self.layout, image, owner).await
    }

    pub(crate) async fn unpack_from(
        &self,
        from: &dyn Pull,
        image: &PinnedRef,
        owner: Ownership,
    ) -> Result<Unpacked, UnpackError> {
        let (root, work) = (self.root(), self.folder.join("work"));
        let before = tree(&self.outside());
        let unpacked = schleuse_image::unpack::unpack(from, image, &linux(), &root, &work, &self.limits, owner).await;
        assert_eq!(tree(&self.outside()), before, "something outside the root changed");
        assert_eq!(tree(&work), Vec::<String>::new(), "the work folder is not empty");
        let mut beside: Vec<_> = names(&self.folder);
        beside.retain(|name| name != "root");
        assert_eq!(beside, ["layout", "outside", "work"], "something appeared beside the root");
        for above in self.folder.ancestors().skip(1).take(DEPTH) {
            assert_eq!(names(above), ["deeper"], "something appeared above the root");
        }
        unpacked
    }
}

pub(crate) fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|item| item.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Every path below `folder` with its kind, mode and content, sorted.
pub(crate) fn tree(folder: &Path) -> Vec<String> {
    use std::os::unix::fs::PermissionsExt as _;
    let mut lines = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for item in std::fs::read_dir(&at).unwrap() {
            let path = item.unwrap().path();
            let metadata = std::fs::symlink_metadata(&path).unwrap();
            let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
            let mode = metadata.permissions().mode() & 0o7777;
            lines.push(if metadata.is_dir() {
                open.push(path);
                format!("{name}/ {mode:o}")
            } else if metadata.is_symlink() {
                format!("{name} -> {}", std::fs::read_link(&path).unwrap().display())
            } else {
                format!("{name} {mode:o} {}", String::from_utf8_lossy(&std::fs::read(&path).unwrap()))
            });
        }
    }
    lines.sort();
    lines
}
