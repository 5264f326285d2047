//! Custom allocation.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use dps_core::allocate::{Allocation, AllocationHook, AllocationRequest, HookError, Policy};
use dps_core::api::DeviceRequest;
use dps_core::error::Failure;
use dps_core::registration::Status;
use dps_core::twin::Twin;
use dps_testkit::run::block_on;
use serde_json::json;

use crate::common::*;

type Answer = dyn Fn(usize) -> Option<Result<Allocation, HookError>> + Send + Sync;

/// Answers what a test says, and keeps what it was asked. `None` hangs.
pub struct Scripted {
    answer: Box<Answer>,
    asked: Mutex<Vec<Asked>>,
}

#[derive(Clone, Debug)]
struct Asked {
    operation: String,
    hubs: Vec<String>,
    current: Option<String>,
    payload: Option<serde_json::Value>,
}

impl std::fmt::Debug for Scripted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scripted")
    }
}

#[async_trait]
impl AllocationHook for Scripted {
    async fn allocate(&self, request: &AllocationRequest<'_>) -> Result<Allocation, HookError> {
        let nth = {
            let mut asked = self.asked.lock().unwrap();
            asked.push(Asked {
                operation: request.operation.to_string(),
                hubs: request
                    .hubs
                    .iter()
                    .map(|hub| hub.name.to_string())
                    .collect(),
                current: request.current.map(|place| place.hub.to_string()),
                payload: request.payload.cloned(),
            });
            asked.len() - 1
        };
        match (self.answer)(nth) {
            Some(answer) => answer,
            None => std::future::pending().await,
        }
    }
}

fn world(
    answer: impl Fn(usize) -> Option<Result<Allocation, HookError>> + Send + Sync + 'static,
) -> (World, Arc<Scripted>) {
    let hook = Arc::new(Scripted {
        answer: Box::new(answer),
        asked: Mutex::default(),
    });
    let world = World::with(|builder| builder.hook(Arc::clone(&hook) as Arc<dyn AllocationHook>));
    world.put(&individual("press-1", keys(1, 1)).by(Policy::Custom));
    (world, hook)
}

impl Scripted {
    fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

fn says(name: &str) -> Option<Result<Allocation, HookError>> {
    Some(Ok(hub(name).into()))
}

fn press() -> Device {
    Device::with_key("press-1", &key(1))
}

#[test]
fn a_custom_policy_is_offered_all_linked_hubs_also_those_out_of_policy() {
    let (world, hook) = world(|_| says(C));
    let mut out = instance(&[A, B, C]);
    out.hubs[2].in_policy = false;
    world.put_instance(&out);
    assert_eq!(world.register(&press()).hub(), C);
    assert_eq!(hook.asked()[0].hubs, [A, B, C]);
    assert_eq!(hook.asked()[0].current, None);
}

#[test]
fn a_custom_policy_is_offered_what_the_entry_names() {
    let (world, hook) = world(|_| says(B));
    world.put(
        &individual("press-1", keys(1, 1))
            .by(Policy::Custom)
            .among(&["gone.example", B]),
    );
    assert_eq!(world.register(&press()).hub(), B);
    assert_eq!(hook.asked()[0].hubs, [B]);
}

#[test]
fn a_hook_is_asked_at_each_registration_and_offered_one_hub_if_the_device_must_stay() {
    let (world, hook) = world(|_| says(A));
    world.register(&press());
    world.put(
        &individual("press-1", keys(1, 1))
            .by(Policy::Custom)
            .reprovision(NEVER),
    );
    assert_eq!(world.register(&press()).hub(), A);
    let asked = hook.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[1].hubs, [A]);
    assert_eq!(asked[1].current.as_deref(), Some(A));
}

#[test]
fn a_hooks_answers_are_told_kept_and_used_where_the_device_begins_anew() {
    let twin = Twin {
        desired: object(&[("by", 7)]),
        ..Twin::default()
    };
    let payload = object(&[("speed", 3)]);
    let (with_twin, with_payload) = (twin.clone(), payload.clone());
    let (world, hook) = world(move |nth| {
        let hub = hub([A, A, B, C][nth]);
        Some(Ok(Allocation {
            hub,
            twin: Some(with_twin.clone()),
            payload: Some(with_payload.clone()),
        }))
    });
    let mut device = press();
    device.payload = Some(json!({"model": "x"}));
    let told = world.register(&device);
    assert_eq!(hook.asked()[0].payload, Some(json!({"model": "x"})));
    assert_eq!(told.state().extras.payload.as_ref(), Some(&payload));
    assert_eq!(world.on(A, "press-1").unwrap().twin.desired, twin.desired);
    let polled = world.poll(&device, &told.operation());
    assert_eq!(polled.state().extras.payload.as_ref(), Some(&payload));
    let looked = world.lookup(&device);
    assert!(looked.state().extras.payload.is_none());
    assert_eq!(
        looked.state().assignment.as_ref().unwrap().payload.as_ref(),
        Some(&payload)
    );

    // A reset on the same hub is to the entry's own twin; one on another hub is the hook's.
    world.put(
        &individual("press-1", keys(1, 1))
            .by(Policy::Custom)
            .reprovision(RESET),
    );
    world.register(&device);
    assert_eq!(
        world.on(A, "press-1").unwrap().twin.desired,
        object(&[("interval", 60)])
    );
    world.register(&device);
    assert_eq!(world.on(B, "press-1").unwrap().twin.desired, twin.desired);
    // A move with the data takes that along.
    world.report(B, "press-1");
    world.put(
        &individual("press-1", keys(1, 1))
            .by(Policy::Custom)
            .reprovision(MIGRATE),
    );
    world.register(&device);
    assert_eq!(
        world.on(C, "press-1").unwrap().twin.reported,
        object(&[("temperature", 81)])
    );
    assert_eq!(world.hubs_of("press-1"), [C]);
}

#[test]
fn a_hook_that_fails_ends_the_operation_with_its_code() {
    for (answer, code) in [
        (
            HookError::Refused {
                reason: "Custom allocation failed with status code: 418".into(),
            },
            Failure::CUSTOM_ALLOCATION,
        ),
        (HookError::NoHub, Failure::NO_HUB_NAMED),
        (HookError::Unauthorized, Failure::HOOK_UNAUTHORIZED),
    ] {
        let answer = Mutex::new(Some(answer));
        let (world, _) = world(move |_| Some(Err(answer.lock().unwrap().take().unwrap())));
        let told = world.register(&press());
        assert_eq!(told.failure(), code);
        assert!(world.hubs.calls().is_empty());
    }
    assert_eq!(
        (
            Failure::CUSTOM_ALLOCATION,
            Failure::NO_HUB_NAMED,
            Failure::HOOK_UNAUTHORIZED
        ),
        (400_207, 400_208, 400_209)
    );
}

#[test]
fn a_hook_that_names_a_hub_that_is_no_candidate_fails_the_operation() {
    for foreign in ["foreign.hub.example", C] {
        let (world, _) = world(move |_| says(foreign));
        world.put(
            &individual("press-1", keys(1, 1))
                .by(Policy::Custom)
                .among(&[A, B]),
        );
        let told = world.register(&press());
        assert_eq!(told.failure(), Failure::CUSTOM_ALLOCATION);
        let failure = told.state().failure.clone().unwrap();
        assert!(failure.message.contains(foreign), "{failure}");
        assert!(world.everything().is_empty());
    }
}

#[test]
fn without_a_hook_a_custom_policy_fails() {
    let world = World::new();
    world.put(&individual("press-1", keys(1, 1)).by(Policy::Custom));
    assert_eq!(
        world.register(&press()).failure(),
        Failure::CUSTOM_ALLOCATION
    );
}

fn busy() -> Option<Result<Allocation, HookError>> {
    let source = "Custom allocation failed with status code: 500".into();
    Some(Err(HookError::Retry {
        after: None,
        source: Some(source),
    }))
}

/// Polls each second until the operation ends; at which seconds the hook was asked.
fn schedule(world: &World, hook: &Scripted) -> (Vec<u64>, Told) {
    let mut told = world.register(&press());
    let (operation, mut times) = (told.operation(), vec![0]);
    for second in 1..1000 {
        world.clock.advance(Duration::from_secs(1));
        told = world.poll(&press(), &operation);
        if hook.asked().len() > times.len() {
            times.push(second);
        }
        if told.status() != Status::Assigning {
            break;
        }
    }
    (times, told)
}

#[test]
fn a_hook_that_asks_for_it_is_asked_again_after_1_and_10_and_19_seconds() {
    let (world, hook) = world(|nth| if nth < 3 { busy() } else { says(B) });
    let (times, told) = schedule(&world, &hook);
    assert_eq!(times, [0, 1, 11, 30]);
    assert_eq!(told.hub(), B);
    let asked = hook.asked();
    assert!(
        asked
            .iter()
            .all(|asked| asked.operation == told.operation().as_str())
    );
}

#[test]
fn a_hook_is_given_up_after_ten_retries_with_its_own_words() {
    let (world, hook) = world(|_| busy());
    let (times, told) = schedule(&world, &hook);
    assert_eq!(times, [0, 1, 11, 30, 58, 95, 141, 196, 260, 333, 415]);
    assert_eq!(told.failure(), Failure::CUSTOM_ALLOCATION);
    let failure = told.state().failure.clone().unwrap();
    assert_eq!(
        &*failure.message,
        "Custom allocation failed with status code: 500"
    );
}

#[test]
fn a_hook_may_say_when_it_wants_to_be_asked_again() {
    let (world, hook) = world(|nth| match nth {
        0 => Some(Err(HookError::Retry {
            after: Some(Duration::from_secs(7)),
            source: None,
        })),
        _ => says(B),
    });
    assert_eq!(schedule(&world, &hook).0, [0, 7]);
}

#[test]
fn a_hook_that_hangs_is_asked_again_when_the_lease_is_over_and_given_up_in_the_end() {
    let (world, hook) = world(|_| None);
    let first = world.only_register(&press());
    let operation = operation_of(&first.response);
    once(first.work.unwrap());
    let mut asked = hook.asked().len();
    assert_eq!(asked, 1);
    for _ in 0..40 {
        world.clock.advance(dps_core::api::Work::LEASE);
        let request = DeviceRequest::OperationStatus {
            operation: operation.clone(),
        };
        let reply = world.ask(&press(), request);
        let Some(work) = reply.work else {
            panic!(
                "nobody is at it, so this poll takes it up: {:?}",
                reply.response
            );
        };
        if let Some(reply) = once(work) {
            assert_eq!(status_of(&reply.response), Status::Failed);
            assert_eq!(asked, 11, "as often as one that asks for it");
            let told = world.poll(&press(), &operation);
            assert_eq!(told.failure(), Failure::CUSTOM_ALLOCATION);
            return;
        }
        asked += 1;
        assert_eq!(hook.asked().len(), asked);
    }
    panic!("it never ends");
}

#[test]
fn a_hook_that_hangs_once_costs_a_lease() {
    let (world, _) = world(|nth| if nth == 0 { None } else { says(A) });
    let first = world.only_register(&press());
    once(first.work.unwrap());
    world.clock.advance(dps_core::api::Work::LEASE);
    let told = world.poll(&press(), &operation_of(&first.response));
    assert_eq!(told.hub(), A);
}

#[test]
fn the_answer_that_is_stored_first_counts() {
    let (world, _) = world(|nth| says([A, B][nth]));
    let first = world.only_register(&press());
    let operation = operation_of(&first.response);
    world.clock.advance(dps_core::api::Work::LEASE);
    // The worker that was thought dead and the one that took it up.
    let told = world.poll(&press(), &operation);
    let late = finish(block_on(first.work.unwrap()));
    assert_eq!(told.hub(), A);
    assert_eq!(late.hub(), A, "it is told what is stored");
    assert_eq!(world.hubs_of("press-1"), [A]);
}

#[test]
fn a_hook_may_send_a_device_back_to_the_hub_it_has_just_left() {
    let (world, _) = world(|nth| says([A, B, A][nth]));
    world.register(&press());
    let moves = world.only_register(&press());
    // Whoever was to clean hub a has gone.
    let moved = block_on(moves.work.unwrap());
    assert_eq!(status_of(&moved.response), Status::Assigned);
    drop(moved);
    assert_eq!(world.hubs_of("press-1"), [A, B]);

    let back = world.register(&press());
    assert_eq!(
        back.status(),
        Status::Assigning,
        "somebody may still be cleaning it"
    );
    world.clock.advance(dps_core::api::Work::LEASE);
    let told = world.poll(&press(), &back.operation());
    assert_eq!((told.status(), told.hub().as_str()), (Status::Assigned, A));
    world.clock.advance(HOUR);
    world.sweep();
    assert_eq!(world.hubs_of("press-1"), [A], "it is not cleaned away");
}
