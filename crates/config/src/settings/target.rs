//! `[environment.<name>]`: where a release runs and how its health is judged.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use schleuse_model::EnvironmentName;

use super::reader::Reader;
use crate::document::KeyPath;
use crate::env::{CANARY_DEPLOY_URL, Environment};
use crate::error::{Rule, What, clip};
use crate::{Origin, Sourced, raw};

/// The environment whose health address `CANARY_DEPLOY_URL` replaces.
const CANARY: &str = "canary";

/// Where releases of one environment run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// The machine.
    pub host: Host,
    /// The front door.
    pub listen: Option<SocketAddr>,
    /// The port the release listens on.
    pub port: u16,
    /// How health is judged.
    pub health: Health,
    /// Variables of the release.
    pub env: BTreeMap<String, String>,
    /// A file with more of them, on the host.
    pub env_file: Option<String>,
    /// The local target's folder; `None`: the caller's default below `XDG_STATE_HOME`.
    pub state: Option<String>,
}

/// The machine that releases run on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// This one.
    Local,
}

/// How health is judged (DESIGN §9; the figures are the seed's).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// `https://canary.acme.dev`, where the release is asked elsewhere than at its own port. No path, no slash at the end.
    pub base: Option<Sourced<String>>,
    /// The path with its query, starting with `/`.
    pub path: String,
    /// Time between probes.
    pub interval: Duration,
    /// How long one probe may take.
    pub timeout: Duration,
    /// How long a release is watched.
    pub window: Duration,
    /// Time to start up.
    pub grace: Duration,
    /// So many failures in a row are unhealthy,
    pub failures: u32,
    /// if they span this time.
    pub span: Duration,
    /// The status of a healthy answer.
    pub expect_status: u16,
    /// What the answer must say about the release.
    pub version: VersionAssert,
}

/// What a health answer must say about the release.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionAssert {
    /// Where it names a version or digest, it must be the release's.
    #[default]
    IfReported,
    /// It must name the release.
    Required,
    /// It is not looked at.
    Ignored,
}

impl VersionAssert {
    /// The word in the file.
    pub const fn word(self) -> &'static str {
        match self {
            Self::IfReported => "if-reported",
            Self::Required => "required",
            Self::Ignored => "ignored",
        }
    }
}

impl Default for Health {
    fn default() -> Self {
        Self {
            base: None,
            path: "/api/health".to_owned(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            window: Duration::from_secs(300),
            grace: Duration::from_secs(60),
            failures: 3,
            span: Duration::from_secs(10),
            expect_status: 200,
            version: VersionAssert::IfReported,
        }
    }
}

pub(super) fn read_all(
    file: &raw::File,
    environment: &Environment,
    reader: &mut Reader<'_>,
) -> Vec<(EnvironmentName, Target)> {
    let mut targets: Vec<(EnvironmentName, Target)> = Vec::new();
    for name in reader.keys_in_order("environment") {
        // A rung that did not fit the schema, or whose name is none, is reported elsewhere.
        let Some(raw) = file.environment.get(&name) else { continue };
        let path = KeyPath::of(&["environment", &name]);
        let target = read(&name, raw, &path, environment, reader);
        let (Some(target), Ok(name)) = (target, name.parse()) else { continue };
        if target.listen.is_some() && targets.iter().any(|(_, other)| other.listen == target.listen) {
            reader.rule(&path.key("listen"), Rule::ListenTaken);
        }
        targets.push((name, target));
    }
    targets
}

fn read(
    name: &str,
    raw: &raw::Environment,
    at: &KeyPath,
    environment: &Environment,
    reader: &mut Reader<'_>,
) -> Option<Target> {
    let Some(host) = raw.host.as_deref() else {
        if reader.stands(&at.key("host")) {
            return None;
        }
        let set = [
            ("listen", raw.listen.is_some()),
            ("port", raw.port.is_some()),
            ("health", raw.health.is_some()),
            ("env", !raw.env.is_empty()),
            ("env_file", raw.env_file.is_some()),
            ("state", raw.state.is_some()),
        ];
        for (key, _) in set.into_iter().filter(|(_, set)| *set) {
            reader.rule(&at.key(key), Rule::NeedsHost);
        }
        return None;
    };
    let path = at.key("host");
    if host == "docker" || host.starts_with("ssh://") || host.starts_with("docker:") {
        reader.rule(&path, Rule::ComesWithDocker);
    } else {
        reader.need(host == "local", &path, host, "`local`");
    }
    reader.show(&path, clip(host), &reader.origin(&path));

    let path = at.key("listen");
    let listen = raw.listen.as_deref().and_then(|text| {
        let parsed = text.parse::<SocketAddr>().ok().filter(|address| address.port() != 0);
        reader.need(parsed.is_some(), &path, text, "an address with its port, such as 127.0.0.1:8080,");
        reader.show(&path, clip(text), &reader.origin(&path));
        parsed
    });
    let path = at.key("port");
    match raw.port {
        None if reader.stands(&path) => {}
        None => reader.wrong(&path, What::Missing { key: path.to_string() }),
        Some(port) => {
            reader.need(port != 0, &path, "0", "a port from 1 to 65535");
            reader.show(&path, port, &reader.origin(&path));
        }
    }
    let health = health(name, raw.health.as_ref(), &at.key("health"), environment, reader);
    reader.variables(&at.key("env"), &raw.env);
    for (key, value) in [("env_file", &raw.env_file), ("state", &raw.state)] {
        let path = at.key(key);
        if let Some(value) = value {
            reader.need(!value.is_empty() && !value.contains('\0'), &path, value, "a path");
            reader.show(&path, clip(value), &reader.origin(&path));
        }
    }
    Some(Target {
        host: Host::Local,
        listen,
        port: raw.port.unwrap_or_default(),
        health,
        env: raw.env.clone(),
        env_file: raw.env_file.clone(),
        state: raw.state.clone(),
    })
}

fn health(
    name: &str,
    raw: Option<&raw::Health>,
    at: &KeyPath,
    environment: &Environment,
    reader: &mut Reader<'_>,
) -> Health {
    let default = Health::default();
    let empty = raw::HealthTable::default();
    let (table, address, path) = match raw {
        None => (&empty, None, at.clone()),
        Some(raw::Health::Short(text)) => (&empty, Some(text.as_str()), at.clone()),
        Some(raw::Health::Long(table)) => (&**table, table.path.as_deref(), at.key("path")),
    };
    let (base, url_path) = address_of(name, address, &path, environment, reader);
    let time = |key: &str, text: &Option<String>, default: Duration, reader: &mut Reader<'_>| {
        reader.duration(&at.key(key), text.as_deref(), default)
    };
    let health = Health {
        base,
        path: url_path,
        interval: time("interval", &table.interval, default.interval, reader),
        timeout: time("timeout", &table.timeout, default.timeout, reader),
        window: time("window", &table.window, default.window, reader),
        grace: time("grace", &table.grace, default.grace, reader),
        failures: table.failures.unwrap_or(default.failures),
        span: time("span", &table.span, default.span, reader),
        expect_status: table.expect_status.unwrap_or(default.expect_status),
        version: match table.version {
            None | Some(raw::VersionAssert::IfReported) => VersionAssert::IfReported,
            Some(raw::VersionAssert::Required) => VersionAssert::Required,
            Some(raw::VersionAssert::Ignored) => VersionAssert::Ignored,
        },
    };
    for (key, set, value) in [
        ("failures", table.failures.is_some(), health.failures.to_string()),
        ("expect_status", table.expect_status.is_some(), health.expect_status.to_string()),
        ("version", table.version.is_some(), health.version.word().to_owned()),
    ] {
        let path = at.key(key);
        let origin = if set { reader.origin(&path) } else { Origin::Default };
        reader.show(&path, value, &origin);
    }
    judge(&health, at, reader);
    health
}

/// Whether anything can be found out with these figures at all.
fn judge(health: &Health, at: &KeyPath, reader: &mut Reader<'_>) {
    for (key, value) in [("interval", health.interval), ("timeout", health.timeout)] {
        if value.is_zero() {
            reader.rule(&at.key(key), Rule::Zero);
        }
    }
    if health.timeout > health.interval {
        reader.rule(&at.key("timeout"), Rule::ProbesOverlap);
    }
    let least = health.interval.saturating_mul(health.failures).saturating_add(health.grace);
    if health.window <= least {
        reader.rule(&at.key("window"), Rule::WindowTooShort);
    }
}

/// The base address and the path: `CANARY_DEPLOY_URL` beats the file in the environment `canary`.
fn address_of(
    name: &str,
    text: Option<&str>,
    path: &KeyPath,
    environment: &Environment,
    reader: &mut Reader<'_>,
) -> (Option<Sourced<String>>, String) {
    const NEEDED: &str = "a path that starts with `/`, or an http:// or https:// URL";
    let default = Health::default().path;
    let (mut base, mut url_path) = (None, default);
    if let Some(text) = text {
        let origin = reader.origin(path);
        match split(text) {
            Some((host, rest)) => {
                base = host.map(|value| Sourced { value, origin: origin.clone() });
                url_path = rest.unwrap_or(url_path);
            }
            None => reader.wrong(path, What::invalid(path, text, NEEDED)),
        }
    }
    let mut origin = if text.is_some() { reader.origin(path) } else { Origin::Default };
    if let Some(url) = environment.get(&CANARY_DEPLOY_URL).filter(|_| name == CANARY) {
        let variable = Origin::Variable(CANARY_DEPLOY_URL.name);
        match split(url) {
            Some((Some(host), rest)) => {
                base = Some(Sourced { value: host, origin: variable.clone() });
                url_path = rest.unwrap_or(url_path);
            }
            _ => reader.wrong_from(
                &variable,
                path,
                What::invalid(format_args!("`{}`", CANARY_DEPLOY_URL.name), url, "a URL"),
            ),
        }
        origin = variable;
    }
    let shown = format!("{}{url_path}", base.as_ref().map_or("", |base| base.value.as_str()));
    reader.show(path, clip(&shown), &origin);
    (base, url_path)
}

/// Base and path of a URL or a path. A URL's user part is refused: a password in it would be shown in output and records.
fn split(text: &str) -> Option<(Option<String>, Option<String>)> {
    if text.contains(|c: char| c.is_control() || c.is_whitespace() || c == '#') {
        return None;
    }
    if text.starts_with('/') {
        return Some((None, Some(text.to_owned())));
    }
    let rest = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"))?;
    let scheme = &text[..text.len() - rest.len()];
    let end = rest.find(['/', '?']).unwrap_or(rest.len());
    let (host, tail) = rest.split_at(end);
    if host.is_empty() || host.contains('@') || tail.starts_with('?') {
        return None;
    }
    let path = if tail.len() > 1 { Some(tail.to_owned()) } else { None };
    Some((Some(format!("{scheme}{host}")), path))
}
