//! Whether a caller is who it says.

mod sas;
mod symmetric;
pub(crate) mod tpm;
pub(crate) mod x509;

use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use rustls_pki_types::CertificateDer;

pub use self::sas::{MAX_TOKEN_BYTES, SasError, SasToken};
pub use self::symmetric::derive_device_key;
use crate::certificate::Certificate;
use crate::crypto::Crypto;
use crate::enrollment::{Attestation, X509Attestation};
use crate::hub::DeviceAuth;
use crate::id::{IdScope, RegistrationId, SecretBytes};
use crate::store::BoxError;
use crate::time::Timestamp;
use crate::tpm::{PublicKey, TpmKeys};

/// What a caller shows, as received. Nothing of it is believed yet.
#[derive(Clone)]
#[non_exhaustive]
pub enum Evidence {
    /// A certificate chain, leaf first. The handshake has proved that the caller holds the leaf's
    /// key, and nothing else.
    X509 {
        /// 1 to [`MAX_CHAIN`] certificates.
        chain: Arc<[CertificateDer<'static>]>,
    },
    /// A shared access signature.
    Sas {
        /// The text, with its `SharedAccessSignature` prefix; at most [`MAX_TOKEN_BYTES`] are looked at.
        token: String,
    },
    /// The keys of a TPM.
    Tpm {
        /// Which.
        keys: TpmKeys,
        /// A shared access signature, made with the key of the challenge; `None` asks for one. The same
        /// bound as for any token.
        token: Option<String>,
    },
}

impl Debug for Evidence {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::X509 { chain } => write!(f, "X509({} certificates)", chain.len()),
            Self::Sas { .. } => f.write_str("Sas(..)"),
            Self::Tpm { token: None, .. } => f.write_str("Tpm(unsigned)"),
            Self::Tpm { .. } => f.write_str("Tpm(signed)"),
        }
    }
}

/// The longest chain that is looked at. Our choice.
pub const MAX_CHAIN: usize = 8;

/// One question to a verifier.
#[derive(Debug)]
#[non_exhaustive]
pub struct AttestRequest<'a> {
    /// The tenant.
    pub scope: &'a IdScope,
    /// Who the caller says it is.
    pub registration: &'a RegistrationId,
    /// What it shows.
    pub evidence: &'a Evidence,
    /// The chain of `evidence`, parsed; empty for other evidence.
    pub chain: &'a [Certificate],
    /// What the enrollment asks for, with names of certificates resolved.
    pub attestation: &'a Attestation,
    /// Whether the enrollment is a group.
    pub group: bool,
    /// The verified certificates of the instance: where a group's chain may end.
    pub anchors: &'a [Certificate],
    /// Changes with every change of the instance, its groups or certificates; what is remembered
    /// of earlier questions must not outlive it.
    pub epoch: u64,
    /// The instance's secret that challenges are made from.
    pub nonce_key: Option<&'a SecretBytes>,
    /// Storage root keys that this device showed lately with its endorsement key, for a token that comes
    /// without keys.
    pub remembered: &'a [PublicKey],
    /// With which primitives.
    pub crypto: &'a Crypto,
    /// The moment to judge by.
    pub now: Timestamp,
}

impl<'a> AttestRequest<'a> {
    /// A question about an individual enrollment, without a chain. The fields are public: set what
    /// differs.
    #[must_use]
    pub const fn new(
        scope: &'a IdScope,
        registration: &'a RegistrationId,
        evidence: &'a Evidence,
        attestation: &'a Attestation,
        crypto: &'a Crypto,
        now: Timestamp,
    ) -> Self {
        Self {
            scope,
            registration,
            evidence,
            chain: &[],
            attestation,
            group: false,
            anchors: &[],
            epoch: 0,
            nonce_key: None,
            remembered: &[],
            crypto,
            now,
        }
    }
}

/// How far clocks may be apart: a device's, an operator's, an OpenID provider's. Our choice; the service names
/// no number.
pub const SKEW: Duration = Duration::from_secs(5 * 60);

impl AttestRequest<'_> {
    /// A token of this device, by its own words.
    fn token<'t>(&self, text: &'t str) -> Result<SasToken<'t>, AttestError> {
        let token = SasToken::parse(text).map_err(|e| AttestError::Malformed(Box::new(e)))?;
        if !token.names(self.scope, self.registration) {
            return Err(AttestError::mismatch("the token is for another resource"));
        }
        Ok(token)
    }

    /// Whether a token that is genuine is still good.
    fn check_expiry(&self, token: &SasToken<'_>) -> Result<(), AttestError> {
        if token.expires().plus(SKEW) < self.now {
            return Err(AttestError::expired("the token"));
        }
        Ok(())
    }
}

/// How the device will sign in to its hub.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SignIn {
    /// As it did here.
    Known(DeviceAuth),
    /// With a key that is made anew for each operation, and wrapped for these keys of its TPM.
    Fresh(TpmKeys),
}

/// Proof that a verifier ran. Only [`Attested::assertion`] makes one, so its origins can be searched
/// for.
#[derive(Clone, Debug)]
pub struct Attested {
    sign_in: SignIn,
}

impl Attested {
    /// Claims that the caller has proven itself. For verifiers only.
    #[must_use]
    pub const fn assertion(sign_in: SignIn) -> Self {
        Self { sign_in }
    }

    /// How the device will sign in to its hub.
    #[must_use]
    pub const fn sign_in(&self) -> &SignIn {
        &self.sign_in
    }
}

/// A verifier's answer.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// The caller is who it says.
    Attested(Attested),
    /// The caller has to answer this first.
    Challenge {
        /// What is sent to the caller.
        authentication_key: Vec<u8>,
    },
}

/// Why a caller is not believed. The caller is not told; operators are.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttestError {
    /// The evidence belongs to somebody else.
    #[error("the evidence does not match the enrollment: {because}")]
    Mismatch {
        /// What differs, without secrets.
        because: &'static str,
    },
    /// The evidence was good once, or will be.
    #[error("the evidence is outside its validity period: {because}")]
    Expired {
        /// What is outside its time.
        because: &'static str,
    },
    /// The evidence cannot be read.
    #[error("the evidence cannot be read")]
    Malformed(#[source] BoxError),
}

impl AttestError {
    pub(crate) const fn mismatch(because: &'static str) -> Self {
        Self::Mismatch { because }
    }
    pub(crate) const fn expired(because: &'static str) -> Self {
        Self::Expired { because }
    }
}

/// Judges evidence against an enrollment.
///
/// A trait, although the wire knows only so many mechanisms, because vendors add to them:
/// revocation lists, hardware that holds a group's keys, a stricter profile of certificates.
pub trait AttestationVerifier: Debug + Send + Sync + 'static {
    /// Judges one caller. Must not wait. Called for each candidate: once for a certificate or an
    /// individual enrollment, for every symmetric group of the tenant for a token without one.
    ///
    /// # Errors
    /// [`AttestError`] says why the caller is not believed.
    fn verify(&self, request: &AttestRequest<'_>) -> Result<Verdict, AttestError>;
}

/// The mechanisms of the service: X.509, symmetric keys, and TPM 2.0.
///
/// Remembers which issuers of certificates it has verified, 4096 paths at the most, until the
/// configuration of their tenant changes: the next device of an issuer costs one signature. One value
/// serves all tenants; verifiers of one's own wrap it.
#[derive(Debug, Default)]
pub struct Mechanisms {
    issuers: x509::KnownIssuers,
}

impl AttestationVerifier for Mechanisms {
    fn verify(&self, request: &AttestRequest<'_>) -> Result<Verdict, AttestError> {
        let sign_in = match (request.attestation, request.evidence) {
            (Attestation::SymmetricKey { primary, secondary }, Evidence::Sas { token }) => {
                symmetric::verify(request, token, primary, secondary).map(SignIn::Known)
            }
            (Attestation::X509(X509Attestation::Leaf(slots)), Evidence::X509 { .. }) => {
                x509::verify_leaf(request, slots).map(SignIn::Known)
            }
            (Attestation::X509(X509Attestation::Signing(slots)), Evidence::X509 { .. }) => {
                x509::verify_group(request, slots, &self.issuers).map(SignIn::Known)
            }
            (
                Attestation::Tpm {
                    endorsement_key, ..
                },
                evidence,
            ) => tpm::verify(request, endorsement_key, evidence).map(SignIn::Fresh),
            (Attestation::X509(X509Attestation::CaReferences(_)), _) => Err(AttestError::mismatch(
                "the certificates it names are not there",
            )),
            _ => Err(AttestError::mismatch(
                "the enrollment asks for another kind of evidence",
            )),
        }?;
        Ok(Verdict::Attested(Attested::assertion(sign_in)))
    }
}

/// For tests that check no signature of a certificate.
#[cfg(test)]
pub(crate) fn no_crypto() -> Crypto {
    #[derive(Debug)]
    struct NotRandom;
    impl crate::crypto::SecureRandom for NotRandom {
        fn fill(&self, _: &mut [u8]) -> Result<(), crate::crypto::CryptoError> {
            Err(crate::crypto::CryptoError)
        }
    }
    Crypto::new(&[], &NotRandom)
}
