//! The layout: what goes in comes out, and nothing else.

use schleuse_image::Layout;
use schleuse_image::layout::{LayoutError, REF_NAME};
use schleuse_model::Digest;
use schleuse_oci::{Body, Created, Descriptor, Error, ImageManifest, Index, Manifest, Pull as _, Push as _, collect};

use crate::support::{Bench, Tar, image, names, repository};

fn manifest(number: u8) -> Manifest {
    ImageManifest::new(Descriptor::of("x/y", &[number]), Vec::new()).to_manifest()
}

#[tokio::test]
async fn a_tag_moves_and_create_once_creates_once() {
    let bench = Bench::new();
    let layout = &bench.layout;
    let tag = repository().tag("v1".parse().unwrap());
    assert_eq!(layout.resolve(&tag).await.unwrap(), None);
    assert_eq!(layout.create_tag(&tag, &manifest(1)).await.unwrap(), Created::Won);
    assert_eq!(layout.create_tag(&tag, &manifest(2)).await.unwrap(), Created::Exists);
    assert_eq!(layout.tagged(&tag).await.unwrap().unwrap(), manifest(1));
    layout.tag(&tag, &manifest(2)).await.unwrap();
    assert_eq!(layout.tagged(&tag).await.unwrap().unwrap(), manifest(2));
    assert_eq!(layout.index().unwrap().manifests.len(), 1);
    let reopened = Layout::open(layout.root()).unwrap();
    assert_eq!(reopened.tagged(&tag).await.unwrap().unwrap().bytes(), manifest(2).bytes());
    assert_eq!(Layout::create(layout.root()).unwrap().index().unwrap().manifests.len(), 1, "created over");
}

#[tokio::test]
async fn writers_at_once_lose_nothing() {
    let bench = Bench::new();
    let writes = (0..12_u8).map(|number| {
        // Each with a lock of its own, as separate processes have.
        let layout = Layout::open(bench.layout.root()).unwrap();
        let tag = repository().tag(format!("t{number}").parse().unwrap());
        tokio::spawn(async move { layout.tag(&tag, &manifest(number)).await })
    });
    for write in writes.collect::<Vec<_>>() {
        write.await.unwrap().unwrap();
    }
    let tags = bench.layout.tags(&repository(), "t", 100).await.unwrap();
    assert_eq!(tags.len(), 12);
    assert!(matches!(bench.layout.tags(&repository(), "t", 11).await, Err(Error::TooLarge { .. })));
    assert_eq!(bench.layout.tags(&repository(), "t1", 100).await.unwrap().len(), 3);
    assert_eq!(names(bench.layout.root()), ["blobs", "index.json", "oci-layout"]);
}

#[tokio::test]
async fn changed_content_is_never_given_out() {
    let bench = Bench::new();
    let layout = &bench.layout;
    let blob = Descriptor::of("x/y", b"content");
    layout.push_blob(&repository(), &blob, Body::from(&b"content"[..])).await.unwrap();
    layout.push_manifest(&repository(), &manifest(1)).await.unwrap();
    let pinned = repository().pin(manifest(1).digest().clone());

    std::fs::write(layout.blob_path(&blob.digest), "c0ntent").unwrap();
    std::fs::write(layout.blob_path(pinned.digest()), manifest(2).bytes()).unwrap();
    assert!(matches!(layout.blob(&repository(), &blob.digest, 100).await, Err(Error::WrongDigest { .. })));
    assert!(matches!(layout.manifest(&pinned).await, Err(Error::WrongDigest { .. })));
    let stream = layout.blob_stream(&repository(), &blob).await.unwrap().unwrap();
    assert!(matches!(collect(stream, 100, "x").await, Err(Error::WrongDigest { .. })));
    std::fs::write(layout.blob_path(&blob.digest), "content and more").unwrap();
    let stream = layout.blob_stream(&repository(), &blob).await.unwrap().unwrap();
    assert!(matches!(collect(stream, 100, "x").await, Err(Error::TooLarge { .. })));
    assert!(matches!(layout.blob(&repository(), &blob.digest, 7).await, Err(Error::TooLarge { .. })));
}

#[tokio::test]
async fn what_is_not_there_is_not_an_error() {
    let bench = Bench::new();
    let digest = Digest::sha256(b"nothing");
    let blob = Descriptor::of("x/y", b"nothing");
    assert_eq!(bench.layout.blob(&repository(), &digest, 10).await.unwrap(), None);
    assert!(bench.layout.blob_stream(&repository(), &blob).await.unwrap().is_none());
    assert_eq!(bench.layout.manifest(&repository().pin(digest)).await.unwrap(), None);
}

#[tokio::test]
async fn a_blob_that_is_not_what_it_claims_is_not_taken_in() {
    let bench = Bench::new();
    for (claimed, content) in [(&b"a"[..], &b"b"[..]), (b"a", b"ab"), (b"ab", b"a")] {
        let blob = Descriptor::of("x/y", claimed);
        let body = Body::from(content.to_vec());
        assert!(bench.layout.push_blob(&repository(), &blob, body).await.is_err());
        assert!(!bench.layout.has_blob(&repository(), &blob.digest).await.unwrap());
    }
    assert_eq!(names(&bench.layout.root().join("blobs/sha256")), Vec::<String>::new());
}

#[tokio::test]
async fn names_as_other_tools_write_them() {
    let bench = Bench::new();
    let pinned = image(&bench.layout, vec![Tar::new().into()]).await;
    let mut entry = bench.layout.manifest(&pinned).await.unwrap().unwrap().descriptor();
    let write = |entries: &[&Descriptor]| {
        let index = Index::new(entries.iter().map(|entry| (*entry).clone()).collect());
        std::fs::write(bench.layout.root().join("index.json"), schleuse_model::json::to_bytes(&index)).unwrap();
    };
    entry.annotations.insert(REF_NAME.to_owned(), format!("{}:v1", repository()));
    write(&[&entry]);
    let tag = repository().tag("v1".parse().unwrap());
    assert_eq!(bench.layout.resolve(&tag).await.unwrap(), Some(pinned));
    assert_eq!(bench.layout.tags(&repository(), "", 9).await.unwrap(), ["v1".parse().unwrap()]);

    let mut other = manifest(1).descriptor();
    other.annotations.insert(REF_NAME.to_owned(), "v1".to_owned());
    write(&[&entry, &other]);
    assert!(matches!(bench.layout.resolve(&tag).await, Err(Error::Malformed { .. })), "two images of one name");
}

#[test]
fn folders_that_are_no_layout() {
    let folder = tempfile::tempdir().unwrap();
    assert!(matches!(Layout::open(folder.path()), Err(LayoutError::NotALayout { .. })));
    std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"2.0.0"}"#).unwrap();
    assert!(matches!(Layout::open(folder.path()), Err(LayoutError::NotALayout { .. })));
    std::fs::write(folder.path().join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    assert!(matches!(Layout::open(folder.path()), Err(LayoutError::Io { .. })), "no index.json");
}
