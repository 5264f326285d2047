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

#[cfg(all(test, feature = "aws-lc"))]
mod tests {
    use rustls_pki_types::CertificateDer;

    use super::*;
    use crate::crypto::AWS_LC;

    fn read(der: &'static [u8]) -> Certificate {
        Certificate::parse(&CertificateDer::from(der)).unwrap()
    }

    /// Made with `openssl req -x509` and `openssl x509 -req`, the latter of X.509 version 1, as without an
    /// extension file.
    #[test]
    fn a_proof_of_the_first_version_under_an_rsa_key_is_taken() {
        let ca = read(include_bytes!("samples/rsa-ca.der"));
        let proof = read(include_bytes!("samples/rsa-proof.der"));
        let pss = read(include_bytes!("samples/rsa-pss-proof.der"));
        assert_eq!(
            (proof.info().version, proof.common_name()),
            (1, Some("CODE"))
        );
        for proof in [&proof, &pss, &ca] {
            assert!(proof.is_signed_by(&ca, &AWS_LC));
            assert!(!proof.is_signed_by(&pss, &AWS_LC));
        }
        // With one bit of the signature turned.
        let mut der = proof.der().to_vec();
        *der.last_mut().unwrap() ^= 1;
        let forged = Certificate::parse(&CertificateDer::from(der)).unwrap();
        assert!(!forged.is_signed_by(&ca, &AWS_LC));
    }
}
