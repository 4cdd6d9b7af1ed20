//! Ten thousand referrers.

use std::collections::BTreeMap;

use schleuse_model::predicate::{COSIGN_SIGN_V1, SLSA_PROVENANCE_V1};
use schleuse_model::{Digest, json};
use schleuse_oci::{Descriptor, Error, Index, Referrers as _, media_type};
use schleuse_sign::artifact::PREDICATE_TYPE;
use schleuse_sign::candidate::Origin;
use schleuse_testkit::proxy::Fault;

use super::siege::{Siege, bundle_only, legacy_only};

/// Referrers a page.
const PAGE: usize = 2_000;

/// So many referrers that nobody has pushed, all with this remark.
fn crowd(count: usize, remark: &str) -> Vec<Descriptor> {
    let one = |number: usize| {
        let mut one = Descriptor::new(media_type::IMAGE_MANIFEST, Digest::sha256(&number.to_be_bytes()), 900);
        one.annotations = BTreeMap::from([(PREDICATE_TYPE.to_owned(), remark.to_owned())]);
        one
    };
    (0..count).map(one).collect()
}

/// The registry lists these.
fn list(siege: &Siege, referrers: &[Descriptor]) {
    list_in_pages(siege, referrers, PAGE);
}

fn list_in_pages(siege: &Siege, referrers: &[Descriptor], page: usize) {
    let base = format!("/referrers/{}", siege.image.digest());
    let pages: Vec<_> = referrers.chunks(page).collect();
    // Backwards: the first page's path is the start of the others'.
    for (number, page) in pages.iter().enumerate().rev() {
        let mut headers = vec![("content-type", media_type::IMAGE_INDEX.to_owned())];
        if number + 1 < pages.len() {
            let next = format!("/v2/{}{base}?page={:02}", siege.image.repository().path(), number + 1);
            headers.push(("link", format!("<{next}>; rel=\"next\"")));
        }
        let body = json::to_bytes(&Index::new(page.to_vec()));
        let path = if number == 0 { base.clone() } else { format!("{base}?page={number:02}") };
        siege.answer(&path, Fault::answer(200, headers, body));
    }
}

/// The reads after the list: manifests and blobs by digest.
fn read(siege: &Siege) -> usize {
    siege.asked().iter().filter(|path| path.contains("/manifests/sha256:") || path.contains("/blobs/sha256:")).count()
}

#[tokio::test]
async fn ten_thousand_attestations_do_not_hide_a_signature_and_cost_no_reads() {
    let siege = Siege::with_api().await;
    siege.sign(&bundle_only()).await;
    let ours = siege.client.referrers(&siege.image, 10).await.unwrap().remove(0);
    let mut listed = crowd(10_000, SLSA_PROVENANCE_V1);
    listed.push(ours.clone());
    siege.proxy.reset();
    list(&siege, &listed);
    assert_eq!(siege.finds().await.origin(), &Origin::Referrer(ours.digest));
    assert_eq!(read(&siege), 2, "{:?}", siege.asked());
}

#[tokio::test]
async fn ten_thousand_that_call_themselves_signatures_are_not_read_to_the_end_and_no_no() {
    let siege = Siege::with_api().await;
    // Not even a good legacy signature is looked for then: what an answer would rest on is unknown.
    siege.sign(&legacy_only()).await;
    siege.proxy.reset();
    list(&siege, &crowd(10_000, COSIGN_SIGN_V1));
    let error = siege.knows_not("a crowd").await;
    assert!(matches!(error, Error::TooLarge { limit: 256, .. }), "{error:?}");
    assert_eq!(read(&siege), 256);
}

#[tokio::test]
async fn more_than_are_read_in_all_is_an_error_before_the_first_is_read() {
    let siege = Siege::with_api().await;
    siege.proxy.reset();
    list(&siege, &crowd(16_385, SLSA_PROVENANCE_V1));
    let error = siege.knows_not("a larger crowd").await;
    assert!(matches!(error, Error::TooLarge { limit: 16_384, .. }), "{error:?}");
    assert_eq!(read(&siege), 0);
}

#[tokio::test]
async fn a_few_that_say_megabytes_about_themselves_are_an_error_before_memory_ends() {
    let siege = Siege::with_api().await;
    siege.sign(&bundle_only()).await;
    siege.proxy.reset();
    let mut few = crowd(12, SLSA_PROVENANCE_V1);
    for one in &mut few {
        one.annotations.insert("long".to_owned(), "x".repeat(4_000_000));
    }
    list_in_pages(&siege, &few, 1);
    let error = siege.knows_not("long remarks").await;
    assert!(matches!(error, Error::TooLarge { limit: 0x200_0000, .. }), "{error:?}");
    let pages = siege.asked().iter().filter(|path| path.contains("/referrers/")).count();
    assert_eq!(pages, 9, "the page that is too much is the last one read");
}

#[tokio::test]
async fn a_list_without_an_end_is_an_error() {
    let siege = Siege::with_api().await;
    let base = format!("/v2/{}/referrers/{}", siege.image.repository().path(), siege.image.digest());
    let page = |next: &str| {
        let link = ("link", format!("<{base}?page={next}>; rel=\"next\""));
        let headers = vec![("content-type", media_type::IMAGE_INDEX.to_owned()), link];
        Fault::answer(200, headers, json::to_bytes(&Index::new(Vec::new())))
    };
    // A page that follows itself; and two that follow each other.
    siege.proxy.reset();
    siege.answer("/referrers/", page("a"));
    siege.knows_not("one page without an end").await;
    assert_eq!(siege.asked().len(), 2);
    siege.proxy.reset();
    siege.answer("?page=a", page("b"));
    siege.answer("/referrers/", page("a"));
    let error = siege.knows_not("pages without an end").await;
    assert!(matches!(error, Error::TooLarge { limit: 200, .. }), "{error:?}");
    assert_eq!(siege.asked().len(), 200);
}
