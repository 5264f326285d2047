use proptest::prelude::*;

use super::super::samples::{POINT, ecc, modulus, rsa};
use super::*;
use crate::crypto::SecureRandom;

mod golden;

/// Says what it was asked to encrypt, label first, and agrees on what everybody knows.
#[derive(Debug)]
struct Open;

impl ParentKeys for Open {
    fn oaep(
        &self,
        modulus: &[u8],
        exponent: u32,
        label: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        let mut out = [label, &exponent.to_be_bytes(), data].concat();
        out.resize(modulus.len(), 0);
        Ok(out)
    }

    fn ecdh_p256(&self, peer: &[u8; 65]) -> Result<([u8; 65], [u8; 32]), CryptoError> {
        let mut point = *peer;
        point[1..].reverse();
        Ok((point, [0x5a; 32]))
    }
}

/// 00, 01, 02 and so on.
#[derive(Debug)]
struct Counting;

impl SecureRandom for Counting {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        for (at, byte) in out.iter_mut().enumerate() {
            *byte = u8::try_from(at).map_err(|_| CryptoError)?;
        }
        Ok(())
    }
}

const OPEN: Crypto = Crypto::new(&[], &Counting).with_parents(&Open);

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<char> = text.chars().filter(|c| !c.is_whitespace()).collect();
    digits
        .chunks(2)
        .map(|pair| u8::from_str_radix(&pair.iter().collect::<String>(), 16).unwrap())
        .collect()
}

fn ascending<const N: usize>(from: u8) -> [u8; N] {
    std::array::from_fn(|at| from + u8::try_from(at).unwrap())
}

fn keys(rsa_parents: bool) -> (PublicKey, PublicKey) {
    let [ek, srk] = match rsa_parents {
        true => [rsa(true, &modulus()), rsa(false, &modulus())],
        false => [ecc(true, &POINT), ecc(false, &POINT)],
    };
    (
        PublicKey::parse(&ek).unwrap(),
        PublicKey::parse(&srk).unwrap(),
    )
}

fn blob(rsa_parents: bool, key: &[u8], resource: &str) -> Result<Vec<u8>, CryptoError> {
    let (ek, srk) = keys(rsa_parents);
    wrap(&OPEN, &ek, &srk, &SecretBytes::new(key.to_vec()), resource)
}

/// The structures of a blob, without their sizes.
fn parts(mut blob: &[u8]) -> Vec<Vec<u8>> {
    let mut parts = Vec::new();
    while let Some((size, rest)) = blob.split_first_chunk() {
        let (part, rest) = rest.split_at(usize::from(u16::from_be_bytes(*size)));
        parts.push(part.to_vec());
        blob = rest;
    }
    parts
}

/// Computed apart, with Python's `hashlib` and OpenSSL's AES; a blob with these parts was taken in by
/// a software TPM.
mod known {
    use super::*;

    fn drawn() -> Drawn {
        Drawn {
            inner_key: ascending(0x20).into(),
            credential_seed: ascending(0x00).into(),
            duplicate_seed: ascending(0x40).into(),
            obfuscation: ascending(0x60).into(),
        }
    }

    const KEY: fn() -> [u8; 32] = || ascending(0x80);

    fn storage_root_name() -> [u8; 34] {
        let mut name = [0x11; 34];
        name[..2].copy_from_slice(&[0x00, 0x0b]);
        name
    }

    fn identity_name() -> [u8; 34] {
        public::name(&public_area(&drawn().obfuscation, &KEY()))
    }

    #[test]
    fn keys_are_derived_from_a_seed() {
        for (seed, name, storage, integrity) in [
            (
                drawn().credential_seed,
                storage_root_name(),
                "4b6977df7782a6d0312cc5f537456667",
                "bacf689f634ece301e1f1b15b072d9c87db6a69585db42b1a0cb8f73ebe2692e",
            ),
            (
                drawn().duplicate_seed,
                identity_name(),
                "19434fe0f5676b6c7ebdf9cb0ca48c73",
                "01927eb72a10a617a5f9166fc789e6a5acbac94d27180042441cada7147483e2",
            ),
        ] {
            assert_eq!(kdfa::<16>(&seed, STORAGE, &name).as_slice(), hex(storage));
            assert_eq!(kdfa::<32>(&seed, INTEGRITY, &[]).as_slice(), hex(integrity));
        }
    }

    #[test]
    fn a_credential_is_encrypted_and_signed() {
        let drawn = drawn();
        let mut out = Vec::new();
        protect(
            &mut out,
            &drawn.credential_seed,
            &storage_root_name(),
            |out| {
                push_sized(out, drawn.inner_key.as_slice());
            },
        );
        assert_eq!(
            out,
            hex(
                "003400207e616f0434a9923ed6b9d2a0cbe07231921301aaefa6df28c23aa2e18dc30ab6
                 2d0dae17705334f26005ee6035407f90aced"
            )
        );
    }

    #[test]
    fn a_key_shows_a_hash_of_itself_and_has_a_name() {
        assert_eq!(
            public_area(&drawn().obfuscation, &KEY()).as_slice(),
            hex("0008000b000404400020
                 bef56b8c1cc84e11edd717528d2cd99356bd2bbf8f015209c3f84aeeaba8e8a2
                 0005000b0020ade5c3f609729b72dcd7252435dfa94b03158fc6f20481b183d183086cb39619")
        );
        assert_eq!(
            identity_name().as_slice(),
            hex("000b90c4c921812d4ab4f6f5522aa9a6527bd74ad99d00596494fb1d868a8d63aa00")
        );
    }

    #[test]
    fn a_key_is_wrapped_inside() {
        let mut out = Vec::new();
        push_inner(&mut out, &drawn(), &KEY(), &identity_name());
        assert_eq!(
            out,
            hex(
                "ae1a4852e4a786b6586d831202eb74cf5f365565e60c4189a40483451cf9093c
                 b6b63417da9234ea7db7667c8542ec0a9dd4f55a57fe95a895ff4c896f4c0a88
                 e38de3a86129b4b194f4bec78624d27e89b074aee64b166911d12fa30b90048e
                 15cbe2233f31fe5e6c191e0f"
            )
        );
        let mut opened = out;
        decrypt(&drawn().inner_key, &mut opened);
        assert_eq!(
            opened,
            hex(
                "0020396aa4b4c1280248110ae634f870b43ff7220be6c2c9257e730e8fc05c1d7304
                 0048000800000020606162636465666768696a6b6c6d6e6f707172737475767778797a7b
                 7c7d7e7f0020808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f"
            )
        );
    }

    #[test]
    fn a_key_is_wrapped_outside() {
        let mut out = Vec::new();
        let name = identity_name();
        protect(&mut out, &drawn().duplicate_seed, &name, |out| {
            push_inner(out, &drawn(), &KEY(), &name);
        });
        assert_eq!(
            out,
            hex(
                "008e00209694f05f96335cfce02b969727c07c340f5c7732470531462a93de2805453cf5
                 2aab7ab3b6d3488017c40813c7be8aed76542d446913f359a1df5d7c8396c7ad92df9dd3
                 32a5375e1bd66a8caa54fcf21dbad5ae37b3e50c19324f250a76fa2a87ac0d5034f2440c
                 1298d726dc12896413794f55288af7e83a6e98a9ab814353296c11e0f5f7e010b871c60d"
            )
        );
    }

    #[test]
    fn the_text_goes_along_encrypted() {
        let mut text = *b"test";
        encrypt(&drawn().inner_key, &mut text);
        assert_eq!(text, [0xda, 0x5f, 0x02, 0x4c]);
    }
}

#[test]
fn a_blob_for_rsa_keys_has_798_bytes_and_the_text() {
    for length in [0, 1, 43, MAX_RESOURCE_BYTES] {
        let made = blob(true, &[7; KEY_BYTES], &"r".repeat(length)).unwrap();
        assert_eq!(made.len(), 798 + length);
        assert_eq!(made.capacity(), made.len(), "it had to move");
        assert!(made.len() <= 972);
        let lengths: Vec<usize> = parts(&made).iter().map(Vec::len).collect();
        assert_eq!(lengths, [52, 256, 142, 256, 80, length]);
    }
}

#[test]
fn a_blob_for_p_256_keys_carries_points() {
    let made = blob(false, &[7; 64], "r").unwrap();
    let lengths: Vec<usize> = parts(&made).iter().map(Vec::len).collect();
    assert_eq!(lengths, [52, 68, 174, 68, 80, 1]);
    assert_eq!(made.capacity(), made.len(), "it had to move");
}

#[test]
fn keys_and_texts_have_their_lengths() {
    for length in [1, 32, MAX_KEY_BYTES] {
        assert!(blob(true, &vec![7; length], "r").is_ok());
    }
    assert!(blob(true, &[], "r").is_err());
    assert!(blob(true, &[7; MAX_KEY_BYTES + 1], "r").is_err());
    let long = "r".repeat(MAX_RESOURCE_BYTES + 1);
    assert!(blob(true, &[7; KEY_BYTES], &long).is_err());
}

#[test]
fn the_longest_names_fit() {
    let scope = crate::id::IdScope::parse(&"s".repeat(20)).unwrap();
    let id = crate::id::RegistrationId::parse(&"r".repeat(128)).unwrap();
    let resource = format!("{scope}/registrations/{id}");
    assert_eq!(resource.len(), MAX_RESOURCE_BYTES);
}

#[cfg(feature = "aws-lc")]
#[test]
fn nothing_is_wrapped_for_a_point_that_is_not_on_its_curve() {
    use crate::tpm::samples::{POINT, ecc};
    let mut beside = POINT;
    beside[63] ^= 1;
    let [key, beside] = [POINT, beside].map(|at| PublicKey::parse(&ecc(true, &at)).unwrap());
    let secret = SecretBytes::from([7; KEY_BYTES]);
    let wrap = |ek, srk| wrap(&crate::crypto::AWS_LC, ek, srk, &secret, "press-1").is_ok();
    assert!(wrap(&key, &key));
    assert!(!wrap(&beside, &key) && !wrap(&key, &beside));
}

#[test]
fn who_does_not_encrypt_for_tpms_wraps_nothing() {
    let (ek, srk) = keys(true);
    let crypto = Crypto::new(&[], &Counting);
    let key = SecretBytes::from([7; 32]);
    assert!(wrap(&crypto, &ek, &srk, &key, "r").is_err());
}

#[test]
fn a_secret_of_another_length_is_not_taken_from_a_provider() {
    #[derive(Debug)]
    struct Short;
    impl ParentKeys for Short {
        fn oaep(&self, _: &[u8], _: u32, _: &[u8], _: &[u8]) -> Result<Vec<u8>, CryptoError> {
            Ok(vec![0; 255])
        }
        fn ecdh_p256(&self, _: &[u8; 65]) -> Result<([u8; 65], [u8; 32]), CryptoError> {
            Err(CryptoError)
        }
    }
    let crypto = Crypto::new(&[], &Counting).with_parents(&Short);
    for rsa_parents in [true, false] {
        let (ek, srk) = keys(rsa_parents);
        assert!(wrap(&crypto, &ek, &srk, &SecretBytes::from([7; 32]), "r").is_err());
    }
}

#[test]
fn the_seeds_are_encrypted_each_under_its_label() {
    let parts = parts(&blob(true, &[7; 32], "r").unwrap());
    let exponent = [0, 1, 0, 1];
    let credential = [IDENTITY, &exponent, &ascending::<32>(16)].concat();
    let duplicate = [DUPLICATE, &exponent, &ascending::<32>(48)].concat();
    assert!(parts[1].starts_with(&credential));
    assert!(parts[3].starts_with(&duplicate));
}

/// Opens a blob of [`OPEN`].
fn open(rsa_parents: bool, blob: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (ek, srk) = keys(rsa_parents);
    let parts = parts(blob);
    let seed_of = |label: &[u8], key: &PublicKey, secret: &[u8]| match key.kind() {
        Kind::Rsa => <[u8; 32]>::try_from(&secret[label.len() + 4..][..32]).unwrap(),
        Kind::Ecc(point) => *kdfe(&[0x5a; 32], label, &secret[2..34], &point[1..33]),
    };
    let seeds = [
        seed_of(IDENTITY, &ek, &parts[1]),
        seed_of(DUPLICATE, &srk, &parts[3]),
    ];
    open_with(seeds, srk.name(), &parts)
}

/// What a TPM does once it has the seeds: the inverse of wrapping. Returns the key and the text.
fn open_with(
    [credential, duplicate]: [[u8; 32]; 2],
    storage_root_name: &[u8; 34],
    parts: &[Vec<u8>],
) -> (Vec<u8>, Vec<u8>) {
    let [id_object, _, private, _, public, text] = parts else {
        panic!("{} parts", parts.len());
    };
    let inner_key = unprotect(&credential, storage_root_name, id_object);
    let inner_key: [u8; 16] = inner_key[2..].try_into().unwrap();
    let name = public::name(public);
    let mut inner = unprotect(&duplicate, &name, private);
    decrypt(&inner_key, &mut inner);
    let hash = Sha256::new()
        .chain_update(&inner[34..])
        .chain_update(name)
        .finalize();
    assert_eq!(inner[2..34], *hash);
    let obfuscation = &inner[42..74];
    let key = inner[76..].to_vec();
    let unique = Sha256::new()
        .chain_update(obfuscation)
        .chain_update(&key)
        .finalize();
    assert_eq!(public[48..], *unique);
    let mut text = text.clone();
    decrypt(&inner_key, &mut text);
    (key, text)
}

fn unprotect(seed: &[u8; 32], name: &[u8; 34], structure: &[u8]) -> Vec<u8> {
    let (integrity, content) = structure[2..].split_at(32);
    let key = kdfa::<32>(seed, INTEGRITY, &[]);
    let mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).unwrap();
    mac.chain_update(content)
        .chain_update(name)
        .verify_slice(integrity)
        .unwrap();
    let mut content = content.to_vec();
    decrypt(&kdfa(seed, STORAGE, name), &mut content);
    content
}

fn decrypt(key: &[u8; 16], data: &mut [u8]) {
    cfb_mode::Decryptor::<Aes128>::new(key.into(), &[0; 16].into()).decrypt(data);
}

proptest! {
    #[test]
    fn what_is_wrapped_is_what_comes_out(
        rsa_parents in any::<bool>(),
        key in proptest::collection::vec(any::<u8>(), 1..=MAX_KEY_BYTES),
        resource in "[ -~]{0,163}",
    ) {
        let (opened, text) = open(rsa_parents, &blob(rsa_parents, &key, &resource).unwrap());
        prop_assert_eq!(opened, key);
        prop_assert_eq!(text, resource.as_bytes());
    }
}
