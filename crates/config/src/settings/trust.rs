//! `[trust]`: whose keys are believed, and whose were.

use std::collections::BTreeSet;

use schleuse_model::Timestamp;

use super::reader::Reader;
use crate::document::KeyPath;
use crate::error::{Rule, What, clip};
use crate::policy::{KeyRole, Revocation, RevokedKey, Trust, TrustedKey};
use crate::{Origin, raw};

/// The build key where the file has no `[trust]`: what `schleuse init` and `schleuse key generate` write.
const DEFAULT_BUILD_KEY: &str = "schleuse.pub";

pub(super) fn read(raw: Option<&raw::Trust>, reader: &mut Reader<'_>) -> Trust {
    let Some(raw) = raw else {
        reader.show(&KeyPath::of(&["trust", "build"]), DEFAULT_BUILD_KEY, &Origin::Default);
        return Trust {
            build: vec![TrustedKey { file: DEFAULT_BUILD_KEY.to_owned(), person: None }],
            ..Trust::default()
        };
    };
    let trust = Trust {
        build: keys("build", &raw.build, false, reader),
        approve: keys("approve", &raw.approve, true, reader),
        quarantine: keys("quarantine", &raw.quarantine, true, reader),
        break_glass: keys("break-glass", &raw.break_glass, false, reader),
        revoked: revoked(&raw.revoked, reader),
    };
    let of_ci: BTreeSet<&str> = trust.build.iter().map(|key| key.file.as_str()).collect();
    for (role, keys) in [("approve", &trust.approve), ("quarantine", &trust.quarantine)] {
        for (at, key) in keys.iter().enumerate().filter(|(_, key)| of_ci.contains(key.file.as_str())) {
            let path = KeyPath::of(&["trust", role]).index(at);
            reader.wrong(
                &path,
                What::Rule { key: format!("`{}` as {path}", clip(&key.file)), rule: Rule::BuildKeyCannotApprove },
            );
        }
    }
    for (at, revoked) in trust.revoked.iter().enumerate() {
        if trust.roles().iter().any(|(_, keys)| keys.iter().any(|key| key.file == revoked.key.file)) {
            let path = KeyPath::of(&["trust", "revoked"]).index(at);
            reader.wrong(
                &path,
                What::Rule { key: format!("`{}` as {path}", clip(&revoked.key.file)), rule: Rule::TrustedAndRevoked },
            );
        }
    }
    trust
}

fn keys(role: &str, raw: &[raw::Key], person_needed: bool, reader: &mut Reader<'_>) -> Vec<TrustedKey> {
    let path = KeyPath::of(&["trust", role]);
    let mut keys: Vec<TrustedKey> = Vec::new();
    for (at, key) in raw.iter().enumerate() {
        let at = path.index(at);
        let (file, person) = match key {
            raw::Key::File(file) => (file, None),
            raw::Key::Of(of) => (&of.key, of.person.as_ref()),
        };
        need_file(file, &at, reader);
        let named = person.is_some_and(|person| !person.trim().is_empty());
        if person_needed && !named {
            reader.rule(&at, Rule::NeedsPerson);
        }
        if keys.iter().any(|other| other.file == *file) {
            reader.rule(&at, Rule::Twice);
        }
        keys.push(TrustedKey { file: file.clone(), person: person.cloned() });
    }
    if !keys.is_empty() {
        let files = keys.iter().map(|key| clip(&key.file)).collect::<Vec<_>>().join(" ");
        reader.show(&path, files, &reader.origin(&path));
    }
    keys
}

fn need_file(file: &str, at: &KeyPath, reader: &mut Reader<'_>) {
    reader.need(!file.is_empty() && !file.contains('\0'), at, file, "a public key's file");
}

fn revoked(raw: &[raw::Revoked], reader: &mut Reader<'_>) -> Vec<RevokedKey> {
    let path = KeyPath::of(&["trust", "revoked"]);
    let mut revoked: Vec<RevokedKey> = Vec::new();
    for (at, raw) in raw.iter().enumerate() {
        let at = path.index(at);
        need_file(&raw.key, &at.key("key"), reader);
        let role = match raw.role {
            None | Some(raw::Role::Build) => KeyRole::Build,
            Some(raw::Role::Approve) => KeyRole::Approve,
            Some(raw::Role::Quarantine) => KeyRole::Quarantine,
            Some(raw::Role::BreakGlass) => KeyRole::BreakGlass,
        };
        let named = raw.person.as_ref().is_some_and(|person| !person.trim().is_empty());
        if matches!(role, KeyRole::Approve | KeyRole::Quarantine) && !named {
            reader.rule(&at, Rule::NeedsPerson);
        }
        if revoked.iter().any(|other| other.key.file == raw.key && other.role == role) {
            reader.rule(&at, Rule::Twice);
        }
        let Some(revocation) = revocation(raw, &at, reader) else { continue };
        let key = TrustedKey { file: raw.key.clone(), person: raw.person.clone() };
        revoked.push(RevokedKey { key, role, revocation });
    }
    if !revoked.is_empty() {
        let line = |one: &RevokedKey| match one.revocation {
            Revocation::Superseded { since } => format!("{} (superseded on {since})", clip(&one.key.file)),
            Revocation::Compromised => format!("{} (compromised)", clip(&one.key.file)),
        };
        let lines = revoked.iter().map(line).collect::<Vec<_>>().join(" ");
        reader.show(&path, lines, &reader.origin(&path));
    }
    revoked
}

fn revocation(raw: &raw::Revoked, at: &KeyPath, reader: &mut Reader<'_>) -> Option<Revocation> {
    match (raw.why, &raw.since) {
        (raw::Why::Compromised, None) => Some(Revocation::Compromised),
        (raw::Why::Compromised, Some(_)) => {
            reader.rule(&at.key("since"), Rule::SinceOfCompromised);
            None
        }
        (raw::Why::Superseded, None) => {
            reader.rule(at, Rule::NeedsSince);
            None
        }
        (raw::Why::Superseded, Some(text)) => {
            let since = text.parse::<Timestamp>().ok();
            reader.need(since.is_some(), &at.key("since"), text, "a time in RFC 3339, such as 2026-11-26T00:00:00Z,");
            since.map(|since| Revocation::Superseded { since })
        }
    }
}
