//! What a rotation did. The structs are the JSON.

use schleuse_model::EnvironmentName;
use schleuse_sign::{Fingerprint, TrustedKey};
use serde::Serialize;

use super::super::staying::Staying;
use crate::output::{Page, Report};

/// What became of an image's signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum SignatureDone {
    /// Signed now.
    New,
    /// The new key had signed it.
    Already,
    /// It would be signed.
    Would,
    /// No old key's good signature: it is left as it is.
    Left,
}

/// What became of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum JournalDone {
    /// Adopted now.
    Rekeyed,
    /// Its newest entry is the new key's.
    Already,
    /// It would be adopted.
    Would,
    /// There is none yet.
    Empty,
}

/// What became of one image.
pub(super) struct Done {
    pub(super) signature: SignatureDone,
    pub(super) evidence: usize,
    pub(super) why: Option<String>,
}

impl Done {
    pub(super) fn left(why: impl Into<String>) -> Self {
        Self { signature: SignatureDone::Left, evidence: 0, why: Some(why.into()) }
    }
}

/// One image.
#[derive(Serialize)]
pub(super) struct ResignedImage {
    digest: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    needed_by: Vec<String>,
    pub(super) signature: SignatureDone,
    /// How many statements were attested again.
    evidence: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    why: Option<String>,
}

impl ResignedImage {
    pub(super) fn new(one: Staying, done: Done) -> Self {
        let Staying { release, places } = one;
        Self {
            digest: release.digest.to_string(),
            version: release.version,
            needed_by: places,
            signature: done.signature,
            evidence: done.evidence,
            why: done.why,
        }
    }

    fn short(&self) -> &str {
        self.digest.split_once(':').map_or("", |(_, hex)| hex.get(..12).unwrap_or(hex))
    }
}

/// One journal.
#[derive(Serialize)]
pub(super) struct AdoptedJournal {
    pub(super) environment: EnvironmentName,
    pub(super) entry: JournalDone,
    /// The entry that pins it; 0: none.
    pub(super) sequence: u64,
}

/// The whole answer.
#[derive(Serialize)]
pub(super) struct Rotated {
    key: String,
    from: Vec<String>,
    plan: bool,
    pub(super) images: Vec<ResignedImage>,
    pub(super) journals: Vec<AdoptedJournal>,
}

impl Rotated {
    pub(super) fn new(key: Fingerprint, from: &[TrustedKey], plan: bool) -> Self {
        let from = from.iter().map(|key| key.fingerprint().to_string()).collect();
        Self { key: key.to_string(), from, plan, images: Vec::new(), journals: Vec::new() }
    }
}

impl Report for Rotated {
    fn human(&self, page: &mut Page) {
        let paint = page.paint();
        page.fact(7, "key", &self.key);
        for from in &self.from {
            page.fact(7, "from", from);
        }
        for image in &self.images {
            let word = match image.signature {
                SignatureDone::New => paint.good("signed"),
                SignatureDone::Already => "already signed".to_owned(),
                SignatureDone::Would => "would be signed".to_owned(),
                SignatureDone::Left => paint.bad("LEFT"),
            };
            let (version, places) = (image.version.as_deref().unwrap_or_default(), image.needed_by.join(", "));
            let evidence = match image.evidence {
                0 => String::new(),
                count => format!(", evidence: {count}"),
            };
            page.fact(7, "image", format_args!("{}  {version}  {word}{evidence}  {places}", image.short()));
            if let Some(why) = &image.why {
                page.fact(7, "", why);
            }
        }
        for journal in &self.journals {
            let (name, sequence) = (&journal.environment, journal.sequence);
            let text = match journal.entry {
                JournalDone::Rekeyed => format!("{name}  {} in entry #{sequence}", paint.good("adopted")),
                JournalDone::Already => format!("{name}  already: #{sequence} is this key's"),
                JournalDone::Would => format!("{name}  would be adopted in entry #{sequence}"),
                JournalDone::Empty => format!("{name}  empty"),
            };
            page.fact(7, "journal", text);
        }
    }
}
