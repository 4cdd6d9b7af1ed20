//! Wrong command lines, and the help.

use crate::support::schleuse;

#[test]
fn no_verb_unknown_verb_unknown_flag() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &[&str]| schleuse(folder.path(), arguments).done().exits(2).stderr();
    insta::assert_snapshot!(run(&[]), @r"
    error: no verb given
    hint: `schleuse --help` lists the verbs
    ");
    insta::assert_snapshot!(run(&["completion", "bash"]), @r"
    error: unrecognized subcommand 'completion'
    hint: a similar subcommand exists: 'completions'
    hint: usage: `schleuse <verb> [options]`
    hint: `--help` explains it
    ");
    insta::assert_snapshot!(run(&["completions", "tcsh"]), @r"
    error: invalid value 'tcsh' for '<SHELL>'
    hint: possible values: bash, zsh, fish
    hint: a similar value exists: 'zsh'
    hint: `--help` explains it
    ");
    insta::assert_snapshot!(run(&["completions", "bash", "--colour", "always"]), @r"
    error: unexpected argument '--colour' found
    hint: a similar argument exists: '--color'
    hint: usage: `schleuse completions --color <WHEN> <SHELL>`
    hint: `--help` explains it
    ");
    insta::assert_snapshot!(run(&["completions"]), @r"
    error: the following required arguments were not provided: <SHELL>
    hint: usage: `schleuse completions <SHELL>`
    hint: `--help` explains it
    ");
}

#[test]
fn errors_are_json_where_json_is_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let done = schleuse(folder.path(), &["--format", "json", "bulid"]).done().exits(2);
    assert_eq!(done.stderr(), "");
    let json = done.json();
    assert_eq!((&json["format"], &json["error"]["code"]), (&"json-v1".into(), &"usage".into()));
    assert_eq!(json["error"]["exit"], 2);
}

#[test]
fn the_version_is_on_stdout_and_quick() {
    let folder = tempfile::tempdir().unwrap();
    let done = schleuse(folder.path(), &["--version"]).done().exits(0);
    assert_eq!(done.stdout(), concat!("schleuse ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn completions_for_each_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let done = schleuse(folder.path(), &["completions", shell]).done().exits(0);
        assert!(done.stdout().contains("schleuse") && done.stderr().is_empty());
    }
}
