//! What a TPM does with a key that is wrapped for it, and with what is not.

use dps_tpm::simulator::Simulator;
use dps_tpm::{BlobError, Error, Keys, Tpm, token};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use std::time::{Duration, UNIX_EPOCH};

use crate::another_tpm::{AnotherTpm, sized};
use crate::keys::{ALL, ECC};

/// A device and somebody who wraps keys for it.
struct Pair {
    tpm: Tpm,
    service: AnotherTpm,
    simulator: Simulator,
}

impl Pair {
    fn new(keys: Keys) -> Self {
        let simulator = Simulator::start().unwrap();
        Self {
            tpm: Tpm::open(&simulator.name(), keys).unwrap(),
            service: AnotherTpm::new(),
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
        let mut pair = Pair::new(keys);
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
        let mut pair = Pair::new(keys);
        let own = pair.wrapped(&[9; 32]);
        pair.tpm.activate(&own).unwrap();
        let mut other = Pair::new(keys);
        let [endorsement, storage] = [
            pair.tpm.endorsement_key().unwrap(),
            pair.tpm.storage_root_key().unwrap(),
        ];
        let theirs = [
            other.tpm.endorsement_key().unwrap(),
            other.tpm.storage_root_key().unwrap(),
        ];
        let service = &mut other.service;
        for foreign in [
            service.wrap(&theirs[0], &theirs[1], &[1; 32]),
            service.wrap(&theirs[0], &storage, &[1; 32]),
            service.wrap(&endorsement, &theirs[1], &[1; 32]),
            service.wrap(&storage, &endorsement, &[1; 32]),
        ] {
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

#[test]
fn each_byte_of_the_wraps_counts() {
    let mut pair = Pair::new(ECC);
    let blob = pair.wrapped(&[1; 32]);
    pair.tpm.activate(&blob).unwrap();
    // All but the last part, which is for nobody here.
    let data = sized(b"some data").len();
    for at in 0..blob.len() - data {
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

#[test]
fn a_token_is_in_the_form_of_the_device_sdks() {
    let mut pair = Pair::new(ECC);
    let key = [1; 32];
    let blob = pair.wrapped(&key);
    pair.tpm.activate(&blob).unwrap();
    let expires = UNIX_EPOCH + Duration::from_millis(1_700_000_000_999);
    let token = token::sign(&mut pair.tpm, "0ne00000001", "Press:1", expires).unwrap();
    let resource = "0ne00000001%2Fregistrations%2FPress%3A1";
    let (begin, end) = token.split_once("&sig=").unwrap();
    assert_eq!(begin, format!("SharedAccessSignature sr={resource}"));
    let (signature, end) = end.split_once('&').unwrap();
    assert_eq!(end, "se=1700000000&skn=registration");
    let signed = hmac(&key, format!("{resource}\n1700000000").as_bytes());
    let base64 = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, signed);
    let percent = base64
        .replace('+', "%2B")
        .replace('/', "%2F")
        .replace('=', "%3D");
    assert_eq!(signature, percent);
}
