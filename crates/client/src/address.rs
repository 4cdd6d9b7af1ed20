//! Which address a repository is reached at, and which addresses an answer may lead to.

use std::collections::BTreeSet;

use reqwest::Url;
use schleuse_model::{Digest, Repository};
use schleuse_oci::Error;

/// The hosts that are treated otherwise than by the rule "plain HTTP on this machine, HTTPS everywhere else".
#[derive(Clone, Debug, Default)]
pub(crate) struct Addresses {
    /// `host[:port]` reached by plain HTTP though not on this machine.
    pub(crate) insecure: BTreeSet<String>,
    /// `host[:port]` reached by HTTPS though on this machine.
    pub(crate) tls: BTreeSet<String>,
}

/// Why an address is not followed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// No address at all, or of a scheme that is not HTTP.
    Malformed,
    /// Plain HTTP where it is not allowed; the host.
    Plain(String),
}

impl Addresses {
    /// Where `repository` is. Docker Hub's name is not its registry's address.
    pub(crate) fn endpoint(&self, repository: &Repository) -> Result<Endpoint, Error> {
        let host = repository.host();
        let plain = !self.tls.contains(host) && (repository.is_loopback() || self.insecure.contains(host));
        let authority = if host == "docker.io" { "registry-1.docker.io" } else { host };
        let text = format!("{}://{authority}/", if plain { "http" } else { "https" });
        let base = Url::parse(&text).map_err(|_| Error::Unavailable {
            host: host.to_owned(),
            what: repository.to_string(),
            message: "the host is no network address".to_owned(),
        })?;
        Ok(Endpoint { base, repository: repository.clone() })
    }

    /// Where `location` (a redirect, an upload's `Location`, a `Link`) leads from `from`.
    ///
    /// Never from HTTPS to plain HTTP; from plain HTTP only to the same origin, this machine, or a host listed by name. A
    /// registry behind a TLS proxy often names itself with `http://`: the same host and port stay on HTTPS.
    pub(crate) fn follow(&self, from: &Url, location: &str) -> Result<Url, Refused> {
        let mut to = from.join(location).map_err(|_| Refused::Malformed)?;
        // An address with a login in it would make the transport send that login.
        if !to.username().is_empty() || to.password().is_some() || !to.has_host() {
            return Err(Refused::Malformed);
        }
        to.set_fragment(None);
        match (from.scheme(), to.scheme()) {
            (_, "https") => Ok(to),
            ("https", "http") if to.host() == from.host() && to.port() == from.port() => {
                to.set_scheme("https").map_err(|()| Refused::Malformed)?;
                Ok(to)
            }
            ("http", "http") if same_origin(from, &to) || self.plain_allowed(&to) => Ok(to),
            (_, "http") => Err(Refused::Plain(authority(&to))),
            _ => Err(Refused::Malformed),
        }
    }

    fn plain_allowed(&self, url: &Url) -> bool {
        let authority = authority(url);
        if self.insecure.contains(&authority) {
            return true;
        }
        format!("{authority}/x").parse::<Repository>().is_ok_and(|repository| repository.is_loopback())
    }
}

/// Scheme, host and port are the same: what credentials are bound to.
pub(crate) fn same_origin(one: &Url, other: &Url) -> bool {
    one.scheme() == other.scheme()
        && one.host() == other.host()
        && one.port_or_known_default() == other.port_or_known_default()
}

/// `host[:port]` of a URL, as errors show it.
pub(crate) fn authority(url: &Url) -> String {
    let host = url.host_str().unwrap_or("?");
    url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
}

/// A repository's addresses.
#[derive(Clone, Debug)]
pub(crate) struct Endpoint {
    /// The registry's root.
    pub(crate) base: Url,
    /// The repository.
    pub(crate) repository: Repository,
}

impl Endpoint {
    /// The registry's name, as the user wrote it.
    pub(crate) fn host(&self) -> &str {
        self.repository.host()
    }

    /// `/manifests/<tag or digest>`.
    pub(crate) fn manifest(&self, reference: &str) -> Url {
        self.at(&format!("manifests/{reference}"))
    }

    /// `/blobs/<digest>`.
    pub(crate) fn blob(&self, digest: &Digest) -> Url {
        self.at(&format!("blobs/{digest}"))
    }

    /// `/blobs/uploads/`.
    pub(crate) fn uploads(&self) -> Url {
        self.at("blobs/uploads/")
    }

    /// `/tags/list`.
    pub(crate) fn tags(&self) -> Url {
        self.at("tags/list")
    }

    /// `/referrers/<digest>`.
    pub(crate) fn referrers(&self, digest: &Digest) -> Url {
        self.at(&format!("referrers/{digest}"))
    }

    fn at(&self, rest: &str) -> Url {
        let mut url = self.base.clone();
        // Repository names, tags and digests are of characters that need no escaping in a path.
        url.set_path(&format!("/v2/{}/{rest}", self.repository.path()));
        url
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses() -> Addresses {
        Addresses { insecure: ["registry.lan:5000".to_owned()].into(), tls: ["localhost:5443".to_owned()].into() }
    }

    fn base(repository: &str) -> String {
        addresses().endpoint(&repository.parse().unwrap()).unwrap().base.to_string()
    }

    #[test]
    fn plain_http_only_on_this_machine_or_by_name() {
        assert_eq!(base("ghcr.io/a/b"), "https://ghcr.io/");
        assert_eq!(base("node"), "https://registry-1.docker.io/");
        assert_eq!(base("127.0.0.1:5000/a"), "http://127.0.0.1:5000/");
        assert_eq!(base("[::1]:5000/a"), "http://[::1]:5000/");
        assert_eq!(base("registry.lan:5000/a"), "http://registry.lan:5000/");
        assert_eq!(base("registry.lan:5001/a"), "https://registry.lan:5001/");
        assert_eq!(base("localhost:5443/a"), "https://localhost:5443/");
    }

    #[test]
    fn digests_and_names_stand_in_the_path_unchanged() {
        let endpoint = addresses().endpoint(&"ghcr.io/a/b__c".parse().unwrap()).unwrap();
        let digest = Digest::sha256(b"");
        assert_eq!(endpoint.blob(&digest).as_str(), format!("https://ghcr.io/v2/a/b__c/blobs/{digest}"));
    }

    #[test]
    fn where_an_answer_may_lead() {
        let follow =
            |from: &str, to: &str| addresses().follow(&Url::parse(from).unwrap(), to).map(|url| url.to_string());
        let plain = |host: &str| Err(Refused::Plain(host.to_owned()));
        assert_eq!(follow("https://r.io/v2/x", "/y?z=1"), Ok("https://r.io/y?z=1".to_owned()));
        assert_eq!(follow("https://r.io/v2/x", "https://cdn.io/y#f"), Ok("https://cdn.io/y".to_owned()));
        assert_eq!(follow("https://r.io/v2/x", "http://cdn.io/y"), plain("cdn.io"));
        // A remote registry has no business on our machine.
        assert_eq!(follow("https://r.io/v2/x", "http://127.0.0.1/y"), plain("127.0.0.1"));
        assert_eq!(follow("https://r.io/v2/x", "http://r.io/y"), Ok("https://r.io/y".to_owned()));
        assert_eq!(follow("http://127.0.0.1:1/x", "http://cdn.io/y"), plain("cdn.io"));
        assert_eq!(follow("http://127.0.0.1:1/x", "http://127.0.0.1:2/y"), Ok("http://127.0.0.1:2/y".to_owned()));
        assert_eq!(follow("http://127.0.0.1:1/x", "http://registry.lan:5000/"), Ok("http://registry.lan:5000/".into()));
        for bad in ["file:///etc/passwd", "https://u:p@r.io/", "http://[", "data:text/plain,x"] {
            assert_eq!(follow("https://r.io/v2/x", bad), Err(Refused::Malformed), "{bad}");
        }
    }
}
