//! Wrapping a key so that one TPM alone can use it.
//!
//! The blob is six structures in a row: a credential for the storage root key that the endorsement
//! key's TPM opens (1, 2), whose content is the inner key under which the HMAC key is wrapped, once
//! more under the storage root key, for `TPM2_Import` (3, 4); the public area of the HMAC key (5); and
//! a text encrypted with the inner key (6), which devices unmarshal and do not read.

use aes::Aes128;
use aes::cipher::KeyIvInit;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::kdf::{kdfa, kdfe};
use super::public::{self, EXPONENT, Kind, PublicKey};
use crate::crypto::{Crypto, CryptoError, ParentKeys};
use crate::id::SecretBytes;

/// Bytes of the keys that the service makes for devices with a TPM. Our choice, and the SDK samples'.
pub const KEY_BYTES: usize = 32;

/// The longest key that [`wrap`] takes, in bytes: the block of SHA-256, beyond which HMAC would hash
/// it.
pub const MAX_KEY_BYTES: usize = 64;

/// The longest text that [`wrap`] takes, in bytes: `{scope}/registrations/{id}` with the longest names.
///
/// A blob with a key of [`KEY_BYTES`] then has at most 961 bytes. Two SASL frames of 512 bytes, the
/// least that AMQP grants and what the SDKs take, carry 972.
pub const MAX_RESOURCE_BYTES: usize = 20 + "/registrations/".len() + 128;

/// Labels of the seeds (Part 1, annexes on RSA and ECC). All labels carry their terminating NUL.
const IDENTITY: &[u8] = b"IDENTITY\0";
const DUPLICATE: &[u8] = b"DUPLICATE\0";
/// Labels of the keys made from a seed (Part 1, 22 and 24).
const STORAGE: &[u8] = b"STORAGE\0";
const INTEGRITY: &[u8] = b"INTEGRITY\0";

/// The digest of `PolicyCommandCode(TPM2_Duplicate)`: what the identity keys of the SDKs' sample
/// server have (`DrsServer.java` of microsoft/TSS.MSR).
const POLICY: [u8; 32] = [
    0xbe, 0xf5, 0x6b, 0x8c, 0x1c, 0xc8, 0x4e, 0x11, 0xed, 0xd7, 0x17, 0x52, 0x8d, 0x2c, 0xd9, 0x93,
    0x56, 0xbd, 0x2b, 0xbf, 0x8f, 0x01, 0x52, 0x09, 0xc3, 0xf8, 0x4a, 0xee, 0xab, 0xa8, 0xe8, 0xa2,
];

/// What precedes the policy in the public area of an identity key: KEYEDHASH, SHA-256, the attributes
/// sign, userWithAuth and noDA.
const PUBLIC_HEAD: [u8; 10] = [0x00, 0x08, 0x00, 0x0b, 0x00, 0x04, 0x04, 0x40, 0x00, 0x20];
/// What follows it: HMAC with SHA-256.
const PUBLIC_SCHEME: [u8; 6] = [0x00, 0x05, 0x00, 0x0b, 0x00, 0x20];

/// Wraps an HMAC key for the TPM that holds both `endorsement_key` and `storage_root_key`.
///
/// * `key`: 1 to [`MAX_KEY_BYTES`] bytes; [`KEY_BYTES`] unless there is a reason.
/// * `resource`: what the key is for, as `{scope}/registrations/{id}`; up to [`MAX_RESOURCE_BYTES`]. It
///   goes along encrypted, and no device reads it.
///
/// Returns what devices know as `authenticationKey`: 798 bytes and the length of `resource` for RSA
/// keys and a key of [`KEY_BYTES`]. Every call makes another blob.
///
/// # Errors
/// [`CryptoError`] if `crypto` does not encrypt for TPMs ([`Crypto::parents`]), if `key` or `resource`
/// have another length, if a point
/// is not on its curve, or if a primitive fails.
pub fn wrap(
    crypto: &Crypto,
    endorsement_key: &PublicKey,
    storage_root_key: &PublicKey,
    key: &SecretBytes,
    resource: &str,
) -> Result<Vec<u8>, CryptoError> {
    let parents = crypto.parents.ok_or(CryptoError)?;
    let key = key.expose();
    if key.is_empty() || key.len() > MAX_KEY_BYTES || resource.len() > MAX_RESOURCE_BYTES {
        return Err(CryptoError);
    }
    let drawn = Drawn::new(crypto)?;
    let [ek, srk] = [endorsement_key, storage_root_key];
    wrap_with(parents, &drawn, ek, srk, key, resource)
}

/// What is random in a blob, but for what the asymmetric encryption adds.
#[derive(Default)]
struct Drawn {
    /// The content of the credential.
    inner_key: Zeroizing<[u8; 16]>,
    /// For the endorsement key and for the storage root key, if they are RSA.
    credential_seed: Zeroizing<[u8; 32]>,
    duplicate_seed: Zeroizing<[u8; 32]>,
    /// Hides the key in the hash of it that the public area shows.
    obfuscation: Zeroizing<[u8; 32]>,
}

impl Drawn {
    fn new(crypto: &Crypto) -> Result<Self, CryptoError> {
        let mut bytes = Zeroizing::new([0; 112]);
        crypto.random.fill(bytes.as_mut())?;
        let mut drawn = Self::default();
        drawn.inner_key.copy_from_slice(&bytes[..16]);
        drawn.credential_seed.copy_from_slice(&bytes[16..48]);
        drawn.duplicate_seed.copy_from_slice(&bytes[48..80]);
        drawn.obfuscation.copy_from_slice(&bytes[80..]);
        Ok(drawn)
    }
}

fn wrap_with(
    parents: &dyn ParentKeys,
    drawn: &Drawn,
    endorsement_key: &PublicKey,
    storage_root_key: &PublicKey,
    key: &[u8],
    resource: &str,
) -> Result<Vec<u8>, CryptoError> {
    let credential = Seed::seal(parents, IDENTITY, endorsement_key, &drawn.credential_seed)?;
    let duplicate = Seed::seal(parents, DUPLICATE, storage_root_key, &drawn.duplicate_seed)?;
    let public = public_area(&drawn.obfuscation, key);
    let name = public::name(&public);

    // Secrets are written in plain text and encrypted in place: the vector must not move on its way.
    let encrypted = credential.encrypted.len() + duplicate.encrypted.len();
    let mut out = Vec::with_capacity(254 + encrypted + key.len() + resource.len());
    protect(&mut out, &credential.seed, storage_root_key.name(), |out| {
        push_sized(out, drawn.inner_key.as_slice());
    });
    push_sized(&mut out, &credential.encrypted);
    protect(&mut out, &duplicate.seed, &name, |out| {
        push_inner(out, drawn, key, &name);
    });
    push_sized(&mut out, &duplicate.encrypted);
    push_sized(&mut out, &public);
    push_sized(&mut out, resource.as_bytes());
    let text = out.len() - resource.len();
    encrypt(&drawn.inner_key, &mut out[text..]);
    Ok(out)
}

/// A seed that the holder of a key shares with us.
struct Seed {
    seed: Zeroizing<[u8; 32]>,
    /// The content of the `TPM2B_ENCRYPTED_SECRET` that carries it.
    encrypted: Vec<u8>,
}

impl Seed {
    /// Encrypts `drawn` for an RSA key, or agrees on another with an ECC key.
    fn seal(
        parents: &dyn ParentKeys,
        label: &[u8],
        key: &PublicKey,
        drawn: &Zeroizing<[u8; 32]>,
    ) -> Result<Self, CryptoError> {
        match key.kind() {
            Kind::Rsa => {
                let modulus = key.modulus();
                let encrypted = parents.oaep(modulus, EXPONENT, label, drawn.as_slice())?;
                if encrypted.len() != modulus.len() {
                    return Err(CryptoError);
                }
                let seed = drawn.clone();
                Ok(Self { seed, encrypted })
            }
            Kind::Ecc(point) => {
                let (ephemeral, shared) = parents.ecdh_p256(point)?;
                let shared = Zeroizing::new(shared);
                let (x, y) = ephemeral[1..].split_at(32);
                let seed = kdfe(&shared, label, x, &point[1..33]);
                let mut encrypted = Vec::with_capacity(68);
                push_sized(&mut encrypted, x);
                push_sized(&mut encrypted, y);
                Ok(Self { seed, encrypted })
            }
        }
    }
}

/// The `TPMT_PUBLIC` of the key (Part 2, 12.2.4). A TPM refuses the key unless the hash at the end is
/// that of its sensitive area.
fn public_area(obfuscation: &[u8; 32], key: &[u8]) -> [u8; 80] {
    let unique = Sha256::new()
        .chain_update(obfuscation)
        .chain_update(key)
        .finalize();
    let mut area = [0; 80];
    area[..10].copy_from_slice(&PUBLIC_HEAD);
    area[10..42].copy_from_slice(&POLICY);
    area[42..48].copy_from_slice(&PUBLIC_SCHEME);
    area[48..].copy_from_slice(&unique);
    area
}

/// Appends a structure of a size, an HMAC, and what `write` appends, encrypted: a `TPM2B_ID_OBJECT`
/// (Part 1, 24) as well as the outer wrapper of a `TPM2B_PRIVATE` (Part 1, 23).
fn protect(out: &mut Vec<u8>, seed: &[u8; 32], name: &[u8; 34], write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend([0; 2]);
    push_sized(out, &[0; 32]);
    let content = out.len();
    write(out);
    encrypt(&kdfa(seed, STORAGE, name), &mut out[content..]);
    let key = kdfa::<32>(seed, INTEGRITY, &[]);
    let mut mac =
        Hmac::<Sha256>::new_from_slice(key.as_slice()).expect("HMAC takes keys of any length");
    mac.update(&out[content..]);
    mac.update(name);
    out[content - 32..content].copy_from_slice(&mac.finalize().into_bytes());
    let size = size(out.len() - start - 2);
    out[start..start + 2].copy_from_slice(&size);
}

/// Appends the sensitive area of the key in its inner wrapper (Part 1, 23): its hash and itself,
/// encrypted with the inner key.
fn push_inner(out: &mut Vec<u8>, drawn: &Drawn, key: &[u8], name: &[u8; 34]) {
    let start = out.len();
    push_sized(out, &[0; 32]);
    let sensitive = out.len();
    // KEYEDHASH, no authorization value, the obfuscation, the key.
    out.extend(size(40 + key.len()));
    out.extend([0x00, 0x08, 0x00, 0x00]);
    push_sized(out, drawn.obfuscation.as_slice());
    push_sized(out, key);
    let hash = Sha256::new()
        .chain_update(&out[sensitive..])
        .chain_update(name)
        .finalize();
    out[start + 2..sensitive].copy_from_slice(&hash);
    encrypt(&drawn.inner_key, &mut out[start..]);
}

/// AES-128-CFB with an IV of zeros, as it must be.
///
/// Only the inner key encrypts twice with it, the sensitive area and the text: who knows the text and
/// gets below the outer wrapper learns 14 bytes of a hash over 32 random ones, and that is nothing.
fn encrypt(key: &[u8; 16], data: &mut [u8]) {
    cfb_mode::Encryptor::<Aes128>::new(key.into(), &[0; 16].into()).encrypt(data);
}

/// Appends `bytes` as a `TPM2B`.
fn push_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    out.extend(size(bytes.len()));
    out.extend_from_slice(bytes);
}

fn size(bytes: usize) -> [u8; 2] {
    let bytes = u16::try_from(bytes).expect("every part of a blob is shorter than 64 KiB");
    bytes.to_be_bytes()
}

#[cfg(test)]
mod tests;
