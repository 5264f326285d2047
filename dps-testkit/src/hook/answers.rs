//! Duties of an answer.

use dps_core::allocate::{Allocation, HookError};
use dps_core::instance::LinkedHub;
use serde_json::Value;

use super::{Bench, four, payloads};

const DEVICES: usize = 50;

fn is_candidate(answer: &Result<Allocation, HookError>, hubs: &[LinkedHub]) -> bool {
    match answer {
        Ok(allocation) => hubs.iter().any(|hub| hub.name == allocation.hub),
        Err(_) => true,
    }
}

/// Anything else ends the operation with 400207.
pub async fn the_answer_is_one_of_the_candidates(bench: &Bench) {
    let hubs = four();
    for nth in 0..DEVICES {
        for candidates in [&hubs[..], &hubs[1..], &hubs[..2], &hubs[2..3]] {
            let answer = bench.ask(nth, candidates, None).await;
            assert!(is_candidate(&answer, candidates), "{answer:?}");
        }
    }
}

/// A device that must stay is asked for with the one hub it is on.
pub async fn an_only_candidate_is_chosen_or_refused(bench: &Bench) {
    for hub in four() {
        for nth in 0..DEVICES {
            let answer = bench.ask(nth, std::slice::from_ref(&hub), None).await;
            assert!(answer.is_err() || answer.is_ok_and(|a| a.hub == hub.name));
        }
    }
}

/// Most devices send nothing.
pub async fn an_absent_payload_is_no_accident(bench: &Bench) {
    for nth in 0..DEVICES {
        let answer = bench.ask(nth, &four(), None).await;
        assert!(is_candidate(&answer, &four()), "{answer:?}");
    }
}

/// Devices may send any JSON: a policy answers or refuses, and does not panic.
pub async fn a_payload_of_any_shape_is_no_accident(bench: &Bench) {
    for payload in payloads() {
        let answer = bench.ask(1, &four(), Some(&payload)).await;
        assert!(is_candidate(&answer, &four()), "{payload}: {answer:?}");
    }
}

/// The device is told it, and somebody has to understand it.
pub async fn a_refusal_says_why(bench: &Bench) {
    let mut asked: Vec<Option<Value>> = payloads().into_iter().map(Some).collect();
    asked.push(None);
    let without_weight = four().map(|hub| LinkedHub { weight: 0, ..hub });
    for payload in &asked {
        for candidates in [&four()[..], &without_weight, &four()[..1]] {
            match bench.ask(2, candidates, payload.as_ref()).await {
                Err(HookError::Refused { reason }) => {
                    assert!(!reason.trim().is_empty(), "a refusal without a reason");
                }
                Err(HookError::Retry { source, .. }) => {
                    assert!(source.is_some(), "a retry without a cause");
                }
                _ => {}
            }
        }
    }
}

/// The order is the instance's, and operators may change it at any time.
pub async fn a_stable_policy_minds_no_order_of_candidates(bench: &Bench) {
    if !bench.stable {
        return;
    }
    for nth in 0..DEVICES {
        let mut hubs = four();
        let first = chosen(bench.ask(nth, &hubs, None).await);
        for turn in 0..8 {
            if turn == 4 {
                hubs.reverse();
            }
            hubs.rotate_left(1);
            let again = chosen(bench.ask(nth, &hubs, None).await);
            assert_eq!(again, first, "device {nth}");
        }
    }
}

/// The question may come again for the same operation, and for the next.
pub async fn a_stable_policy_repeats_its_answer(bench: &Bench) {
    if !bench.stable {
        return;
    }
    let mut answers = Vec::new();
    for round in 0..3 {
        for nth in 0..DEVICES {
            let answer = chosen(bench.ask(nth, &four(), None).await);
            if round == 0 {
                answers.push(answer);
            } else {
                assert_eq!(answer, answers[nth], "device {nth}");
            }
        }
    }
}

/// What can be compared of an answer.
fn chosen(answer: Result<Allocation, HookError>) -> Result<Allocation, String> {
    answer.map_err(|error| error.to_string())
}
