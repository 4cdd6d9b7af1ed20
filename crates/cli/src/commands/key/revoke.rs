//! `schleuse key revoke`.

mod consequences;
mod report;

use std::path::Path;
use std::time::Duration;

use schleuse_config::{MAX_BYTES, Revocation, RevokedKey, Source, edit};
use schleuse_model::{Exit, Explain, Timestamp};
use schleuse_sign::{Fingerprint, Role, Trust, TrustedKey};

use crate::context::Context;
use crate::failure::Failure;
use crate::files;
use crate::keys::{self, KeyReference};
use crate::ladder::Ladder;
use crate::project::{Patience, Project};
use crate::settings::ConnectionArgs;
use report::Revoked;

/// Take a key out of its role, and say what that costs
///
/// It changes schleuse.toml and nothing else: the key moves from its role to `revoked`. Commit that; CI goes by the file of the
/// protected branch.
#[derive(clap::Args, Debug)]
#[command(
    group(clap::ArgGroup::new("why").required(true)),
    after_help = "\
Examples:
  schleuse key revoke old.pub --superseded          after `key rotate`: what the journal named before now still holds
  schleuse key revoke old.pub --compromised         nothing it signed holds any more, until `key rotate` signs it again"
)]
pub(crate) struct Args {
    /// The public key
    #[arg(value_name = "PUB")]
    key: String,
    /// It was replaced in good order. Refused while something that runs would lose trust
    #[arg(long, group = "why")]
    superseded: bool,
    /// Somebody else may have it. Never refused
    #[arg(long, group = "why")]
    compromised: bool,
    /// With --superseded: from when on, in RFC 3339 [default: now]
    #[arg(long, value_name = "TIME", conflicts_with = "compromised")]
    since: Option<Timestamp>,
    /// Only say what it would cost
    #[arg(long, visible_alias = "dry-run")]
    plan: bool,
    #[command(flatten)]
    connection: ConnectionArgs,
}

/// It cannot be revoked like that.
#[derive(Debug, thiserror::Error)]
enum CannotRevoke {
    #[error("{0} is not listed in [trust]: nothing that it signs is believed")]
    NotListed(String),
    #[error("{0} is compromised: that is more than superseded, and stays so")]
    Worse(String),
    #[error("{0} is the last build key: nothing could be signed any more")]
    Last(String),
    #[error("{0} is not past yet: a key is revoked when it is not used any more")]
    NotYet(Timestamp),
    #[error("the changed schleuse.toml would not be read: {0}")]
    Unreadable(String),
}

impl Explain for CannotRevoke {
    fn exit(&self) -> Exit {
        Exit::Usage
    }

    fn hints(&self) -> Vec<String> {
        match self {
            Self::NotListed(_) | Self::Worse(_) => vec!["what is listed: `schleuse config show`".to_owned()],
            Self::Last(_) => vec!["add the new key first: [trust] build = [\"…\", \"…\"] in schleuse.toml".to_owned()],
            Self::NotYet(_) => vec!["leave --since away: from now on".to_owned()],
            Self::Unreadable(_) => {
                vec!["change it by hand: take the key out of its role, and list it under `revoked`".to_owned()]
            }
        }
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    // A registry that is down must not hold up saying that a key is stolen.
    let patience = if args.compromised { Patience::Short } else { Patience::Usual };
    let ladder = Ladder::open_with(context, &args.connection, patience).await?;
    let key = keys::public_only(context, &KeyReference::parse(&args.key))?.fingerprint();
    let revocation = revocation(args, context.now())?;
    let entries = entries(context, &ladder.project, &key, revocation)?;
    let after = after(&ladder.trust, &key, revocation)?;
    if !after.keys().any(|one| one.holds(Role::Build) && one.revoked().is_none()) {
        if args.superseded {
            return Err(CannotRevoke::Last(key.short()).into());
        }
        context.printer.warn("no build key is left: nothing can be signed or promoted until a new one is listed");
    }
    let progress = context.progress("looking at what it has signed");
    let found = consequences::of(&ladder, &after, context.now()).await;
    drop(progress);
    let consequences = match found {
        Err(failure) if args.compromised => {
            context.printer.warn(&format!("what it costs cannot be told: {}", failure.report().message));
            consequences::Consequences::default()
        }
        found => found?,
    };
    let refused = args.superseded && consequences.cost_anything();
    let write = !refused && !args.plan && !entries.is_empty();
    if write {
        change(ladder.project.require_file()?, &entries)?;
    }
    let (done, costs) = (entries.is_empty(), consequences.cost_anything());
    context.printer.report(&Revoked::new(&key, revocation, consequences, write, done))?;
    say_what_is_next(context, write, refused, costs);
    Ok(if refused { Exit::Blocked } else { Exit::Done })
}

fn revocation(args: &Args, now: Timestamp) -> Result<Revocation, CannotRevoke> {
    if args.compromised {
        return Ok(Revocation::Compromised);
    }
    // Up to a full second: what was written in this one was written before.
    let now = Timestamp::from_seconds(now.as_seconds()).plus(Duration::from_secs(1));
    match args.since {
        // A key that may sign until tomorrow is not revoked: nothing new is written with a key that is listed as such.
        Some(since) if since > now => Err(CannotRevoke::NotYet(since)),
        since => Ok(Revocation::Superseded { since: since.unwrap_or(now) }),
    }
}

/// The lines that `revoked` gets: one for each role the key holds. None: it is revoked like that already.
fn entries(
    context: &Context,
    project: &Project,
    key: &Fingerprint,
    revocation: Revocation,
) -> Result<Vec<RevokedKey>, Failure> {
    let trust = &project.config.policy.trust;
    let mut entries = Vec::new();
    let mut listed = false;
    for (role, keys) in trust.roles() {
        for one in keys {
            if project.key_file(context, &one.file)?.fingerprint() == *key {
                entries.push(RevokedKey { key: one.clone(), role, revocation });
            }
        }
    }
    for one in &trust.revoked {
        if project.key_file(context, &one.key.file)?.fingerprint() != *key {
            continue;
        }
        listed = true;
        match (one.revocation, revocation) {
            (Revocation::Superseded { .. }, Revocation::Compromised) => {
                entries.push(RevokedKey { revocation, ..one.clone() });
            }
            (Revocation::Compromised, Revocation::Superseded { .. }) => {
                return Err(CannotRevoke::Worse(key.short()).into());
            }
            _ => {}
        }
    }
    if entries.is_empty() && !listed {
        return Err(CannotRevoke::NotListed(key.short()).into());
    }
    Ok(entries)
}

/// Whom we trust once the key is revoked.
fn after(trust: &Trust, key: &Fingerprint, revocation: Revocation) -> Result<Trust, Failure> {
    let revocation = match revocation {
        Revocation::Superseded { since } => schleuse_sign::Revocation::Superseded { since },
        Revocation::Compromised => schleuse_sign::Revocation::Compromised,
    };
    let revoked = |one: &TrustedKey| {
        let one = one.clone();
        if one.fingerprint() == *key { one.revoked_as(revocation) } else { one }
    };
    Ok(Trust::new(trust.keys().map(revoked))?)
}

/// Changes the file, if what comes out is a configuration.
fn change(file: &Path, entries: &[RevokedKey]) -> Result<(), Failure> {
    // Through a link: the file is replaced, not the link to it.
    let file = file.canonicalize().unwrap_or_else(|_| file.to_owned());
    let unreadable = |why: String| CannotRevoke::Unreadable(why);
    let before = String::from_utf8(files::read(&file, MAX_BYTES)?).map_err(|error| unreadable(error.to_string()))?;
    let mut text = before;
    for entry in entries {
        text = edit::revoke(&text, entry)?;
    }
    let name = file.display().to_string();
    let read = schleuse_config::load(Source { name: &name, text: &text }, &Default::default(), &Default::default());
    let config = read.map_err(|error| unreadable(error.to_string()))?;
    if !entries.iter().all(|entry| config.policy.trust.revoked.contains(entry)) {
        return Err(unreadable("the key would not be revoked by it".to_owned()).into());
    }
    Ok(files::replace(&file, text.as_bytes())?)
}

fn say_what_is_next(context: &Context, written: bool, refused: bool, costs: bool) {
    let printer = &context.printer;
    if refused {
        printer.note("not revoked: first let the key of today sign what must stay: `schleuse key rotate --key NEW`");
    } else if written {
        printer.note("schleuse.toml is changed: commit it, the file of the protected branch is what counts");
    }
    if costs && written {
        printer.note("then look at what runs, and sign it again: `schleuse key rotate --key NEW`");
        printer.note("until then `schleuse rollback` works, with the new key or a break-glass key");
    }
}
