//! Signing one image, what it lists, and the evidence of both again.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use schleuse_client::Client;
use schleuse_model::predicate::{self, COSIGN_SIGN_V1, is_own};
use schleuse_model::{PinnedRef, Timestamp};
use schleuse_sign::attach::Written;
use schleuse_sign::fetch::all_candidates;
use schleuse_sign::verify::ATTESTATION_LIMIT;
use schleuse_sign::{
    AttestOptions, Candidate, Error, KeyPair, Limits, Role, SignOptions, Signer as _, Statement, Store, Trust,
    TrustedKey, Verified, attest, attestations_of, sign_image, verify,
};

use super::report::{Done, SignatureDone};
use crate::failure::Failure;
use crate::ladder::Ladder;
use crate::subjects::{self, Subject};

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

/// What a signature says beside the digest: its annotations, and the name it is made under where it has one.
type Words = (BTreeMap<String, String>, Option<String>);

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

    /// The same, only looking.
    pub(super) fn planned(&self) -> Self {
        Self { client: self.client, old: self.old.clone(), own: self.own.clone(), plan: true, ..*self }
    }

    pub(super) async fn image(&self, image: &PinnedRef) -> Result<Done, Failure> {
        if self.store().pull.manifest(image).await?.is_none() {
            return Ok(Done::left("it is gone from the registry"));
        }
        let mut whole: Option<Done> = None;
        // Of an index, also what it lists: a signature or a scan may be of one image in it.
        for Subject { image: one, .. } in subjects::all(self.client, image).await? {
            // Read once: signatures and evidence lie in the same list.
            let candidates = all_candidates(self.store().source(), &one, Limits::ATTESTATIONS).await?;
            let signature = match self.signatures(&one, &candidates).await? {
                Ok(done) => done,
                // Images of an index need not be signed themselves.
                Err(_) if whole.is_some() => SignatureDone::Already,
                Err(why) => return Ok(Done::left(why)),
            };
            let evidence = self.evidence(&one, &candidates).await?;
            match &mut whole {
                None => whole = Some(Done { signature, evidence, why: None }),
                Some(whole) => {
                    whole.evidence += evidence;
                    if signature != SignatureDone::Already {
                        whole.signature = signature;
                    }
                }
            }
        }
        Ok(whole.unwrap_or_else(|| Done::left("it is gone from the registry")))
    }

    /// Signs with everything that the old signers wrote beside the digest. The inner error: no old key's signature, and none of ours.
    async fn signatures(
        &self,
        image: &PinnedRef,
        candidates: &[Candidate],
    ) -> Result<Result<SignatureDone, String>, Failure> {
        let old = words(image, candidates, &self.old, self.now);
        let own = words(image, candidates, &self.own, self.now);
        if old.is_empty() {
            let refused = || match verify(image, candidates, &self.old, Role::Build, self.now) {
                Ok(_) => String::new(),
                Err(refused) => refused.to_string(),
            };
            return Ok(if own.is_empty() { Err(refused()) } else { Ok(SignatureDone::Already) });
        }
        let mut done = SignatureDone::Already;
        for (annotations, identity) in old {
            if self.plan {
                if !own.iter().any(|(ours, name)| *ours == annotations && (identity.is_none() || *name == identity)) {
                    done = SignatureDone::Would;
                }
                continue;
            }
            // The repository's own name is what is written anyway.
            let identity = identity.filter(|name| *name != image.repository().to_string());
            let options = SignOptions { annotations, identity, ..SignOptions::default() };
            let signed = sign_image(self.store(), image, self.signer, &options, self.now).await?;
            if [signed.bundle, signed.legacy].contains(&Written::New) {
                done = SignatureDone::New;
            }
        }
        Ok(Ok(done))
    }

    /// Attests with the new key what the old ones have attested and it has not. Answers how many statements.
    async fn evidence(&self, image: &PinnedRef, candidates: &[Candidate]) -> Result<usize, Failure> {
        let mut known: BTreeSet<(String, Bytes)> = self.said(image, candidates, &self.own).into_iter().collect();
        let mut count = 0;
        for (kind, body) in self.said(image, candidates, &self.old) {
            if !known.insert((kind.clone(), body.clone())) {
                continue;
            }
            count += 1;
            if !self.plan {
                // A statement of our own making, about this image alone: theirs may have further subjects, for whose sake it was made.
                let name = image.repository().to_string();
                let statement = Statement::new(&kind, name, image.digest(), &body).map_err(Error::from)?;
                attest(self.store(), image, &statement, self.signer, AttestOptions::default(), self.now).await?;
            }
        }
        Ok(count)
    }

    /// What these keys say about the image: type and predicate.
    fn said(&self, image: &PinnedRef, candidates: &[Candidate], by: &Trust) -> Vec<(String, Bytes)> {
        // Not signatures, which are signed anew with their own rules; and not types of our own: a stolen key could have attested a
        // journal entry, for this key to sign.
        let evidence = |kind: &str| kind != COSIGN_SIGN_V1 && !is_own(kind);
        let found = attestations_of(image.digest(), candidates, by, Role::Build, "evidence", evidence);
        let statements = found.accepted.iter().map(|verified| verified.statement());
        let sound = statements.filter(|statement| {
            predicate::check(statement.predicate_type(), statement.predicate_bytes(), ATTESTATION_LIMIT).is_ok()
        });
        sound
            .map(|statement| {
                (statement.predicate_type().to_owned(), Bytes::copy_from_slice(statement.predicate_bytes()))
            })
            .collect()
    }

    const fn store(&self) -> Store<'_> {
        Store { pull: self.client, push: self.client, referrers: self.client }
    }
}

/// What the signatures of these keys say beside the digest, each once. A bundle's words without a name are left out where a legacy
/// signature has the same words with one: signing with the name writes both.
fn words(image: &PinnedRef, candidates: &[Candidate], by: &Trust, now: Timestamp) -> BTreeSet<Words> {
    let one = |candidate| verify(image, std::slice::from_ref(candidate), by, Role::Build, now).ok();
    let said = |verified: Verified| (verified.annotations().clone(), verified.identity().map(str::to_owned));
    let mut words: BTreeSet<Words> = candidates.iter().filter_map(one).map(said).collect();
    let named: BTreeSet<_> =
        words.iter().filter(|(_, name)| name.is_some()).map(|(annotations, _)| annotations.clone()).collect();
    words.retain(|(annotations, name)| name.is_some() || !named.contains(annotations));
    words
}
