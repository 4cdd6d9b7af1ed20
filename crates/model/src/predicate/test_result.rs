//! in-toto test result 0.1 (<https://github.com/in-toto/attestation/blob/main/spec/predicates/test-result.md>): what one run of a
//! test suite came to. Smoke, parity and contract checks all say it this way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::PredicateError;
use super::fields::Fields;
use crate::{Digest, EnvironmentName};

/// The predicate. Fields of others that we do not judge by are ignored when read, as in-toto's parsing rules demand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// What it came to.
    pub result: TestOutcome,
    /// What was run. Required by the specification; for ours exactly one, see [`TestConfiguration::of_check`].
    pub configuration: Vec<TestConfiguration>,
    /// The test run's address.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub url: Option<String>,
    /// Names of the tests that passed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub passed_tests: Vec<String>,
    /// Names of the tests that passed with a warning.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub warned_tests: Vec<String>,
    /// Names of the tests that failed.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub failed_tests: Vec<String>,
}

/// `result`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum TestOutcome {
    /// All passed.
    Passed,
    /// Passed, with warnings. Not a pass unless whoever judges it says so.
    Warned,
    /// At least one failed.
    Failed,
}

/// in-toto `ResourceDescriptor` of what was run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TestConfiguration {
    /// Its name: for ours the check's id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub name: Option<String>,
    /// Algorithm and hex digits: for ours the check's definition.
    #[serde(default)]
    pub digest: BTreeMap<String, String>,
    /// For ours `environment`: at whose entrance it was run.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub annotations: BTreeMap<String, serde_json::Value>,
}

impl TestConfiguration {
    /// The check `id` at the entrance of `environment`, as defined when `definition` was its definition's digest.
    pub fn of_check(id: &str, environment: &EnvironmentName, definition: &Digest) -> Self {
        Self {
            name: Some(id.to_owned()),
            digest: [(definition.algorithm().name().to_owned(), definition.hex().to_owned())].into(),
            annotations: [("environment".to_owned(), environment.as_str().into())].into(),
        }
    }
}

/// What [`super::check`] asks of a test result.
pub(super) fn check(fields: &Fields<'_>) -> Result<(), PredicateError> {
    fields.text("result")?;
    fields.required::<TestOutcome>("result", "`PASSED`, `WARNED` or `FAILED`")?;
    fields.objects("configuration")?;
    fields.optional_text("url")?;
    for names in ["passedTests", "warnedTests", "failedTests"] {
        fields.optional::<Vec<String>>(names, "a list of texts")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json;

    #[test]
    fn the_example_of_the_specification_is_read() {
        let text = br#"{"result":"PASSED","configuration":[{"name":".github/workflows/ci.yml","downloadLocation":"https://x.test",
            "digest":{"gitBlob":"ebe4add40f63c3c98bc9b32ff1e736f04120b023"}}],"url":"https://ci.test/1","passedTests":["build"],
            "warnedTests":[],"failedTests":[]}"#;
        let read: TestResult = json::from_untrusted(text, 4096).unwrap();
        assert_eq!((read.result, read.passed_tests.as_slice()), (TestOutcome::Passed, &["build".to_owned()][..]));
        assert!(json::from_untrusted::<TestResult>(br#"{"result":"passed","configuration":[]}"#, 4096).is_err());
        assert!(json::from_untrusted::<TestResult>(br#"{"result":"PASSED"}"#, 4096).is_err());
    }

    #[test]
    fn ours_as_written() {
        let environment = "staging".parse().unwrap();
        let configuration = vec![TestConfiguration::of_check("smoke", &environment, &Digest::sha256(b""))];
        let (passed_tests, warned_tests, failed_tests) = Default::default();
        let result = TestOutcome::Failed;
        let ours = TestResult { result, configuration, url: None, passed_tests, warned_tests, failed_tests };
        let written = String::from_utf8(json::to_bytes(&ours)).unwrap();
        assert_eq!(
            written,
            r#"{"result":"FAILED","configuration":[{"name":"smoke","digest":{"sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},"annotations":{"environment":"staging"}}]}"#
        );
    }
}
