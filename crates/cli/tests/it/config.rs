//! `schleuse config`.

use crate::support::{Checkout, nobody, schleuse};

#[test]
fn every_mistake_is_named_with_its_line_and_a_suggestion() {
    let folder = tempfile::tempdir().unwrap();
    let file = "imaeg = \"ghcr.io/acme/billing\"\n\n[environment.production]\nhost = \"local\"\nprot = 3000\n";
    std::fs::write(folder.path().join("schleuse.toml"), file).unwrap();
    let done = schleuse(folder.path(), &["config", "check"]).done().exits(2);
    assert_eq!(done.stdout(), "");
    insta::assert_snapshot!(done.stderr(), @r"
    error: schleuse.toml has 3 mistakes
      why: schleuse.toml:1:1: unknown key `imaeg`; did you mean `image`?
      why: schleuse.toml:3:14: `port` in [environment.production] is missing
      why: schleuse.toml:5:1: unknown key `prot` in [environment.production]; did you mean `port`?
    hint: all keys: docs/CONFIG.md; for your editor: `schleuse config schema`
    ");
    let json = schleuse(folder.path(), &["config", "check", "--format", "json"]).done().exits(2).json("error");
    assert_eq!(json["causes"].as_array().unwrap().len(), 3);
}

#[test]
fn show_says_where_each_value_comes_from() {
    let checkout = Checkout::new(nobody());
    let shown = checkout.run(&["config", "show"]).done().exits(0).stdout();
    let line = |key: &str| shown.lines().find(|line| line.starts_with(key)).unwrap_or_default().to_owned();
    assert!(line("image ").ends_with("schleuse.toml:1") && line("git_remote ").ends_with("default"), "{shown}");
    let flagged = checkout.run(&["config", "show", "--image", "ghcr.io/x/y", "--format", "json"]).done().exits(0);
    let settings = flagged.json("result")["settings"].clone();
    let image = settings.as_array().unwrap().iter().find(|one| one["key"] == "image").unwrap().clone();
    assert_eq!((&image["value"], &image["origin"]), (&"ghcr.io/x/y".into(), &"--image".into()));
}

#[test]
fn check_reads_the_keys_too() {
    let checkout = Checkout::new(nobody());
    checkout.run(&["config", "check"]).done().exits(0);
    checkout.write("schleuse.pub", "no key");
    let done = checkout.run(&["config", "check"]).done().exits(2);
    assert!(done.stderr().contains("schleuse.pub"), "{}", done.stderr());
}

#[test]
fn the_file_is_found_upwards_and_named_files_must_exist() {
    let checkout = Checkout::new(nobody());
    std::fs::create_dir_all(checkout.path().join("a/b")).unwrap();
    let below = schleuse(&checkout.path().join("a/b"), &["config", "show"]).done().exits(0);
    assert!(below.stdout().contains(&checkout.image));
    let done = checkout.run(&["config", "show", "--config", "other.toml"]).done().exits(2);
    assert!(done.stderr().starts_with("error: cannot read other.toml"));
    let done = checkout.run(&["config", "show"]).env("SCHLEUSE_CONFIG", "another.toml").done().exits(2);
    assert!(done.stderr().starts_with("error: cannot read another.toml"));
    let nowhere = tempfile::tempdir().unwrap();
    schleuse(nowhere.path(), &["config", "check"]).done().exits(2);
}

#[test]
fn the_schema_is_json() {
    let folder = tempfile::tempdir().unwrap();
    let text = schleuse(folder.path(), &["config", "schema"]).done().exits(0).stdout();
    let schema: serde_json::Value = text.parse().unwrap();
    assert_eq!(schema["title"], "schleuse.toml");
}
