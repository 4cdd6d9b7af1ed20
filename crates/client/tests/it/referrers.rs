//! Evidence on registries that half know the referrers API.

use std::collections::BTreeMap;
use std::sync::Mutex;

use schleuse_model::Digest;
use schleuse_oci::{Error, Index, Manifest, Referrers as _, evidence as names, media_type};

use crate::fake::{Asked, Fake, Reply, client, evidence, image, reply};

fn list(manifests: &[&Manifest]) -> Reply {
    let index = Index::new(manifests.iter().map(|manifest| manifest.descriptor()).collect()).to_manifest();
    reply(200).body(media_type::IMAGE_INDEX, index.bytes().clone())
}

fn digests(found: &[schleuse_oci::Descriptor]) -> Vec<Digest> {
    found.iter().map(|descriptor| descriptor.digest.clone()).collect()
}

#[tokio::test]
async fn a_list_that_is_none() {
    for answer in [
        reply(200).body("application/json", r#"{"schemaVersion":2,"manifests":[]}"#),
        reply(200).body("text/html", "<html>"),
        reply(200).body(media_type::IMAGE_MANIFEST, image("x").bytes().clone()),
        reply(200),
        reply(204),
        reply(400).error("UNSUPPORTED"),
        reply(405),
        reply(410),
    ] {
        let fake = Fake::start(move |_, asked| {
            if asked.target.contains("/referrers/") { answer.clone() } else { reply(404).error("MANIFEST_UNKNOWN") }
        })
        .await;
        let error = client().referrers(&fake.pin(b"x"), 9).await.unwrap_err();
        assert!(matches!(error, Error::Unexpected { .. } | Error::WebPage { .. }), "{error:?}");
    }
    let malformed = Fake::start(|_, _| reply(200).body(media_type::IMAGE_INDEX, r#"{"schemaVersion":2}"#)).await;
    assert!(matches!(client().referrers(&malformed.pin(b"x"), 9).await, Err(Error::Malformed { .. })));
}

#[tokio::test]
async fn a_fallback_that_cannot_be_read_is_not_none() {
    for answer in [
        reply(404).body("text/html", "<html>"),
        reply(403).error("DENIED"),
        reply(500),
        reply(200).manifest(&image("not an index")),
        reply(200).body(media_type::IMAGE_INDEX, "{}"),
    ] {
        let fake = Fake::start(move |_, asked| match asked.target.as_str() {
            target if target.contains("/referrers/") => reply(404).body("text/plain", "404 page not found"),
            target if target.contains("/tags/list") => reply(200).body("application/json", r#"{"tags":[]}"#),
            _ => answer.clone(),
        })
        .await;
        let failed = client().referrers(&fake.pin(b"x"), 9).await;
        assert!(failed.is_err(), "{failed:?}");
    }
}

#[tokio::test]
async fn api_pages_and_fallback_are_united() {
    let subject = image("subject");
    let [one, two, three] = ["1", "2", "3"].map(|remark| evidence(&subject, remark));
    let expected = [one.digest().clone(), two.digest().clone(), three.digest().clone()];
    let pin = subject.digest().clone();
    let next = format!("</v2/a/b/referrers/{pin}?page=2>; rel=\"next\"");
    let fake = Fake::start(move |_, asked| match asked.target.as_str() {
        target if target.ends_with("page=2") => list(&[&two]),
        target if target.contains("/referrers/") => list(&[&one]).header("link", next.clone()),
        target if target.contains("/manifests/sha256-") => list(&[&two, &three]),
        _ => reply(404).error("NAME_UNKNOWN"),
    })
    .await;
    let found = client().referrers(&fake.repository().pin(pin), 3).await.unwrap();
    assert_eq!(digests(&found), expected);
    assert_eq!(fake.lines().len(), 3, "where there is an API no tags are listed");
}

/// Own tags hold what the index lost; what is not ours under such a name is left out.
#[tokio::test]
async fn own_tags_hold_what_the_index_lost() {
    let subject = image("subject");
    let [lost, listed, foreign] = ["lost", "listed", "foreign"].map(|remark| evidence(&subject, remark));
    let about_another = evidence(&image("another"), "about another");
    let tag = |manifest: &Manifest| names::own_tag(subject.digest(), manifest.digest()).unwrap().to_string();
    let tags = serde_json::json!({"name": "a/b", "tags": ["v1", tag(&lost), tag(&listed), tag(&image("gone")),
        tag(&about_another), tag(&image("moved"))]});
    let by_tag = BTreeMap::from([
        (tag(&lost), lost.clone()),
        (tag(&about_another), about_another),
        (tag(&image("moved")), foreign),
    ]);
    let expected = [listed.digest().clone(), lost.digest().clone()];
    let fake = Fake::start(move |_, asked| match asked.target.as_str() {
        target if target.contains("/referrers/") => reply(404),
        target if target.contains("/tags/list") => reply(200).body("application/json", tags.to_string()),
        target => match by_tag.get(target.rsplit('/').next().unwrap()) {
            Some(manifest) => reply(200).manifest(manifest),
            None if target.contains(".e-") => reply(404).error("MANIFEST_UNKNOWN"),
            None => list(&[&listed]),
        },
    })
    .await;
    let client = client();
    let pinned = fake.repository().pin(subject.digest().clone());
    let found = client.referrers(&pinned, 9).await.unwrap();
    assert_eq!(digests(&found), expected);
    assert_eq!(found[1].artifact_type.as_deref(), Some("application/vnd.example.evidence"));
    let first = fake.lines().len();
    assert_eq!(first, 3 + 4, "what the index lists is not read again: {:?}", fake.lines());
    client.referrers(&pinned, 9).await.unwrap();
    assert_eq!(fake.lines().len() - first, 2 + 4, "the API is asked for once");
}

/// A registry with tags, and an API by choice.
async fn registry(says_subject: bool, has_api: bool) -> Fake {
    let stored: Mutex<BTreeMap<String, Manifest>> = Mutex::default();
    Fake::start(move |_, asked: &Asked| {
        let mut stored = stored.lock().unwrap();
        let name = asked.target.rsplit('/').next().unwrap().to_owned();
        if asked.method == "PUT" {
            let manifest = Manifest::new(asked.header("content-type").unwrap(), asked.body.clone());
            stored.insert(name, manifest);
            let done = reply(201);
            return if says_subject { done.header("oci-subject", Digest::sha256(b"x").to_string()) } else { done };
        }
        if asked.target.contains("/referrers/") {
            let evidence: Vec<&Manifest> = stored
                .iter()
                .filter(|(name, manifest)| {
                    name.starts_with("sha256:") && manifest.as_image().unwrap().subject.is_some()
                })
                .map(|(_, manifest)| manifest)
                .collect();
            return if has_api { list(&evidence) } else { reply(404) };
        }
        if asked.target.contains("/tags/list") {
            let tags: Vec<&String> = stored.keys().filter(|name| !name.contains(':')).collect();
            return reply(200).body("application/json", serde_json::json!({"tags": tags}).to_string());
        }
        stored.get(&name).map_or_else(|| reply(404).error("MANIFEST_UNKNOWN"), |manifest| reply(200).manifest(manifest))
    })
    .await
}

#[tokio::test]
async fn oci_subject_alone_is_not_believed() {
    let subject = image("subject");
    for (says_subject, has_api, puts_first, puts_later) in [
        // A registry that indexes: one upload each, and one look at the list ever.
        (true, true, 1, 1),
        // ECR's half-way versions, and registries that know nothing: by digest, own tag, index; later without the first.
        (true, false, 3, 2),
        (false, false, 3, 2),
        // An API that does not index at once cannot be told from one that does not index.
        (false, true, 3, 2),
    ] {
        let fake = registry(says_subject, has_api).await;
        let pinned = fake.repository().pin(subject.digest().clone());
        let client = client();
        let puts = |before: usize| fake.asked()[before..].iter().filter(|asked| asked.method == "PUT").count();
        let first = evidence(&subject, "first");
        client.attach(&pinned, &first).await.unwrap();
        assert_eq!(puts(0), puts_first, "{says_subject} {has_api}");
        let before = fake.asked().len();
        let second = evidence(&subject, "second");
        client.attach(&pinned, &second).await.unwrap();
        assert_eq!(puts(before), puts_later, "{says_subject} {has_api}");
        if says_subject && has_api {
            assert_eq!(fake.asked().len() - before, 1);
        }
        let found = digests(&self::client().referrers(&pinned, 9).await.unwrap());
        assert!(found.contains(first.digest()) && found.contains(second.digest()) && found.len() == 2, "{found:?}");
    }
}

/// Somebody else always writes over our entry: the evidence is found all the same, and we do not try for ever.
#[tokio::test]
async fn a_lost_index_does_not_matter() {
    let subject = image("subject");
    let ours = evidence(&subject, "ours");
    let stored: Mutex<Option<Manifest>> = Mutex::default();
    let own = names::own_tag(subject.digest(), ours.digest()).unwrap().to_string();
    let theirs = evidence(&subject, "theirs");
    let own_name = own.clone();
    let fake = Fake::start(move |_, asked| {
        let own_tag = asked.target.ends_with(&own_name);
        match asked.method.as_str() {
            "PUT" => {
                if own_tag {
                    let kind = asked.header("content-type").unwrap();
                    *stored.lock().unwrap() = Some(Manifest::new(kind, asked.body.clone()));
                }
                reply(201)
            }
            _ if asked.target.contains("/referrers/") => reply(404),
            _ if asked.target.contains("/tags/list") => {
                reply(200).body("application/json", serde_json::json!({"tags": [own_name]}).to_string())
            }
            _ if own_tag => reply(200).manifest(stored.lock().unwrap().as_ref().unwrap()),
            _ => list(&[&theirs]),
        }
    })
    .await;
    let pinned = fake.repository().pin(subject.digest().clone());
    let client = client();
    client.attach(&pinned, &ours).await.unwrap();
    let writes = fake.lines().iter().filter(|line| line.starts_with("PUT") && !line.contains(".e-")).count();
    assert_eq!(writes, 1 + 5, "by digest, and five tries");
    assert!(digests(&client.referrers(&pinned, 9).await.unwrap()).contains(ours.digest()), "{own}");
}

/// On repositories whose tags cannot move the index stays as it is; our own tag does not have to move.
#[tokio::test]
async fn immutable_tags() {
    let subject = image("subject");
    let ours = evidence(&subject, "ours");
    let (served, other) = (ours.clone(), evidence(&subject, "other"));
    let fake = Fake::start(move |_, asked| match asked.method.as_str() {
        "PUT" if asked.target.contains("/manifests/sha256:") => reply(201),
        "PUT" => reply(412),
        _ if asked.target.contains(".e-") => reply(200).manifest(&served),
        _ => reply(404).error("MANIFEST_UNKNOWN"),
    })
    .await;
    let pinned = fake.repository().pin(subject.digest().clone());
    client().attach(&pinned, &ours).await.unwrap();
    // A tag of that name with other content is not our success.
    assert!(client().attach(&pinned, &other).await.is_err());
}
