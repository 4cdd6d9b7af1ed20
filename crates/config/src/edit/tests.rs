use super::*;
use crate::policy::{KeyRole, TrustedKey};
use crate::{Flags, Source, load};

fn key(file: &str, role: KeyRole, revocation: Revocation, person: Option<&str>) -> RevokedKey {
    let key = TrustedKey { file: file.to_owned(), person: person.map(str::to_owned) };
    RevokedKey { key, role, revocation }
}

fn superseded(file: &str) -> RevokedKey {
    let since = "2026-11-26T00:00:00Z".parse().unwrap();
    key(file, KeyRole::Build, Revocation::Superseded { since }, None)
}

fn compromised(file: &str) -> RevokedKey {
    key(file, KeyRole::Build, Revocation::Compromised, None)
}

/// The edited text. It is a configuration, and says what was asked for.
fn edited(text: &str, key: &RevokedKey) -> String {
    let edited = revoke(text, key).unwrap();
    let loaded = load(Source { name: "schleuse.toml", text: &edited }, &Flags::default(), &Default::default());
    let loaded = loaded.unwrap_or_else(|error| panic!("{error} in\n{edited}"));
    assert!(loaded.policy.trust.revoked.contains(key), "{edited}");
    assert_eq!(revoke(&edited, key).unwrap(), edited, "twice is once");
    edited
}

#[test]
fn a_list_on_one_line() {
    let text = "image = \"x.test/a\" # ours\n\n[trust]\nbuild = [\"old.pub\", \"new.pub\"] # CI\n\n[environment.dev]\n";
    assert_eq!(
        edited(text, &superseded("old.pub")),
        "image = \"x.test/a\" # ours\n\n[trust]\nbuild = [\"new.pub\"] # CI\nrevoked = [\n  { key = \"old.pub\", why = \
         \"superseded\", since = \"2026-11-26T00:00:00Z\" },\n]\n\n[environment.dev]\n"
    );
}

#[test]
fn a_list_on_several_lines_keeps_its_comments() {
    let text =
        "[trust]\nbuild = [\n  # until November\n  \"old.pub\", # the laptop's\n  \"new.pub\", # the runner's\n]\n";
    let after = edited(text, &compromised("old.pub"));
    assert_eq!(
        after,
        "[trust]\nbuild = [\n  # until November\n  # the laptop's\n  \"new.pub\", # the runner's\n]\nrevoked = [\n  { key = \
         \"old.pub\", why = \"compromised\" },\n]\n"
    );
    let after = edited(text, &compromised("new.pub"));
    for kept in ["# until November", "# the laptop's", "# the runner's", "  \"old.pub\","] {
        assert!(after.contains(kept), "{after}");
    }
}

#[test]
fn a_second_revoked_key_goes_below_the_first() {
    let text = "[trust]\nbuild = [\"c.pub\", \"b.pub\"]\nrevoked = [\n  { key = \"a.pub\", why = \"compromised\" }, # \
                2024\n]\n";
    assert_eq!(
        edited(text, &compromised("b.pub")),
        "[trust]\nbuild = [\"c.pub\"]\nrevoked = [\n  { key = \"a.pub\", why = \"compromised\" }, # 2024\n  { key = \
         \"b.pub\", why = \"compromised\" },\n]\n"
    );
    let short = "[trust]\nbuild = [\"b.pub\"]\nrevoked = [{ key = \"a.pub\", why = \"compromised\" }]\n";
    let after = edited(short, &compromised("b.pub"));
    assert!(after.contains("build = []\n"), "{after}");
    assert!(after.contains("[{ key = \"a.pub\", why = \"compromised\" }, { key = \"b.pub\", why"), "{after}");
}

#[test]
fn a_superseded_key_that_turns_out_to_be_stolen() {
    let once = edited("[trust]\nbuild = [\"old.pub\", \"new.pub\"]\n", &superseded("old.pub"));
    let twice = edited(&once, &compromised("old.pub"));
    assert_eq!(twice.matches("old.pub").count(), 1, "{twice}");
}

#[test]
fn people_keep_their_names_and_roles_theirs() {
    let text = "[trust]\nbuild = [\"ci.pub\"]\napprove = [{ key = \"ada.pub\", person = \"ada\" }]\nquarantine = [{ key = \
                \"ada.pub\", person = \"ada\" }]\n";
    let one = key("ada.pub", KeyRole::Approve, Revocation::Compromised, Some("ada"));
    let text = revoke(text, &one).unwrap();
    assert!(text.contains("approve = []\n") && text.contains("quarantine = [{ key = \"ada.pub\""), "{text}");
    let other = key("ada.pub", KeyRole::Quarantine, Revocation::Compromised, Some("ada"));
    let after = edited(&text, &other);
    assert!(after.contains("role = \"approve\", why = \"compromised\", person = \"ada\" }"), "{after}");
}

#[test]
fn other_ways_to_write_it() {
    let none = edited("image = \"x.test/a\"\n", &compromised("schleuse.pub"));
    assert!(none.contains("[trust]\nbuild = []\nrevoked = ["), "{none}");
    let inline = edited("trust = { build = [\"a.pub\", \"b.pub\"] }\n", &compromised("a.pub"));
    assert_eq!(inline.lines().count(), 1, "{inline}");
    let tables =
        "[[trust.build]]\nkey = \"a.pub\"\n\n[[trust.build]] # today's\nkey = \"b.pub\"\n\n[environment.dev]\n";
    let after = edited(tables, &compromised("a.pub"));
    assert!(
        after.contains("[[trust.build]] # today's\nkey = \"b.pub\"") && !after.contains("[[trust.build]]\n"),
        "{after}"
    );
    let dotted = edited("trust.build = [\"a.pub\", \"b.pub\"]\n", &compromised("a.pub"));
    assert!(dotted.contains("trust.build = [\"b.pub\"]"), "{dotted}");
    assert_eq!(revoke("trust = 1", &compromised("a")).unwrap_err(), EditError::NotATable);
    assert!(matches!(revoke("[trust", &compromised("a")), Err(EditError::Syntax(_))));
}
