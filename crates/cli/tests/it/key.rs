//! `schleuse key`.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
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

#[test]
fn every_algorithm_is_made_imported_and_inspected() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| schleuse(folder.path(), arguments).env("COSIGN_PASSWORD", PASSWORD);
    for algorithm in ["ecdsa-p256", "ecdsa-p384", "ed25519"] {
        run(&["key", "generate", "--algorithm", algorithm, "--output-prefix", algorithm]).done().exits(0);
        let (private, public) = (format!("{algorithm}.key"), format!("{algorithm}.pub"));
        let private = run(&["key", "inspect", &private, "--format", "json"]).done().exits(0).json("result");
        let public = run(&["key", "inspect", &public, "--format", "json"]).done().exits(0).json("result");
        assert_eq!((&private["half"], &public["half"]), (&"private".into(), &"public".into()));
        assert_eq!((&private["fingerprint"], &public["algorithm"]), (&public["fingerprint"], &algorithm.into()));
        assert_eq!(private["encryption"], "scrypt (N 65536, r 8, p 1), nacl/secretbox");
    }
    // Without its password an encrypted key says how it is encrypted, and nothing else.
    let locked = schleuse(folder.path(), &["key", "inspect", "ed25519.key"]).done().exits(0);
    assert!(locked.stdout().contains("scrypt") && !locked.stdout().contains("fingerprint"), "{}", locked.stdout());
    assert!(run(&["key", "generate", "--algorithm", "rsa"]).done().exits(2).stderr().contains("ecdsa-p384"));
    assert!(
        run(&["key", "public", "awskms:///x"]).done().exits(2).stderr().contains("`awskms:///x` are not supported")
    );
}

#[test]
fn a_plain_key_is_imported_and_left_as_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| schleuse(folder.path(), arguments).env("COSIGN_PASSWORD", PASSWORD);
    // RFC 8410, section 10.3.
    let (label, body) = ("PRIVATE KEY", "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC");
    let plain = format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n");
    std::fs::write(folder.path().join("plain.pem"), &plain).unwrap();
    let open = run(&["key", "inspect", "plain.pem"]).done().exits(0);
    assert!(open.stderr().contains("is not encrypted") && open.stdout().contains("ed25519"), "{}", open.stderr());
    let half = run(&["key", "public", "plain.pem"]).done().exits(0);
    assert!(
        half.stderr().contains("is not encrypted") && half.stdout().contains("BEGIN PUBLIC KEY"),
        "{}",
        half.stderr()
    );
    run(&["key", "import", "plain.pem", "--output-prefix", "mine"]).done().exits(0);
    let public = run(&["key", "public", "mine.key"]).done().exits(0).stdout();
    assert!(public.contains("MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="), "{public}");
    assert_eq!(std::fs::metadata(folder.path().join("mine.key")).unwrap().permissions().mode() & 0o777, 0o600);
    let again = run(&["key", "import", "plain.pem", "--output-prefix", "mine"]).done().exits(2);
    assert!(again.stderr().contains("mine.key exists already"));
    let variable =
        run(&["key", "import", "env://PLAIN", "--output-prefix", "other"]).env("PLAIN", &plain).done().exits(0);
    assert!(!format!("{}{}", variable.stdout(), variable.stderr()).contains(body));
    let encrypted = run(&["key", "import", "mine.key", "--output-prefix", "third"]).done().exits(2);
    assert!(encrypted.stderr().contains("already: use it as it is"), "{}", encrypted.stderr());
    assert_eq!(std::fs::read_to_string(folder.path().join("plain.pem")).unwrap(), plain);
    assert!(!folder.path().join("third.key").exists());
}

#[test]
fn what_is_no_signing_key_is_said_before_a_password_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| schleuse(folder.path(), arguments);
    run(&["key", "generate"]).env("COSIGN_PASSWORD", PASSWORD).done().exits(0);
    let sign = |key: &str| run(&["sign", "--key", key, "127.0.0.1:1/a:x"]).done().exits(2).stderr();
    insta::assert_snapshot!(sign("schleuse.pub"), @r"
    error: schleuse.pub is a public key: signing needs the private one
    hint: name its other half, the file that `schleuse key generate` called NAME.key
    hint: or set COSIGN_PRIVATE_KEY to that file's content
    ");
    insta::assert_snapshot!(sign(""), @r"
    error: the name of the key is empty
    hint: in a script: is the variable behind it set? a key is a file, or env://NAME
    ");
    insta::assert_snapshot!(sign("."), @r"
    error: . is a folder, not a key file
    hint: name the file in it, such as ./schleuse.key
    ");
    let verify = run(&["verify", "--key", "", "127.0.0.1:1/a:x"]).done().exits(2);
    assert!(verify.stderr().starts_with("error: the name of the key is empty"), "{}", verify.stderr());
}

#[test]
fn a_pair_whose_name_is_no_text_is_written_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = schleuse(folder.path(), &["key", "generate", "--format", "json", "--output-prefix"])
        .env("COSIGN_PASSWORD", PASSWORD)
        .command();
    let prefix = OsStr::from_bytes(b"k\xff");
    let output = command.arg(prefix).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let answer = String::from_utf8(output.stdout).unwrap();
    assert!(answer.contains("\"private_key\":\"k\u{fffd}.key\""), "{answer}");
    assert!(folder.path().join(OsStr::from_bytes(b"k\xff.key")).is_file());
}
