//! The public half of a key that a device's TPM decrypts with, checked once where it enters.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest, Sha256};

/// The longest key that is taken, in bytes: RSA with an authorization policy of 64. Usual ones have
/// 316 (endorsement key) and 284 (storage root key).
pub const MAX_PUBLIC_KEY_BYTES: usize = 348;

/// TPM algorithm identifiers (Part 2, 6.3) and a curve (6.4).
const RSA: u16 = 0x0001;
const AES: u16 = 0x0006;
const SHA256: u16 = 0x000b;
const NULL: u16 = 0x0010;
const ECC: u16 = 0x0023;
const CFB: u16 = 0x0043;
const NIST_P256: u16 = 0x0003;

/// Attributes of an object (Part 2, 8.3).
const FIXED_TPM: u32 = 0x0000_0002;
const FIXED_PARENT: u32 = 0x0000_0010;
const RESTRICTED: u32 = 0x0001_0000;
const DECRYPT: u32 = 0x0002_0000;
const SIGN: u32 = 0x0004_0000;
const WANTED: u32 = FIXED_TPM | FIXED_PARENT | RESTRICTED | DECRYPT;

/// The exponent of every RSA key taken. A TPM writes it as 0.
pub(super) const EXPONENT: u32 = 65537;
const MODULUS_BYTES: usize = 256;
const COORDINATE_BYTES: usize = 32;
const MAX_POLICY_BYTES: usize = 64;

/// Bytes are not the public area of a key that we wrap for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PublicKeyError {
    /// More than [`MAX_PUBLIC_KEY_BYTES`].
    #[error("the key is longer than {MAX_PUBLIC_KEY_BYTES} bytes")]
    TooLong,
    /// The two bytes in front do not count what follows them.
    #[error("the size in front of the key says {said} bytes, and {found} follow")]
    Size {
        /// What they say.
        said: usize,
        /// How many bytes there are.
        found: usize,
    },
    /// The bytes end too early.
    #[error("the key ends within its {within}")]
    Truncated {
        /// The field that is not whole.
        within: &'static str,
    },
    /// Bytes follow the last field.
    #[error("the key goes on for {bytes} bytes after its last field")]
    Trailing {
        /// How many.
        bytes: usize,
    },
    /// Neither RSA nor ECC.
    #[error("the key is of type {found:#06x}: RSA (0x0001) and ECC (0x0023) are taken")]
    Type {
        /// Its `TPM_ALG_ID`.
        found: u16,
    },
    /// Its name is not made with SHA-256.
    #[error("the key has name algorithm {found:#06x}: SHA-256 (0x000b) is taken")]
    NameAlgorithm {
        /// Its `TPM_ALG_ID`.
        found: u16,
    },
    /// Not a restricted decryption key that stays in its TPM.
    #[error(
        "the key has attributes {found:#010x}: fixedTPM, fixedParent, restricted and decrypt must \
         be set, and sign must not"
    )]
    Attributes {
        /// Its `TPMA_OBJECT`.
        found: u32,
    },
    /// The authorization policy is longer than any digest.
    #[error("the authorization policy has {found} bytes: at most {MAX_POLICY_BYTES} are taken")]
    Policy {
        /// Its length.
        found: usize,
    },
    /// It protects what is below it with something else than AES-128-CFB.
    #[error(
        "the key protects with algorithm {algorithm:#06x}, {bits} bits, mode {mode:#06x}: AES \
         (0x0006), 128 bits, CFB (0x0043) is taken"
    )]
    Symmetric {
        /// The `TPM_ALG_ID` of the cipher.
        algorithm: u16,
        /// The bits of its key; 0 if there is no cipher.
        bits: u16,
        /// The `TPM_ALG_ID` of its mode; 0 if there is no cipher.
        mode: u16,
    },
    /// It has a scheme, which a restricted decryption key has not.
    #[error("the key has scheme {found:#06x}: NULL (0x0010) is taken")]
    Scheme {
        /// Its `TPM_ALG_ID`.
        found: u16,
    },
    /// RSA of another size.
    #[error("the key has {found} bits: 2048 are taken")]
    KeyBits {
        /// Its size.
        found: u16,
    },
    /// RSA with an uncommon exponent.
    #[error("the key has exponent {found}: 65537 is taken, which may be written as 0")]
    Exponent {
        /// Its exponent.
        found: u32,
    },
    /// Not the modulus of an RSA key of 2048 bits.
    #[error("the modulus is not an odd number of 2048 bits")]
    Modulus,
    /// ECC on another curve.
    #[error("the key is on curve {found:#06x}: NIST P-256 (0x0003) is taken")]
    Curve {
        /// Its `TPM_ECC_CURVE`.
        found: u16,
    },
    /// It has a key derivation scheme, which no TPM knows for such keys.
    #[error("the key has key derivation scheme {found:#06x}: NULL (0x0010) is taken")]
    Kdf {
        /// Its `TPM_ALG_ID`.
        found: u16,
    },
    /// Not a point in two coordinates of 32 bytes. Whether it is on the curve, the agreement on a secret
    /// tells.
    #[error("the coordinates of the point do not have 32 bytes each")]
    Point,
}

/// The public area of a restricted decryption key of a TPM: an endorsement key or a storage root key.
/// Cheap to clone. Two are equal if their bytes are.
///
/// RSA with 2048 bits, as all SDKs' devices have, or ECC on P-256. Name algorithm SHA-256 and
/// AES-128-CFB for what it protects.
///
/// # Source
/// The templates of `hsm_client_tpm.c` of azure-iot-sdk-c and of the *TCG EK Credential Profile*, L-1
/// and L-2. Taking ECC is our choice.
#[derive(Clone)]
pub struct PublicKey(Arc<Parsed>);

struct Parsed {
    bytes: Box<[u8]>,
    name: [u8; 34],
    kind: Kind,
}

/// What a secret for the key is encrypted with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The modulus is in the last bytes.
    Rsa,
    /// The point, uncompressed.
    Ecc([u8; 65]),
}

impl PublicKey {
    /// Reads a marshalled `TPM2B_PUBLIC`, with its size in front and nothing behind.
    ///
    /// Attributes that [`PublicKeyError::Attributes`] does not name may be set or clear, and any
    /// authorization policy will do.
    ///
    /// # Errors
    /// [`PublicKeyError`] says what it is instead, before anything is hashed or encrypted.
    pub fn parse(tpm2b_public: &[u8]) -> Result<Self, PublicKeyError> {
        if tpm2b_public.len() > MAX_PUBLIC_KEY_BYTES {
            return Err(PublicKeyError::TooLong);
        }
        let mut reader = Reader(tpm2b_public);
        let said = usize::from(reader.u16("size")?);
        let area = reader.0;
        if said != area.len() {
            let found = area.len();
            return Err(PublicKeyError::Size { said, found });
        }
        let kind = check(&mut reader)?;
        match reader.0.len() {
            0 => Ok(Self(Arc::new(Parsed {
                bytes: tpm2b_public.into(),
                name: name(area),
                kind,
            }))),
            bytes => Err(PublicKeyError::Trailing { bytes }),
        }
    }

    /// The bytes it was read from.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.0.bytes
    }

    /// What the TPM calls it: the algorithm, SHA-256 as `00 0b`, and the hash of the public area.
    #[must_use]
    pub fn name(&self) -> &[u8; 34] {
        &self.0.name
    }

    pub(super) fn kind(&self) -> &Kind {
        &self.0.kind
    }

    /// The modulus of an RSA key.
    pub(super) fn modulus(&self) -> &[u8] {
        let bytes = self.bytes();
        &bytes[bytes.len() - MODULUS_BYTES..]
    }
}

/// The name of an object with name algorithm SHA-256 (Part 1, 16).
pub(super) fn name(public_area: &[u8]) -> [u8; 34] {
    let mut name = [0; 34];
    name[..2].copy_from_slice(&SHA256.to_be_bytes());
    name[2..].copy_from_slice(&Sha256::digest(public_area));
    name
}

/// Reads a `TPMT_PUBLIC` (Part 2, 12.2.4).
fn check(reader: &mut Reader<'_>) -> Result<Kind, PublicKeyError> {
    let kind = reader.u16("type")?;
    if kind != RSA && kind != ECC {
        return Err(PublicKeyError::Type { found: kind });
    }
    let found = reader.u16("name algorithm")?;
    if found != SHA256 {
        return Err(PublicKeyError::NameAlgorithm { found });
    }
    let found = reader.u32("attributes")?;
    if found & (WANTED | SIGN) != WANTED {
        return Err(PublicKeyError::Attributes { found });
    }
    let found = usize::from(reader.u16("authorization policy")?);
    if found > MAX_POLICY_BYTES {
        return Err(PublicKeyError::Policy { found });
    }
    reader.take(found, "authorization policy")?;
    check_symmetric(reader)?;
    let found = reader.u16("scheme")?;
    if found != NULL {
        return Err(PublicKeyError::Scheme { found });
    }
    if kind == RSA {
        check_rsa(reader)
    } else {
        check_ecc(reader)
    }
}

fn check_symmetric(reader: &mut Reader<'_>) -> Result<(), PublicKeyError> {
    let algorithm = reader.u16("symmetric algorithm")?;
    let (bits, mode) = match algorithm {
        // Nothing follows it.
        NULL => (0, 0),
        _ => (
            reader.u16("symmetric key size")?,
            reader.u16("symmetric mode")?,
        ),
    };
    match (algorithm, bits, mode) {
        (AES, 128, CFB) => Ok(()),
        _ => Err(PublicKeyError::Symmetric {
            algorithm,
            bits,
            mode,
        }),
    }
}

fn check_rsa(reader: &mut Reader<'_>) -> Result<Kind, PublicKeyError> {
    let found = reader.u16("key size")?;
    if found != 2048 {
        return Err(PublicKeyError::KeyBits { found });
    }
    let found = reader.u32("exponent")?;
    if found != 0 && found != EXPONENT {
        return Err(PublicKeyError::Exponent { found });
    }
    if usize::from(reader.u16("modulus")?) != MODULUS_BYTES {
        return Err(PublicKeyError::Modulus);
    }
    match reader.take(MODULUS_BYTES, "modulus")? {
        [first, .., last] if first & 0x80 != 0 && last & 1 != 0 => Ok(Kind::Rsa),
        _ => Err(PublicKeyError::Modulus),
    }
}

fn check_ecc(reader: &mut Reader<'_>) -> Result<Kind, PublicKeyError> {
    let found = reader.u16("curve")?;
    if found != NIST_P256 {
        return Err(PublicKeyError::Curve { found });
    }
    let found = reader.u16("key derivation scheme")?;
    if found != NULL {
        return Err(PublicKeyError::Kdf { found });
    }
    let x = reader.coordinate()?;
    let y = reader.coordinate()?;
    let mut point = [0; 65];
    point[0] = 4;
    point[1..33].copy_from_slice(x);
    point[33..].copy_from_slice(y);
    Ok(Kind::Ecc(point))
}

/// What is left of the bytes.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize, within: &'static str) -> Result<&'a [u8], PublicKeyError> {
        let (taken, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(PublicKeyError::Truncated { within })?;
        self.0 = rest;
        Ok(taken)
    }

    fn array<const N: usize>(
        &mut self,
        within: &'static str,
    ) -> Result<&'a [u8; N], PublicKeyError> {
        let (taken, rest) = self
            .0
            .split_first_chunk()
            .ok_or(PublicKeyError::Truncated { within })?;
        self.0 = rest;
        Ok(taken)
    }

    fn u16(&mut self, within: &'static str) -> Result<u16, PublicKeyError> {
        self.array(within).map(|bytes| u16::from_be_bytes(*bytes))
    }

    fn u32(&mut self, within: &'static str) -> Result<u32, PublicKeyError> {
        self.array(within).map(|bytes| u32::from_be_bytes(*bytes))
    }

    fn coordinate(&mut self) -> Result<&'a [u8; COORDINATE_BYTES], PublicKeyError> {
        if usize::from(self.u16("point")?) != COORDINATE_BYTES {
            return Err(PublicKeyError::Point);
        }
        self.array("point")
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.bytes == other.0.bytes
    }
}
impl Eq for PublicKey {}
impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.0.kind {
            Kind::Rsa => "RSA-2048",
            Kind::Ecc(_) => "P-256",
        };
        write!(f, "PublicKey({kind}, ")?;
        for byte in self.name() {
            write!(f, "{byte:02x}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests;
