//! The conformance suite of the distribution-spec, every category and every kind of data switched on.

use std::collections::BTreeMap;
use std::fs;
use std::process::{Command, Stdio};

use schleuse_testkit::peer;

use super::Server;

/// The categories of the suite (`OCI_API_…`).
const API: [&str; 16] = [
    "PING",
    "PULL",
    "PUSH",
    "BLOBS_ATOMIC",
    "BLOBS_DELETE",
    "BLOBS_DIGEST_HEADER",
    "BLOBS_MOUNT_ANONYMOUS",
    "BLOBS_UPLOAD_CANCEL",
    "MANIFESTS_ATOMIC",
    "MANIFESTS_DELETE",
    "MANIFESTS_DIGEST_HEADER",
    "MANIFESTS_TAG_PARAM",
    "TAGS_ATOMIC",
    "TAGS_DELETE",
    "TAGS_LIST",
    "REFERRER",
];

/// Its kinds of data (`OCI_DATA_…`).
const DATA: [&str; 15] = [
    "IMAGE",
    "INDEX",
    "INDEX_LIST",
    "SPARSE",
    "ARTIFACT",
    "SUBJECT",
    "SUBJECT_MISSING",
    "ARTIFACT_LIST",
    "SUBJECT_LIST",
    "DATA_FIELD",
    "NONDISTRIBUTABLE",
    "CUSTOM_FIELDS",
    "NO_LAYERS",
    "EMPTY_BLOB",
    "SHA512",
];

/// Tests that may fail, by name. A test listed here that passes fails the run.
const EXPECTED_FAILURES: [&str; 0] = [];

/// Passing tests (leaves of the suite's tree, as `junit.xml` has them) with everything on, and without sparse manifests. A run
/// with fewer did not ask everything: a suite that stops early, or a switch that it no longer knows.
const FEWEST: usize = 830;
const FEWEST_STRICT: usize = 793;

/// What the suite found: status by name, of leaves; several may have one name.
struct Results {
    tests: Vec<(String, String)>,
    /// Status by category or kind of data, out of `results.yaml`.
    summary: BTreeMap<String, String>,
    report: String,
}

/// Runs it against `server`. `off`: kinds of data that are switched off.
fn run(server: &Server, off: &[&str]) -> Results {
    let results = server.path("results");
    let mut command = Command::new(peer("oci-conformance"));
    command.env_clear().current_dir(server.path(".")).stdin(Stdio::null());
    command.env("OCI_REGISTRY", server.address.to_string()).env("OCI_TLS", "disabled");
    command.env("OCI_REPO1", "conformance/one").env("OCI_REPO2", "conformance/two");
    command.env("OCI_VERSION", "1.1+dev").env("OCI_RESULTS_DIR", &results);
    for name in API {
        command.env(format!("OCI_API_{name}"), "true");
    }
    for name in DATA {
        command.env(format!("OCI_DATA_{name}"), if off.contains(&name) { "false" } else { "true" });
    }
    let output = command.output().expect("the suite starts");
    let report = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let read = |name: &str| fs::read_to_string(results.join(name)).unwrap_or_else(|error| panic!("{error}\n{report}"));
    let tests = read("junit.xml").lines().filter_map(test).collect();
    let entry = |line: &str| {
        let (name, status) = line.strip_prefix("  ")?.split_once(": ")?;
        (!name.starts_with(' ')).then(|| (name.to_owned(), status.to_owned()))
    };
    let yaml = read("results.yaml");
    // What precedes is the configuration.
    let (_, found) = yaml.split_once("\napis:\n").expect("results.yaml has `apis`");
    Results { tests, summary: found.lines().filter_map(entry).collect(), report }
}

/// `<testcase name="…" … status="…">`
fn test(line: &str) -> Option<(String, String)> {
    let case = line.trim_start().strip_prefix("<testcase ")?;
    let attribute = |name: &str| Some(case.split_once(&format!("{name}=\""))?.1.split_once('"')?.0.to_owned());
    Some((attribute("name")?, attribute("status")?))
}

/// Holds the results against what we promise. Answers what is wrong with them.
fn judge(results: &Results, off: &[&str], fewest: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    for (name, status) in &results.tests {
        let expected = EXPECTED_FAILURES.contains(&name.as_str());
        match (status.as_str(), expected) {
            ("passed", false) | ("failure", true) => {}
            ("passed", true) => wrong.push(format!("{name} passes and is listed as failing")),
            _ => wrong.push(format!("{name}: {status}")),
        }
    }
    let passed = results.tests.iter().filter(|(_, status)| status == "passed").count();
    if passed < fewest {
        wrong.push(format!("only {passed} tests passed; there are at least {fewest}"));
    }
    for (name, status) in &results.summary {
        let is_off = off.iter().any(|off| name.to_uppercase().starts_with(off));
        if status != if is_off { "Disabled" } else { "Pass" } {
            wrong.push(format!("{name}: {status}"));
        }
    }
    // 28 categories and 24 kinds of data in this version of the suite.
    if results.summary.len() < 52 {
        wrong.push(format!("results.yaml has only {} entries", results.summary.len()));
    }
    wrong
}

#[test]
fn everything_switched_on() {
    let server = Server::start(&["--allow-sparse"], |_| ());
    let results = run(&server, &[]);
    let wrong = judge(&results, &[], FEWEST);
    eprintln!("conformance: {} tests, {} categories", results.tests.len(), results.summary.len());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", results.report);
    server.stop().exits(0);
}

/// As it is without flags: then a manifest must not name what is not there, which the specification leaves to the registry.
#[test]
fn as_it_is_by_default() {
    let server = Server::start(&[], |_| ());
    let results = run(&server, &["SPARSE"]);
    let wrong = judge(&results, &["SPARSE"], FEWEST_STRICT);
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", results.report);
    server.stop().exits(0);
}

/// What `judge` is for: a failure, a skipped test, a run that ended early, a category that was switched off.
#[test]
fn a_run_that_proves_less_is_refused() {
    let passing = |count: usize| vec![("a".to_owned(), "passed".to_owned()); count];
    let summary = |status: &str| {
        let mut all: BTreeMap<_, _> = (0..52).map(|number| (format!("category {number}"), "Pass".to_owned())).collect();
        all.insert("category 0".to_owned(), status.to_owned());
        all
    };
    let results = |tests, status: &str| Results { tests, summary: summary(status), report: String::new() };
    assert!(judge(&results(passing(10), "Pass"), &[], 10).is_empty());
    assert_eq!(judge(&results(passing(9), "Pass"), &[], 10).len(), 1);
    for status in ["failure", "skipped", "error"] {
        let tests = [passing(10), vec![("b".to_owned(), status.to_owned())]].concat();
        assert_eq!(judge(&results(tests, "Pass"), &[], 10), [format!("b: {status}")]);
    }
    for status in ["FAIL", "Skip", "Disabled", "Error"] {
        assert_eq!(judge(&results(passing(10), status), &[], 10), [format!("category 0: {status}")]);
    }
    assert_eq!(judge(&Results { summary: BTreeMap::new(), ..results(passing(10), "Pass") }, &[], 10).len(), 1);
    // The forms of the suite's own files.
    assert_eq!(
        test("    <testcase name=\"x/y\" classname=\"\" time=\"0.1\" status=\"failure\">"),
        Some(("x/y".to_owned(), "failure".to_owned()))
    );
}
