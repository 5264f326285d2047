//! What is written is read back, and whatever is read does no harm.

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

use super::entries::enrollment;
use super::*;
use crate::allocate::Policy;
use crate::enrollment::{Attestation, ReprovisionPolicy, Subject};

fn json_object() -> impl Strategy<Value = Map<String, Value>> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".{0,20}".prop_map(Value::from),
    ];
    let value = leaf.prop_recursive(3, 12, 4, |inner| {
        let array = vec(inner.clone(), 0..4).prop_map(Value::from);
        let object = vec((".{0,8}", inner), 0..4);
        prop_oneof![
            array,
            object.prop_map(|members| Value::Object(members.into_iter().collect()))
        ]
    });
    vec((".{0,8}", value), 0..4).prop_map(|members| members.into_iter().collect())
}

fn any_twin() -> impl Strategy<Value = Twin> {
    (json_object(), json_object(), json_object()).prop_map(|(tags, desired, reported)| Twin {
        tags,
        desired,
        reported,
    })
}

fn any_place() -> impl Strategy<Value = Place> {
    let device = "[A-Za-z0-9.+%_#*?!(),:=@$'-]{1,128}";
    ("[a-zA-Z0-9]([a-zA-Z0-9.-]{0,40}[a-z0-9])?", device).prop_map(|(hub, device)| Place {
        hub: HubName::parse(&hub).unwrap(),
        device: DeviceId::parse(&device).unwrap(),
    })
}

fn any_secret() -> impl Strategy<Value = SecretBytes> {
    vec(any::<u8>(), 0..64).prop_map(SecretBytes::new)
}

fn any_auth() -> impl Strategy<Value = DeviceAuth> {
    prop_oneof![
        any::<([u8; 32], [u8; 32])>()
            .prop_map(|(primary, secondary)| DeviceAuth::Thumbprints { primary, secondary }),
        Just(DeviceAuth::CertificateAuthority),
        (any_secret(), any_secret())
            .prop_map(|(primary, secondary)| DeviceAuth::Keys { primary, secondary }),
    ]
}

fn any_substatus() -> impl Strategy<Value = Substatus> {
    prop::sample::select(vec![
        Substatus::InitialAssignment,
        Substatus::DeviceDataMigrated,
        Substatus::DeviceDataReset,
        Substatus::ReprovisionedToInitialAssignment,
    ])
}

fn any_phase() -> impl Strategy<Value = Phase> {
    let source = (any_twin(), 0..3).prop_map(|(twin, kind)| match kind {
        0 => TwinSource::IfNew(twin),
        1 => TwinSource::Reset(twin),
        _ => TwinSource::Carry { otherwise: twin },
    });
    let leave = option::of(any_place());
    let linking = (
        any_place(),
        any_auth(),
        any::<bool>(),
        source,
        any_substatus(),
        leave,
    );
    let payload = option::of(json_object().prop_map(Value::Object));
    prop_oneof![
        (any_auth(), any::<IpAddr>(), payload).prop_map(|(auth, origin, payload)| {
            Phase::Accepted {
                auth,
                origin,
                payload,
            }
        }),
        linking.prop_map(|(place, auth, edge, twin, substatus, leave)| {
            Phase::Linking(Linking {
                place,
                auth,
                edge,
                twin,
                substatus,
                leave,
            })
        }),
        any_place().prop_map(|leave| Phase::Leaving { leave }),
        Just(Phase::Done),
        (any::<u32>(), ".{0,40}").prop_map(|(code, text)| Phase::Failed(Failure::new(code, text))),
        Just(Phase::Disabled),
    ]
}

/// Written, read, and written again, all is as it was.
fn comes_back<T: std::fmt::Debug>(
    value: &T,
    encode: impl Fn(&T) -> Result<Bytes, StoreError>,
    decode: impl Fn(&[u8]) -> Result<T, StoreError>,
) -> Result<(), TestCaseError> {
    let written = encode(value).unwrap();
    let read = decode(&written).unwrap();
    prop_assert_eq!(format!("{read:?}"), format!("{value:?}"));
    prop_assert_eq!(encode(&read).unwrap(), written);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn any_registration_comes_back(
        phase in any_phase(),
        assignment in option::of((any_place(), any_substatus(), option::of(json_object()))),
        extras in (option::of(json_object()), option::of(vec(any::<u8>(), 0..40)), vec(vec(any::<u8>(), 0..20), 0..3)),
        token in option::of(any::<[u8; 32]>()),
        (attempts, since) in any::<(u32, u64)>(),
    ) {
        let mut value = registration(phase);
        value.assignment = assignment.map(|(place, substatus, payload)| Assignment { place, substatus, payload });
        value.operation.extras = Extras {
            payload: extras.0,
            tpm: extras.1.map(Bytes::from),
            issued: extras.2.into_iter().map(Bytes::from).collect(),
        };
        value.operation.token = token;
        (value.operation.attempts, value.operation.since) = (attempts, Timestamp(since));
        comes_back(&value, encode_registration, decode_registration)?;
    }

    #[test]
    fn any_enrollment_comes_back(
        twin in any_twin(),
        information in option::of(json_object()),
        keys in (any_secret(), any_secret()),
        policy in option::of(prop::sample::select(vec![Policy::Hashed, Policy::GeoLatency, Policy::Static, Policy::Custom])),
        reprovision in option::of(any::<(bool, bool)>()),
        (enabled, edge) in any::<(bool, bool)>(),
    ) {
        let registration = RegistrationId::parse("Press-1").unwrap();
        let subject = Subject::Individual { registration, device: None, information };
        let (primary, secondary) = keys;
        let mut value = enrollment(subject, Attestation::SymmetricKey { primary, secondary });
        (value.initial_twin, value.policy) = (twin, policy);
        (value.enabled, value.edge) = (enabled, edge);
        value.reprovision = reprovision.map(|(update_hub, migrate_data)| ReprovisionPolicy { update_hub, migrate_data });
        comes_back(&value, encode_enrollment, decode_enrollment)?;
    }

    #[test]
    fn any_place_that_was_left_comes_back(place in any_place(), until: u64, attempts: u32) {
        let value = Leaving { place, until: Timestamp(until), attempts };
        comes_back(&value, encode_leaving, decode_leaving)?;
    }

    #[test]
    fn no_bytes_do_harm(bytes in vec(any::<u8>(), 0..200)) {
        let _ = (decode_registration(&bytes), decode_enrollment(&bytes), decode_leaving(&bytes));
        let _ = (decode_instance(&bytes), decode_certificate(&bytes));
        let _ = (decode_shown(&bytes), decode_nonce_key(&bytes));
    }

    #[test]
    fn a_record_that_was_cut_is_not_read(cut in 1usize..300) {
        let written = encode_registration(&registration(Phase::Done)).unwrap();
        let end = written.len().saturating_sub(cut);
        prop_assert!(decode_registration(&written[..end]).is_err());
    }
}
