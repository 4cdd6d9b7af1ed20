//! The process environment: read once, here, and passed on as a value.

use std::collections::BTreeMap;
use std::fmt;

use schleuse_config::env::Environment;
use schleuse_model::Secret;

/// The environment variables of this process. `Debug` shows names only: values may be secrets.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

impl Variables {
    /// Reads the environment. A variable that is no UTF-8 counts as not set: nothing we read can be that.
    #[allow(clippy::disallowed_methods, reason = "the one home of the environment")]
    pub(crate) fn read() -> Self {
        let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
            Some((name.into_string().ok()?, value.into_string().ok()?))
        };
        Self(std::env::vars_os().filter_map(text).collect())
    }

    /// These variables and no others.
    #[cfg(test)]
    pub(crate) fn of(variables: &[(&str, &str)]) -> Self {
        Self(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    /// A variable. CI systems set what they do not have to the empty text, so empty counts as not set.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// A secret, which may be empty on purpose (`COSIGN_PASSWORD=` is how cosign is told "no password").
    pub(crate) fn secret(&self, name: &str) -> Option<Secret<String>> {
        self.0.get(name).cloned().map(Secret::new)
    }

    /// The variables that count for the configuration and the connections, and no others.
    pub(crate) fn declared(&self) -> Environment {
        Environment::capture(self.0.clone())
    }
}

impl fmt::Debug for Variables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_do_not_print_and_empty_is_not_set() {
        let variables = Variables::of(&[("COSIGN_PASSWORD", "hunter2"), ("EMPTY", "")]);
        assert_eq!(format!("{variables:?}"), r#"{"COSIGN_PASSWORD", "EMPTY"}"#);
        assert_eq!(variables.get("EMPTY"), None);
        assert_eq!(variables.secret("EMPTY").unwrap().expose(), "");
        assert!(variables.secret("NONE").is_none());
    }
}
