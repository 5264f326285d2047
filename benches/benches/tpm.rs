//! Challenging a device with a TPM: reading its two keys and wrapping a nonce for them, beside the bare
//! cryptography in it.
//!
//! `cargo bench --bench tpm`

#![allow(clippy::future_not_send, reason = "one thread")]

use std::hint::black_box;

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit as _};
use aws_lc_rs::agreement::{self, ECDH_P256, UnparsedPublicKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    KeySize, OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey, PublicKeyComponents,
};
use dps_benches::inside::{Inside, alternate};
use dps_benches::visits::SCOPE;
use dps_benches::{Bench, bench_main, table, world};
use dps_core::crypto::AWS_LC;
use dps_core::id::SecretBytes;
use dps_core::tpm::{KEY_BYTES, PublicKey, wrap};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

fn main() {
    bench_main(&[], async |bench, _| {
        rsa(bench);
        p256(bench);
        Ok(())
    });
}

fn pace(bench: &Bench, times: u64) -> (u64, usize) {
    if bench.quick() {
        (times / 50, 1)
    } else {
        (times, 9)
    }
}

/// What a device sends: an endorsement key and a storage root key.
struct Sent([Vec<u8>; 2]);

impl Sent {
    /// Of the algorithm `kind`. The tails are what follows the scheme, which RSA and ECC have of their own.
    fn new(kind: u16, tails: [Vec<u8>; 2]) -> Self {
        let [ek, srk] = tails;
        Self([
            public_area(kind, 0x0003_00b2, &[0x83; 32], &ek),
            public_area(kind, 0x0003_0472, &[], &srk),
        ])
    }

    fn parse(&self) -> [PublicKey; 2] {
        let parse = |bytes: &Vec<u8>| PublicKey::parse(bytes).expect("a key of the run");
        [parse(&self.0[0]), parse(&self.0[1])]
    }

    /// What an unsigned request costs: all of it is done for whoever asks.
    fn challenge(&self, nonce: &SecretBytes, resource: &str) {
        let [ek, srk] = self.parse();
        black_box(wrap(&AWS_LC, &ek, &srk, nonce, resource).expect("a blob"));
    }
}

/// A `TPM2B_PUBLIC` with AES-128-CFB and no scheme.
fn public_area(kind: u16, attributes: u32, policy: &[u8], tail: &[u8]) -> Vec<u8> {
    let size = |length: usize| u16::try_from(length).expect("short").to_be_bytes();
    let mut area = Vec::new();
    area.extend(kind.to_be_bytes());
    area.extend([0, 0x0b]);
    area.extend(attributes.to_be_bytes());
    area.extend(size(policy.len()));
    area.extend(policy);
    area.extend([0, 6, 0, 128, 0, 0x43, 0, 0x10]);
    area.extend(tail);
    [&size(area.len())[..], &area].concat()
}

fn resource() -> String {
    format!("{SCOPE}/registrations/{}", world::registration(1))
}

fn rsa(bench: &Bench) {
    let (times, rounds) = pace(bench, 3_000);
    let moduli = [0, 1].map(|_| modulus());
    let sent = Sent::new(
        0x0001,
        [0, 1].map(|at| [&[8, 0, 0, 0, 0, 0, 1, 0][..], &moduli[at]].concat()),
    );
    let keys = sent.parse();
    let ready = [0, 1].map(|at| key(&moduli[at]));
    let nonce = SecretBytes::from([7; KEY_BYTES]);
    let resource = resource();
    let mut all = [
        Inside::repeat("bare: two RSA-OAEP and the rest", times, |_| {
            for modulus in &moduli {
                oaep(&key(modulus));
            }
            symmetric(resource.len(), 282);
        }),
        Inside::repeat("challenge: keys parsed, nonce wrapped", times, |_| {
            sent.challenge(&nonce, &resource);
        }),
        Inside::repeat("of it: wrapping", times, |_| {
            let [ek, srk] = &keys;
            black_box(wrap(&AWS_LC, ek, srk, &nonce, &resource).expect("a blob"));
        }),
        Inside::repeat("of it: parsing both keys", times * 20, |_| {
            black_box(sent.parse());
        }),
        Inside::repeat("of bare: two RSA-OAEP", times, |_| {
            for modulus in &moduli {
                oaep(&key(modulus));
            }
        }),
        Inside::repeat("of bare: the rest", times * 10, |_| {
            symmetric(resource.len(), 282);
        }),
        Inside::repeat("two RSA-OAEP, the same two keys for ever", times, |_| {
            ready.iter().for_each(oaep);
        }),
    ];
    let found = alternate(&mut all, rounds);
    table::title(
        "A TPM with RSA keys, challenged",
        "Fixed: RSA-2048 for both keys, a nonce of 32 bytes, one device again and again. Bare makes its keys\n\
         from their moduli, as anybody must who meets a device for the first time. The rest: SHA-256, HMAC,\n\
         AES-CFB and randomness over as many bytes, without a structure around them.",
    );
    table::costs("challenge", &found);
    table::multiple(&found[1], &found[0], 1.3);
}

fn modulus() -> Vec<u8> {
    let private = PrivateDecryptingKey::generate(KeySize::Rsa2048).expect("a key");
    let public = private.public_key().as_der().expect("its public half");
    // It ends with the modulus and the exponent, as 02 03 01 00 01.
    let end = public.as_ref().len() - 5;
    public.as_ref()[end - 256..end].to_vec()
}

fn key(modulus: &[u8]) -> OaepPublicEncryptingKey {
    let components = PublicKeyComponents {
        n: modulus,
        e: &[1, 0, 1],
    };
    let key: PublicEncryptingKey = components.try_into().expect("a key");
    OaepPublicEncryptingKey::new(key).expect("a key")
}

fn oaep(key: &OaepPublicEncryptingKey) {
    let mut out = [0; 256];
    let label = Some(&b"DUPLICATE\0"[..]);
    let done = key.encrypt(&OAEP_SHA256_MGF1SHA256, &[7; 32], &mut out, label);
    assert!(done.is_ok());
    black_box(out);
}

/// Hashes, MACs and encrypts as many bytes as a challenge does, under as many keys.
///
/// * `named`: bytes of the storage root key, whose name must be known.
fn symmetric(resource: usize, named: usize) {
    let drawn: [u8; 112] = AWS_LC.random().expect("randomness");
    let mut data = [0; 512];
    data[..112].copy_from_slice(&drawn);
    // The name of the storage root key; the hash within the identity key, its name, the inner hash.
    for length in [named, 64, 80, 108] {
        black_box(Sha256::digest(&data[..length]));
    }
    // Two keys from each seed, and what they protect.
    for protected in [18, 110] {
        for context in [34, 0] {
            mac(&drawn[..32], &data[..16 + context]);
        }
        mac(&drawn[..32], &data[..protected + 34]);
    }
    // The keys of the two seeds, and the inner key for the key and for the text.
    let [credential, inner, outer] =
        [0, 1, 2].map(|at| Aes128::new_from_slice(&drawn[at..at + 16]).expect("16 bytes"));
    for (cipher, length) in [
        (&credential, 18),
        (&inner, 110),
        (&outer, 110),
        (&inner, resource),
    ] {
        let encryptor = cfb_mode::Encryptor::inner_iv_init(cipher, &[0; 16].into());
        encryptor.encrypt(&mut data[..length]);
    }
    black_box(data);
}

fn mac(key: &[u8], data: &[u8]) {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(data);
    black_box(mac.finalize().into_bytes());
}

fn p256(bench: &Bench) {
    let (times, rounds) = pace(bench, 1_500);
    let points = [0, 1].map(|_| {
        let private = agreement::PrivateKey::generate(&ECDH_P256).expect("a key");
        let public = private.compute_public_key().expect("its public half");
        public.as_ref().to_vec()
    });
    let tails = [0, 1].map(|at| {
        let (x, y) = points[at][1..].split_at(32);
        [&[0, 3, 0, 0x10, 0, 32], x, &[0, 32], y].concat()
    });
    let sent = Sent::new(0x0023, tails);
    let nonce = SecretBytes::from([7; KEY_BYTES]);
    let resource = resource();
    let mut all = [
        Inside::repeat("bare: two ECDH and the rest", times, |_| {
            points.iter().for_each(|point| agree(point));
            symmetric(resource.len(), 90);
        }),
        Inside::repeat("challenge: keys parsed, nonce wrapped", times, |_| {
            sent.challenge(&nonce, &resource);
        }),
        Inside::repeat("of it: parsing both keys", times, |_| {
            black_box(sent.parse());
        }),
    ];
    let found = alternate(&mut all, rounds);
    table::title(
        "A TPM with P-256 keys, challenged",
        "Fixed: as above, on P-256. Each ECDH makes a key of its own.",
    );
    table::costs("challenge", &found);
    table::multiple(&found[1], &found[0], 1.3);
}

fn agree(peer: &[u8]) {
    let ours = agreement::PrivateKey::generate(&ECDH_P256).expect("a key");
    let point = ours.compute_public_key().expect("its public half");
    let peer = UnparsedPublicKey::new(&ECDH_P256, peer);
    let seed = agreement::agree(&ours, peer, (), |shared| {
        let mut hash = Sha256::new();
        hash.update(shared);
        hash.update(&point.as_ref()[1..]);
        hash.update([0; 16]);
        Ok(hash.finalize())
    });
    black_box(seed.expect("a point"));
}
