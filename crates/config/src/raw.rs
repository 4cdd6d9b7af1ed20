//! What the file may say, word for word. The schema for editors and `docs/CONFIG.md` are generated from these types and their
//! comments, so the comments speak to the person who writes the file.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

/// One service: its image, how it is built, and the ladder it climbs. Every key may be left out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "schleuse.toml")]
pub struct File {
    /// The image's repository, such as `ghcr.io/acme/billing`. Default: from the git remote.
    pub image: Option<String>,
    /// The repository of the journal. Default: `<image>-journal`.
    pub journal: Option<String>,
    /// What decides who was first when two promote at once: `auto` takes the first of the two that is proven to work.
    pub commit: Option<Commit>,
    /// The git remote (a name or a URL) that keeps the journal's refs when git is the commit point. Default: `origin`.
    pub git_remote: Option<String>,
    /// Registries (`host[:port]`) that are spoken to over plain HTTP. Loopback addresses need no entry.
    pub insecure_registries: Option<Vec<String>>,
    /// Where the source code lives, as the provenance names it, such as `https://github.com/acme/billing`. Default: from the git
    /// remote.
    pub source: Option<String>,
    /// How `schleuse build` makes the image.
    pub build: Option<Build>,
    /// The ladder: one table for each rung, the lowest first. The order in the file is the order of promotion.
    pub environment: BTreeMap<String, Environment>,
    /// Checks that environments name in their `checks`.
    pub check: BTreeMap<String, Check>,
    /// Whose keys are believed, and for what. Default: `build = ["schleuse.pub"]`.
    pub trust: Option<Trust>,
}

/// The commit point.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Commit {
    /// The first of `registry` and `git` that is proven.
    Auto,
    /// A tag that the registry creates only once.
    Registry,
    /// A ref that the git server creates only once.
    Git,
}

/// Who builds.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Builder {
    /// Schleuse itself, from folders: `copy`.
    Layers,
    /// `docker buildx`, from a Dockerfile.
    Buildx,
    /// `buildah`, from a Dockerfile.
    Buildah,
}

/// `[build]`: layers from folders, on a base; or a Dockerfile, by another builder.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Build {
    /// Who builds: `layers`, `buildx` or `buildah`. Default: `layers`.
    pub builder: Option<Builder>,
    /// The Dockerfile for `buildx` and `buildah`, relative to the configuration file. Default: `Dockerfile`.
    pub dockerfile: Option<String>,
    /// The folder that a Dockerfile copies from, relative to the configuration file. Default: the file's own folder.
    pub context: Option<String>,
    /// The stage of a Dockerfile to stop at.
    pub target: Option<String>,
    /// A Dockerfile's `ARG`s. Never secrets: they stand in the image's history.
    pub args: BTreeMap<String, String>,
    /// How long `buildx` or `buildah` may take. Default: `30m`.
    pub timeout: Option<String>,
    /// `scratch`, an image reference, or `oci:<folder>` for an OCI layout. Default: `scratch`.
    pub base: Option<String>,
    /// What is copied into the image. Each entry is one layer, in this order.
    pub copy: Vec<Copy>,
    /// The program that always runs, with its first arguments.
    pub entrypoint: Option<Vec<String>>,
    /// Arguments to the entrypoint, or the program where there is none.
    pub cmd: Option<Vec<String>>,
    /// Variables of the image.
    pub env: BTreeMap<String, String>,
    /// Who the program runs as: a name, or `uid[:gid]`.
    pub user: Option<String>,
    /// The working folder in the image, absolute.
    pub workdir: Option<String>,
    /// TCP ports the program listens on.
    pub expose: Vec<u16>,
    /// `os/architecture[/variant]`. Default: `linux/` and this machine's architecture.
    pub platform: Option<String>,
}

/// One layer.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Copy {
    /// A file or folder of the project, relative to the configuration file.
    pub from: String,
    /// Where it goes in the image, absolute.
    pub to: String,
    /// Its owner in the image, `uid[:gid]` in numbers. Default: `0:0`.
    #[serde(default)]
    pub user: Option<String>,
}

/// `[environment.<name>]`: one rung. Without `host`, promotion moves the tag and the journal, and nothing is rolled out.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Environment {
    /// Where releases run: `local` (this machine). `ssh://user@host` and `docker` come with the docker target.
    pub host: Option<String>,
    /// `address:port` of the front door: it keeps the address while releases change behind it.
    pub listen: Option<String>,
    /// The TCP port the release listens on. Needed with `host`.
    pub port: Option<u16>,
    /// Where health is asked, and how it is judged: a path such as `/api/health`, a URL, or a table.
    pub health: Option<Health>,
    /// Variables of the release. Secrets belong in `env_file`.
    pub env: BTreeMap<String, String>,
    /// A file with `NAME=value` lines on the host.
    pub env_file: Option<String>,
    /// The checks at this rung's entrance, by name. The signature check is always there and is not listed.
    pub checks: Vec<String>,
    /// How long a release must have been healthy here before it may climb to the next rung, such as `30m` or `24h`.
    pub soak: Option<String>,
    /// The folder that the local target keeps its releases in. Default: below `XDG_STATE_HOME`.
    pub state: Option<String>,
}

/// `health`, short or long.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Health {
    /// A path, or a URL.
    Short(String),
    /// The table.
    Long(Box<HealthTable>),
}

/// How health is judged. Durations are written like `5s`, `500ms`, `1m30s`.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct HealthTable {
    /// A path such as `/api/health`, or a whole URL. Default: `/api/health`.
    pub path: Option<String>,
    /// Time between probes. Default: `5s`.
    pub interval: Option<String>,
    /// How long one probe may take. At most `interval`. Default: `2s`.
    pub timeout: Option<String>,
    /// How long a new release is watched. Must be longer than grace + interval × failures. Default: `5m`.
    pub window: Option<String>,
    /// Time to start up: failures do not count, an exit does. Default: `60s`.
    pub grace: Option<String>,
    /// This many failures in a row are unhealthy, if they span `span`. Default: `3`.
    #[schemars(range(min = 1, max = 1000))]
    pub failures: Option<u32>,
    /// The shortest time that `failures` must span. Default: `10s`.
    pub span: Option<String>,
    /// The HTTP status of a healthy answer. Default: `200`.
    #[schemars(range(min = 100, max = 599))]
    pub expect_status: Option<u16>,
    /// Whether the answer must name the release under test.
    pub version: Option<VersionAssert>,
}

/// What a health answer must say about the release.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum VersionAssert {
    /// Where the answer names a version or digest, it must be the release's. The default.
    IfReported,
    /// The answer must name the release.
    Required,
    /// What the answer names is not looked at.
    Ignored,
}

/// `[check.<name>]`: a program that decides by its exit code.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Check {
    /// The program and its arguments. No shell.
    pub run: Vec<String>,
    /// How long it may take. Default: `5m`.
    #[serde(default)]
    pub timeout: Option<String>,
    /// What it runs against. Default: `candidate`.
    #[serde(default)]
    pub against: Option<Against>,
}

/// What a check runs against.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Against {
    /// The new release, started beside the one that runs, before the promotion.
    Candidate,
    /// What runs in the environment, after the rollout and before it counts as healthy.
    Environment,
}

/// `[trust]`: keys by role.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, rename_all = "kebab-case", default)]
pub struct Trust {
    /// Signs releases, their evidence and the journal: the CI's key.
    pub build: Vec<Key>,
    /// Approves promotions. Each key belongs to one person.
    pub approve: Vec<Key>,
    /// Puts releases under quarantine. Each key belongs to one person.
    pub quarantine: Vec<Key>,
    /// Goes back when the CI's key is out of reach: an offline key.
    pub break_glass: Vec<Key>,
    /// Keys that were trusted once. `schleuse key revoke` writes these.
    pub revoked: Vec<Revoked>,
}

/// A key that was trusted once, and what became of it. Its file stays, so that what it signed can be told from a stranger's.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Revoked {
    /// The public key's file, relative to the configuration file.
    pub key: String,
    /// What it was trusted for. Default: `build`.
    #[serde(default)]
    pub role: Option<Role>,
    /// Why it is not trusted any more.
    pub why: Why,
    /// With `superseded`: from when on, such as `2026-11-26T00:00:00Z`. What the journal named before holds.
    #[serde(default)]
    pub since: Option<String>,
    /// Whose key it was. Needed for `approve` and `quarantine`.
    #[serde(default)]
    pub person: Option<String>,
}

/// What a key is, or was, trusted for.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Releases, their evidence and the journal.
    Build,
    /// Approvals.
    Approve,
    /// Quarantine.
    Quarantine,
    /// Going back.
    BreakGlass,
}

/// Why a key is not trusted any more.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Replaced by another key, in good order: what the journal named before `since` holds.
    Superseded,
    /// Somebody else may have it: nothing it signed holds until it is signed again.
    Compromised,
}

/// A public key's file, or a table that also says whose it is.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(untagged)]
pub enum Key {
    /// The file, relative to the configuration file.
    File(String),
    /// The file and its person.
    Of(KeyOf),
}

/// A key of one person.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct KeyOf {
    /// The public key's file, relative to the configuration file.
    pub key: String,
    /// Whose key it is. A quorum counts people, not keys.
    #[serde(default)]
    pub person: Option<String>,
}
