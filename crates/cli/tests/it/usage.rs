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
    insta::assert_snapshot!(run(&["verfiy", "x"]), @r"
    error: unrecognized subcommand 'verfiy'
    hint: a similar subcommand exists: 'verify'
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
    let error = done.json("error");
    assert_eq!((&error["code"], &error["exit"]), (&"usage".into(), &2.into()));
}

#[test]
#[allow(clippy::disallowed_methods, reason = "measures the program under test")]
fn the_version_is_on_stdout_and_quick() {
    let folder = tempfile::tempdir().unwrap();
    let once = || {
        let began = std::time::Instant::now();
        let done = schleuse(folder.path(), &["--version"]).done().exits(0);
        assert_eq!(done.stdout(), concat!("schleuse ", env!("CARGO_PKG_VERSION"), "\n"));
        began.elapsed()
    };
    // The quickest of some: the machine may be busy, the program must not be.
    let quickest = (0..20).map(|_| once()).min().unwrap();
    assert!(quickest.as_millis() <= 10, "{quickest:?}");
}

#[test]
fn the_top_level_help() {
    let folder = tempfile::tempdir().unwrap();
    let help = schleuse(folder.path(), &["--help"]).done().exits(0).stdout();
    insta::assert_snapshot!(help, @r"
    Promote container images by digest, through checks that cannot be skipped silently

    Usage: schleuse <verb> [options]

    Daily:
      build         Build this commit's image and push it, tagged sha-<commit>
      promote       Put a release through an environment's gate and, where it has a target, roll it out
      rollback      Go back to the release before
      resume        Finish what a run that died has left unfinished
      status        Show what runs where, since when, and what is next
      history       Show what happened in an environment, newest first
      why           Say what runs in an environment, who put it there, why it was allowed, and how to get back
      demo          See it all work on this machine, in a minute: no Docker, no root, no network

    Plumbing:
      key           Make, import, look at, rotate and revoke signing keys
      sign          Sign an image, and attest how it was built
      attest        Say something about an image, signed: its origin, its SBOM, a scan, test results
      verify        Check that images are signed, or attested, by keys you trust
      evidence      List what is signed and attested about an image, and download it
      image         Copy, tag, look at, list and join images: registries, layouts, archives
      retention     Show what a registry's cleanup must leave alone, and remove what may go
      registry      Run the embedded registry
      config        Show, check or describe the configuration
      completions   Print a completion script for a shell

    Options:
          --format <FORMAT>  How to answer on stdout: `json` is one document, format json-v1 [default:
                             human] [possible values: human, json]
      -q, --quiet            Say nothing but the answer, warnings and errors
      -v, --verbose          Say more about what is going on
          --color <WHEN>     When to use colour; `auto`: on a terminal, unless NO_COLOR is set [default:
                             auto] [possible values: auto, always, never]
          --config <FILE>    The configuration file [default: schleuse.toml, here or in a folder above]
      -h, --help             Print help
      -V, --version          Print version

    Examples:
      schleuse demo                     see it all work on this machine, in a minute
      schleuse build                    build this commit's image and push it
      schleuse promote staging          put the newest release through the gate of staging
      schleuse why production           which commit runs there, who put it there, how to get back
      schleuse rollback production      go back to the release before

    `schleuse <verb> --help` explains a verb. Exit codes: 0 done, 1 error, 2 usage, 10 blocked, 11 not trusted, 12 lost a race,
    13 held, 20 rolled back, 21 rollback failed, 130 interrupted.
    ");
}

#[test]
fn internal_verbs_are_not_listed_and_refuse_people() {
    let folder = tempfile::tempdir().unwrap();
    for verb in ["local-init", "front-door"] {
        schleuse(folder.path(), &[verb]).done().exits(2);
        schleuse(folder.path(), &[verb, "--format", "json"]).done().exits(2);
    }
    for arguments in
        [&["--help"] as &[&str], &["completions", "bash"], &["completions", "zsh"], &["completions", "fish"]]
    {
        let text = schleuse(folder.path(), arguments).done().exits(0).stdout();
        assert!(!text.contains("local-init") && !text.contains("demo-app"), "{arguments:?}");
    }
}

#[test]
fn every_verb_explains_itself() {
    let folder = tempfile::tempdir().unwrap();
    for verb in [
        "build",
        "promote",
        "rollback",
        "resume",
        "status",
        "history",
        "why",
        "sign",
        "verify",
        "attest",
        "evidence",
        "image",
        "retention",
        "key",
        "registry",
        "config",
        "completions",
    ] {
        let help = schleuse(folder.path(), &[verb, "--help"]).done().exits(0).stdout();
        assert!(help.contains("Example") && help.contains(&format!("schleuse {verb}")), "{help}");
    }
}

#[test]
fn completions_for_each_shell() {
    let folder = tempfile::tempdir().unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let done = schleuse(folder.path(), &["completions", shell]).done().exits(0);
        assert!(done.stdout().contains("schleuse") && done.stderr().is_empty());
    }
}
