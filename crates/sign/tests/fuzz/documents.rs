//! One valid document of each kind, and every reader that such a document can reach.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rand_core::OsRng;
use schleuse_model::{Digest, PinnedRef, Timestamp};
use schleuse_sign::candidate::Origin;
use schleuse_sign::{
    Candidate, KeyPair, Role, Signer as _, Statement, Trust, TrustedKey, Verified, VerifyError, bundle, sign_statement,
    simple, verify,
};

pub(crate) const NOW: Timestamp = Timestamp::UNIX_EPOCH;

/// An image, another one, and the key of somebody trusted.
pub(crate) struct World {
    pub(crate) image: PinnedRef,
    pub(crate) other: PinnedRef,
    pub(crate) build: KeyPair,
    pub(crate) trust: Trust,
    /// Trusts somebody else alone, who has signed nothing.
    pub(crate) misled: Trust,
}

/// The same for every test: nothing in it changes.
pub(crate) fn world() -> &'static World {
    static WORLD: OnceLock<World> = OnceLock::new();
    WORLD.get_or_init(make)
}

fn make() -> World {
    let key = || KeyPair::generate(&mut OsRng).unwrap();
    let image = |text: &[u8]| format!("ghcr.io/acme/billing@{}", Digest::sha256(text)).parse().unwrap();
    let trust = |pair: &KeyPair| Trust::new([TrustedKey::new(pair.public_key().clone(), [Role::Build])]).unwrap();
    let (build, stranger) = (key(), key());
    let (trust, misled) = (trust(&build), trust(&stranger));
    World { image: image(b"the image"), other: image(b"another"), build, trust, misled }
}

impl World {
    pub(crate) fn statement(&self) -> Statement {
        let annotations = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        Statement::signature(self.image.digest(), &annotations).unwrap()
    }

    pub(crate) fn bundle(&self) -> Vec<u8> {
        bundle::sign(&self.build, &self.statement()).unwrap()
    }

    pub(crate) fn envelope(&self) -> Vec<u8> {
        sign_statement(&self.build, &self.statement()).unwrap()
    }

    pub(crate) fn payload(&self) -> Vec<u8> {
        let annotations = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
        simple::payload(self.image.repository(), self.image.digest(), None, &annotations)
    }

    pub(crate) fn signature(&self, payload: &[u8], by: &KeyPair) -> String {
        STANDARD.encode(by.sign(payload).unwrap())
    }

    /// The legacy signature as a journal entry carries it.
    pub(crate) fn evidence(&self) -> Vec<u8> {
        let payload = self.payload();
        let signature = self.signature(&payload, &self.build);
        Candidate::simple(Origin::Carried, payload, signature).evidence().unwrap().to_vec()
    }

    pub(crate) fn check(
        &self,
        image: &PinnedRef,
        candidate: &Candidate,
        trust: &Trust,
    ) -> Result<Verified, VerifyError> {
        verify(image, std::slice::from_ref(candidate), trust, Role::Build, NOW)
    }

    /// However the candidate was made: it signs no other image, and is not by somebody who has signed nothing.
    pub(crate) fn is_nobody_else_s(&self, candidate: &Candidate) {
        assert!(self.check(&self.other, candidate, &self.trust).is_err(), "signs another image: {candidate:?}");
        assert!(self.check(&self.image, candidate, &self.misled).is_err(), "by another key: {candidate:?}");
    }
}
