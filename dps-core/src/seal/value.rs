//! The form of a sealed value.

use bytes::Bytes;

use super::key::{DataKey, KeyName};
use crate::crypto::{Aead, CryptoError, NONCE_BYTES, TAG_BYTES};
use crate::id::IdScope;
use crate::store::Table;

/// The first byte. JSON, as records are written, never begins with it.
const FORM: u8 = 1;

/// The most that sealing adds to a value.
pub(super) const MAX_OVERHEAD: usize = 2 + KeyName::MAX_BYTES + NONCE_BYTES + TAG_BYTES;

/// Where a value belongs.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spot<'a> {
    pub(super) scope: &'a IdScope,
    pub(super) table: Table,
    pub(super) id: &'a str,
}

impl Spot<'_> {
    /// What has to be the same when the value is opened.
    fn additional(self) -> Vec<u8> {
        let scope = self.scope.folded().as_bytes();
        let mut out = Vec::with_capacity(1 + 3 * 8 + scope.len() + 1 + self.id.len());
        out.push(FORM);
        for part in [scope, &[self.table as u8], self.id.as_bytes()] {
            out.extend_from_slice(&(part.len() as u64).to_be_bytes());
            out.extend_from_slice(part);
        }
        out
    }
}

/// Seals `plain` with `key` for its place.
pub(super) fn seal(
    key: &DataKey,
    aead: &dyn Aead,
    spot: Spot<'_>,
    plain: &[u8],
) -> Result<Bytes, CryptoError> {
    let name = key.name().as_str().as_bytes();
    let nonce = 2 + name.len();
    let text = nonce + NONCE_BYTES;
    let mut out = Vec::with_capacity(text + plain.len() + TAG_BYTES);
    out.extend_from_slice(&[FORM, u8::try_from(name.len()).map_err(|_| CryptoError)?]);
    out.extend_from_slice(name);
    out.extend_from_slice(&[0; NONCE_BYTES]);
    out.extend_from_slice(plain);
    let ready = key.ready(aead)?;
    let with = ready.seal(&spot.additional(), out.get_mut(text..).ok_or(CryptoError)?)?;
    key.count();
    let place = out.get_mut(nonce..text).ok_or(CryptoError)?;
    place.copy_from_slice(&with.nonce);
    out.extend_from_slice(&with.tag);
    Ok(out.into())
}

/// A value that has the form of a sealed one.
#[derive(Debug)]
pub(super) struct Sealed<'a> {
    /// The name of its key.
    pub(super) key: &'a str,
    nonce: [u8; NONCE_BYTES],
    /// The ciphertext, with its tag.
    text: &'a [u8],
}

impl<'a> Sealed<'a> {
    /// `None` if the value is not sealed.
    pub(super) fn parse(stored: &'a [u8]) -> Option<Self> {
        let (&form, rest) = stored.split_first()?;
        let (&length, rest) = rest.split_first()?;
        let (name, rest) = rest.split_at_checked(length.into())?;
        let (nonce, text) = rest.split_first_chunk()?;
        let key = str::from_utf8(name).ok()?;
        let sealed = form == FORM && text.len() >= TAG_BYTES && KeyName::check(key).is_ok();
        sealed.then_some(Self {
            key,
            nonce: *nonce,
            text,
        })
    }

    /// What was sealed, if it was sealed with `key` and for this place.
    pub(super) fn open(
        &self,
        key: &DataKey,
        aead: &dyn Aead,
        spot: Spot<'_>,
    ) -> Result<Bytes, CryptoError> {
        let mut data = self.text.to_vec();
        let ready = key.ready(aead)?;
        ready.open(self.nonce, &spot.additional(), &mut data)?;
        data.truncate(data.len() - TAG_BYTES);
        Ok(data.into())
    }
}
