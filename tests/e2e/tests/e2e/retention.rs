//! A registry is cleaned: by its own rule, which knows nothing of releases, and by `retention prune`.

use std::collections::BTreeSet;

use schleuse_model::Digest;
use schleuse_oci::evidence::{KEEP_PREFIX, keep_tag, legacy_tag};
use schleuse_oci::{Delete as _, Pull as _, Push as _, Referrers as _};

use crate::project::{Kind, Project, Rung, Setup, runtime};

const SBOM: &str = r#"{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"billing",
    "documentNamespace":"https://example.test/billing","creationInfo":{"created":"2026-01-01T00:00:00Z",
    "creators":["Tool: test"]},"packages":[]}"#;

fn project(registry: Kind) -> Project {
    let ladder = ["staging", "production"].map(|name| Rung { name, local: false }).to_vec();
    // docker-registry knows no create-once; a git remote does.
    let git = registry == Kind::Docker;
    Project::with(Setup { registry, git, ladder, ..Setup::default() })
}

/// Releases as somebody has them: built, signed, with an SBOM, under a tag; the first two promoted to the top.
fn releases(project: &Project, count: usize) -> Vec<Digest> {
    project.write("sbom.json", SBOM);
    let first = project.release("1.0.0", "");
    let mut releases = vec![first.clone()];
    releases.extend((1..count).map(|minor| project.variant(&first, &format!("1.{minor}.0"), "")));
    for (minor, release) in releases.iter().enumerate() {
        tag(project, release, &format!("1.{minor}.0"));
        project.run(&["attest", "--type", "spdx", "--predicate", "sbom.json", &project.image(release)]).exits(0);
    }
    for release in &releases[..2] {
        project.run(&["promote", "staging", &project.image(release)]).exits(0);
        project.run(&["promote", "production"]).exits(0);
    }
    releases
}

fn tag(project: &Project, digest: &Digest, name: &str) {
    let (client, repository) = (project.client(), project.repository());
    runtime().block_on(async {
        let manifest = client.manifest(&repository.pin(digest.clone())).await.unwrap().expect("the release");
        client.tag(&repository.tag(name.parse().unwrap()), &manifest).await.unwrap();
    });
}

fn is_there(project: &Project, digest: &Digest) -> bool {
    let image = project.repository().pin(digest.clone());
    runtime().block_on(project.client().manifest(&image)).unwrap().is_some()
}

fn tags(project: &Project) -> BTreeSet<String> {
    let tags = runtime().block_on(project.client().tags(&project.repository(), "", 10_000)).unwrap();
    tags.iter().map(ToString::to_string).collect()
}

/// A cleanup as people configure it: whatever has no tag that starts with `keep-` goes.
fn clean_up(project: &Project) -> usize {
    let (client, repository) = (project.client(), project.repository());
    runtime().block_on(async {
        let mut kept = BTreeSet::new();
        for tag in client.tags(&repository, KEEP_PREFIX, 10_000).await.unwrap() {
            kept.insert(client.resolve(&repository.tag(tag)).await.unwrap().unwrap().digest().clone());
        }
        let mut known = BTreeSet::new();
        for tag in client.tags(&repository, "", 10_000).await.unwrap() {
            let digest = client.resolve(&repository.tag(tag)).await.unwrap().unwrap().digest().clone();
            let referrers = client.referrers(&repository.pin(digest.clone()), 1000).await.unwrap();
            known.extend(referrers.into_iter().map(|one| one.digest));
            known.insert(digest);
        }
        let mut gone = 0;
        for digest in known.difference(&kept) {
            gone += usize::from(client.delete_manifest(&repository.pin(digest.clone())).await.unwrap());
        }
        gone
    })
}

#[test]
fn a_cleanup_that_spares_the_pins_leaves_what_runs_and_the_way_back_whole() {
    for registry in [Kind::Memory, Kind::Docker] {
        let project = project(registry);
        let releases = releases(&project, 3);
        project.run(&["retention", "--check"]).exits(0);
        assert!(clean_up(&project) > 3, "{registry:?}");
        project.run(&["retention", "--check"]).exits(0);
        assert!(!is_there(&project, &releases[2]), "not promoted, not pinned: the rule took it");
        for release in &releases[..2] {
            let image = project.image(release);
            project.run(&["verify", &image]).exits(0);
            project.run(&["verify", "--type", "spdx", &image]).exits(0);
        }
        project.run(&["rollback", "production", "--yes"]).exits(0);
        assert_eq!(project.tag("production").as_ref(), Some(&releases[0]));
    }
}

#[test]
fn what_is_not_kept_is_told_apart_and_pinned_again() {
    let project = project(Kind::Memory);
    let releases = releases(&project, 2);
    let listed = project.run(&["retention", "--format", "json"]).exits(0).result();
    let rows = listed["releases"].as_array().unwrap();
    let needed = |row: &serde_json::Value| row["needed"].to_string();
    assert_eq!(needed(&rows[0]), r#"["staging","production"]"#);
    assert_eq!(needed(&rows[1]), r#"["staging (way back)","production (way back)"]"#);
    // The release, its bundles for signature, provenance and SBOM, its legacy signature.
    let parts = rows[1]["manifests"].as_array().unwrap();
    assert!(parts.len() >= 4 && parts.iter().all(|part| part["pinned"] == true), "{parts:#?}");

    let (client, repository) = (project.client(), project.repository());
    let pin = repository.tag(keep_tag(&releases[1]).unwrap());
    assert!(runtime().block_on(client.delete_tag(&pin)).unwrap());
    let told = project.run(&["retention", "--check"]).exits(10);
    assert!(told.stdout.contains("not pinned"), "{told}");
    project.run(&["retention", "pin"]).exits(0);
    project.run(&["retention", "--check"]).exits(0);
    // Evidence that came after the promotion.
    project.run(&["attest", "--type", "spdx", "--predicate", "sbom.json", &project.image(&releases[0])]).exits(0);
    project.write("other.json", &SBOM.replace("\"billing\"", "\"billing again\""));
    project.run(&["attest", "--type", "spdx", "--predicate", "other.json", &project.image(&releases[0])]).exits(0);
    project.run(&["retention", "--check"]).exits(10);
    project.run(&["retention", "pin"]).exits(0);
    project.run(&["retention", "--check"]).exits(0);
    // A pin that points elsewhere.
    let other = runtime().block_on(client.manifest(&repository.pin(releases[0].clone()))).unwrap().unwrap();
    runtime().block_on(client.tag(&pin, &other)).unwrap();
    let told = project.run(&["retention", "--check"]).exits(10);
    assert!(told.stdout.contains("points at"), "{told}");
    let told = project.run(&["retention", "pin"]).exits(0);
    assert!(told.stdout.contains("set right"), "{told}");
    project.run(&["retention", "--check"]).exits(0);
    // Everything that was said about it is gone, and its referrers with it: nothing lists them any more.
    let about = repository.pin(releases[1].clone());
    runtime().block_on(async {
        for suffix in ["sig", "att"] {
            let tag = repository.tag(legacy_tag(&releases[1], suffix).unwrap());
            if let Some(legacy) = client.tagged(&tag).await.unwrap() {
                client.delete_manifest(&repository.pin(legacy.digest().clone())).await.unwrap();
            }
        }
        for one in client.referrers(&about, 99).await.unwrap() {
            client.delete_manifest(&repository.pin(one.digest)).await.unwrap();
        }
    });
    let told = project.run(&["retention", "--check"]).exits(10);
    assert!(told.stdout.contains("no evidence left"), "{told}");
    // A layer, and then the whole way back, are gone.
    runtime().block_on(client.delete_manifest(&repository.pin(releases[0].clone()))).unwrap();
    let told = project.run(&["retention", "--check"]).exits(10);
    assert!(told.stdout.contains("MISSING"), "{told}");
    project.run(&["retention", "pin"]).exits(10);
}

#[test]
fn prune_removes_what_no_journal_names_and_nothing_else() {
    for registry in [Kind::Memory, Kind::Docker] {
        let project = project(registry);
        let releases = releases(&project, 6);
        // A third one passes, so that the first is neither running nor the way back: only the journal knows it.
        project.run(&["promote", "staging", &project.image(&releases[2])]).exits(0);
        project.run(&["promote", "production"]).exits(0);
        // A fourth one comes as far as staging, which is not in the configuration any more after that.
        project.run(&["promote", "staging", &project.image(&releases[3])]).exits(0);
        let text = std::fs::read_to_string(project.path("schleuse.toml")).unwrap();
        project.write("schleuse.toml", &text.replace("[environment.staging]\n", ""));
        project.run(&["retention", "prune"]).exits(2);
        project.run(&["retention", "prune", "--keep", "0"]).exits(2);
        let nobody = project.run(&["retention", "prune", "--keep", "1"]).exits(2);
        assert!(nobody.stderr.contains("nobody to ask"), "{nobody}");
        let before = tags(&project);
        let plan = project.run(&["retention", "prune", "--keep", "1", "--dry-run", "--format", "json"]).exits(0);
        assert_eq!(plan.result()["go"].as_array().unwrap().len(), 1, "{plan}");
        assert_eq!(tags(&project), before, "a dry run changes nothing");
        let why = |release: &Digest| {
            let plan = plan.result();
            let stay = plan["stay"].as_array().unwrap();
            stay.iter().find(|row| row["digest"] == release.to_string()).unwrap()["note"].to_string()
        };
        assert_eq!(why(&releases[0]), r#""named by production, staging""#);
        assert_eq!(why(&releases[3]), r#""named by staging""#);
        let done = project.run(&["retention", "prune", "--keep", "1", "--yes", "--format", "json"]).exits(0).result();
        assert_eq!(done["go"][0]["note"], "removed", "{done:#}");
        assert!(done["removed"].as_u64().unwrap() >= 3, "with its evidence: {done:#}");
        for (number, release) in releases.iter().enumerate() {
            let gone = done["go"][0]["digest"] == release.to_string();
            assert!(!gone || number >= 4, "a release that a journal names was removed");
            assert_eq!(is_there(&project, release), !gone);
            let evidence =
                runtime().block_on(project.client().referrers(&project.repository().pin(release.clone()), 99));
            assert_eq!(evidence.unwrap().is_empty(), gone, "{registry:?}: {number}");
            if !gone {
                project.run(&["verify", &project.image(release)]).exits(0);
            }
        }
        // The first release is no way back any more. docker-registry deletes no tags.
        let old = keep_tag(&releases[0]).unwrap().to_string();
        assert!(before.contains(&old));
        assert_eq!(tags(&project).contains(&old), registry == Kind::Docker);
        assert_eq!(done["unpinned"].as_u64().unwrap() > 0, registry == Kind::Memory, "{done:#}");
        project.run(&["retention", "--check"]).exits(0);
        let again = project.run(&["retention", "prune", "--keep", "1", "--yes", "--format", "json"]).exits(0).result();
        assert_eq!(again["removed"], 0);
    }
}

/// A release by index whose tag moved on is seen by its journal alone, and once it is no way back any more its pins are gone, too.
#[test]
fn what_an_old_release_lists_stays_when_something_else_that_lists_it_goes() {
    let project = project(Kind::Memory);
    let mut parts = releases(&project, 3);
    let index = |version: &str, image: &Digest| {
        let name = format!("{}:{version}", project.repository());
        let made = project.run(&["image", "index", &name, &project.image(image), "--format", "json"]).exits(0).result();
        made["digest"].as_str().unwrap().parse::<Digest>().unwrap()
    };
    // Two indexes of one image: the first is released, and loses its tag.
    let shared = project.variant(&parts[0], "2.0.0", "");
    let old = index("2.0.0", &shared);
    project.run(&["sign", &project.image(&old)]).exits(0);
    project.run(&["promote", "staging", &project.image(&old)]).exits(0);
    for release in &parts {
        project.run(&["promote", "staging", &project.image(release)]).exits(0);
    }
    let (client, repository) = (project.client(), project.repository());
    let listing = client_index(&project, &old, "2.0.1");
    assert!(runtime().block_on(client.delete_tag(&repository.tag("2.0.0".parse().unwrap()))).unwrap());
    // The first takes the pins back, the second finds the other index without them.
    let prune = ["retention", "prune", "--keep", "1", "--yes", "--format", "json"];
    project.run(&prune).exits(0);
    parts.push(project.variant(&parts[0], "9.0.0", ""));
    tag(&project, &parts[3], "9.0.0");
    let done = project.run(&prune).exits(0).result();
    assert!(!is_there(&project, &listing), "nothing names it: {done:#}");
    assert!(is_there(&project, &old) && is_there(&project, &shared), "of a release: {done:#}");
}

/// Another index of the same images, older than everything else.
fn client_index(project: &Project, of: &Digest, version: &str) -> Digest {
    let (client, repository) = (project.client(), project.repository());
    runtime().block_on(async {
        let manifest = client.manifest(&repository.pin(of.clone())).await.unwrap().expect("the index");
        let mut index = manifest.as_index().unwrap();
        let created = ("org.opencontainers.image.created".to_owned(), "2001-01-01T00:00:00Z".to_owned());
        index.annotations.extend([created, ("org.opencontainers.image.version".to_owned(), version.to_owned())]);
        let other = index.to_manifest();
        client.tag(&repository.tag(version.parse().unwrap()), &other).await.unwrap();
        other.digest().clone()
    })
}

/// What is pinned already is not looked into again, each time: that made up a third of a promotion's requests.
#[test]
fn a_promotion_among_many_asks_at_most_thirty_times() {
    for registry in [Kind::Memory, Kind::Docker] {
        let ladder = ["staging", "production"].map(|name| Rung { name, local: false }).to_vec();
        let git = registry == Kind::Docker;
        let project = Project::with(Setup { registry, git, ladder, proxy: true, ..Setup::default() });
        let first = project.release("1.0.0", "");
        let proxy = project.proxy.as_ref().unwrap();
        for minor in 1..5 {
            let release = project.variant(&first, &format!("1.{minor}.0"), "");
            proxy.reset();
            project.run(&["promote", "staging", &project.image(&release)]).exits(0);
        }
        assert!(proxy.count() <= 30, "{registry:?}: {:#?}", proxy.log());
    }
}
