//! What a TPM does with a key that is wrapped for it, and with what is not.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use dps_core::crypto::AWS_LC;
use dps_core::id::SecretBytes;
use dps_core::tpm::{MAX_KEY_BYTES, MAX_RESOURCE_BYTES, PublicKey, wrap};
use dps_tpm::simulator::Simulator;
use dps_tpm::{BlobError, Error, Keys, Tpm, token};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::another_tpm::{AnotherTpm, sized};
use crate::keys::{ALL, ECC};

/// Somebody who wraps keys for devices.
enum Service {
    /// The service that this project is about.
    Ours,
    /// None of our code.
    AnotherTpm(Box<AnotherTpm>),
}

impl Service {
    fn both() -> [Self; 2] {
        [Self::Ours, Self::AnotherTpm(Box::new(AnotherTpm::new()))]
    }

    /// `key`, wrapped for the TPM with these two keys.
    fn wrap(&mut self, endorsement: &[u8], storage: &[u8], key: &[u8]) -> Vec<u8> {
        match self {
            Self::Ours => {
                let [endorsement, storage] =
                    [endorsement, storage].map(|key| PublicKey::parse(key).unwrap());
                let key = SecretBytes::new(key.to_vec());
                wrap(&AWS_LC, &endorsement, &storage, &key, RESOURCE).unwrap()
            }
            Self::AnotherTpm(tpm) => tpm.wrap(endorsement, storage, key),
        }
    }
}

const RESOURCE: &str = "0ne00000001/registrations/press-1";

/// A device and who wraps keys for it.
struct Pair {
    tpm: Tpm,
    service: Service,
    simulator: Simulator,
}

impl Pair {
    fn new(keys: Keys) -> Self {
        Self::with(keys, Service::Ours)
    }

    fn with(keys: Keys, service: Service) -> Self {
        let simulator = Simulator::start().unwrap();
        Self {
            tpm: Tpm::open(&simulator.name(), keys).unwrap(),
            service,
            simulator,
        }
    }

    fn wrapped(&mut self, key: &[u8]) -> Vec<u8> {
        let endorsement = self.tpm.endorsement_key().unwrap();
        let storage = self.tpm.storage_root_key().unwrap();
        self.service.wrap(&endorsement, &storage, key)
    }
}

fn hmac(key: &[u8], data: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(data);
    mac.finalize().into_bytes().into()
}

#[test]
fn the_tpm_signs_with_the_key_that_was_wrapped() {
    for keys in ALL {
        for service in Service::both() {
            let mut pair = Pair::with(keys, service);
            for key in [vec![1; 32], vec![2; 64]] {
                let blob = pair.wrapped(&key);
                pair.tpm.activate(&blob).unwrap();
                for data in [vec![], b"some data".to_vec(), vec![3; 1024]] {
                    let signed = pair.tpm.sign(&data).unwrap();
                    assert_eq!(signed, hmac(&key, &data), "{keys:?}");
                }
            }
        }
    }
}

#[test]
fn a_key_of_any_length_for_any_resource_is_taken_in() {
    for keys in ALL {
        let mut pair = Pair::new(keys);
        let parse = |key: Vec<u8>| PublicKey::parse(&key).unwrap();
        let endorsement = parse(pair.tpm.endorsement_key().unwrap());
        let storage = parse(pair.tpm.storage_root_key().unwrap());
        for length in 1..=MAX_KEY_BYTES {
            let key: Vec<u8> = (0..length).map(|at| at as u8).collect();
            let secret = SecretBytes::new(key.clone());
            let resource = "r".repeat(MAX_RESOURCE_BYTES * (length - 1) / (MAX_KEY_BYTES - 1));
            let blob = wrap(&AWS_LC, &endorsement, &storage, &secret, &resource).unwrap();
            pair.tpm.activate(&blob).unwrap();
            assert_eq!(pair.tpm.sign(b"data").unwrap(), hmac(&key, b"data"));
        }
    }
}

#[test]
fn the_last_key_signs_also_when_the_tpm_is_opened_again() {
    let mut pair = Pair::new(ECC);
    for key in [[4; 32], [5; 32]] {
        let blob = pair.wrapped(&key);
        pair.tpm.activate(&blob).unwrap();
    }
    let Pair { tpm, simulator, .. } = pair;
    drop(tpm);
    let mut tpm = Tpm::open(&simulator.name(), ECC).unwrap();
    assert_eq!(tpm.sign(b"data").unwrap(), hmac(&[5; 32], b"data"));
}

#[test]
fn a_hundred_activations_leave_nothing_behind() {
    let mut pair = Pair::new(ECC);
    let blobs = [[6; 32], [7; 32]].map(|key| pair.wrapped(&key));
    for blob in blobs.iter().cycle().take(100) {
        pair.tpm.activate(blob).unwrap();
        pair.tpm.sign(b"data").unwrap();
    }
    assert_eq!(pair.tpm.sign(b"data").unwrap(), hmac(&[7; 32], b"data"));
}

#[test]
fn without_a_key_nothing_is_signed() {
    let mut pair = Pair::new(ECC);
    assert!(matches!(pair.tpm.sign(b"data"), Err(Error::NoKey)));
    let blob = pair.wrapped(&[8; 32]);
    pair.tpm.activate(&blob).unwrap();
    let error = pair.tpm.sign(&[0; 1025]).unwrap_err();
    assert!(matches!(error, Error::TooLong { bytes: 1025 }), "{error}");
    pair.tpm.clear(ECC).unwrap();
    assert!(matches!(pair.tpm.sign(b"data"), Err(Error::NoKey)));
}

#[test]
fn a_key_for_others_is_refused_and_the_one_before_stays() {
    for keys in ALL {
        for mut service in Service::both() {
            let mut pair = Pair::new(keys);
            let own = pair.wrapped(&[9; 32]);
            pair.tpm.activate(&own).unwrap();
            let other = Pair::new(keys);
            let [ours, theirs] = [&pair, &other].map(|pair| {
                let endorsement = pair.tpm.endorsement_key().unwrap();
                (endorsement, pair.tpm.storage_root_key().unwrap())
            });
            for (endorsement, storage) in [
                (&theirs.0, &theirs.1),
                (&theirs.0, &ours.1),
                (&ours.0, &theirs.1),
                // The right two, each in the place of the other.
                (&ours.1, &ours.0),
            ] {
                let foreign = service.wrap(endorsement, storage, &[1; 32]);
                let error = pair.tpm.activate(&foreign).unwrap_err();
                assert!(matches!(error, Error::NotForThisTpm(_)), "{error:?}");
                assert_eq!(pair.tpm.sign(b"data").unwrap(), hmac(&[9; 32], b"data"));
            }
            // Its storage root key is another one now.
            pair.tpm.clear(keys).unwrap();
            let error = pair.tpm.activate(&own).unwrap_err();
            assert!(matches!(error, Error::NotForThisTpm(_)), "{error:?}");
        }
    }
}

#[test]
fn each_byte_of_the_wraps_counts() {
    let mut pair = Pair::new(ECC);
    let blob = pair.wrapped(&[1; 32]);
    pair.tpm.activate(&blob).unwrap();
    // All but the last part, which is for nobody here, and its length.
    for at in 0..blob.len() - RESOURCE.len() - 2 {
        let mut broken = blob.clone();
        broken[at] ^= 1;
        let error = pair.tpm.activate(&broken).unwrap_err();
        assert!(
            matches!(error, Error::Blob(_) | Error::NotForThisTpm(_)),
            "byte {at}: {error:?}"
        );
    }
    assert_eq!(pair.tpm.sign(b"data").unwrap(), hmac(&[1; 32], b"data"));
}

#[test]
fn what_is_cut_or_goes_on_is_no_key() {
    let mut pair = Pair::new(ECC);
    let blob = pair.wrapped(&[1; 32]);
    for size in 0..blob.len() {
        let error = pair.tpm.activate(&blob[..size]).unwrap_err();
        assert!(
            matches!(error, Error::Blob(BlobError::Truncated(_))),
            "{size}: {error:?}"
        );
    }
    let error = pair.tpm.activate(&[&blob[..], &[0]].concat()).unwrap_err();
    assert!(
        matches!(error, Error::Blob(BlobError::Trailing(1))),
        "{error:?}"
    );
    assert!(matches!(pair.tpm.sign(b"data"), Err(Error::NoKey)));
}

/// Nothing but an HMAC key for SHA-256 is imported, whatever the service wraps.
#[test]
fn another_kind_of_key_is_refused_before_the_tpm_is_asked() {
    let mut pair = Pair::new(ECC);
    let blob = pair.wrapped(&[1; 32]);
    let mut rest = &blob[..];
    let parts: Vec<&[u8]> = (0..6)
        .map(|_| {
            let size = usize::from(u16::from_be_bytes([rest[0], rest[1]]));
            let (part, after) = rest.split_at(2 + size);
            rest = after;
            &part[2..]
        })
        .collect();
    let public = parts[4];
    let storage = pair.tpm.storage_root_key().unwrap();
    // Type, name algorithm, attributes, and 32 bytes of a policy stand before the scheme.
    let scheme = 2 + 2 + 4 + 2 + 32;
    let mut without_scheme = public.to_vec();
    without_scheme.splice(scheme..scheme + 4, [0, 0x10]);
    let mut with_sha1 = public.to_vec();
    with_sha1[scheme + 3] = 4;
    for other in [
        storage[2..].to_vec(),
        without_scheme,
        with_sha1,
        [public, &[0]].concat(),
        Vec::new(),
    ] {
        let mut parts = parts.clone();
        parts[4] = &other;
        let blob: Vec<u8> = parts.into_iter().flat_map(sized).collect();
        let error = pair.tpm.activate(&blob).unwrap_err();
        let is_noticed = matches!(error, Error::Blob(BlobError::Malformed("public area")));
        assert!(is_noticed, "{error:?}");
    }
}

#[test]
fn a_token_is_in_the_form_of_the_device_sdks() {
    let mut pair = Pair::new(ECC);
    let key = [1; 32];
    let blob = pair.wrapped(&key);
    pair.tpm.activate(&blob).unwrap();
    let expires = UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
    let for_service = token::sign(&mut pair.tpm, "0ne00000001", "Press:1", expires).unwrap();
    let for_hub = token::sign_for_hub(&mut pair.tpm, "h.example", "Press:1", expires).unwrap();
    let expected = |resource: &str| {
        let signed = hmac(&key, format!("{resource}\n1700000000").as_bytes());
        let signature = STANDARD
            .encode(signed)
            .replace('+', "%2B")
            .replace('/', "%2F")
            .replace('=', "%3D");
        format!("SharedAccessSignature sr={resource}&sig={signature}&se=1700000000")
    };
    let service = expected("0ne00000001%2Fregistrations%2FPress%3A1");
    assert_eq!(for_service, format!("{service}&skn=registration"));
    assert_eq!(for_hub, expected("h.example%2Fdevices%2FPress%3A1"));
}
