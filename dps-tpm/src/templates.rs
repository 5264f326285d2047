//! What the two keys of a TPM are like.

use tss_esapi::Error;
use tss_esapi::abstraction::ek::create_ek_public_from_default_template_2;
use tss_esapi::abstraction::{AsymmetricAlgorithmSelection, DefaultKey};
use tss_esapi::attributes::ObjectAttributes;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, PublicAlgorithm};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::RsaKeyBits;
use tss_esapi::structures::{
    EccPoint, Public, PublicBuilder, PublicEccParametersBuilder, PublicKeyRsa,
    PublicRsaParametersBuilder, RsaExponent, SymmetricDefinitionObject,
};

/// What a key of the TPM is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Algorithm {
    /// RSA with 2048 bits, which every TPM 2.0 has and every device SDK uses.
    #[default]
    Rsa2048,
    /// ECC on the curve P-256: much faster to make. Only this project's service takes it.
    EccP256,
}

/// What to make of a TPM that has no keys yet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Keys {
    /// The endorsement key, which is who the TPM is.
    pub endorsement: Algorithm,
    /// The storage root key, which changes when the TPM is cleared.
    pub storage: Algorithm,
}

impl Algorithm {
    fn selection(self) -> AsymmetricAlgorithmSelection {
        match self {
            Self::Rsa2048 => AsymmetricAlgorithmSelection::Rsa(RsaKeyBits::Rsa2048),
            Self::EccP256 => AsymmetricAlgorithmSelection::Ecc(EccCurve::NistP256),
        }
    }

    /// Templates L-1 and L-2: TCG EK Credential Profile for TPM Family 2.0, Level 0, B.3.3 and B.3.4. The
    /// manufacturer's certificate, where there is one, is for the key of this template.
    pub(crate) fn endorsement(self) -> Result<Public, Error> {
        create_ek_public_from_default_template_2(self.selection(), None::<DefaultKey>)
    }

    /// The storage root key of TCG TPM v2.0 Provisioning Guidance, 7.5.1, as device SDKs make it:
    /// azure-iot-sdk-c, `provisioning_client/adapters/hsm_client_tpm.c`.
    pub(crate) fn storage(self) -> Result<Public, Error> {
        let attributes = ObjectAttributes::builder()
            .with_fixed_tpm(true)
            .with_fixed_parent(true)
            .with_sensitive_data_origin(true)
            .with_user_with_auth(true)
            .with_no_da(true)
            .with_restricted(true)
            .with_decrypt(true)
            .build()?;
        let builder = PublicBuilder::new()
            .with_name_hashing_algorithm(HashingAlgorithm::Sha256)
            .with_object_attributes(attributes);
        let symmetric = SymmetricDefinitionObject::AES_128_CFB;
        match self {
            Self::Rsa2048 => builder
                .with_public_algorithm(PublicAlgorithm::Rsa)
                .with_rsa_parameters(
                    PublicRsaParametersBuilder::new_restricted_decryption_key(
                        symmetric,
                        RsaKeyBits::Rsa2048,
                        RsaExponent::default(),
                    )
                    .build()?,
                )
                .with_rsa_unique_identifier(PublicKeyRsa::default())
                .build(),
            Self::EccP256 => builder
                .with_public_algorithm(PublicAlgorithm::Ecc)
                .with_ecc_parameters(
                    PublicEccParametersBuilder::new_restricted_decryption_key(
                        symmetric,
                        EccCurve::NistP256,
                    )
                    .build()?,
                )
                .with_ecc_unique_identifier(EccPoint::default())
                .build(),
        }
    }
}
