//! Pinning what an environment comes to rest on, before and after its journal says so.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::try_join_all;
use schleuse_journal::VerifiedEntry;
use schleuse_model::time::human;
use schleuse_model::{Digest, Explain as _, Tag};
use schleuse_oci::Error as OciError;
use schleuse_oci::evidence::keep_tag;
use schleuse_sign::fetch::Source;

use super::contents::contents_beside;
use super::pins::pin_beside;
use super::{Item, Part, pin, staying};
use crate::error::Error;
use crate::observer::Note;
use crate::world::{Environment, World};

/// How long pinning may take after a way back, with all retries: whoever went back looks at the terminal, or a pipeline waits.
const AFTERWARDS: Duration = Duration::from_secs(15);

/// The most tags of a repository that are listed: as of a journal; the client reads fewer pages than that.
const TAGS: usize = 1_000_000;

/// How many pieces of evidence a promotion pins. Real releases have some ten for each platform; whoever may push can attach
/// thousands, each of which would cost two requests before the commit.
const EVIDENCE: usize = 512;

/// Before `release` is committed in `to`: pins it, and what the environment runs and would go back to, each with what it consists
/// of. What is pinned is returned. `relied_on` is the evidence that decided.
///
/// # Errors
/// No answer, the registry refuses the tag, or the release is not there. An older release that is not there any more is told to the
/// observer: pinning cannot bring it back, and refusing would keep the way forward closed as well.
pub(crate) async fn hold(
    world: &World,
    to: &Environment,
    head: Option<&VerifiedEntry>,
    release: &Digest,
    relied_on: Option<&Digest>,
) -> Result<Vec<Digest>, Error> {
    let image = &to.journal.names().image;
    let state = head.map(|head| (to.name(), &head.entry().state));
    // All tags, pins and others: what has none needs not be asked for.
    let have: BTreeSet<Tag> = world.pull.tags(image, "", TAGS).await?.into_iter().collect();
    let mut releases = vec![release.clone()];
    // One that is pinned was looked into when it came here: what it consists of was pinned before the journal named it. Asking for
    // all that again, each time, would make up a third of a promotion's requests.
    for one in staying(state).into_iter().map(|one| one.release.digest).filter(|one| one != release) {
        if !have.contains(&keep_tag(&one).map_err(OciError::from)?) {
            releases.push(one);
        }
    }
    let source = Source { pull: world.pull.as_ref(), referrers: world.referrers.as_ref() };
    let pinned: Vec<_> = releases.into_iter().map(|digest| image.pin(digest)).collect();
    let all = try_join_all(pinned.iter().map(|release| contents_beside(source, release, Some(&have)))).await?;
    let (wanted, beyond) = within_reason(all.into_iter().flatten().collect(), relied_on);
    if beyond > 0 {
        let why = format!(
            "{beyond} more pieces of evidence than the {EVIDENCE} that a promotion pins: `schleuse retention pin` does"
        );
        world.observer.note(Note::NotPinned { why });
    }
    let (pull, push) = (world.pull.as_ref(), world.push.as_ref());
    let items = wanted.iter().map(|item| (&item.digest, item.manifest.as_ref()));
    let done = pin_beside(pull, push, image, &have, items).await?;
    if done.missing.contains(release) {
        return Err(OciError::Missing { what: image.pin(release.clone()).to_string() }.into());
    }
    if !done.added.is_empty() {
        world.observer.note(Note::Pinned { manifests: done.added.len() });
    }
    for digest in done.missing {
        world.observer.note(Note::NotPinned { why: format!("{} is listed and not in the registry", digest.short()) });
    }
    Ok(wanted.into_iter().map(|item| item.digest).collect())
}

/// Without evidence beyond [`EVIDENCE`], and how much that is. What was relied on comes first.
fn within_reason(items: Vec<Item>, relied_on: Option<&Digest>) -> (Vec<Item>, usize) {
    let is_evidence = |item: &Item| matches!(item.part, Part::Evidence(_) | Part::Legacy(_));
    let (mut evidence, mut wanted): (Vec<_>, Vec<_>) = items.into_iter().partition(is_evidence);
    evidence.sort_by_key(|item| Some(&item.digest) != relied_on && !matches!(item.part, Part::Legacy(_)));
    let beyond = evidence.len().saturating_sub(EVIDENCE);
    wanted.extend(evidence.into_iter().take(EVIDENCE));
    (wanted, beyond)
}

/// After the commit: whatever was unpinned meanwhile, because the journal did not name it yet, is pinned again. The commit stands
/// in any case.
pub(crate) async fn hold_on(world: &World, to: &Environment, held: &[Digest]) {
    let image = &to.journal.names().image;
    let done = pin(world.pull.as_ref(), world.push.as_ref(), image, held).await;
    // That an older one is not there was told before the commit.
    if let Ok(done) = &done
        && let Some(release) = held.first().filter(|release| done.missing.contains(release))
    {
        let why = format!("{} was removed from the registry meanwhile: push it again", image.pin(release.clone()));
        world.observer.note(Note::NotPinned { why });
    }
    tell(world, done.err());
}

/// After a way back: what the environment rests on now is pinned, if the registry takes it. Nothing waits for that.
pub(crate) async fn hold_after(world: &World, environment: &Environment, head: &VerifiedEntry) {
    let hold = hold(world, environment, Some(head), &head.entry().release.digest, None);
    match tokio::time::timeout(AFTERWARDS, hold).await {
        Ok(done) => tell(world, done.err()),
        Err(_) => {
            let why = format!("the registry did not answer within {}", human(AFTERWARDS));
            world.observer.note(Note::NotPinned { why });
        }
    }
}

fn tell(world: &World, error: Option<Error>) {
    if let Some(error) = error {
        let hint = error.hints().into_iter().next().map(|hint| format!(" ({hint})")).unwrap_or_default();
        world.observer.note(Note::NotPinned { why: format!("{error}{hint}") });
    }
}
