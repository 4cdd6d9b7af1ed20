//! `key rotate` is killed at its requests to the registry; the same command again ends where an uninterrupted one would have.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use schleuse_model::predicate::SLSA_PROVENANCE_V1;
use schleuse_model::{Clock as _, Digest, SystemClock};
use schleuse_oci::Pull as _;
use schleuse_sign::{Statement, Store, attach_statement};
use schleuse_testkit::proxy::{Fault, Match, When};

use super::{TRUSTED, trust};
use crate::crash::{slay, soak};
use crate::project::{Project, Rung, Setup, key, runtime};

/// At how many requests it is killed at least, whatever becomes cheaper.
const AT_LEAST: usize = 5;
/// Every so many requests are looked at; `make soak` looks at each. The promotion that a point takes costs more than the rotation.
const STEP: usize = 9;

/// Another release by the old key, with evidence, that runs in staging.
fn next(project: &Project, of: &Digest, number: usize) -> Digest {
    let release = project.variant(of, &format!("1.{number}.0"), "");
    runtime().block_on(async {
        let client = project.client();
        let repository = format!("{}/acme/billing", project.registry).parse::<schleuse_model::Repository>().unwrap();
        let image = repository.pin(release.clone());
        let subject = client.manifest(&image).await.unwrap().unwrap().descriptor();
        let statement = Statement::new(SLSA_PROVENANCE_V1, "billing", &release, b"{}").unwrap();
        let store = Store { pull: &client, push: &client, referrers: &client };
        attach_statement(store, &image, &subject, &statement, &key().0, SystemClock.now()).await.unwrap();
    });
    project.run(&["promote", "staging", &project.image(&release)]).exits(0);
    release
}

#[test]
fn a_rotation_that_is_killed_goes_on() {
    let ladder = vec![Rung { name: "staging", local: false }];
    let project = Project::with(Setup { proxy: true, ladder, ..Setup::default() });
    project.run(&["key", "generate", "--output-prefix", "new"]).exits(0);
    let first = project.release("1.0.0", "");
    trust(&project, &TRUSTED.replace("\nbreak-glass = [\"glass.pub\"]", ""));
    project.run(&["promote", "staging", &project.image(&first)]).exits(0);
    let rotate = ["key", "rotate", "--key", "new.key", "--format", "json"];
    let mut killed = 0;
    for request in (1..).step_by(if soak() { 1 } else { STEP }) {
        let release = next(&project, &first, request);
        let when = if killed % 2 == 0 { When::Before } else { When::After };
        let proxy = project.proxy.as_ref().unwrap();
        let client = Arc::new(AtomicI32::new(0));
        let to_be_killed = Arc::clone(&client);
        proxy.reset();
        proxy.inject(Match::Nth(request), when, Fault::run(move || slay(&to_be_killed)));
        let running = project.spawn(&rotate);
        client.store(running.pid().as_raw(), Ordering::SeqCst);
        let died = running.wait();
        proxy.reset();
        let tale = format!("killed {when:?} request {request}: {died}");
        project.run(&rotate).exits(0);
        let again = project.run(&rotate).exits(0).result();
        assert_eq!(again["images"][0]["digest"], release.to_string(), "{tale}");
        assert_eq!((&again["images"][0]["signature"], &again["images"][0]["evidence"]), (&"already".into(), &0.into()));
        assert_eq!(again["journals"][0]["entry"], "already", "{tale}");
        project.run(&["verify", "--key", "new.pub", &project.image(&release)]).exits(0);
        if died.code.is_some() {
            died.exits(0);
            break;
        }
        killed += 1;
    }
    assert!(killed >= AT_LEAST, "{killed}");
    project.run(&["history", "staging", "--verify"]).exits(0);
    eprintln!("killed at {killed} requests");
}
