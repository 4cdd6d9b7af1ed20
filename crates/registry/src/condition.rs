//! `If-Match` and `If-None-Match` (RFC 9110, section 13): what makes a tag a lock.

use http::HeaderMap;
use http::header::{HeaderName, IF_MATCH, IF_NONE_MATCH};
use schleuse_model::Digest;

use crate::problem::Problem;

/// One header: any existing content, or one of these.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Tags {
    Any,
    These(Vec<Digest>),
}

impl Tags {
    fn covers(&self, current: Option<&Digest>) -> bool {
        match (self, current) {
            (_, None) => false,
            (Self::Any, Some(_)) => true,
            (Self::These(list), Some(current)) => list.contains(current),
        }
    }
}

/// What must hold for a request to be carried out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    matching: Option<Tags>,
    none_matching: Option<Tags>,
}

impl Condition {
    /// Reads the headers. A condition that cannot be understood refuses a write: ignoring it would carry out what the client made
    /// conditional.
    pub(crate) fn parse(headers: &HeaderMap) -> Result<Self, Problem> {
        Ok(Self { matching: tags(headers, &IF_MATCH)?, none_matching: tags(headers, &IF_NONE_MATCH)? })
    }

    /// Refuses a write if it does not hold for what is there now.
    pub(crate) fn check(&self, current: Option<&Digest>) -> Result<(), Problem> {
        let holds = self.matching.as_ref().is_none_or(|tags| tags.covers(current))
            && !self.none_matching.as_ref().is_some_and(|tags| tags.covers(current));
        if holds { Ok(()) } else { Err(Problem::precondition(current)) }
    }

    /// Whether a reader has what is there now already (304).
    pub(crate) fn is_unchanged(&self, current: &Digest) -> bool {
        self.none_matching.as_ref().is_some_and(|tags| tags.covers(Some(current)))
    }
}

fn tags(headers: &HeaderMap, name: &HeaderName) -> Result<Option<Tags>, Problem> {
    let mut list = Vec::new();
    let mut any = false;
    let mut seen = false;
    for value in headers.get_all(name) {
        seen = true;
        for item in value.to_str().map_err(|_| Problem::condition_malformed())?.split(',') {
            let item = item.trim();
            if item == "*" {
                any = true;
                continue;
            }
            // A weak tag never matches strongly, and we give out none: it cannot be ours.
            let quoted = item.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            let digest = quoted.and_then(|text| text.parse().ok()).ok_or_else(Problem::condition_malformed)?;
            list.push(digest);
        }
    }
    Ok(seen.then_some(if any { Tags::Any } else { Tags::These(list) }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(name: &HeaderName, value: &str) -> Result<Condition, Problem> {
        let mut headers = HeaderMap::new();
        headers.insert(name.clone(), value.parse().unwrap());
        Condition::parse(&headers)
    }

    #[test]
    fn create_once_and_compare_and_swap() {
        let (a, b) = (Digest::sha256(b"a"), Digest::sha256(b"b"));
        let once = condition(&IF_NONE_MATCH, "*").unwrap();
        assert!(once.check(None).is_ok() && once.check(Some(&a)).is_err());
        let swap = condition(&IF_MATCH, &format!("\"{a}\"")).unwrap();
        assert!(swap.check(Some(&a)).is_ok() && swap.check(Some(&b)).is_err() && swap.check(None).is_err());
        let either = condition(&IF_MATCH, &format!("\"{a}\", \"{b}\"")).unwrap();
        assert!(either.check(Some(&b)).is_ok());
        assert!(Condition::default().check(None).is_ok() && Condition::default().check(Some(&a)).is_ok());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for bad in ["", "x", "\"x\"", "W/\"sha256:00\"", "sha256:00"] {
            assert!(condition(&IF_MATCH, bad).is_err(), "{bad}");
            assert!(condition(&IF_NONE_MATCH, bad).is_err(), "{bad}");
        }
    }
}
