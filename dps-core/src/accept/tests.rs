//! The decision alone: the same question, the same answer.

use std::net::IpAddr;

use proptest::prelude::*;
use serde_json::Map;

use super::*;
use crate::access::{Access, Ingress};
use crate::api::Transport;
use crate::enrollment::Attestation;
use crate::id::{GroupId, HubName, SecretBytes};
use crate::registration::{Assignment, Mechanism, Owner, Status};

const HUBS: [&str; 3] = ["a.example", "b.example", "c.example"];
const NOW: Timestamp = Timestamp(1_700_000_000_000);
const LEASE: Timestamp = Timestamp(NOW.0 + 20_000);

/// Everything a decision is made from, owned.
#[derive(Clone, Debug)]
struct Case {
    scope: IdScope,
    registration: RegistrationId,
    instance: Instance,
    enrollment: Enrollment,
    record: Option<Registration>,
    auth: DeviceAuth,
    asked: [u8; 32],
    version: ApiVersion,
    fresh: OperationId,
}

impl Case {
    /// A device of a group that may go to `hubs`, and has never registered.
    fn new(hubs: &[&str]) -> Self {
        let key = || SecretBytes::new(vec![7; 32]);
        let auth = DeviceAuth::Keys {
            primary: key(),
            secondary: key(),
        };
        Self {
            scope: IdScope::parse("0ne00ABCDEF").unwrap(),
            registration: RegistrationId::parse("press-1").unwrap(),
            instance: Instance {
                service_host: "dps.example".into(),
                policy: Policy::Hashed,
                hubs: HUBS.map(linked).to_vec(),
                certificates: Vec::new(),
                access: Access::default(),
                quotas: crate::instance::Quotas::default(),
            },
            enrollment: Enrollment {
                subject: Subject::Group {
                    id: GroupId::parse("presses").unwrap(),
                },
                attestation: Attestation::SymmetricKey {
                    primary: key(),
                    secondary: key(),
                },
                enabled: true,
                edge: false,
                hubs: hubs.iter().map(|name| hub(name)).collect(),
                pinned_hub: None,
                policy: None,
                custom_allocation: None,
                initial_twin: Twin::default(),
                reprovision: None,
                created: NOW,
                updated: NOW,
            },
            record: None,
            auth,
            asked: [1; 32],
            version: ApiVersion::usual(),
            fresh: OperationId::parse("5.0.fresh").unwrap(),
        }
    }

    /// It is on `name`, and its last operation is at `phase`.
    fn known(mut self, name: &str, phase: Phase) -> Self {
        self.record = Some(Registration {
            id: self.registration.clone(),
            created: NOW,
            updated: NOW,
            owner: Owner {
                group: None,
                mechanism: Mechanism::SymmetricKey,
            },
            assignment: Some(Assignment {
                place: place_at(name),
                substatus: Substatus::InitialAssignment,
                payload: None,
            }),
            operation: Operation {
                id: OperationId::parse("5.0.before").unwrap(),
                phase,
                started: NOW,
                since: NOW,
                resume_at: LEASE,
                attempts: 3,
                token: None,
                storage_root_key: None,
                asked: [1; 32],
                version: ApiVersion::usual(),
                extras: Extras {
                    payload: Some(Map::new()),
                    ..Extras::default()
                },
            },
            trace: Arc::default(),
        });
        self
    }

    fn linking(&self, name: &str) -> Phase {
        Phase::Linking(Linking {
            place: place_at(name),
            auth: self.auth.clone(),
            edge: false,
            twin: TwinSource::IfNew(Twin::default()),
            substatus: Substatus::DeviceDataMigrated,
            leave: Some(place_at("a.example")),
        })
    }

    fn decide(&self) -> (Decision, Trace) {
        let mut trace = Trace::default();
        let decision = decide(
            &Ask {
                scope: &self.scope,
                registration: &self.registration,
                instance: &self.instance,
                enrollment: &self.enrollment,
                record: self.record.as_ref(),
                auth: &self.auth,
                asked: self.asked,
                token: None,
                storage_root_key: None,
                version: &self.version,
                payload: None,
                origin: &Origin {
                    address: IpAddr::from([192, 0, 2, 7]),
                    ingress: Ingress::Public,
                    transport: Transport::Http,
                },
                latency: None,
                now: NOW,
                fresh: &self.fresh,
            },
            &mut trace,
        );
        (decision, trace)
    }

    /// The new operation, what it gives up, and what it waits for; panics if it joins.
    fn begins(&self) -> (Operation, Option<Place>, Timestamp) {
        match self.decide().0 {
            Decision::Begin {
                operation,
                abandons,
                not_before,
            } => (operation, abandons, not_before),
            Decision::Join => unreachable!("it joins"),
        }
    }
}

fn hub(name: &str) -> HubName {
    HubName::parse(name).unwrap()
}

fn place_at(name: &str) -> Place {
    Place {
        hub: hub(name),
        device: DeviceId::parse("press-1").unwrap(),
    }
}

fn linked(name: &str) -> LinkedHub {
    LinkedHub {
        name: hub(name),
        location: "somewhere".into(),
        weight: 1,
        in_policy: true,
        credential: None,
    }
}

fn goes_to(operation: &Operation) -> &HubName {
    match &operation.phase {
        Phase::Linking(linking) => &linking.place.hub,
        other => unreachable!("{other:?}"),
    }
}

#[test]
fn a_new_operation_has_one_hub_and_nobody_to_wait_for() {
    let (operation, abandons, not_before) = Case::new(&["b.example"]).begins();
    assert_eq!(*goes_to(&operation), hub("b.example"));
    assert_eq!(operation.id.as_str(), "5.0.fresh");
    assert_eq!((abandons, not_before), (None, NOW));
    assert_eq!((operation.attempts, operation.asked), (0, [1; 32]));
}

#[test]
fn the_same_question_joins_what_is_in_flight_and_begins_anew_after_it() {
    let case = Case::new(&["b.example"]);
    let linking = case.linking("b.example");
    assert!(matches!(
        case.clone().known("a.example", linking).decide().0,
        Decision::Join
    ));
    let leave = place_at("c.example");
    for over in [Phase::Done, Phase::Disabled, Phase::Leaving { leave }] {
        let (operation, abandons, not_before) = case.clone().known("a.example", over).begins();
        assert_eq!(*goes_to(&operation), hub("b.example"));
        assert_eq!((abandons, not_before), (None, NOW));
    }
}

#[test]
fn another_credential_takes_over_at_the_same_hub_and_waits_for_whoever_is_there() {
    let mut case = Case::new(&["b.example", "c.example"]);
    case.asked = [2; 32];
    let (operation, abandons, not_before) = {
        let linking = case.linking("c.example");
        case.known("a.example", linking).begins()
    };
    assert_eq!(*goes_to(&operation), hub("c.example"));
    assert_eq!((abandons, not_before), (None, LEASE));
    assert!(
        operation.extras.payload.is_some(),
        "the hook's answer holds"
    );
    let Phase::Linking(linking) = operation.phase else {
        unreachable!("it links");
    };
    assert_eq!(linking.leave, Some(place_at("a.example")));
}

#[test]
fn another_credential_that_leads_elsewhere_gives_the_touched_hub_up() {
    let mut case = Case::new(&["b.example"]);
    case.asked = [2; 32];
    let linking = case.linking("c.example");
    let (operation, abandons, not_before) = case.known("a.example", linking).begins();
    assert_eq!(*goes_to(&operation), hub("b.example"));
    assert_eq!((abandons, not_before), (Some(place_at("c.example")), LEASE));
}

#[test]
fn a_disabled_entry_ends_what_is_in_flight_and_gives_the_touched_hub_up() {
    let mut case = Case::new(&["b.example"]);
    case.enrollment.enabled = false;
    let linking = case.linking("b.example");
    let (operation, abandons, not_before) = case.clone().known("a.example", linking).begins();
    assert_eq!(operation.status(), Status::Disabled);
    assert_eq!((abandons, not_before), (Some(place_at("b.example")), LEASE));
    // Where the device is, is not given up.
    let linking = case.linking("a.example");
    let (_, abandons, _) = case.known("a.example", linking).begins();
    assert_eq!(abandons, None);
}

#[test]
fn a_custom_policy_waits_for_its_hook_with_no_hub_chosen() {
    let mut case = Case::new(&[]);
    case.enrollment.policy = Some(Policy::Custom);
    let (operation, ..) = case.begins();
    assert!(matches!(operation.phase, Phase::Accepted { .. }));
}

#[test]
fn a_hub_that_is_left_is_cleaned_only_if_it_is_linked() {
    let case = Case::new(&["b.example"]).known("a.example", Phase::Done);
    let leave = |case: &Case| match case.begins().0.phase {
        Phase::Linking(linking) => linking.leave,
        other => unreachable!("{other:?}"),
    };
    assert_eq!(leave(&case), Some(place_at("a.example")));
    let mut unlinked = case;
    unlinked.instance.hubs.remove(0);
    assert_eq!(leave(&unlinked), None);
    let stays = Case::new(&["a.example"]).known("a.example", Phase::Done);
    assert_eq!(leave(&stays), None);
}

fn any_case() -> impl Strategy<Value = Case> {
    let hubs = proptest::sample::subsequence(HUBS.to_vec(), 0..=3);
    let policy = proptest::sample::select(vec![
        None,
        Some(Policy::Hashed),
        Some(Policy::GeoLatency),
        Some(Policy::Static),
        Some(Policy::Custom),
    ]);
    let rule = proptest::option::of(any::<(bool, bool)>());
    let in_policy = any::<[bool; 3]>();
    let record = proptest::option::of((0..3usize, 0..3usize, 0..4usize));
    let flags = any::<(bool, bool)>();
    let linked = proptest::sample::subsequence(vec![0, 1, 2], 0..=3);
    (hubs, policy, rule, in_policy, record, flags, linked).prop_map(
        |(hubs, policy, rule, in_policy, record, (enabled, same), linked)| {
            let mut case = Case::new(&hubs);
            (case.enrollment.policy, case.enrollment.enabled) = (policy, enabled);
            case.enrollment.reprovision =
                rule.map(|(update_hub, migrate_data)| ReprovisionPolicy {
                    update_hub,
                    migrate_data,
                });
            for (hub, in_policy) in case.instance.hubs.iter_mut().zip(in_policy) {
                hub.in_policy = in_policy;
            }
            let all = std::mem::take(&mut case.instance.hubs);
            case.instance.hubs = linked.iter().map(|nth| all[*nth].clone()).collect();
            if let Some((at, to, phase)) = record {
                let phase = match phase {
                    0 => Phase::Done,
                    1 => case.linking(HUBS[to]),
                    2 => Phase::Failed(no_candidate()),
                    _ => Phase::Leaving {
                        leave: place_at(HUBS[to]),
                    },
                };
                case = case.known(HUBS[at], phase);
            }
            case.asked = if same { [1; 32] } else { [2; 32] };
            case
        },
    )
}

proptest! {
    #[test]
    fn the_same_question_has_the_same_answer(case in any_case()) {
        let (first, second) = (case.decide(), case.decide());
        prop_assert_eq!(format!("{first:?}"), format!("{second:?}"));
    }

    #[test]
    fn a_device_is_sent_only_where_it_may_be(case in any_case()) {
        let (decision, _) = case.decide();
        let Decision::Begin { operation, abandons, not_before } = decision else {
            prop_assert!(case.enrollment.enabled);
            return Ok(());
        };
        prop_assert!(not_before >= NOW);
        let current = current(case.record.as_ref());
        prop_assert!(abandons.is_none() || abandons.as_ref() != current);
        match &operation.phase {
            Phase::Linking(linking) => {
                prop_assert!(case.enrollment.enabled);
                let place = &linking.place;
                let hub = case.instance.hub(&place.hub);
                prop_assert!(hub.is_some(), "linked");
                let update = reprovision(&case.enrollment, &case.version).update_hub;
                match current {
                    Some(here) if !update => prop_assert_eq!(place, here),
                    _ => {
                        let named = &case.enrollment.hubs;
                        prop_assert!(named.is_empty() || named.contains(&place.hub));
                        let custom = case.enrollment.policy == Some(Policy::Custom);
                        prop_assert!(custom || hub.is_some_and(|hub| hub.in_policy));
                    }
                }
                prop_assert!(abandons.as_ref() != Some(place));
                // What is left is where the device is, and not where it goes.
                prop_assert!(linking.leave.is_none() || linking.leave.as_ref() == current
                    || case.record.as_ref().is_some_and(|record| record.operation.status() == Status::Assigning));
            }
            Phase::Accepted { .. } => {
                prop_assert_eq!(case.enrollment.policy, Some(Policy::Custom));
            }
            Phase::Disabled => prop_assert!(!case.enrollment.enabled),
            Phase::Failed(failure) => prop_assert_eq!(failure.code, Failure::NO_CANDIDATE),
            other => prop_assert!(false, "{other:?}"),
        }
    }
}
