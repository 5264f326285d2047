//! The nearest hub; rendezvous hashing among those that are equally near.

use std::time::Duration;

use super::{AllocationRequest, Choice, ChooseError, Why, hashed};
use crate::instance::LinkedHub;

pub(super) fn choose<'a>(
    request: &AllocationRequest<'a>,
    latencies: &[Option<Duration>],
) -> Result<Choice<'a>, ChooseError> {
    // A hub without weight takes no devices here either, however near.
    let known = || {
        let latencies = latencies.iter().copied().chain(std::iter::repeat(None));
        let pairs = request.hubs.iter().copied().zip(latencies);
        pairs
            .filter(|(hub, _)| hub.weight > 0)
            .filter_map(|(hub, known)| Some((hub, known?)))
    };
    let Some(latency) = known().map(|(_, latency)| latency).min() else {
        let choice = hashed::choose(request.scope, request.registration, request.hubs)?;
        return Ok(match choice.why {
            Why::Score { score, among } => Choice {
                why: Why::LatencyUnknown { score, among },
                ..choice
            },
            _ => choice,
        });
    };
    let nearest: Vec<&'a LinkedHub> = known()
        .filter(|(_, own)| *own == latency)
        .map(|(hub, _)| hub)
        .collect();
    let choice = hashed::choose(request.scope, request.registration, &nearest)?;
    Ok(Choice {
        why: Why::Latency {
            latency,
            ties: nearest.len(),
        },
        ..choice
    })
}
