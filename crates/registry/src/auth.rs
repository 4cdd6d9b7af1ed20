//! The optional login: one user, one password (RFC 7617).

use base64::Engine as _;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use schleuse_model::{Digest, Secret};

/// The digest of the one `Authorization` value that is let in. The password itself is not kept.
#[derive(Clone, Debug)]
pub(crate) struct Login(Digest);

impl Login {
    pub(crate) fn new(username: &str, password: &Secret<String>) -> Self {
        let pair = Secret::new(format!("{username}:{}", password.expose()));
        let encoded = Secret::new(base64::engine::general_purpose::STANDARD.encode(pair.expose()));
        Self(Digest::sha256(encoded.expose().as_bytes()))
    }

    /// Whether the request carries the login. Digests are compared, and every byte of them, so that the time taken says nothing
    /// about how much of a guess was right.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(AUTHORIZATION).and_then(|value| value.as_bytes().split_at_checked(6));
        let Some((scheme, encoded)) = given else { return false };
        let given = Digest::sha256(encoded.trim_ascii());
        let different = given.hex().bytes().zip(self.0.hex().bytes()).fold(0, |acc, (a, b)| acc | (a ^ b));
        scheme.eq_ignore_ascii_case(b"basic ") && different == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_exact_login_is_admitted() {
        let login = Login::new("ci", &Secret::new("s3cret".to_owned()));
        let admits = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(AUTHORIZATION, value.parse().unwrap());
            login.admits(&headers)
        };
        assert!(admits("Basic Y2k6czNjcmV0") && admits("basic Y2k6czNjcmV0"));
        for bad in ["Basic Y2k6czNjcmV1", "Bearer Y2k6czNjcmV0", "Basic", "Basic ", "", "Y2k6czNjcmV0", "Basic Y2k6"] {
            assert!(!admits(bad), "{bad}");
        }
        assert!(!login.admits(&HeaderMap::new()));
        assert!(!format!("{login:?}").contains("s3cret"));
    }
}
