//! Where things are: flag > variable > file > default.

use schleuse_model::{Repository, Secret};

use super::Flags;
use super::reader::Reader;
use crate::document::KeyPath;
use crate::env::{self, Environment};
use crate::error::{Rule, What, clip};
use crate::raw::File;
use crate::{Origin, Sourced};

/// Connection settings.
#[derive(Clone, Debug)]
pub struct Connection {
    /// The image's repository; `None` where nobody said it: the caller may know from the git remote.
    pub image: Option<Sourced<Repository>>,
    /// The journal's repository; `None` only where `image` is.
    pub journal: Option<Sourced<Repository>>,
    /// The git remote for the git commit point: a name or a URL.
    pub git_remote: Sourced<String>,
    /// Registries (`host[:port]`) that may be spoken to over plain HTTP.
    pub insecure_registries: Vec<String>,
    /// The source repository's address for the provenance; `None`: the caller may know from the git remote.
    pub source: Option<Sourced<String>>,
    /// A login from the environment. `None`: the credential stores are asked.
    pub login: Option<Login>,
}

impl Connection {
    /// The journal of an image where the file names none: `<image>-journal`.
    ///
    /// # Errors
    /// If the name is too long for a repository.
    pub fn journal_of(image: &Repository) -> Result<Repository, schleuse_model::ReferenceError> {
        format!("{image}-journal").parse()
    }
}

/// A registry login from `REGISTRY_USERNAME` and `REGISTRY_PASSWORD`.
#[derive(Clone, Debug)]
pub struct Login {
    /// The registry it is for (`host[:port]`), from `REGISTRY_URL`; `None`: the image's.
    pub registry: Option<String>,
    /// The user.
    pub username: String,
    /// The password or token.
    pub password: Secret<String>,
}

pub(super) fn read(file: &File, flags: &Flags, environment: &Environment, reader: &mut Reader<'_>) -> Connection {
    let image = repository("image", "--image", flags.image.as_deref(), file.image.as_deref(), reader);
    let named = repository("journal", "--journal", flags.journal.as_deref(), file.journal.as_deref(), reader);
    let journal = journal(image.as_ref(), named, reader);
    let git_remote =
        text("git_remote", "--git-remote", flags.git_remote.as_deref(), file.git_remote.as_deref(), reader);
    let git_remote = git_remote.unwrap_or_else(|| Sourced::default_of("origin".to_owned()));
    // git takes what starts with a dash for an option (CVE-2017-1000117).
    if git_remote.value.starts_with('-') || git_remote.value.is_empty() || git_remote.value.contains(char::is_control) {
        let path = KeyPath::of(&["git_remote"]);
        reader.wrong_from(&git_remote.origin, &path, What::invalid(&path, &git_remote.value, "a remote's name or URL"));
    }
    without_login(&git_remote, "git_remote", reader);
    reader.show(&KeyPath::of(&["git_remote"]), clip(&git_remote.value), &git_remote.origin);
    let source = text("source", "--source", flags.source.as_deref(), file.source.as_deref(), reader);
    if let Some(source) = &source {
        let path = KeyPath::of(&["source"]);
        if !source.value.contains("://") || source.value.contains(|c: char| c.is_control() || c.is_whitespace()) {
            reader.wrong_from(&source.origin, &path, What::invalid(&path, &source.value, "a URL"));
        }
        without_login(source, "source", reader);
        reader.show(&path, clip(&source.value), &source.origin);
    }
    Connection {
        image,
        journal,
        git_remote,
        insecure_registries: insecure(file, flags, reader),
        source,
        login: login(environment, reader),
    }
}

/// Refuses a login in an address: it would be shown, and stand in records (law 8). The user of `ssh://git@…` is no secret.
fn without_login(address: &Sourced<String>, key: &str, reader: &mut Reader<'_>) {
    let Some((scheme, rest)) = address.value.split_once("://") else { return };
    let authority = rest.split('/').next().unwrap_or(rest);
    let Some((user, _)) = authority.rsplit_once('@') else { return };
    if scheme.starts_with("http") || user.contains(':') {
        let path = KeyPath::of(&[key]);
        reader.wrong_from(&address.origin, &path, What::rule(&path, Rule::LoginInAddress));
    }
}

/// A text by the order of belief; connection texts have no variable of their own today.
fn text(
    key: &str,
    flag: &'static str,
    on_line: Option<&str>,
    in_file: Option<&str>,
    reader: &Reader<'_>,
) -> Option<Sourced<String>> {
    match (on_line, in_file) {
        (Some(value), _) => Some(Sourced { value: value.to_owned(), origin: Origin::Flag(flag) }),
        (None, Some(value)) => Some(Sourced { value: value.to_owned(), origin: reader.origin(&KeyPath::of(&[key])) }),
        (None, None) => None,
    }
}

fn repository(
    key: &str,
    flag: &'static str,
    on_line: Option<&str>,
    in_file: Option<&str>,
    reader: &mut Reader<'_>,
) -> Option<Sourced<Repository>> {
    let path = KeyPath::of(&[key]);
    let Sourced { value, origin } = text(key, flag, on_line, in_file, reader)?;
    match value.parse::<Repository>() {
        Ok(value) => {
            reader.show(&path, &value, &origin);
            Some(Sourced { value, origin })
        }
        Err(source) => {
            reader.wrong_from(&origin, &path, What::Reference { key: path.to_string(), source });
            None
        }
    }
}

fn journal(
    image: Option<&Sourced<Repository>>,
    named: Option<Sourced<Repository>>,
    reader: &mut Reader<'_>,
) -> Option<Sourced<Repository>> {
    let path = KeyPath::of(&["journal"]);
    if let Some(named) = named {
        if image.is_some_and(|image| image.value == named.value) {
            reader.wrong_from(&named.origin, &path, What::rule(&path, Rule::JournalIsImage));
        }
        return Some(named);
    }
    let image = image?;
    match Connection::journal_of(&image.value) {
        Ok(value) => {
            reader.show(&path, &value, &Origin::Default);
            Some(Sourced::default_of(value))
        }
        Err(source) => {
            reader.wrong_from(&image.origin, &path, What::Reference { key: path.to_string(), source });
            None
        }
    }
}

fn insecure(file: &File, flags: &Flags, reader: &mut Reader<'_>) -> Vec<String> {
    let path = KeyPath::of(&["insecure_registries"]);
    let needed = "a registry's host[:port]";
    let mut hosts: Vec<String> = Vec::new();
    for (at, host) in file.insecure_registries.iter().flatten().enumerate() {
        reader.need(is_host(host), &path.index(at), host, needed);
        hosts.push(host.clone());
    }
    if !hosts.is_empty() {
        reader.show(&path, hosts.join(" "), &reader.origin(&path));
    }
    for host in &flags.insecure_registries {
        let origin = Origin::Flag("--insecure-registry");
        if !is_host(host) {
            reader.wrong_from(&origin, &path, What::invalid(&path, host, needed));
        }
        reader.show(&path, clip(host), &origin);
        hosts.push(host.clone());
    }
    hosts
}

/// A host is what a repository can start with; names without a dot count too (`registry:5000`, `registry`).
fn is_host(text: &str) -> bool {
    let with_port = if text.contains([':', '.']) { text.to_owned() } else { format!("{text}:443") };
    !text.contains('/') && format!("{with_port}/x").parse::<Repository>().is_ok()
}

fn login(environment: &Environment, reader: &mut Reader<'_>) -> Option<Login> {
    let username = environment.get(&env::REGISTRY_USERNAME);
    let password = environment.secret(&env::REGISTRY_PASSWORD).filter(|password| !password.expose().is_empty());
    let (username, password) = match (username, password) {
        (None, None) => return None,
        (Some(username), Some(password)) => (username, password),
        (there, _) => {
            let name = if there.is_some() { env::REGISTRY_USERNAME.name } else { env::REGISTRY_PASSWORD.name };
            let what = What::Rule { key: format!("`{name}`"), rule: Rule::HalfALogin };
            reader.wrong_from(&Origin::Variable(name), &KeyPath::default(), what);
            return None;
        }
    };
    let variable = Origin::Variable(env::REGISTRY_URL.name);
    // People write `ghcr.io`, `https://ghcr.io` and `ghcr.io/acme` into this one; the host is what a login is for.
    let registry = environment.get(&env::REGISTRY_URL).map(|url| {
        let bare = url.split_once("://").map_or(url, |(_, rest)| rest);
        bare.split('/').next().unwrap_or(bare).to_owned()
    });
    if let Some(host) = &registry {
        let path = KeyPath::of(&["REGISTRY_URL"]);
        if !is_host(host) {
            reader.wrong_from(&variable, &path, What::invalid(&path, host, "a registry's host[:port]"));
        }
        reader.show(&KeyPath::of(&["login", "registry"]), clip(host), &variable);
    }
    reader.show(&KeyPath::of(&["login", "username"]), clip(username), &Origin::Variable(env::REGISTRY_USERNAME.name));
    reader.show(&KeyPath::of(&["login", "password"]), password, &Origin::Variable(env::REGISTRY_PASSWORD.name));
    Some(Login { registry, username: username.to_owned(), password: password.clone() })
}
