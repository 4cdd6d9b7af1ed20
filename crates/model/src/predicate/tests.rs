//! One table for all types: the specification's example is read, and each required field that is taken out is named.

mod examples;

use examples::{cyclonedx, examples, provenance, spdx, summary, test_result, vulns};
use serde_json::{Value, json};

use super::provenance::{Provenance, ProvenanceHead};
use super::sbom::{CycloneDxHead, SpdxHead};
use super::vsa::Vsa;
use super::vulns::{CosignVuln, Vulns};
use super::*;
use crate::{Exit, Explain, json};

const LIMIT: usize = 4096;

fn said(predicate_type: &str, predicate: &Value) -> String {
    match check(predicate_type, predicate.to_string().as_bytes(), LIMIT) {
        Ok(()) => "fine".to_owned(),
        Err(error) => error.to_string(),
    }
}

fn is_index(place: &str) -> bool {
    place.rsplit('/').next().is_some_and(|part| part.parse::<usize>().is_ok())
}

/// `/scanner/result/0/id` as messages have it: `scanner.result[0].id`.
fn path(pointer: &str) -> String {
    let part = |part: &str| if part.parse::<usize>().is_ok() { format!("[{part}]") } else { format!(".{part}") };
    pointer[1..].split('/').map(part).collect::<String>().trim_start_matches('.').to_owned()
}

fn without(document: &Value, pointer: &str) -> Value {
    let mut document = document.clone();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    assert!(document.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name).is_some(), "{pointer}");
    document
}

fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    *document.pointer_mut(pointer).unwrap() = value;
    document
}

/// Every place of a document, itself included.
fn places(value: &Value, here: &str) -> Vec<String> {
    let below: Vec<_> = match value {
        Value::Object(map) => map.iter().flat_map(|(name, v)| places(v, &format!("{here}/{name}"))).collect(),
        Value::Array(list) => list.iter().enumerate().flat_map(|(i, v)| places(v, &format!("{here}/{i}"))).collect(),
        _ => Vec::new(),
    };
    [here.to_owned()].into_iter().chain(below).collect()
}

#[test]
fn the_examples_are_read_and_each_required_field_is_missed() {
    for (predicate_type, example, name, required) in examples() {
        assert_eq!(said(predicate_type, &example), "fine", "{predicate_type}");
        for pointer in required {
            let missed = format!("the {name} predicate has no `{}`", path(pointer));
            assert_eq!(said(predicate_type, &without(&example, pointer)), missed);
            assert_eq!(said(predicate_type, &with(&example, pointer, Value::Null)), missed, "null counts as absent");
        }
    }
}

#[test]
fn what_is_not_required_may_be_absent_and_what_is_not_known_is_ignored() {
    for (predicate_type, example, _, required) in examples() {
        for place in places(&example, "") {
            let needed = required.iter().any(|pointer| pointer.starts_with(&place)) || is_index(&place);
            if !needed {
                assert_eq!(said(predicate_type, &without(&example, &place)), "fine", "{place} of {predicate_type}");
            }
            if let Some(Value::Object(map)) = example.pointer(&place).filter(|_| !place.ends_with("Levels")) {
                let more = map.clone().into_iter().chain([("https://acme.dev/x".to_owned(), json!("9"))]).collect();
                assert_eq!(said(predicate_type, &with(&example, &place, Value::Object(more))), "fine", "{place}");
            }
        }
    }
}

/// Whatever stands in whatever place: what passes the check can be read as the type that the check promises.
#[test]
fn what_passes_is_read() {
    let others = [json!(null), json!(5), json!(""), json!("x"), json!([]), json!({}), json!([{}]), json!({"a": "b"})];
    for (predicate_type, example, ..) in examples() {
        for place in places(&example, "") {
            for other in &others {
                let changed = with(&example, &place, other.clone()).to_string();
                let bytes = changed.as_bytes();
                if check(predicate_type, bytes, LIMIT).is_err() {
                    continue;
                }
                match predicate_type {
                    VULNS_V02 => drop(json::from_untrusted::<Vulns>(bytes, LIMIT).expect(&changed)),
                    COSIGN_VULN_V1 => drop(json::from_untrusted::<CosignVuln>(bytes, LIMIT).expect(&changed)),
                    SLSA_VSA_V1 => drop(json::from_untrusted::<Vsa>(bytes, LIMIT).expect(&changed)),
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn wrong_values_are_named() {
    let wrong = [
        (VULNS_V02, vulns(), "/scanner/uri", json!(5), "`scanner.uri` in the vuln predicate is not a text"),
        (
            VULNS_V02,
            vulns(),
            "/scanner/result",
            json!({}),
            "`scanner.result` in the vuln predicate is not a list of objects",
        ),
        (
            VULNS_V02,
            vulns(),
            "/scanner/result/0",
            json!("CVE-1"),
            "`scanner.result[0]` in the vuln predicate is not an object",
        ),
        (
            VULNS_V02,
            vulns(),
            "/scanner/db/lastUpdate",
            json!("yesterday"),
            "`scanner.db.lastUpdate` in the vuln predicate is not a time such as 2026-11-23T20:11:33Z",
        ),
        (
            SLSA_VSA_V1,
            summary(),
            "/verificationResult",
            json!("passed"),
            "`verificationResult` in the vsa predicate is not `PASSED` or `FAILED`",
        ),
        (
            SLSA_VSA_V1,
            summary(),
            "/dependencyLevels/SLSA_BUILD_LEVEL_3",
            json!(-1),
            "`dependencyLevels` in the vsa predicate is not an object of counts",
        ),
        (
            SLSA_PROVENANCE_V1,
            provenance(),
            "/buildDefinition/buildType",
            json!("make"),
            "`buildDefinition.buildType` in the slsaprovenance predicate is not a URI",
        ),
        (
            SLSA_PROVENANCE_V1,
            provenance(),
            "/runDetails/builder/id",
            json!(""),
            "the slsaprovenance predicate has no `runDetails.builder.id`",
        ),
        (SPDX_V23, spdx(), "/SPDXID", json!("SPDXRef-1"), "`SPDXID` in the spdx predicate is not `SPDXRef-DOCUMENT`"),
        (SPDX_V23, spdx(), "/creationInfo/creators", json!([]), "the spdx predicate has no `creationInfo.creators`"),
        (
            SPDX_V22,
            spdx(),
            "/name",
            json!("x"),
            "`spdxVersion` in the spdx predicate is not the version that the predicate's type names",
        ),
        (
            SPDX,
            spdx(),
            "/spdxVersion",
            json!("SPDX-3.0"),
            "`spdxVersion` in the spdx predicate is not `SPDX-2.2` or `SPDX-2.3`",
        ),
        (
            CYCLONEDX,
            cyclonedx(),
            "/bomFormat",
            json!("SPDX"),
            "`bomFormat` in the cyclonedx predicate is not `CycloneDX`",
        ),
        (
            CYCLONEDX,
            cyclonedx(),
            "/specVersion",
            json!("1.8"),
            "`specVersion` in the cyclonedx predicate is not a version from `1.2` to `1.7`",
        ),
        (
            CYCLONEDX,
            cyclonedx(),
            "/version",
            json!(0),
            "`version` in the cyclonedx predicate is not a whole number from 1",
        ),
        (
            "https://cyclonedx.org/bom/v1.6",
            cyclonedx(),
            "/version",
            json!(1),
            "`specVersion` in the cyclonedx predicate is not the version that the predicate's type names",
        ),
        (
            TEST_RESULT_V01,
            test_result(),
            "/result",
            json!("ok"),
            "`result` in the test-result predicate is not `PASSED`, `WARNED` or `FAILED`",
        ),
    ];
    for (predicate_type, example, pointer, value, message) in wrong {
        assert_eq!(said(predicate_type, &with(&example, pointer, value)), message);
    }
}

#[test]
fn unknown_types_pass_untouched_but_are_objects() {
    let own = "https://acme.dev/attestation/review/v1";
    for predicate_type in [own, JOURNAL_ENTRY_V1, COSIGN_SIGN_V1, "https://slsa.dev/provenance/v0.2"] {
        assert_eq!(said(predicate_type, &json!({})), "fine");
        assert_eq!(said(predicate_type, &json!({"scanner": 5, "b": [null]})), "fine");
    }
    assert_eq!(said(own, &json!(["x"])), format!("the {own} predicate is not a JSON object"));
    assert_eq!(said("\u{1b}[2J", &json!(1)), "the \u{fffd}[2J predicate is not a JSON object");
}

#[test]
fn one_door() {
    let error = check(VULNS_V02, br#"{"scanner":{"uri":"a","uri":"b"}}"#, LIMIT).unwrap_err();
    assert_eq!(error.to_string(), "the vuln predicate cannot be read");
    let why = std::error::Error::source(&error).unwrap().to_string();
    assert!(why.starts_with("not the expected JSON: the key `uri` stands twice in one object"), "{why}");
    assert!(matches!(check("x:y", b"{}  ", 3), Err(PredicateError::Unreadable { .. })));
    assert!(matches!(check("x:y", b"{} {}", LIMIT), Err(PredicateError::Unreadable { .. })));
    assert!(check("x:y", b" {} ", LIMIT).is_ok());
}

#[test]
fn an_error_says_where_the_format_is_described() {
    let error = check(SLSA_VSA_V1, b"{}", LIMIT).unwrap_err();
    assert_eq!(error.exit(), Exit::Usage);
    assert_eq!(error.hints(), ["the format is described at https://slsa.dev/spec/v1.0/verification_summary"]);
}

#[test]
fn what_we_write_is_what_we_read() {
    let read: Vulns = json::from_untrusted(vulns().to_string().as_bytes(), LIMIT).unwrap();
    let written = json::to_bytes(&read);
    assert_eq!(json::from_untrusted::<Value>(&written, LIMIT).unwrap(), vulns());
    assert!(check(VULNS_V02, &written, LIMIT).is_ok());
    let read: Vsa = json::from_untrusted(summary().to_string().as_bytes(), LIMIT).unwrap();
    let written = json::to_bytes(&read);
    assert_eq!(json::from_untrusted::<Value>(&written, LIMIT).unwrap(), summary());
    assert!(check(SLSA_VSA_V1, &written, LIMIT).is_ok());
}

#[test]
fn heads() {
    let bytes = |document: Value| document.to_string().into_bytes();
    let head = SpdxHead::read(&bytes(spdx()), LIMIT).unwrap();
    assert_eq!(
        (head.spdx_version.as_str(), head.creators.as_slice()),
        ("SPDX-2.3", &["Tool: LicenseFind-1.0".to_owned()][..])
    );
    let head = CycloneDxHead::read(&bytes(without(&cyclonedx(), "/version")), LIMIT).unwrap();
    assert_eq!((head.spec_version.as_str(), head.version), ("1.4", 1));
    // Others' external parameters are no map of texts: the head is read, our own type is not.
    let head = ProvenanceHead::read(&bytes(provenance()), LIMIT).unwrap();
    assert_eq!(head.external_parameters["workflow"]["ref"], "refs/heads/main");
    assert!(json::from_untrusted::<Provenance>(&bytes(provenance()), LIMIT).is_err());
}

#[test]
fn both_shapes_of_the_first_scan_and_of_annotations() {
    let wrapped = with(&vulns(), "/scanner/result/0", json!({"vulnerability": {"id": "CVE-1", "severity": []}}));
    assert_eq!(said(VULNS_V01, &wrapped), "fine");
    assert_eq!(said(VULNS_V02, &wrapped), "the vuln predicate has no `scanner.result[0].id`");
    let one = with(&vulns(), "/scanner/result/0/annotations", json!({"package": "zlib"}));
    assert_eq!(said(VULNS_V02, &one), "fine");
    let read = |document: Value| json::from_untrusted::<Vulns>(document.to_string().as_bytes(), LIMIT).unwrap();
    assert_eq!(read(one), read(vulns()));
}
