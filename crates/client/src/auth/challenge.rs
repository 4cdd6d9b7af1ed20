//! `WWW-Authenticate` (RFC 9110 §11.6.1, RFC 6750 §3, and the token specification of `distribution`).

use http::{HeaderMap, header};

/// How a registry wants to be logged in to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Challenge {
    /// User and password.
    Basic,
    /// A token from `realm`.
    Bearer {
        /// Where tokens come from.
        realm: String,
        /// For whom the token is.
        service: Option<String>,
        /// What the registry thinks is needed.
        scope: Option<String>,
    },
}

/// The best challenge among the headers: bearer before basic. `None`: there is none that we know.
pub(crate) fn best(headers: &HeaderMap) -> Option<Challenge> {
    let mut challenges: Vec<Challenge> = headers
        .get_all(header::WWW_AUTHENTICATE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(parse)
        .collect();
    let bearer = challenges.iter().position(|challenge| matches!(challenge, Challenge::Bearer { .. }));
    (!challenges.is_empty()).then(|| challenges.swap_remove(bearer.unwrap_or(0)))
}

/// The challenges of one header. Schemes we do not know, and bearer without a realm, are left out.
fn parse(text: &str) -> Vec<Challenge> {
    let mut found: Vec<(String, Vec<(String, String)>)> = Vec::new();
    for item in items(text) {
        let equals = item.find('=');
        let space = item.find([' ', '\t']);
        // `Scheme name=value`, `Scheme` alone, or a further `name=value` of the scheme before.
        let parameter = match (space, equals) {
            (Some(space), equals) if equals.is_none_or(|equals| space < equals) => {
                found.push((item[..space].to_ascii_lowercase(), Vec::new()));
                item[space..].trim_start()
            }
            (_, None) => {
                found.push((item.to_ascii_lowercase(), Vec::new()));
                ""
            }
            _ => item.as_str(),
        };
        if let (Some((name, value)), Some((_, parameters))) = (parameter.split_once('='), found.last_mut()) {
            parameters.push((name.trim().to_ascii_lowercase(), unquote(value.trim())));
        }
    }
    found
        .into_iter()
        .filter_map(|(scheme, parameters)| {
            let get = |wanted: &str| {
                parameters
                    .iter()
                    .find(|(name, value)| name == wanted && !value.is_empty())
                    .map(|(_, value)| value.clone())
            };
            match scheme.as_str() {
                "basic" => Some(Challenge::Basic),
                "bearer" => {
                    Some(Challenge::Bearer { realm: get("realm")?, service: get("service"), scope: get("scope") })
                }
                _ => None,
            }
        })
        .collect()
}

/// Splits at commas outside of quotes.
fn items(text: &str) -> Vec<String> {
    let mut items = vec![String::new()];
    let (mut quoted, mut escaped) = (false, false);
    for c in text.chars() {
        if c == ',' && !quoted {
            items.push(String::new());
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && quoted && !escaped;
        if let Some(last) = items.last_mut() {
            last.push(c);
        }
    }
    items.into_iter().map(|item| item.trim().to_owned()).filter(|item| !item.is_empty()).collect()
}

fn unquote(value: &str) -> String {
    let Some(inner) = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) else { return value.to_owned() };
    let mut out = String::new();
    let mut escaped = false;
    for c in inner.chars() {
        escaped = c == '\\' && !escaped;
        if !escaped {
            out.push(c);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Challenge {
        Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        }
    }

    #[test]
    fn as_registries_write_them() {
        let ghcr = r#"Bearer realm="https://ghcr.io/token",service="ghcr.io",scope="repository:a/b:pull,push""#;
        assert_eq!(parse(ghcr), [bearer("https://ghcr.io/token", Some("ghcr.io"), Some("repository:a/b:pull,push"))]);
        assert_eq!(parse(r#"Basic realm="Registry Realm, x=y""#), [Challenge::Basic]);
        assert_eq!(parse("basic"), [Challenge::Basic]);
        assert_eq!(
            parse(r#"BEARER REALM=https://x/t , Service="a \"b\" c""#),
            [bearer("https://x/t", Some("a \"b\" c"), None)]
        );
        let two = r#"Negotiate, Basic realm="x", Bearer realm="https://x/t",error="insufficient_scope""#;
        assert_eq!(parse(two), [Challenge::Basic, bearer("https://x/t", None, None)]);
    }

    proptest! {
        /// Any header is read without a panic, and no realm comes out of it that does not stand in it.
        #[test]
        fn any_header(text in "([Bb]earer |[Bb]asic |realm=|\"|\\\\|,|=| |[a-z:/]{1,8}){0,20}") {
            for challenge in parse(&text) {
                if let Challenge::Bearer { realm, .. } = challenge {
                    prop_assert!(!realm.is_empty() && text.replace('\\', "").contains(&realm.replace('\\', "")));
                }
            }
        }

        /// What was quoted is read back, whatever it is.
        #[test]
        fn quoted_values_come_back(realm in "[ -~]{1,30}", service in "[ -~]{1,30}", scheme in "(?i)bearer") {
            let quoted = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"");
            let text = format!("{scheme} realm=\"{}\" , service=\"{}\"", quoted(&realm), quoted(&service));
            prop_assert_eq!(parse(&text), [bearer(&realm, Some(&service), None)]);
        }
    }

    #[test]
    fn nonsense_is_no_challenge() {
        for text in [
            "",
            ",,,",
            "Bearer",
            "Bearer realm=\"\"",
            "Bearer service=\"x\"",
            "realm=\"x\"",
            "Digest qop=\"auth\"",
            "\"",
        ] {
            assert_eq!(parse(text), [], "{text}");
        }
    }

    #[test]
    fn bearer_is_preferred() {
        let mut headers = HeaderMap::new();
        assert_eq!(best(&headers), None);
        headers.append(header::WWW_AUTHENTICATE, "Basic realm=x".parse().unwrap());
        assert_eq!(best(&headers), Some(Challenge::Basic));
        headers.append(header::WWW_AUTHENTICATE, "Bearer realm=\"https://x/t\"".parse().unwrap());
        assert_eq!(best(&headers), Some(bearer("https://x/t", None, None)));
    }
}
