//! The variables that count, declared once, and the environment as a captured value.
//!
//! A variable that is not in [`VARIABLES`] cannot be read: [`Environment`] keeps no other. The table is what
//! `docs/CONFIG.md` lists.

mod helpers;

use std::collections::BTreeMap;
use std::fmt;

use schleuse_model::Secret;

/// One variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variable {
    /// Its name.
    pub name: &'static str,
    /// Whether its value is a secret: never shown, never logged, not passed to checks.
    pub sensitive: bool,
    /// What it does, one line.
    pub about: &'static str,
}

macro_rules! variables {
    ($($(#[doc = $doc:literal])+ $name:ident $(: $sensitive:ident)?;)*) => {
        $($(#[doc = $doc])+ pub const $name: Variable = Variable {
            name: stringify!($name),
            sensitive: variables!(@ $($sensitive)?),
            about: concat!($($doc),+),
        };)*
        /// Every variable, in the order of the documentation.
        pub const VARIABLES: &[Variable] = &[$($name),*];
    };
    (@ secret) => { true };
    (@) => { false };
}

variables! {
    /// The configuration file; default: the nearest `schleuse.toml` upwards.
    SCHLEUSE_CONFIG;
    /// The private key that signs, encrypted, as `cosign generate-key-pair` writes it.
    COSIGN_PRIVATE_KEY: secret;
    /// The password of the private key.
    COSIGN_PASSWORD: secret;
    /// The registry that the login is for, such as `ghcr.io`; default: the image's.
    REGISTRY_URL;
    /// The login's user.
    REGISTRY_USERNAME;
    /// The login's password or token.
    REGISTRY_PASSWORD: secret;
    /// The canary's health address: replaces the base address of `health` in the environment `canary`.
    CANARY_DEPLOY_URL;
    /// The database that migrations are tried against.
    STAGING_DATABASE_URL: secret;
    /// Where rollbacks are announced (Slack, Teams or any webhook).
    ROLLBACK_WEBHOOK: secret;
    /// The folder of Docker's `config.json` with logins.
    DOCKER_CONFIG;
    /// Podman's file with logins. It goes before Docker's.
    REGISTRY_AUTH_FILE;
    /// The time that is written into what is built, in seconds since 1970: same input, same bytes.
    SOURCE_DATE_EPOCH;
    /// Set by CI services: no prompts, no redrawing.
    CI;
    /// Set to anything: no colour.
    NO_COLOR;
    /// The terminal's kind; `dumb` means no colour and no redrawing.
    TERM;
    /// Where programs are found.
    PATH;
    /// The home folder.
    HOME;
    /// Who is at work, where GitHub does not say it: the actor is shown as claimed.
    USER;
    /// Where temporary files go.
    TMPDIR;
    /// The base of the local target's default folder.
    XDG_STATE_HOME;
    /// The base of the cache.
    XDG_CACHE_HOME;
    /// Where Podman keeps its logins of this session.
    XDG_RUNTIME_DIR;
    /// The base of Podman's lasting logins, and of certificates for single registries; default: `~/.config`.
    XDG_CONFIG_HOME;
    /// The proxy for plain HTTP, such as `http://proxy.lan:3128`. Also in lower case, as its next two.
    HTTP_PROXY: secret;
    /// The proxy for HTTPS. This machine is never reached through one.
    HTTPS_PROXY: secret;
    /// Hosts that are reached without a proxy: names (with what is below them), addresses, networks (`10.0.0.0/8`), or `*`.
    NO_PROXY;
    /// Additional authorities to trust for TLS, a PEM file.
    SSL_CERT_FILE;
    /// Set in GitHub Actions: outputs, summaries and annotations are written.
    GITHUB_ACTIONS;
    /// The file for step outputs.
    GITHUB_OUTPUT;
    /// The file for the job's summary.
    GITHUB_STEP_SUMMARY;
    /// The server, such as `https://github.com`.
    GITHUB_SERVER_URL;
    /// The repository, `owner/name`.
    GITHUB_REPOSITORY;
    /// The commit.
    GITHUB_SHA;
    /// The branch or tag.
    GITHUB_REF;
    /// The event that started the run.
    GITHUB_EVENT_NAME;
    /// Who started the run first.
    GITHUB_ACTOR;
    /// Who started this attempt.
    GITHUB_TRIGGERING_ACTOR;
    /// The workflow's file and ref.
    GITHUB_WORKFLOW_REF;
    /// The run.
    GITHUB_RUN_ID;
    /// The attempt.
    GITHUB_RUN_ATTEMPT;
    /// The job's token.
    GITHUB_TOKEN: secret;
}

/// The environment, captured once by the command line. Holds declared variables, and what credential helpers are given; `Debug`
/// shows the names of the former, no value.
#[derive(Clone, Default)]
pub struct Environment {
    declared: BTreeMap<&'static str, Secret<String>>,
    helpers: BTreeMap<String, Secret<String>>,
}

/// Variables that many systems set in lower case only.
const ALSO_LOWER: [Variable; 3] = [HTTP_PROXY, HTTPS_PROXY, NO_PROXY];

impl Environment {
    /// Keeps what [`VARIABLES`] declares, and what helpers are given.
    pub fn capture(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        let mut all = Self::default();
        let mut lower = Vec::new();
        for (name, value) in variables {
            let value = Secret::new(value);
            if helpers::given(&name) {
                all.helpers.insert(name.clone(), value.clone());
            }
            if let Some(variable) = VARIABLES.iter().find(|variable| variable.name == name) {
                all.declared.insert(variable.name, value);
            } else if let Some(variable) = ALSO_LOWER.iter().find(|variable| variable.name.to_ascii_lowercase() == name)
            {
                lower.push((variable, value));
            }
        }
        for (variable, value) in lower {
            if !all.has(variable) {
                all.declared.insert(variable.name, value);
            }
        }
        all
    }

    /// What credential helpers are given besides `PATH`. Secrets of clouds are among it, ours are not.
    pub fn for_helpers(&self) -> impl Iterator<Item = (&str, &Secret<String>)> {
        self.helpers.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// The value of a variable that is no secret; `None` for a secret, whoever asks. Empty counts as not set: CI services write
    /// what they do not have as the empty text.
    pub fn get(&self, variable: &Variable) -> Option<&str> {
        if variable.sensitive {
            return None;
        }
        self.declared.get(variable.name).map(|value| value.expose().as_str()).filter(|value| !value.is_empty())
    }

    /// The value of any variable, as a secret. It may be empty on purpose: `COSIGN_PASSWORD=` is a key without a password.
    pub fn secret(&self, variable: &Variable) -> Option<&Secret<String>> {
        self.declared.get(variable.name)
    }

    /// Whether the variable is set to anything but the empty text.
    pub fn has(&self, variable: &Variable) -> bool {
        self.declared.get(variable.name).is_some_and(|value| !value.expose().is_empty())
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.declared.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captured() -> Environment {
        let pairs = [("COSIGN_PASSWORD", "hunter2"), ("REGISTRY_URL", "ghcr.io"), ("CI", ""), ("SOME_TOKEN", "t0ken")];
        Environment::capture(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())))
    }

    #[test]
    fn a_secret_is_never_handed_out_as_plain_text_or_shown() {
        let environment = captured();
        assert_eq!(environment.get(&COSIGN_PASSWORD), None);
        assert_eq!(environment.secret(&COSIGN_PASSWORD).map(|secret| secret.expose().as_str()), Some("hunter2"));
        assert_eq!(format!("{environment:?}"), r#"{"CI", "COSIGN_PASSWORD", "REGISTRY_URL"}"#);
    }

    #[test]
    fn what_is_not_declared_is_not_kept_and_empty_is_not_set() {
        let environment = captured();
        assert_eq!(environment.get(&REGISTRY_URL), Some("ghcr.io"));
        assert!(!environment.has(&CI));
        assert!(!environment.declared.contains_key("SOME_TOKEN"));
        assert!(environment.for_helpers().next().is_none());
        assert_eq!(environment.get(&CI), None);
    }

    #[test]
    fn proxies_are_known_in_lower_case_and_upper_case_wins() {
        let pairs = |pairs: &[(&str, &str)]| {
            Environment::capture(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
        };
        let proxy = |environment: &Environment| environment.secret(&HTTPS_PROXY).map(|value| value.expose().clone());
        let lower = pairs(&[("https_proxy", "http://lower"), ("no_proxy", "lan")]);
        assert_eq!((proxy(&lower), lower.get(&NO_PROXY)), (Some("http://lower".to_owned()), Some("lan")));
        let both = pairs(&[("HTTPS_PROXY", "http://upper"), ("https_proxy", "http://lower")]);
        assert_eq!(proxy(&both), Some("http://upper".to_owned()));
        assert_eq!(
            proxy(&pairs(&[("HTTPS_PROXY", ""), ("https_proxy", "http://lower")])),
            Some("http://lower".to_owned())
        );
        assert_eq!(pairs(&[("home", "/x")]).get(&HOME), None);
    }

    #[test]
    fn what_sounds_secret_is_marked_secret() {
        for variable in VARIABLES {
            let sounds = ["PASSWORD", "PRIVATE_KEY", "TOKEN", "WEBHOOK", "DATABASE_URL", "HTTP_PROXY", "HTTPS_PROXY"]
                .iter()
                .any(|word| variable.name.contains(word));
            assert_eq!(variable.sensitive, sounds, "{}", variable.name);
            assert!(!variable.about.trim().is_empty());
        }
    }
}
