//! The scenarios. Each says what it tried when something is broken.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use dps_core::allocate::Policy;
use dps_core::api::{Reply, Work};
use dps_core::enrollment::ReprovisionPolicy;
use dps_core::hub::{DeviceAuth, HubDevice};
use dps_core::registration::{Status, Substatus};

use super::Make;
use super::beneath::sweep_beneath;
use super::fuse::{Mood, When};
use super::world::{Broken, HUBS, Told, WITH_TPM, World, auth, initial_twin, reported};
use crate::run::Dice;

const MOVE_WITH_DATA: ReprovisionPolicy = ReprovisionPolicy {
    update_hub: true,
    migrate_data: true,
};
const MOVE_AND_RESET: ReprovisionPolicy = ReprovisionPolicy {
    update_hub: true,
    migrate_data: false,
};

/// A scenario: what there is before, what the device does, and what must be true in the end beside
/// that the device is where it was told.
pub(super) struct Scenario<'a> {
    pub(super) before: &'a dyn Fn(&World),
    pub(super) end: &'a dyn Fn(&World, &Told) -> Result<(), Broken>,
}

/// Dies at every effect of one register, and goes on by polling and by registering again.
fn sweep(make: &dyn Make, scenario: &Scenario<'_>) -> Result<(), Broken> {
    sweep_with("before", make, scenario)
}

/// The same, with a credential of this name.
fn sweep_with(credential: &str, make: &dyn Make, scenario: &Scenario<'_>) -> Result<(), Broken> {
    if let Some(beneath) = make.beneath() {
        return sweep_beneath(credential, make, beneath, scenario);
    }
    for nth in 1.. {
        let mut lived = 0;
        for when in [When::Before, When::After] {
            for by_polling in [true, false] {
                let world = World::new(make.make());
                (scenario.before)(&world);
                world.fuse.arm(nth, when);
                let told = world.register(credential);
                let died = world.fuse.is_blown();
                let effects = world.fuse.effects();
                world.fuse.disarm();
                lived += usize::from(!died);
                let known = told.and_then(|told| told.operation).filter(|_| by_polling);
                let ended = world.check_promise().and_then(|()| {
                    if died {
                        world.clock.advance(Duration::from_secs(1));
                    }
                    let told = world.recover(credential, known)?;
                    world.sweep()?;
                    world.check_end(&told)?;
                    (scenario.end)(&world, &told)
                });
                ended.map_err(|broken| {
                    format!("{broken}\ndied: {died}, at effect {nth}, {when:?}, of {effects:?}")
                })?;
            }
        }
        if lived == 4 {
            return if nth > 2 {
                Ok(())
            } else {
                Err("there was nothing to die at".into())
            };
        }
    }
    Ok(())
}

fn at(world: &World, name: &str) -> Result<HubDevice, Broken> {
    world
        .on(name)
        .ok_or_else(|| format!("the device is not on {name}"))
}

fn expect(holds: bool, otherwise: &str) -> Result<(), Broken> {
    if holds {
        Ok(())
    } else {
        Err(otherwise.to_owned())
    }
}

fn is(told: &Told, status: Status) -> Result<(), Broken> {
    let heard = told.state.as_ref().map(|state| state.status);
    expect(
        heard == Some(status),
        &format!("the device was told {heard:?} instead of {status}"),
    )
}

fn came_by(told: &Told, one_of: &[Substatus]) -> Result<(), Broken> {
    let heard = told
        .state
        .as_ref()
        .and_then(|state| Some(state.assignment.as_ref()?.substatus));
    let holds = heard.is_some_and(|heard| one_of.contains(&heard));
    expect(
        holds,
        &format!("the device was told {heard:?} instead of one of {one_of:?}"),
    )
}

/// Enrolls for hub a, registers, and lets the device report something.
fn settled_on_a(world: &World, reprovision: ReprovisionPolicy) {
    world.enroll(Policy::Static, &HUBS[..1], reprovision);
    world.register("before").expect("nobody dies here");
    world.report(HUBS[0]);
    world.clock.advance(Duration::from_secs(60));
}

/// A device registers for the first time.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn first_assignment(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| world.enroll(Policy::Hashed, &[], MOVE_WITH_DATA),
            end: &|world, told| {
                is(told, Status::Assigned)?;
                let having = world.hubs_with_device();
                let on = at(world, having.first().copied().unwrap_or("no hub"))?;
                expect(
                    on.twin == initial_twin(),
                    "the device does not have its initial twin",
                )
            },
        },
    )
}

/// A device registers again and stays; nothing of its twin changes.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn stay(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| settled_on_a(world, MOVE_WITH_DATA),
            end: &|world, told| {
                is(told, Status::Assigned)?;
                came_by(told, &[Substatus::ReprovisionedToInitialAssignment])?;
                expect(
                    at(world, HUBS[0])?.twin.reported == reported(),
                    "the twin was touched",
                )
            },
        },
    )
}

/// A device with a TPM registers for the first time, and again: its hub knows the key that it was told
/// last.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn hub_key_of_a_tpm(make: &dyn Make) -> Result<(), Broken> {
    for again in [false, true] {
        let scenario = Scenario {
            before: &|world| {
                world.enroll(Policy::Static, &HUBS[..1], MOVE_WITH_DATA);
                if again {
                    world.register(WITH_TPM).expect("nobody dies here");
                    world.clock.advance(Duration::from_secs(60));
                }
            },
            end: &|world, told| {
                is(told, Status::Assigned)?;
                let signs_in = world.signs_in(HUBS[0]);
                let key = told.hub_key()?;
                expect(
                    matches!(signs_in, Some(DeviceAuth::Keys { primary, .. }) if primary == key),
                    "the hub has another key than the device",
                )
            },
        };
        sweep_with(WITH_TPM, make, &scenario)?;
    }
    Ok(())
}

/// A device moves and begins anew.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn move_and_reset(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| {
                settled_on_a(world, MOVE_AND_RESET);
                world.enroll(Policy::Static, &HUBS[1..2], MOVE_AND_RESET);
            },
            end: &|world, told| {
                is(told, Status::Assigned)?;
                came_by(told, &[Substatus::DeviceDataReset])?;
                expect(
                    at(world, HUBS[1])?.twin == initial_twin(),
                    "the twin is not the initial one",
                )
            },
        },
    )
}

/// A device moves and takes its twin along.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn move_with_data(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| {
                settled_on_a(world, MOVE_WITH_DATA);
                world.enroll(Policy::Static, &HUBS[1..2], MOVE_WITH_DATA);
            },
            end: &|world, told| {
                is(told, Status::Assigned)?;
                // Whoever registers again after the move was recorded is told that it stays.
                came_by(
                    told,
                    &[
                        Substatus::DeviceDataMigrated,
                        Substatus::ReprovisionedToInitialAssignment,
                    ],
                )?;
                let twin = at(world, HUBS[1])?.twin;
                expect(
                    twin.reported == reported(),
                    "what the device reported is lost",
                )?;
                expect(twin.tags == initial_twin().tags, "the tags are lost")
            },
        },
    )
}

/// The only hub refuses a device that has none.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn refusal_of_a_new_device(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| {
                world.enroll(Policy::Static, &HUBS[..1], MOVE_WITH_DATA);
                world.mood(HUBS[0], Mood::Refusing);
            },
            end: &|_, told| is(told, Status::Failed),
        },
    )
}

/// The hub that a device is to move to refuses: it stays where it was, with its twin.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn refusal_of_a_move(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| {
                settled_on_a(world, MOVE_WITH_DATA);
                world.enroll(Policy::Static, &HUBS[1..2], MOVE_WITH_DATA);
                world.mood(HUBS[1], Mood::Refusing);
            },
            end: &|world, told| {
                is(told, Status::Failed)?;
                expect(
                    at(world, HUBS[0])?.twin.reported == reported(),
                    "the old place was touched",
                )
            },
        },
    )
}

/// A device moved, its old place was not cleaned, and now it is sent back there.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn coming_back_to_the_hub_just_left(make: &dyn Make) -> Result<(), Broken> {
    let before = |world: &World, cleaner_is_at_it: bool| {
        settled_on_a(world, MOVE_WITH_DATA);
        world.enroll(Policy::Static, &HUBS[1..2], MOVE_WITH_DATA);
        // Commit, link, commit; dead before the old place is unlinked.
        world.fuse.arm(4, When::Before);
        world.register("before");
        world.fuse.disarm();
        if !cleaner_is_at_it {
            world.clock.advance(Duration::from_secs(60));
        }
        world.enroll(Policy::Static, &HUBS[..1], MOVE_WITH_DATA);
    };
    for cleaner_is_at_it in [true, false] {
        sweep(
            make,
            &Scenario {
                before: &|world| before(world, cleaner_is_at_it),
                end: &|world, told| {
                    is(told, Status::Assigned)?;
                    expect(
                        at(world, HUBS[0])?.twin.reported == reported(),
                        "the twin is lost",
                    )
                },
            },
        )?;
    }
    Ok(())
}

/// The new hub takes the device but its answer never arrives, until the time is up.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn failure_after_the_hub_was_called(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| {
                settled_on_a(world, MOVE_AND_RESET);
                world.enroll(Policy::Static, &HUBS[1..2], MOVE_AND_RESET);
                world.mood(HUBS[1], Mood::Deaf);
            },
            end: &|world, told| {
                is(told, Status::Failed)?;
                expect(
                    at(world, HUBS[0])?.twin.reported == reported(),
                    "the old place was touched",
                )
            },
        },
    )
}

/// A custom policy that changes its mind at each call: the answer that was stored counts.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn fickle_policy_at_first(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| world.enroll(Policy::Custom, &[], MOVE_WITH_DATA),
            end: &|_, told| is(told, Status::Assigned),
        },
    )
}

/// The same, for a device that has a hub.
///
/// # Errors
/// Says at which effect what went wrong.
pub fn fickle_policy_again(make: &dyn Make) -> Result<(), Broken> {
    sweep(
        make,
        &Scenario {
            before: &|world| {
                settled_on_a(world, MOVE_WITH_DATA);
                world.enroll(Policy::Custom, &HUBS[1..], MOVE_WITH_DATA);
            },
            end: &|_, told| is(told, Status::Assigned),
        },
    )
}

/// A register with another credential while one is in flight: the device ends with the new one, on
/// one hub, wherever either of the two died.
///
/// # Errors
/// Says at which effects what went wrong.
pub fn take_over_by_another_credential(make: &dyn Make) -> Result<(), Broken> {
    for policy in [Policy::Hashed, Policy::Custom] {
        for (first, when_first) in steps(4) {
            for (second, when_second) in steps(6) {
                let world = World::new(make.make());
                world.enroll(policy, &[], MOVE_WITH_DATA);
                world.fuse.arm(first, when_first);
                world.register("before");
                world.fuse.disarm();
                let started = world.now();
                world.fuse.arm(second, when_second);
                let told = world.register("renewed");
                let effects = world.fuse.effects();
                world.fuse.disarm();
                let ended = (|| {
                    world.check_promise()?;
                    let known = told.and_then(|told| told.operation);
                    let told = world.recover("renewed", known)?;
                    world.sweep()?;
                    is(&told, Status::Assigned)?;
                    world.check_end(&told)?;
                    let hub = world
                        .hubs_with_device()
                        .first()
                        .copied()
                        .unwrap_or("no hub");
                    let new = world.signs_in(hub) == Some(auth("renewed"));
                    expect(new, "the device cannot sign in with its new credential")
                })();
                ended.map_err(|broken| {
                    format!(
                        "{broken}\npolicy {policy}, first died at {first} {when_first:?}, second at \
                         {second} {when_second:?} of {effects:?}, begun at {started}"
                    )
                })?;
            }
        }
    }
    Ok(())
}

fn steps(most: usize) -> impl Iterator<Item = (usize, When)> {
    (1..=most).flat_map(|nth| [(nth, When::Before), (nth, When::After)])
}

/// Three workers on one operation, interleaved at every call in thousands of ways, each asking a
/// policy that answers differently; the process dies at every effect, too. One hub is touched.
///
/// # Errors
/// Says in which interleaving what went wrong.
pub fn race_of_three_workers(make: &dyn Make) -> Result<(), Broken> {
    race_of_three_workers_in(2_000, make)
}

/// [`race_of_three_workers`], in so many of its interleavings, for stores that take long.
///
/// # Errors
/// Says in which interleaving what went wrong.
pub fn race_of_three_workers_in(ways: u64, make: &dyn Make) -> Result<(), Broken> {
    for seed in 0..ways {
        let mut dice = Dice::new(seed);
        let world = World::new(make.make());
        world.enroll(Policy::Custom, &[], MOVE_WITH_DATA);
        let (told, first) = world.only_ask("before");
        let Some(operation) = told.operation.clone() else {
            return Err("no operation".into());
        };
        let mut workers: Vec<Work> = first.into_iter().collect();
        while workers.len() < 3 {
            world.clock.advance(Work::LEASE + Duration::from_secs(1));
            workers.extend(world.poll_for_work("before", &operation));
        }
        world.fuse.interleave(true);
        // One run in four lives to its end; the others die somewhere.
        if dice.place(4) > 0 {
            let when = if dice.place(2) == 0 {
                When::Before
            } else {
                When::After
            };
            world.fuse.arm(1 + dice.place(9), when);
        }
        interleave(workers, &world, &mut dice);
        world.fuse.disarm();
        world.fuse.interleave(false);
        let ended = (|| {
            world.check_promise()?;
            let told = world.recover("before", Some(operation))?;
            expect(world.hubs_touched() == 1, "more than one hub was touched")?;
            world.sweep()?;
            is(&told, Status::Assigned)?;
            world.check_end(&told)
        })();
        ended.map_err(|broken| format!("{broken}\ninterleaving {seed}"))?;
    }
    Ok(())
}

type Running = Pin<Box<dyn Future<Output = Reply>>>;

/// Polls the workers in random order until all are done or the process has died.
fn interleave(workers: Vec<Work>, world: &World, dice: &mut Dice) {
    let mut running: Vec<Running> = Vec::new();
    for work in workers {
        running.push(Box::pin(async move {
            let mut reply = work.await;
            while let Some(more) = reply.work.take() {
                reply = more.await;
            }
            reply
        }));
    }
    let mut cx = Context::from_waker(Waker::noop());
    while !running.is_empty() && !world.fuse.is_blown() {
        let nth = dice.place(running.len());
        if let Some(worker) = running.get_mut(nth)
            && let Poll::Ready(_) = worker.as_mut().poll(&mut cx)
        {
            drop(running.swap_remove(nth));
        }
    }
}
