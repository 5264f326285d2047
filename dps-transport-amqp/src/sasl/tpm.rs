//! `TPM`: a device shows the keys of its TPM, and signs with what only this TPM can unwrap.
//!
//! | device | service |
//! |---|---|
//! | `00 scope 00 registration 00 endorsement key` | `00` |
//! | `00 storage root key` | `80 first half of the challenge` |
//! | `00` | `c1 second half` |
//! | `00 token` | the outcome |
//!
//! Keys are `TPM2B_PUBLIC`, as bytes. Always two halves: Java knows no other control bytes than these two.
//!
//! # Source
//! `prov_sasl_tpm.c` (C), `sasl_tpm.ts` (Node.js), `SaslTpmHandler.cs` (C#),
//! `AmqpsProvisioningSaslHandler.java` (Java). None is documented.

use std::mem;

use dps_core::attest::Evidence;
use dps_core::tpm::{PublicKey, TpmKeys};
use dps_transport::Verdict;

use super::{Mechanism, Step, code};
use crate::address::Name;
use crate::codec::SaslCode;
use crate::engine::MAX_CHALLENGE_BYTES;

/// Asks for the storage root key, and says that one was heard.
const NEXT: u8 = 0;
/// There is a part of the challenge behind it: the first, numbered 0.
const FIRST_HALF: u8 = 0x80;
/// There is a part of the challenge behind it: the last, numbered 1.
const SECOND_HALF: u8 = 0xc1;

/// How far the device is.
#[derive(Debug)]
pub(super) enum Tpm {
    /// It is to say who it is, and to show its endorsement key.
    Begun,
    /// It is to show its storage root key.
    Known(Name, PublicKey),
    /// It has shown all; what it has to answer is being made.
    Shown(Name, TpmKeys),
    /// It has the first half of that. Here is the second.
    Half(Name, TpmKeys, Vec<u8>),
    /// It is to sign.
    Challenged(Name, TpmKeys),
    /// It has signed, or is not worth hearing.
    Over,
}

impl Mechanism for Tpm {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        let response = response.and_then(|response| response.strip_prefix(&[NEXT]));
        // Whatever cannot be read, or is out of turn, is told like a wrong key.
        response
            .and_then(|response| self.hear(response))
            .unwrap_or_else(|| {
                *self = Self::Over;
                Step::Outcome(SaslCode::Auth)
            })
    }

    fn judged(&mut self, verdict: &Verdict) -> Step {
        match (mem::replace(self, Self::Over), verdict) {
            (Self::Shown(name, keys), Verdict::Challenge(challenge)) => {
                let (first, second) = challenge.split_at(challenge.len().div_ceil(2));
                if first.len() >= MAX_CHALLENGE_BYTES {
                    tracing::error!(
                        bytes = challenge.len(),
                        "a challenge that does not fit into two frames of SASL"
                    );
                    return Step::Outcome(SaslCode::SysTemp);
                }
                *self = Self::Half(name, keys, second.to_vec());
                Step::Challenge(part(FIRST_HALF, first))
            }
            // Nobody is asked twice.
            _ => Step::Outcome(code(verdict)),
        }
    }
}

impl Tpm {
    /// What comes after what the device has said, which is here without the zero that it begins with.
    fn hear(&mut self, said: &[u8]) -> Option<Step> {
        let (next, step) = match mem::replace(self, Self::Over) {
            Self::Begun => {
                let (name, key) = introduction(said)?;
                let key = public_key(key, "endorsement key")?;
                (Self::Known(name, key), Step::Challenge(vec![NEXT]))
            }
            Self::Known(name, endorsement_key) => {
                let keys = TpmKeys {
                    endorsement_key,
                    storage_root_key: public_key(said, "storage root key")?,
                };
                let step = ask(&name, &keys, None);
                (Self::Shown(name, keys), step)
            }
            Self::Half(name, keys, second) if said.is_empty() => {
                let step = Step::Challenge(part(SECOND_HALF, &second));
                (Self::Challenged(name, keys), step)
            }
            Self::Challenged(name, keys) => {
                let token = std::str::from_utf8(said).ok()?;
                (Self::Over, ask(&name, &keys, Some(token)))
            }
            Self::Half(..) | Self::Shown(..) | Self::Over => return None,
        };
        *self = next;
        Some(step)
    }
}

fn ask(name: &Name, keys: &TpmKeys, token: Option<&str>) -> Step {
    let evidence = Evidence::Tpm {
        keys: keys.clone(),
        token: token.map(str::to_owned),
    };
    Step::Authenticate(name.clone(), Some(evidence))
}

/// Who the device is, and what it shows: a key may have zeros in it, and ends with what is sent.
fn introduction(said: &[u8]) -> Option<(Name, &[u8])> {
    let mut parts = said.splitn(3, |byte| *byte == 0);
    let mut text = || std::str::from_utf8(parts.next()?).ok();
    let name = Name::of(text()?, text()?)?;
    Some((name, parts.next()?))
}

fn public_key(bytes: &[u8], what: &'static str) -> Option<PublicKey> {
    PublicKey::parse(bytes)
        .inspect_err(|error| tracing::debug!(%error, "the {what} that a device shows is none"))
        .ok()
}

fn part(control: u8, bytes: &[u8]) -> Vec<u8> {
    [&[control], bytes].concat()
}
