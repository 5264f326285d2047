//! The primitives that an assembly may swap, as one value.

use std::fmt::Debug;

use rustls_pki_types::SignatureVerificationAlgorithm;

/// A primitive failed, which with a sound provider it never does.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a cryptographic primitive failed")]
pub struct CryptoError;

/// Signature algorithms and randomness, as static references: cheap to copy, swappable as a whole.
///
/// SHA-256 and HMAC are not in it; they come from the `sha2` and `hmac` crates.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Crypto {
    /// With which signatures of certificates are checked, in no particular order.
    pub signatures: &'static [&'static dyn SignatureVerificationAlgorithm],
    /// Where random bytes come from.
    pub random: &'static dyn SecureRandom,
}

impl Crypto {
    /// Puts together a provider of one's own.
    #[must_use]
    pub const fn new(
        signatures: &'static [&'static dyn SignatureVerificationAlgorithm],
        random: &'static dyn SecureRandom,
    ) -> Self {
        Self { signatures, random }
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

/// AWS-LC, the default.
#[cfg(feature = "aws-lc")]
pub static AWS_LC: Crypto = Crypto::new(AWS_LC_SIGNATURES, &AwsLcRandom);

/// ring, for builds that want no C compiler beyond what ring needs.
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
