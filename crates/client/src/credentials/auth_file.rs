//! What stands in a file of logins: Docker's `config.json`, Podman's `auth.json` (containers-auth.json(5)). Pure.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schleuse_model::json::{self, JsonError};
use schleuse_model::{Repository, Secret};
use schleuse_oci::Credential;
use serde::{Deserialize, Deserializer};

/// The largest file that is read.
pub(crate) const LIMIT: usize = 1 << 20;

/// The file. What else stands in it is not ours.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AuthFile {
    #[serde(default, deserialize_with = "entries")]
    auths: BTreeMap<String, Entry>,
    #[serde(default)]
    creds_store: Option<String>,
    #[serde(default, deserialize_with = "entries")]
    cred_helpers: BTreeMap<String, String>,
}

/// `null` is nothing, as for programs in Go, which write it and read it so: for all of them, and for one.
fn entries<'de, D: Deserializer<'de>, T: Deserialize<'de>>(from: D) -> Result<BTreeMap<String, T>, D::Error> {
    let entries: Option<BTreeMap<String, Option<T>>> = Option::deserialize(from)?;
    Ok(entries.unwrap_or_default().into_iter().filter_map(|(key, value)| Some((key, value?))).collect())
}

#[derive(Default, Deserialize)]
struct Entry {
    #[serde(default)]
    auth: Option<String>,
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    password: Option<String>,
    #[serde(default)]
    identitytoken: Option<String>,
    #[serde(default)]
    registrytoken: Option<String>,
}

/// Where the login for a repository is.
#[derive(Debug)]
pub(crate) enum Place {
    /// Nowhere in this file.
    Nowhere,
    /// In the file itself.
    Here(Credential),
    /// With the credential helper of that name.
    Helper(String),
}

/// An entry that cannot be what it should be. It says nothing of what stands there.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the entry's `auth` is not base64 of user and password")]
pub(crate) struct MalformedEntry;

impl AuthFile {
    /// Reads the file. The error may quote it: it is for nobody's eyes.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, JsonError> {
        // An empty one has no logins, for Docker and Podman as well: `touch` makes one.
        if bytes.trim_ascii().is_empty() {
            return Ok(Self::default());
        }
        json::from_untrusted(bytes, LIMIT)
    }

    /// Where the login for `repository` is. A helper named for this registry goes before what stands in the file, as with Docker;
    /// what stands in the file goes before the helper for everything, which then need not be there (a `config.json` that came
    /// from another machine names that machine's).
    pub(crate) fn place(self, repository: &Repository) -> Result<Place, MalformedEntry> {
        if let Some((_, helper)) = matching(self.cred_helpers, repository).into_iter().next() {
            return Ok(Place::Helper(helper));
        }
        for (_, entry) in matching(self.auths, repository) {
            if let Some(credential) = inline(entry)? {
                return Ok(Place::Here(credential));
            }
        }
        Ok(self.creds_store.filter(|helper| !helper.is_empty()).map_or(Place::Nowhere, Place::Helper))
    }
}

/// The entries whose key names `repository`'s registry or a part of it, the closest first.
fn matching<T>(entries: BTreeMap<String, T>, repository: &Repository) -> Vec<(usize, T)> {
    let mut found: Vec<(usize, T)> =
        entries.into_iter().filter_map(|(key, value)| Some((closeness(&key, repository)?, value))).collect();
    found.sort_by_key(|(closeness, _)| std::cmp::Reverse(*closeness));
    found
}

/// How much of the repository's path a key names; `None`: it names something else.
///
/// Keys are hosts; Podman's may go on with a part of the path (`quay.io/acme`), whole names only. Those with a scheme or the
/// version of the API are addresses from the time of the v1 API, and mean the host (`https://index.docker.io/v1/` is Docker Hub's
/// to this day).
fn closeness(key: &str, repository: &Repository) -> Option<usize> {
    let bare = key.strip_prefix("https://").or_else(|| key.strip_prefix("http://"));
    let (host, path) = bare.unwrap_or(key).split_once('/').unwrap_or((bare.unwrap_or(key), ""));
    let path = path.trim_end_matches('/');
    let path = if bare.is_some() || matches!(path, "v1" | "v2") { "" } else { path };
    if canonical(host) != canonical(repository.host()) {
        return None;
    }
    let rest = repository.path().strip_prefix(path)?;
    (path.is_empty() || rest.is_empty() || rest.starts_with('/')).then_some(path.len())
}

fn canonical(host: &str) -> &str {
    match host {
        "index.docker.io" | "registry-1.docker.io" => "docker.io",
        host => host,
    }
}

/// `None`: the entry is only a note that a helper has the login.
fn inline(entry: Entry) -> Result<Option<Credential>, MalformedEntry> {
    let given = |value: Option<String>| value.filter(|value| !value.is_empty()).map(Secret::new);
    if let Some(token) = given(entry.identitytoken) {
        return Ok(Some(Credential::IdentityToken(token)));
    }
    if let Some(token) = given(entry.registrytoken) {
        return Ok(Some(Credential::Bearer(token)));
    }
    if let Some(auth) = given(entry.auth) {
        let pair = Secret::new(STANDARD.decode(auth.expose()).map_err(|_| MalformedEntry)?);
        let text = std::str::from_utf8(pair.expose()).map_err(|_| MalformedEntry)?;
        let (username, password) = text.split_once(':').ok_or(MalformedEntry)?;
        // Docker itself once padded with NULs.
        let password = Secret::new(password.trim_end_matches('\0').to_owned());
        return Ok(Some(Credential::Basic { username: username.to_owned(), password }));
    }
    match (entry.username.filter(|name| !name.is_empty()), given(entry.password)) {
        (Some(username), Some(password)) => Ok(Some(Credential::Basic { username, password })),
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn lookup(file: &str, repository: &str) -> String {
        let place = AuthFile::parse(file.as_bytes()).unwrap().place(&repository.parse().unwrap());
        match place {
            Ok(Place::Nowhere) => "nowhere".to_owned(),
            Ok(Place::Helper(name)) => format!("helper {name}"),
            Ok(Place::Here(Credential::Basic { username, password })) => format!("{username}/{}", password.expose()),
            Ok(Place::Here(Credential::IdentityToken(token))) => format!("identity {}", token.expose()),
            Ok(Place::Here(Credential::Bearer(token))) => format!("bearer {}", token.expose()),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn logins_in_the_file() {
        // "user:pa:ss"
        let config = r#"{"auths":{"ghcr.io":{"auth":"dXNlcjpwYTpzcw=="},"https://index.docker.io/v1/":{"username":"u",
            "password":"p"},"https://acr.example/v2/":{"auth":"AAAA","identitytoken":"refresh"},"r.io:5000":{}},
            "HttpHeaders":{"x":"y"}}"#;
        assert_eq!(lookup(config, "ghcr.io/a"), "user/pa:ss");
        assert_eq!(lookup(config, "node"), "u/p");
        assert_eq!(lookup(config, "acr.example/a"), "identity refresh");
        for other in ["r.io:5000/a", "evil.ghcr.io/a", "ghcr.io:444/a", "ghcr.io.evil/a"] {
            assert_eq!(lookup(config, other), "nowhere", "{other}");
        }
    }

    #[test]
    fn podman_s_keys_may_name_a_part_of_a_registry() {
        let entry = |name: &str| format!(r#"{{"username":"{name}","password":"p"}}"#);
        let file = format!(
            r#"{{"auths":{{"quay.io":{},"quay.io/acme":{},"quay.io/acme/billing/":{},"quay.io/empty":{{}},
                "docker.io/library":{},"r.io/v2":{}}}}}"#,
            entry("host"),
            entry("acme"),
            entry("billing"),
            entry("hub"),
            entry("legacy"),
        );
        for (repository, expected) in [
            ("quay.io/other", "host/p"),
            ("quay.io/acme/web", "acme/p"),
            ("quay.io/acme/billing", "billing/p"),
            ("quay.io/acme/billing/api", "billing/p"),
            ("quay.io/acme-evil/billing", "host/p"),
            ("quay.io/acme/billing-evil", "acme/p"),
            ("quay.io/empty/x", "host/p"),
            ("node", "hub/p"),
            ("docker.io/acme/x", "nowhere"),
            ("r.io/a", "legacy/p"),
        ] {
            assert_eq!(lookup(&file, repository), expected, "{repository}");
        }
    }

    #[test]
    fn who_goes_before_whom() {
        let file = r#"{"auths":{"ghcr.io":{"auth":"dTpw"},"r.io":{"auth":"dTpw"}},"credsStore":"store",
            "credHelpers":{"ghcr.io":"named","https://index.docker.io/v1/":"hub"}}"#;
        assert_eq!(lookup(file, "ghcr.io/a"), "helper named");
        assert_eq!(lookup(file, "r.io/a"), "u/p");
        assert_eq!(lookup(file, "elsewhere.io/a"), "helper store");
        assert_eq!(lookup(file, "node"), "helper hub");
        assert_eq!(lookup(r#"{"credsStore":""}"#, "node"), "nowhere");
        assert_eq!(lookup(r#"{"auths":{"ghcr.io":{"auth":"hunter2"}}}"#, "ghcr.io/a"), MalformedEntry.to_string());
    }

    #[test]
    fn nothing_is_no_mistake() {
        for empty in
            ["", "\n", "{}", r#"{"auths":null,"credHelpers":null,"credsStore":null}"#, r#"{"auths":{"r.io":null}}"#]
        {
            assert_eq!(lookup(empty, "r.io/a"), "nowhere", "{empty}");
        }
        let file = r#"{"auths":{"ghcr.io":null,"r.io":{"auth":"dTpw"}},"credHelpers":null}"#;
        assert_eq!(lookup(file, "r.io/a"), "u/p");
        assert!(AuthFile::parse(b"<html>").is_err());
    }

    proptest! {
        /// Whatever the file says: no panic, and no login for a registry that it does not name.
        #[test]
        fn any_file(text in r#"[ -~]{0,200}"#, key in "[a-z./:0-9]{0,20}", auth in "[A-Za-z0-9+/=]{0,24}") {
            let _ = AuthFile::parse(text.as_bytes()).map(|file| file.place(&"r.io/a/b".parse().unwrap()));
            let file = json::to_bytes(&serde_json::json!({"auths": {key.clone(): {"auth": auth}}}));
            let place = AuthFile::parse(&file).unwrap().place(&"r.io/a/b".parse().unwrap());
            if !key.contains("r.io") {
                prop_assert!(matches!(place, Ok(Place::Nowhere)), "{key}: {place:?}");
            }
        }

        /// A login for a part of a registry is for whole path components below it.
        #[test]
        fn parts_are_whole_names(part in "[a-c]{1,2}(/[a-c]{1,2}){0,2}", path in "[a-c]{1,2}(/[a-c]{1,2}){0,3}") {
            let key = format!("r.io/{part}");
            let below = path == part || path.starts_with(&format!("{part}/"));
            let expected = below.then_some(part.len());
            prop_assert_eq!(closeness(&key, &format!("r.io/{path}").parse().unwrap()), expected);
        }
    }
}
