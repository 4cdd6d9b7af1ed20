//! How registries are reached: logins, certificates, proxies.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schleuse_client::credentials::{DockerConfig, FirstOf, Helpers, StaticCredentials};
use schleuse_client::proxies::NoProxyAddress;
use schleuse_client::{Client, ClientBuilder, Deadlines, Proxies, RetryPolicy};
use schleuse_config::env::{self, Environment, Variable};
use schleuse_model::{Exit, Explain, Repository};
use schleuse_oci::{Credential, CredentialSource};

use super::Project;
use crate::context::Context;
use crate::failure::Failure;
use crate::files;

/// How long to wait for a registry that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The client's own: a registry that restarts is waited for.
    Usual,
    /// Going back does not need the registry, and users wait.
    Short,
}

/// The connect deadline of a short patience.
const SHORT: Duration = Duration::from_secs(3);

/// The most that is read of `SSL_CERT_FILE`: Debian's whole bundle has 220 KiB.
const AUTHORITIES_LIMIT: usize = 8 << 20;

/// A variable with a proxy's address holds something else. What it holds is not shown: it may be a login.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is no proxy's address")]
pub(crate) struct BadProxy {
    variable: &'static str,
}

impl Explain for BadProxy {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        vec![
            "write it as `http://host:port` or `http://user:password@host:port`; SOCKS is not spoken".to_owned(),
            "without it, registries are reached directly".to_owned(),
        ]
    }
}

impl Project {
    /// A registry client with the logins that are at hand. `image` is what `REGISTRY_USERNAME` is for where `REGISTRY_URL` does
    /// not say.
    pub(crate) fn client(&self, context: &Context, image: &Repository) -> Result<Client, Failure> {
        self.patient_client(context, image, Patience::Usual)
    }

    /// The same, with this much patience for a registry that does not answer.
    pub(crate) fn patient_client(
        &self,
        context: &Context,
        image: &Repository,
        patience: Patience,
    ) -> Result<Client, Failure> {
        let environment = &context.environment;
        let mut builder = ClientBuilder::default()
            .credentials(Arc::new(FirstOf(self.logins(environment, image))))
            .insecure_hosts(self.config.connection.insecure_registries.clone())
            .certificate_folders(certificate_folders(environment))
            .proxies(proxies(environment)?)
            .clock(context.clock.clone());
        if let Some(path) = environment.get(&env::SSL_CERT_FILE) {
            builder = builder.extra_ca(files::read(Path::new(path), AUTHORITIES_LIMIT)?);
        }
        if patience == Patience::Short {
            builder = builder.retry(RetryPolicy { attempts: 2, ..RetryPolicy::default() }).deadlines(Deadlines {
                connect: SHORT,
                operation: SHORT * 2,
                ..Deadlines::default()
            });
        }
        Ok(builder.build()?)
    }

    /// Where logins come from, the first that has one counting: the environment, then files.
    fn logins(&self, environment: &Environment, image: &Repository) -> Vec<Arc<dyn CredentialSource>> {
        let mut sources: Vec<Arc<dyn CredentialSource>> = Vec::new();
        if let Some(login) = &self.config.connection.login {
            let host = login.registry.clone().unwrap_or_else(|| image.host().to_owned());
            let (username, password) = (login.username.clone(), login.password.clone());
            sources.push(Arc::new(StaticCredentials::new().with(host, Credential::Basic { username, password })));
        }
        let path = environment.get(&env::PATH).unwrap_or("/usr/bin:/bin");
        let given = environment.for_helpers().map(|(name, value)| (name.to_owned(), value.clone()));
        let helpers = Arc::new(Helpers::new(path, given));
        for file in login_files(environment) {
            sources.push(Arc::new(DockerConfig::new(file).helpers(helpers.clone())));
        }
        sources
    }
}

/// Where `docker login` and `podman login` keep what they know: the file that is named (containers-auth.json(5)), Docker's, then
/// Podman's of this session and its lasting one.
fn login_files(environment: &Environment) -> Vec<PathBuf> {
    let get = |variable| environment.get(variable).map(PathBuf::from);
    let docker = get(&env::DOCKER_CONFIG).or_else(|| Some(get(&env::HOME)?.join(".docker")));
    let podman = [get(&env::XDG_RUNTIME_DIR), config_home(environment)].into_iter().flatten();
    let named = get(&env::REGISTRY_AUTH_FILE);
    let docker = docker.map(|folder| folder.join("config.json"));
    named.into_iter().chain(docker).chain(podman.map(|folder| folder.join("containers").join("auth.json"))).collect()
}

/// Where Podman, Docker without root, and both with root keep certificates for single registries (containers-certs.d(5)).
fn certificate_folders(environment: &Environment) -> Vec<PathBuf> {
    let own =
        config_home(environment).into_iter().flat_map(|folder| ["containers", "docker"].map(|name| folder.join(name)));
    own.chain(["/etc/containers", "/etc/docker"].map(PathBuf::from)).map(|folder| folder.join("certs.d")).collect()
}

fn config_home(environment: &Environment) -> Option<PathBuf> {
    let get = |variable| environment.get(variable).map(PathBuf::from);
    get(&env::XDG_CONFIG_HOME).or_else(|| Some(get(&env::HOME)?.join(".config")))
}

fn proxies(environment: &Environment) -> Result<Proxies, BadProxy> {
    let set = |variable: &Variable| environment.secret(variable).filter(|address| !address.expose().is_empty());
    let bad = |variable: &Variable| {
        let variable = variable.name;
        move |_: NoProxyAddress| BadProxy { variable }
    };
    let mut proxies = Proxies::new();
    if let Some(address) = set(&env::HTTP_PROXY) {
        proxies = proxies.http(address).map_err(bad(&env::HTTP_PROXY))?;
    }
    if let Some(address) = set(&env::HTTPS_PROXY) {
        proxies = proxies.https(address).map_err(bad(&env::HTTPS_PROXY))?;
    }
    Ok(proxies.except(environment.get(&env::NO_PROXY).unwrap_or("")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(pairs: &[(&str, &str)]) -> Environment {
        Environment::capture(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    fn shown(paths: Vec<PathBuf>) -> Vec<String> {
        paths.iter().map(|path| path.display().to_string()).collect()
    }

    #[test]
    fn the_order_of_login_files() {
        let home = [("HOME", "/home/me")];
        assert_eq!(
            shown(login_files(&environment(&home))),
            ["/home/me/.docker/config.json", "/home/me/.config/containers/auth.json"]
        );
        let all = [
            ("HOME", "/home/me"),
            ("DOCKER_CONFIG", "/docker"),
            ("REGISTRY_AUTH_FILE", "/named.json"),
            ("XDG_RUNTIME_DIR", "/run/user/1"),
            ("XDG_CONFIG_HOME", "/config"),
        ];
        assert_eq!(
            shown(login_files(&environment(&all))),
            ["/named.json", "/docker/config.json", "/run/user/1/containers/auth.json", "/config/containers/auth.json"]
        );
        assert!(login_files(&environment(&[])).is_empty());
        assert_eq!(
            shown(certificate_folders(&environment(&home))),
            [
                "/home/me/.config/containers/certs.d",
                "/home/me/.config/docker/certs.d",
                "/etc/containers/certs.d",
                "/etc/docker/certs.d"
            ]
        );
    }

    #[test]
    fn a_proxy_that_is_none_is_named_and_not_shown() {
        let set = environment(&[("https_proxy", "socks5://me:hunter2@proxy.lan")]);
        let error = proxies(&set).unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(text.starts_with("HTTPS_PROXY is no proxy's address") && !text.contains("hunter2"), "{text}");
        let set = environment(&[("HTTP_PROXY", "http://me:hunter2@proxy.lan"), ("HTTPS_PROXY", "")]);
        let text = format!("{:?}", proxies(&set).unwrap());
        assert!(text.contains("proxy.lan") && !text.contains("hunter2"), "{text}");
    }
}
