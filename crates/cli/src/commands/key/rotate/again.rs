//! Signing one image and its evidence again.

use std::collections::BTreeSet;

use bytes::Bytes;
use schleuse_client::Client;
use schleuse_model::predicate::{COSIGN_SIGN_V1, is_own};
use schleuse_model::{PinnedRef, Timestamp};
use schleuse_oci::{Manifest, Pull as _, media_type};
use schleuse_sign::attach::Written;
use schleuse_sign::fetch::{attestation_candidates, signature_candidates};
use schleuse_sign::{
    Candidate, Error, KeyPair, Limits, Role, SignOptions, Signer as _, Statement, Store, Trust, TrustedKey, Verified,
    attach_statement, attestations_of, find_signature, sign_image,
};

use super::report::{Done, SignatureDone};
use crate::failure::Failure;
use crate::ladder::Ladder;

/// Signs with the new key what the old ones have signed.
pub(super) struct Again<'a> {
    client: &'a Client,
    /// The old keys as they were when they were trusted: whether their signature is good is one question, what it counts another.
    old: Trust,
    own: Trust,
    signer: &'a KeyPair,
    plan: bool,
    now: Timestamp,
}

impl<'a> Again<'a> {
    pub(super) fn new(
        ladder: &'a Ladder<'_>,
        old: &[TrustedKey],
        signer: &'a KeyPair,
        plan: bool,
        now: Timestamp,
    ) -> Result<Self, Failure> {
        let bare = |key: &TrustedKey| TrustedKey::new(key.key().clone(), [Role::Build]);
        let own = TrustedKey::new(signer.public_key().clone(), [Role::Build]);
        let (old, own) = (Trust::new(old.iter().map(bare))?, Trust::new([own])?);
        Ok(Self { client: &ladder.client, old, own, signer, plan, now })
    }

    pub(super) async fn image(&self, image: &PinnedRef) -> Result<Done, Failure> {
        let Some(manifest) = self.client.manifest(image).await? else {
            return Ok(Done::left("it is gone from the registry"));
        };
        let signature = match (self.find(image, &self.old).await?, self.find(image, &self.own).await?) {
            (Ok(by_old), own) => self.sign(image, &by_old, own.is_ok()).await?,
            (Err(_), Ok(_)) => SignatureDone::Already,
            (Err(why), Err(_)) => return Ok(Done::left(why)),
        };
        let mut evidence = self.evidence(image, &manifest).await?;
        if media_type::is_index(manifest.media_type()) {
            // Scans and inventories of an index are of its images.
            let malformed = |source| schleuse_oci::Error::Malformed { what: image.to_string(), source };
            for child in manifest.as_index().map_err(malformed)?.manifests {
                let child = image.repository().pin(child.digest);
                if let Some(manifest) = self.client.manifest(&child).await? {
                    evidence += self.evidence(&child, &manifest).await?;
                }
            }
        }
        Ok(Done { signature, evidence, why: None })
    }

    /// The signature by one of these keys, or why there is none. No answer is an error.
    async fn find(&self, image: &PinnedRef, trust: &Trust) -> Result<Result<Verified, String>, Failure> {
        let source = self.store().source();
        match find_signature(source, image, trust, Role::Build, Limits::SIGNATURES, self.now).await {
            Ok(verified) => Ok(Ok(verified)),
            Err(Error::Untrusted(refused)) => Ok(Err(refused.to_string())),
            Err(error) => Err(error.into()),
        }
    }

    /// Signs in both formats, with what the old signer wrote beside the digest.
    async fn sign(&self, image: &PinnedRef, by_old: &Verified, signed: bool) -> Result<SignatureDone, Failure> {
        if self.plan {
            return Ok(if signed { SignatureDone::Already } else { SignatureDone::Would });
        }
        let options = SignOptions { annotations: by_old.annotations().clone(), ..SignOptions::default() };
        let done = sign_image(self.store(), image, self.signer, &options, self.now).await?;
        let new = [done.bundle, done.legacy].contains(&Written::New);
        Ok(if new { SignatureDone::New } else { SignatureDone::Already })
    }

    /// Attests with the new key, word for word, what the old ones have attested and it has not. Answers how many statements.
    async fn evidence(&self, image: &PinnedRef, manifest: &Manifest) -> Result<usize, Failure> {
        let source = self.store().source();
        let mut candidates = signature_candidates(source, image, Limits::ATTESTATIONS).await?;
        // Older tools keep theirs under a tag.
        candidates.extend(attestation_candidates(source, image, "", Limits::ATTESTATIONS).await?);
        let mut known: BTreeSet<Bytes> = BTreeSet::new();
        known.extend(self.said(image, &candidates, &self.own).into_iter().map(|said| said.payload().clone()));
        let mut count = 0;
        for statement in self.said(image, &candidates, &self.old) {
            if !known.insert(statement.payload().clone()) {
                continue;
            }
            count += 1;
            if !self.plan {
                let subject = manifest.descriptor();
                attach_statement(self.store(), image, &subject, &statement, self.signer, self.now).await?;
            }
        }
        Ok(count)
    }

    fn said(&self, image: &PinnedRef, candidates: &[Candidate], by: &Trust) -> Vec<Statement> {
        // Not signatures, which are signed anew with their own rules; and not types of our own: a stolen key could have attested a
        // journal entry, for this key to sign.
        let evidence = |kind: &str| kind != COSIGN_SIGN_V1 && !is_own(kind);
        let found = attestations_of(image.digest(), candidates, by, Role::Build, "evidence", evidence);
        found.accepted.iter().map(|verified| verified.statement().clone()).collect()
    }

    const fn store(&self) -> Store<'_> {
        Store { pull: self.client, push: self.client, referrers: self.client }
    }
}
