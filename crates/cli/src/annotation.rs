//! `--annotation NAME=VALUE`.

use std::collections::BTreeMap;
use std::str::FromStr;

/// The longest name and the longest value, in bytes.
const LONGEST: usize = 4096;

/// One annotation, as typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Annotation {
    name: String,
    value: String,
}

/// Not an annotation.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnnotationError {
    /// Without a name, or without `=`.
    #[error("write NAME=VALUE")]
    Form,
    /// Too long.
    #[error("name and value have at most {LONGEST} bytes each")]
    TooLong,
}

impl FromStr for Annotation {
    type Err = AnnotationError;

    fn from_str(text: &str) -> Result<Self, AnnotationError> {
        let (name, value) = text.split_once('=').ok_or(AnnotationError::Form)?;
        if name.is_empty() {
            return Err(AnnotationError::Form);
        }
        if name.len() > LONGEST || value.len() > LONGEST {
            return Err(AnnotationError::TooLong);
        }
        Ok(Self { name: name.to_owned(), value: value.to_owned() })
    }
}

/// All of them; of a name that stands twice, the last.
pub(crate) fn collect(annotations: &[Annotation]) -> BTreeMap<String, String> {
    annotations.iter().map(|one| (one.name.clone(), one.value.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn name_and_value() {
        let parse = |text: &str| text.parse::<Annotation>();
        let both = [parse("env=prod").unwrap(), parse("query=a=b").unwrap(), parse("empty=").unwrap()];
        let all = collect(&both);
        assert_eq!((all["env"].as_str(), all["query"].as_str(), all["empty"].as_str()), ("prod", "a=b", ""));
        for bad in ["env", "=prod", "", &format!("x={}", "y".repeat(4097))] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
