//! Challenging a device with a TPM: reading its two keys and wrapping a nonce for them, beside the bare
//! cryptography in it.
//!
//! `cargo bench --bench tpm`

#![allow(clippy::future_not_send, reason = "one thread")]

use std::hint::black_box;
use std::net::Ipv4Addr;
use std::sync::Arc;

use aes::Aes128;
use aes::cipher::{InnerIvInit, KeyInit as _};
use aws_lc_rs::agreement::{self, ECDH_P256, UnparsedPublicKey};
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents,
};
use dps_benches::inside::{Inside, alternate};
use dps_benches::visits::SCOPE;
use dps_benches::{Bench, bench_main, table, world};
use dps_core::access::Ingress;
use dps_core::admin::Admin;
use dps_core::api::{Authentication, DeviceApi, DeviceHello, Origin, Transport};
use dps_core::attest::Evidence;
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::{Attestation, Enrollment, Subject};
use dps_core::id::SecretBytes;
use dps_core::store::Store;
use dps_core::time::{Clock, SystemClock};
use dps_core::tpm::{KEY_BYTES, PublicKey, TpmKeys, wrap};
use dps_store_memory::MemoryStore;
use dps_testkit::run::block_on;
use dps_testkit::tpm::{Kind, SoftTpm};
use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};

fn main() {
    bench_main(&[], async |bench, _| {
        let device = Device::new(Kind::Rsa);
        rsa(bench, &device);
        p256(bench, &Device::new(Kind::Ecc));
        requests(bench, &device);
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

/// A device with a TPM, and what is wrapped for it.
struct Device {
    keys: TpmKeys,
    nonce: SecretBytes,
    resource: String,
}

impl Device {
    fn new(kind: Kind) -> Self {
        Self {
            keys: SoftTpm::new(kind).keys(),
            nonce: SecretBytes::from([7; KEY_BYTES]),
            resource: format!("{SCOPE}/registrations/{}", world::registration(1)),
        }
    }

    /// The bytes it sends: of its endorsement key and of its storage root key.
    fn sent(&self) -> [&[u8]; 2] {
        let keys = &self.keys;
        [&keys.endorsement_key, &keys.storage_root_key].map(PublicKey::bytes)
    }

    fn parse(&self) -> TpmKeys {
        let [ek, srk] = self.sent().map(PublicKey::parse);
        TpmKeys {
            endorsement_key: ek.expect("a key of the run"),
            storage_root_key: srk.expect("a key of the run"),
        }
    }

    fn wrap(&self, keys: &TpmKeys) {
        let [ek, srk] = [&keys.endorsement_key, &keys.storage_root_key];
        let blob = wrap(&AWS_LC, ek, srk, &self.nonce, &self.resource);
        black_box(blob.expect("a blob"));
    }

    /// Hashes, MACs and encrypts as many bytes as a challenge does, under as many keys.
    fn symmetric(&self) {
        symmetric(self.resource.len(), self.sent()[1].len() - 2);
    }

    /// What it says when it comes unsigned.
    fn hello(&self, n: u64) -> DeviceHello {
        let evidence = Evidence::Tpm {
            keys: self.parse(),
            token: None,
        };
        DeviceHello {
            scope: world::scope(),
            registration: world::registration(n),
            evidence: Some(evidence),
            operation: None,
            origin: Origin {
                address: Ipv4Addr::LOCALHOST.into(),
                ingress: Ingress::Public,
                transport: Transport::Http,
            },
        }
    }
}

fn rsa(bench: &Bench, device: &Device) {
    let (times, rounds) = pace(bench, 3_000);
    let moduli = device.sent().map(modulus);
    let ready = moduli.map(key);
    let mut all = [
        Inside::repeat("bare: two RSA-OAEP and the rest", times, |_| {
            moduli.iter().for_each(|modulus| oaep(&key(modulus)));
            device.symmetric();
        }),
        Inside::repeat("challenge: keys parsed, nonce wrapped", times, |_| {
            device.wrap(&device.parse());
        }),
        Inside::repeat("of it: wrapping", times, |_| device.wrap(&device.keys)),
        Inside::repeat("of it: parsing both keys", times * 20, |_| {
            black_box(device.parse());
        }),
        Inside::repeat("of bare: two RSA-OAEP", times, |_| {
            moduli.iter().for_each(|modulus| oaep(&key(modulus)));
        }),
        Inside::repeat("of bare: the rest", times * 10, |_| device.symmetric()),
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

/// The modulus of an RSA key stands at the end of its public area.
fn modulus(key: &[u8]) -> &[u8] {
    &key[key.len() - 256..]
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

fn p256(bench: &Bench, device: &Device) {
    let (times, rounds) = pace(bench, 1_500);
    let points = device.sent().map(point);
    let mut all = [
        Inside::repeat("bare: two ECDH and the rest", times, |_| {
            points.iter().for_each(|point| agree(point));
            device.symmetric();
        }),
        Inside::repeat("challenge: keys parsed, nonce wrapped", times, |_| {
            device.wrap(&device.parse());
        }),
        Inside::repeat("of it: parsing both keys", times * 10, |_| {
            black_box(device.parse());
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

/// The point of a P-256 key stands at the end of its public area, each coordinate behind its size.
fn point(key: &[u8]) -> Vec<u8> {
    let (x, y) = key[key.len() - 66..].split_at(34);
    [&[4], &x[..32], y].concat()
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

/// What strangers can make the service do: anybody may come with any two keys.
fn requests(bench: &Bench, device: &Device) {
    let (times, rounds) = pace(bench, 3_000);
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    block_on(world::fill(&store, &world::instance(None), &[], 0));
    let attestation = Attestation::Tpm {
        endorsement_key: device.keys.endorsement_key.clone(),
        storage_root_key: None,
    };
    let subject = Subject::Individual {
        registration: world::registration(1),
        device: None,
        information: None,
    };
    let enrollment = Enrollment::new(subject, attestation, SystemClock.now());
    let admin = Admin::new(Arc::clone(&store), world::scope());
    block_on(admin.put_enrollment(&enrollment)).expect("a sound enrollment");
    let service = world::service(&store);
    let ask = |n| {
        let answer = block_on(service.authenticate(device.hello(n)));
        assert!(matches!(answer, Authentication::Challenge { .. }));
    };
    let moduli = device.sent().map(modulus);
    let [ek, srk] = device.sent();
    let cut = &srk[..srk.len() - 1];
    let mut all = [
        Inside::repeat("bare: two RSA-OAEP and the rest", times, |_| {
            moduli.iter().for_each(|modulus| oaep(&key(modulus)));
            device.symmetric();
        }),
        Inside::repeat("unsigned, nobody is enrolled", times, |n| ask(n + 2)),
        Inside::repeat("unsigned, enrolled with the key", times, |_| ask(1)),
        Inside::repeat("unsigned, the second key is not whole", times * 20, |_| {
            black_box(PublicKey::parse(ek).is_ok());
            assert!(PublicKey::parse(black_box(cut)).is_err());
        }),
    ];
    let found = alternate(&mut all, rounds);
    table::title(
        "An unsigned request of a device with a TPM",
        "Fixed: RSA-2048 for both keys, one individual enrollment, records in memory. From the bytes of the\n\
         keys to those of the challenge, without HTTP, JSON and Base64. The storage root key of the enrolled\n\
         device is remembered already.",
    );
    table::costs("request", &found);
}
