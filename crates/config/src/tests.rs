//! The whole way from text to settings, and the messages as people see them.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;
use schleuse_model::{Exit, Explain};

use crate::env::Environment;
use crate::{
    Against, CommitMode, Config, ConfigError, Flags, KeyRole, Origin, Revocation, Source, load, policy_digest,
};

const SMALLEST: &str = r#"
image = "ghcr.io/acme/billing"

[environment.production]
host     = "local"
listen   = "127.0.0.1:8080"
port     = 3000
health   = "/api/health"
env_file = "/etc/billing.env"
"#;

const LADDER: &str = r#"
image = "ghcr.io/acme/billing"
commit = "git"

[environment.staging]
host   = "local"
port   = 3000
checks = ["smoke", "contract"]
soak   = "30m"

[environment.canary]
host   = "local"
port   = 3001
health = { path = "/healthz", interval = "1s", timeout = "500ms", window = "30s", grace = "5s", version = "required" }

[environment.production]

[check.smoke]
run     = ["npm", "run", "test:billing-parity"]
timeout = "10m"

[check.contract]
run     = ["./contract"]
against = "environment"

[trust]
build   = ["schleuse.pub"]
approve = [{ key = "keys/approver-1.pub", person = "approver-1" }]
"#;

fn try_load(text: &str) -> Result<Config, ConfigError> {
    load(Source { name: "schleuse.toml", text }, &Flags::default(), &Environment::default())
}

fn refused(text: &str) -> String {
    try_load(text).unwrap_err().to_string()
}

fn variables(pairs: &[(&str, &str)]) -> Environment {
    Environment::capture(pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn the_smallest_file() {
    let config = try_load(SMALLEST).unwrap();
    assert_eq!(config.connection.journal.as_ref().unwrap().value.to_string(), "ghcr.io/acme/billing-journal");
    assert_eq!(config.connection.git_remote.value, "origin");
    let target = config.target(&"production".parse().unwrap()).unwrap();
    assert_eq!(target.listen.unwrap().to_string(), "127.0.0.1:8080");
    assert_eq!((target.port, target.health.path.as_str()), (3000, "/api/health"));
    assert_eq!(target.health.window, Duration::from_secs(300));
    assert_eq!(config.policy.commit, CommitMode::Auto);
    assert_eq!(config.policy.trust.build[0].file, "schleuse.pub");
}

#[test]
fn no_file_is_all_defaults() {
    let config = try_load("").unwrap();
    assert!(config.connection.image.is_none() && config.policy.ladder.is_empty() && config.targets.is_empty());
}

#[test]
fn the_ladder_has_the_files_order_and_not_the_alphabets() {
    let policy = try_load(LADDER).unwrap().policy;
    let names: Vec<_> = policy.ladder.iter().map(|rung| rung.name.as_str()).collect();
    assert_eq!(names, ["staging", "canary", "production"]);
    assert_eq!(policy.before(&"canary".parse().unwrap()).unwrap().name.as_str(), "staging");
    assert!(policy.before(&"staging".parse().unwrap()).is_none());
    assert_eq!(policy.ladder[0].soak, Duration::from_secs(1800));
    let against: Vec<_> = policy.ladder[0].checks.iter().map(|name| policy.checks[name].against).collect();
    assert_eq!(against, [Against::Candidate, Against::Environment]);
}

#[test]
fn an_unknown_key_is_refused_with_what_was_meant() {
    let text = "[environment.staging]\nhost = \"local\"\nport = 3000\nchekcs = [\"scan\"]\n";
    let error = try_load(text).unwrap_err();
    assert_eq!(
        error.to_string(),
        "schleuse.toml:4:1: unknown key `chekcs` in [environment.staging]; did you mean `checks`?"
    );
    assert_eq!(error.exit(), Exit::Usage);
}

#[test]
fn unknown_keys_everywhere() {
    assert_eq!(refused("imagge = 'x'"), "schleuse.toml:1:1: unknown key `imagge`; did you mean `image`?");
    assert_eq!(
        refused("[environment.dev]\nimage = 'ghcr.io/a/b'\n"),
        "schleuse.toml:2:1: unknown key `image` in [environment.dev]; it belongs at the top of the file, before the first [table]"
    );
    assert_eq!(
        refused("[trust]\napprovers = ['a.pub']\n"),
        "schleuse.toml:2:1: unknown key `approvers` in [trust]; did you mean `approve`?"
    );
    assert_eq!(
        refused("[build]\ncopy = [{ from = 'a', to = '/a', mode = '7' }]\n"),
        "schleuse.toml:2:34: unknown key `mode` in `copy[0]` in [build]; there is `from`, `to`, `user`"
    );
    assert_eq!(
        refused("[environment.dev]\nhost = 'local'\nport = 1\n[environment.dev.health]\npaht = '/'\n"),
        "schleuse.toml:5:1: unknown key `paht` in `health` in [environment.dev]; did you mean `path`?"
    );
}

#[test]
fn every_mistake_is_reported_in_the_files_order() {
    let text = r#"
image = "GHCR.io/Acme/x"
commit = "gti"

[environment.Dev]

[environment.staging]
host = "local"
port = "3000"
checks = ["smoek", "signature"]
soak = "30"

[environment.canary]
port = 70000
helth = "/"

[check.smoke]
timeout = "5m"

[trust]
build = ["a.pub", "a.pub"]
approve = ["a.pub"]
"#;
    assert_eq!(
        refused(text),
        "schleuse.toml has 13 mistakes
  schleuse.toml:2:1: `image`: `GHCR.io/Acme/x` is not an image reference: a repository's name has lower-case letters, digits and single separators (`.`, `_`, `-`) between `/`
  schleuse.toml:3:1: `commit` is `gti`; did you mean `git`?
  schleuse.toml:5:14: `Dev` is not an environment's name: use 1 to 32 of a-z, 0-9 and `-`, starting with a letter, not with `schleuse-`
  schleuse.toml:9:1: `port` in [environment.staging] is a text; a whole number is needed
  schleuse.toml:10:11: `checks[0]` in [environment.staging]: there is no [check.smoek]; did you mean `smoke`?
  schleuse.toml:10:20: `checks[1]` in [environment.staging] names the signature check, which is always there and can be neither listed nor changed
  schleuse.toml:11:1: `soak` in [environment.staging]: `30` is not a duration: write a number with its unit, such as 500ms, 30s, 5m, 24h or 7d; at most 366d
  schleuse.toml:14:1: `port` in [environment.canary] must be from 0 to 65535
  schleuse.toml:15:1: unknown key `helth` in [environment.canary]; did you mean `health`?
  schleuse.toml:17:8: `run` in [check.smoke] is missing
  schleuse.toml:21:19: `build[1]` in [trust] stands twice in its list
  schleuse.toml:22:12: `approve[0]` in [trust] needs a person, { key = \"...\", person = \"...\" }: a quorum counts people, not keys
  schleuse.toml:22:12: `a.pub` as `approve[0]` in [trust] is also a build key; approval and quarantine are a person's, never the CI's"
    );
}

#[test]
fn what_is_not_toml_says_where() {
    assert_eq!(refused("a = 1\na = 2\n"), "schleuse.toml:2:1: not TOML: duplicate key");
    assert!(
        refused("[environment.dev\nhost = 1").starts_with("schleuse.toml:1:"),
        "{}",
        refused("[environment.dev\nhost = 1")
    );
}

#[test]
fn hosts_that_come_later_are_said_so_and_not_guessed() {
    let with = |host: &str| refused(&format!("[environment.dev]\nport = 1\nhost = \"{host}\"\n"));
    assert_eq!(
        with("ssh://deploy@app1.acme.dev"),
        "schleuse.toml:3:1: `host` in [environment.dev] comes with the docker target; today only host = \"local\" runs releases"
    );
    assert!(with("docker").contains("comes with the docker target"));
    assert!(with("Local").ends_with("is `Local`; `local` is needed"));
    assert_eq!(
        refused("[environment.dev]\nport = 1\n"),
        "schleuse.toml:2:1: `port` in [environment.dev] has no effect without `host`; this machine is host = \"local\""
    );
    assert_eq!(
        refused("[environment.dev]\nhost = 'local'\n"),
        "schleuse.toml:1:14: `port` in [environment.dev] is missing"
    );
}

#[test]
fn health_figures_that_cannot_judge_are_refused() {
    let with = |health: &str| refused(&format!("[environment.dev]\nhost = 'local'\nport = 1\nhealth = {health}\n"));
    assert!(with("{ timeout = '6s' }").ends_with("probes must not overlap"));
    // 60 s grace + 3 x 5 s is exactly the window: nothing would be left to judge in.
    assert!(with("{ window = '75s' }").contains("must be longer than grace + interval x failures"));
    assert!(with("{ interval = '0s', timeout = '0s' }").contains("must not be zero"));
    assert!(with("{ failures = 0 }").ends_with("must be from 1 to 1000"));
    assert!(with("'api/health'").contains("a path that starts with `/`"));
    assert!(with("'https://user:password@acme.dev/health'").contains("or an http:// or https:// URL"));
    assert!(with("true").ends_with("is true or false; a text in quotes or a table is needed"));
}

#[test]
fn an_address_with_a_login_is_refused_and_the_login_not_repeated() {
    for address in ["https://hunter2@github.com/acme/billing", "ssh://git:hunter2@acme.dev/billing"] {
        for key in ["git_remote", "source"] {
            let shown = refused(&format!("{key} = \"{address}\"\n"));
            assert!(shown.contains("has a login in it") && !shown.contains("hunter2"), "{shown}");
        }
    }
    assert!(try_load("git_remote = \"ssh://git@acme.dev/billing\"").is_ok());
    assert!(refused("git_remote = \"--upload-pack=touch x\"").contains("a remote's name or URL"));
}

#[test]
fn paths_of_layers_stay_where_they_belong() {
    let with = |copy: &str| refused(&format!("[build]\ncopy = [{copy}]\n"));
    assert!(with("{ from = '../secrets', to = '/x' }").contains("a relative path that stays in the project"));
    assert!(with("{ from = '/etc', to = '/x' }").contains("a relative path that stays in the project"));
    assert!(with("{ from = 'a', to = 'x' }").contains("an absolute path"));
    assert!(with("{ from = 'a', to = '/x/../../y' }").contains("an absolute path"));
    assert!(with("{ from = 'a', to = '/x', user = 'node' }").contains("in numbers"));
}

#[test]
fn a_dockerfile_has_its_own_keys_and_they_stay_in_the_project() {
    let config = try_load("[build]\nbuilder = 'buildah'\ncontext = 'services/billing'\nargs = { A = '1' }\n").unwrap();
    let dockerfile = config.build.unwrap().dockerfile.unwrap();
    assert_eq!((dockerfile.file.as_str(), dockerfile.context.as_str()), ("Dockerfile", "services/billing"));
    assert_eq!(dockerfile.timeout, Duration::from_secs(30 * 60));
    let with = |lines: &str| refused(&format!("[build]\nbuilder = 'buildx'\n{lines}\n"));
    assert!(with("copy = [{ from = 'a', to = '/a' }]").contains("`copy` in [build] has no effect with a Dockerfile"));
    assert!(with("base = 'scratch'").contains("has no effect with a Dockerfile"));
    for path in ["dockerfile = '/etc/x'", "context = '../..'", "dockerfile = ''"] {
        assert!(with(path).contains("a relative path that stays in the project"), "{path}");
    }
    assert!(with("target = '--privileged'").contains("the name of a stage"));
    assert!(with("args = { 'A B' = 'x' }").contains("a variable's name"));
    assert!(with("timeout = '0s'").contains("must not be zero"));
    assert!(refused("[build]\nbuilder = 'kaniko'\n").contains("buildx"));
    assert!(refused("[build]\ntarget = 'x'\n").contains("has no effect without builder = \"buildx\" or \"buildah\""));
}

#[test]
fn flag_beats_file_and_config_show_says_so() {
    let flags = Flags { image: Some("localhost:5000/other".to_owned()), ..Flags::default() };
    let config = load(Source { name: "s.toml", text: SMALLEST }, &flags, &Environment::default()).unwrap();
    assert_eq!(config.connection.image.as_ref().unwrap().origin, Origin::Flag("--image"));
    assert_eq!(config.connection.journal.as_ref().unwrap().value.to_string(), "localhost:5000/other-journal");
    let shown: Vec<_> =
        config.shown().iter().map(|line| format!("{} = {} ({})", line.key, line.value, line.origin)).collect();
    for line in [
        "image = localhost:5000/other (--image)",
        "journal = localhost:5000/other-journal (default)",
        "environment.production.port = 3000 (s.toml:7)",
        "environment.production.health.interval = 5s (default)",
        "trust.build = schleuse.pub (default)",
    ] {
        assert!(shown.contains(&line.to_owned()), "{line} is not in {shown:#?}");
    }
    let bad = Flags { image: Some("A/b".to_owned()), ..Flags::default() };
    let error = load(Source { name: "s.toml", text: "" }, &bad, &Environment::default()).unwrap_err();
    assert!(error.to_string().starts_with("--image: `image`: `A/b` is not"), "{error}");
}

#[test]
fn the_canarys_address_comes_from_the_variable_and_reaches_no_other_environment() {
    let environment = variables(&[("CANARY_DEPLOY_URL", "https://canary.acme.dev")]);
    let config = load(Source { name: "s.toml", text: LADDER }, &Flags::default(), &environment).unwrap();
    let health = |name: &str| config.target(&name.parse().unwrap()).unwrap().health.clone();
    let canary = health("canary").base.unwrap();
    assert_eq!(
        (canary.value.as_str(), canary.origin),
        ("https://canary.acme.dev", Origin::Variable("CANARY_DEPLOY_URL"))
    );
    assert_eq!(health("canary").path, "/healthz");
    assert_eq!(health("staging").base, None);
}

#[test]
fn a_login_never_shows_its_password() {
    let environment = variables(&[
        ("REGISTRY_URL", "https://ghcr.io/acme"),
        ("REGISTRY_USERNAME", "ci"),
        ("REGISTRY_PASSWORD", "hunter2"),
        ("COSIGN_PASSWORD", "hunter2"),
    ]);
    let config = load(Source { name: "s.toml", text: SMALLEST }, &Flags::default(), &environment).unwrap();
    let login = config.connection.login.as_ref().unwrap();
    assert_eq!((login.registry.as_deref(), login.username.as_str()), (Some("ghcr.io"), "ci"));
    assert!(!format!("{config:?} {environment:?}").contains("hunter2"));
    let half = load(Source { name: "s.toml", text: "" }, &Flags::default(), &variables(&[("REGISTRY_USERNAME", "ci")]));
    assert_eq!(
        half.unwrap_err().to_string(),
        "REGISTRY_USERNAME: `REGISTRY_USERNAME` is set but not its other half: a login needs REGISTRY_USERNAME and REGISTRY_PASSWORD"
    );
}

#[test]
fn no_flag_and_no_variable_changes_the_policy() {
    let flags = Flags {
        image: Some("localhost:5000/other".to_owned()),
        journal: Some("localhost:5000/j".to_owned()),
        git_remote: Some("upstream".to_owned()),
        insecure_registries: vec!["registry:5000".to_owned()],
        source: Some("https://example.org/x".to_owned()),
    };
    let all: Vec<_> = crate::env::VARIABLES.iter().map(|variable| (variable.name, "https://example.org")).collect();
    let changed = load(Source { name: "s.toml", text: LADDER }, &flags, &variables(&all)).unwrap();
    assert_eq!(changed.policy, try_load(LADDER).unwrap().policy);
}

#[test]
fn the_policy_digest_sees_every_part_of_the_policy_and_nothing_else() {
    let fingerprints = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(file, print)| ((*file).to_owned(), (*print).to_owned())).collect()
    };
    let keys = fingerprints(&[("schleuse.pub", "aa"), ("keys/approver-1.pub", "bb"), ("renamed.pub", "aa")]);
    let digest = |text: &str| policy_digest(&try_load(text).unwrap().policy, &keys).unwrap();
    let original = digest(LADDER);
    for (from, to) in [
        ("\"git\"", "\"registry\""),
        ("30m", "31m"),
        ("[\"smoke\", \"contract\"]", "[\"smoke\"]"),
        ("test:billing-parity", "test:nothing"),
        ("10m", "11m"),
        ("\"environment\"", "\"candidate\""),
        ("person = \"approver-1\"", "person = \"approver-2\""),
        ("[environment.canary]", "[environment.preview]"),
    ] {
        assert_ne!(digest(&LADDER.replace(from, to)), original, "{from} -> {to}");
    }
    for (from, to) in [
        ("3001", "3002"),
        ("/healthz", "/h"),
        ("ghcr.io/acme", "ghcr.io/other"),
        ("\"schleuse.pub\"", "\"renamed.pub\""),
    ] {
        assert_eq!(digest(&LADDER.replace(from, to)), original, "{from} -> {to}");
    }
    let policy = try_load(LADDER).unwrap().policy;
    let other_key = fingerprints(&[("schleuse.pub", "cc"), ("keys/approver-1.pub", "bb")]);
    assert_ne!(policy_digest(&policy, &other_key).unwrap(), original);
    let error = policy_digest(&policy, &fingerprints(&[("schleuse.pub", "aa")])).unwrap_err();
    assert_eq!(error.to_string(), "no fingerprint for the key file `keys/approver-1.pub`");
}

#[test]
fn too_large_and_control_characters() {
    assert!(refused(&"#".repeat(crate::MAX_BYTES + 1)).contains("at most 1048576 are read"));
    let shown = refused("\"\\u001b[31mred\" = 1");
    assert!(!shown.contains('\u{1b}'), "{shown:?}");
}

proptest! {
    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,200}|[a-z\\[\\]{}=\".\n 0-9]{0,200}") {
        let _ = try_load(&text).map_err(|error| error.to_string());
    }

    #[test]
    fn a_right_file_with_one_line_spoilt_is_read_or_refused(line in 0_usize..30, junk in "[a-z_]{1,12} = (\"\\PC{0,10}\"|-?[0-9]{1,22}|\\[[0-9,]{0,5}\\]|true|\\{ [a-z]{1,6} = 1 \\}|1979-05-27)") {
        let text: String = LADDER.lines().enumerate().map(|(at, text)| format!("{}\n", if at == line { &junk } else { text })).collect();
        let _ = try_load(&text).map_err(|error| error.to_string());
    }
}

#[test]
fn a_revoked_key_says_what_became_of_it() {
    let text = "[trust]\nbuild = ['new.pub']\nrevoked = [\n  { key = 'old.pub', why = 'superseded', since = \
                '2026-11-26T00:00:00Z' },\n  { key = 'gone.pub', role = 'break-glass', why = 'compromised' },\n]\n";
    let config = try_load(text).unwrap();
    let revoked = &config.policy.trust.revoked;
    assert_eq!((revoked[0].role, revoked[1].role), (KeyRole::Build, KeyRole::BreakGlass));
    assert_eq!(revoked[0].revocation, Revocation::Superseded { since: "2026-11-26T00:00:00Z".parse().unwrap() });
    assert_eq!(revoked[1].revocation, Revocation::Compromised);
    let line = config.shown().iter().find(|shown| shown.key == "trust.revoked").unwrap();
    assert_eq!(line.value, "old.pub (superseded on 2026-11-26T00:00:00Z) gone.pub (compromised)");
}

#[test]
fn what_a_revoked_key_must_and_must_not_say() {
    let with = |entry: &str| refused(&format!("[trust]\nbuild = ['new.pub']\nrevoked = [{entry}]\n"));
    let at = "schleuse.toml:3:12: `revoked[0]` in [trust]";
    assert!(with("{ key = 'a', why = 'superseded' }").starts_with(&format!("{at} needs `since`")));
    let dated = with("{ key = 'a', why = 'compromised', since = '2026-11-26T00:00:00Z' }");
    assert!(dated.contains("`revoked[0].since` in [trust] has no effect with `compromised`"), "{dated}");
    assert!(with("{ key = 'a', why = 'superseded', since = 'monday' }").contains("a time in RFC 3339"));
    assert!(with("{ key = 'a', why = 'stolen' }").contains("there is `superseded`, `compromised`"));
    assert!(with("{ key = 'a', why = 'compromised', role = 'ci' }").contains("`revoked[0].role` in [trust] is `ci`"));
    assert!(with("{ key = 'a', why = 'compromised', role = 'approve' }").contains("needs a person"));
    assert!(with("{ key = 'new.pub', why = 'compromised' }").contains("a revoked key is taken out of its role"));
    let twice = with("{ key = 'a', why = 'compromised' }, { key = 'a', why = 'compromised' }");
    assert!(twice.contains("stands twice"), "{twice}");
}

#[test]
fn revoking_a_key_is_another_policy_and_its_files_name_is_not() {
    let prints = |pairs: &[(&str, &str)]| -> BTreeMap<String, String> {
        pairs.iter().map(|(file, print)| ((*file).to_owned(), (*print).to_owned())).collect()
    };
    let digest = |text: &str| {
        let policy = try_load(text).unwrap().policy;
        policy_digest(&policy, &prints(&[("new.pub", "1"), ("old.pub", "2"), ("renamed.pub", "2")])).unwrap()
    };
    let none = digest("[trust]\nbuild = ['new.pub']\n");
    let with = |entry: &str| digest(&format!("[trust]\nbuild = ['new.pub']\nrevoked = [{entry}]\n"));
    let compromised = with("{ key = 'old.pub', why = 'compromised' }");
    assert_ne!(compromised, none);
    assert_eq!(with("{ key = 'renamed.pub', why = 'compromised' }"), compromised);
    assert_ne!(with("{ key = 'old.pub', why = 'superseded', since = '2026-11-26T00:00:00Z' }"), compromised);
}
