//! `schleuse sign`, `attest`, `verify` and `evidence` of an index of two images.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt as _;

use schleuse_client::Client;
use schleuse_model::{PinnedRef, Repository};
use schleuse_oci::{Descriptor, ImageManifest, Index, Platform, Push as _, media_type};

use crate::support::{Checkout, Server, registry};

const BOM: &str = r#"{"bomFormat":"CycloneDX","specVersion":"1.5","version":1}"#;

struct Shelf {
    checkout: Checkout,
    index: String,
    children: Vec<String>,
    _server: Server,
}

/// An index of an amd64 and an arm64 image, and of what BuildKit lists beside them.
async fn push_index(address: SocketAddr) -> (PinnedRef, Vec<PinnedRef>) {
    let client = Client::builder().build().unwrap();
    let repository: Repository = format!("{address}/acme/billing").parse().unwrap();
    let (mut listed, mut children) = (Vec::new(), Vec::new());
    for (os, architecture) in [("linux", "amd64"), ("linux", "arm64"), ("unknown", "unknown")] {
        let config =
            format!(r#"{{"architecture":"{architecture}","os":"{os}","rootfs":{{"type":"layers","diff_ids":[]}}}}"#);
        let config = (Descriptor::of(media_type::IMAGE_CONFIG, config.as_bytes()), config.into_bytes());
        let manifest = ImageManifest::new(config.0.clone(), Vec::new()).to_manifest();
        client.push_blob(&repository, &config.0, config.1.into()).await.unwrap();
        client.push_manifest(&repository, &manifest).await.unwrap();
        let platform = Platform { architecture: architecture.to_owned(), os: os.to_owned(), variant: None };
        listed.push(Descriptor { platform: Some(platform), ..manifest.descriptor() });
        children.push(repository.pin(manifest.digest().clone()));
    }
    let index = Index::new(listed).to_manifest();
    client.tag(&repository.tag("1".parse().unwrap()), &index).await.unwrap();
    (repository.pin(index.digest().clone()), children)
}

fn shelf() -> Shelf {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (index, children) = runtime.block_on(push_index(server.address));
    checkout.write("bom.json", BOM);
    let children = children.iter().map(ToString::to_string).collect();
    Shelf { checkout, index: index.to_string(), children, _server: server }
}

impl Shelf {
    #[track_caller]
    fn run(&self, code: i32, arguments: &[&str]) -> crate::support::Done {
        self.checkout.run(arguments).done().exits(code)
    }

    #[track_caller]
    fn json(&self, arguments: &[&str]) -> serde_json::Value {
        self.run(0, &[arguments, &["--format", "json"]].concat()).json("result")
    }

    #[track_caller]
    fn error(&self, code: i32, arguments: &[&str]) -> String {
        self.run(code, arguments).stderr().replace(&self.checkout.image, "IMAGE")
    }
}

#[test]
fn an_index_and_its_images_are_signed_apart_and_together() {
    let shelf = shelf();
    let (index, amd64) = (shelf.index.as_str(), shelf.children[0].as_str());
    shelf.run(0, &["sign", "--key", "schleuse.key", index]);
    shelf.run(0, &["verify", index]);
    // Who has signed the index has not signed what it lists: an image can be taken out of an index and run.
    shelf.run(11, &["verify", amd64]);
    let signed = shelf.json(&["sign", "--key", "schleuse.key", "--recursive", index]);
    let words: Vec<_> =
        signed["signatures"].as_array().unwrap().iter().map(|one| one["bundle"].as_str().unwrap()).collect();
    assert_eq!(words, ["already", "new", "new", "new"], "{signed}");
    assert_eq!(signed["signatures"][2]["platform"], "linux/arm64");
    for child in &shelf.children {
        shelf.run(0, &["verify", child]);
    }
    let again = shelf.json(&["sign", "--key", "schleuse.key", "--recursive", index]);
    let all = again["signatures"].as_array().unwrap();
    assert!(all.iter().all(|one| one["bundle"] == "already" && one["legacy"] == "already"), "{again}");
}

#[test]
fn several_signers_annotations_and_how_many_of_them_are_demanded() {
    let shelf = shelf();
    let index = shelf.index.as_str();
    shelf.checkout.generate("second");
    shelf.checkout.run(&["key", "generate", "--algorithm", "ed25519", "--output-prefix", "third"]).done().exits(0);
    let both = ["--key", "schleuse.key", "--key", "second.key"];
    shelf.run(0, &[&["sign", "-a", "team=billing"], &both[..], &[index]].concat());
    let keys = ["--key", "schleuse.pub", "--key", "second.pub"];
    let verified = shelf.json(&[&["verify", "--require", "all", "-a", "team=billing"], &keys[..], &[index]].concat());
    let image = &verified["images"][0];
    assert_eq!(image["signers"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&image["signers"][0]["annotations"]["team"], &verified["required"]),
        (&"billing".into(), &"all".into())
    );
    shelf.run(0, &["verify", "--key", "third.pub", "--key", "second.pub", index]);
    let three = ["verify", "--key", "schleuse.pub", "--key", "second.pub", "--key", "third.pub", index];
    shelf.run(0, &[&three[..], &["--require", "2"]].concat());
    assert!(shelf.error(11, &[&three[..], &["--require", "3"]].concat()).contains("of the 3 signers demanded"));
    assert!(shelf.error(11, &[&three[..], &["--require", "all"]].concat()).contains("of the 3 signers demanded"));
    assert!(shelf.error(2, &["verify", "--require", "2", index]).contains("2 signers are demanded, and only 1"));
    assert!(shelf.error(2, &["verify", "--require", "0", index]).contains("write any, all, or a number from 1"));
    assert!(shelf.error(11, &["verify", "-a", "team=other", index]).contains("signed without `team=other`"));
    assert!(shelf.error(2, &["verify", "-a", "team", index]).contains("write NAME=VALUE"));
}

#[test]
fn formats_are_chosen_and_the_legacy_one_alone_is_enough_for_us() {
    let shelf = shelf();
    let index = shelf.index.as_str();
    let signed =
        shelf.json(&["sign", "--key", "schleuse.key", "--formats", "legacy", "--identity", "example.org/a:1", index]);
    assert_eq!(
        (&signed["signatures"][0]["bundle"], &signed["signatures"][0]["legacy"]),
        (&"not-wanted".into(), &"new".into())
    );
    assert!(shelf.run(0, &["verify", index]).stdout().contains("legacy layer"));
    assert!(shelf.error(2, &["sign", "--key", "schleuse.key", "--formats", "pgp", index]).contains("bundle, legacy"));
}

#[test]
fn sboms_are_about_one_platform_and_found_through_the_index() {
    let shelf = shelf();
    let (index, amd64) = (shelf.index.as_str(), shelf.children[0].as_str());
    let attest = ["attest", index, "--type", "cyclonedx", "--predicate", "bom.json", "--key", "schleuse.key"];
    let on = |platform: &str| shelf.json(&[&attest[..], &["--platform", platform]].concat());
    insta::assert_snapshot!(shelf.error(2, &attest).replace(index.split_once('@').unwrap().1, "DIGEST"), @r"
    error: IMAGE@DIGEST is an index of linux/amd64, linux/arm64; cyclonedx is about one of them
    hint: `--platform linux/amd64`
    hint: `--platform linux/arm64`
    ");
    assert!(
        shelf
            .error(2, &[&attest[..], &["--platform", "linux/s390x"]].concat())
            .contains("has no image for linux/s390x")
    );
    let first = on("linux/amd64");
    assert_eq!((&first["image"], &first["attestations"][0]["bundle"]), (&amd64.into(), &"new".into()));
    assert_eq!(on("linux/amd64")["attestations"][0]["bundle"], "already", "said once");
    let error = shelf.error(11, &["verify", "--type", "cyclonedx", index]);
    assert!(error.contains("(linux/arm64) has no cyclonedx by a key trusted for `build`"), "{error}");
    on("linux/arm64");
    let verified = shelf.json(&["verify", "--type", "cyclonedx", index]);
    let platforms: Vec<_> =
        verified["images"][0]["signers"].as_array().unwrap().iter().map(|one| &one["platform"]).collect();
    assert_eq!(platforms, ["linux/amd64", "linux/arm64"]);
    shelf.run(11, &["verify", index]);
    shelf.run(11, &["verify", "--type", "spdx", amd64]);
}

#[test]
fn what_is_attested_is_checked_and_some_things_are_not_attested() {
    let shelf = shelf();
    let image = shelf.children[0].as_str();
    shelf
        .checkout
        .write("result.json", r#"{"result":"PASSED","configuration":[{"name":"smoke","digest":{"sha256":"00"}}]}"#);
    let attest = |kind: &str, file: &str| {
        shelf.checkout.run(&["attest", image, "--type", kind, "--predicate", file, "--key", "schleuse.key"]).done()
    };
    attest("test-result", "result.json").exits(0);
    attest("https://example.org/whatever/v1", "result.json").exits(0);
    let wrong = attest("spdx", "bom.json").exits(2);
    insta::assert_snapshot!(wrong.stderr(), @r"
    error: the spdx predicate has no `spdxVersion`
    hint: the format is described at https://spdx.github.io/spdx-spec/v2.3/document-creation-information/
    ");
    shelf.checkout.write("twice.json", r#"{"a":1,"a":2}"#);
    assert!(attest("urn:x", "twice.json").exits(2).stderr().contains("stands twice"));
    shelf.checkout.write("list.json", "[]");
    attest("urn:x", "list.json").exits(2);
    // A statement that a verb of ours makes, signed by this command, could be slipped into a journal.
    for kind in ["https://schleuse.dev/attestation/journal-entry/v1", "HTTPS://schleuse.dev/attestation/intent/v1"] {
        let refused = attest(kind, "result.json").exits(2).stderr();
        assert!(refused.contains("is written by the verb it belongs to"), "{refused}");
    }
    let signature = attest("https://sigstore.dev/cosign/sign/v1", "result.json").exits(2).stderr();
    assert!(signature.contains("a signature is not an attestation"), "{signature}");
    shelf.run(11, &["verify", image]);
    assert!(attest("nonsense", "bom.json").exits(2).stderr().contains("`nonsense` is not a predicate type"));
    assert!(attest("urn:x", "none.json").exits(2).stderr().contains("cannot read none.json"));
}

#[test]
fn provenance_is_filled_from_the_build_and_the_ci_run() {
    let server = registry();
    let checkout = Checkout::new(server.address);
    let image = checkout.run(&["build", "--output", "build.json"]).done().exits(0).stdout().trim().to_owned();
    let attest = ["attest", "--type", "slsaprovenance", "--build-manifest", "build.json", "--key", "schleuse.key"];
    let in_actions = checkout
        .run(&[&attest[..], &[&image]].concat())
        .env("GITHUB_SERVER_URL", "https://github.com")
        .env("GITHUB_REPOSITORY", "acme/billing")
        .env("GITHUB_WORKFLOW_REF", "acme/billing/.github/workflows/build.yml@refs/heads/main")
        .env("GITHUB_RUN_ID", "77");
    in_actions.done().exits(0);
    checkout.run(&["verify", "--type", "slsaprovenance", &image]).done().exits(0);
    let arguments = ["evidence", "--type", "slsaprovenance", "--download", "out", "--format", "json", &image];
    let found = checkout.run(&arguments).done().exits(0).json("result");
    assert_eq!(
        (&found["evidence"][0]["verified"], &found["evidence"][0]["type"]),
        (&true.into(), &"slsaprovenance".into())
    );
    let file = found["downloaded"][1].as_str().unwrap();
    assert!(file.ends_with(".predicate.json"), "{file}");
    let text = std::fs::read_to_string(checkout.path().join(file)).unwrap();
    let commit = checkout.git(&["rev-parse", "HEAD"]);
    for part in [
        commit.as_str(),
        "https://github.com/acme/billing/actions/runs/77/attempts/1",
        "workflows/build.yml@refs/heads/main",
    ] {
        assert!(text.contains(part), "{text} lacks {part}");
    }
    // Of another image than the one that the build made: no.
    let elsewhere = format!("{}@sha256:{}", checkout.image, "0".repeat(64));
    checkout.run(&[&attest[..], &[&elsewhere]].concat()).done().exits(11);
    checkout.run(&["attest", "--type", "spdx", "--build-manifest", "build.json", &image]).done().exits(2);
}

#[test]
fn evidence_is_listed_with_a_verdict_and_downloaded_if_it_is_good() {
    let shelf = shelf();
    let (index, amd64) = (shelf.index.as_str(), shelf.children[0].as_str());
    shelf.checkout.generate("stranger");
    shelf.run(0, &["sign", "--key", "schleuse.key", index]);
    for key in ["schleuse.key", "stranger.key"] {
        let platform = ["--platform", "linux/amd64", "--formats", "bundle,legacy"];
        shelf.run(
            0,
            &[&["attest", index, "--type", "cyclonedx", "--predicate", "bom.json", "--key", key], &platform[..]]
                .concat(),
        );
    }
    let found = shelf.json(&["evidence", index]);
    let lines: Vec<(bool, &str, bool)> = found["evidence"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["image"] == amd64, one["type"].as_str().unwrap(), one["verified"].as_bool().unwrap()))
        .collect();
    let count = |wanted: (bool, &str, bool)| lines.iter().filter(|line| **line == wanted).count();
    assert_eq!(count((false, "signature", true)), 2);
    assert_eq!((count((true, "cyclonedx", true)), count((true, "cyclonedx", false)), lines.len()), (2, 2, 6));
    let reasons = found["evidence"].as_array().unwrap().iter().filter_map(|one| one["reason"].as_str());
    assert!(reasons.into_iter().all(|reason| reason == "not signed by any trusted key"));

    let download = ["evidence", "--type", "cyclonedx", "--download", "out", amd64];
    let files = |done: crate::support::Done| done.stdout().lines().filter(|line| line.starts_with("out/")).count();
    assert_eq!(files(shelf.run(0, &download)), 4, "bundle and envelope, each with its predicate");
    assert_eq!(files(shelf.run(0, &download)), 4, "the same again changes nothing");
    let folder = shelf.checkout.path().join("out");
    let predicate = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .find(|path| path.to_string_lossy().ends_with(".predicate.json"))
        .unwrap();
    assert_eq!(std::fs::read_to_string(&predicate).unwrap(), BOM);
    std::fs::write(&predicate, "changed").unwrap();
    let name = predicate.file_name().unwrap().to_str().unwrap();
    let error = shelf.error(2, &download);
    assert!(error.contains(&format!("out/{name} is there with other content; it was not overwritten")), "{error}");
    assert_eq!(std::fs::read_to_string(&predicate).unwrap(), "changed");
    std::fs::remove_dir_all(&folder).unwrap();
    assert_eq!(files(shelf.run(0, &[&download[..], &["--unverified"]].concat())), 6);
    let doubtful = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(doubtful.filter(|name| name.starts_with("unverified-cyclonedx-")).count(), 2);
    // Without anybody to trust there is still something to see.
    let elsewhere = tempfile::tempdir().unwrap();
    let done = crate::support::schleuse(elsewhere.path(), &["evidence", amd64]).done().exits(0);
    assert!(
        done.stderr().contains("nothing can be verified") && !done.stdout().contains("  verified"),
        "{}",
        done.stderr()
    );
}

#[test]
fn what_stands_in_the_way_of_a_download_stops_nothing_else() {
    let shelf = shelf();
    let image = shelf.children[0].as_str();
    let attest = ["attest", image, "--type", "cyclonedx", "--predicate", "bom.json", "--key", "schleuse.key"];
    shelf.run(0, &[&attest[..], &["--formats", "bundle,legacy"]].concat());
    let download = ["evidence", "--download", "out", image];
    let files = |done: &crate::support::Done| -> Vec<String> {
        done.stdout().lines().filter(|line| line.starts_with("out/")).map(str::to_owned).collect()
    };
    let all = files(&shelf.run(0, &download));
    assert_eq!(all.len(), 4);
    let at = |name: &str| shelf.checkout.path().join(name);
    std::fs::remove_dir_all(at("out")).unwrap();
    std::fs::create_dir(at("out")).unwrap();
    std::fs::write(at(&all[0]), "other").unwrap();
    // Opening it would wait for a writer, for ever.
    nix::unistd::mkfifo(&at(&all[1]), nix::sys::stat::Mode::S_IRWXU).unwrap();
    let done = shelf.run(2, &download);
    assert_eq!(files(&done), all[2..], "the rest is written, and named");
    let expected = format!(
        "error: 2 files were not overwritten\n  why: {} is there with other content\n  why: {} is there and is not a \
         regular file\nhint: everything else is downloaded: move this away, or name another folder\n",
        all[0], all[1]
    );
    assert_eq!(done.stderr(), expected);
    let json = shelf.run(2, &[&download[..], &["--format", "json"]].concat()).json("result");
    assert_eq!((json["downloaded"].as_array().unwrap().len(), &json["error"]["exit"]), (2, &2.into()));
    assert!(json["error"]["causes"][0].as_str().unwrap().contains(&all[0]), "{json}");

    insta::assert_snapshot!(shelf.error(2, &["evidence", "--download", "bom.json", image]), @r"
    error: bom.json is not a folder
    hint: `--download` makes a folder, or writes into one: name another
    ");
    assert!(shelf.error(2, &["evidence", "--download", "bom.json/x", image]).contains("bom.json/x is not a folder"));
}

#[test]
fn a_folder_whose_name_is_no_text_is_written_to_and_named() {
    let shelf = shelf();
    shelf.run(0, &["sign", "--key", "schleuse.key", &shelf.index]);
    let name = OsStr::from_bytes(b"out-\xff");
    for format in ["json", "human"] {
        let mut command = shelf.checkout.run(&["evidence", &shelf.index, "--format", format, "--download"]).command();
        let output = command.arg(name).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        let answer = String::from_utf8(output.stdout).unwrap();
        assert!(answer.contains("out-\u{fffd}/signature-"), "{answer}");
    }
    assert_eq!(std::fs::read_dir(shelf.checkout.path().join(name)).unwrap().count(), 3);
}

#[test]
fn several_images_in_one_call_and_a_no_weighs_more_than_no_answer() {
    let shelf = shelf();
    let [index, child, other] = [&shelf.index, &shelf.children[0], &shelf.children[1]].map(String::as_str);
    shelf.run(0, &["sign", "--key", "schleuse.key", index]);
    shelf.run(0, &["sign", "--key", "schleuse.key", child]);
    let both = shelf.json(&["verify", index, child]);
    assert_eq!(both["images"].as_array().unwrap().len(), 2);
    let nowhere = format!("{}:none", shelf.checkout.image);
    shelf.run(1, &["verify", index, &nowhere]);
    shelf.run(1, &["verify", &nowhere]);
    let mixed = shelf.run(11, &["verify", index, &nowhere, other, "--format", "json"]).json("result");
    let trusted: Vec<_> =
        mixed["images"].as_array().unwrap().iter().map(|image| image["trusted"].as_bool().unwrap()).collect();
    assert_eq!(trusted, [true, false, false]);
    assert_eq!((&mixed["images"][1]["error"]["exit"], &mixed["images"][2]["error"]["exit"]), (&1.into(), &11.into()));
    let page = shelf.run(11, &["verify", index, other]).stdout();
    assert!(page.contains("not trusted") && page.contains("no transparency log was consulted"), "{page}");
}

#[test]
fn help_says_what_is_asked_beside_the_registry() {
    let folder = tempfile::tempdir().unwrap();
    let help = crate::support::schleuse(folder.path(), &["verify", "--help"]).done().exits(0).stdout();
    let words = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("only where one of them is superseded, also the project's journals"), "{help}");
}
