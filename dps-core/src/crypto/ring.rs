//! The primitives of ring.

use std::fmt;

use ring::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use ring::rand::{SecureRandom as _, SystemRandom};
use rustls_pki_types::SignatureVerificationAlgorithm;

use super::{
    Aead, AeadKey, Crypto, CryptoError, NONCE_BYTES, SealedWith, SecureRandom, signatures,
};

/// ring, for builds that want no C compiler beyond what ring needs. It cannot challenge a TPM.
pub static RING: Crypto = Crypto::new(SIGNATURES, &RingRandom).with_aead(&RingAead);

static SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = signatures!(ring);

#[derive(Debug)]
struct RingRandom;

impl SecureRandom for RingRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        SystemRandom::new().fill(out).map_err(|_| CryptoError)
    }
}

#[derive(Debug)]
struct RingAead;

impl Aead for RingAead {
    fn key(&self, bytes: &[u8; 32]) -> Result<Box<dyn AeadKey>, CryptoError> {
        let key = UnboundKey::new(&AES_256_GCM, bytes).map_err(|_| CryptoError)?;
        Ok(Box::new(RingKey(LessSafeKey::new(key))))
    }
}

/// ring does not wipe it.
struct RingKey(LessSafeKey);

impl fmt::Debug for RingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RingKey")
    }
}

impl AeadKey for RingKey {
    fn seal(&self, additional: &[u8], data: &mut [u8]) -> Result<SealedWith, CryptoError> {
        let mut nonce = [0; NONCE_BYTES];
        RingRandom.fill(&mut nonce)?;
        let additional = Aad::from(additional);
        let drawn = Nonce::assume_unique_for_key(nonce);
        let tag = self.0.seal_in_place_separate_tag(drawn, additional, data);
        let tag = tag.map_err(|_| CryptoError)?;
        Ok(SealedWith {
            nonce,
            tag: tag.as_ref().try_into().map_err(|_| CryptoError)?,
        })
    }

    fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<(), CryptoError> {
        let nonce = Nonce::assume_unique_for_key(nonce);
        let opened = self.0.open_in_place(nonce, Aad::from(additional), data);
        opened.map(drop).map_err(|_| CryptoError)
    }
}
