//! Weighted rendezvous hashing.
//!
//! Each candidate gets `-ln(u) / weight`, where `u` in (0, 1] comes from SHA-256 over scope, hub and
//! registration id; the lowest wins. No counter, no state, nothing shared between nodes: a hub gets
//! its share, and a hub that comes or goes moves only its own share of the devices.

use sha2::{Digest, Sha256};

use super::{Choice, ChooseError, Why};
use crate::id::{IdScope, RegistrationId};
use crate::instance::LinkedHub;

pub(super) fn choose<'a>(
    scope: &IdScope,
    registration: &RegistrationId,
    hubs: &[&'a LinkedHub],
) -> Result<Choice<'a>, ChooseError> {
    let mut best: Option<(f64, &'a LinkedHub)> = None;
    for hub in hubs.iter().copied().filter(|hub| hub.weight > 0) {
        let score = score(scope, registration, hub);
        // Equal scores are as good as impossible; the name makes even them independent of order.
        let better = best.is_none_or(|(lowest, holder)| {
            score < lowest || (score == lowest && hub.name < holder.name)
        });
        if better {
            best = Some((score, hub));
        }
    }
    let (score, hub) = best.ok_or(ChooseError::NoWeight)?;
    Ok(Choice {
        hub,
        why: Why::Score {
            score,
            among: hubs.len(),
        },
    })
}

fn score(scope: &IdScope, registration: &RegistrationId, hub: &LinkedHub) -> f64 {
    let mut hasher = Sha256::new();
    // None of the three contains a zero byte, so no two triples hash the same text.
    for part in [scope.folded(), hub.name.folded(), registration.folded()] {
        hasher.update(part.as_bytes());
        hasher.update([0]);
    }
    let digest: [u8; 32] = hasher.finalize().into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    let drawn = u64::from_be_bytes([a, b, c, d, e, f, g, h]);
    // 53 bits fit a double exactly; 1 is added so that the logarithm is finite.
    let uniform = ((drawn >> 11) + 1) as f64 / (1u64 << 53) as f64;
    -libm::log(uniform) / f64::from(hub.weight)
}
