//! The primitives that an assembly may swap, as one value.

use std::fmt::Debug;

use rustls_pki_types::SignatureVerificationAlgorithm;

/// A primitive failed, which with a sound provider it never does.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a cryptographic primitive failed")]
pub struct CryptoError;

/// Signature algorithms, encryption for a TPM's keys and randomness, as static references: cheap to
/// copy, swappable as a whole.
///
/// SHA-256, HMAC and a TPM's AES-CFB are not in it; they come from the crates `sha2`, `hmac` and
/// `aes`.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Crypto {
    /// With which signatures of certificates are checked, in no particular order.
    pub signatures: &'static [&'static dyn SignatureVerificationAlgorithm],
    /// How secrets are encrypted for a TPM; `None`: devices with a TPM cannot be challenged. It is
    /// `None` under `RING`, because ring does not encrypt with RSA.
    pub parents: Option<&'static dyn ParentKeys>,
    /// Where random bytes come from.
    pub random: &'static dyn SecureRandom,
}

impl Crypto {
    /// Puts together a provider of one's own, which does not encrypt for TPMs.
    #[must_use]
    pub const fn new(
        signatures: &'static [&'static dyn SignatureVerificationAlgorithm],
        random: &'static dyn SecureRandom,
    ) -> Self {
        Self {
            signatures,
            parents: None,
            random,
        }
    }

    /// The same, and encrypts for TPMs with `parents`.
    #[must_use]
    pub const fn with_parents(self, parents: &'static dyn ParentKeys) -> Self {
        Self {
            parents: Some(parents),
            ..self
        }
    }

    /// The provider this crate was built with: AWS-LC, else ring; `None` if it has neither.
    #[must_use]
    pub const fn built_in() -> Option<Self> {
        #[cfg(feature = "aws-lc")]
        let built_in = Some(AWS_LC);
        #[cfg(all(feature = "ring", not(feature = "aws-lc")))]
        let built_in = Some(RING);
        #[cfg(not(any(feature = "aws-lc", feature = "ring")))]
        let built_in = None;
        built_in
    }

    /// `N` random bytes.
    ///
    /// # Errors
    /// [`CryptoError`] if the source of randomness fails.
    pub fn random<const N: usize>(&self) -> Result<[u8; N], CryptoError> {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes)?;
        Ok(bytes)
    }
}

/// A source of random bytes fit for keys.
pub trait SecureRandom: Debug + Send + Sync {
    /// Fills `out`.
    ///
    /// # Errors
    /// [`CryptoError`] if the source fails; `out` is then not to be used.
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError>;
}

/// Encrypts for the keys under which a TPM takes secrets in: its endorsement key and its storage root
/// key. Needs no private key.
pub trait ParentKeys: Debug + Send + Sync {
    /// Encrypts with RSA-OAEP, SHA-256 for the hash and for MGF1.
    ///
    /// * `modulus`: big-endian, without leading zeros.
    /// * `label`: with its terminating NUL, if it has one.
    /// * `data`: what is encrypted, at most 190 bytes for a modulus of 256.
    ///
    /// Returns as many bytes as the modulus has.
    ///
    /// # Errors
    /// [`CryptoError`] if modulus or exponent are no RSA key of 2048 bits or more, if `data` is too
    /// long, or if the provider fails.
    fn oaep(
        &self,
        modulus: &[u8],
        exponent: u32,
        label: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, CryptoError>;

    /// Agrees on a secret with `peer`, by a P-256 key that is made for this one use.
    ///
    /// * `peer`: an uncompressed point, as `04 || x || y`.
    ///
    /// Returns the public point of the new key, in the same form, and the x coordinate of the shared
    /// point.
    ///
    /// # Errors
    /// [`CryptoError`] if `peer` is not on the curve, or if the provider fails.
    fn ecdh_p256(&self, peer: &[u8; 65]) -> Result<([u8; 65], [u8; 32]), CryptoError>;
}

/// AWS-LC, the default.
#[cfg(feature = "aws-lc")]
pub static AWS_LC: Crypto =
    Crypto::new(AWS_LC_SIGNATURES, &AwsLcRandom).with_parents(&AwsLcParents);

/// ring, for builds that want no C compiler beyond what ring needs. It cannot challenge a TPM.
#[cfg(feature = "ring")]
pub static RING: Crypto = Crypto::new(RING_SIGNATURES, &RingRandom);

/// What both providers verify: ECDSA over P-256 and P-384, Ed25519, and RSA from 2048 bits.
#[cfg(any(feature = "aws-lc", feature = "ring"))]
macro_rules! signatures {
    ($provider:ident) => {
        &[
            webpki::$provider::ECDSA_P256_SHA256,
            webpki::$provider::ECDSA_P256_SHA384,
            webpki::$provider::ECDSA_P384_SHA256,
            webpki::$provider::ECDSA_P384_SHA384,
            webpki::$provider::ED25519,
            webpki::$provider::RSA_PKCS1_2048_8192_SHA256,
            webpki::$provider::RSA_PKCS1_2048_8192_SHA384,
            webpki::$provider::RSA_PKCS1_2048_8192_SHA512,
            webpki::$provider::RSA_PSS_2048_8192_SHA256_LEGACY_KEY,
            webpki::$provider::RSA_PSS_2048_8192_SHA384_LEGACY_KEY,
            webpki::$provider::RSA_PSS_2048_8192_SHA512_LEGACY_KEY,
        ]
    };
}

#[cfg(feature = "aws-lc")]
static AWS_LC_SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = signatures!(aws_lc_rs);

#[cfg(feature = "ring")]
static RING_SIGNATURES: &[&dyn SignatureVerificationAlgorithm] = signatures!(ring);

#[cfg(feature = "aws-lc")]
#[derive(Debug)]
struct AwsLcRandom;

#[cfg(feature = "aws-lc")]
impl SecureRandom for AwsLcRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        aws_lc_rs::rand::fill(out).map_err(|_| CryptoError)
    }
}

#[cfg(feature = "aws-lc")]
#[derive(Debug)]
struct AwsLcParents;

#[cfg(feature = "aws-lc")]
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
}

#[cfg(feature = "ring")]
#[derive(Debug)]
struct RingRandom;

#[cfg(feature = "ring")]
impl SecureRandom for RingRandom {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        use ring::rand::SecureRandom as _;
        ring::rand::SystemRandom::new()
            .fill(out)
            .map_err(|_| CryptoError)
    }
}

#[cfg(all(test, feature = "aws-lc"))]
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
