//! The primitives of AWS-LC.

use std::fmt;

use aws_lc_rs::aead::{AES_256_GCM, Aad, Nonce, RandomizedNonceKey};
use rustls_pki_types::SignatureVerificationAlgorithm;

use super::{
    Aead, AeadKey, Crypto, CryptoError, NONCE_BYTES, ParentKeys, SealedWith, SecureRandom,
    signatures,
};

/// AWS-LC, the default.
pub static AWS_LC: Crypto = Crypto::new(SIGNATURES, &AwsLcRandom)
    .with_parents(&AwsLcParents)
    .with_aead(&AwsLcAead);

static SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = signatures!(aws_lc_rs);

/// Whether the AWS-LC that is linked is the one of the feature `fips`, which has tested itself by then.
fn fips() -> bool {
    aws_lc_rs::try_fips_mode().is_ok()
}

#[derive(Debug)]
struct AwsLcRandom;

impl SecureRandom for AwsLcRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        aws_lc_rs::rand::fill(out).map_err(|_| CryptoError)
    }

    fn fips(&self) -> bool {
        fips()
    }
}

#[derive(Debug)]
struct AwsLcParents;

impl ParentKeys for AwsLcParents {
    fn oaep(
        &self,
        modulus: &[u8],
        exponent: u32,
        label: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        use aws_lc_rs::rsa::{
            OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey,
            PublicKeyComponents,
        };
        let exponent = exponent.to_be_bytes();
        let zeros = exponent.iter().take_while(|byte| **byte == 0).count();
        let key = PublicKeyComponents {
            n: modulus,
            e: exponent.get(zeros..).unwrap_or_default(),
        };
        let key: PublicEncryptingKey = key.try_into().map_err(|_| CryptoError)?;
        let key = OaepPublicEncryptingKey::new(key).map_err(|_| CryptoError)?;
        let mut out = vec![0; key.ciphertext_size()];
        let written = key
            .encrypt(&OAEP_SHA256_MGF1SHA256, data, &mut out, Some(label))
            .map_err(|_| CryptoError)?
            .len();
        out.truncate(written);
        Ok(out)
    }

    fn ecdh_p256(&self, peer: &[u8; 65]) -> Result<([u8; 65], [u8; 32]), CryptoError> {
        use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
        let ours = PrivateKey::generate(&ECDH_P256).map_err(|_| CryptoError)?;
        let point = ours.compute_public_key().map_err(|_| CryptoError)?;
        let point = point.as_ref().try_into().map_err(|_| CryptoError)?;
        let peer = UnparsedPublicKey::new(&ECDH_P256, peer.as_slice());
        let shared = agree(&ours, peer, CryptoError, |shared| {
            shared.try_into().map_err(|_| CryptoError)
        })?;
        Ok((point, shared))
    }

    fn fips(&self) -> bool {
        fips()
    }
}

#[derive(Debug)]
struct AwsLcAead;

impl Aead for AwsLcAead {
    fn key(&self, bytes: &[u8; 32]) -> Result<Box<dyn AeadKey>, CryptoError> {
        let key = RandomizedNonceKey::new(&AES_256_GCM, bytes).map_err(|_| CryptoError)?;
        Ok(Box::new(AwsLcKey(key)))
    }

    fn fips(&self) -> bool {
        fips()
    }
}

/// AWS-LC wipes it when it is dropped.
struct AwsLcKey(RandomizedNonceKey);

impl fmt::Debug for AwsLcKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AwsLcKey")
    }
}

impl AeadKey for AwsLcKey {
    fn seal(&self, additional: &[u8], data: &mut [u8]) -> Result<SealedWith, CryptoError> {
        let additional = Aad::from(additional);
        let sealed = self.0.seal_in_place_separate_tag(additional, data);
        let (nonce, tag) = sealed.map_err(|_| CryptoError)?;
        Ok(SealedWith {
            nonce: *nonce.as_ref(),
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

#[cfg(test)]
mod tests {
    use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
    use aws_lc_rs::encoding::AsDer;
    use aws_lc_rs::rsa::{
        KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
    };
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_encrypted_for_an_rsa_key_opens_with_its_private_half_and_label() {
        let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).unwrap();
        let public = private.public_key().as_der().unwrap();
        // A SubjectPublicKeyInfo ends with the modulus and the exponent as 02 03 01 00 01.
        let modulus = &public.as_ref()[public.as_ref().len() - 5 - 256..][..256];
        let sealed = AwsLcParents
            .oaep(modulus, 65537, b"LABEL\0", &[7; 32])
            .unwrap();
        assert_eq!(sealed.len(), 256);
        let private = OaepPrivateDecryptingKey::new(private).unwrap();
        let open = |label: &[u8]| {
            let mut out = [0; 256];
            let opened = private.decrypt(&OAEP_SHA256_MGF1SHA256, &sealed, &mut out, Some(label));
            opened.map(|bytes| bytes.to_vec())
        };
        assert_eq!(open(b"LABEL\0").unwrap(), [7; 32]);
        assert!(open(b"LABEL").is_err());
    }

    #[test]
    fn both_ends_of_an_agreement_share_a_point() {
        let theirs = PrivateKey::generate(&ECDH_P256).unwrap();
        let peer = theirs.compute_public_key().unwrap();
        let peer = peer.as_ref().try_into().unwrap();
        let (point, shared) = AwsLcParents.ecdh_p256(peer).unwrap();
        let ours = UnparsedPublicKey::new(&ECDH_P256, point.as_slice());
        let found = agree(&theirs, ours, (), |shared| Ok(shared.to_vec())).unwrap();
        assert_eq!(found, shared);
        assert_ne!(AwsLcParents.ecdh_p256(peer).unwrap().0, point);
    }

    #[test]
    fn what_is_no_key_is_refused() {
        assert!(AwsLcParents.ecdh_p256(&[4; 65]).is_err());
        for (modulus, exponent) in [(&[0xff; 256][..], 0), (&[0xff; 128], 65537), (&[], 3)] {
            assert!(AwsLcParents.oaep(modulus, exponent, b"", &[7; 32]).is_err());
        }
        let long = [7; 191];
        assert!(AwsLcParents.oaep(&[0xff; 256], 65537, b"", &long).is_err());
    }

    proptest! {
        #[test]
        fn any_odd_number_of_2048_bits_encrypts(mut modulus in proptest::collection::vec(any::<u8>(), 256)) {
            modulus[0] |= 0x80;
            modulus[255] |= 1;
            prop_assert!(AwsLcParents.oaep(&modulus, 65537, b"LABEL\0", &[7; 32]).is_ok());
        }
    }
}
