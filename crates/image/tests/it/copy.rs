//! Copying: everything or an error, and no tag on half an image.

use std::sync::Mutex;

use async_trait::async_trait;
use schleuse_image::copy::{Route, copy};
use schleuse_image::{CopyError, Layout, Moved, Progress};
use schleuse_model::{Digest, Repository, Tag, TagRef};
use schleuse_oci::{Body, Created, Descriptor, Error, Index, Manifest, Pull as _, Push};

use crate::support::{Bench, Tar, image, linux, names, repository};

#[derive(Debug, Default)]
struct Told(Mutex<Vec<Moved>>);

impl Progress for Told {
    fn blob(&self, _: &Descriptor, moved: Moved) {
        self.0.lock().unwrap().push(moved);
    }
}

/// A layout that claims to be a registry which can mount.
#[derive(Debug)]
struct Mounting {
    layout: Layout,
    mounted: Mutex<Vec<Repository>>,
}

#[async_trait]
impl Push for Mounting {
    async fn has_blob(&self, _: &Repository, _: &Digest) -> Result<bool, Error> {
        Ok(false)
    }
    async fn push_blob(&self, repository: &Repository, blob: &Descriptor, body: Body) -> Result<(), Error> {
        self.layout.push_blob(repository, blob, body).await
    }
    async fn mount_blob(&self, _: &Repository, _: &Digest, from: &Repository) -> Result<bool, Error> {
        self.mounted.lock().unwrap().push(from.clone());
        Ok(true)
    }
    async fn push_manifest(&self, repository: &Repository, manifest: &Manifest) -> Result<bool, Error> {
        self.layout.push_manifest(repository, manifest).await
    }
    async fn tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<(), Error> {
        self.layout.tag(tag, manifest).await
    }
    async fn create_tag(&self, tag: &TagRef, manifest: &Manifest) -> Result<Created, Error> {
        self.layout.create_tag(tag, manifest).await
    }
}

/// An index of two images that share a layer.
async fn index(bench: &Bench) -> Manifest {
    let shared = || Tar::new().file("shared", b"1").into();
    let mut children = Vec::new();
    for content in [b"amd64", b"arm64"] {
        let image = image(&bench.layout, vec![shared(), Tar::new().file("f", content).into()]).await;
        let mut child = bench.layout.manifest(&image).await.unwrap().unwrap().descriptor();
        child.platform = Some(linux());
        children.push(child);
    }
    let index = Index::new(children).to_manifest();
    bench.layout.push_manifest(&repository(), &index).await.unwrap();
    index
}

#[tokio::test]
async fn an_index_with_all_its_children_twice() {
    let bench = Bench::new();
    let index = index(&bench).await;
    let (from_repository, to_repository) = (repository(), "other.example/x".parse().unwrap());
    let target = Layout::create(bench.folder.join("target")).unwrap();
    let work = bench.folder.join("work");
    let tags: [Tag; 2] = ["a".parse().unwrap(), "b".parse().unwrap()];
    for moved in [Moved::Sent, Moved::Present] {
        let told = Told::default();
        let route = Route {
            from: &bench.layout,
            from_repository: &from_repository,
            to: &target,
            to_repository: &to_repository,
            work: &work,
            progress: &told,
        };
        let copied = copy(route, index.digest(), &tags).await.unwrap();
        assert_eq!(copied.bytes(), index.bytes());
        let told = told.0.into_inner().unwrap();
        // Two layers and a configuration an image; the shared layer and the configuration count once.
        assert_eq!(told.len(), 5);
        assert!(told.iter().all(|how| *how == moved), "{told:?}");
    }
    assert_eq!(target.tags(&to_repository, "", 9).await.unwrap(), tags);
    assert_eq!(names(&work), Vec::<String>::new());
    assert_eq!(names(&target.root().join("blobs/sha256")).len(), 5 + 3);
}

#[tokio::test]
async fn a_missing_child_or_blob_leaves_no_tag() {
    let bench = Bench::new();
    let index = index(&bench).await;
    let child = index.as_index().unwrap().manifests[1].digest.clone();
    let layer = {
        let pinned = repository().pin(child.clone());
        bench.layout.manifest(&pinned).await.unwrap().unwrap().as_image().unwrap().layers[1].digest.clone()
    };
    let work = bench.folder.join("work");
    for (number, gone) in [layer, child].into_iter().enumerate() {
        std::fs::remove_file(bench.layout.blob_path(&gone)).unwrap();
        let target = Layout::create(bench.folder.join(format!("target{number}"))).unwrap();
        let (repository, told) = (repository(), Told::default());
        let route = Route {
            from: &bench.layout,
            from_repository: &repository,
            to: &target,
            to_repository: &repository,
            work: &work,
            progress: &told,
        };
        let error = copy(route, index.digest(), &["v1".parse().unwrap()]).await.unwrap_err();
        assert!(matches!(error, CopyError::Registry(Error::Missing { .. })), "{error:?}");
        assert_eq!(target.tags(&repository, "", 9).await.unwrap(), []);
    }
}

#[tokio::test]
async fn neighbours_mount() {
    let bench = Bench::new();
    let image = image(&bench.layout, vec![Tar::new().file("f", b"1").into()]).await;
    let target = Layout::create(bench.folder.join("target")).unwrap();
    let target = Mounting { layout: target, mounted: Mutex::default() };
    let work = bench.folder.join("work");
    let (from_repository, neighbour) = (repository(), repository().with_suffix("-staging").unwrap());
    let elsewhere = "other.example/x".parse().unwrap();
    for (to_repository, moved) in
        [(&neighbour, Moved::Mounted), (&elsewhere, Moved::Sent), (&from_repository, Moved::Sent)]
    {
        let told = Told::default();
        let route = Route {
            from: &bench.layout,
            from_repository: &from_repository,
            to: &target,
            to_repository,
            work: &work,
            progress: &told,
        };
        copy(route, image.digest(), &[]).await.unwrap();
        assert_eq!(told.0.into_inner().unwrap(), [moved; 2]);
    }
    assert_eq!(*target.mounted.lock().unwrap(), [repository(), repository()]);
}

#[tokio::test]
async fn what_is_no_image_is_not_copied() {
    let bench = Bench::new();
    let inner = Index::new(Vec::new()).to_manifest();
    bench.layout.push_manifest(&repository(), &inner).await.unwrap();
    let outer = Index::new(vec![inner.descriptor()]).to_manifest();
    bench.layout.push_manifest(&repository(), &outer).await.unwrap();
    let strange = Manifest::new("x/y", br#"{"mediaType":"x/y"}"#.to_vec());
    bench.layout.push_manifest(&repository(), &strange).await.unwrap();
    let target = Layout::create(bench.folder.join("target")).unwrap();
    let (repository, told, work) = (repository(), Told::default(), bench.folder.join("work"));
    let route = Route {
        from: &bench.layout,
        from_repository: &repository,
        to: &target,
        to_repository: &repository,
        work: &work,
        progress: &told,
    };
    let error = copy(route, outer.digest(), &[]).await.unwrap_err();
    assert!(matches!(error, CopyError::TooMuch { .. }), "{error:?}");
    let error = copy(route, strange.digest(), &[]).await.unwrap_err();
    assert!(matches!(error, CopyError::NotAnImage { .. }), "{error:?}");
}
