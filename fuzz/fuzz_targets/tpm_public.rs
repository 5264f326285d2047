//! Public keys of TPMs, from strangers.
#![no_main]

use dps_core::crypto::{Crypto, CryptoError, ParentKeys, SecureRandom};
use dps_core::id::SecretBytes;
use dps_core::tpm::{KEY_BYTES, PublicKey, wrap};
use libfuzzer_sys::fuzz_target;
use tpm2_protocol::data::Tpm2bPublic;
use tpm2_protocol::{TpmMarshal, TpmUnmarshal, TpmWriter};

fuzz_target!(|bytes: &[u8]| {
    parse(bytes);
    // The same with the right size in front, which is not found by chance.
    if let Some((_, area)) = bytes.split_first_chunk::<2>()
        && let Ok(size) = u16::try_from(area.len())
    {
        parse(&[&size.to_be_bytes(), area].concat());
    }
});

fn parse(bytes: &[u8]) {
    let key = match PublicKey::parse(bytes) {
        Ok(key) => key,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    assert_eq!(key.bytes(), bytes);

    let (elsewhere, rest) = Tpm2bPublic::unmarshal(bytes).expect("taken elsewhere too");
    assert!(rest.is_empty());
    let mut buffer = [0; 512];
    let mut writer = TpmWriter::new(&mut buffer);
    elsewhere.marshal(&mut writer).expect("room for a key");
    assert_eq!(writer.as_bytes(), bytes);

    let crypto = Crypto::new(&[], &Fixed).with_parents(&Fixed);
    let nonce = SecretBytes::from([7; KEY_BYTES]);
    let blob = wrap(&crypto, &key, &key, &nonce, "press-1").expect("a blob for any key");
    let secret = if bytes[3] == 1 { 256 } else { 68 };
    assert_eq!(blob.len(), 286 + 2 * secret + "press-1".len());
}

/// Cryptography that is none, but minds what it is given.
#[derive(Debug)]
struct Fixed;

impl SecureRandom for Fixed {
    fn fill(&self, out: &mut [u8]) -> Result<(), CryptoError> {
        out.fill(1);
        Ok(())
    }
}

impl ParentKeys for Fixed {
    fn oaep(
        &self,
        modulus: &[u8],
        exponent: u32,
        _: &[u8],
        data: &[u8],
    ) -> Result<Vec<u8>, CryptoError> {
        assert!(modulus.len() == 256 && modulus[0] >= 0x80 && modulus[255] % 2 == 1);
        assert_eq!((exponent, data.len()), (65537, 32));
        Ok(vec![0; 256])
    }

    fn ecdh_p256(&self, peer: &[u8; 65]) -> Result<([u8; 65], [u8; 32]), CryptoError> {
        assert_eq!(peer[0], 4);
        Ok((*peer, [1; 32]))
    }
}
