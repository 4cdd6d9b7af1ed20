//! `schleuse key inspect`.

use schleuse_model::Exit;
use schleuse_sign::keys::Described;
use schleuse_sign::{PublicKey, Revocation, TrustedKey};
use serde::Serialize;

use crate::context::Context;
use crate::failure::Failure;
use crate::keys::{self, KeyReference};
use crate::output::{Page, Report};
use crate::password;

/// Show what a key is, and what it is trusted for in this project
///
/// Never asks for a password: with COSIGN_PASSWORD set, an encrypted private key's public half is shown too.
#[derive(clap::Args, Debug)]
#[command(after_help = "\
Examples:
  schleuse key inspect schleuse.pub
  COSIGN_PASSWORD=… schleuse key inspect env://COSIGN_PRIVATE_KEY")]
pub(super) struct Args {
    /// The key: a file, or env://NAME for a variable that holds it
    #[arg(value_name = "KEY")]
    key: String,
}

#[derive(Serialize)]
struct Answer {
    key: String,
    /// `public` or `private`.
    half: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    encryption: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    algorithm: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    fingerprint: Option<String>,
    /// What bundles name it by.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// The roles it holds under [trust]; absent where that cannot be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    trusted_for: Option<Vec<&'static str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    person: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revoked: Option<String>,
}

impl Report for Answer {
    fn human(&self, page: &mut Page) {
        page.fact(11, "key", format_args!("{} ({})", self.key, self.half));
        let trusted = self.trusted_for.as_ref().map(|roles| {
            let roles = if roles.is_empty() { "nothing".to_owned() } else { roles.join(", ") };
            self.person.as_ref().map_or(roles.clone(), |person| format!("{roles} ({person})"))
        });
        let algorithm = self.algorithm.map(str::to_owned);
        for (name, value) in [
            ("encryption", &self.encryption),
            ("algorithm", &algorithm),
            ("fingerprint", &self.fingerprint),
            ("hint", &self.hint),
            ("trusted for", &trusted),
            ("revoked", &self.revoked),
        ] {
            if let Some(value) = value {
                page.fact(11, name, value);
            }
        }
    }
}

pub(super) async fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let reference = KeyReference::parse(&args.key);
    let file = keys::content(context, &reference)?;
    let described = Described::of(file.expose()).map_err(|source| reference.unusable(source))?;
    let (half, encryption, public) = match described {
        Described::Public(key) => ("public", None, Some(key)),
        Described::Plain(key) => {
            keys::warn_of_plain(context);
            ("private", Some("none".to_owned()), Some(key))
        }
        Described::Encrypted { with } if context.variables.get(password::VARIABLE).is_some() => {
            ("private", Some(with), Some(keys::public_of(context, &reference, file).await?))
        }
        Described::Encrypted { with } => {
            context.printer.note("the rest is inside: set COSIGN_PASSWORD to see it");
            ("private", Some(with), None)
        }
    };
    let trusted = public.as_ref().and_then(|key| trusted(key, context));
    context.printer.report(&Answer {
        key: reference.to_string(),
        half,
        encryption,
        algorithm: public.as_ref().map(|key| key.algorithm().name()),
        fingerprint: public.as_ref().map(|key| key.fingerprint().to_string()),
        hint: public.as_ref().map(PublicKey::hint),
        trusted_for: trusted.as_ref().map(|key| match key {
            Some(key) if key.revoked().is_none() => key.roles().iter().map(|role| role.name()).collect(),
            _ => Vec::new(),
        }),
        person: trusted.as_ref().and_then(|key| key.as_ref()?.person().map(str::to_owned)),
        revoked: trusted.flatten().and_then(|key| key.revoked()).map(|revocation| match revocation {
            Revocation::Superseded { since } => format!("superseded on {since}"),
            Revocation::Compromised => "compromised".to_owned(),
        }),
    })?;
    Ok(Exit::Done)
}

/// The key as this project trusts it. `None`: there is no project, or its own keys cannot be read; that is another command's concern.
fn trusted(key: &PublicKey, context: &Context) -> Option<Option<TrustedKey>> {
    let project = context.project(&schleuse_config::Flags::default()).ok()?;
    project.require_file().ok()?;
    let trust = project.trust(context).ok()?;
    Some(trust.keys().find(|trusted| trusted.key() == key).cloned())
}
