use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use schleuse_gate::{
    CommandCheck, Decision, Evidence, Facts, Gate, GateResult, SignedBy, Source, Standing, StandingVerdict, Subject,
};
use schleuse_model::predicate::test_result::TestResult;
use schleuse_model::{Digest, Release, Timestamp};

pub(crate) fn image() -> Digest {
    Digest::sha256(b"the release")
}

pub(crate) fn at(seconds: i64) -> Timestamp {
    Timestamp::from_seconds(seconds)
}

/// Facts on which the checks that are always there pass: healthy in staging since second 1000.
pub(crate) fn facts() -> Facts {
    let standing = Standing { digest: image(), verdict: StandingVerdict::Healthy, since: at(1000) };
    Facts {
        environment: "canary".parse().unwrap(),
        release: Release { digest: image(), commit: None, version: None },
        signature: Some(SignedBy { image: image(), signer: "build key 5f:1c".to_owned() }),
        source: Some(Source { environment: "staging".parse().unwrap(), standing: Some(standing) }),
        test_results: BTreeMap::new(),
        registry_clock_skew: Some(1),
    }
}

pub(crate) fn subject() -> Subject {
    Subject {
        image: format!("registry.test/acme/billing@{}", image()).parse().unwrap(),
        environment: "canary".parse().unwrap(),
        base_url: Some("http://127.0.0.1:3000".to_owned()),
    }
}

pub(crate) fn command(id: &str, folder: &Path, argv: &[&str]) -> CommandCheck {
    CommandCheck {
        id: id.parse().unwrap(),
        argv: argv.iter().map(|arg| (*arg).to_owned()).collect(),
        timeout: Duration::from_secs(10),
        scripts: BTreeMap::new(),
        folder: folder.to_path_buf(),
        search_path: "/usr/bin:/bin".into(),
        env: BTreeMap::new(),
        secret_env: BTreeMap::new(),
    }
}

pub(crate) fn gate(configured: impl IntoIterator<Item = CommandCheck>) -> Gate {
    Gate::new(Duration::ZERO, configured.into_iter().map(CommandCheck::into_check)).unwrap()
}

pub(crate) fn with_result(id: &str, result: TestResult) -> Facts {
    let mut facts = facts();
    facts.test_results.insert(id.parse().unwrap(), Evidence::Found(result));
    facts
}

/// `check: message` of each finding; empty when open.
pub(crate) fn findings(result: &GateResult) -> Vec<String> {
    match result.decision() {
        Decision::Open => Vec::new(),
        Decision::Blocked { findings, .. } => {
            findings.iter().map(|finding| format!("{}: {}", finding.check, finding.message)).collect()
        }
        Decision::NoAnswer(unanswered) => unanswered.iter().map(|error| format!("no answer: {error}")).collect(),
    }
}
