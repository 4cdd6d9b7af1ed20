//! Whose entries count: keys that were superseded or compromised, and the one that may only go back.

use std::sync::Arc;

use rand_core::OsRng;
use schleuse_journal::commit::registry::entry_tag;
use schleuse_journal::{Adoption, Appended, Entry, Error, Event, Journal, RunId, VerifiedEntry, named};
use schleuse_model::{Actor, Digest, Timestamp};
use schleuse_oci::{Body, Descriptor, ImageManifest, Pull as _, Push as _};
use schleuse_sign::{KeyPair, Revocation, Role, Signer as _, Statement, Trust, TrustedKey, sign_statement};

use crate::world::{World, at, draft, promoted};

/// A registry, the CI's key (`world.key`), its successor, and an offline key.
struct Keys {
    world: World,
    new: KeyPair,
    glass: KeyPair,
}

impl Keys {
    async fn new() -> Self {
        let (new, glass) = (KeyPair::generate(&mut OsRng).unwrap(), KeyPair::generate(&mut OsRng).unwrap());
        Self { world: World::new().await, new, glass }
    }

    /// Staging's journal, with the CI's key revoked like this.
    fn journal(&self, revoked: Option<Revocation>) -> Journal {
        let old = TrustedKey::new(self.world.key.public_key().clone(), [Role::Build]);
        let keys = [
            revoked.into_iter().fold(old, TrustedKey::revoked_as),
            TrustedKey::new(self.new.public_key().clone(), [Role::Build]),
            TrustedKey::new(self.glass.public_key().clone(), [Role::BreakGlass]),
        ];
        let trust = Arc::new(Trust::new(keys).unwrap());
        let names = self.world.names.clone();
        Journal::new(names, "staging".parse().unwrap(), trust, self.world.client.clone(), None)
            .with_writer(self.world.writer(Default::default()))
    }

    async fn append(&self, event: Event, of: u8, key: &KeyPair, seconds: i64) -> Result<VerifiedEntry, Error> {
        let journal = self.journal(None);
        let head = journal.head().await?;
        match journal.append(head.as_ref(), draft(event, of), key, at(seconds)).await? {
            Appended::Won(entry) => Ok(*entry),
            Appended::Lost(entry) => panic!("lost against {entry:?}"),
        }
    }

    /// Two promotions by the CI's key, at 100 and 200.
    async fn two_promotions() -> Self {
        let keys = Self::new().await;
        for n in 1..=2 {
            keys.append(promoted(), n, &keys.world.key, i64::from(n) * 100).await.unwrap();
        }
        keys
    }

    /// What somebody with push rights and `key` can put behind `before`: an entry that links, and says what they want.
    async fn forge(&self, key: &KeyPair, before: &VerifiedEntry, change: impl FnOnce(&mut Entry)) {
        let mut entry = before.entry().clone();
        entry.sequence += 1;
        entry.previous = Some(before.digest().clone());
        change(&mut entry);
        let predicate = schleuse_model::json::to_bytes(&entry);
        let kind = schleuse_model::predicate::JOURNAL_ENTRY_V1;
        let statement = Statement::new(kind, entry.image.to_string(), &entry.release.digest, predicate).unwrap();
        self.put(key, &statement, entry.sequence).await;
    }

    /// Puts what `key` signs where entry `sequence` is looked for.
    async fn put(&self, key: &KeyPair, statement: &Statement, sequence: u64) {
        let envelope = sign_statement(key, statement).unwrap();
        let tag = |sequence| entry_tag(&self.world.names.journal, &"staging".parse().unwrap(), sequence).unwrap();
        let client = &self.world.client;
        let mut forged: ImageManifest = client.tagged(&tag(1)).await.unwrap().unwrap().as_image().unwrap();
        forged.layers[0] = Descriptor::of(&forged.layers[0].media_type, &envelope).with_data(&envelope);
        client.push_blob(&self.world.names.journal, &forged.layers[0], Body::from(envelope)).await.unwrap();
        client.tag(&tag(sequence), &forged.to_manifest()).await.unwrap();
    }
}

fn superseded(since: i64) -> Option<Revocation> {
    Some(Revocation::Superseded { since: at(since) })
}

const COMPROMISED: Option<Revocation> = Some(Revocation::Compromised);

/// The entry's state and event as a promotion of `of` would have them.
fn promotes(of: u8, seconds: i64) -> impl FnOnce(&mut Entry) {
    move |entry| {
        let written = draft(promoted(), of);
        (entry.event, entry.release, entry.at) = (written.event, written.release, at(seconds));
        let step = schleuse_journal::state::Step {
            event: &entry.event,
            release: &entry.release,
            run: &entry.run,
            sequence: entry.sequence,
            at: entry.at,
        };
        entry.state = entry.state.after(step).unwrap();
    }
}

fn rollback() -> Event {
    Event::Rollback { reason: None, rollout: false }
}

fn adoption() -> Adoption {
    let (run, policy) = (RunId::new([7; 16]), Digest::sha256(b"policy"));
    Adoption { run, actor: Actor { name: "ada".to_owned(), claimed: true }, policy, reason: None, without: Vec::new() }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_superseded_key_signed_holds_once_a_key_of_today_has_signed_on_top() {
    let keys = Keys::two_promotions().await;
    let journal = keys.journal(superseded(1_000));
    let error = journal.head().await.unwrap_err();
    assert!(error.to_string().contains("no key of today has adopted it"), "{error}");
    let found = journal.to_adopt().await.unwrap().unwrap();
    assert!(found.needs_a_word());
    let tail: Vec<u64> = found.tail().map(|(entry, _)| entry.sequence).collect();
    assert_eq!(tail, [2, 1], "all that a person has to look at");
    journal.adopt(&found, adoption(), &keys.new, at(300)).await.unwrap();
    assert_eq!(journal.verify_all().await.unwrap().len(), 3);
    // When it says that it was superseded changes nothing about what is pinned: a clock that went wrong ends no journal.
    assert_eq!(keys.journal(superseded(150)).verify_all().await.unwrap().len(), 3);
    assert!(!keys.journal(superseded(150)).to_adopt().await.unwrap().unwrap().needs_a_word());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_begins_no_journal() {
    let keys = Keys::new().await;
    keys.append(promoted(), 1, &keys.world.key, 100).await.unwrap();
    let error = keys.journal(superseded(400)).head().await.unwrap_err();
    assert!(error.to_string().contains("entry #1") && error.to_string().contains("is superseded"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_retired_key_appends_nothing_behind_the_new_one_however_it_is_dated() {
    let keys = Keys::two_promotions().await;
    let third = keys.append(promoted(), 3, &keys.new, 300).await.unwrap();
    // Dated between the new key's entry and the day it was superseded: link, time and state are all right.
    keys.forge(&keys.world.key, &third, promotes(9, 350)).await;
    let forged = keys.journal(None).head().await.unwrap().unwrap();
    assert_eq!(forged.entry().sequence, 4, "while the key was trusted, that was an entry");
    let journal = keys.journal(superseded(400));
    assert!(journal.head().await.unwrap_err().to_string().contains("rests on entry #4"));
    // A second one on top hides the first neither from readers nor from who is asked to adopt them.
    keys.forge(&keys.world.key, &forged, promotes(8, 350)).await;
    assert!(journal.head().await.unwrap_err().to_string().contains("rests on entry #5"));
    let tail: Vec<u64> = journal.to_adopt().await.unwrap().unwrap().tail().map(|(entry, _)| entry.sequence).collect();
    assert_eq!(tail, [5, 4]);
}

/// A statement about two images, signed for the sake of the one, read for the other.
#[tokio::test(flavor = "multi_thread")]
async fn a_statement_about_two_images_is_no_entry() {
    let keys = Keys::two_promotions().await;
    let second = keys.journal(None).head().await.unwrap().unwrap();
    let mut entry = second.entry().clone();
    entry.sequence = 3;
    entry.previous = Some(second.digest().clone());
    promotes(9, 300)(&mut entry);
    let predicate = String::from_utf8(schleuse_model::json::to_bytes(&entry)).unwrap();
    let about = |digests: &[&Digest]| {
        let subjects: Vec<String> =
            digests.iter().map(|digest| format!(r#"{{"digest":{{"sha256":"{}"}}}}"#, digest.hex())).collect();
        let kind = schleuse_model::predicate::JOURNAL_ENTRY_V1;
        let text = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{}],"predicateType":"{kind}","predicate":{predicate}}}"#,
            subjects.join(",")
        );
        let limit = text.len();
        Statement::parse(text.into(), limit).unwrap()
    };
    let other = Digest::sha256(b"the image that somebody wanted signed");
    keys.put(&keys.new, &about(&[&entry.release.digest, &other]), 3).await;
    let error = keys.journal(None).head().await.unwrap_err();
    assert!(error.to_string().contains("about another image than its release"), "{error}");
    keys.put(&keys.new, &about(&[&entry.release.digest]), 3).await;
    assert_eq!(keys.journal(None).head().await.unwrap().unwrap().entry().sequence, 3, "but for that it was one");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_adopts_can_leave_releases_out() {
    let keys = Keys::two_promotions().await;
    let journal = keys.journal(COMPROMISED);
    let found = journal.to_adopt().await.unwrap().unwrap();
    let bad = draft(promoted(), 1).release.digest;
    assert!(found.entry().state.good.iter().any(|placed| placed.release.digest == bad));
    let without = Adoption { without: vec![bad.clone()], ..adoption() };
    journal.adopt(&found, without, &keys.new, at(300)).await.unwrap();
    let head = journal.head().await.unwrap().unwrap();
    assert!(!head.entry().state.good.iter().any(|placed| placed.release.digest == bad));
    let back = journal.append(Some(&head), draft(rollback(), 1), &keys.new, at(400)).await.unwrap_err();
    assert!(back.to_string().contains("no healthy verdict"), "{back}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_way_back_names_the_release_as_it_was_promoted() {
    let keys = Keys::two_promotions().await;
    let journal = keys.journal(None);
    let head = journal.head().await.unwrap().unwrap();
    let mut renamed = draft(rollback(), 1);
    renamed.release.version = Some("9.9.9".to_owned());
    let error = journal.append(Some(&head), renamed, &keys.glass, at(300)).await.unwrap_err();
    assert!(error.to_string().contains("no healthy verdict"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_compromised_key_signed_is_believed_once_it_is_adopted() {
    let keys = Keys::two_promotions().await;
    let journal = keys.journal(COMPROMISED);
    let error = journal.head().await.unwrap_err();
    assert!(error.to_string().contains("that key is compromised"), "{error}");
    let hints = schleuse_model::Explain::hints(&error);
    assert!(hints[0].contains("schleuse key rotate") && hints[1].contains("schleuse rollback staging"), "{hints:?}");

    let found = journal.to_adopt().await.unwrap().unwrap();
    assert!(found.needs_a_word() && found.entry().sequence == 2);
    let refused = journal.adopt(&found, adoption(), &keys.world.key, at(300)).await.unwrap_err();
    assert!(refused.to_string().contains("nothing new is signed with it"), "{refused}");
    assert!(matches!(journal.adopt(&found, adoption(), &keys.new, at(300)).await.unwrap(), Appended::Won(_)));

    let head = journal.head().await.unwrap().unwrap();
    assert_eq!((head.entry().event.name(), &head.entry().state), ("rekeyed", &found.entry().state));
    assert_eq!(journal.verify_all().await.unwrap().len(), 3);
    assert_eq!(journal.entry_at(2).await.unwrap_err().to_string().matches("compromised").count(), 1);
    assert!(journal.to_adopt().await.unwrap().unwrap().doubt().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_compromised_keys_entry_behind_the_new_ones_is_not_believed() {
    let keys = Keys::two_promotions().await;
    let third = keys.append(promoted(), 3, &keys.new, 300).await.unwrap();
    keys.forge(&keys.world.key, &third, promotes(9, 310)).await;
    let error = keys.journal(COMPROMISED).head().await.unwrap_err();
    assert!(error.to_string().contains("entry #4"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_journal_is_not_shown_to_be_adopted() {
    let keys = Keys::two_promotions().await;
    let second = keys.journal(None).head().await.unwrap().unwrap();
    keys.forge(&keys.world.key, &second, |entry| {
        promotes(9, 300)(entry);
        entry.state.failed.clear();
        entry.state.good.clear();
    })
    .await;
    // The lie is two entries down; the newest follows from it.
    let lie = keys.journal(None).head().await.unwrap().unwrap();
    keys.forge(&keys.world.key, &lie, promotes(8, 310)).await;
    let error = keys.journal(COMPROMISED).to_adopt().await.unwrap_err();
    assert!(error.to_string().contains("entry #3"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_adopted_while_a_rollout_is_unfinished() {
    let keys = Keys::two_promotions().await;
    keys.append(Event::Promoted { from: None, rollout: true }, 3, &keys.world.key, 300).await.unwrap();
    let journal = keys.journal(COMPROMISED);
    let found = journal.to_adopt().await.unwrap().unwrap();
    let error = journal.adopt(&found, adoption(), &keys.new, at(400)).await.unwrap_err();
    assert_eq!(error.to_string(), "`rekeyed` cannot follow here: a rollout is unfinished");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_glass_key_goes_back_and_does_nothing_else() {
    let keys = Keys::two_promotions().await;
    let error = keys.append(promoted(), 3, &keys.glass, 300).await.unwrap_err();
    assert!(error.to_string().contains("a break-glass key, which may only go back"), "{error}");
    assert_eq!(schleuse_model::Explain::exit(&error), schleuse_model::Exit::Untrusted);
    keys.append(Event::Rollback { reason: None, rollout: true }, 1, &keys.glass, 300).await.unwrap();
    let (receipt, deadline) = (serde_json::Value::Null, at(900));
    keys.append(Event::RolloutStarted { receipt, deadline }, 1, &keys.glass, 310).await.unwrap();
    keys.append(Event::Healthy { probes: 1, good: 1 }, 1, &keys.glass, 320).await.unwrap();
    let head = keys.journal(None).head().await.unwrap().unwrap();
    assert_eq!((head.entry().sequence, head.entry().event.name()), (5, "healthy"));
    // The CI goes on behind it.
    keys.append(promoted(), 3, &keys.new, 400).await.unwrap();
    assert_eq!(keys.journal(None).verify_all().await.unwrap().len(), 6);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_glass_key_touches_no_rollout_of_a_promotion() {
    let keys = Keys::two_promotions().await;
    keys.append(Event::Promoted { from: None, rollout: true }, 3, &keys.world.key, 300).await.unwrap();
    let aborted = Event::Aborted { reason: "x".to_owned() };
    let error = keys.append(aborted, 3, &keys.glass, 310).await.unwrap_err();
    assert!(error.to_string().contains("may only go back"), "{error}");
    keys.append(rollback(), 1, &keys.glass, 320).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_glass_key_claims_no_state() {
    let keys = Keys::two_promotions().await;
    let second = keys.journal(None).head().await.unwrap().unwrap();
    // A way back to a release that was never healthy here.
    keys.forge(&keys.glass, &second, |entry| {
        promotes(9, 300)(entry);
        entry.event = rollback();
    })
    .await;
    let error = keys.journal(None).head().await.unwrap_err();
    assert!(error.to_string().contains("no healthy verdict in this environment"), "{error}");
    // A second entry by the same key hides that no better.
    keys.forge(&keys.glass, &second, |entry| {
        promotes(9, 300)(entry);
        (entry.sequence, entry.event) = (3, Event::Promoted { from: None, rollout: false });
    })
    .await;
    assert!(keys.journal(None).head().await.unwrap_err().to_string().contains("may only go back"));
}

/// The first lie is two entries down: the newest one follows from it as it should.
#[tokio::test(flavor = "multi_thread")]
async fn a_break_glass_key_hides_no_lie_under_a_second_entry() {
    let keys = Keys::two_promotions().await;
    let second = keys.journal(None).head().await.unwrap().unwrap();
    keys.forge(&keys.glass, &second, |entry| {
        promotes(9, 300)(entry);
        promotes(8, 300)(entry);
        entry.event = rollback();
    })
    .await;
    // A glance at the one entry alone, as who forged it has it, to put the next one on top.
    let tag = entry_tag(&keys.world.names.journal, &"staging".parse().unwrap(), 3).unwrap();
    let manifest = keys.world.client.tagged(&tag).await.unwrap().unwrap();
    let lie = keys.glass_sees(&manifest);
    keys.forge_behind(&keys.glass, &lie, manifest.digest().clone()).await;
    let error = keys.journal(None).head().await.unwrap_err();
    assert!(error.to_string().contains("entry #3"), "{error}");
}

impl Keys {
    fn glass_sees(&self, manifest: &schleuse_oci::Manifest) -> Entry {
        let envelope = manifest.as_image().unwrap().layers[0].embedded().unwrap();
        let trust = self.world.trust(&[Role::Build]);
        let key = TrustedKey::new(self.glass.public_key().clone(), [Role::Build]);
        let trust = Trust::new(trust.keys().cloned().chain([key])).unwrap();
        let verified = schleuse_sign::verify_envelope(&envelope, &trust, Role::Build, 1 << 20).unwrap();
        schleuse_model::json::from_untrusted(verified.statement().predicate_bytes(), 1 << 20).unwrap()
    }

    /// A well-formed way back behind an entry that is a lie.
    async fn forge_behind(&self, key: &KeyPair, lie: &Entry, digest: Digest) {
        let any = self.journal(None).entry_at(2).await.unwrap();
        let lie = lie.clone();
        self.forge(key, &any, move |entry| {
            *entry = lie;
            entry.sequence += 1;
            entry.previous = Some(digest);
            let release =
                entry.state.good.iter().find(|good| good.sequence != entry.state.current.as_ref().unwrap().sequence);
            (entry.event, entry.release) = (rollback(), release.unwrap().release.clone());
            let step = schleuse_journal::state::Step {
                event: &entry.event,
                release: &entry.release,
                run: &entry.run,
                sequence: entry.sequence,
                at: entry.at,
            };
            entry.state = entry.state.after(step).unwrap();
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_break_glass_key_vouches_for_nothing_of_a_compromised_one() {
    let keys = Keys::two_promotions().await;
    keys.append(rollback(), 1, &keys.glass, 300).await.unwrap();
    let error = keys.journal(COMPROMISED).head().await.unwrap_err();
    assert!(error.to_string().contains("it rests on entry #2"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn when_a_release_was_named() {
    let keys = Keys::two_promotions().await;
    keys.append(promoted(), 3, &keys.new, 300).await.unwrap();
    let journal = keys.journal(superseded(250));
    let digest = |of| draft(promoted(), of).release.digest;
    let found = async |of, before: i64| named(&journal, &digest(of), at(before)).await.unwrap();
    assert_eq!(found(2, 250).await, Some(at(200)));
    assert_eq!(found(1, 250).await, Some(at(100)));
    assert_eq!(found(2, 200).await, None::<Timestamp>, "not before it was");
    assert_eq!(found(3, 250).await, None);
    assert_eq!(found(9, 250).await, None);
}
