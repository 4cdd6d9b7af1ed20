use rand_core::OsRng;
use schleuse_model::Timestamp;
use schleuse_sign::{KeyPair, Signer as _};

use super::*;
use crate::entry::RunId;
use crate::state::{Phase, Rollout};

const ACTIVE: Authority = Authority { role: Role::Build, standing: Standing::Active };
const RETIRED: Authority = Authority { role: Role::Build, standing: Standing::Superseded };
const STOLEN: Authority = Authority { role: Role::Build, standing: Standing::Compromised };
const GLASS: Authority = Authority { role: Role::BreakGlass, standing: Standing::Active };
const OLD_GLASS: Authority = Authority { role: Role::BreakGlass, standing: Standing::Superseded };

/// Newest first: after how many entries the newest is believed. All of them read and no more there: believed as well.
fn walk(entries: &[Authority]) -> Result<usize, Doubt> {
    for (at, entry) in entries.iter().enumerate() {
        if entry.enough()? {
            return Ok(at + 1);
        }
    }
    Ok(entries.len())
}

#[test]
fn how_far_down_a_newest_entry_is_checked() {
    let table: [(&[Authority], Result<usize, Doubt>); 12] = [
        (&[ACTIVE], Ok(1)),
        (&[ACTIVE, STOLEN], Ok(1)),
        (&[ACTIVE, RETIRED, ACTIVE], Ok(1)),
        (&[STOLEN], Err(Doubt::Compromised)),
        (&[STOLEN, ACTIVE], Err(Doubt::Compromised)),
        // Alone, or on top of a key of today: whoever still has it writes the dates.
        (&[RETIRED, RETIRED, RETIRED], Err(Doubt::Superseded)),
        (&[RETIRED, ACTIVE], Err(Doubt::Superseded)),
        (&[RETIRED, STOLEN], Err(Doubt::Superseded)),
        (&[GLASS, GLASS, GLASS, ACTIVE, STOLEN], Ok(4)),
        (&[GLASS, RETIRED, RETIRED], Err(Doubt::Superseded)),
        (&[GLASS, STOLEN, ACTIVE], Err(Doubt::Compromised)),
        (&[OLD_GLASS, ACTIVE], Err(Doubt::Superseded)),
    ];
    for (entries, expected) in table {
        assert_eq!(walk(entries), expected, "{entries:?}");
    }
}

fn events() -> Vec<Event> {
    let (deadline, done) = (Timestamp::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
    let (reason, from) = ("x".to_owned(), RunId::new([1; 16]));
    vec![
        Event::Rollback { reason: None, rollout: true },
        Event::RolloutStarted { receipt: serde_json::Value::Null, deadline },
        Event::TakenOver { from, deadline },
        Event::Healthy { probes: 1, good: 1 },
        Event::Held { reason: reason.clone() },
        Event::RollbackFailed { reason: reason.clone() },
        Event::Aborted { reason: reason.clone() },
        Event::Promoted { from: None, rollout: true },
        Event::RolledBack { reason, done },
        Event::Rekeyed { reason: None, without: Vec::new() },
    ]
}

fn state(rollback: Option<bool>) -> State {
    let rollout = rollback.map(|rollback| Rollout {
        run: RunId::new([1; 16]),
        rollback,
        phase: Phase::Admitted,
        before: None,
        displaced: None,
    });
    State { rollout, ..State::default() }
}

#[test]
fn what_a_break_glass_key_may_write() {
    let names = |rollback| -> Vec<&str> {
        let before = state(rollback);
        events().iter().filter(|event| is_of_a_way_back(event, &before)).map(Event::name).collect()
    };
    assert_eq!(names(None), ["rollback"]);
    assert_eq!(names(Some(false)), ["rollback"], "a promotion's rollout is the CI's");
    let way_back = ["rollback", "rollout-started", "taken-over", "healthy", "held", "rollback-failed", "aborted"];
    assert_eq!(names(Some(true)), way_back);
}

#[test]
fn what_a_keys_standing_makes_of_an_entry() {
    let pair = KeyPair::generate(&mut OsRng).unwrap();
    let of = |role, revoked: Option<Revocation>, event: &Event| {
        let key = TrustedKey::new(pair.public_key().clone(), [role]);
        let key = revoked.into_iter().fold(key, TrustedKey::revoked_as);
        Authority::of(&key, role, event).map_err(|fault| fault.to_string())
    };
    let superseded = Some(Revocation::Superseded { since: Timestamp::from_seconds(100) });
    let (promoted, rollback) = (Event::Promoted { from: None, rollout: true }, &events()[0]);
    assert_eq!(of(Role::Build, None, &promoted), Ok(ACTIVE));
    assert_eq!(of(Role::Build, superseded, &promoted), Ok(RETIRED));
    assert_eq!(of(Role::Build, Some(Revocation::Compromised), &promoted), Ok(STOLEN));
    assert_eq!(of(Role::BreakGlass, None, rollback), Ok(GLASS));
    assert_eq!(of(Role::BreakGlass, superseded, rollback), Ok(OLD_GLASS));
    assert!(of(Role::BreakGlass, None, &promoted).unwrap_err().contains("may only go back"));
}
