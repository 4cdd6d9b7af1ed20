//! A person's word: for what nothing else speaks for.

use schleuse_model::{Digest, Release};
use schleuse_sign::{Revocation, TrustedKey};

use super::super::staying::{Newest, Staying};
use super::CannotRotate;
use crate::context::Context;
use crate::failure::Failure;
use crate::question::{self, Enter};

/// The most entries of a journal that are shown.
const SHOWN: usize = 20;

/// Whether nothing but a person's word speaks for what is taken over.
pub(super) fn is_needed(old: &[TrustedKey], journals: &[Newest]) -> bool {
    old.iter().any(|key| key.revoked() == Some(Revocation::Compromised))
        || journals.iter().any(|one| one.found.as_ref().is_some_and(|found| found.needs_a_word()))
}

/// Shows all that is vouched for: what is signed again, every release that one could go back to, and the entries that a key that is
/// not believed has signed. Whoever has a stolen key could have written all of it.
pub(super) fn show(context: &Context, stays: &[Staying], journals: &[Newest], except: &[Digest]) {
    let printer = &context.printer;
    printer.warn("a key that is not believed signed this: signing it again says that you know it to be right");
    for one in stays {
        printer.note(&format!("  {}  {}", crate::watch::described(&one.release), one.places.join(", ")));
    }
    for one in journals {
        let Some(found) = &one.found else { continue };
        let state = &found.entry().state;
        let signed = |release: &Release| stays.iter().any(|one| one.release.digest == release.digest);
        let others = state.good.iter().map(|placed| &placed.release);
        for release in others.filter(|release| !signed(release) && !except.contains(&release.digest)) {
            printer.note(&format!("  {}  {} (can be gone back to)", crate::watch::described(release), one.environment));
        }
        let (tail, all) = (found.tail().take(SHOWN), found.tail().count());
        for (entry, key) in tail {
            let what = format!("#{} {} {}", entry.sequence, entry.event.name(), entry.release.digest.short());
            printer
                .note(&format!("  {}'s {what} by {} at {}, signed by {key}", one.environment, entry.actor, entry.at));
        }
        if all > SHOWN {
            printer.note(&format!("  and {} entries before them", all - SHOWN));
        }
    }
    printer.note("what is not yours: `--except DIGEST` neither signs it nor keeps it as a way back");
}

/// Asks.
pub(super) async fn ask(context: &Context) -> Result<(), Failure> {
    if !context.printer.settings().interactive {
        return Err(CannotRotate::NobodyToAsk.into());
    }
    if question::yes_no(context, "Do you vouch for it?", Enter::No).await? {
        Ok(())
    } else {
        Err(CannotRotate::No.into())
    }
}

/// The releases that are not vouched for, by the first digits of their digests.
pub(super) fn except(texts: &[String], journals: &[Newest]) -> Result<Vec<Digest>, CannotRotate> {
    let states = journals.iter().filter_map(|one| Some(&one.found.as_ref()?.entry().state));
    let placed = states.flat_map(|state| state.current.iter().chain(&state.good));
    let known: std::collections::BTreeSet<&Digest> = placed.map(|placed| &placed.release.digest).collect();
    let mut found = Vec::new();
    for text in texts {
        let digits = text.strip_prefix("sha256:").unwrap_or(text);
        let mut matching = known.iter().filter(|digest| digits.len() >= 7 && digest.hex().starts_with(digits));
        match (matching.next(), matching.next()) {
            (Some(digest), None) => found.push((*digest).clone()),
            _ => return Err(CannotRotate::NoSuchRelease(text.clone())),
        }
    }
    Ok(found)
}
