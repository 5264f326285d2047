//! How tokens may be signed.

use dps_core::crypto::Crypto;
use rustls_pki_types::{AlgorithmIdentifier, SignatureVerificationAlgorithm, alg_id};

use crate::der;

/// One way to sign that is taken. There is none without a key and none with a secret: whoever knows a public
/// key could make such a signature.
///
/// # Source
/// RFC 7518 section 3.1 and RFC 8037; which are taken is ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Algorithm {
    name: &'static str,
    /// What the key has to be.
    pub(crate) family: Family,
    signature: AlgorithmIdentifier,
}

/// What kind of key it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Family {
    Rsa,
    P256,
    P384,
    Ed25519,
}

const fn row(name: &'static str, family: Family, signature: AlgorithmIdentifier) -> Algorithm {
    Algorithm {
        name,
        family,
        signature,
    }
}

const ALL: [Algorithm; 9] = [
    row("RS256", Family::Rsa, alg_id::RSA_PKCS1_SHA256),
    row("RS384", Family::Rsa, alg_id::RSA_PKCS1_SHA384),
    row("RS512", Family::Rsa, alg_id::RSA_PKCS1_SHA512),
    row("PS256", Family::Rsa, alg_id::RSA_PSS_SHA256),
    row("PS384", Family::Rsa, alg_id::RSA_PSS_SHA384),
    row("PS512", Family::Rsa, alg_id::RSA_PSS_SHA512),
    row("ES256", Family::P256, alg_id::ECDSA_SHA256),
    row("ES384", Family::P384, alg_id::ECDSA_SHA384),
    row("EdDSA", Family::Ed25519, alg_id::ED25519),
];

impl Algorithm {
    /// The algorithm of this name, to the letter.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        ALL.into_iter().find(|known| known.name == name)
    }

    /// Whether `signature` over `text` was made with the private half of `key`.
    ///
    /// * `key`: of the family that it takes, as [`Family::identifier`] has it in a certificate.
    pub(crate) fn verifies(
        self,
        crypto: &Crypto,
        key: &[u8],
        text: &str,
        signature: &[u8],
    ) -> bool {
        let Some(primitive) = self.primitive(crypto) else {
            return false;
        };
        let converted;
        let signature = match self.family.coordinate_bytes() {
            // Tokens have the two numbers one after the other; certificates have them in DER.
            Some(bytes) => match signature.split_at_checked(bytes) {
                Some((r, s)) if s.len() == bytes => {
                    converted = der::sequence(&[r, s]);
                    &converted
                }
                _ => return false,
            },
            None => signature,
        };
        let text = text.as_bytes();
        primitive.verify_signature(key, text, signature).is_ok()
    }

    fn primitive(self, crypto: &Crypto) -> Option<&'static dyn SignatureVerificationAlgorithm> {
        let mut known = crypto.signatures.iter().copied();
        known.find(|primitive| {
            primitive.signature_alg_id() == self.signature
                && primitive.public_key_alg_id() == self.family.identifier()
        })
    }
}

impl Family {
    const fn identifier(self) -> AlgorithmIdentifier {
        match self {
            Self::Rsa => alg_id::RSA_ENCRYPTION,
            Self::P256 => alg_id::ECDSA_P256,
            Self::P384 => alg_id::ECDSA_P384,
            Self::Ed25519 => alg_id::ED25519,
        }
    }

    /// Bytes of a number on the curve, for ECDSA.
    pub(crate) const fn coordinate_bytes(self) -> Option<usize> {
        match self {
            Self::P256 => Some(32),
            Self::P384 => Some(48),
            Self::Rsa | Self::Ed25519 => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_needs_no_key_or_a_secret_is_no_algorithm() {
        for name in [
            "none", "None", "NONE", "", "HS256", "HS384", "HS512", "rs256", "ES256K", "ES512",
            "RSA1_5", "A128KW",
        ] {
            assert_eq!(Algorithm::parse(name), None, "{name}");
        }
        for known in ALL {
            assert_eq!(Algorithm::parse(known.name), Some(known));
        }
    }

    #[test]
    fn the_usual_provider_has_every_algorithm() {
        let crypto = Crypto::built_in().unwrap();
        for known in ALL {
            assert!(known.primitive(&crypto).is_some(), "{}", known.name);
        }
    }

    #[test]
    fn a_signature_of_another_length_is_none() {
        let crypto = Crypto::built_in().unwrap();
        let es256 = Algorithm::parse("ES256").unwrap();
        for length in [0, 31, 32, 63, 65, 96] {
            assert!(!es256.verifies(&crypto, &[4; 65], "text", &vec![1; length]));
        }
    }
}
