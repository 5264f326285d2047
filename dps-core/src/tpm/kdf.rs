//! The two ways in which a TPM derives keys. All keys here fit into one block of SHA-256, so the
//! counter of both is always 1.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// `KDFa` with HMAC-SHA256 (Part 1, 11.4.10.2): `N` bytes out of a seed.
///
/// * `label`: with its terminating NUL.
/// * `context`: the first party's; the second is empty wherever storage is protected.
pub(super) fn kdfa<const N: usize>(
    seed: &[u8; 32],
    label: &[u8],
    context: &[u8],
) -> Zeroizing<[u8; N]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(seed).expect("HMAC takes keys of any length");
    mac.update(&1_u32.to_be_bytes());
    mac.update(label);
    mac.update(context);
    mac.update(&bits::<N>().to_be_bytes());
    first(mac.finalize().into_bytes().into())
}

/// `KDFe` with SHA-256 (Part 1, 11.4.10.3): a seed out of a point that two parties share.
///
/// * `shared`: the x coordinate of that point.
/// * `label`: with its terminating NUL.
/// * `ephemeral`, `fixed`: the x coordinates of the key made for this use and of the TPM's own.
pub(super) fn kdfe(
    shared: &[u8; 32],
    label: &[u8],
    ephemeral: &[u8],
    fixed: &[u8],
) -> Zeroizing<[u8; 32]> {
    let mut hash = Sha256::new();
    hash.update(1_u32.to_be_bytes());
    hash.update(shared);
    hash.update(label);
    hash.update(ephemeral);
    hash.update(fixed);
    first(hash.finalize().into())
}

/// How many bits `N` bytes are, which must come out of one block.
const fn bits<const N: usize>() -> u32 {
    assert!(N <= 32, "one block of SHA-256 has 32 bytes");
    8 * N as u32
}

fn first<const N: usize>(block: [u8; 32]) -> Zeroizing<[u8; N]> {
    let block = Zeroizing::new(block);
    let mut key = Zeroizing::new([0; N]);
    key.copy_from_slice(&block[..N]);
    key
}
