//! The form of sealed values, frozen, and what does not open.

use std::sync::Arc;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use bytes::Bytes;
use proptest::prelude::*;

use super::key::{DataKey, KeyName};
use super::value::{self, Sealed, Spot};
use crate::crypto::{AWS_LC, Aead, AeadKey, CryptoError, NONCE_BYTES, SealedWith};
use crate::id::IdScope;
use crate::store::Table;

/// A value as it was sealed when this form was made, of `{"count":7}`, for record `enrollments/9` of table `Tally` in
/// scope `0ne00ABCDEF`, by the key `2026-11/a` of 32 bytes 7, with a nonce of 12 bytes 9. Never changed.
const FROZEN: &str = include_str!("tests/sealed-value.hex");

#[derive(Debug)]
struct Fixed([u8; NONCE_BYTES]);

impl AeadKey for Fixed {
    fn seal(&self, additional: &[u8], data: &mut [u8]) -> Result<SealedWith, CryptoError> {
        let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &[7; 32]).unwrap());
        let nonce = Nonce::assume_unique_for_key(self.0);
        let tag = key.seal_in_place_separate_tag(nonce, Aad::from(additional), data);
        Ok(SealedWith {
            nonce: self.0,
            tag: tag.unwrap().as_ref().try_into().unwrap(),
        })
    }

    fn open(&self, _: [u8; NONCE_BYTES], _: &[u8], _: &mut [u8]) -> Result<(), CryptoError> {
        Err(CryptoError)
    }
}

fn aead() -> &'static dyn Aead {
    AWS_LC.aead.unwrap()
}

fn name() -> KeyName {
    KeyName::parse("2026-11/a").unwrap()
}

fn key() -> DataKey {
    DataKey::new(name(), &[7; 32])
}

fn scope(text: &str) -> IdScope {
    IdScope::parse(text).unwrap()
}

fn spot(scope: &IdScope) -> Spot<'_> {
    Spot {
        scope,
        table: Table::Tally,
        id: "enrollments/9",
    }
}

fn open(stored: &[u8], spot: Spot<'_>) -> Option<Bytes> {
    Sealed::parse(stored)?.open(&key(), aead(), spot).ok()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn frozen() -> Vec<u8> {
    let hex = FROZEN.trim();
    let digit = |n: usize| u8::from_str_radix(&hex[n..n + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(digit).collect()
}

#[test]
fn yesterdays_values_open_and_are_sealed_as_they_were() {
    let scope = scope("0ne00ABCDEF");
    let opened = open(&frozen(), spot(&scope));
    let help = "values in stores would not open any more: give what you change a form of its own, beside this one";
    assert_eq!(opened.as_deref(), Some(&br#"{"count":7}"#[..]), "{help}");
    let fixed = DataKey::custom(name(), Arc::new(Fixed([9; 12])));
    let sealed = value::seal(&fixed, aead(), spot(&scope), br#"{"count":7}"#).unwrap();
    assert_eq!(hex(&sealed), FROZEN.trim(), "{help}");
}

#[test]
fn a_scope_is_the_same_in_any_case() {
    for text in ["0ne00abcdef", "0NE00ABCDEF"] {
        assert!(open(&frozen(), spot(&scope(text))).is_some());
    }
}

#[test]
fn a_bit_that_is_flipped_anywhere_is_noticed() {
    let (scope, frozen) = (scope("0ne00ABCDEF"), frozen());
    for bit in 0..frozen.len() * 8 {
        let mut flipped = frozen.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        // In the name of the key it makes another name, for which no key is asked here.
        let named = Sealed::parse(&flipped).is_some_and(|sealed| sealed.key != name().as_str());
        let opened = open(&flipped, spot(&scope));
        assert!(opened.is_none() || named, "bit {bit} does not matter");
    }
}

#[test]
fn a_value_that_was_cut_or_grew_does_not_open() {
    let (scope, frozen) = (scope("0ne00ABCDEF"), frozen());
    for length in 0..frozen.len() {
        assert!(
            open(&frozen[..length], spot(&scope)).is_none(),
            "{length} bytes open"
        );
        let rest = &frozen[frozen.len() - length..];
        assert!(
            open(rest, spot(&scope)).is_none(),
            "the last {length} bytes open"
        );
    }
    assert!(open(&[&frozen[..], b"x"].concat(), spot(&scope)).is_none());
}

#[test]
fn a_value_opens_at_its_own_place_alone() {
    let (own, other) = (scope("0ne00ABCDEF"), scope("0ne00ABCDE"));
    let frozen = frozen();
    assert!(open(&frozen, spot(&own)).is_some());
    assert!(open(&frozen, spot(&other)).is_none());
    for table in Table::ALL {
        let there = Spot {
            table,
            ..spot(&own)
        };
        assert_eq!(open(&frozen, there).is_some(), table == Table::Tally);
    }
    for id in ["", "enrollments/8", "enrollments/99", "Enrollments/9", "/9"] {
        assert!(open(&frozen, Spot { id, ..spot(&own) }).is_none(), "{id}");
    }
}

#[test]
fn parts_of_a_place_do_not_run_into_each_other() {
    let (short, long) = (scope("a"), scope("aa"));
    let sealed = |scope, id| value::seal(&key(), aead(), Spot { id, ..spot(scope) }, b"x");
    let stored = sealed(&long, "b").unwrap();
    assert!(
        open(
            &stored,
            Spot {
                id: "ab",
                ..spot(&short)
            }
        )
        .is_none()
    );
}

#[test]
fn another_key_of_the_same_name_does_not_open() {
    let scope = scope("0ne00ABCDEF");
    let frozen = frozen();
    let sealed = Sealed::parse(&frozen).unwrap();
    let other = DataKey::new(name(), &[8; 32]);
    assert!(sealed.open(&other, aead(), spot(&scope)).is_err());
}

#[test]
fn records_as_they_are_written_are_not_sealed() {
    for plain in [&b""[..], b"{}", br#"{"count":7}"#, b"[]", b"\"x\"", b"1"] {
        assert!(Sealed::parse(plain).is_none());
    }
}

#[test]
fn names_of_keys_have_their_characters_and_length() {
    let long = "x".repeat(64);
    for text in ["a", "2026-11", "arn:aws:kms/key_1.b", &long] {
        assert_eq!(KeyName::parse(text).unwrap().as_str(), text);
    }
    for text in [
        "",
        " ",
        "a b",
        "a\n",
        "ä",
        "a=b",
        "a,b",
        "\0",
        &"x".repeat(65),
    ] {
        assert!(KeyName::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn a_key_counts_what_it_has_sealed() {
    let (key, scope) = (key(), scope("a"));
    for _ in 0..3 {
        value::seal(&key, aead(), spot(&scope), b"x").unwrap();
    }
    assert_eq!(key.sealed(), 3);
}

proptest! {
    #[test]
    fn what_is_sealed_opens_and_shows_nothing(
        plain in proptest::collection::vec(any::<u8>(), 0..2000),
        id in "[a-z0-9./:-]{0,40}",
        table in 0..Table::ALL.len(),
        name in "[A-Za-z0-9._:/-]{1,64}",
    ) {
        let scope = scope("0ne00ABCDEF");
        let spot = Spot { scope: &scope, table: Table::ALL[table], id: &id };
        let key = DataKey::new(KeyName::parse(&name).unwrap(), &[7; 32]);
        let stored = value::seal(&key, aead(), spot, &plain).unwrap();
        prop_assert_eq!(stored.len(), plain.len() + 30 + name.len());
        prop_assert!(stored.len() <= plain.len() + value::MAX_OVERHEAD);
        let sealed = Sealed::parse(&stored).unwrap();
        prop_assert_eq!(sealed.key, &name);
        prop_assert_eq!(&sealed.open(&key, aead(), spot).unwrap()[..], &plain[..]);
        let again = value::seal(&key, aead(), spot, &plain).unwrap();
        prop_assert_ne!(&stored, &again);
    }

    #[test]
    fn no_bytes_are_an_accident(stored in proptest::collection::vec(any::<u8>(), 0..200)) {
        let scope = scope("0ne00ABCDEF");
        prop_assert!(open(&stored, spot(&scope)).is_none());
        let sealed = [&[1, 1, b'a'][..], &stored].concat();
        prop_assert!(open(&sealed, spot(&scope)).is_none());
    }
}
