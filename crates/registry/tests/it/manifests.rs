use hyper::StatusCode;
use schleuse_model::Digest;
use schleuse_oci::{Descriptor, Index, Manifest, media_type};
use schleuse_registry::Registry;

use super::harness::{Client, both, loopback, sha512};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_tag_and_by_digest() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let manifest = client.image("a/manifests", b"layer").await.to_manifest();
        let digest = manifest.digest().to_string();
        let put = client.put("a/manifests", "v1.tmp", &manifest, &[]).await;
        assert_eq!((put.status, put.header("docker-content-digest")), (StatusCode::CREATED, &*digest));
        assert_eq!(put.header("etag"), format!("\"{digest}\""));
        assert_eq!(put.header("location"), format!("/v2/a/manifests/manifests/{digest}"));
        for reference in ["v1.tmp", &digest] {
            let path = format!("/v2/a/manifests/manifests/{reference}");
            let got = client.get(&path).await;
            assert_eq!((got.status, &got.body), (StatusCode::OK, manifest.bytes()));
            assert_eq!(got.header("content-type"), media_type::IMAGE_MANIFEST);
            let head = client.send("HEAD", &path, &[], "").await;
            assert_eq!((head.status, head.body.len()), (StatusCode::OK, 0));
            assert_eq!(head.header("content-length"), manifest.bytes().len().to_string());
            let same = client.send("GET", &path, &[("if-none-match", &format!("\"{digest}\""))], "").await;
            assert_eq!(same.status, StatusCode::NOT_MODIFIED);
            let odd = client.send("GET", &path, &[("if-none-match", "W/\"x\"")], "").await;
            assert_eq!(odd.status, StatusCode::OK);
        }
        let wrong = client.put("a/manifests", &Digest::sha256(b"x").to_string(), &manifest, &[]).await;
        assert_eq!(wrong.code(), "DIGEST_INVALID");
        let long = sha512(manifest.bytes()).to_string();
        assert_eq!(client.put("a/manifests", &long, &manifest, &[]).await.header("docker-content-digest"), long);
        assert_eq!(client.get(&format!("/v2/a/manifests/manifests/{long}")).await.status, StatusCode::OK);
        assert_eq!(client.get("/v2/a/manifests/manifests/none").await.code(), "MANIFEST_UNKNOWN");
        assert_eq!(client.get("/v2/a/manifests/manifests/.none").await.code(), "MANIFEST_UNKNOWN");
        assert_eq!(client.put("a/manifests", ".none", &manifest, &[]).await.code(), "MANIFEST_INVALID");

        // A deleted manifest takes its tags along.
        let got = client.send("DELETE", &format!("/v2/a/manifests/manifests/{digest}"), &[], "").await;
        assert_eq!(got.status, StatusCode::ACCEPTED);
        for reference in ["v1.tmp", &digest] {
            assert_eq!(
                client.get(&format!("/v2/a/manifests/manifests/{reference}")).await.status,
                StatusCode::NOT_FOUND
            );
        }
        assert_eq!(client.get("/v2/a/manifests/tags/list").await.json()["tags"].as_array().unwrap().len(), 0);
        assert_eq!(client.get("/v2/a/tags/list").await.code(), "NAME_UNKNOWN");
        registry.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_manifest_cannot_name_what_is_not_there() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let mut image = client.image("a", b"layer").await;
        // There, but in another repository.
        let here = client.put("b", "t", &image.to_manifest(), &[]).await;
        assert_eq!((here.status, &*here.code()), (StatusCode::BAD_REQUEST, "MANIFEST_BLOB_UNKNOWN"));
        image.layers.push(Descriptor::of(media_type::LAYER_TAR, b"never pushed"));
        assert_eq!(client.put("a", "t", &image.to_manifest(), &[]).await.code(), "MANIFEST_BLOB_UNKNOWN");
        let index = Index::new(vec![image.to_manifest().descriptor()]).to_manifest();
        assert_eq!(client.put("a", "t", &index, &[]).await.code(), "MANIFEST_BLOB_UNKNOWN");
        assert_eq!(client.get("/v2/a/manifests/t").await.status, StatusCode::NOT_FOUND);
        image.layers.pop();
        assert_eq!(client.put("a", "c", &image.to_manifest(), &[]).await.status, StatusCode::CREATED);
        let index = Index::new(vec![image.to_manifest().descriptor()]).to_manifest();
        assert_eq!(client.put("a", "t", &index, &[]).await.status, StatusCode::CREATED);
        let large = Manifest::new(media_type::IMAGE_MANIFEST, vec![b' '; (4 << 20) + 1]);
        assert_eq!(client.put("a", "t", &large, &[]).await.status, StatusCode::PAYLOAD_TOO_LARGE);
        registry.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conditions_on_tags() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let one = client.image("a", b"one").await.to_manifest();
        let two = client.image("a", b"two").await.to_manifest();
        let tag = |digest: &Digest| format!("\"{digest}\"");
        let swap_absent = client.put("a", "t", &one, &[("if-match", "*")]).await;
        assert_eq!((swap_absent.status, swap_absent.header("etag")), (StatusCode::PRECONDITION_FAILED, ""));
        assert_eq!(client.put("a", "t", &one, &[("if-none-match", "*")]).await.status, StatusCode::CREATED);
        let lost = client.put("a", "t", &two, &[("if-none-match", "*")]).await;
        assert_eq!((lost.status, lost.header("etag")), (StatusCode::PRECONDITION_FAILED, &*tag(one.digest())));
        // Even with the same bytes: who lost must know it.
        let again = client.put("a", "t", &one, &[("if-none-match", "*")]).await;
        assert_eq!(again.status, StatusCode::PRECONDITION_FAILED);
        let stale = client.put("a", "t", &two, &[("if-match", &tag(two.digest()))]).await;
        assert_eq!(stale.status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(client.put("a", "t", &two, &[("if-match", "oops")]).await.status, StatusCode::BAD_REQUEST);
        assert_eq!(&client.get("/v2/a/manifests/t").await.body, one.bytes());
        let swap = client.put("a", "t", &two, &[("if-match", &tag(one.digest()))]).await;
        assert_eq!(swap.status, StatusCode::CREATED);
        let delete = client.send("DELETE", "/v2/a/manifests/t", &[("if-match", &tag(one.digest()))], "").await;
        assert_eq!(delete.status, StatusCode::PRECONDITION_FAILED);
        assert_eq!(client.send("DELETE", "/v2/a/manifests/t", &[], "").await.status, StatusCode::ACCEPTED);
        assert_eq!(client.send("DELETE", "/v2/a/manifests/t", &[], "").await.status, StatusCode::NOT_FOUND);
        assert_eq!(client.get(&format!("/v2/a/manifests/{}", two.digest())).await.status, StatusCode::OK);
        registry.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn referrers() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let subject = Descriptor::of(media_type::IMAGE_MANIFEST, b"not pushed (yet)");
        let path = format!("/v2/a/referrers/{}", subject.digest);
        let none = client.get(&path).await;
        assert_eq!((none.status, none.header("content-type")), (StatusCode::OK, media_type::IMAGE_INDEX));
        assert_eq!(none.json()["manifests"].as_array().unwrap().len(), 0);
        let mut digests = Vec::new();
        for (kind, annotation) in [("x/sbom", "1"), ("x/sbom", "2"), ("x/signature", "3")] {
            let mut image = client.image("a", b"evidence").await;
            image.artifact_type = Some(kind.to_owned());
            image.subject = Some(subject.clone());
            image.annotations.insert("n".to_owned(), annotation.to_owned());
            let manifest = image.to_manifest();
            let put = client.put("a", &manifest.digest().to_string(), &manifest, &[]).await;
            assert_eq!((put.status, put.header("oci-subject")), (StatusCode::CREATED, &*subject.digest.to_string()));
            digests.push(manifest.digest().to_string());
        }
        let all = client.get(&path).await.json();
        assert_eq!(all["manifests"].as_array().unwrap().len(), 3);
        let filtered = client.get(&format!("{path}?artifactType=x%2Fsignature")).await;
        assert_eq!(filtered.header("oci-filters-applied"), "artifactType");
        let entry = &filtered.json()["manifests"][0];
        assert_eq!((&entry["digest"], &entry["annotations"]["n"]), (&digests[2].as_str().into(), &"3".into()));
        assert_eq!(client.send("DELETE", &format!("/v2/a/manifests/{}", digests[2]), &[], "").await.status, 202);
        assert_eq!(client.get(&path).await.json()["manifests"].as_array().unwrap().len(), 2);
        let plain = client.image("a", b"plain").await.to_manifest();
        assert_eq!(client.put("a", "plain", &plain, &[]).await.header("oci-subject"), "");
        registry.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let manifest = client.image("a", b"layer").await.to_manifest();
        for tag in ["b", "a", "C", "d.1"] {
            client.put("a", tag, &manifest, &[]).await;
        }
        let mut path = "/v2/a/tags/list?n=3".to_owned();
        let mut seen = Vec::new();
        loop {
            let got = client.get(&path).await;
            seen.push(got.json()["tags"].to_string());
            let Some(next) = got.header("link").strip_prefix('<').and_then(|link| link.strip_suffix(">; rel=\"next\""))
            else {
                break;
            };
            path = next.to_owned();
        }
        assert_eq!(seen, [r#"["C","a","b"]"#, r#"["d.1"]"#]);
        let none = client.get("/v2/a/tags/list?n=0").await;
        assert_eq!((none.json()["tags"].to_string(), none.header("link")), ("[]".to_owned(), ""));
        registry.stop().await.unwrap();
    }
}

/// distribution-spec 1.1+dev: tags as parameters of a push by digest; the only way to tag what has another digest than SHA-256.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tags_as_parameters() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let manifest = client.image("a", b"layer").await.to_manifest();
        let digest = sha512(manifest.bytes());
        let got = client.put("a", &format!("{digest}?tag=one&tag=two&tag=one"), &manifest, &[]).await;
        let tags: Vec<_> = got.headers.get_all("oci-tag").iter().map(|tag| tag.to_str().unwrap()).collect();
        assert_eq!((got.status, &*tags), (StatusCode::CREATED, &["one", "two"][..]));
        for tag in ["one", "two"] {
            let got = client.get(&format!("/v2/a/manifests/{tag}")).await;
            assert_eq!((got.header("docker-content-digest"), &got.body), (&*digest.to_string(), manifest.bytes()));
        }
        // A condition would be about the manifest where the tags are meant: neither is carried out.
        for condition in ["if-none-match", "if-match"] {
            let got = client.put("a", &format!("{digest}?tag=three"), &manifest, &[(condition, "*")]).await;
            assert_eq!((got.status, &*got.code()), (StatusCode::BAD_REQUEST, "UNSUPPORTED"));
        }
        let many: String = (0..101).map(|number| format!("&tag=t{number}")).collect();
        let got = client.put("a", &format!("{digest}?{many}"), &manifest, &[]).await;
        assert_eq!(got.status, StatusCode::URI_TOO_LONG);
        let got = client.put("a", &format!("{digest}?tag=four&tag=.."), &manifest, &[]).await;
        assert_eq!((got.status, &*got.code()), (StatusCode::BAD_REQUEST, "MANIFEST_INVALID"));
        assert_eq!(client.get("/v2/a/tags/list").await.json()["tags"], serde_json::json!(["one", "two"]));
        registry.stop().await.unwrap();
    }
}

/// Half an image is refused, unless the registry was told to take it.
#[tokio::test]
async fn sparse_manifests_by_permission_only() {
    let strict = Registry::memory().spawn(loopback()).await.unwrap();
    let sparse = Registry::memory().accepting_sparse().spawn(loopback()).await.unwrap();
    for (registry, status) in [(&strict, StatusCode::BAD_REQUEST), (&sparse, StatusCode::CREATED)] {
        let mut client = Client::new(registry.addr()).await;
        let mut image = client.image("a", b"layer").await;
        image.layers.push(Descriptor::of(media_type::LAYER_TAR, b"elsewhere"));
        let got = client.put("a", "v1", &image.to_manifest(), &[]).await;
        assert_eq!(got.status, status, "{got:?}");
        let index = Index::new(vec![Descriptor::of(media_type::IMAGE_MANIFEST, b"elsewhere too")]).to_manifest();
        assert_eq!(client.put("a", "v2", &index, &[]).await.status, status);
    }
    strict.stop().await.unwrap();
    sparse.stop().await.unwrap();
}
