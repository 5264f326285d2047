//! What the service needs of TPM 2.0: the public keys that devices send, and wrapping a key so that
//! one TPM alone can use it. In software; the service has no TPM and needs no TPM library.
//!
//! A device presents two keys of its TPM: the *endorsement key*, by which the TPM is known, and the
//! *storage root key*, under which it keeps others. Both are restricted decryption keys: the TPM
//! opens with them nothing but its own structures. [`wrap`] makes a blob out of an HMAC key such that
//! only a TPM that holds both can take the HMAC key in, and once in it never leaves. What the device
//! then signs with it proves that it holds the endorsement key.
//!
//! ```
//! use dps_core::crypto::Crypto;
//! use dps_core::id::SecretBytes;
//! use dps_core::tpm::{PublicKey, PublicKeyError, wrap};
//!
//! # fn challenge(crypto: &Crypto, ek: &[u8], srk: &[u8]) -> Result<Vec<u8>, Box<dyn std::error::Error>> {
//! let endorsement_key = PublicKey::parse(ek)?;
//! let storage_root_key = PublicKey::parse(srk)?;
//! let nonce = SecretBytes::from(crypto.random::<32>()?);
//! let resource = "0ne00000001/registrations/press-1";
//! let blob = wrap(crypto, &endorsement_key, &storage_root_key, &nonce, resource)?;
//! # Ok(blob)
//! # }
//! // Refused before any cryptography, with a reason.
//! assert_eq!(PublicKey::parse(&[0, 2, 0, 8]), Err(PublicKeyError::Type { found: 8 }));
//! ```
//!
//! # Source
//! *Trusted Platform Module Library*, Part 1 (architecture: names, KDFa and KDFe, protected storage,
//! credential protection, and the annexes on RSA and ECC) and Part 2 (structures). The blob is the one
//! that the SDKs' devices take apart: `insert_key_in_tpm` in `hsm_client_tpm.c` of azure-iot-sdk-c.

mod kdf;
mod keys;
mod public;
#[cfg(test)]
pub(crate) mod samples;
mod wrap;

pub use self::keys::TpmKeys;
pub use self::public::{MAX_PUBLIC_KEY_BYTES, PublicKey, PublicKeyError};
pub use self::wrap::{KEY_BYTES, MAX_KEY_BYTES, MAX_RESOURCE_BYTES, wrap};
