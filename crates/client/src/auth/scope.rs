//! What a token is good for (`distribution`'s token scope: `repository:<path>:pull,push`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use schleuse_model::Repository;

/// Resources and actions, in one order, so that the same need finds the same token.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Scope(BTreeMap<String, BTreeSet<String>>);

impl Scope {
    /// Reading `repository`.
    pub(crate) fn pull(repository: &Repository) -> Self {
        Self::default().and(repository, &["pull"])
    }

    /// Writing `repository`; registries want `pull` with it.
    pub(crate) fn push(repository: &Repository) -> Self {
        Self::default().and(repository, &["pull", "push"])
    }

    /// Deleting in `repository`; registries want `pull` with it.
    pub(crate) fn delete(repository: &Repository) -> Self {
        Self::default().and(repository, &["delete", "pull"])
    }

    /// And reading `repository` too.
    pub(crate) fn and_pull(self, repository: &Repository) -> Self {
        self.and(repository, &["pull"])
    }

    fn and(mut self, repository: &Repository, actions: &[&str]) -> Self {
        let entry = self.0.entry(format!("repository:{}", repository.path())).or_default();
        entry.extend(actions.iter().map(|&action| action.to_owned()));
        self
    }

    /// And what the registry's challenge asks for, but for other repositories: a challenge is remembered, and may have been an
    /// answer about another one.
    pub(crate) fn and_challenge(mut self, text: Option<&str>) -> Self {
        for part in text.unwrap_or("").split(' ').filter(|part| !part.is_empty()) {
            // A name may hold a colon (a port), so the actions are after the last one.
            let (resource, actions) = part.rsplit_once(':').unwrap_or((part, ""));
            if resource.starts_with("repository:") && !self.0.contains_key(resource) {
                continue;
            }
            let entry = self.0.entry(resource.to_owned()).or_default();
            entry.extend(actions.split(',').filter(|action| !action.is_empty()).map(str::to_owned));
        }
        self
    }

    /// Whether a token for `self` serves `wanted` too.
    pub(crate) fn covers(&self, wanted: &Self) -> bool {
        wanted.0.iter().all(|(resource, actions)| self.0.get(resource).is_some_and(|have| have.is_superset(actions)))
    }

    /// Each resource as one `scope` parameter.
    pub(crate) fn parts(&self) -> Vec<String> {
        self.0
            .iter()
            .map(|(resource, actions)| {
                let actions: Vec<&str> = actions.iter().map(String::as_str).collect();
                if actions.is_empty() { resource.clone() } else { format!("{resource}:{}", actions.join(",")) }
            })
            .collect()
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.parts().join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unions_and_cover() {
        let repository: Repository = "r.io/a/b".parse().unwrap();
        let other: Repository = "r.io/c".parse().unwrap();
        let (pull, push) = (Scope::pull(&repository), Scope::push(&repository));
        assert_eq!(push.to_string(), "repository:a/b:pull,push");
        assert!(push.covers(&pull) && !pull.covers(&push) && !push.covers(&Scope::pull(&other)));
        assert_eq!(push.clone().and_pull(&other).to_string(), "repository:a/b:pull,push repository:c:pull");
        assert_eq!(
            pull.and_challenge(Some("repository:a/b:push,pull aws")).parts(),
            ["aws", "repository:a/b:pull,push"]
        );
        assert_eq!(push.clone().and_challenge(Some("repository:c:pull")), push);
        assert!(!push.covers(&Scope::delete(&repository)), "whoever may push need not be able to delete");
    }
}
