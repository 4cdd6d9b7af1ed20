//! `schleuse key rotate`.

mod again;
mod report;
mod vouch;

use schleuse_journal::{Adoption, Appended, RunId, ToAdopt};
use schleuse_model::{Digest, EnvironmentName, Exit, Explain};
use schleuse_sign::{Fingerprint, KeyPair, Role, Signer as _, Trust, TrustedKey};

use super::staying::{Newest, Staying, newest, staying};
use crate::context::Context;
use crate::failure::Failure;
use crate::keys::{self, KeyReference};
use crate::ladder::Ladder;
use crate::random;
use crate::settings::ConnectionArgs;
use again::Again;
use report::{AdoptedJournal, JournalDone, ResignedImage, Rotated, SignatureDone};

/// Sign with a new key what must stay, and adopt the journals with it
///
/// What each environment runs, and where it would go back to, is signed again with the new key if an older build key's signature of
/// it is good; so is the evidence. Each journal gets an entry that pins everything before it. Running it again changes nothing.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse key rotate --key new.key --plan
  schleuse key rotate --key new.key
  schleuse key rotate --key new.key --yes        after the old key was revoked as compromised: you vouch for what runs")]
pub(crate) struct Args {
    /// The new signing key: a file, or env://NAME [default: COSIGN_PRIVATE_KEY]
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
    /// Take over what this public key signed [default: every other build key in schleuse.toml, also revoked ones]
    #[arg(long, value_name = "PUB")]
    from: Option<String>,
    /// Why; is recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    /// Do not vouch for this release: it is not signed again, and is no way back any more; the first digits of its digest; may be
    /// repeated
    #[arg(long, value_name = "DIGEST")]
    except: Vec<String>,
    /// Only say what would be done
    #[arg(long, visible_alias = "dry-run")]
    plan: bool,
    /// Do not ask, also where nothing but your word speaks for what is adopted
    #[arg(long, short)]
    yes: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// The keys do not fit.
#[derive(Debug, thiserror::Error)]
enum CannotRotate {
    #[error("{0} is not trusted for `build`: what it signs would not be believed")]
    NotToday(String),
    #[error("{0} is no other build key: there is nothing of it to take over")]
    NotOld(String),
    #[error("there is no other build key whose signatures could be taken over")]
    NoOther,
    #[error("a rollout in {0} is unfinished: nobody can say yet what stays")]
    Unfinished(EnvironmentName),
    #[error("vouching for what a key has signed that is not believed needs a yes, and there is nobody to ask")]
    NobodyToAsk,
    #[error("not adopted: nothing was changed")]
    No,
    #[error("`{0}` is not the digest of one release that runs, or that one could go back to")]
    NoSuchRelease(String),
    #[error("somebody else has written to {0}'s journal just now")]
    Overtaken(EnvironmentName),
}

impl Explain for CannotRotate {
    fn exit(&self) -> Exit {
        match self {
            Self::NotToday(_) | Self::NotOld(_) | Self::NoOther => Exit::Usage,
            Self::NobodyToAsk | Self::No | Self::NoSuchRelease(_) => Exit::Usage,
            Self::Unfinished(_) => Exit::Blocked,
            Self::Overtaken(_) => Exit::LostRace,
        }
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotToday(_) => vec!["list its public half: [trust] build = [\"…\"] in schleuse.toml".to_owned()],
            Self::NotOld(_) | Self::NoOther => {
                vec!["the old key's public half stays in schleuse.toml, under `build` or `revoked`".to_owned()]
            }
            Self::Unfinished(name) => vec![
                format!("finish it: `schleuse resume {name}`, or leave it: `schleuse rollback {name}`"),
                "where its key is compromised already: docs/RUNBOOK.md, \"The CI key is compromised\"".to_owned(),
            ],
            Self::NobodyToAsk => vec!["look at what runs, then say it with `--yes`".to_owned()],
            Self::NoSuchRelease(_) => vec!["at least 7 digits; `schleuse key rotate --plan` shows them".to_owned()],
            Self::No => Vec::new(),
            Self::Overtaken(_) => vec!["look again: run the same command once more".to_owned()],
        }
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let ladder = Ladder::open(context, &args.connection).await?;
    let signer = keys::signer(context, args.key.as_deref()).await?;
    let own = signer.public_key().fingerprint();
    let from = args.from.as_deref().map(|text| keys::public_only(context, &KeyReference::parse(text))).transpose()?;
    let old = old_keys(&ladder.trust, &own, from.map(|key| key.fingerprint()))?;
    let journals = newest(&ladder).await?;
    unfinished(&journals)?;
    let except = vouch::except(&args.except, &journals)?;
    let mut stays = staying(&journals);
    stays.retain(|one| !except.contains(&one.release.digest));
    let again = Again::new(&ladder, &old, &signer, args.plan, context.now())?;
    if vouch::is_needed(&old, &journals) && !is_done(&ladder, &again, &stays, &journals, &except).await? {
        vouch::show(context, &stays, &journals, &except);
        if !args.plan && !args.yes {
            vouch::ask(context).await?;
        }
    }
    let mut report = Rotated::new(own, &old, args.plan);
    for one in stays {
        let progress = context.progress(&format!("signing {} again", one.release.digest.short()));
        let done = again.image(&ladder.names.image.pin(one.release.digest.clone())).await?;
        drop(progress);
        report.images.push(ResignedImage::new(one, done));
    }
    for one in journals {
        report.journals.push(adopt(&ladder, args, context, &signer, &except, one).await?);
    }
    let left = report.images.iter().any(|image| image.signature == SignatureDone::Left);
    context.printer.report(&report)?;
    Ok(if left { Exit::Untrusted } else { Exit::Done })
}

/// The build keys whose signatures are taken over.
fn old_keys(trust: &Trust, own: &Fingerprint, from: Option<Fingerprint>) -> Result<Vec<TrustedKey>, CannotRotate> {
    let build: Vec<&TrustedKey> = trust.keys().filter(|key| key.holds(Role::Build)).collect();
    if !build.iter().any(|key| key.fingerprint() == *own && key.revoked().is_none()) {
        return Err(CannotRotate::NotToday(own.short()));
    }
    let others = build.into_iter().filter(|key| key.fingerprint() != *own);
    let meant = |key: &&TrustedKey| from.as_ref().is_none_or(|from| key.fingerprint() == *from);
    let old: Vec<TrustedKey> = others.filter(meant).cloned().collect();
    match (old.is_empty(), from) {
        (false, _) => Ok(old),
        (true, Some(from)) => Err(CannotRotate::NotOld(from.short())),
        (true, None) => Err(CannotRotate::NoOther),
    }
}

fn unfinished(journals: &[Newest]) -> Result<(), CannotRotate> {
    let under_way = |one: &&Newest| one.found.as_ref().is_some_and(|found| found.entry().state.rollout.is_some());
    match journals.iter().find(under_way) {
        Some(one) => Err(CannotRotate::Unfinished(one.environment.clone())),
        None => Ok(()),
    }
}

/// Whether there is nothing left to do, and so nothing to vouch for.
async fn is_done(
    ladder: &Ladder<'_>,
    again: &Again<'_>,
    stays: &[Staying],
    journals: &[Newest],
    except: &[Digest],
) -> Result<bool, Failure> {
    let pinned =
        |one: &Newest| one.found.as_ref().is_none_or(|found| found.doubt().is_none() && !offers(found, except));
    if !journals.iter().all(pinned) {
        return Ok(false);
    }
    let planned = again.planned();
    for one in stays {
        let done = planned.image(&ladder.names.image.pin(one.release.digest.clone())).await?;
        if done.signature != SignatureDone::Already || done.evidence > 0 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whether one could go back to one of these.
fn offers(found: &ToAdopt, except: &[Digest]) -> bool {
    found.entry().state.good.iter().any(|placed| except.contains(&placed.release.digest))
}

async fn adopt(
    ladder: &Ladder<'_>,
    args: &Args,
    context: &Context,
    signer: &KeyPair,
    except: &[Digest],
    one: Newest,
) -> Result<AdoptedJournal, Failure> {
    let Newest { environment, found } = one;
    let Some(found) = found else { return Ok(AdoptedJournal { environment, entry: JournalDone::Empty, sequence: 0 }) };
    let sequence = found.entry().sequence;
    // An entry by the new key pins everything before it already.
    let ours = found.doubt().is_none() && found.signer() == signer.public_key().fingerprint().short();
    if ours && !offers(&found, except) {
        return Ok(AdoptedJournal { environment, entry: JournalDone::Already, sequence });
    }
    if args.plan {
        return Ok(AdoptedJournal { environment, entry: JournalDone::Would, sequence: sequence + 1 });
    }
    let journal = ladder.written_journal(ladder.rung(environment.as_str())?)?;
    let adoption = Adoption {
        run: RunId::new(random::bytes()?),
        actor: ladder.actor(),
        policy: ladder.project.policy_digest(context)?,
        reason: args.reason.clone(),
        without: except.to_vec(),
    };
    match journal.adopt(&found, adoption, signer, context.now()).await? {
        Appended::Won(entry) => {
            // The hint saves later readers a few requests, nothing else.
            let _ = journal.leave_hint(&entry).await;
            Ok(AdoptedJournal { environment, entry: JournalDone::Rekeyed, sequence: entry.entry().sequence })
        }
        // What was looked at is not the newest any more.
        Appended::Lost(_) => Err(CannotRotate::Overtaken(environment).into()),
    }
}
