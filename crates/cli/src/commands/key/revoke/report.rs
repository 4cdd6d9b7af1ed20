//! What revoking a key did. The structs are the JSON.

use schleuse_config::Revocation;
use schleuse_model::EnvironmentName;
use schleuse_sign::Fingerprint;
use serde::Serialize;

use super::consequences::Consequences;
use crate::output::{Page, Report};

#[derive(Serialize)]
struct Image {
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    needed_by: Vec<String>,
    trusted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

#[derive(Serialize)]
struct Journal {
    environment: EnvironmentName,
    head: u64,
    trusted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

/// The whole answer.
#[derive(Serialize)]
pub(super) struct Revoked {
    key: String,
    #[serde(flatten)]
    revocation: Revocation,
    /// Whether schleuse.toml was changed.
    changed: bool,
    /// Whether it was revoked like that before.
    already: bool,
    images: Vec<Image>,
    journals: Vec<Journal>,
}

impl Revoked {
    pub(super) fn new(
        key: &Fingerprint,
        revocation: Revocation,
        consequences: Consequences,
        changed: bool,
        already: bool,
    ) -> Self {
        let images = consequences.images.into_iter().map(|one| Image {
            digest: one.release.digest.to_string(),
            version: one.release.version,
            needed_by: one.places,
            trusted: one.why.is_none(),
            why: one.why,
        });
        let journals = consequences.journals.into_iter().map(|one| Journal {
            environment: one.environment,
            head: one.head,
            trusted: one.why.is_none(),
            why: one.why,
        });
        Self {
            key: key.to_string(),
            revocation,
            changed,
            already,
            images: images.collect(),
            journals: journals.collect(),
        }
    }
}

impl Report for Revoked {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        let word = |trusted: bool| if trusted { paint.good("stays trusted") } else { paint.bad("LOSES TRUST") };
        page.fact(7, "key", &self.key);
        let became = match self.revocation {
            Revocation::Superseded { since } => format!("superseded on {since}"),
            Revocation::Compromised => "compromised".to_owned(),
        };
        let done = match (self.changed, self.already) {
            (true, _) => "",
            (false, true) => " (already)",
            (false, false) => " (not written)",
        };
        page.fact(7, "revoked", format_args!("{became}{done}"));
        for image in &self.images {
            let digest = image.digest.split_once(':').map_or("", |(_, hex)| hex.get(..12).unwrap_or(hex));
            let version = image.version.as_deref().unwrap_or_default();
            let line = format!("{digest}  {version}  {}  {}", word(image.trusted), image.needed_by.join(", "));
            page.fact(7, "image", line);
        }
        for journal in &self.journals {
            let line = format!("{}  #{}  {}", journal.environment, journal.head, word(journal.trusted));
            page.fact(7, "journal", line);
            if let Some(why) = &journal.why {
                page.fact(7, "", why);
            }
        }
    }
}
