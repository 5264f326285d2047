//! Whether somebody holds the key of a certificate: by another certificate, signed with it for the purpose.

use rustls_pki_types::SubjectPublicKeyInfoDer;
use webpki::RawPublicKeyEntity;
use x509_parser::prelude::{FromDer, X509Certificate};

use super::Certificate;
use crate::crypto::Crypto;

/// Why a certificate does not prove that somebody holds the key of a CA.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProofError {
    /// No code is out: none was made, it was used, or the CA certificate was written anew since.
    #[error(
        "no verification code is out for this certificate: it was used, or the certificate was \
         written anew since"
    )]
    NoCode,
    /// The code is past its time.
    #[error("the verification code has expired")]
    Expired,
    /// The proof names an older code, that of another certificate, or something else.
    #[error("the common name of the proof is not the latest verification code of this certificate")]
    OtherCode,
    /// Another key has signed it, or in a way that is not taken.
    #[error("the proof is not signed with the key of this certificate")]
    OtherKey,
    /// The proof is not valid yet, or no more.
    #[error("the proof is not within its time of validity")]
    OutsideValidity,
}

impl Certificate {
    /// Whether the key of `issuer` has signed it. Names, purposes and constraints are not looked at.
    pub(crate) fn is_signed_by(&self, issuer: &Self, crypto: &Crypto) -> bool {
        let read = X509Certificate::from_der;
        let (Ok((_, own)), Ok((_, issuer))) = (read(self.der()), read(issuer.der())) else {
            return false;
        };
        let key = SubjectPublicKeyInfoDer::from(issuer.tbs_certificate.subject_pki.raw);
        let Ok(key) = RawPublicKeyEntity::try_from(&key) else {
            return false;
        };
        let (message, signature) = (own.tbs_certificate.as_ref(), &own.signature_value.data);
        // The way of signing is not looked up: a signature is right in one way at most.
        let mut ways = crypto.signatures.iter();
        ways.any(|way| key.verify_signature(*way, message, signature).is_ok())
    }
}
