//! Folders and disks as operators find them: of somebody else, damaged, read-only, with files in them that are not ours.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

use hyper::StatusCode;
use schleuse_model::{Clock as _, SystemClock, Timestamp};
use schleuse_oci::Manifest;
use schleuse_registry::{
    CheckOptions, Error, Fault, FolderVolume, GcOptions, Limits, Outcome, Readable, Registry, Volume, Written, check,
};

use super::harness::{Client, loopback};

fn write(root: &Path, file: &str, text: &str) {
    let path = root.join(file);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
    std::fs::write(path, text).unwrap();
}

/// `--folder` names the folder of a web application by mistake: its `uploads/` and `tmp/` are not ours to clear.
#[test]
fn a_folder_of_somebody_else_is_refused_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let files = ["uploads/customer.pdf", "tmp/1", "index.html"];
    files.iter().for_each(|file| write(folder.path(), file, "precious"));
    assert!(matches!(Registry::disk(folder.path()), Err(Error::NotEmpty { .. })));
    for file in files {
        assert_eq!(std::fs::read_to_string(folder.path().join(file)).unwrap(), "precious", "{file}");
    }
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 3);
}

/// A new disk has `lost+found`; a copy of a registry may have come without `lock`, which means nothing by itself.
#[test]
fn a_new_disk_and_a_copy_without_its_lock_are_taken() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("lost+found")).unwrap();
    drop(Registry::disk(folder.path()).unwrap());
    std::fs::remove_file(folder.path().join("lock")).unwrap();
    drop(Registry::disk(folder.path()).unwrap());
}

/// What is not named as we name things is not ours, wherever it lies: it is neither cleared nor in the way.
#[tokio::test]
async fn files_of_others_inside_harm_nothing() {
    let folder = tempfile::tempdir().unwrap();
    drop(Registry::disk(folder.path()).unwrap());
    let others =
        ["repos/README", "repos/a/.DS_Store", "blobs/README", "blobs/sha256/README", "tmp/x/y", "uploads/notes"];
    others.iter().for_each(|file| write(folder.path(), file, "not ours"));
    write(folder.path(), "tmp/17", "left by us");
    write(folder.path(), "uploads/0123456789abcdef0123456789abcdef", "left by us");
    let registry = Registry::disk(folder.path()).unwrap();
    let report = registry.collect(GcOptions::default(), SystemClock.now()).unwrap();
    assert_eq!((report.uploads_cleared, report.repositories), (2, 0));
    drop(registry);
    let volume = Arc::new(FolderVolume::open(folder.path()).unwrap());
    assert!(check(volume, CheckOptions::default(), SystemClock.now(), &|_, _| {}).unwrap().is_whole());
    assert!(others.iter().all(|file| folder.path().join(file).exists()));
}

/// As docs/REGISTRY.md says: push the manifest again, or delete the tag. But who put a condition is not told that it holds.
#[tokio::test]
async fn a_damaged_tag_is_put_right_or_deleted_and_holds_up_nothing_else() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let one = client.image("a", b"one").await.to_manifest();
    let two = client.image("a", b"two").await.to_manifest();
    for (tag, manifest) in [("x", &one), ("y", &one), ("z", &two)] {
        client.put("a", tag, manifest, &[]).await;
    }
    for tag in ["x", "y"] {
        write(folder.path(), &format!("repos/a/_tags/{tag}"), "");
    }
    assert_eq!(client.get("/v2/a/manifests/x").await.status, StatusCode::INTERNAL_SERVER_ERROR);
    let once = client.put("a", "x", &two, &[("if-none-match", "*")]).await;
    assert_eq!(once.status, StatusCode::INTERNAL_SERVER_ERROR, "it is taken, by we do not know what");
    let other = client.send("DELETE", &format!("/v2/a/manifests/{}", two.digest()), &[], "").await;
    assert_eq!(other.status, StatusCode::ACCEPTED);
    assert_eq!(client.get("/v2/a/manifests/z").await.status, StatusCode::NOT_FOUND);
    assert_eq!(client.put("a", "x", &one, &[]).await.status, StatusCode::CREATED);
    assert_eq!(client.get("/v2/a/manifests/x").await.status, StatusCode::OK);
    assert_eq!(client.send("DELETE", "/v2/a/manifests/y", &[], "").await.status, StatusCode::ACCEPTED);
    assert_eq!(client.get("/v2/a/manifests/y").await.status, StatusCode::NOT_FOUND);
    registry.stop().await.unwrap();
}

/// The digest does not cover the media type that stands before the bytes. What a client can still have by its digest is not taken
/// away, and what it names stays named.
#[tokio::test]
async fn an_intact_manifest_is_not_moved_aside() {
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let image = client.image("a", b"one").await.to_manifest();
    client.put("a", "x", &image, &[]).await;
    registry.stop().await.unwrap();
    let path = folder.path().join("repos/a/_manifests").join(image.digest().as_tag_stem());
    let sound = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, sound.replacen("vnd.oci", "vnd.ocj", 1)).unwrap();
    for (repair, outcome) in [(false, Outcome::Found), (true, Outcome::Repaired)] {
        let volume = Arc::new(FolderVolume::open(folder.path()).unwrap());
        let options = CheckOptions { repair, ..CheckOptions::default() };
        let report = check(volume, options, SystemClock.now(), &|_, _| {}).unwrap();
        let told: Vec<_> = report.findings.iter().map(|finding| (finding.problem, finding.outcome)).collect();
        assert_eq!(told, [(Fault::DamagedManifest, outcome)]);
    }
    assert_eq!(std::fs::read_to_string(&path).unwrap(), sound);
    // One of a kind that we do not know (of a later version, say): not ours to judge.
    let strange = b"{\"schemaVersion\":3}";
    let digest = schleuse_model::Digest::sha256(strange);
    let path = path.with_file_name(digest.as_tag_stem());
    std::fs::write(&path, [b"application/x\n", &strange[..]].concat()).unwrap();
    let volume = Arc::new(FolderVolume::open(folder.path()).unwrap());
    let options = CheckOptions { repair: true, ..CheckOptions::default() };
    let report = check(volume, options, SystemClock.now(), &|_, _| {}).unwrap();
    assert_eq!((report.findings[0].outcome, path.exists()), (Outcome::Left, true));
}

/// A folder whose dates cannot be set, and which counts what is opened.
#[derive(Debug)]
struct Odd {
    inner: FolderVolume,
    dating: Option<std::io::ErrorKind>,
    dated: AtomicUsize,
    opened: AtomicUsize,
    synced: AtomicUsize,
}

impl Odd {
    fn new(folder: &Path, dating: Option<std::io::ErrorKind>) -> Arc<Self> {
        let inner = FolderVolume::create(folder).unwrap();
        Arc::new(Self { inner, dating, dated: 0.into(), opened: 0.into(), synced: 0.into() })
    }
}

impl Volume for Odd {
    fn shown(&self, path: &Path) -> std::path::PathBuf {
        self.inner.shown(path)
    }
    fn create(&self, file: &Path) -> std::io::Result<Box<dyn Written>> {
        self.inner.create(file)
    }
    fn open(&self, file: &Path) -> std::io::Result<Box<dyn Readable>> {
        self.opened.fetch_add(1, SeqCst);
        self.inner.open(file)
    }
    fn rename(&self, from: &Path, to: &Path) -> std::io::Result<()> {
        self.inner.rename(from, to)
    }
    fn remove(&self, file: &Path) -> std::io::Result<()> {
        self.inner.remove(file)
    }
    fn create_folder(&self, folder: &Path) -> std::io::Result<()> {
        self.inner.create_folder(folder)
    }
    fn remove_folder(&self, folder: &Path) -> std::io::Result<()> {
        self.inner.remove_folder(folder)
    }
    fn sync_folder(&self, folder: &Path) -> std::io::Result<()> {
        self.synced.fetch_add(1, SeqCst);
        // Nobody cuts the power here, and thousands of syncs take a while.
        self.inner.modified(folder).map(drop)
    }
    fn names(&self, folder: &Path) -> std::io::Result<Vec<String>> {
        self.inner.names(folder)
    }
    fn modified(&self, path: &Path) -> std::io::Result<Timestamp> {
        self.inner.modified(path)
    }
    fn set_modified(&self, file: &Path, at: Timestamp) -> std::io::Result<()> {
        self.dated.fetch_add(1, SeqCst);
        match self.dating {
            Some(kind) => Err(kind.into()),
            None => self.inner.set_modified(file, at),
        }
    }
}

/// The disk has become read-only after an error, or the folder came back from a backup under another owner: pulls go on. Who asks
/// whether a blob is there, in order not to push it, is told so only if it cannot be collected.
#[tokio::test]
async fn what_cannot_be_dated_is_served_all_the_same() {
    use std::io::ErrorKind::{PermissionDenied, ReadOnlyFilesystem};
    let folder = tempfile::tempdir().unwrap();
    let registry = Registry::disk(folder.path()).unwrap().spawn(loopback()).await.unwrap();
    let blob = Client::new(registry.addr()).await.blob("a", b"content").await;
    registry.stop().await.unwrap();
    let link = folder.path().join("repos/a/_links").join(blob.digest.as_tag_stem());
    std::fs::File::open(link).unwrap().set_modified(std::time::UNIX_EPOCH).unwrap();
    let path = format!("/v2/a/blobs/{}", blob.digest);
    for (dating, read_only, head) in [
        (Some(ReadOnlyFilesystem), false, StatusCode::OK),
        (Some(PermissionDenied), false, StatusCode::INTERNAL_SERVER_ERROR),
        (Some(PermissionDenied), true, StatusCode::OK),
    ] {
        let volume = Odd::new(folder.path(), dating);
        let registry = Registry::on(volume.clone()).unwrap();
        let registry = if read_only { registry.read_only() } else { registry }.spawn(loopback()).await.unwrap();
        let mut client = Client::new(registry.addr()).await;
        let got = client.get(&path).await;
        assert_eq!((got.status, &*got.body), (StatusCode::OK, &b"content"[..]), "{dating:?}");
        assert_eq!(client.send("HEAD", &path, &[], "").await.status, head, "{dating:?}");
        assert_eq!(volume.dated.load(SeqCst) == 0, read_only, "read-only changes nothing, not even a date");
        drop(client);
        registry.stop().await.unwrap();
    }
}

/// Each entry may repeat megabytes of annotations: a page must not cost what the whole list would.
#[tokio::test]
async fn a_page_of_referrers_reads_no_more_than_a_page() {
    let folder = tempfile::tempdir().unwrap();
    let volume = Odd::new(folder.path(), None);
    let limits = Limits { page: 3, ..Limits::DEFAULT };
    let registry = Registry::on(volume.clone()).unwrap().with_limits(limits).spawn(loopback()).await.unwrap();
    let mut client = Client::new(registry.addr()).await;
    let subject = client.image("a", b"subject").await.to_manifest();
    client.put("a", "x", &subject, &[]).await;
    let mut image = client.image("a", b"evidence").await;
    image.subject = Some(subject.descriptor());
    for number in 0..10 {
        image.annotations.insert("n".to_owned(), number.to_string());
        let evidence: Manifest = image.to_manifest();
        client.put("a", &evidence.digest().to_string(), &evidence, &[]).await;
    }
    let (mut path, mut seen) = (format!("/v2/a/referrers/{}", subject.digest()), 0);
    loop {
        let before = volume.opened.load(SeqCst);
        let got = client.get(&path).await;
        let opened = volume.opened.load(SeqCst) - before;
        assert!(opened <= 4, "{opened} files for a page of three");
        seen += got.json()["manifests"].as_array().unwrap().len();
        let Some(next) = got.header("link").strip_prefix('<').and_then(|link| link.split_once('>')) else { break };
        next.0.clone_into(&mut path);
    }
    assert_eq!(seen, 10);
    registry.stop().await.unwrap();
}

/// The last look at a blob is with all pushes held up: what it costs must not grow with blobs times repositories.
#[test]
fn with_many_repositories_the_last_look_is_one_round() {
    const MANY: usize = 4200;
    let folder = tempfile::tempdir().unwrap();
    let volume = Odd::new(folder.path(), None);
    let registry = Registry::on(volume.clone()).unwrap();
    for number in 0..MANY {
        std::fs::create_dir_all(folder.path().join(format!("repos/a{number}/_links"))).unwrap();
    }
    for content in ["1", "2", "3", "4"] {
        let digest = schleuse_model::Digest::sha256(content.as_bytes());
        write(folder.path(), &format!("blobs/sha256/{}/{}", &digest.hex()[..2], digest.hex()), content);
    }
    let before = volume.synced.load(SeqCst);
    let report = registry.collect(GcOptions::default(), SystemClock.now()).unwrap();
    assert_eq!((report.repositories, report.blobs_removed), (MANY, 4));
    let synced = volume.synced.load(SeqCst) - before;
    assert!(synced < 2 * MANY, "{synced} folders synced");
}
