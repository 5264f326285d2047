//! Public areas, as TPMs write them, for tests.

/// The policy of an endorsement key: `PolicySecret` of the endorsement hierarchy (*TCG EK Credential
/// Profile*, template L-1).
const POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// The base point of P-256, as good as any.
pub(crate) const POINT: [u8; 64] = [
    0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40, 0xf2,
    0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98, 0xc2, 0x96,
    0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e, 0x16,
    0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf, 0x51, 0xf5,
];

/// Some odd number of 2048 bits.
pub(crate) fn modulus() -> [u8; 256] {
    std::array::from_fn(|at| match at {
        0 => 0xc5,
        255 => 0x11,
        _ => u8::try_from(at * 37 % 251).unwrap(),
    })
}

/// What is between the two: a storage root key, or an endorsement key with its policy.
fn head(kind: u16, endorses: bool) -> Vec<u8> {
    let (attributes, policy): (u32, &[u8]) = match endorses {
        true => (0x0003_00b2, &POLICY),
        false => (0x0003_0472, &[]),
    };
    let mut out = vec![0, 0];
    out.extend(kind.to_be_bytes());
    out.extend([0x00, 0x0b]);
    out.extend(attributes.to_be_bytes());
    out.extend(u16::try_from(policy.len()).unwrap().to_be_bytes());
    out.extend(policy);
    // AES, 128, CFB; scheme NULL.
    out.extend([0, 6, 0, 128, 0, 0x43, 0, 0x10]);
    out
}

/// Writes the size in front anew.
pub(crate) fn sized(mut bytes: Vec<u8>) -> Vec<u8> {
    let size = u16::try_from(bytes.len() - 2).unwrap();
    bytes[..2].copy_from_slice(&size.to_be_bytes());
    bytes
}

/// An RSA key.
pub(crate) fn rsa(endorses: bool, modulus: &[u8]) -> Vec<u8> {
    let mut out = head(0x0001, endorses);
    out.extend([0x08, 0x00, 0, 0, 0, 0, 0x01, 0x00]);
    out.extend(modulus);
    sized(out)
}

/// A key on P-256.
pub(crate) fn ecc(endorses: bool, point: &[u8]) -> Vec<u8> {
    let mut out = head(0x0023, endorses);
    out.extend([0x00, 0x03, 0x00, 0x10]);
    for coordinate in point.chunks(32) {
        out.extend([0x00, 0x20]);
        out.extend(coordinate);
    }
    sized(out)
}
