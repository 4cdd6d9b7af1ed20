//! From the configuration to what the `promote` crate works with: journals, targets, gates, and the world around them.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use schleuse_client::Client;
use schleuse_config::policy::Rung;
use schleuse_config::settings::{Health, VersionAssert};
use schleuse_config::{CommitMode, env};
use schleuse_deploy::local::{DRAIN, STOP_GRACE};
use schleuse_deploy::{LocalSettings, LocalTarget, Target};
use schleuse_journal::commit::git::{GitRef, GitSettings};
use schleuse_journal::journal::{CommitChoice, Writer};
use schleuse_journal::{Journal, Names, RunId};
use schleuse_model::{Actor, EnvironmentName, Exit, Explain, Reference};
use schleuse_promote::promotion::ImageChoice;
use schleuse_promote::{Environment, HttpProber, Identity, Observer, ProbeSpec, World};
use schleuse_sign::{Signer, Trust};

use crate::context::Context;
use crate::failure::Failure;
use crate::project::{Patience, Project};
use crate::settings::ConnectionArgs;
use crate::{gates, random};

/// What is asked for does not fit the ladder.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LadderError {
    /// No such rung.
    #[error("there is no environment `{name}`")]
    NoSuchEnvironment {
        /// As typed.
        name: String,
        /// The ones there are.
        known: Vec<String>,
    },
    /// The configuration names none.
    #[error("schleuse.toml has no [environment.…]")]
    NoEnvironments,
    /// Several, and none was named.
    #[error("which environment is meant? there are several, and none is called production")]
    WhichEnvironment {
        /// The ones there are.
        known: Vec<String>,
    },
    /// `--from` names the rung itself, or one above it.
    #[error("{from} does not come before {to}")]
    NotBefore {
        /// The source.
        from: EnvironmentName,
        /// The destination.
        to: EnvironmentName,
    },
    /// What was typed is neither a reference nor the digits of a digest.
    #[error("`{0}` names no release")]
    NotARelease(String),
    /// The program cannot be found again.
    #[error("cannot tell where this program lies")]
    NoProgram(#[source] std::io::Error),
    /// There is no place for the local target's state.
    #[error("nowhere to keep the state of `host = \"local\"`")]
    NoState,
    /// A setting that nothing reads yet. Ignoring it would be a check skipped silently.
    #[error("[environment.{environment}] has {what} ({origin}), and targets on this machine cannot use one yet")]
    NotYet {
        /// Whose.
        environment: EnvironmentName,
        /// What.
        what: &'static str,
        /// Where it comes from.
        origin: String,
    },
    /// The settings of an environment cannot be used.
    #[error("[environment.{environment}] cannot be used")]
    Health {
        /// Whose.
        environment: EnvironmentName,
        /// Why.
        source: schleuse_health::SettingsError,
    },
}

impl Explain for LadderError {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NoSuchEnvironment { name, known } => {
                let near =
                    known.iter().find(|other| other.starts_with(name.as_str()) || name.starts_with(other.as_str()));
                let known = format!("there are: {}", known.join(", "));
                near.map(|near| format!("did you mean `{near}`?")).into_iter().chain([known]).collect()
            }
            Self::WhichEnvironment { known } => vec![format!("name one of: {}", known.join(", "))],
            Self::NoEnvironments => vec!["add one: [environment.production]".to_owned()],
            Self::NotBefore { .. } => vec!["the ladder is the order of the environments in schleuse.toml".to_owned()],
            Self::NotARelease(_) => {
                vec!["write name:tag, name@sha256:…, or at least 7 digits of a digest that the ladder knows".to_owned()]
            }
            Self::NotYet { .. } => vec!["give the path alone: the release is asked at its own port".to_owned()],
            Self::NoState => vec!["set `state` in the environment, or HOME".to_owned()],
            Self::Health { source, .. } => source.hints(),
            Self::NoProgram(_) => Vec::new(),
        }
    }
}

/// The ladder of one project, ready to read.
#[derive(Debug)]
pub(crate) struct Ladder<'a> {
    context: &'a Context,
    pub(crate) project: Project,
    pub(crate) names: Names,
    pub(crate) client: Arc<Client>,
    pub(crate) trust: Arc<Trust>,
    /// The git remote that can be a commit point or a witness.
    git: Option<GitRef>,
}

impl<'a> Ladder<'a> {
    /// Reads configuration and keys.
    pub(crate) async fn open(context: &'a Context, flags: &ConnectionArgs) -> Result<Self, Failure> {
        Self::open_with(context, flags, Patience::Usual).await
    }

    /// The same, with this much patience for a registry that does not answer.
    pub(crate) async fn open_with(
        context: &'a Context,
        flags: &ConnectionArgs,
        patience: Patience,
    ) -> Result<Self, Failure> {
        Self::of(context, context.project(&flags.flags())?, patience).await
    }

    /// The ladder of a project that has been read.
    pub(crate) async fn of(context: &'a Context, project: Project, patience: Patience) -> Result<Self, Failure> {
        let image = project.image(context).await?;
        let names = match &project.config.connection.journal {
            Some(journal) => Names { image, journal: journal.value.clone() },
            None => Names::beside(image)?,
        };
        let client = Arc::new(project.patient_client(context, &names.image, patience)?);
        let trust = Arc::new(project.trust(context)?);
        let mut ladder = Self { context, project, names, client, trust, git: None };
        ladder.git = ladder.git_remote().await;
        Ok(ladder)
    }

    /// Every rung's journal, as who trusts these keys reads it.
    pub(crate) fn trusting(&self, trust: Trust) -> Vec<Journal> {
        let trust = Arc::new(trust);
        let journal = |rung: &Rung| {
            Journal::new(self.names.clone(), rung.name.clone(), trust.clone(), self.client.clone(), self.git.clone())
        };
        self.rungs().iter().map(journal).collect()
    }

    /// The rungs, lowest first.
    pub(crate) fn rungs(&self) -> &[Rung] {
        &self.project.config.policy.ladder
    }

    /// The rung called `name`.
    pub(crate) fn rung(&self, name: &str) -> Result<&Rung, LadderError> {
        let found = self.rungs().iter().find(|rung| rung.name.as_str() == name);
        found.ok_or_else(|| LadderError::NoSuchEnvironment { name: name.to_owned(), known: self.known() })
    }

    /// The rung that is meant when none is named: production, or the only one.
    pub(crate) fn rung_or_production(&self, name: Option<&str>) -> Result<&Rung, LadderError> {
        match (name, self.rungs()) {
            (Some(name), _) => self.rung(name),
            (None, []) => Err(LadderError::NoEnvironments),
            (None, [only]) => Ok(only),
            (None, rungs) => rungs
                .iter()
                .find(|rung| rung.name.as_str() == "production")
                .ok_or_else(|| LadderError::WhichEnvironment { known: self.known() }),
        }
    }

    /// The rung that `to` takes its releases from: `from` if named, else the one before it; none for the first.
    pub(crate) fn source(&self, to: &Rung, from: Option<&str>) -> Result<Option<&Rung>, LadderError> {
        let place = |name: &EnvironmentName| self.rungs().iter().position(|rung| rung.name == *name);
        let Some(from) = from else { return Ok(self.project.config.policy.before(&to.name)) };
        let from = self.rung(from)?;
        if place(&from.name) < place(&to.name) {
            Ok(Some(from))
        } else {
            Err(LadderError::NotBefore { from: from.name.clone(), to: to.name.clone() })
        }
    }

    fn known(&self) -> Vec<String> {
        self.rungs().iter().map(|rung| rung.name.to_string()).collect()
    }

    /// The rung's journal, to read.
    pub(crate) fn journal(&self, rung: &Rung) -> Journal {
        self.journal_of(rung.name.clone())
    }

    /// The journal of an environment that need not be a rung, to read.
    pub(crate) fn journal_of(&self, name: EnvironmentName) -> Journal {
        Journal::new(self.names.clone(), name, self.trust.clone(), self.client.clone(), self.git.clone())
    }

    /// Every rung's journal, to read.
    pub(crate) fn record(&self) -> Vec<Journal> {
        self.rungs().iter().map(|rung| self.journal(rung)).collect()
    }

    /// The rung with everything that moving releases into it needs.
    pub(crate) fn environment(&self, rung: &Rung) -> Result<Environment, Failure> {
        let configured = self.project.config.target(&rung.name);
        let health = configured.map(|target| target.health.clone()).unwrap_or_default();
        let settings = schleuse_health::Settings {
            interval: health.interval,
            timeout: health.timeout,
            window: health.window,
            grace: health.grace,
            failures_in_a_row: health.failures,
            span: health.span,
            ..schleuse_health::Settings::default()
        };
        let unusable = |source| LadderError::Health { environment: rung.name.clone(), source };
        settings.validate().map_err(unusable)?;
        Ok(Environment {
            journal: self.written_journal(rung)?,
            target: self.target(rung)?,
            health: settings,
            probe: probe(&rung.name, health)?,
            gate: gates::gate(self.context, &self.project, rung)?,
        })
    }

    /// Where the rung's releases run.
    pub(crate) fn target(&self, rung: &Rung) -> Result<Option<Arc<dyn Target>>, Failure> {
        let Some(configured) = self.project.config.target(&rung.name) else { return Ok(None) };
        let mut variables = BTreeMap::new();
        if let Some(file) = &configured.env_file {
            variables.extend(gates::variables(&self.project.root.join(file))?);
        }
        variables.extend(configured.env.clone());
        let settings = LocalSettings {
            root: self.state(configured.state.as_deref())?,
            environment: rung.name.clone(),
            exe: std::env::current_exe().map_err(LadderError::NoProgram)?,
            listen: configured.listen,
            port: Some(configured.port),
            env: variables,
            stop_grace: STOP_GRACE,
            drain: DRAIN,
        };
        Ok(Some(Arc::new(LocalTarget::new(settings, self.client.clone()))))
    }

    /// The folder of the local targets: as configured, or below `XDG_STATE_HOME`.
    fn state(&self, configured: Option<&str>) -> Result<PathBuf, LadderError> {
        if let Some(folder) = configured {
            return Ok(self.project.root.join(folder));
        }
        let get = |variable| self.context.environment.get(variable).map(PathBuf::from);
        let state = get(&env::XDG_STATE_HOME).or_else(|| Some(get(&env::HOME)?.join(".local/state")));
        let state = state.ok_or(LadderError::NoState)?;
        Ok(state.join("schleuse").join(self.names.image.to_string().replace('/', "_")))
    }

    /// A world to act in.
    pub(crate) fn world(&self, signer: Arc<dyn Signer>, observer: Arc<dyn Observer>) -> Result<World, Failure> {
        Ok(World {
            pull: self.client.clone(),
            push: self.client.clone(),
            referrers: self.client.clone(),
            trust: self.trust.clone(),
            record: self.record(),
            signer,
            clock: self.context.clock.clone(),
            prober: Arc::new(HttpProber),
            observer,
            actor: self.actor(),
            run: RunId::new(random::bytes()?),
            policy: self.project.policy_digest(self.context)?,
        })
    }

    /// The rung's journal, to write.
    pub(crate) fn written_journal(&self, rung: &Rung) -> Result<Journal, Failure> {
        Ok(self.journal(rung).with_writer(self.writer()?))
    }

    fn writer(&self) -> Result<Writer, Failure> {
        let choice = match self.project.config.policy.commit {
            CommitMode::Auto => CommitChoice::Auto,
            CommitMode::Registry => CommitChoice::Registry,
            CommitMode::Git => CommitChoice::Git,
        };
        let nonce = schleuse_model::digest::to_hex(&random::bytes::<8>()?);
        Ok(Writer { push: self.client.clone(), choice, nonce })
    }

    /// The git remote, where the project's folder is a checkout that has it, and the configuration does not do without.
    async fn git_remote(&self) -> Option<GitRef> {
        let remote = &self.project.config.connection.git_remote.value;
        let address = remote.contains(['/', ':']);
        if self.project.config.policy.commit == CommitMode::Registry
            || !(address || self.project.git(self.context).has_remote(remote).await)
        {
            return None;
        }
        let folder = self.project.root.ancestors().find(|folder| folder.join(".git").exists())?;
        let environment = &self.context.environment;
        // What git needs to reach its remote as this person, and nothing else.
        let kept = ["HOME", "SSH_AUTH_SOCK", "XDG_CONFIG_HOME", "GIT_SSH_COMMAND", "GIT_ASKPASS"];
        let kept =
            kept.iter().filter_map(|name| Some(((*name).to_owned(), self.context.variables.get(name)?.to_owned())));
        let settings = GitSettings {
            search_path: environment.get(&env::PATH).unwrap_or("/usr/bin:/bin").to_owned(),
            environment: kept.collect(),
            folder: folder.to_owned(),
            remote: self.project.config.connection.git_remote.value.clone(),
        };
        let push = Some(self.client.clone() as Arc<dyn schleuse_oci::Push>);
        Some(GitRef::new(settings, push, self.names.image.clone(), self.names.journal.clone()))
    }

    /// Who this is, as the machine claims.
    pub(crate) fn actor(&self) -> Actor {
        let get = |name: &str| self.context.variables.get(name);
        let name = ["GITHUB_TRIGGERING_ACTOR", "GITHUB_ACTOR", "USER", "LOGNAME"].into_iter().find_map(get);
        let name: String = name.unwrap_or("unknown").chars().filter(|c| !c.is_control()).take(80).collect();
        Actor { name, claimed: true }
    }
}

/// How the releases of a rung are asked for their health.
fn probe(environment: &EnvironmentName, health: Health) -> Result<ProbeSpec, LadderError> {
    if let Some(base) = health.base {
        let (what, origin) = ("a health address of its own", base.origin.to_string());
        return Err(LadderError::NotYet { environment: environment.clone(), what, origin });
    }
    let identity = match health.version {
        VersionAssert::IfReported => Identity::IfReported,
        VersionAssert::Required => Identity::Required,
        VersionAssert::Ignored => Identity::Ignored,
    };
    Ok(ProbeSpec { path: health.path, status: health.expect_status, timeout: health.timeout, identity })
}

/// Reads what a person typed for a release.
pub(crate) fn release(text: &str) -> Result<ImageChoice, LadderError> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    if (7..=64).contains(&digits.len()) && digits.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Ok(ImageChoice::Digits(digits.to_owned()));
    }
    let reference = text.parse::<Reference>().map_err(|_| LadderError::NotARelease(text.to_owned()))?;
    Ok(ImageChoice::Reference(reference))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_people_name_releases() {
        assert_eq!(release("9b1e4c07aa31").unwrap(), ImageChoice::Digits("9b1e4c07aa31".to_owned()));
        assert_eq!(release("sha256:9b1e4c07aa31").unwrap(), ImageChoice::Digits("9b1e4c07aa31".to_owned()));
        assert!(matches!(release("ghcr.io/acme/billing:1.4.0").unwrap(), ImageChoice::Reference(_)));
        assert_eq!(release("a b").unwrap_err().hints().len(), 1);
    }
}
