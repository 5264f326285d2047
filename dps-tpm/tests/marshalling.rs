//! What the service reads and writes of a TPM's structures, beside two independent implementations:
//! the TPM software stack (`tss-esapi`), and `tpm2-protocol`.
#![allow(clippy::unwrap_used, reason = "a test that fails says so")]

use dps_core::crypto::AWS_LC;
use dps_core::id::SecretBytes;
use dps_core::tpm::{PublicKey, wrap};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use sha2::{Digest as _, Sha256};
use tpm2_protocol::data::{
    Tpm2bData, Tpm2bEncryptedSecret, Tpm2bIdObject, Tpm2bPrivate, Tpm2bPublic,
};
use tpm2_protocol::{TpmMarshal, TpmUnmarshal, TpmWriter};
use tss_esapi::attributes::ObjectAttributes;
use tss_esapi::interface_types::algorithm::{HashingAlgorithm, SymmetricMode};
use tss_esapi::interface_types::ecc::EccCurve;
use tss_esapi::interface_types::key_bits::{AesKeyBits, RsaKeyBits};
use tss_esapi::structures::{
    Digest, EccParameter, EccPoint, EccScheme, HashScheme, KeyDerivationFunctionScheme, Public,
    PublicEccParameters, PublicKeyRsa, PublicRsaParameters, RsaExponent, RsaScheme,
    SymmetricDefinitionObject,
};
use tss_esapi::traits::{Marshall, UnMarshall};

/// The base point of P-256: SEC 2, section 2.4.2.
const POINT: [[u8; 32]; 2] = [
    [
        0x6b, 0x17, 0xd1, 0xf2, 0xe1, 0x2c, 0x42, 0x47, 0xf8, 0xbc, 0xe6, 0xe5, 0x63, 0xa4, 0x40,
        0xf2, 0x77, 0x03, 0x7d, 0x81, 0x2d, 0xeb, 0x33, 0xa0, 0xf4, 0xa1, 0x39, 0x45, 0xd8, 0x98,
        0xc2, 0x96,
    ],
    [
        0x4f, 0xe3, 0x42, 0xe2, 0xfe, 0x1a, 0x7f, 0x9b, 0x8e, 0xe7, 0xeb, 0x4a, 0x7c, 0x0f, 0x9e,
        0x16, 0x2b, 0xce, 0x33, 0x57, 0x6b, 0x31, 0x5e, 0xce, 0xcb, 0xb6, 0x40, 0x68, 0x37, 0xbf,
        0x51, 0xf5,
    ],
];

/// fixedTPM, fixedParent, restricted, decrypt.
const PARENT: u32 = 0x0003_0012;
const SIGN: u32 = 0x0004_0000;

const AES_128_CFB: SymmetricDefinitionObject = SymmetricDefinitionObject::AES_128_CFB;

/// The attributes that TPM 2.0 has.
const ATTRIBUTES: [u32; 7] = [0x04, 0x20, 0x40, 0x80, 0x400, 0x800, 0x1_0000];

/// `usual`, and now and then something else.
fn mostly<T: Clone + std::fmt::Debug + 'static>(
    usual: T,
    others: Vec<T>,
) -> impl Strategy<Value = T> {
    prop_oneof![12 => Just(usual), 1 => select(others)]
}

fn attributes() -> impl Strategy<Value = u32> {
    let any = proptest::sample::subsequence(&ATTRIBUTES[..], 0..ATTRIBUTES.len());
    let base = mostly(
        PARENT,
        vec![PARENT | SIGN, PARENT ^ 0x2, PARENT ^ 0x10, SIGN],
    );
    (base, any).prop_map(|(base, more)| more.iter().fold(base, |all, one| all | one))
}

fn symmetric() -> impl Strategy<Value = SymmetricDefinitionObject> {
    mostly(
        AES_128_CFB,
        vec![
            SymmetricDefinitionObject::AES_256_CFB,
            SymmetricDefinitionObject::Aes {
                key_bits: AesKeyBits::Aes128,
                mode: SymmetricMode::Ctr,
            },
            SymmetricDefinitionObject::Null,
        ],
    )
}

/// What both kinds of key have.
fn common() -> impl Strategy<Value = (ObjectAttributes, HashingAlgorithm, Digest)> {
    let hash = mostly(
        HashingAlgorithm::Sha256,
        vec![HashingAlgorithm::Sha1, HashingAlgorithm::Sha384],
    );
    let policy = select(&[0, 20, 32, 48, 64][..]).prop_map(|length| vec![7; length]);
    (attributes(), hash, policy).prop_map(|(attributes, hash, policy)| {
        (attributes.into(), hash, Digest::try_from(policy).unwrap())
    })
}

fn rsa() -> impl Strategy<Value = Public> {
    let scheme = mostly(
        RsaScheme::Null,
        vec![
            RsaScheme::RsaEs,
            RsaScheme::Oaep(HashScheme::new(HashingAlgorithm::Sha256)),
        ],
    );
    let bits = mostly(
        RsaKeyBits::Rsa2048,
        vec![RsaKeyBits::Rsa1024, RsaKeyBits::Rsa3072],
    );
    let exponent = prop_oneof![12 => select(&[0_u32, 65537][..]), 1 => select(&[3, 65539][..])];
    let modulus = prop_oneof![
        12 => proptest::collection::vec(any::<u8>(), 256).prop_map(|mut modulus| {
            modulus[0] |= 0x80;
            modulus[255] |= 1;
            modulus
        }),
        1 => proptest::collection::vec(any::<u8>(), 0..=384),
    ];
    (common(), symmetric(), scheme, bits, exponent, modulus).prop_map(
        |((attributes, hash, policy), symmetric, scheme, bits, exponent, modulus)| Public::Rsa {
            object_attributes: attributes,
            name_hashing_algorithm: hash,
            auth_policy: policy,
            parameters: PublicRsaParameters::new(
                symmetric,
                scheme,
                bits,
                RsaExponent::create(exponent).unwrap(),
            ),
            unique: PublicKeyRsa::try_from(modulus).unwrap(),
        },
    )
}

fn ecc() -> impl Strategy<Value = Public> {
    let curve = mostly(
        EccCurve::NistP256,
        vec![EccCurve::NistP384, EccCurve::NistP521],
    );
    let scheme = mostly(
        EccScheme::Null,
        vec![EccScheme::EcDh(HashScheme::new(HashingAlgorithm::Sha256))],
    );
    let kdf = mostly(
        KeyDerivationFunctionScheme::Null,
        vec![KeyDerivationFunctionScheme::Kdf1Sp800_108(HashScheme::new(
            HashingAlgorithm::Sha256,
        ))],
    );
    // Of the curve, or nearly.
    let point = prop_oneof![
        12 => Just(POINT.map(|coordinate| coordinate.to_vec())),
        1 => (any::<Index>(), any::<bool>(), 1..=u8::MAX).prop_map(|(at, of_y, change)| {
            let mut point = POINT.map(|coordinate| coordinate.to_vec());
            *at.get_mut(&mut point[usize::from(of_y)]) ^= change;
            point
        }),
        1 => Just([vec![0; 31], POINT[1].to_vec()]),
    ];
    (common(), symmetric(), scheme, curve, kdf, point).prop_map(
        |((attributes, hash, policy), symmetric, scheme, curve, kdf, point)| {
            let [x, y] = point.map(|coordinate| EccParameter::try_from(coordinate).unwrap());
            Public::Ecc {
                object_attributes: attributes,
                name_hashing_algorithm: hash,
                auth_policy: policy,
                parameters: PublicEccParameters::new(symmetric, scheme, curve, kdf),
                unique: EccPoint::new(x, y),
            }
        },
    )
}

/// Whether it is a key that the service wraps for, said once more and of typed fields.
fn is_parent(public: &Public) -> bool {
    let attributes = public.object_attributes();
    let is_parent = attributes.fixed_tpm()
        && attributes.fixed_parent()
        && attributes.restricted()
        && attributes.decrypt()
        && !attributes.sign_encrypt()
        && public.name_hashing_algorithm() == HashingAlgorithm::Sha256
        && public.symmetric_algorithm() == Some(AES_128_CFB);
    let is_usual = match public {
        Public::Rsa {
            parameters, unique, ..
        } => {
            parameters.rsa_scheme() == RsaScheme::Null
                && parameters.key_bits() == RsaKeyBits::Rsa2048
                && [0, 65537].contains(&parameters.exponent().value())
                && unique.len() == 256
                && unique[0] >= 0x80
                && unique[255] % 2 == 1
        }
        Public::Ecc {
            parameters, unique, ..
        } => {
            *parameters
                == PublicEccParameters::new(
                    AES_128_CFB,
                    EccScheme::Null,
                    EccCurve::NistP256,
                    KeyDerivationFunctionScheme::Null,
                )
                && [unique.x(), unique.y()].map(|coordinate| coordinate.len()) == [32, 32]
        }
        _ => false,
    };
    is_parent && is_usual
}

fn sized(area: &[u8]) -> Vec<u8> {
    let size = u16::try_from(area.len()).unwrap();
    [&size.to_be_bytes(), area].concat()
}

/// What `tpm2-protocol` makes of a structure at the beginning of `bytes`, and what is left of them.
fn again<T: TpmUnmarshal + TpmMarshal>(bytes: &[u8]) -> (Vec<u8>, &[u8]) {
    let (value, rest) = T::unmarshal(bytes).unwrap();
    let mut buffer = [0; 4096];
    let mut writer = TpmWriter::new(&mut buffer);
    value.marshal(&mut writer).unwrap();
    (writer.as_bytes().to_vec(), rest)
}

/// Both others read all of it, and write the same.
fn agree(key: &[u8]) {
    let public = Public::unmarshall(&key[2..]).unwrap();
    assert_eq!(public.marshall().unwrap(), key[2..]);
    let (written, rest) = again::<Tpm2bPublic>(key);
    assert_eq!((&written[..], rest), (key, &[][..]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn of_what_the_stack_writes_the_service_takes_parents_alone(public in prop_oneof![rsa(), ecc()]) {
        let key = sized(&public.marshall().unwrap());
        let parsed = PublicKey::parse(&key);
        prop_assert_eq!(parsed.is_ok(), is_parent(&public), "{:?}", parsed);
        if let Ok(parsed) = parsed {
            prop_assert_eq!(parsed.bytes(), &key);
            prop_assert_eq!(&parsed.name()[2..], &Sha256::digest(&key[2..])[..]);
            agree(&key);
        }
    }

    /// Bytes are changed, taken out and put in; the size in front is right all the same.
    #[test]
    fn what_the_service_takes_the_others_read_alike(
        public in prop_oneof![rsa(), ecc()],
        at in any::<Index>(),
        remove in 0..4_usize,
        insert in proptest::collection::vec(any::<u8>(), 0..4),
    ) {
        let mut area = public.marshall().unwrap();
        let at = at.index(area.len());
        let end = (at + remove).min(area.len());
        area.splice(at..end, insert);
        let key = sized(&area);
        if PublicKey::parse(&key).is_ok() {
            agree(&key);
        }
    }

    #[test]
    fn what_the_service_wraps_is_six_structures_in_a_row(
        endorsement in prop_oneof![rsa(), ecc()].prop_filter("a parent", is_parent),
        storage in prop_oneof![rsa(), ecc()].prop_filter("a parent", is_parent),
        key in proptest::collection::vec(any::<u8>(), 1..=64),
        resource in "[a-z0-9/-]{0,64}",
    ) {
        let [endorsement, storage] = [endorsement, storage]
            .map(|public| PublicKey::parse(&sized(&public.marshall().unwrap())).unwrap());
        let key = SecretBytes::new(key);
        // A modulus at random may be smaller than what is to be encrypted; no real one is.
        let Ok(blob) = wrap(&AWS_LC, &endorsement, &storage, &key, &resource) else {
            return Ok(());
        };
        let (mut written, mut rest) = (Vec::new(), &blob[..]);
        let readers = [
            again::<Tpm2bIdObject>,
            again::<Tpm2bEncryptedSecret>,
            again::<Tpm2bPrivate>,
            again::<Tpm2bEncryptedSecret>,
            again::<Tpm2bPublic>,
            again::<Tpm2bData>,
        ];
        for read in readers {
            let (part, after) = read(rest);
            written.extend(part);
            rest = after;
        }
        prop_assert!(rest.is_empty());
        prop_assert_eq!(written, blob);
    }
}
