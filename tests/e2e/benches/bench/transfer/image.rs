//! The image: an OCI layout with ten layers of noise, which no compression makes smaller.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use schleuse_model::{Digest, json};
use schleuse_oci::manifest::{RootFs, RuntimeConfig};
use schleuse_oci::{Descriptor, ImageConfig, ImageManifest, Index, media_type};

const LAYERS: usize = 10;
const LAYER_BYTES: u64 = 20 << 20;

/// Writes the layout; its image is tagged `1`.
pub(crate) fn lay_out(folder: &Path) {
    let blobs = folder.join("blobs/sha256");
    fs::create_dir_all(&blobs).expect("a folder");
    let keep = |bytes: &[u8]| fs::write(blobs.join(Digest::sha256(bytes).hex()), bytes).expect("a blob is written");
    let (mut layers, mut diff_ids) = (Vec::new(), Vec::new());
    for _ in 0..LAYERS {
        let archive = archive(folder);
        let layer = gzip(&archive);
        diff_ids.push(Digest::sha256(&archive));
        layers.push(Descriptor::of(media_type::LAYER_GZIP, &layer));
        keep(&layer);
    }
    let config = json::to_bytes(&ImageConfig {
        created: None,
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        variant: None,
        config: RuntimeConfig::default(),
        rootfs: RootFs { kind: "layers".to_owned(), diff_ids },
        history: Vec::new(),
    });
    keep(&config);
    let manifest = ImageManifest::new(Descriptor::of(media_type::IMAGE_CONFIG, &config), layers).to_manifest();
    keep(manifest.bytes());
    let mut top = manifest.descriptor();
    top.annotations.insert("org.opencontainers.image.ref.name".to_owned(), "1".to_owned());
    fs::write(folder.join("index.json"), Index::new(vec![top]).to_manifest().bytes()).expect("the index is written");
    fs::write(folder.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).expect("the layout's mark is written");
}

/// A tar archive with one file of noise.
fn archive(folder: &Path) -> Vec<u8> {
    let file = folder.join("noise");
    let mut noise = Vec::new();
    let source = File::open("/dev/urandom").expect("noise");
    source.take(LAYER_BYTES).read_to_end(&mut noise).expect("noise");
    fs::write(&file, &noise).expect("the noise is written");
    let tar = Command::new("tar").args(["--format=ustar", "--create", "noise"]).current_dir(folder).output();
    fs::remove_file(file).expect("the noise is removed");
    tar.expect("tar starts").stdout
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut gzip = Command::new("gzip");
    let child = gzip.args(["-1", "--no-name"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = child.expect("gzip starts");
    let mut input = child.stdin.take().expect("its input");
    std::thread::scope(|scope| {
        scope.spawn(move || input.write_all(bytes).expect("gzip reads"));
        let mut output = Vec::new();
        child.stdout.take().expect("its output").read_to_end(&mut output).expect("gzip writes");
        assert!(child.wait().expect("gzip ends").success());
        output
    })
}
