//! Answers that are not the registry's own, or not whole.

use schleuse_oci::{Index, media_type};
use schleuse_sign::{SignOptions, legacy};
use schleuse_testkit::proxy::Fault;

use super::siege::{Siege, bundle_only, legacy_only};

/// 200 and a list of nothing.
fn empty_list() -> Fault {
    let headers = vec![("content-type", media_type::IMAGE_INDEX.to_owned())];
    Fault::answer(200, headers, Index::new(Vec::new()).to_manifest().bytes().clone())
}

/// A registry's own "not there".
fn absent() -> Fault {
    Fault::status(404, r#"{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}"#)
}

#[tokio::test]
async fn an_empty_list_is_no_only_if_the_legacy_tag_is_cleanly_absent_too() {
    let siege = Siege::with_api().await;
    siege.answer("/referrers/", empty_list());
    siege.finds_nothing().await;
    for (why, answer) in [
        ("a portal", Fault::captive_portal()),
        ("a portal's 404", Fault::page(404)),
        ("forbidden", Fault::status(403, r#"{"errors":[{"code":"DENIED"}]}"#)),
        ("a 404 that means no permission", Fault::status(404, r#"{"errors":[{"code":"UNAUTHORIZED"}]}"#)),
        ("another success", Fault::status(204, "")),
        ("no manifest", Fault::status(200, "{}")),
    ] {
        siege.proxy.reset();
        siege.answer("/referrers/", empty_list());
        siege.answer_tag(&siege.tag(legacy::SIGNATURES), answer);
        siege.knows_not(why).await;
    }
    siege.proxy.reset();
    siege.sign(&legacy_only()).await;
    siege.answer("/referrers/", empty_list());
    assert!(siege.finds().await.origin().is_legacy());
}

#[tokio::test]
async fn a_web_page_in_any_place_is_an_error_and_never_no() {
    for signed in [false, true] {
        for (siege, places) in [
            (Siege::with_api().await, &["/referrers/", "fallback", "sig"][..]),
            (Siege::without_api().await, &["fallback", "/tags/list", "sig"]),
        ] {
            if signed {
                siege.sign(&SignOptions::default()).await;
            }
            for place in places {
                for status in [200, 404] {
                    // Whatever says 404 to the API itself has none: what follows has to be clean, see below.
                    if (*place, status) == ("/referrers/", 404) {
                        continue;
                    }
                    siege.proxy.reset();
                    match *place {
                        "fallback" => siege.answer_tag(&siege.fallback(), Fault::page(status)),
                        "sig" => siege.answer_tag(&siege.tag(legacy::SIGNATURES), Fault::page(status)),
                        path => siege.answer(path, Fault::page(status)),
                    }
                    if signed && *place == "sig" {
                        // Never asked for: the bundle is enough.
                        siege.finds().await;
                    } else {
                        siege.knows_not(&format!("{place} {status}")).await;
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_portal_before_the_whole_registry_is_an_error() {
    let siege = Siege::with_api().await;
    siege.sign(&SignOptions::default()).await;
    for status in [200, 404] {
        siege.proxy.reset();
        siege.answer("/", Fault::page(status));
        siege.knows_not(&format!("a portal that answers {status}")).await;
    }
}

#[tokio::test]
async fn a_web_page_in_place_of_a_bundle_or_of_its_content_is_an_error_and_not_gone() {
    let siege = Siege::with_api().await;
    siege.sign(&bundle_only()).await;
    for part in ["/manifests/sha256:", "/blobs/sha256:"] {
        for status in [200, 404] {
            siege.proxy.reset();
            siege.answer(part, Fault::page(status));
            siege.knows_not(&format!("{part} {status}")).await;
        }
    }
}

#[tokio::test]
async fn a_lost_fallback_tag_takes_nothing_with_it_where_there_is_no_api() {
    let siege = Siege::without_api().await;
    siege.sign(&bundle_only()).await;
    siege.finds().await;
    // Overwritten by somebody who had read it before we wrote.
    siege.tagged(&siege.fallback(), &Index::new(Vec::new()).to_manifest()).await;
    siege.finds().await;
    // Gone, while our own tags, whose names start like it, are there.
    siege.proxy.reset();
    siege.answer_tag(&siege.fallback(), absent());
    siege.finds().await;
    // And the reverse: with the own tags gone as well there is nothing left, which is a clean no.
    siege.answer("/tags/list", Fault::status(200, r#"{"name":"acme/billing","tags":["1"]}"#));
    siege.finds_nothing().await;
}

#[tokio::test]
async fn a_registry_that_lost_the_api_still_has_our_own_tags() {
    let siege = Siege::without_api().await;
    siege.sign(&bundle_only()).await;
    // Routers answer in many ways to a path that they do not know.
    for answer in [Fault::page(404), Fault::status(404, ""), Fault::status(404, "404 page not found")] {
        siege.proxy.reset();
        siege.answer("/referrers/", answer);
        siege.finds().await;
    }
}
