//! A TPM 2.0 in software, as far as devices need one: it holds two keys, and opens what was wrapped
//! for them.
//!
//! Written from the other end than the service, and sharing nothing with it: what the service wraps
//! wrongly does not open. It keeps its secrets in memory, and is for tests and simulated fleets only.

use aes::Aes128;
use aws_lc_rs::agreement::{self, ECDH_P256};
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey,
};
use cfb_mode::Decryptor;
use cfb_mode::cipher::KeyIvInit;
use dps_core::id::SecretBytes;
use dps_core::tpm::{PublicKey, TpmKeys};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// A TPM with an endorsement key and a storage root key.
#[derive(Debug)]
pub struct SoftTpm {
    endorsement: Key,
    storage_root: Key,
}

/// What a TPM found in what was sent to it.
#[derive(Debug)]
pub struct Opened {
    /// With which it signs from now on.
    pub key: SecretBytes,
    /// What the key is for, as the service wrote it.
    pub resource: String,
}

/// Why something cannot be opened: the place that is not right.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("what was sent cannot be opened: {0}")]
pub struct NotForThisTpm(&'static str);

/// Which kind of keys a TPM has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// RSA with 2048 bits, as the device SDKs use. It takes a moment to make one.
    Rsa,
    /// ECC on P-256.
    Ecc,
}

impl SoftTpm {
    /// A new TPM with new keys.
    ///
    /// # Panics
    /// If the system has no randomness.
    #[must_use]
    pub fn new(kind: Kind) -> Self {
        Self::with(kind, kind)
    }

    /// A new TPM whose keys differ in kind.
    ///
    /// # Panics
    /// If the system has no randomness.
    #[must_use]
    pub fn with(endorsement: Kind, storage_root: Kind) -> Self {
        Self {
            endorsement: Key::new(endorsement, Role::Endorsement),
            storage_root: Key::new(storage_root, Role::StorageRoot),
        }
    }

    /// What it shows.
    #[must_use]
    pub fn keys(&self) -> TpmKeys {
        TpmKeys {
            endorsement_key: self.endorsement.public.clone(),
            storage_root_key: self.storage_root.public.clone(),
        }
    }

    /// Forgets its storage root key, and makes another of the kind `kind`.
    ///
    /// # Panics
    /// If the system has no randomness.
    pub fn clear(&mut self, kind: Kind) {
        self.storage_root = Key::new(kind, Role::StorageRoot);
    }

    /// Opens what the service has wrapped: `ActivateCredential`, then `Import`.
    ///
    /// # Errors
    /// [`NotForThisTpm`] if it was wrapped for other keys, or wrongly.
    pub fn open(&self, wrapped: &[u8]) -> Result<Opened, NotForThisTpm> {
        let mut rest = Reader(wrapped);
        let credential = rest.sized("credential")?;
        let secret = rest.sized("secret of the credential")?;
        let duplicate = rest.sized("duplicate")?;
        let seed = rest.sized("seed of the duplicate")?;
        let public = rest.sized("public area")?;
        let resource = rest.sized("resource")?;
        rest.end("end")?;

        let root_name = self.storage_root.public.name();
        let seed_a = self.endorsement.unseal(secret, "IDENTITY")?;
        let inner_key = unwrap(
            &seed_a,
            root_name,
            credential,
            "integrity of the credential",
        )?;
        let mut inner_key = Reader(&inner_key);
        let key: [u8; 16] = inner_key
            .sized("inner key")?
            .try_into()
            .map_err(|_| NotForThisTpm("size of the inner key"))?;
        inner_key.end("inner key")?;

        let mut name = vec![0, 0x0b];
        name.extend(Sha256::digest(public));
        let seed_b = self.storage_root.unseal(seed, "DUPLICATE")?;
        let mut inner = unwrap(&seed_b, &name, duplicate, "integrity of the duplicate")?;
        decrypt(&key, &mut inner);
        let mut inner = Reader(&inner);
        let hash = inner.sized("inner integrity")?;
        let mut hashed = Sha256::new();
        hashed.update(inner.0);
        hashed.update(&name);
        if hash != hashed.finalize().as_slice() {
            return Err(NotForThisTpm("inner integrity"));
        }
        let mut sensitive = Reader(inner.sized("sensitive area")?);
        inner.end("sensitive area")?;
        if sensitive.take(2, "type")? != [0, 8] || !sensitive.sized("auth")?.is_empty() {
            return Err(NotForThisTpm("sensitive area"));
        }
        let obfuscation = sensitive.sized("seed value")?;
        let signing = sensitive.sized("key")?;
        sensitive.end("key")?;
        let unique = Sha256::new()
            .chain_update(obfuscation)
            .chain_update(signing);
        if !is_signing_key(public, unique.finalize().as_slice())? {
            return Err(NotForThisTpm("public area"));
        }
        let mut resource = resource.to_vec();
        decrypt(&key, &mut resource);
        Ok(Opened {
            key: SecretBytes::new(signing.to_vec()),
            resource: String::from_utf8(resource).map_err(|_| NotForThisTpm("resource"))?,
        })
    }
}

/// What `Load` asks of a key that signs by HMAC with SHA-256.
fn is_signing_key(public: &[u8], unique: &[u8]) -> Result<bool, NotForThisTpm> {
    // fixedTPM, fixedParent, sensitiveDataOrigin, encryptedDuplication, restricted, decrypt.
    const FORBIDDEN: u32 = 0x0003_0832;
    const SIGN: u32 = 0x0004_0000;
    let mut public = Reader(public);
    let head = public.take(4, "type of the key")? == [0, 8, 0, 0x0b];
    let attributes = public.take(4, "attributes")?;
    let attributes = u32::from_be_bytes(attributes.try_into().unwrap_or_default());
    let allowed = attributes & FORBIDDEN == 0 && attributes & SIGN != 0;
    public.sized("policy")?;
    let scheme = public.take(4, "scheme")? == [0, 5, 0, 0x0b];
    let same = public.sized("unique")? == unique;
    public.end("public area")?;
    Ok(head && allowed && scheme && same)
}

/// Checks and takes off an outer wrapping.
fn unwrap(
    seed: &[u8],
    name: &[u8],
    wrapped: &[u8],
    what: &'static str,
) -> Result<Vec<u8>, NotForThisTpm> {
    let mut wrapped = Reader(wrapped);
    let integrity = wrapped.sized(what)?;
    let mut mac = mac(&kdfa(seed, "INTEGRITY", &[], 32));
    mac.update(wrapped.0);
    mac.update(name);
    mac.verify_slice(integrity)
        .map_err(|_| NotForThisTpm(what))?;
    let mut inner = wrapped.0.to_vec();
    let key = kdfa(seed, "STORAGE", name, 16);
    decrypt(
        &key.try_into().map_err(|_| NotForThisTpm(what))?,
        &mut inner,
    );
    Ok(inner)
}

fn decrypt(key: &[u8; 16], data: &mut [u8]) {
    Decryptor::<Aes128>::new(key.into(), &[0; 16].into()).decrypt(data);
}

fn mac(key: &[u8]) -> Hmac<Sha256> {
    Hmac::new_from_slice(key).expect("HMAC takes keys of any length")
}

/// KDFa with SHA-256, for up to 32 bytes.
fn kdfa(key: &[u8], label: &str, context: &[u8], bytes: u16) -> Vec<u8> {
    let mut mac = mac(key);
    mac.update(&[0, 0, 0, 1]);
    mac.update(label.as_bytes());
    mac.update(&[0]);
    mac.update(context);
    mac.update(&(u32::from(bytes) * 8).to_be_bytes());
    mac.finalize().into_bytes()[..usize::from(bytes)].to_vec()
}

#[derive(Clone, Copy)]
enum Role {
    Endorsement,
    StorageRoot,
}

/// A key with both its halves.
struct Key {
    public: PublicKey,
    private: Private,
}

enum Private {
    Rsa(OaepPrivateDecryptingKey),
    Ecc {
        scalar: agreement::PrivateKey,
        x: [u8; 32],
    },
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.public.fmt(f)
    }
}

impl Key {
    fn new(kind: Kind, role: Role) -> Self {
        let (parameters, private) = match kind {
            Kind::Rsa => rsa(),
            Kind::Ecc => ecc(),
        };
        let kind: u16 = match kind {
            Kind::Rsa => 1,
            Kind::Ecc => 0x23,
        };
        let (attributes, policy): (u32, &[u8]) = match role {
            Role::Endorsement => (0x0003_00b2, &ENDORSEMENT_POLICY),
            Role::StorageRoot => (0x0003_0472, &[]),
        };
        let mut area = Vec::new();
        area.extend(kind.to_be_bytes());
        area.extend([0, 0x0b]);
        area.extend(attributes.to_be_bytes());
        put_sized(&mut area, policy);
        // AES-128-CFB, and no scheme.
        area.extend([0, 6, 0, 128, 0, 0x43, 0, 0x10]);
        area.extend(parameters);
        let mut whole = Vec::new();
        put_sized(&mut whole, &area);
        Self {
            public: PublicKey::parse(&whole).expect("the template is one that devices use"),
            private,
        }
    }

    /// The seed in an encrypted secret.
    fn unseal(&self, secret: &[u8], label: &str) -> Result<Vec<u8>, NotForThisTpm> {
        const SECRET: NotForThisTpm = NotForThisTpm("encrypted secret");
        match &self.private {
            Private::Rsa(key) => {
                let label = format!("{label}\0");
                let mut seed = vec![0; key.min_output_size()];
                let seed = key.decrypt(
                    &OAEP_SHA256_MGF1SHA256,
                    secret,
                    &mut seed,
                    Some(label.as_bytes()),
                );
                Ok(seed.map_err(|_| SECRET)?.to_vec())
            }
            Private::Ecc { scalar, x } => {
                let mut point = Reader(secret);
                let (px, py) = (point.sized("point")?, point.sized("point")?);
                point.end("point")?;
                let peer = [&[4], px, py].concat();
                let peer = agreement::UnparsedPublicKey::new(&ECDH_P256, peer);
                agreement::agree(scalar, peer, SECRET, |shared| {
                    let seed = Sha256::new()
                        .chain_update([0, 0, 0, 1])
                        .chain_update(shared)
                        .chain_update(label)
                        .chain_update([0])
                        .chain_update(px)
                        .chain_update(x);
                    Ok(seed.finalize().to_vec())
                })
            }
        }
    }
}

/// `PolicySecret` of the endorsement hierarchy.
///
/// # Source
/// "Default EK Template" in *TCG EK Credential Profile for TPM Family 2.0*.
const ENDORSEMENT_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24,
    0xfd, 0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

fn rsa() -> (Vec<u8>, Private) {
    const MADE: &str = "a key of 2048 bits can be made";
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect(MADE);
    let modulus = modulus(&private);
    let mut parameters = Vec::new();
    // 2048 bits, and the usual exponent.
    parameters.extend([8, 0, 0, 0, 0, 0]);
    put_sized(&mut parameters, &modulus);
    let private = OaepPrivateDecryptingKey::new(private).expect(MADE);
    (parameters, Private::Rsa(private))
}

/// Out of the DER of its public half, where it stands behind a zero byte.
fn modulus(private: &PrivateDecryptingKey) -> Vec<u8> {
    use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
    let der: PublicKeyX509Der<'_> = private
        .public_key()
        .as_der()
        .expect("a public key can be written");
    let der = der.as_ref();
    let behind = [0x02, 0x82, 0x01, 0x01, 0x00];
    let at = der
        .windows(behind.len())
        .position(|bytes| bytes == behind)
        .expect("a modulus of 2048 bits");
    der[at + behind.len()..][..256].to_vec()
}

fn ecc() -> (Vec<u8>, Private) {
    const MADE: &str = "a key on P-256 can be made";
    let scalar = agreement::PrivateKey::generate(&ECDH_P256).expect(MADE);
    let point = scalar.compute_public_key().expect(MADE);
    let point = point.as_ref();
    // P-256, and no key derivation.
    let mut parameters = vec![0, 3, 0, 0x10];
    put_sized(&mut parameters, &point[1..33]);
    put_sized(&mut parameters, &point[33..65]);
    let x = point[1..33].try_into().expect("a coordinate of 32 bytes");
    (parameters, Private::Ecc { scalar, x })
}

fn put_sized(out: &mut Vec<u8>, bytes: &[u8]) {
    let size = u16::try_from(bytes.len()).expect("structures of a TPM are small");
    out.extend(size.to_be_bytes());
    out.extend(bytes);
}

/// What is left to read.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, bytes: usize, what: &'static str) -> Result<&'a [u8], NotForThisTpm> {
        let (taken, rest) = self.0.split_at_checked(bytes).ok_or(NotForThisTpm(what))?;
        self.0 = rest;
        Ok(taken)
    }

    fn sized(&mut self, what: &'static str) -> Result<&'a [u8], NotForThisTpm> {
        let size = self.take(2, what)?;
        let size = size
            .iter()
            .fold(0, |size, byte| size << 8 | usize::from(*byte));
        self.take(size, what)
    }

    fn end(&self, what: &'static str) -> Result<(), NotForThisTpm> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(NotForThisTpm(what))
        }
    }
}
