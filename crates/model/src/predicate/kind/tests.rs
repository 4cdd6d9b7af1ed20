use super::*;

const ALL: [(&str, PredicateKind); 13] = [
    (SLSA_PROVENANCE_V1, PredicateKind::Provenance),
    (SPDX, PredicateKind::Spdx),
    (SPDX_V22, PredicateKind::Spdx),
    (SPDX_V23, PredicateKind::Spdx),
    (CYCLONEDX, PredicateKind::CycloneDx),
    ("https://cyclonedx.org/bom/v1.4", PredicateKind::CycloneDx),
    ("https://cyclonedx.org/bom/v1.7", PredicateKind::CycloneDx),
    (VULNS_V01, PredicateKind::Vulns),
    (VULNS_V02, PredicateKind::Vulns),
    (COSIGN_VULN_V1, PredicateKind::Vulns),
    (TEST_RESULT_V01, PredicateKind::TestResult),
    (SLSA_VSA_V1, PredicateKind::Vsa),
    (COSIGN_SIGN_V1, PredicateKind::Signature),
];

#[test]
fn each_type_is_of_one_kind() {
    for (predicate_type, kind) in ALL {
        assert_eq!(PredicateKind::of(predicate_type), kind, "{predicate_type}");
        for (_, other) in ALL {
            assert_eq!(other.accepts(predicate_type), other == kind, "{other} and {predicate_type}");
        }
    }
}

#[test]
fn neighbours_are_other_types() {
    for neighbour in [
        "",
        "spdx",
        "https://slsa.dev/provenance/v0.2",
        "https://slsa.dev/provenance/v1.0",
        "https://slsa.dev/provenance/v1/",
        "https://spdx.dev/Document/v3",
        "https://cyclonedx.org/bom/v1.8",
        "https://cyclonedx.org/bomb",
        "HTTPS://spdx.dev/Document",
    ] {
        let kind = PredicateKind::of(neighbour);
        assert_eq!(kind, PredicateKind::Other(neighbour.to_owned()));
        assert!(kind.accepts(neighbour) && !kind.accepts(SPDX));
        assert_eq!(kind.written_as(b"not even JSON").unwrap(), neighbour);
    }
}

#[test]
fn short_names_and_aliases() {
    for (name, kind) in NAMES {
        let selector: PredicateSelector = name.parse().unwrap();
        assert_eq!((selector.kind(), name.parse().as_ref()), (&kind, Ok(&kind)));
        assert_eq!(selector.to_string(), kind.short_name());
    }
    let names: Vec<_> = PredicateKind::short_names().collect();
    assert_eq!(names, ["slsaprovenance", "spdx", "cyclonedx", "vuln", "test-result", "vsa"]);
    for name in names {
        assert_eq!(name.parse::<PredicateKind>().unwrap().to_string(), name);
    }
}

#[test]
fn only_what_differs_with_the_platform_is_said_of_each_image() {
    let per_platform = |name: &&str| name.parse::<PredicateKind>().unwrap().is_per_platform();
    assert_eq!(PredicateKind::short_names().filter(per_platform).collect::<Vec<_>>(), ["spdx", "cyclonedx", "vuln"]);
    assert!("https://cyclonedx.org/bom/v1.6".parse::<PredicateKind>().unwrap().is_per_platform());
    assert!(!PredicateKind::Signature.is_per_platform());
    assert!(!"https://acme.dev/review/v1".parse::<PredicateKind>().unwrap().is_per_platform());
}

#[test]
fn a_short_name_means_the_kind_and_a_uri_means_itself() {
    let document = br#"{"spdxVersion":"SPDX-2.3"}"#;
    let short: PredicateSelector = "spdx".parse().unwrap();
    assert!(short.accepts(SPDX) && short.accepts(SPDX_V22) && !short.accepts(CYCLONEDX));
    assert_eq!(short.written_as(document).unwrap(), SPDX_V23);
    let exact: PredicateSelector = SPDX.parse().unwrap();
    assert!(exact.accepts(SPDX) && !exact.accepts(SPDX_V23));
    assert_eq!((exact.kind(), exact.written_as(document).unwrap().as_str()), (&PredicateKind::Spdx, SPDX));
}

#[test]
fn what_is_written_follows_the_document() {
    let written = |kind: PredicateKind, body: &str| match kind.written_as(body.as_bytes()) {
        Ok(predicate_type) => predicate_type,
        Err(error) => error.to_string(),
    };
    assert_eq!(written(PredicateKind::Spdx, r#"{"spdxVersion":"SPDX-2.2"}"#), SPDX_V22);
    assert_eq!(
        written(PredicateKind::Spdx, r#"{"spdxVersion":"SPDX-2.1"}"#),
        "`spdxVersion` in the spdx predicate is not `SPDX-2.2` or `SPDX-2.3`"
    );
    assert_eq!(written(PredicateKind::Spdx, "{}"), "the spdx predicate has no `spdxVersion`");
    assert_eq!(written(PredicateKind::Vulns, r#"{"scanner":{"result":[]}}"#), VULNS_V02);
    assert_eq!(written(PredicateKind::Vulns, r#"{"scanner":{"result":{"SchemaVersion":2}}}"#), COSIGN_VULN_V1);
    assert_eq!(written(PredicateKind::Vulns, "{}"), VULNS_V02);
    assert_eq!(written(PredicateKind::Vulns, "[]"), "the vuln predicate is not a JSON object");
    assert_eq!(written(PredicateKind::Provenance, ""), SLSA_PROVENANCE_V1);
}

#[test]
fn what_is_no_predicate_type() {
    let refused = |text: &str| text.parse::<PredicateSelector>().unwrap_err();
    assert_eq!(
        refused("sbom").to_string(),
        "`sbom` is not a predicate type: write slsaprovenance, spdx, cyclonedx, vuln, test-result, vsa, or the type's URI"
    );
    for bad in ["", ":", "https:", ":x", "1a:x", "a b:x", "https://a b", "https://a\n", "https://a\u{202e}b", "SPDX"] {
        assert!(matches!(refused(bad), PredicateKindError::Unknown { .. }), "{bad:?}");
    }
    assert!(!refused("a\u{1b}[31m").to_string().contains('\u{1b}'));
    for good in ["urn:x", "a:b", "cosign.sigstore.dev:x", &format!("https://{}", "a".repeat(504))] {
        assert_eq!(good.parse::<PredicateSelector>().unwrap().to_string(), good);
    }
    let long = refused(&format!("https://{}", "a".repeat(505)));
    assert_eq!(long, PredicateKindError::TooLong { size: 513 });
    assert!(
        long.to_string().starts_with("the predicate type has 513 bytes; at most 512 are read: write slsaprovenance,")
    );
    assert_eq!((long.exit(), long.hints().len()), (Exit::Usage, 1));
}
