//! Going back needs neither the registry nor a sound journal nor a right clock; going forward needs all three.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use schleuse_model::Digest;
use schleuse_testkit::Proxy;

use crate::http;
use crate::project::{Kind, Project, Rung, Setup};
use crate::run::Running;

/// Three bad probes in a row decide; the sick release has the traffic before it falls sick.
const HEALTH: &str = "path = \"/api/health\", interval = \"200ms\", timeout = \"200ms\", window = \"5s\", \
                      grace = \"2s\", span = \"400ms\"";
/// Sick so long after its start: time to cut the registry off in between.
const SICK: &str = "health-500-after=1500";

/// From the deciding probe to the old release answering through the front door (issue 2).
const BACK_WITHIN: Duration = Duration::from_secs(1);
/// How much two such times may differ and still be the same: the cores are few and do other things, too.
const SAME: Duration = Duration::from_millis(500);

fn setup() -> Setup {
    let ladder = vec![Rung { name: "staging", local: false }, Rung { name: "canary", local: true }];
    Setup { proxy: true, ladder, health: HEALTH.to_owned(), ..Setup::default() }
}

fn proxy(project: &Project) -> &Proxy {
    project.proxy.as_ref().expect("the proxy")
}

/// Through the gate into both environments; answers how the rollout ended.
fn promote(project: &Project, release: &Digest, code: i32) {
    project.run(&["promote", "staging", &project.image(release)]).exits(0);
    project.run(&["promote", "canary"]).exits(code);
}

fn events(project: &Project) -> Vec<String> {
    let answer = ["history", "canary", "--verify", "--limit", "1000", "--format", "json"];
    let history = project.run(&answer).exits(0).result();
    let rows = history["environments"][0]["entries"].as_array().expect("entries").iter().rev();
    rows.map(|row| row["event"].as_str().expect("an event").to_owned()).collect()
}

/// The canary's verdict, as `status` has it.
fn verdict(project: &Project) -> String {
    let status = project.run(&["status", "--format", "json"]).exits(0).result();
    status["environments"][1]["verdict"].as_str().expect("a verdict").to_owned()
}

fn serves(project: &Project, version: &str) {
    assert_eq!(project.get("canary", "/"), Some((200, format!("billing {version}"))));
}

/// A user who asks the front door without a pause.
struct Hammer {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Vec<(Instant, Option<String>)>>,
}

impl Hammer {
    fn start(door: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = stop.clone();
        let thread = std::thread::spawn(move || {
            let mut answers = Vec::new();
            while !stopped.load(Ordering::Relaxed) {
                let answer = http::get(door, "/").map(|(_, body)| body);
                answers.push((Instant::now(), answer));
                std::thread::sleep(Duration::from_millis(5));
            }
            answers
        });
        Self { stop, thread }
    }

    /// When each question was answered, and how.
    fn stop(self) -> Vec<(Instant, Option<String>)> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().expect("the hammer")
    }
}

/// Waits until the run says so on stderr. Answers when.
fn until_it_says(running: &mut Running, words: &str) -> Instant {
    let began = Instant::now();
    loop {
        if running.stderr().contains(words) {
            return Instant::now();
        }
        assert!(
            !running.has_ended() && began.elapsed() < Duration::from_secs(60),
            "it did not say `{words}`:\n{}",
            running.stderr()
        );
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// One sick release, rolled back.
#[derive(Debug)]
struct Back {
    /// From the new release's first answer to the old one's, as users see it.
    sick_for: Duration,
    /// From the verdict to the old release's first answer, as users see it.
    back_after: Duration,
    /// From the verdict to the old release's first answer, as the tool says.
    claimed: Duration,
}

/// Puts a sick release on top of a good one. With `outage` the registry is down from before the deciding probe on.
fn fall_sick(project: &Project, outage: bool) -> Back {
    let sick = project.release("1.1.0", SICK);
    project.run(&["promote", "staging", &project.image(&sick)]).exits(0);
    let hammer = Hammer::start(project.front_door("canary"));
    let mut running = project.spawn(&["promote", "canary"]);
    until_it_says(&mut running, "traffic goes to the new release");
    if outage {
        proxy(project).refuse();
    }
    assert!(!running.stderr().contains("UNHEALTHY"), "the deciding probe came first:\n{}", running.stderr());
    let decided = until_it_says(&mut running, "UNHEALTHY");
    let output = running.wait().exits(20);
    let answers = hammer.stop();
    let is = |answer: &Option<String>, version| answer.as_deref() == Some(version);
    let new =
        answers.iter().position(|(_, answer)| is(answer, "billing 1.1.0")).expect("the new release had the traffic");
    let last_new = answers.iter().rposition(|(_, answer)| is(answer, "billing 1.1.0")).expect("as above");
    let old = answers[last_new..].iter().find(|(_, answer)| is(answer, "billing 1.0.0"));
    let old = old.unwrap_or_else(|| panic!("the old release does not answer: {output}")).0;
    // The switch there and back loses nothing.
    let lost = answers.iter().filter(|(_, answer)| answer.is_none()).count();
    assert_eq!(lost, 0, "of {} requests", answers.len());
    let claim = output.stderr.split_once("answers again after ").and_then(|(_, rest)| rest.split_once(" ms"));
    let claim = claim.unwrap_or_else(|| panic!("it does not say how long it took: {output}")).0;
    let back = Back {
        sick_for: old - answers[new].0,
        back_after: old.saturating_duration_since(decided),
        claimed: Duration::from_millis(claim.parse().expect("a number")),
    };
    eprintln!("registry {}: {back:?}", if outage { "down" } else { "up" });
    assert!(back.back_after <= BACK_WITHIN && back.claimed <= BACK_WITHIN, "{back:?}\n{output}");
    back
}

#[test]
fn the_way_back_does_not_wait_for_the_registry() {
    let [with, without] = [false, true].map(|outage| {
        let project = Project::with(setup());
        let good = project.release("1.0.0", "");
        promote(&project, &good, 0);
        let back = fall_sick(&project, outage);
        serves(&project, "1.0.0");
        assert_eq!(project.instances("canary"), 1);
        if outage {
            // Nobody is told that all is well as long as nobody can know.
            project.run(&["status"]).exits(1);
            proxy(&project).accept();
            assert_eq!(verdict(&project), "unrecorded");
            assert_eq!(events(&project).last().unwrap(), "rollout-started");
            let resumed = project.run(&["resume", "canary"]);
            assert_eq!(resumed.code, Some(20), "{resumed}");
        }
        // Taking a dead run's rollout over is an entry, too.
        let told: &[&str] = if outage { &["taken-over", "rolled-back"] } else { &["rolled-back"] };
        let recorded = [&["promoted", "rollout-started", "healthy", "promoted", "rollout-started"][..], told].concat();
        assert_eq!(events(&project), recorded);
        assert_eq!(verdict(&project), "healthy");
        assert_eq!(project.tag("canary").as_ref(), Some(&good));
        project.run(&["resume", "canary"]).exits(0);
        assert_eq!(events(&project), recorded, "resume repeats itself");
        serves(&project, "1.0.0");
        back
    });
    let apart = |a: Duration, b: Duration| a.abs_diff(b);
    assert!(apart(with.back_after, without.back_after) <= SAME, "{with:?} with the registry, {without:?} without");
    assert!(apart(with.sick_for, without.sick_for) <= 2 * SAME, "{with:?} with the registry, {without:?} without");
}

/// Two good releases, one on top of the other.
fn two_releases(setup: Setup) -> (Project, [Digest; 2]) {
    let health = crate::project::HEALTH.to_owned();
    let project = Project::with(Setup { health, ..setup });
    let releases = ["1.0.0", "1.1.0"].map(|version| {
        let release = project.release(version, "");
        promote(&project, &release, 0);
        release
    });
    (project, releases)
}

#[test]
fn a_person_goes_back_while_the_registry_is_down() {
    let (project, [old, new]) = two_releases(setup());
    serves(&project, "1.1.0");
    proxy(&project).refuse();
    project.run(&["rollback", "canary", "--yes", "--reason", "wrong prices"]).exits(0);
    serves(&project, "1.0.0");
    proxy(&project).accept();
    assert_eq!((verdict(&project).as_str(), project.tag("canary")), ("unrecorded", Some(new)));
    project.run(&["resume", "canary"]).exits(0);
    let events = events(&project);
    assert_eq!(events[..6], ["promoted", "rollout-started", "healthy", "promoted", "rollout-started", "healthy"]);
    assert_eq!(events[6], "rollback");
    assert_eq!((verdict(&project).as_str(), project.tag("canary")), ("healthy", Some(old)));
    let history = project.run(&["history", "canary"]).exits(0).stdout;
    assert!(history.contains("wrong prices"), "{history}");
    serves(&project, "1.0.0");
    assert_eq!(project.instances("canary"), 1);
}

/// The newest entries are gone, as after a cleanup that went too far, or an attack. With the hint beside the image gone as well
/// only the target remembers.
#[test]
fn a_journal_cut_short_lets_nothing_in_and_does_not_hold_the_way_back() {
    for hint_too in [false, true] {
        let (project, [_, new]) = two_releases(Setup { registry: Kind::Disk, proxy: false, ..setup() });
        let third = project.release("1.2.0", "");
        project.run(&["promote", "staging", &project.image(&third)]).exits(0);
        for sequence in [4, 5, 6] {
            delete_tag(&project, "acme/billing-journal", &format!("j-canary-{sequence:010}"));
        }
        if hint_too {
            delete_tag(&project, "acme/billing", "schleuse-canary");
        }
        let refused = project.run(&["promote", "canary"]).exits(11);
        assert!(refused.stderr.contains(if hint_too { "the target" } else { "the hint" }), "{refused}");
        assert!(refused.stderr.contains("hint:"), "{refused}");
        assert_eq!(project.tag("canary").as_ref(), Some(&new));
        serves(&project, "1.1.0");
        project.run(&["rollback", "canary", "--yes"]).exits(0);
        serves(&project, "1.0.0");
    }
}

fn delete_tag(project: &Project, repository: &str, tag: &str) {
    let image = project.repository().to_string();
    let address = image.split('/').next().expect("an address");
    let mut stream = TcpStream::connect(address).expect("the registry");
    let path = format!("/v2/{repository}/manifests/{tag}");
    write!(stream, "DELETE {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 202"), "{path}: {answer}");
}

/// Between the registry and this machine lie years.
#[test]
fn a_clock_far_off_blocks_the_way_up_and_not_the_way_back() {
    let (project, _) = two_releases(setup());
    let third = project.release("1.2.0", "");
    project.run(&["promote", "staging", &project.image(&third)]).exits(0);
    proxy(&project).set_upstream(another_date(project.registry));
    let blocked = project.run(&["promote", "canary"]).exits(10);
    assert!(format!("{blocked}").contains("clock"), "{blocked}");
    serves(&project, "1.1.0");
    project.run(&["rollback", "canary", "--yes"]).exits(0);
    serves(&project, "1.0.0");
    proxy(&project).set_upstream(project.registry);
    project.run(&["history", "--verify"]).exits(0);
}

/// A proxy that passes everything on and changes the date in answers. One exchange a connection, as the fault proxy makes them.
/// Its thread ends with the test run.
fn another_date(upstream: SocketAddr) -> SocketAddr {
    const DATE: &str = "Sun, 01 Jan 2034 00:00:00 GMT";
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("an address");
    let exchange = move |mut client: TcpStream| -> std::io::Result<()> {
        let mut server = TcpStream::connect(upstream)?;
        let (mut questions, mut on) = (client.try_clone()?, server.try_clone()?);
        std::thread::spawn(move || {
            // Broken off by whoever is done first.
            let _ = std::io::copy(&mut questions, &mut on);
        });
        let (mut head, mut byte) = (Vec::new(), [0]);
        while !head.ends_with(b"\r\n\r\n") {
            server.read_exact(&mut byte)?;
            head.push(byte[0]);
        }
        let head = String::from_utf8_lossy(&head);
        let lines = head.split("\r\n").map(|line| match line.split_once(": ") {
            Some((name, _)) if name.eq_ignore_ascii_case("date") => format!("{name}: {DATE}"),
            _ => line.to_owned(),
        });
        client.write_all(lines.collect::<Vec<_>>().join("\r\n").as_bytes())?;
        std::io::copy(&mut server, &mut client).map(drop)
    };
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            std::thread::spawn(move || exchange(client));
        }
    });
    address
}
