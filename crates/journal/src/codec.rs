//! An entry as bytes: a signed in-toto statement, in a DSSE envelope, embedded in the one layer of an OCI manifest, so that one
//! GET reads it (DESIGN §7). The manifest has no `subject`: some registries reap referrers whose subject is gone.

use std::collections::BTreeMap;

use schleuse_model::json;
use schleuse_model::predicate::JOURNAL_ENTRY_V1;
use schleuse_oci::{Descriptor, ImageManifest, Manifest, media_type};
use schleuse_sign::{Role, Signer, Statement, Trust, TrustedKey};

use crate::entry::{Entry, SCHEMA};
use crate::error::Fault;

/// The largest envelope that is read. An entry has a few KiB; a receipt and a signature bundle add as much again.
pub(crate) const ENVELOPE_LIMIT: usize = 1 << 20;

/// A signed entry, ready to push: the manifest, and the envelope as the blob that its layer names.
#[derive(Clone, Debug)]
pub(crate) struct Sealed {
    pub(crate) manifest: Manifest,
    pub(crate) layer: Descriptor,
    pub(crate) envelope: Vec<u8>,
}

/// Signs `entry`.
pub(crate) fn seal(entry: &Entry, signer: &dyn Signer) -> Result<Sealed, schleuse_sign::Error> {
    let statement =
        Statement::new(JOURNAL_ENTRY_V1, entry.image.to_string(), &entry.release.digest, json::to_bytes(entry))?;
    let envelope = schleuse_sign::sign_statement(signer, &statement)?;
    let layer = Descriptor::of(media_type::DSSE_ENVELOPE, &envelope);
    let mut manifest = ImageManifest::new(Descriptor::empty(), vec![layer.clone().with_data(&envelope)]);
    manifest.artifact_type = Some(media_type::JOURNAL_ENTRY.to_owned());
    manifest.annotations = BTreeMap::from([
        ("dev.schleuse.journal.environment".to_owned(), entry.environment.to_string()),
        ("dev.schleuse.journal.event".to_owned(), entry.event.name().to_owned()),
        ("dev.schleuse.journal.sequence".to_owned(), entry.sequence.to_string()),
        ("org.opencontainers.image.created".to_owned(), entry.at.to_string()),
    ]);
    Ok(Sealed { manifest: manifest.to_manifest(), layer, envelope })
}

/// An entry, and whose it is.
pub(crate) struct Opened {
    pub(crate) entry: Entry,
    pub(crate) signer: TrustedKey,
    pub(crate) role: Role,
}

/// Reads an entry and checks its signature. Says nothing about its place in the chain, nor whether a revoked key counts there.
pub(crate) fn open(manifest: &Manifest, trust: &Trust) -> Result<Opened, Fault> {
    let image = manifest.as_image()?;
    if image.artifact_type.as_deref() != Some(media_type::JOURNAL_ENTRY) {
        return Err(Fault::Malformed("its manifest is not a journal entry's".to_owned()));
    }
    let [layer] = image.layers.as_slice() else {
        return Err(Fault::Malformed("its manifest has not exactly one layer".to_owned()));
    };
    let envelope = layer
        .embedded()
        .filter(|_| layer.media_type == media_type::DSSE_ENVELOPE)
        .ok_or_else(|| Fault::Malformed("its envelope is not embedded, or not what its digest says".to_owned()))?;
    let roles = [Role::Build, Role::BreakGlass];
    let attributed = schleuse_sign::attribute_envelope(&envelope, trust, &roles, ENVELOPE_LIMIT)
        .map_err(|error| Fault::Signature(error.to_string()))?;
    let statement = attributed.statement();
    if statement.predicate_type() != JOURNAL_ENTRY_V1 {
        return Err(Fault::Malformed("its statement is not about a journal entry".to_owned()));
    }
    let entry: Entry = json::from_untrusted(statement.predicate_bytes(), ENVELOPE_LIMIT)?;
    if entry.schema != SCHEMA {
        return Err(name("schema", &entry.schema, SCHEMA));
    }
    // One subject: a statement about several could have been signed for the sake of another one.
    if statement.subjects().len() != 1 || !statement.is_about(&entry.release.digest) {
        return Err(Fault::Malformed("its statement is about another image than its release".to_owned()));
    }
    Ok(Opened { entry, signer: attributed.signer().clone(), role: attributed.role() })
}

/// A field that says something else than it must.
pub(crate) fn name(
    field: &'static str,
    found: &(impl ToString + ?Sized),
    expected: &(impl ToString + ?Sized),
) -> Fault {
    let found = found.to_string().chars().take(300).collect();
    Fault::Name { field, found, expected: expected.to_string() }
}
