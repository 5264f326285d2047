use proptest::prelude::*;
use tpm2_protocol::data::{Tpm2bPublic, TpmAlgId};
use tpm2_protocol::{TpmMarshal, TpmUnmarshal, TpmWriter};

use super::super::samples::{POINT, ecc, modulus, rsa, sized};
use super::*;

/// Endorsement keys and storage root keys, RSA and ECC.
fn keys() -> [Vec<u8>; 4] {
    [
        rsa(true, &modulus()),
        rsa(false, &modulus()),
        ecc(true, &POINT),
        ecc(false, &POINT),
    ]
}

/// `key` with other bytes from `at` on.
fn with(mut key: Vec<u8>, at: usize, bytes: &[u8]) -> Vec<u8> {
    key[at..at + bytes.len()].copy_from_slice(bytes);
    key
}

fn refused(key: &[u8]) -> PublicKeyError {
    PublicKey::parse(key).unwrap_err()
}

#[test]
fn keys_of_the_usual_templates_are_taken_as_they_are() {
    for (key, length) in keys().iter().zip([316, 284, 124, 92]) {
        assert_eq!(key.len(), length);
        let parsed = PublicKey::parse(key).unwrap();
        assert_eq!(parsed.bytes(), key);
        assert_eq!(parsed.name()[..2], [0x00, 0x0b]);
        assert_eq!(parsed.name()[2..], *Sha256::digest(&key[2..]));
    }
}

#[test]
fn the_exponent_may_be_spelled_out_and_makes_another_name() {
    let spelled = with(rsa(false, &modulus()), 22, &EXPONENT.to_be_bytes());
    let spelled = PublicKey::parse(&spelled).unwrap();
    let usual = PublicKey::parse(&rsa(false, &modulus())).unwrap();
    assert_ne!(spelled.name(), usual.name());
    assert_ne!(spelled, usual);
    assert_eq!(spelled.modulus(), usual.modulus());
}

#[test]
fn a_key_is_shown_by_kind_and_name_alone() {
    let rsa = format!("{:?}", PublicKey::parse(&keys()[0]).unwrap());
    assert!(rsa.starts_with("PublicKey(RSA-2048, 000b"), "{rsa}");
    assert_eq!(rsa.len(), "PublicKey(RSA-2048, ".len() + 68 + 1);
    let ecc = format!("{:?}", PublicKey::parse(&keys()[3]).unwrap());
    assert!(ecc.starts_with("PublicKey(P-256, 000b"), "{ecc}");
}

#[test]
fn a_key_cut_short_is_refused_at_every_byte() {
    for key in keys() {
        for length in 0..key.len() {
            let cut = &key[..length];
            match refused(cut) {
                PublicKeyError::Truncated { within: "size" } => assert!(length < 2),
                PublicKeyError::Size { said, found } => {
                    assert_eq!((said, found), (key.len() - 2, length - 2));
                }
                other => panic!("{length}: {other:?}"),
            }
            // Neither does it help to say so.
            if length >= 2 {
                let error = refused(&sized(cut.to_vec()));
                assert!(
                    matches!(error, PublicKeyError::Truncated { .. }),
                    "{length}: {error:?}"
                );
            }
        }
    }
}

#[test]
fn a_key_that_goes_on_is_refused() {
    for mut key in keys() {
        key.push(0);
        let found = key.len() - 2;
        let said = found - 1;
        assert_eq!(refused(&key), PublicKeyError::Size { said, found });
        assert_eq!(refused(&sized(key)), PublicKeyError::Trailing { bytes: 1 });
    }
}

#[test]
fn only_so_many_bytes_are_looked_at() {
    assert_eq!(
        refused(&[0; MAX_PUBLIC_KEY_BYTES + 1]),
        PublicKeyError::TooLong
    );
    let mut longest = rsa(false, &modulus());
    longest.splice(10..12, [0, 64]);
    longest.splice(12..12, [7; 64]);
    let longest = sized(longest);
    assert_eq!(longest.len(), MAX_PUBLIC_KEY_BYTES);
    assert!(PublicKey::parse(&longest).is_ok());
}

#[test]
fn only_rsa_and_ecc_with_sha_256_are_taken() {
    for key in keys() {
        // KEYEDHASH, SYMCIPHER, and none.
        for found in [0x0008_u16, 0x0025, 0x0000] {
            let other = with(key.clone(), 2, &found.to_be_bytes());
            assert_eq!(refused(&other), PublicKeyError::Type { found });
        }
        // SHA-1, SHA-384, NULL.
        for found in [0x0004_u16, 0x000c, 0x0010] {
            let other = with(key.clone(), 4, &found.to_be_bytes());
            assert_eq!(refused(&other), PublicKeyError::NameAlgorithm { found });
        }
    }
}

#[test]
fn only_restricted_decryption_keys_that_stay_are_taken() {
    for key in keys() {
        let usual = u32::from_be_bytes(key[6..10].try_into().unwrap());
        for bit in 0..32 {
            let found = usual ^ (1 << bit);
            let other = PublicKey::parse(&with(key.clone(), 6, &found.to_be_bytes()));
            match bit {
                // fixedTPM, fixedParent, restricted, decrypt; sign.
                1 | 4 | 16 | 17 | 18 => {
                    assert_eq!(other, Err(PublicKeyError::Attributes { found }), "{bit}");
                }
                _ => assert!(other.is_ok(), "{bit}"),
            }
        }
    }
}

#[test]
fn a_policy_is_no_longer_than_a_digest() {
    for found in [65_usize, 300, 0xffff] {
        let size = u16::try_from(found).unwrap().to_be_bytes();
        let other = with(rsa(true, &modulus()), 10, &size);
        assert_eq!(refused(&other), PublicKeyError::Policy { found });
    }
}

#[test]
fn only_aes_128_in_cfb_protects() {
    for (key, at) in keys().into_iter().zip([44, 12, 44, 12]) {
        for [algorithm, bits, mode] in [
            [0x0006_u16, 256, 0x0043],
            [0x0006, 128, 0x0040],
            [0x0026, 128, 0x0043],
        ] {
            let mut bytes = Vec::new();
            for field in [algorithm, bits, mode] {
                bytes.extend(field.to_be_bytes());
            }
            assert_eq!(
                refused(&with(key.clone(), at, &bytes)),
                PublicKeyError::Symmetric {
                    algorithm,
                    bits,
                    mode
                }
            );
        }
        let mut none = key;
        none.splice(at..at + 6, [0x00, 0x10]);
        assert_eq!(
            refused(&sized(none)),
            PublicKeyError::Symmetric {
                algorithm: 0x0010,
                bits: 0,
                mode: 0
            }
        );
    }
}

#[test]
fn a_scheme_is_refused() {
    for (key, at) in keys().into_iter().zip([50, 18, 50, 18]) {
        let found = 0x0017;
        assert_eq!(
            refused(&with(key, at, &[0x00, 0x17])),
            PublicKeyError::Scheme { found }
        );
    }
}

#[test]
fn rsa_has_2048_bits_and_the_usual_exponent() {
    let key = rsa(false, &modulus());
    for found in [1024_u16, 3072] {
        let other = with(key.clone(), 20, &found.to_be_bytes());
        assert_eq!(refused(&other), PublicKeyError::KeyBits { found });
    }
    for found in [1_u32, 3, 65536, 65539] {
        let other = with(key.clone(), 22, &found.to_be_bytes());
        assert_eq!(refused(&other), PublicKeyError::Exponent { found });
    }
    for size in [0_u16, 128, 255, 257] {
        let other = with(key.clone(), 26, &size.to_be_bytes());
        assert_eq!(refused(&other), PublicKeyError::Modulus);
    }
    let small = with(key.clone(), 28, &[0x7f]);
    assert_eq!(refused(&small), PublicKeyError::Modulus);
    let even = with(key.clone(), key.len() - 1, &[0x10]);
    assert_eq!(refused(&even), PublicKeyError::Modulus);
}

#[test]
fn ecc_is_a_point_on_p_256_without_key_derivation() {
    let key = ecc(false, &POINT);
    for found in [0x0001_u16, 0x0004, 0x0020] {
        let other = with(key.clone(), 20, &found.to_be_bytes());
        assert_eq!(refused(&other), PublicKeyError::Curve { found });
    }
    assert_eq!(
        refused(&with(key.clone(), 22, &[0x00, 0x20])),
        PublicKeyError::Kdf { found: 0x0020 }
    );
    for at in [24, 58] {
        for size in [0, 31, 33, 66] {
            let other = with(key.clone(), at, &[0, size]);
            assert_eq!(refused(&other), PublicKeyError::Point);
        }
    }
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let said = |key: &[u8]| refused(key).to_string();
    assert_eq!(
        said(&with(rsa(false, &modulus()), 6, &[0, 4, 4, 0x72])),
        "the key has attributes 0x00040472: fixedTPM, fixedParent, restricted and decrypt must be \
         set, and sign must not"
    );
    assert_eq!(
        said(&rsa(false, &modulus())[..200]),
        "the size in front of the key says 282 bytes, and 198 follow"
    );
    assert_eq!(
        said(&sized(rsa(false, &modulus())[..200].to_vec())),
        "the key ends within its modulus"
    );
}

/// Keys with a few changed bytes, and cut or prolonged.
fn damaged() -> impl Strategy<Value = Vec<u8>> {
    let changes = proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4);
    let length = prop_oneof![3 => Just(None), 1 => (0..400_usize).prop_map(Some)];
    (0..4_usize, changes, length, any::<bool>()).prop_map(|(which, changes, length, honest)| {
        let mut key = keys()[which].clone();
        for (at, byte) in changes {
            let at = at.index(key.len());
            key[at] = byte;
        }
        if let Some(length) = length {
            key.resize(length.max(2), 0);
        }
        if honest { sized(key) } else { key }
    })
}

/// What `tpm2-protocol` makes of a key: its type, and the bytes it writes for it.
fn elsewhere(bytes: &[u8]) -> Option<(TpmAlgId, Vec<u8>)> {
    let (key, rest) = Tpm2bPublic::unmarshal(bytes).ok()?;
    let mut buffer = [0; 512];
    let mut writer = TpmWriter::new(&mut buffer);
    key.marshal(&mut writer).ok()?;
    rest.is_empty()
        .then(|| (key.object_type, writer.as_bytes().to_vec()))
}

#[test]
fn the_usual_keys_are_the_same_elsewhere() {
    for (key, kind) in
        keys()
            .iter()
            .zip([TpmAlgId::Rsa, TpmAlgId::Rsa, TpmAlgId::Ecc, TpmAlgId::Ecc])
    {
        assert_eq!(elsewhere(key), Some((kind, key.clone())));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_a_key_or_an_error(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let _ = PublicKey::parse(&bytes);
    }

    #[test]
    fn a_damaged_key_is_a_key_or_an_error(bytes in damaged()) {
        if let Ok(key) = PublicKey::parse(&bytes) {
            prop_assert_eq!(key.bytes(), &bytes);
            let (_, written) = elsewhere(&bytes).expect("taken elsewhere too");
            prop_assert_eq!(written, bytes);
        }
    }
}
