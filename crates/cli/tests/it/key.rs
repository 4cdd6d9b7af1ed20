//! `schleuse key`.

use std::os::unix::fs::PermissionsExt as _;

use crate::support::{PASSWORD, schleuse};

#[test]
fn a_new_key_is_private_encrypted_and_never_overwritten() {
    let folder = tempfile::tempdir().unwrap();
    let generate = || schleuse(folder.path(), &["key", "generate"]).env("COSIGN_PASSWORD", PASSWORD).done();
    let done = generate().exits(0);
    assert!(done.stdout().contains("schleuse.key") && done.stdout().contains("schleuse.pub"));
    let private = folder.path().join("schleuse.key");
    assert_eq!(private.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    let before = std::fs::read_to_string(&private).unwrap();
    assert!(before.starts_with("-----BEGIN ENCRYPTED SIGSTORE PRIVATE KEY-----"));

    insta::assert_snapshot!(generate().exits(2).stderr(), @r"
    error: schleuse.key exists already and is not overwritten
    hint: move it away first, or choose another name
    ");
    std::fs::remove_file(folder.path().join("schleuse.key")).unwrap();
    let done = generate().exits(2);
    assert!(done.stderr().contains("schleuse.pub exists already"), "the public half neither: {}", done.stderr());
    assert!(!private.exists(), "and no half a pair is left behind");
}

#[test]
fn without_a_password_and_a_terminal_nothing_is_made() {
    let folder = tempfile::tempdir().unwrap();
    insta::assert_snapshot!(schleuse(folder.path(), &["key", "generate"]).done().exits(2).stderr(), @r"
    error: the key needs a password, and there is nobody to ask
    hint: set COSIGN_PASSWORD (it may be empty), or run this on a terminal
    ");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn the_public_half_of_files_and_variables() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| schleuse(folder.path(), arguments).env("COSIGN_PASSWORD", PASSWORD);
    run(&["key", "generate"]).done().exits(0);
    let written = std::fs::read_to_string(folder.path().join("schleuse.pub")).unwrap();
    let private = std::fs::read_to_string(folder.path().join("schleuse.key")).unwrap();
    assert_eq!(run(&["key", "public", "schleuse.key"]).done().exits(0).stdout(), written);
    assert_eq!(run(&["key", "public", "schleuse.pub"]).done().exits(0).stdout(), written);
    let from_variable = run(&["key", "public", "env://MY_KEY"]).env("MY_KEY", &private).done().exits(0);
    assert_eq!(from_variable.stdout(), written);
    let json = run(&["key", "public", "schleuse.pub", "--format", "json"]).done().exits(0).json("result");
    assert_eq!(json["pem"], written);

    let wrong = run(&["key", "public", "schleuse.key"]).env("COSIGN_PASSWORD", "guess").done().exits(2);
    insta::assert_snapshot!(wrong.stderr(), @r"
    error: cannot use the key schleuse.key
      why: the password does not open this key
    hint: check COSIGN_PASSWORD: is it this key's, without a trailing line break?
    ");
    let unset = run(&["key", "public", "env://NOT_SET"]).done().exits(2);
    assert!(unset.stderr().starts_with("error: the variable NOT_SET is not set"));
    let missing = run(&["key", "public", "none.key"]).done().exits(2);
    assert!(missing.stderr().starts_with("error: cannot read none.key\n  why: No such file"), "{}", missing.stderr());
}
