//! What a provider signs with.

use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{
    KeyPair, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PKCS_RSA_SHA256, SignatureAlgorithm,
};
use serde_json::{Value, json};

/// What stands before the 32 bytes of an Ed25519 key in PKCS #8.
const ED25519: [u8; 16] = [
    0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20,
];
/// Bytes before an RSA key of 2048 bits in PKCS #8.
const RSA: usize = 26;

#[derive(Clone)]
pub struct Signer {
    pub kid: Option<&'static str>,
    pub algorithm: Algorithm,
    key: EncodingKey,
}

impl Signer {
    pub fn new(algorithm: Algorithm, kid: &'static str) -> Self {
        use Algorithm::*;
        let made = |kind: &'static SignatureAlgorithm| {
            KeyPair::generate_for(kind).unwrap().serialize_der()
        };
        let key = match algorithm {
            ES256 => EncodingKey::from_ec_der(&made(&PKCS_ECDSA_P256_SHA256)),
            ES384 => EncodingKey::from_ec_der(&made(&PKCS_ECDSA_P384_SHA384)),
            EdDSA => EncodingKey::from_ed_der(&[&ED25519[..], &[7; 32]].concat()),
            _ => EncodingKey::from_rsa_der(&made(&PKCS_RSA_SHA256)[RSA..]),
        };
        Self {
            kid: Some(kid),
            algorithm,
            key,
        }
    }

    /// The same key, for another algorithm.
    pub fn with(&self, algorithm: Algorithm) -> Self {
        Self {
            algorithm,
            ..self.clone()
        }
    }

    /// The public half, as it is published: by its name, for signatures, for every algorithm that it fits.
    pub fn jwk(&self) -> Value {
        let jwk = Jwk::from_encoding_key(&self.key, self.algorithm).unwrap();
        let mut jwk = serde_json::to_value(jwk).unwrap();
        jwk.as_object_mut().unwrap().remove("alg");
        jwk["use"] = "sig".into();
        if let Some(kid) = self.kid {
            jwk["kid"] = kid.into();
        }
        jwk
    }

    /// An `Authorization` with these claims.
    pub fn sign(&self, claims: &Value) -> String {
        let mut header = Header::new(self.algorithm);
        header.kid = self.kid.map(str::to_owned);
        let token = encode(&header, claims, &self.key).unwrap();
        format!("Bearer {token}")
    }
}

/// A set of what these publish.
pub fn published(signers: &[&Signer]) -> Value {
    let keys: Vec<_> = signers.iter().map(|signer| signer.jwk()).collect();
    json!({"keys": keys})
}
