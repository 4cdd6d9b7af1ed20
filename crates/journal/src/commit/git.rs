//! A git ref as commit point, for registries that cannot create once (GHCR, Docker Hub, docker-registry 2.8).
//!
//! `git push --force-with-lease=<ref>:` (an empty lease) creates a ref only if it does not exist, atomically, on every git
//! server. The ref points at a commit object without parents whose message is the entry's digest: the object's id follows from
//! the digest alone, so two writers with the same entry agree, and a reader can check the registry's entry against the ref
//! without fetching it. The refs also witness the journal's end.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use schleuse_model::{Digest, EnvironmentName, Repository};
use schleuse_oci::{Manifest, Push};
use schleuse_process::{Finished, Program};

use super::registry::entry_tag;
use super::{CommitKind, CommitPoint, Committed, Witnessed};
use crate::error::Error;

/// How long one git command may take: a push over a slow line, with a credential helper.
const DEADLINE: Duration = Duration::from_secs(60);
/// How much of the list of refs is read: a million entries' worth.
const LIST_LIMIT: usize = 128 << 20;

/// How git is run.
#[derive(Clone, Debug)]
pub struct GitSettings {
    /// Where `git` is looked for (`PATH`).
    pub search_path: String,
    /// What git's environment has: `HOME`, `SSH_AUTH_SOCK` and the like, as the caller allows.
    pub environment: BTreeMap<String, String>,
    /// A repository: its configuration and credentials apply, and objects are written to it.
    pub folder: PathBuf,
    /// A remote's name or address.
    pub remote: String,
}

/// Create-once by a git ref.
#[derive(Clone, Debug)]
pub struct GitRef {
    settings: GitSettings,
    push: Option<Arc<dyn Push>>,
    image: Repository,
    journal: Repository,
}

impl GitRef {
    /// A commit point on `settings.remote`. Without `push` it can only witness.
    pub fn new(settings: GitSettings, push: Option<Arc<dyn Push>>, image: Repository, journal: Repository) -> Self {
        Self { settings, push, image, journal }
    }

    /// What the refs say about `environment`'s end; `None`: there is no ref.
    ///
    /// # Errors
    /// If git gives no clean answer, or the refs have a gap.
    pub async fn witness(&self, environment: &EnvironmentName) -> Result<Option<Witnessed>, Error> {
        let prefix = self.prefix(environment);
        let listed = self.git(["ls-remote", &self.settings.remote, &format!("{prefix}*")], None).await?;
        let mut refs = BTreeMap::new();
        for line in listed.lines() {
            let Some((object, name)) = line.split_once('\t') else { continue };
            // git's `*` matches slashes as well: those refs are of an image whose name goes on where this environment's begins.
            let number = match name.strip_prefix(&prefix) {
                Some(deeper) if deeper.contains('/') => continue,
                number => number,
            };
            let sequence = number.and_then(|number| number.parse::<u64>().ok());
            refs.insert(sequence.ok_or_else(|| fault(format!("unexpected ref {name}")))?, object.to_owned());
        }
        let Some((&sequence, object)) = refs.last_key_value() else { return Ok(None) };
        if refs.len() as u64 != sequence {
            return Err(Error::Truncated {
                environment: environment.clone(),
                head: refs.len() as u64,
                seen: sequence,
                witness: "a later git ref",
            });
        }
        Ok(Some(Witnessed { sequence, digest: self.digest_at(environment, sequence, object).await? }))
    }

    /// The digest that a ref's object names. Fetches the object if the folder does not have it.
    async fn digest_at(&self, environment: &EnvironmentName, sequence: u64, object: &str) -> Result<Digest, Error> {
        let here = self.git(["cat-file", "commit", object], None).await;
        let text = match here {
            Ok(text) => text,
            Err(_) => {
                let name = self.name(environment, sequence);
                let fetch = ["fetch", "--no-tags", "--no-write-fetch-head", "--quiet", &self.settings.remote, &name];
                self.git(fetch, None).await?;
                self.git(["cat-file", "commit", object], None).await?
            }
        };
        let digest = text.trim_end().lines().last().and_then(|line| line.parse::<Digest>().ok());
        digest.ok_or_else(|| fault(format!("the ref of #{sequence} does not name an entry")))
    }

    /// The commit object for `digest`, written into the folder.
    async fn object(&self, digest: &Digest) -> Result<String, Error> {
        let tree = self.git(["hash-object", "-t", "tree", "-w", "--stdin"], Some(Vec::new())).await?;
        let who = "Schleuse journal <journal@schleuse.invalid> 0 +0000";
        let commit = format!("tree {}\nauthor {who}\ncommitter {who}\n\n{digest}\n", tree.trim());
        let object = self.git(["hash-object", "-t", "commit", "-w", "--stdin"], Some(commit.into_bytes())).await?;
        Ok(object.trim().to_owned())
    }

    /// `refs/schleuse/<host>/<path>/<environment>/`. A port's colon is not allowed in a ref, and neither is a part that ends
    /// with `.lock`; both are escaped with characters that a repository's name cannot have.
    fn prefix(&self, environment: &EnvironmentName) -> String {
        let image = self.image.to_string().replace(':', "+").replace(".lock/", ".lock+/").replace(['[', ']'], "+");
        format!("refs/schleuse/{image}/{environment}/")
    }

    fn name(&self, environment: &EnvironmentName, sequence: u64) -> String {
        format!("{}{sequence:010}", self.prefix(environment))
    }

    async fn git<const N: usize>(&self, arguments: [&str; N], stdin: Option<Vec<u8>>) -> Result<String, Error> {
        let finished = self.run(&arguments, stdin).await?;
        if !finished.success() {
            return Err(fault(finished.stderr.text()));
        }
        let whole = finished.stdout.whole().map(|bytes| String::from_utf8_lossy(bytes).into_owned());
        whole.ok_or_else(|| fault(format!("`git {}` printed more than {LIST_LIMIT} bytes", arguments[0])))
    }

    async fn run(&self, arguments: &[&str], stdin: Option<Vec<u8>>) -> Result<Finished, Error> {
        let mut program = Program::new("git")
            .search_path(&self.settings.search_path)
            .args(arguments.iter().copied())
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("LC_ALL", "C")
            .current_dir(&self.settings.folder)
            .deadline(DEADLINE)
            .output_limit(LIST_LIMIT);
        for (key, value) in &self.settings.environment {
            program = program.env(key, value);
        }
        if let Some(bytes) = stdin {
            program = program.stdin(bytes);
        }
        program.run().await.map_err(|error| fault(error.to_string()))
    }
}

#[async_trait]
impl CommitPoint for GitRef {
    fn kind(&self) -> CommitKind {
        CommitKind::Git
    }

    async fn create_once(
        &self,
        environment: &EnvironmentName,
        sequence: u64,
        entry: &Manifest,
    ) -> Result<Committed, Error> {
        let Some(push) = &self.push else {
            return Err(fault("this run may only read".to_owned()));
        };
        let wrap = |source| Error::Registry { environment: environment.clone(), source };
        // The entry is in the registry before the ref names it: a crash in between leaves an entry nobody counts.
        push.push_manifest(&self.journal, entry).await.map_err(wrap)?;
        let object = self.object(entry.digest()).await?;
        let name = self.name(environment, sequence);
        let lease = format!("--force-with-lease={name}:");
        let target = format!("{object}:{name}");
        let pushed =
            self.run(&["push", "--quiet", "--no-verify", &lease, &self.settings.remote, &target], None).await?;
        if !pushed.success() {
            // Refused, or the answer was lost: the ref itself says whose it is.
            let listed = self.git(["ls-remote", &self.settings.remote, &name], None).await?;
            match listed.split_once('\t') {
                Some((there, _)) if there == object => {}
                Some(_) => return Ok(Committed::Lost),
                None => return Err(fault(pushed.stderr.text())),
            }
        }
        push.tag(&entry_tag(&self.journal, environment, sequence)?, entry).await.map_err(wrap)?;
        Ok(Committed::Won)
    }
}

fn fault(message: String) -> Error {
    let message = message.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
    Error::Git { message }
}
