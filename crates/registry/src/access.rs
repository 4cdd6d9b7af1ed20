//! Who may use the registry (RFC 7617): everybody, one login, or the users of a file.

use base64::Engine as _;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use schleuse_model::{Digest, Secret};

use crate::problem::Problem;
use users::Users;

pub(crate) mod htpasswd;
mod known;
pub(crate) mod users;

/// Whom the registry lets in.
#[derive(Clone, Debug)]
pub(crate) enum Access {
    Open,
    One(Login),
    Users(Users),
}

/// Who sent a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Caller {
    Anyone,
    User(String),
}

impl Access {
    /// Whose request it is; refuses who is not let in.
    pub(crate) async fn admit(&self, headers: &HeaderMap) -> Result<Caller, Problem> {
        match self {
            Self::Open => Ok(Caller::Anyone),
            Self::One(login) if login.admits(headers) => Ok(Caller::User(login.username.clone())),
            Self::One(_) => Err(Problem::unauthorized()),
            Self::Users(users) => {
                let Some((user, password)) = basic(headers) else { return Err(Problem::unauthorized()) };
                if users.admit(&user, &password).await? { Ok(Caller::User(user)) } else { Err(Problem::unauthorized()) }
            }
        }
    }
}

/// The part of an `Authorization` header after `Basic`.
fn credentials(headers: &HeaderMap) -> Option<&[u8]> {
    let (scheme, encoded) = headers.get(AUTHORIZATION)?.as_bytes().split_at_checked(6)?;
    scheme.eq_ignore_ascii_case(b"basic ").then(|| encoded.trim_ascii())
}

/// User and password. The user's name cannot contain a colon (RFC 7617, section 2).
pub(crate) fn basic(headers: &HeaderMap) -> Option<(String, Secret<String>)> {
    let pair = base64::engine::general_purpose::STANDARD.decode(credentials(headers)?).ok()?;
    let pair = Secret::new(String::from_utf8(pair).ok()?);
    let (user, password) = pair.expose().split_once(':')?;
    Some((user.to_owned(), Secret::new(password.to_owned())))
}

/// One user, one password. The digest of the one `Authorization` value that is let in; the password itself is not kept.
#[derive(Clone, Debug)]
pub(crate) struct Login {
    username: String,
    digest: Digest,
}

impl Login {
    pub(crate) fn new(username: &str, password: &Secret<String>) -> Self {
        let pair = Secret::new(format!("{username}:{}", password.expose()));
        let encoded = Secret::new(base64::engine::general_purpose::STANDARD.encode(pair.expose()));
        Self { username: username.to_owned(), digest: Digest::sha256(encoded.expose().as_bytes()) }
    }

    /// Whether the request carries the login. Digests are compared, and every byte of them, so that the time taken says nothing
    /// about how much of a guess was right.
    pub(crate) fn admits(&self, headers: &HeaderMap) -> bool {
        let Some(encoded) = credentials(headers) else { return false };
        let given = Digest::sha256(encoded);
        given.hex().bytes().zip(self.digest.hex().bytes()).fold(0, |acc, (a, b)| acc | (a ^ b)) == 0
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn headers(value: &str) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert(AUTHORIZATION, value.parse().unwrap());
        headers
    }

    #[test]
    fn only_the_exact_login_is_admitted() {
        let login = Login::new("ci", &Secret::new("s3cret".to_owned()));
        let admits = |value: &str| login.admits(&headers(value));
        assert!(admits("Basic Y2k6czNjcmV0") && admits("basic Y2k6czNjcmV0"));
        for bad in ["Basic Y2k6czNjcmV1", "Bearer Y2k6czNjcmV0", "Basic", "Basic ", "", "Y2k6czNjcmV0", "Basic Y2k6"] {
            assert!(!admits(bad), "{bad}");
        }
        assert!(!login.admits(&HeaderMap::new()));
        assert!(!format!("{login:?}").contains("s3cret"));
    }

    proptest! {
        /// What a client encodes is what we read; the password may contain colons.
        #[test]
        fn user_and_password_come_back(user in "[^:\u{0}]{0,20}", password in ".{0,40}") {
            let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{user}:{password}"));
            let (read, secret) = basic(&headers(&format!("Basic {encoded}"))).unwrap();
            prop_assert_eq!(read, user);
            prop_assert_eq!(secret.expose(), &password);
        }

        #[test]
        fn no_header_makes_it_panic(value in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(value) = http::HeaderValue::from_bytes(&value) {
                let mut headers = HeaderMap::new();
                headers.insert(AUTHORIZATION, value);
                let _ = basic(&headers);
            }
        }
    }
}
