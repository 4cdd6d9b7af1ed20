//! A check that is a program: exit code 0 is yes, any other is no.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schleuse_model::predicate::test_result::{TestConfiguration, TestOutcome, TestResult};
use schleuse_model::{Digest, Finding, Secret, Timestamp};
use schleuse_process::{Ended, Program};
use tokio::io::AsyncReadExt;

use crate::{
    Check, CheckId, Definition, Evidence, Facts, Judge, Judgement, NoAnswer, ProduceError, Produced, Producer, Subject,
};

/// How long a command may take when the configuration says nothing: 5 min.
pub const DEFAULT_COMMAND_TIMEOUT: Duration = Duration::from_secs(300);

/// A script larger than this is not one: 16 MiB.
const SCRIPT_LIMIT: u64 = 16 << 20;

/// A command as configured. The program sees the environment named here, and:
///
/// | variable | value |
/// |---|---|
/// | `SCHLEUSE_IMAGE` | the release, as `repository@sha256:…` |
/// | `SCHLEUSE_ENVIRONMENT` | the environment it is to enter |
/// | `SCHLEUSE_BASE_URL` | where the release under test answers; not set if it was not started |
#[derive(Clone, Debug)]
pub struct CommandCheck {
    /// The check's name.
    pub id: CheckId,
    /// Program and arguments. At least the program.
    pub argv: Vec<String>,
    /// Its deadline.
    pub timeout: Duration,
    /// The digest of each argument that names a file under `folder`, as the caller read it when the plan was made. Verified again
    /// before the program runs.
    pub scripts: BTreeMap<String, Digest>,
    /// The folder it runs in: the checkout. Absolute.
    pub folder: PathBuf,
    /// Where programs are looked for.
    pub search_path: OsString,
    /// Variables it may see.
    pub env: BTreeMap<String, String>,
    /// Secret variables it may see.
    pub secret_env: BTreeMap<String, Secret<String>>,
}

impl CommandCheck {
    /// The check: this command produces, and a judge reads what it produced.
    pub fn into_check(self) -> Check {
        let definition = self.definition();
        let judge = Arc::new(PassedAsDefined { id: self.id.clone(), definition: definition.digest() });
        Check { id: self.id.clone(), producer: Some(Arc::new(self)), judge, definition }
    }

    fn definition(&self) -> Definition {
        Definition::Command {
            id: self.id.clone(),
            argv: self.argv.clone(),
            timeout_ms: u64::try_from(self.timeout.as_millis()).unwrap_or(u64::MAX),
            scripts: self.scripts.clone(),
        }
    }

    fn program(&self, subject: &Subject) -> Program {
        let (program, args) = self.argv.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
        let mut command = Program::new(program)
            .args(args)
            .current_dir(&self.folder)
            .search_path(&self.search_path)
            .deadline(self.timeout);
        for (key, value) in &self.env {
            command = command.env(key, value);
        }
        for (key, value) in &self.secret_env {
            command = command.secret_env(key, value);
        }
        command = command
            .env("SCHLEUSE_IMAGE", subject.image.to_string())
            .env("SCHLEUSE_ENVIRONMENT", subject.environment.as_str());
        match &subject.base_url {
            Some(url) => command.env("SCHLEUSE_BASE_URL", url),
            None => command,
        }
    }

    /// The scripts are still those of the plan. (Between this look and the start somebody with write access to the checkout could
    /// still swap them; such a somebody can do more than that.)
    async fn verify_scripts(&self) -> Result<(), ProduceError> {
        for (name, expected) in &self.scripts {
            let (check, path) = (self.id.clone(), self.folder.join(name));
            match read_bounded(&path).await {
                Ok(bytes) if expected.matches(&bytes) => {}
                Ok(_) => return Err(ProduceError::ScriptChanged { check, path }),
                Err(source) => return Err(ProduceError::ScriptUnreadable { check, path, source }),
            }
        }
        Ok(())
    }
}

async fn read_bounded(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    tokio::fs::File::open(path).await?.take(SCRIPT_LIMIT + 1).read_to_end(&mut bytes).await?;
    if bytes.len() as u64 > SCRIPT_LIMIT {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    Ok(bytes)
}

#[async_trait]
impl Producer for CommandCheck {
    async fn produce(&self, subject: &Subject) -> Result<Produced, ProduceError> {
        self.verify_scripts().await?;
        let check = self.id.clone();
        let finished = match self.program(subject).run().await {
            Ok(finished) => finished,
            Err(source) => return Err(ProduceError::Process { check, source }),
        };
        let result = match finished.ended {
            Ended::Code(0) => TestOutcome::Passed,
            Ended::Code(_) => TestOutcome::Failed,
            how @ Ended::Signal(_) => return Err(ProduceError::Killed { check, how }),
        };
        let configuration =
            TestConfiguration::of_check(self.id.as_str(), &subject.environment, &self.definition().digest());
        let mut last_lines = finished.stdout.last_lines(10);
        last_lines.extend(finished.stderr.last_lines(20));
        Ok(Produced {
            check,
            result: TestResult {
                result,
                configuration: vec![configuration],
                url: None,
                passed_tests: Vec::new(),
                warned_tests: Vec::new(),
                failed_tests: Vec::new(),
            },
            took: finished.took,
            last_lines,
        })
    }
}

/// Passes on a PASSED result of exactly this check, at exactly this entrance, by exactly this definition. (That it is about this
/// release is the statement's subject, which whoever gathered the facts has verified.)
#[derive(Debug)]
struct PassedAsDefined {
    id: CheckId,
    definition: Digest,
}

impl Judge for PassedAsDefined {
    fn judge(&self, facts: &Facts, _: Timestamp) -> Result<Judgement, NoAnswer> {
        let block = |message: &str| {
            let hint = "promoting runs it again".to_owned();
            Ok(Judgement::Block(vec![Finding::new(self.id.as_str(), message).with_hint(hint)]))
        };
        let result = match facts.test_results.get(&self.id) {
            None => return block("has not been run"),
            Some(Evidence::Unreadable(why)) => {
                return Err(NoAnswer::Unreadable { check: self.id.clone(), why: why.clone() });
            }
            Some(Evidence::Found(result)) => result,
        };
        let expected = TestConfiguration::of_check(self.id.as_str(), &facts.environment, &self.definition);
        if result.configuration.as_slice() != [expected] {
            return block("was run for another environment, or has changed since it was run");
        }
        match result.result {
            TestOutcome::Passed if result.failed_tests.is_empty() => Ok(Judgement::Pass { note: "passed".to_owned() }),
            TestOutcome::Passed => block("says passed and names failed tests"),
            TestOutcome::Warned => block("passed with warnings only"),
            TestOutcome::Failed => block("failed"),
        }
    }
}
