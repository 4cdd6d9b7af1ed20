//! Keys that are replaced, stolen, or kept for the night: what is believed, and what is not any more.

use crate::support::{Checkout, Done, Server, registry};

/// A ladder of two rungs without targets, the CI's key, its successor, and a break-glass key.
struct Scene {
    _registry: Server,
    checkout: Checkout,
}

const OLD: &str = "schleuse.key";
const NEW: &str = "new.key";
const GLASS: &str = "glass.key";

impl Scene {
    fn new() -> Self {
        let registry = registry();
        let checkout = Checkout::new(registry.address);
        checkout.generate("new");
        checkout.generate("glass");
        let scene = Self { _registry: registry, checkout };
        scene.trust("build = [\"schleuse.pub\", \"new.pub\"] # the CI's");
        scene
    }

    /// Writes schleuse.toml with these build keys.
    fn trust(&self, build: &str) {
        let text = format!(
            "image = \"{}\"\nsource = \"https://github.com/acme/billing\"\ncommit = \"registry\"\n\n[build]\ncopy = [{{ from = \
             \"app\", to = \"/app\" }}]\nentrypoint = [\"/app/run\"]\n\n[environment.dev]\n\n[environment.staging]\n\n\
             [trust]\n{build}\nbreak-glass = [\"glass.pub\"]\n",
            self.checkout.image
        );
        self.checkout.write("schleuse.toml", &text);
    }

    fn file(&self) -> String {
        std::fs::read_to_string(self.checkout.path().join("schleuse.toml")).unwrap()
    }

    #[track_caller]
    fn run(&self, arguments: &[&str], code: i32) -> Done {
        self.checkout.run(arguments).done().exits(code)
    }

    /// A release of its own, signed with `key`: the image by digest.
    fn release(&self, version: &str, key: &str) -> String {
        self.checkout.write("app/run", &format!("#!/bin/sh\necho {version}\n"));
        self.checkout.git(&["commit", "--quiet", "--all", "--message", version]);
        let image = self.run(&["build", "--version", version, "--output", "build.json"], 0).stdout().trim().to_owned();
        self.run(&["sign", "--key", key, "--build-manifest", "build.json", &image], 0);
        image
    }

    #[track_caller]
    fn promote(&self, environment: &str, image: &str, key: &str, code: i32) -> Done {
        self.run(&["promote", environment, image, "--key", key], code)
    }

    /// A release, signed and promoted into dev with `key`.
    fn ship(&self, version: &str, key: &str) -> String {
        let image = self.release(version, key);
        self.promote("dev", &image, key, 0);
        image
    }

    /// What dev runs.
    fn dev(&self) -> String {
        let status = self.run(&["status", "--format", "json"], 0).json("result");
        let digest = status["environments"][0]["release"]["digest"].as_str().unwrap();
        format!("{}@{digest}", self.checkout.image)
    }
}

#[test]
fn a_key_is_replaced_in_good_order() {
    let scene = Scene::new();
    let old: Vec<String> = ["1.0", "1.1", "1.2"].map(|version| scene.ship(version, OLD)).into();

    let long_ago = ["key", "revoke", "schleuse.pub", "--superseded", "--since", "2020-01-01T00:00:00Z", "--plan"];
    assert!(scene.run(&long_ago, 10).stdout().contains("LOSES TRUST"), "no journal had named anything then");
    let plan = scene.run(&["key", "rotate", "--key", NEW, "--plan", "--format", "json"], 0).json("result");
    assert_eq!(plan["images"].as_array().unwrap().len(), 2, "what runs, and the way back");
    assert_eq!((&plan["images"][0]["signature"], &plan["journals"][0]["entry"]), (&"would".into(), &"would".into()));
    scene.run(&["verify", "--key", "new.pub", &old[2]], 11);

    let done = scene.run(&["key", "rotate", "--key", NEW, "--reason", "yearly", "--format", "json"], 0).json("result");
    for (at, image) in [(0, &old[2]), (1, &old[1])] {
        assert!(image.ends_with(done["images"][at]["digest"].as_str().unwrap()));
        assert_eq!((&done["images"][at]["signature"], &done["images"][at]["evidence"]), (&"new".into(), &1.into()));
        scene.run(&["verify", "--key", "new.pub", image], 0);
    }
    let journals = &done["journals"];
    assert_eq!((&journals[0]["entry"], &journals[0]["sequence"]), (&"rekeyed".into(), &4.into()));
    assert_eq!(journals[1]["entry"], "empty");
    assert!(scene.run(&["history", "dev", "--verify"], 0).stdout().contains("yearly"));
    let again = scene.run(&["key", "rotate", "--key", NEW, "--format", "json"], 0).json("result");
    assert_eq!((&again["images"][0]["signature"], &again["images"][0]["evidence"]), (&"already".into(), &0.into()));
    assert_eq!(again["journals"][0]["entry"], "already");

    let done = scene.run(&["key", "revoke", "schleuse.pub", "--superseded", "--format", "json"], 0).json("result");
    assert_eq!((&done["changed"], &done["images"][0]["trusted"]), (&true.into(), &true.into()));
    let file = scene.file();
    assert!(file.contains("build = [\"new.pub\"] # the CI's\n"), "{file}");
    assert!(file.contains("revoked = [\n  { key = \"schleuse.pub\", why = \"superseded\", since = \""), "{file}");
    scene.run(&["key", "revoke", "schleuse.pub", "--superseded"], 0);
    assert_eq!(scene.file(), file, "twice is once");

    // Nobody has signed the oldest again: the journal had named it before.
    scene.run(&["verify", "--key", "new.pub", &old[0]], 11);
    let verified = scene.run(&["verify", &old[0]], 0).stdout();
    assert!(verified.contains("a journal had named the image before"), "{verified}");
    scene.promote("staging", &old[0], NEW, 0);
    // And what the old key signs from now on is nobody's.
    let late = scene.release("1.3", OLD);
    let said = scene.promote("dev", &late, NEW, 11).stderr();
    assert!(said.contains("superseded on"), "{said}");
    scene.run(&["verify", &late], 11);
    let said = scene.promote("dev", &old[1], OLD, 11).stderr();
    assert!(said.contains("after it was superseded") || said.contains("nothing new is signed with it"), "{said}");
    scene.ship("1.4", NEW);
}

#[test]
fn revoking_is_refused_while_a_journal_would_not_be_believed() {
    let scene = Scene::new();
    scene.ship("1.0", OLD);
    scene.ship("1.1", NEW);
    scene.ship("1.2", OLD);
    let before = scene.file();
    let refused = scene.run(&["key", "revoke", "schleuse.pub", "--superseded"], 10);
    assert!(
        refused.stdout().contains("LOSES TRUST") && refused.stderr().contains("key rotate"),
        "{}",
        refused.stdout()
    );
    assert_eq!(scene.file(), before);
    scene.run(&["key", "rotate", "--key", NEW], 0);
    scene.run(&["key", "revoke", "schleuse.pub", "--superseded", "--plan"], 0);
    scene.run(&["key", "revoke", "schleuse.pub", "--superseded"], 0);
    scene.run(&["status"], 0);
    // A run that came late, with a checkout from before: it is shown to somebody, who adopts it.
    let after = scene.file();
    scene.checkout.write("schleuse.toml", &before);
    std::thread::sleep(std::time::Duration::from_secs(1));
    scene.ship("1.3", OLD);
    scene.checkout.write("schleuse.toml", &after);
    assert!(scene.run(&["status"], 11).stderr().contains("no key of today has adopted it"));
    scene.run(&["key", "rotate", "--key", NEW], 2);
    scene.run(&["key", "rotate", "--key", NEW, "--yes"], 0);
    scene.run(&["history", "dev", "--verify"], 0);
}

#[test]
fn a_stolen_key_stops_everything_until_somebody_vouches() {
    let scene = Scene::new();
    let releases: Vec<String> = ["1.0", "1.1", "1.2"].map(|version| scene.ship(version, OLD)).into();
    let done = scene.run(&["key", "revoke", "schleuse.pub", "--compromised"], 0);
    assert!(done.stdout().contains("LOSES TRUST") && done.stderr().contains("commit it"), "{}", done.stdout());
    assert!(scene.file().contains("{ key = \"schleuse.pub\", why = \"compromised\" },"), "{}", scene.file());

    for image in &releases {
        assert!(scene.run(&["verify", image], 11).stderr().contains("is compromised"));
    }
    let said = scene.run(&["status"], 11).stderr();
    assert!(said.contains("that key is compromised") && said.contains("hint: have a look"), "{said}");
    scene.run(&["promote", "staging", "--key", NEW], 11);
    scene.promote("staging", &releases[2], OLD, 11);
    scene.run(&["history", "dev"], 11);

    let said = scene.run(&["key", "rotate", "--key", NEW], 2).stderr();
    assert!(said.contains("1.2") && said.contains("dev (way back)") && said.contains("nobody to ask"), "{said}");
    scene.run(&["status"], 11);
    scene.run(&["key", "rotate", "--key", NEW, "--yes"], 0);
    // Nothing is left to vouch for: nobody is asked for a word again.
    scene.run(&["key", "rotate", "--key", NEW], 0);
    scene.run(&["status"], 0);
    scene.run(&["history", "dev", "--verify"], 0);
    scene.run(&["verify", &releases[2]], 0);
    scene.run(&["promote", "staging", "--key", NEW], 0);
    // Nobody vouched for the oldest, and naming it does not help.
    assert!(scene.promote("staging", &releases[0], NEW, 11).stderr().contains("is compromised"));
    scene.run(&["rollback", "dev", "--yes", "--key", NEW], 0);
    assert_eq!(scene.dev(), releases[1]);
    scene.run(&["key", "revoke", "schleuse.pub", "--superseded"], 2);
}

#[test]
fn what_a_thief_has_shipped_is_left_out() {
    let scene = Scene::new();
    let releases: Vec<String> = ["1.0", "1.1", "6.6", "1.2", "6.7"].map(|version| scene.ship(version, OLD)).into();
    scene.run(&["key", "revoke", "schleuse.pub", "--compromised"], 0);
    let plan = scene.run(&["key", "rotate", "--key", NEW, "--plan"], 0).stderr();
    for version in ["1.0", "1.1", "6.6", "1.2", "6.7", "dev's #5 promoted", "dev's #1 promoted"] {
        assert!(plan.contains(version), "{version} is vouched for, and not shown:\n{plan}");
    }
    let digits = |at: usize| releases[at].split_once("sha256:").unwrap().1[..12].to_owned();
    let (first, second) = (digits(2), digits(4));
    let except = ["key", "rotate", "--key", NEW, "--yes", "--except", &first, "--except", &second];
    scene.run(&["key", "rotate", "--key", NEW, "--yes", "--except", "0123456789ab"], 2);
    scene.run(&except, 0);
    for bad in [&releases[2], &releases[4]] {
        scene.run(&["verify", bad], 11);
    }
    // What runs is still the thief's, and every way back from it is not.
    scene.run(&["verify", &releases[3]], 0);
    for expected in [&releases[3], &releases[1], &releases[0]] {
        scene.run(&["rollback", "dev", "--yes", "--key", NEW], 0);
        assert_eq!(&scene.dev(), expected);
    }
    scene.run(&["rollback", "dev", "--yes", "--key", NEW], 10);
    scene.run(&["history", "dev", "--verify"], 0);
}

#[test]
fn a_rotation_keeps_every_word_of_the_old_signatures() {
    let scene = Scene::new();
    let image = scene.ship("1.0", OLD);
    let name = format!("{}:1.0", scene.checkout.image);
    scene.run(&["sign", "--key", OLD, "-a", "team=billing", "--identity", &name, &image], 0);
    scene.run(&["sign", "--key", OLD, "-a", "stage=prod", "--formats", "bundle", &image], 0);
    scene.run(&["key", "rotate", "--key", NEW], 0);
    for annotation in ["team=billing", "stage=prod"] {
        scene.run(&["verify", "--key", "new.pub", "-a", annotation, &image], 0);
    }
    scene.run(
        &["evidence", "--key", "new.pub", "--type", "https://sigstore.dev/cosign/sign/v1", "--download", "out", &image],
        0,
    );
    let named = std::fs::read_dir(scene.checkout.path().join("out")).unwrap().any(|file| {
        let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
        let payload = text.split_once("\"payload\":\"").and_then(|(_, rest)| rest.split_once('"'));
        payload.is_some_and(|(payload, _)| String::from_utf8(base64(payload)).unwrap().contains(&name))
    });
    assert!(named, "the name that a reader's policy may want");
}

fn base64(text: &str) -> Vec<u8> {
    let value =
        |c: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|one| *one == c);
    let bits: Vec<usize> = text.bytes().filter_map(value).collect();
    let bytes = bits.chunks(4).flat_map(|four| {
        let all = four.iter().fold(0, |all, one| all << 6 | one) << (6 * (4 - four.len()));
        [all >> 16, all >> 8, all].map(|byte| byte as u8).into_iter().take(four.len() - 1)
    });
    bytes.collect()
}

#[test]
fn a_break_glass_key_goes_back_and_does_nothing_else() {
    let scene = Scene::new();
    let releases: Vec<String> = ["1.0", "1.1"].map(|version| scene.ship(version, OLD)).into();
    scene.run(&["rollback", "dev", "--yes", "--key", GLASS, "--reason", "the CI is away"], 0);
    assert_eq!(scene.dev(), releases[0]);
    scene.run(&["history", "dev", "--verify"], 0);
    let said = scene.promote("dev", &releases[1], GLASS, 11).stderr();
    assert!(said.contains("a break-glass key, which may only go back"), "{said}");
    assert_eq!(scene.dev(), releases[0]);
    let unsigned = scene.release("1.2", GLASS);
    let said = scene.promote("dev", &unsigned, OLD, 11).stderr();
    assert!(said.contains("trusted for break-glass, not for build"), "{said}");
    scene.run(&["key", "rotate", "--key", GLASS], 2);
    // The CI goes on.
    scene.promote("dev", &releases[1], NEW, 0);
}

#[test]
fn keys_that_are_not_listed_are_told_so() {
    let scene = Scene::new();
    scene.checkout.generate("stranger");
    assert!(scene.run(&["key", "rotate", "--key", "stranger.key"], 2).stderr().contains("is not trusted for `build`"));
    let said = scene.run(&["key", "rotate", "--key", NEW, "--from", "stranger.pub"], 2).stderr();
    assert!(said.contains("is no other build key"), "{said}");
    assert!(scene.run(&["key", "revoke", "stranger.pub", "--compromised"], 2).stderr().contains("is not listed"));
    let tomorrow = ["key", "revoke", "schleuse.pub", "--superseded", "--since", "2999-01-01T00:00:00Z"];
    assert!(scene.run(&tomorrow, 2).stderr().contains("is not past yet"));
    scene.trust("build = [\"schleuse.pub\"]");
    assert!(scene.run(&["key", "rotate", "--key", OLD], 2).stderr().contains("no other build key"));
    assert!(scene.run(&["key", "revoke", "schleuse.pub", "--superseded"], 2).stderr().contains("the last build key"));
    assert!(scene.run(&["key", "revoke", "schleuse.pub"], 2).stderr().contains("--superseded"));
}

#[test]
fn a_stolen_key_cannot_have_its_journal_entries_signed_again() {
    let scene = Scene::new();
    let image = scene.ship("1.0", OLD);
    // What a thief can do: attest, with the stolen key, what reads as the first entry of a journal that does not exist yet.
    attach_with(&scene, OLD, &image, schleuse_model::predicate::JOURNAL_ENTRY_V1);
    attach_with(&scene, OLD, &image, "urn:honest");
    scene.run(&["key", "revoke", "schleuse.pub", "--compromised"], 0);
    scene.run(&["key", "rotate", "--key", NEW, "--yes"], 0);
    let found = scene.run(&["evidence", "--key", "new.pub", "--format", "json", &image], 0).json("result");
    let by_the_new_key: Vec<&str> = found["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| one["verified"] == true && one["type"] != "signature")
        .map(|one| one["type"].as_str().unwrap())
        .collect();
    assert!(by_the_new_key.contains(&"urn:honest"), "{found}");
    assert!(!by_the_new_key.iter().any(|kind| kind.contains("schleuse.dev")), "{found}");
}

/// Attests with the library what the command line refuses to.
fn attach_with(scene: &Scene, key: &str, image: &str, kind: &str) {
    use schleuse_sign::{AttestOptions, KeyPair, Statement, Store, attest};
    let file = std::fs::read(scene.checkout.path().join(key)).unwrap();
    let pair = KeyPair::decrypt(&file, &schleuse_model::Secret::new(crate::support::PASSWORD.to_owned())).unwrap();
    let image: schleuse_model::PinnedRef = image.parse().unwrap();
    let statement = Statement::new(kind, "billing", image.digest(), br#"{"forged":true}"#).unwrap();
    let client = schleuse_client::Client::builder().build().unwrap();
    let store = Store { pull: &client, push: &client, referrers: &client };
    let now = schleuse_model::Timestamp::from_seconds(1_795_000_000);
    let attached = attest(store, &image, &statement, &pair, AttestOptions::default(), now);
    tokio::runtime::Runtime::new().unwrap().block_on(attached).unwrap();
}
