//! The primitives that an assembly may swap, as one value.
//!
//! # FIPS 140
//!
//! With the feature `fips`, `AWS_LC` is the FIPS build of AWS-LC (`aws-lc-fips-sys`), and so is everything else in the build
//! that uses `aws-lc-rs`, TLS with `dps-transport`'s feature of the same name included. [`Crypto::fips`] asks the library
//! itself, which has run its self-tests by then. Building takes cmake, Go and a C compiler.
//!
//! It covers signatures of certificates and tokens of providers, keys that are wrapped for TPMs, sealing of values at rest
//! with nonces drawn within the module, random bytes, and TLS. It does **not** cover what comes from the crates `sha2`,
//! `hmac`, `sha1` and `aes`: signatures of symmetric keys and keys derived for devices, hashes of certificates and ids, and what
//! is in a TPM's challenge besides RSA and ECDH. Whether the version that is linked has a certificate is for whoever needs
//! one to find out, and to pin: versions of `aws-lc-rs` from 1.17 on will do.

use std::fmt::Debug;

use rustls_pki_types::SignatureVerificationAlgorithm;

#[cfg(feature = "aws-lc")]
mod aws_lc;
#[cfg(feature = "ring")]
mod ring;

#[cfg(feature = "aws-lc")]
pub use self::aws_lc::AWS_LC;
#[cfg(feature = "ring")]
pub use self::ring::RING;

/// A primitive failed, which with a sound provider it never does.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("a cryptographic primitive failed")]
pub struct CryptoError;

/// Signature algorithms, encryption for a TPM's keys, sealing and randomness, as static references:
/// cheap to copy, swappable as a whole.
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
    /// With what values at rest are sealed; `None`: they cannot be.
    pub aead: Option<&'static dyn Aead>,
    /// Where random bytes come from.
    pub random: &'static dyn SecureRandom,
}

impl Crypto {
    /// Puts together a provider of one's own, which neither encrypts for TPMs nor seals.
    #[must_use]
    pub const fn new(
        signatures: &'static [&'static dyn SignatureVerificationAlgorithm],
        random: &'static dyn SecureRandom,
    ) -> Self {
        Self {
            signatures,
            parents: None,
            aead: None,
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

    /// The same, and seals with `aead`.
    #[must_use]
    pub const fn with_aead(self, aead: &'static dyn Aead) -> Self {
        Self {
            aead: Some(aead),
            ..self
        }
    }

    /// Whether all of it says that it runs in a module that keeps to FIPS 140.
    ///
    /// Of `AWS_LC` it is true in a build with the feature `fips`. It says nothing of what is not in here:
    /// see [`Crypto`] itself.
    #[must_use]
    pub fn fips(&self) -> bool {
        self.signatures.iter().all(|algorithm| algorithm.fips())
            && self.parents.is_none_or(ParentKeys::fips)
            && self.aead.is_none_or(Aead::fips)
            && self.random.fips()
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

    /// Whether it runs in a module that keeps to FIPS 140.
    fn fips(&self) -> bool {
        false
    }
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

    /// Whether it runs in a module that keeps to FIPS 140.
    fn fips(&self) -> bool {
        false
    }
}

/// AES-256-GCM, for values at rest.
pub trait Aead: Debug + Send + Sync {
    /// Makes a key ready, which costs as much as sealing a short value.
    ///
    /// # Errors
    /// [`CryptoError`] if the provider fails.
    fn key(&self, bytes: &[u8; 32]) -> Result<Box<dyn AeadKey>, CryptoError>;

    /// Whether it runs in a module that keeps to FIPS 140.
    fn fips(&self) -> bool {
        false
    }
}

/// A key that seals and opens. `Debug` shows nothing of it.
///
/// It draws nonces itself, so that nobody can use one twice, and so that they come from within the module
/// where that matters.
pub trait AeadKey: Debug + Send + Sync {
    /// Seals `data` where it lies, under a nonce that it draws.
    ///
    /// * `additional`: what must be the same when it is opened; may be empty.
    ///
    /// # Errors
    /// [`CryptoError`] if the provider fails; `data` is then not to be used.
    fn seal(&self, additional: &[u8], data: &mut [u8]) -> Result<SealedWith, CryptoError>;

    /// Opens `data`, a ciphertext with its tag behind it, where it lies. What was sealed stands in front then, and
    /// the last [`TAG_BYTES`] bytes mean nothing.
    ///
    /// # Errors
    /// [`CryptoError`] if it is not what was sealed with this key, nonce and additional data; `data` is then not to
    /// be used.
    fn open(
        &self,
        nonce: [u8; NONCE_BYTES],
        additional: &[u8],
        data: &mut [u8],
    ) -> Result<(), CryptoError>;
}

/// Bytes of a nonce.
pub const NONCE_BYTES: usize = 12;

/// Bytes of a tag.
pub const TAG_BYTES: usize = 16;

/// What has to be kept beside a ciphertext.
#[derive(Clone, Copy, Debug)]
pub struct SealedWith {
    /// Drawn for this one use.
    pub nonce: [u8; NONCE_BYTES],
    /// Shows that nothing was changed.
    pub tag: [u8; TAG_BYTES],
}

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
#[cfg(any(feature = "aws-lc", feature = "ring"))]
use signatures;

#[cfg(all(test, any(feature = "aws-lc", feature = "ring")))]
mod tests;
