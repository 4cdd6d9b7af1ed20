//! A document of each type that is read, and what of it is required.

use serde_json::{Value, json};

use super::super::{
    COSIGN_VULN_V1, CYCLONEDX, SLSA_PROVENANCE_V1, SLSA_VSA_V1, SPDX_V23, TEST_RESULT_V01, VULNS_V01, VULNS_V02,
};

/// in-toto, `vulns_02.md`, Example; with an annotation.
pub(super) fn vulns() -> Value {
    json!({
        "scanner": {
            "uri": "pkg:github/aquasecurity/trivy@244fd47e07d1004f0aed9",
            "version": "0.19.2",
            "db": {
                "uri": "pkg:github/aquasecurity/trivy-db/commit/4c76bb580b2736d67751410fa4ab66d2b6b9b27d",
                "version": "v1-2021080612",
                "lastUpdate": "2021-08-06T17:45:50.52Z"
            },
            "result": [{
                "id": "CVE-123",
                "severity": [{"method": "nvd", "score": "medium"}, {"method": "cvss_score", "score": "5.2"}],
                "annotations": [{"package": "zlib"}]
            }]
        },
        "metadata": {"scanStartedOn": "2021-08-06T17:45:50.52Z", "scanFinishedOn": "2021-08-06T17:50:50.52Z"}
    })
}

/// cosign's specification, its example, in the shape that cosign and trivy write; the report is cut.
pub(super) fn cosign_vuln() -> Value {
    json!({
        "invocation": {
            "parameters": ["--format=json"],
            "uri": "https://github.com/developer-guy/alpine/actions/runs/1071875574",
            "event_id": "1071875574",
            "builder.id": "github actions"
        },
        "scanner": {
            "uri": "pkg:github/aquasecurity/trivy@244fd47e07d1004f0aed9",
            "version": "0.19.2",
            "db": {"uri": "pkg:github/aquasecurity/trivy-db", "version": "v1-2021080612"},
            "result": {"SchemaVersion": 2, "ArtifactName": "alpine:3.12"}
        },
        "metadata": {"scanStartedOn": "2021-08-06T17:45:50.52Z", "scanFinishedOn": "2021-08-06T17:50:50.52Z"}
    })
}

/// SLSA 1.0, verification summary, Example; with a second digest.
pub(super) fn summary() -> Value {
    json!({
        "verifier": {"id": "https://example.com/publication_verifier"},
        "timeVerified": "1985-04-12T23:20:50.52Z",
        "resourceUri": "https://example.com/example-1.2.3.tar.gz",
        "policy": {"uri": "https://example.com/example_tarball.policy", "digest": {"sha256": "1234"}},
        "inputAttestations": [{
            "uri": "https://example.com/provenances/example-1.2.3.tar.gz.intoto.jsonl",
            "digest": {"sha256": "abcd", "sha512": "ef01"}
        }],
        "verificationResult": "PASSED",
        "verifiedLevels": ["SLSA_BUILD_LEVEL_3"],
        "dependencyLevels": {"SLSA_BUILD_LEVEL_3": 5, "SLSA_BUILD_LEVEL_2": 7, "SLSA_BUILD_LEVEL_1": 1},
        "slsaVersion": "1.0"
    })
}

/// What GitHub's generator writes: external parameters that are objects.
pub(super) fn provenance() -> Value {
    json!({
        "buildDefinition": {
            "buildType": "https://actions.github.io/buildtypes/workflow/v1",
            "externalParameters": {"workflow": {"ref": "refs/heads/main", "path": ".github/workflows/ci.yml"}},
            "internalParameters": {"github": {"event_name": "push"}},
            "resolvedDependencies": [{"uri": "git+https://github.com/acme/x", "digest": {"gitCommit": "7fd1a60b01f9"}}]
        },
        "runDetails": {
            "builder": {"id": "https://github.com/acme/x/.github/workflows/ci.yml@refs/heads/main"},
            "metadata": {"invocationId": "https://github.com/acme/x/actions/runs/1/attempts/1"}
        }
    })
}

pub(super) fn spdx() -> Value {
    json!({
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": "billing",
        "documentNamespace": "https://acme.dev/spdx/billing-1",
        "creationInfo": {"created": "2010-01-29T18:30:22Z", "creators": ["Tool: LicenseFind-1.0"]},
        "packages": []
    })
}

/// in-toto, `cyclonedx.md`, Example.
pub(super) fn cyclonedx() -> Value {
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.4",
        "serialNumber": "urn:uuid:3e671687-395b-41f5-a30f-a58921a69b79",
        "version": 1,
        "components": [{"type": "library", "name": "acme-library", "version": "1.0.0"}]
    })
}

pub(super) fn test_result() -> Value {
    json!({"result": "WARNED", "configuration": [{"name": "ci.yml"}], "passedTests": ["build"], "failedTests": null})
}

pub(super) type Example = (&'static str, Value, &'static str, &'static [&'static str]);

/// Type, example, name in messages, and the JSON pointers of everything that is required.
pub(super) fn examples() -> [Example; 8] {
    let scan: &[_] = &[
        "/scanner",
        "/scanner/uri",
        "/scanner/db",
        "/scanner/db/lastUpdate",
        "/scanner/result",
        "/scanner/result/0/id",
        "/scanner/result/0/severity",
        "/scanner/result/0/severity/0/method",
        "/scanner/result/0/severity/0/score",
        "/scanner/result/0/severity/1/method",
        "/scanner/result/0/severity/1/score",
        "/metadata",
        "/metadata/scanStartedOn",
        "/metadata/scanFinishedOn",
    ];
    let cosign: &[_] =
        &["/scanner", "/scanner/result", "/metadata", "/metadata/scanStartedOn", "/metadata/scanFinishedOn"];
    let summarised: &[_] = &[
        "/verifier",
        "/verifier/id",
        "/timeVerified",
        "/resourceUri",
        "/policy",
        "/policy/uri",
        "/inputAttestations/0/digest",
        "/verificationResult",
        "/verifiedLevels",
    ];
    let built: &[_] = &[
        "/buildDefinition",
        "/buildDefinition/buildType",
        "/buildDefinition/externalParameters",
        "/runDetails",
        "/runDetails/builder",
        "/runDetails/builder/id",
    ];
    let document: &[_] = &[
        "/spdxVersion",
        "/dataLicense",
        "/SPDXID",
        "/name",
        "/documentNamespace",
        "/creationInfo",
        "/creationInfo/created",
        "/creationInfo/creators",
    ];
    [
        (VULNS_V02, vulns(), "vuln", scan),
        (VULNS_V01, vulns(), "vuln", scan),
        (COSIGN_VULN_V1, cosign_vuln(), "vuln", cosign),
        (SLSA_VSA_V1, summary(), "vsa", summarised),
        (SLSA_PROVENANCE_V1, provenance(), "slsaprovenance", built),
        (SPDX_V23, spdx(), "spdx", document),
        (CYCLONEDX, cyclonedx(), "cyclonedx", &["/bomFormat", "/specVersion"]),
        (TEST_RESULT_V01, test_result(), "test-result", &["/result", "/configuration"]),
    ]
}
