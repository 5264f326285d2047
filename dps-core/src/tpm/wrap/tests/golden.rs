//! Blobs on which a TPM and the specification agree; `testdata/README.md` says how they came about.

use serde_json::Value;

use super::*;

const LINES: &str = include_str!("../../testdata/golden.ndjson");

struct Golden {
    parents: Vec<Value>,
    blobs: Vec<Value>,
}

impl Golden {
    fn read() -> Self {
        let lines = LINES
            .lines()
            .map(|line| serde_json::from_str(line).unwrap());
        let (parents, blobs) = lines.partition(|line: &Value| line.get("ek").is_none());
        Self { parents, blobs }
    }

    /// The parent that `role` of a blob names.
    fn parent(&self, blob: &Value, role: &str) -> PublicKey {
        let line = usize::try_from(blob[role].as_u64().unwrap()).unwrap();
        PublicKey::parse(&bytes(&self.parents[line], "public")).unwrap()
    }
}

fn bytes(line: &Value, field: &str) -> Vec<u8> {
    hex(line[field].as_str().unwrap())
}

fn array<const N: usize>(line: &Value, field: &str) -> Zeroizing<[u8; N]> {
    Zeroizing::new(bytes(line, field).try_into().unwrap())
}

/// A seed as a vector has it.
#[derive(Clone, Debug)]
enum Known {
    Drawn([u8; 32]),
    Agreed([u8; 65], [u8; 32]),
}

impl Known {
    fn of(line: &Value, field: &str) -> Self {
        let known = bytes(line, field);
        match known.split_first_chunk() {
            Some((point, shared)) => Self::Agreed(*point, shared.try_into().unwrap()),
            None => Self::Drawn(known.try_into().unwrap()),
        }
    }

    /// What is to be drawn, if it is.
    fn drawn(&self) -> Zeroizing<[u8; 32]> {
        match self {
            Self::Drawn(seed) => Zeroizing::new(*seed),
            Self::Agreed(..) => Zeroizing::default(),
        }
    }

    /// What carries it to the TPM; RSA-OAEP, which is random, as zeros.
    fn carrier(&self) -> Vec<u8> {
        match self {
            Self::Drawn(_) => vec![0; 256],
            Self::Agreed(point, _) => {
                let mut out = Vec::new();
                push_sized(&mut out, &point[1..33]);
                push_sized(&mut out, &point[33..]);
                out
            }
        }
    }
}

/// The asymmetric part of one vector: whose key it is for, and the seed.
#[derive(Debug)]
struct Replay([(Kind, Vec<u8>, &'static [u8], Known); 2]);

impl ParentKeys for Replay {
    fn oaep(
        &self,
        modulus: &[u8],
        exponent: u32,
        label: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        assert_eq!(exponent, 65537);
        let expected = self.0.iter().any(|(_, key, expected, seed)| {
            key.ends_with(modulus) && *expected == label && *seed.drawn() == *data
        });
        assert!(expected, "another key, label or seed");
        Ok(vec![0; 256])
    }

    fn ecdh_p256(&self, peer: &[u8; 65]) -> Result<([u8; 65], [u8; 32]), CryptoError> {
        let mut known = self.0.iter().filter_map(|(kind, _, _, seed)| match seed {
            Known::Agreed(point, shared) if *kind == Kind::Ecc(*peer) => Some((*point, *shared)),
            _ => None,
        });
        Ok(known.next().expect("a key of the vector"))
    }
}

#[test]
fn every_key_has_the_name_that_a_tpm_gives_it() {
    let golden = Golden::read();
    assert_eq!(golden.parents.len(), 12);
    for parent in golden.parents {
        let key = PublicKey::parse(&bytes(&parent, "public")).unwrap();
        assert_eq!(key.name().as_slice(), bytes(&parent, "name"));
    }
}

#[test]
fn every_blob_is_made_byte_for_byte() {
    let golden = Golden::read();
    assert!(golden.blobs.len() >= 200);
    for (nth, line) in golden.blobs.iter().enumerate() {
        let (ek, srk) = (golden.parent(line, "ek"), golden.parent(line, "srk"));
        let [credential, duplicate] = ["credential", "duplicate"].map(|f| Known::of(line, f));
        let drawn = Drawn {
            inner_key: array(line, "inner_key"),
            credential_seed: credential.drawn(),
            duplicate_seed: duplicate.drawn(),
            obfuscation: array(line, "obfuscation"),
        };
        let mut expected = Vec::new();
        push_sized(&mut expected, &bytes(line, "id_object"));
        push_sized(&mut expected, &credential.carrier());
        push_sized(&mut expected, &bytes(line, "wrapped"));
        push_sized(&mut expected, &duplicate.carrier());
        push_sized(&mut expected, &bytes(line, "public"));
        push_sized(&mut expected, &bytes(line, "text"));

        let replay = Replay([
            (*ek.kind(), ek.bytes().to_vec(), IDENTITY, credential),
            (*srk.kind(), srk.bytes().to_vec(), DUPLICATE, duplicate),
        ]);
        let key = bytes(line, "key");
        let resource = line["resource"].as_str().unwrap();
        let made = wrap_with(&replay, &drawn, &ek, &srk, &key, resource).unwrap();
        assert!(made == expected, "vector {nth}");
        assert_eq!(made.capacity(), made.len(), "vector {nth} had to move");
    }
}

/// With RSA-OAEP as it is.
#[cfg(feature = "aws-lc")]
mod opened {
    use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, PrivateDecryptingKey};

    use super::*;

    /// The private half of a parent.
    fn private(golden: &Golden, line: usize) -> OaepPrivateDecryptingKey {
        let key = bytes(&golden.parents[line], "private");
        OaepPrivateDecryptingKey::new(PrivateDecryptingKey::from_pkcs8(&key).unwrap()).unwrap()
    }

    fn seed(key: &OaepPrivateDecryptingKey, label: &[u8], secret: &[u8]) -> [u8; 32] {
        let mut out = [0; 256];
        let seed = key.decrypt(&OAEP_SHA256_MGF1SHA256, secret, &mut out, Some(label));
        (&*seed.unwrap()).try_into().unwrap()
    }

    #[test]
    fn a_tpm_encrypts_its_seeds_as_we_do() {
        let golden = Golden::read();
        let mut found = 0;
        for line in golden
            .blobs
            .iter()
            .filter(|line| line["secrets"].is_array())
        {
            for (nth, (parent, label, field)) in [
                ("ek", IDENTITY, "credential"),
                ("srk", DUPLICATE, "duplicate"),
            ]
            .into_iter()
            .enumerate()
            {
                let key = private(
                    &golden,
                    usize::try_from(line[parent].as_u64().unwrap()).unwrap(),
                );
                let secret = hex(line["secrets"][nth].as_str().unwrap());
                assert_eq!(seed(&key, label, &secret).as_slice(), bytes(line, field));
                found += 1;
            }
        }
        assert_eq!(found, 8);
    }

    #[test]
    fn the_private_halves_open_what_is_wrapped() {
        let golden = Golden::read();
        let blob = &golden.blobs[0];
        let (ek, srk) = (golden.parent(blob, "ek"), golden.parent(blob, "srk"));
        let key = SecretBytes::from([7; KEY_BYTES]);
        let blob = wrap(&crate::crypto::AWS_LC, &ek, &srk, &key, "press-1").unwrap();
        let parts = parts(&blob);
        let seeds = [
            seed(&private(&golden, 4), IDENTITY, &parts[1]),
            seed(&private(&golden, 8), DUPLICATE, &parts[3]),
        ];
        let (opened, text) = open_with(seeds, srk.name(), &parts);
        assert_eq!(opened, key.expose());
        assert_eq!(text, b"press-1");
    }
}
