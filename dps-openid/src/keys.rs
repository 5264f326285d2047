//! The keys that a provider publishes.

use std::fmt;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use dps_core::json;
use serde_json::{Map, Value};

use crate::algorithm::{Algorithm, Family};
use crate::der;

/// The most keys that a provider may publish, of any kind. Our choice; usual ones have 2 to 10.
pub const MAX_KEYS: usize = 100;

/// Bytes of the name of a key.
pub(crate) const MAX_KID_BYTES: usize = 256;

/// Bytes of an RSA modulus: 2048 to 8192 bits.
const MODULUS_BYTES: std::ops::RangeInclusive<usize> = 256..=1024;
const MAX_EXPONENT_BYTES: usize = 8;

/// What a provider signs with.
#[derive(Clone)]
pub(crate) struct PublicKey {
    kid: Option<Arc<str>>,
    family: Family,
    /// The one algorithm it is for; `None` for each that fits.
    algorithm: Option<Algorithm>,
    /// As it stands in a certificate.
    pub(crate) bytes: Arc<[u8]>,
}

/// A document is no set of keys that we take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum KeysError {
    /// It is no JSON, or has no `keys`.
    #[error("is no JSON web key set")]
    Malformed,
    /// It has more keys than [`MAX_KEYS`].
    #[error("has more than {MAX_KEYS} keys")]
    TooMany,
    /// None of its keys is for signatures that are taken.
    #[error("has no key that tokens could be verified with")]
    NoneFits,
}

/// Reads a set of keys. Those that are not understood, or are for something else, are left out.
///
/// * `document`: its size is the caller's to bound.
///
/// Returns one key or more.
///
/// # Source
/// RFC 7517 section 5, for what is left out; RFC 7518 section 6 and RFC 8037 for the members.
pub(crate) fn parse(document: &[u8]) -> Result<Vec<PublicKey>, KeysError> {
    let document = json::parse(document).map_err(|_| KeysError::Malformed)?;
    let keys = document.get("keys").and_then(Value::as_array);
    let keys = keys.ok_or(KeysError::Malformed)?;
    if keys.len() > MAX_KEYS {
        return Err(KeysError::TooMany);
    }
    let members = keys.iter().filter_map(Value::as_object);
    let keys: Vec<_> = members.filter_map(PublicKey::read).collect();
    if keys.is_empty() {
        return Err(KeysError::NoneFits);
    }
    Ok(keys)
}

/// The key that a token was signed with: the one of its name, or the only one that it could be.
pub(crate) fn find<'a>(
    keys: &'a [PublicKey],
    algorithm: Algorithm,
    kid: Option<&str>,
) -> Option<&'a PublicKey> {
    let mut fitting = keys.iter().filter(|key| key.fits(algorithm));
    match kid {
        Some(kid) => fitting.find(|key| key.kid.as_deref() == Some(kid)),
        None => fitting.next().filter(|_| fitting.next().is_none()),
    }
}

impl PublicKey {
    fn fits(&self, algorithm: Algorithm) -> bool {
        self.family == algorithm.family && self.algorithm.is_none_or(|only| only == algorithm)
    }

    fn read(members: &Map<String, Value>) -> Option<Self> {
        let text = |name: &str| match members.get(name) {
            Some(value) => value.as_str().map(Some),
            None => Some(None),
        };
        if text("use")?.is_some_and(|purpose| purpose != "sig") {
            return None;
        }
        if let Some(operations) = members.get("key_ops") {
            operations
                .as_array()?
                .iter()
                .find(|name| **name == "verify")?;
        }
        let number = |name: &str| URL_SAFE_NO_PAD.decode(text(name)??).ok();
        let (family, bytes) = match (text("kty")??, text("crv")?) {
            ("RSA", _) => (Family::Rsa, rsa(&number("n")?, &number("e")?)?),
            ("EC", Some("P-256")) => (
                Family::P256,
                point(Family::P256, &number("x")?, &number("y")?)?,
            ),
            ("EC", Some("P-384")) => (
                Family::P384,
                point(Family::P384, &number("x")?, &number("y")?)?,
            ),
            ("OKP", Some("Ed25519")) => {
                (Family::Ed25519, number("x").filter(|key| key.len() == 32)?)
            }
            _ => return None,
        };
        let algorithm = match text("alg")? {
            Some(name) => Some(Algorithm::parse(name)?),
            None => None,
        };
        let kid = text("kid")?;
        if kid.is_some_and(|kid| kid.len() > MAX_KID_BYTES) {
            return None;
        }
        Some(Self {
            kid: kid.map(Arc::from),
            family,
            algorithm,
            bytes: bytes.into(),
        })
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
    let sound = MODULUS_BYTES.contains(&(modulus.len() - zeros))
        && modulus.len() <= *MODULUS_BYTES.end() + 1
        && (1..=MAX_EXPONENT_BYTES).contains(&exponent.len());
    sound.then(|| der::sequence(&[modulus, exponent]))
}

fn point(family: Family, x: &[u8], y: &[u8]) -> Option<Vec<u8>> {
    let bytes = family.coordinate_bytes()?;
    let sound = x.len() == bytes && y.len() == bytes;
    sound.then(|| [&[4], x, y].concat())
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {:?})", self.family, self.kid)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn ed(kid: Option<&str>) -> Value {
        let mut key = json!({"kty": "OKP", "crv": "Ed25519", "x": URL_SAFE_NO_PAD.encode([7; 32])});
        if let Some(kid) = kid {
            key["kid"] = kid.into();
        }
        key
    }

    fn with(mut key: Value, name: &str, value: Value) -> Value {
        key[name] = value;
        key
    }

    fn read(keys: &[Value]) -> Result<Vec<PublicKey>, KeysError> {
        parse(json!({"keys": keys}).to_string().as_bytes())
    }

    fn rsa_of(bytes: usize) -> Value {
        let n = URL_SAFE_NO_PAD.encode(vec![0xff; bytes]);
        json!({"kty": "RSA", "n": n, "e": "AQAB"})
    }

    fn ec(curve: &str, bytes: usize) -> Value {
        let number = URL_SAFE_NO_PAD.encode(vec![1; bytes]);
        json!({"kty": "EC", "crv": curve, "x": number, "y": number})
    }

    #[test]
    fn each_kind_of_key_is_read_and_fits_its_algorithms() {
        let keys = [
            rsa_of(256),
            rsa_of(1024),
            ec("P-256", 32),
            ec("P-384", 48),
            ed(None),
        ];
        let keys = read(&keys).unwrap();
        let fit = |name: &str| {
            let algorithm = Algorithm::parse(name).unwrap();
            keys.iter()
                .map(|key| key.fits(algorithm))
                .collect::<Vec<_>>()
        };
        let (y, n) = (true, false);
        for name in ["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"] {
            assert_eq!(fit(name), [y, y, n, n, n], "{name}");
        }
        assert_eq!(fit("ES256"), [n, n, y, n, n]);
        assert_eq!(fit("ES384"), [n, n, n, y, n]);
        assert_eq!(fit("EdDSA"), [n, n, n, n, y]);
    }

    #[test]
    fn a_key_is_only_for_what_it_says() {
        let key = read(&[with(rsa_of(256), "alg", "PS256".into())]).unwrap();
        assert!(key[0].fits(Algorithm::parse("PS256").unwrap()));
        assert!(!key[0].fits(Algorithm::parse("RS256").unwrap()));
        read(&[with(ed(None), "use", "sig".into())]).unwrap();
        read(&[with(ed(None), "key_ops", json!(["sign", "verify"]))]).unwrap();
    }

    #[test]
    fn what_is_no_key_for_signatures_is_left_out() {
        for key in [
            json!({}),
            json!({"kty": "oct", "k": "c2VjcmV0", "alg": "HS256"}),
            with(ed(None), "use", "enc".into()),
            with(ed(None), "use", json!(["sig"])),
            with(ed(None), "key_ops", json!(["encrypt"])),
            with(ed(None), "key_ops", "verify".into()),
            with(ed(None), "alg", "HS256".into()),
            with(ed(None), "alg", "none".into()),
            with(ed(None), "alg", json!(null)),
            with(ed(None), "kid", json!(7)),
            with(ed(None), "kid", "k".repeat(257).into()),
            with(ed(None), "x", URL_SAFE_NO_PAD.encode([7; 31]).into()),
            with(ed(None), "x", "!".into()),
            with(ed(None), "crv", "X25519".into()),
            rsa_of(255),
            rsa_of(1025),
            with(rsa_of(256), "n", URL_SAFE_NO_PAD.encode([0; 256]).into()),
            with(rsa_of(256), "e", "".into()),
            with(rsa_of(256), "e", URL_SAFE_NO_PAD.encode([1; 9]).into()),
            ec("P-256", 31),
            ec("P-384", 32),
            ec("P-521", 66),
            ec("secp256k1", 32),
        ] {
            assert_eq!(
                read(std::slice::from_ref(&key)).err(),
                Some(KeysError::NoneFits),
                "{key}"
            );
            assert_eq!(read(&[key, ed(None)]).unwrap().len(), 1);
        }
    }

    #[test]
    fn what_is_no_set_of_keys_is_refused() {
        for text in [
            "",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":[],"keys":[]}"#,
            "<html>",
        ] {
            assert_eq!(
                parse(text.as_bytes()).err(),
                Some(KeysError::Malformed),
                "{text}"
            );
        }
        assert_eq!(read(&[]).err(), Some(KeysError::NoneFits));
        assert_eq!(read(&vec![ed(None); MAX_KEYS]).unwrap().len(), MAX_KEYS);
        let many = vec![json!(7); MAX_KEYS + 1];
        assert_eq!(read(&many).err(), Some(KeysError::TooMany));
    }

    #[test]
    fn a_key_is_found_by_its_name_or_if_no_other_fits() {
        let eddsa = Algorithm::parse("EdDSA").unwrap();
        let found = |keys: &[Value], kid: Option<&str>| {
            let keys = read(keys).unwrap();
            find(&keys, eddsa, kid).map(|key| key.kid.clone())
        };
        let (a, b) = (ed(Some("a")), ed(Some("b")));
        assert_eq!(
            found(&[a.clone(), b.clone()], Some("b")),
            Some(Some("b".into()))
        );
        assert_eq!(found(&[a.clone(), b.clone()], Some("B")), None);
        assert_eq!(found(&[a.clone(), b], None), None);
        assert_eq!(
            found(&[a.clone(), rsa_of(256)], None),
            Some(Some("a".into()))
        );
        assert_eq!(found(&[ed(None)], Some("a")), None);
        let twin = with(rsa_of(256), "kid", "a".into());
        assert_eq!(found(&[twin, a], Some("a")), Some(Some("a".into())));
    }

    proptest! {
        #[test]
        fn any_document_is_a_set_or_an_error(
            text in "\\PC{0,80}", kty in "RSA|EC|OKP|oct", crv in "P-256|P-384|Ed25519", n in "[A-Za-z0-9_-]{0,90}"
        ) {
            let key = json!({"kty": kty, "crv": crv, "n": n, "e": n, "x": n, "y": n});
            let set = json!({"keys": [key]}).to_string();
            for document in [text, set] {
                if let Ok(keys) = parse(document.as_bytes()) {
                    prop_assert_eq!(keys.len(), 1);
                }
            }
        }
    }
}
