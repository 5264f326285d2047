//! What every provider owes of AES-256-GCM.

use super::*;

/// Test case 16 of the GCM specification (McGrew and Viega, *The Galois/Counter Mode of Operation*,
/// appendix B): key, nonce, additional data, plaintext, ciphertext, tag.
const KEY: &str = "feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308";
const NONCE: &str = "cafebabefacedbaddecaf888";
const ADDITIONAL: &str = "feedfacedeadbeeffeedfacedeadbeefabaddad2";
const PLAIN: &str = "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72\
    1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
const SEALED: &str = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa\
    8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662\
    76fc6ece0f4e1768cddf8853bb2d551b";

fn bytes(hex: &str) -> Vec<u8> {
    let digit = |n: usize| u8::from_str_radix(&hex[n..n + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

fn aeads() -> Vec<&'static dyn Aead> {
    let all = [
        #[cfg(feature = "aws-lc")]
        AWS_LC.aead,
        #[cfg(feature = "ring")]
        RING.aead,
    ];
    all.into_iter().map(Option::unwrap).collect()
}

#[test]
fn what_the_specification_seals_opens() {
    for aead in aeads() {
        let key = aead.key(&bytes(KEY).try_into().unwrap()).unwrap();
        let nonce = bytes(NONCE).try_into().unwrap();
        let mut data = bytes(SEALED);
        key.open(nonce, &bytes(ADDITIONAL), &mut data).unwrap();
        assert_eq!(data[..data.len() - TAG_BYTES], bytes(PLAIN));
    }
}

#[test]
fn what_one_provider_seals_every_provider_opens() {
    for sealing in aeads() {
        for opening in aeads() {
            for plain in [&b""[..], b"x", &[7; 1000]] {
                let mut data = plain.to_vec();
                let sealed = sealing.key(&[1; 32]).unwrap().seal(b"here", &mut data);
                let sealed = sealed.unwrap();
                assert!(plain.len() < 16 || data != plain);
                data.extend_from_slice(&sealed.tag);
                let key = opening.key(&[1; 32]).unwrap();
                let mut changed = data.clone();
                assert!(key.open(sealed.nonce, b"there", &mut changed).is_err());
                key.open(sealed.nonce, b"here", &mut data).unwrap();
                assert_eq!(&data[..plain.len()], plain);
            }
        }
    }
}

#[test]
fn a_nonce_is_drawn_for_each_use() {
    for aead in aeads() {
        let key = aead.key(&[1; 32]).unwrap();
        let nonces: std::collections::BTreeSet<_> = (0..1000)
            .map(|_| key.seal(b"", &mut []).unwrap().nonce)
            .collect();
        assert_eq!(nonces.len(), 1000);
    }
}

#[test]
fn what_is_too_short_for_a_tag_does_not_open() {
    for aead in aeads() {
        let key = aead.key(&[1; 32]).unwrap();
        for length in 0..TAG_BYTES {
            let mut short = vec![0; length];
            assert!(key.open([0; NONCE_BYTES], b"", &mut short).is_err());
        }
    }
}

#[test]
fn a_key_shows_nothing_of_itself() {
    for aead in aeads() {
        let shown = format!("{:?}", aead.key(&[0xa5; 32]).unwrap());
        assert!(!shown.contains("165") && !shown.contains("a5"), "{shown}");
    }
}

/// The test of the feature `fips` is that this holds either way.
#[cfg(feature = "aws-lc")]
#[test]
fn aws_lc_reports_itself_as_it_was_built() {
    assert_eq!(AWS_LC.fips(), cfg!(feature = "fips"));
}

#[cfg(feature = "ring")]
#[test]
fn ring_is_no_module_of_fips() {
    assert!(!RING.fips());
}
