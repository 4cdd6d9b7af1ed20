//! A repair that is cut off.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use schleuse_model::{Digest, Timestamp};
use schleuse_registry::{CheckOptions, CheckReport, Fault, Outcome, Volume as _, check};

use super::power::play;
use super::states::{after_power_cut, fingerprint};
use super::volume::CrashVolume;

fn repair(volume: &CrashVolume) -> CheckReport {
    let options = CheckOptions { repair: true, allow_sparse: false };
    check(Arc::new(volume.clone()), options, Timestamp::UNIX_EPOCH, &|_, _| {}).unwrap()
}

fn overwrite(volume: &CrashVolume, path: &Path, bytes: &[u8]) {
    volume.remove(path).unwrap();
    let mut file = volume.create(path).unwrap();
    file.append(bytes).unwrap();
    file.sync().unwrap();
    volume.sync_folder(path.parent().unwrap()).unwrap();
}

fn read(volume: &CrashVolume, path: &Path) -> Option<Vec<u8>> {
    let file = volume.open(path).ok()?;
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    file.read_at(0, &mut bytes).unwrap();
    Some(bytes)
}

/// Wherever the power is cut: done again the repair comes to the same end, and the damaged bytes are in one of the two places.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repair_that_is_cut_off_is_repeated() {
    let played = play().await;
    let volume = CrashVolume::holding(played.disks.last().unwrap().clone());
    let layer = Digest::sha256(b"layer two");
    let blob: PathBuf = ["blobs", "sha256", &layer.hex()[..2], layer.hex()].iter().collect();
    overwrite(&volume, &blob, b"layer TWO");
    for link in volume.names(Path::new("repos/a/_links")).unwrap() {
        volume.remove(&Path::new("repos/a/_links").join(link)).unwrap();
    }
    volume.sync_folder(Path::new("repos/a/_links")).unwrap();
    let damaged = volume.disk();

    let volume = CrashVolume::holding(damaged);
    let report = repair(&volume);
    let told = |problem: Fault, outcome: Outcome| {
        report.findings.iter().filter(|finding| (finding.problem, finding.outcome) == (problem, outcome)).count()
    };
    assert_eq!(told(Fault::DamagedBlob, Outcome::MovedAside), 1);
    assert_eq!(told(Fault::MissingLink, Outcome::Repaired), 3);
    assert_eq!(told(Fault::MissingBlob, Outcome::Left), 1);
    assert_eq!(report.findings.len(), 5, "{report:?}");
    let mut moments: Vec<_> = volume.log().into_iter().map(|(_, disk)| disk).collect();
    moments.push(volume.disk());
    let mut seen = HashSet::new();
    for moment in moments {
        let mut states = Vec::new();
        after_power_cut(&moment, &mut |state| {
            if seen.insert(fingerprint(&state)) {
                states.push(state);
            }
        });
        for state in states {
            let volume = CrashVolume::holding(state);
            let again = repair(&volume);
            let left = |report: &CheckReport| -> Vec<_> {
                report.findings.iter().filter(|f| f.outcome == Outcome::Left).map(ToString::to_string).collect()
            };
            assert_eq!(left(&again), left(&report));
            assert_eq!(left(&repair(&volume)), left(&report));
            assert_eq!(read(&volume, &Path::new("quarantine").join(&blob)).unwrap(), b"layer TWO");
            assert_eq!(read(&volume, &blob), None);
        }
    }
    println!("{} distinct states", seen.len());
    assert!(seen.len() > 5);
}
