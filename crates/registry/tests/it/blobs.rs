use hyper::StatusCode;
use schleuse_model::Digest;

use super::harness::{Client, both, noise, sha512};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_way_to_push() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let content = noise(3_000_000);
        let digest = Digest::sha256(&content);

        // Chunks in order, one out of order, then the rest with the digest.
        let start = client.send("POST", "/v2/a/b/blobs/uploads/", &[], "").await;
        assert_eq!(start.status, StatusCode::ACCEPTED);
        let location = start.header("location").to_owned();
        let first =
            client.send("PATCH", &location, &[("content-range", "0-999999")], content[..1_000_000].to_vec()).await;
        assert_eq!((first.status, first.header("range")), (StatusCode::ACCEPTED, "0-999999"));
        let wrong = client.send("PATCH", &location, &[("content-range", "5-9")], "12345").await;
        assert_eq!((wrong.status, wrong.header("range")), (StatusCode::RANGE_NOT_SATISFIABLE, "0-999999"));
        let status = client.get(&location).await;
        assert_eq!((status.status, status.header("range")), (StatusCode::NO_CONTENT, "0-999999"));
        let elsewhere = location.replace("/v2/a/b/", "/v2/a/c/");
        assert_eq!(client.get(&elsewhere).await.code(), "BLOB_UPLOAD_UNKNOWN");
        let second = client.send("PATCH", &location, &[], content[1_000_000..2_000_000].to_vec()).await;
        assert_eq!(second.status, StatusCode::ACCEPTED);
        let end = format!("{location}?digest={digest}");
        let done =
            client.send("PUT", &end, &[("content-range", "2000000-2999999")], content[2_000_000..].to_vec()).await;
        assert_eq!((done.status, done.header("docker-content-digest")), (StatusCode::CREATED, &*digest.to_string()));
        assert_eq!(client.get(&location).await.code(), "BLOB_UPLOAD_UNKNOWN");
        let path = done.header("location").to_owned();
        assert_eq!(client.get(&path).await.body, content);

        // Parts of it.
        let part = client.send("GET", &path, &[("range", "bytes=10-19")], "").await;
        assert_eq!((part.status, part.header("content-range")), (StatusCode::PARTIAL_CONTENT, "bytes 10-19/3000000"));
        assert_eq!(part.body, content[10..20]);
        let backward = client.send("GET", &path, &[("range", "bytes=19-10")], "").await;
        assert_eq!(
            (backward.status, backward.header("content-range")),
            (StatusCode::RANGE_NOT_SATISFIABLE, "bytes */3000000")
        );
        let beyond = client.send("GET", &path, &[("range", "bytes=3000000-")], "").await;
        assert_eq!(beyond.status, StatusCode::RANGE_NOT_SATISFIABLE);
        let head = client.send("HEAD", &path, &[], "").await;
        assert_eq!((head.status, head.header("content-length"), head.body.len()), (StatusCode::OK, "3000000", 0));

        // Mounting, and a mount that cannot be.
        let mount = client.send("POST", &format!("/v2/c/blobs/uploads/?mount={digest}&from=a/b"), &[], "").await;
        assert_eq!(mount.status, StatusCode::CREATED);
        assert_eq!(client.get(&format!("/v2/c/blobs/{digest}")).await.body.len(), content.len());
        // From anywhere: whoever writes here may read everything.
        let anywhere = client.send("POST", &format!("/v2/e/blobs/uploads/?mount={digest}"), &[], "").await;
        assert_eq!(anywhere.status, StatusCode::CREATED);
        assert_eq!(client.get(&format!("/v2/e/blobs/{digest}")).await.body.len(), content.len());
        let unheard = Digest::sha256(b"unheard of");
        let nowhere = client.send("POST", &format!("/v2/e/blobs/uploads/?mount={unheard}"), &[], "").await;
        assert_eq!(nowhere.status, StatusCode::ACCEPTED);
        let none = client.send("POST", &format!("/v2/d/blobs/uploads/?mount={digest}&from=x"), &[], "").await;
        assert_eq!(none.status, StatusCode::ACCEPTED);
        assert_eq!(client.get(&format!("/v2/d/blobs/{digest}")).await.code(), "BLOB_UNKNOWN");

        // Deleting takes it from one repository only.
        assert_eq!(client.send("DELETE", &path, &[], "").await.status, StatusCode::ACCEPTED);
        assert_eq!(client.send("DELETE", &path, &[], "").await.status, StatusCode::NOT_FOUND);
        assert_eq!(client.get(&path).await.status, StatusCode::NOT_FOUND);
        assert_eq!(client.get(&format!("/v2/c/blobs/{digest}")).await.status, StatusCode::OK);
        registry.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn content_that_is_not_what_was_announced_is_refused() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let other = Digest::sha256(b"other");
        let got = client.send("POST", &format!("/v2/a/blobs/uploads/?digest={other}"), &[], "content").await;
        assert_eq!((got.status, &*got.code()), (StatusCode::BAD_REQUEST, "DIGEST_INVALID"));
        assert_eq!(client.get(&format!("/v2/a/blobs/{other}")).await.status, StatusCode::NOT_FOUND);
        let got = client.send("POST", "/v2/a/blobs/uploads/?digest=md5:00", &[], "").await;
        assert_eq!(got.code(), "DIGEST_INVALID");
        let start = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
        let location = start.header("location").to_owned();
        let got = client.send("PATCH", &location, &[("content-range", "0-9")], "12345").await;
        assert_eq!(got.code(), "SIZE_INVALID");
        assert_eq!(client.send("PUT", &location, &[], "12345").await.code(), "DIGEST_INVALID");
        assert_eq!(client.send("DELETE", &location, &[], "").await.status, StatusCode::NO_CONTENT);
        assert_eq!(client.send("PATCH", &location, &[], "12345").await.status, StatusCode::NOT_FOUND);
        registry.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sha512_announced_early_and_late() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let digest = sha512(b"content");
        let early = client.send("POST", &format!("/v2/a/blobs/uploads/?digest={digest}"), &[], "content").await;
        assert_eq!(early.status, StatusCode::CREATED);
        let start = client.send("POST", "/v2/b/blobs/uploads/", &[], "").await;
        let location = start.header("location").to_owned();
        client.send("PATCH", &location, &[], "con").await;
        let late = client.send("PUT", &format!("{location}?digest={digest}"), &[], "tent").await;
        assert_eq!(late.status, StatusCode::CREATED);
        assert_eq!(client.get(&format!("/v2/b/blobs/{digest}")).await.body, "content");
        registry.stop().await.unwrap();
    }
}

/// The client goes away in the middle of a chunk: what arrived is kept, the upload can be resumed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_that_breaks_off_can_resume() {
    use tokio::io::AsyncWriteExt;
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let start = client.send("POST", "/v2/a/blobs/uploads/", &[], "").await;
        let location = start.header("location").to_owned();
        let mut raw = tokio::net::TcpStream::connect(registry.addr()).await.unwrap();
        let head = format!("PATCH {location} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf-");
        raw.write_all(head.as_bytes()).await.unwrap();
        // While that request runs nobody else gets the upload.
        let mut busy = false;
        for _ in 0..2000 {
            busy |= client.get(&location).await.status == StatusCode::CONFLICT;
            if busy {
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        assert!(busy);
        drop(raw);
        let mut range = String::new();
        for _ in 0..1000 {
            let got = client.get(&location).await;
            if got.status == StatusCode::NO_CONTENT {
                range = got.header("range").to_owned();
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        assert_eq!(range, "0-4");
        let digest = Digest::sha256(b"half-other");
        let done = client.send("PUT", &format!("{location}?digest={digest}"), &[], "other").await;
        assert_eq!(done.status, StatusCode::CREATED);
        registry.stop().await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_blob_pushed_by_many_at_once() {
    for (registry, _folder) in both().await {
        let content = noise(400_000);
        let mut pushes = tokio::task::JoinSet::new();
        for _ in 0..8 {
            let (address, content) = (registry.addr(), content.clone());
            pushes.spawn(async move { Client::new(address).await.blob("a", &content).await });
        }
        pushes.join_all().await;
        let mut client = Client::new(registry.addr()).await;
        let got = client.get(&format!("/v2/a/blobs/{}", Digest::sha256(&content))).await;
        assert_eq!(got.body, content);
        registry.stop().await.unwrap();
    }
}

/// A single request that breaks off leaves nothing: nobody knows the upload's name.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_single_request_that_breaks_off_leaves_nothing() {
    use tokio::io::AsyncWriteExt;
    let folder = tempfile::tempdir().unwrap();
    let registry = schleuse_registry::Registry::disk(folder.path()).unwrap();
    let registry = registry.spawn(super::harness::loopback()).await.unwrap();
    let uploads = || std::fs::read_dir(folder.path().join("uploads")).unwrap().count();
    let mut raw = tokio::net::TcpStream::connect(registry.addr()).await.unwrap();
    let path = format!("/v2/a/blobs/uploads/?digest={}", Digest::sha256(b"half-other"));
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\nhalf-");
    raw.write_all(head.as_bytes()).await.unwrap();
    let mut seen = Vec::new();
    for expected in [1, 0] {
        for _ in 0..200 {
            if uploads() == expected {
                seen.push(expected);
                break;
            }
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
        raw.shutdown().await.unwrap();
    }
    assert_eq!(seen, [1, 0]);
    registry.stop().await.unwrap();
}

#[tokio::test]
async fn what_is_deleted_from_no_repository_makes_none() {
    for (registry, _folder) in both().await {
        let mut client = Client::new(registry.addr()).await;
        let digest = Digest::sha256(b"x");
        for path in [format!("blobs/{digest}"), format!("manifests/{digest}"), "manifests/x".to_owned()] {
            let got = client.send("DELETE", &format!("/v2/nowhere/{path}"), &[], "").await;
            assert_eq!(got.status, StatusCode::NOT_FOUND, "{path}");
        }
        assert_eq!(client.get("/v2/nowhere/tags/list").await.status, StatusCode::NOT_FOUND);
        registry.stop().await.unwrap();
    }
}
