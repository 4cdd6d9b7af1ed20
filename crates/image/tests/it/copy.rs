//! Copying: everything or an error, and no tag on half an image.

use std::sync::Mutex;

use async_trait::async_trait;
use schleuse_image::copy::{Holder, Route, copy, copy_evidence};
use schleuse_image::{CopyError, Layout, Moved, Progress};
use schleuse_model::{Digest, PinnedRef, Repository, Tag, TagRef};
use schleuse_oci::{
    Body, Created, Descriptor, Error, ImageManifest, Index, Manifest, Pull as _, Push, Referrers, media_type,
};

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

/// A registry that believes whatever it is sent. Its client checks what it is told to check, as ours does.
#[derive(Debug, Default)]
struct Credulous(Mutex<Vec<Digest>>);

#[async_trait]
impl Push for Credulous {
    async fn has_blob(&self, _: &Repository, _: &Digest) -> Result<bool, Error> {
        Ok(false)
    }
    async fn push_blob(&self, _: &Repository, blob: &Descriptor, body: Body) -> Result<(), Error> {
        if let Body::Unchecked(path) = &body {
            let actual = Digest::sha256(&std::fs::read(path).unwrap());
            if actual != blob.digest {
                return Err(Error::WrongDigest { what: "a file".into(), expected: blob.digest.clone(), actual });
            }
        }
        self.0.lock().unwrap().push(blob.digest.clone());
        Ok(())
    }
    async fn mount_blob(&self, _: &Repository, _: &Digest, _: &Repository) -> Result<bool, Error> {
        Ok(false)
    }
    async fn push_manifest(&self, _: &Repository, _: &Manifest) -> Result<bool, Error> {
        Ok(false)
    }
    async fn tag(&self, _: &TagRef, _: &Manifest) -> Result<(), Error> {
        panic!("no tag may name what was damaged")
    }
    async fn create_tag(&self, _: &TagRef, _: &Manifest) -> Result<Created, Error> {
        Ok(Created::Won)
    }
}

#[tokio::test]
async fn a_damaged_layout_is_noticed_here_not_left_to_the_registry() {
    let bench = Bench::new();
    let image = image(&bench.layout, vec![Tar::new().file("f", b"1").into()]).await;
    let manifest = bench.layout.manifest(&image).await.unwrap().unwrap();
    let layer = manifest.as_image().unwrap().layers[0].digest.clone();
    let path = bench.layout.blob_path(&layer);
    let good = std::fs::read(&path).unwrap();
    let mut flipped = good.clone();
    flipped[15] ^= 1;
    for damaged in [&flipped[..], &good[..good.len() - 1], &[&good[..], b"x"].concat()] {
        std::fs::write(&path, damaged).unwrap();
        let target = Credulous::default();
        let route = Route {
            from: &bench.layout,
            from_repository: &repository(),
            to: &target,
            to_repository: &"other.example/x".parse().unwrap(),
            work: &bench.folder.join("work"),
            progress: &Told::default(),
        };
        let error = copy(route, image.digest(), &["v1".parse().unwrap()]).await.unwrap_err();
        assert!(!target.0.lock().unwrap().contains(&layer), "{error:?}");
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

/// A list of referrers that anybody could have written, and what was attached.
#[derive(Debug, Default)]
struct List {
    listed: Vec<Descriptor>,
    attached: Mutex<Vec<Digest>>,
}

#[async_trait]
impl Referrers for List {
    async fn referrers(&self, _: &PinnedRef, _: usize) -> Result<Vec<Descriptor>, Error> {
        Ok(self.listed.clone())
    }
    async fn attach(&self, _: &PinnedRef, manifest: &Manifest) -> Result<(), Error> {
        self.attached.lock().unwrap().push(manifest.digest().clone());
        Ok(())
    }
}

#[tokio::test]
async fn evidence_is_what_says_itself_that_it_is_about_the_image() {
    let bench = Bench::new();
    let image = image(&bench.layout, vec![Tar::new().file("f", b"1").into()]).await;
    let image = bench.layout.manifest(&image).await.unwrap().unwrap();
    bench.layout.push_blob(&repository(), &Descriptor::empty(), Body::from(&b"{}"[..])).await.unwrap();
    let about = async |subject: Option<Descriptor>, remark: &str| {
        let mut manifest = ImageManifest::new(Descriptor::empty(), vec![Descriptor::empty()]);
        (manifest.subject, manifest.artifact_type) = (subject, Some(remark.to_owned()));
        let manifest = manifest.to_manifest();
        bench.layout.push_manifest(&repository(), &manifest).await.unwrap();
        manifest
    };
    let mine = about(Some(image.descriptor()), "x/mine").await;
    let others = about(Some(Descriptor::of(media_type::IMAGE_MANIFEST, b"other")), "x/other").await;
    let nobodys = about(None, "x/nobody").await;
    // It says whom it is about, and that is not the image; nor is what it consists of there to be moved.
    let mut lure = ImageManifest::new(Descriptor::of("x/y", b"nowhere"), Vec::new());
    lure.subject = Some(Descriptor::of(media_type::IMAGE_MANIFEST, b"other"));
    let lure = lure.to_manifest();
    bench.layout.push_manifest(&repository(), &lure).await.unwrap();
    let mut joined = Index::new(vec![mine.descriptor()]);
    joined.subject = Some(image.descriptor());
    let joined = joined.to_manifest();
    bench.layout.push_manifest(&repository(), &joined).await.unwrap();
    let tag = |suffix: &str| -> Tag { format!("{}.{suffix}", image.digest().as_tag_stem()).parse().unwrap() };
    bench.layout.tag(&repository().tag(tag("sig")), &mine).await.unwrap();
    bench.layout.tag(&repository().tag(tag("att")), &mine).await.unwrap();

    let target = Layout::create(bench.folder.join("target")).unwrap();
    // The destination has a signature of its own under the tag.
    target.push_manifest(&repository(), &others).await.unwrap();
    target.tag(&repository().tag(tag("sig")), &others).await.unwrap();
    let list = [&mine, &others, &nobodys, &lure, &joined].map(Manifest::descriptor);
    let (from, to) = (List { listed: list.to_vec(), ..List::default() }, List::default());
    let work = bench.folder.join("work");
    let route = Route {
        from: &bench.layout,
        from_repository: &repository(),
        to: &target,
        to_repository: &repository(),
        work: &work,
        progress: &Told::default(),
    };
    copy(route, image.digest(), &[]).await.unwrap();
    let copied = copy_evidence(route, &image, &from, Holder { pull: &target, referrers: &to }).await.unwrap();
    assert_eq!(*to.attached.lock().unwrap(), [mine.digest().clone(), joined.digest().clone()]);
    assert_eq!((copied.referrers, copied.legacy, copied.left_alone), (2, 1, vec![tag("sig")]));
    let kept = target.resolve(&repository().tag(tag("sig"))).await.unwrap().unwrap();
    assert_eq!(kept.digest(), others.digest(), "what was there is there");
}
