//! Yesterday's records, frozen: each must be read as what it meant, and written as it was.
//!
//! A sample may be added; one that stands here is never changed. Where the shape of a record changes nevertheless, the
//! sample moves to `older/`, and a test says what it is read as: see `SHAPE_CHANGED`.

mod control;
mod entries;
mod older;
mod round_trips;

use std::net::IpAddr;

use rustls_pki_types::CertificateDer;
use serde_json::json;

use super::*;
use crate::certificate::Certificate;
use crate::error::Failure;
use crate::hub::DeviceAuth;
use crate::id::{ApiVersion, DeviceId, HubName, OperationId, SecretBytes};
use crate::registration::{
    Assignment, Extras, Linking, Mechanism, Operation, Owner, Phase, Registration, Substatus,
    TwinSource,
};
use crate::time::Timestamp;
use crate::tpm::samples;
use crate::trace::{Entry, Step, Trace};

/// The certificate of all samples, in base64.
const CERTIFICATE: &str = "MIIBeDCCAR+gAwIBAgIUPosV9X3BCxpU1ECAcdWyCID6UzwwCgYIKoZIzj0EAwIwETEPMA0GA1UEAwwGRnJvemVuMCAXDTI2MTEyMTAzMzQ0MloYDzIwNTQwNDA4MDMzNDQyWjARMQ8wDQYDVQQDDAZGcm96ZW4wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQQsvkJSxsfNkIffhpv+vBz3ggdi28klDlWhQvrHgyK69pGlaL2HrRh72Pzc38wDv3UoydAyyoMxNhbNmzpKES+o1MwUTAdBgNVHQ4EFgQUo2dnjZeLX2FJdRBt6oGwdhHYuikwHwYDVR0jBBgwFoAUo2dnjZeLX2FJdRBt6oGwdhHYuikwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiBspK/P0Xwl2JHT6fwLrsN2uJU6/zFvq/TYS8FDAeInTgIgb9YkDkicD9tSfdiV/gZO81GPTeAWRl6PraYr2U/YOqw=";

const SHAPE_CHANGED: &str = "A stored shape is another one than it was. Stores have records of the old one, and nodes of \
    the last version may read and write the same store. So: (1) if it need not change, change it back; (2) what was there \
    must still be read: keep the old sample in tests/older, with a test of what it means; (3) if a node of the last \
    version cannot read what is written now, or would lose something by writing it again, raise store::RECORD_FORMAT, and \
    say so in the change log; (4) then bring the sample and the digest in tests/older.rs up to date.";

/// Asserts that `sample` is how `value` is written, and that it is read as that.
///
/// Values are compared as they are shown and as they are written, for keys are not shown.
fn frozen<T: std::fmt::Debug>(
    sample: &str,
    value: &T,
    encode: impl Fn(&T) -> Result<Bytes, StoreError>,
    decode: impl Fn(&[u8]) -> Result<T, StoreError>,
) {
    let sample = sample.trim_end().replace("CERTIFICATE", CERTIFICATE);
    let text = |bytes: Bytes| String::from_utf8(bytes.to_vec()).unwrap();
    assert_eq!(text(encode(value).unwrap()), sample, "{SHAPE_CHANGED}");
    let read = decode(sample.as_bytes()).expect(SHAPE_CHANGED);
    assert_eq!(format!("{read:?}"), format!("{value:?}"));
    assert_eq!(text(encode(&read).unwrap()), sample);
    // A member that is added tomorrow does not keep today's nodes from reading.
    let more = sample.replacen('{', r#"{"tomorrow":{"a":[1]},"#, 1);
    let read = decode(more.as_bytes()).unwrap();
    assert_eq!(format!("{read:?}"), format!("{value:?}"));
}

fn certificate() -> Certificate {
    let der = STANDARD.decode(CERTIFICATE).unwrap();
    Certificate::parse(&CertificateDer::from(der)).unwrap()
}

fn object(text: &str) -> Map<String, Value> {
    serde_json::from_str(text).unwrap()
}

fn secret(byte: u8) -> SecretBytes {
    SecretBytes::new(vec![byte; 16])
}

fn place(hub: &str, device: &str) -> Place {
    Place {
        hub: HubName::parse(hub).unwrap(),
        device: DeviceId::parse(device).unwrap(),
    }
}

fn twin() -> Twin {
    Twin {
        tags: object(r#"{"line":4}"#),
        desired: object(r#"{"interval":60}"#),
        reported: Map::new(),
    }
}

fn public_key(bytes: &[u8]) -> PublicKey {
    PublicKey::parse(bytes).unwrap()
}

fn device_keys() -> DeviceAuth {
    let (primary, secondary) = (secret(1), secret(2));
    DeviceAuth::Keys { primary, secondary }
}

fn registration(phase: Phase) -> Registration {
    Registration {
        id: RegistrationId::parse("Press-1").unwrap(),
        created: Timestamp(1_700_000_000_000),
        updated: Timestamp(1_700_000_001_000),
        owner: Owner {
            group: None,
            mechanism: Mechanism::SymmetricKey,
        },
        assignment: None,
        operation: Operation {
            id: OperationId::parse("5.0.a").unwrap(),
            phase,
            started: Timestamp(1_700_000_000_500),
            since: Timestamp(1_700_000_000_600),
            resume_at: Timestamp(1_700_000_030_500),
            attempts: 0,
            token: None,
            storage_root_key: None,
            asked: [3; 32],
            version: ApiVersion::usual(),
            extras: Extras::default(),
        },
        trace: Arc::new(Trace::default()),
    }
}

fn frozen_registration(value: &Registration, sample: &str) {
    frozen(sample, value, encode_registration, decode_registration);
}

#[test]
fn a_registration_that_waits_for_a_hook() {
    let mut value = registration(Phase::Accepted {
        auth: device_keys(),
        origin: IpAddr::from([192, 0, 2, 7]),
        payload: Some(json!({"model": "x"})),
    });
    value.operation.attempts = 2;
    value.operation.token = Some([4; 32]);
    frozen_registration(
        &value,
        include_str!("tests/samples/registration-accepted.json"),
    );
}

#[test]
fn a_registration_that_waits_for_a_hook_and_sent_nothing_over_ipv6() {
    let value = registration(Phase::Accepted {
        auth: DeviceAuth::CertificateAuthority,
        origin: "2001:db8::7".parse().unwrap(),
        payload: None,
    });
    frozen_registration(
        &value,
        include_str!("tests/samples/registration-accepted-ipv6.json"),
    );
}

#[test]
fn a_registration_on_its_way_to_its_first_hub() {
    let mut value = registration(Phase::Linking(Linking {
        place: place("A.hub.example", "Press-1"),
        auth: DeviceAuth::Thumbprints {
            primary: [5; 32],
            secondary: [6; 32],
        },
        edge: true,
        twin: TwinSource::IfNew(twin()),
        substatus: Substatus::InitialAssignment,
        leave: None,
    }));
    value.owner = Owner {
        group: Some(GroupId::parse("Presses").unwrap()),
        mechanism: Mechanism::X509,
    };
    frozen_registration(
        &value,
        include_str!("tests/samples/registration-linking-first.json"),
    );
}

#[test]
fn a_registration_on_its_way_to_another_hub() {
    for (twin, substatus, sample) in [
        (
            TwinSource::Carry { otherwise: twin() },
            Substatus::DeviceDataMigrated,
            include_str!("tests/samples/registration-linking-carry.json"),
        ),
        (
            TwinSource::Reset(twin()),
            Substatus::DeviceDataReset,
            include_str!("tests/samples/registration-linking-reset.json"),
        ),
    ] {
        let mut value = registration(Phase::Linking(Linking {
            place: place("b.hub.example", "press-1"),
            auth: device_keys(),
            edge: false,
            twin,
            substatus,
            leave: Some(place("a.hub.example", "press-1")),
        }));
        value.assignment = Some(Assignment {
            place: place("a.hub.example", "press-1"),
            substatus: Substatus::InitialAssignment,
            payload: Some(object(r#"{"speed":3}"#)),
        });
        frozen_registration(&value, sample);
    }
}

#[test]
fn a_registration_that_still_has_to_leave_its_old_hub() {
    let mut value = registration(Phase::Leaving {
        leave: place("a.hub.example", "press-1"),
    });
    value.assignment = Some(Assignment {
        place: place("b.hub.example", "press-1"),
        substatus: Substatus::DeviceDataMigrated,
        payload: None,
    });
    frozen_registration(
        &value,
        include_str!("tests/samples/registration-leaving.json"),
    );
}

#[test]
fn a_registration_that_is_done() {
    let mut value = registration(Phase::Done);
    value.assignment = Some(Assignment {
        place: place("b.hub.example", "press-1"),
        substatus: Substatus::ReprovisionedToInitialAssignment,
        payload: Some(object(r#"{"speed":3}"#)),
    });
    value.operation.extras = Extras {
        payload: Some(object(r#"{"speed":3}"#)),
        tpm: Some(Bytes::from_static(b"blob")),
        issued: vec![Bytes::from_static(b"leaf"), Bytes::from_static(b"issuer")],
    };
    let mut trace = Trace::default();
    trace.push(Step::NoIndividual);
    trace.push(Step::Believed {
        entry: Entry::Group("presses".into()),
        by: "key".into(),
    });
    trace.push(Step::ChosenByScore {
        hub: "b.hub.example".into(),
        score: 0.5,
        among: 3,
    });
    trace.push(Step::Linked {
        hub: "b.hub.example".into(),
        created: true,
    });
    value.trace = Arc::new(trace);
    frozen_registration(&value, include_str!("tests/samples/registration-done.json"));
}

#[test]
fn a_registration_of_a_device_with_a_tpm() {
    let mut value = registration(Phase::Done);
    value.owner.mechanism = Mechanism::Tpm;
    value.operation.token = Some([4; 32]);
    value.operation.storage_root_key = Some(public_key(&samples::ecc(false, &samples::POINT)));
    value.operation.extras.tpm = Some(Bytes::from_static(b"blob"));
    frozen_registration(&value, include_str!("tests/samples/registration-tpm.json"));
}

#[test]
fn keys_that_a_device_has_shown() {
    frozen(
        include_str!("tests/samples/challenge.json"),
        &vec![
            public_key(&samples::ecc(false, &samples::POINT)),
            public_key(&samples::rsa(false, &samples::modulus())),
        ],
        |keys| encode_shown(keys),
        decode_shown,
    );
}

#[test]
fn a_registration_that_failed() {
    let failure = Failure::new(404_000, "no hub is left");
    frozen_registration(
        &registration(Phase::Failed(failure)),
        include_str!("tests/samples/registration-failed.json"),
    );
}

#[test]
fn a_registration_of_a_disabled_entry() {
    frozen_registration(
        &registration(Phase::Disabled),
        include_str!("tests/samples/registration-disabled.json"),
    );
}

#[test]
fn a_place_that_was_left() {
    let value = Leaving {
        place: place("A.hub.example", "Press-1"),
        until: Timestamp(1_700_000_030_000),
        attempts: 2,
    };
    frozen(
        include_str!("tests/samples/leaving.json"),
        &value,
        encode_leaving,
        decode_leaving,
    );
}

#[test]
fn members_that_are_not_there_have_their_usual_meaning() {
    let short = r#"{"place":{"hub":"a.hub.example","device":"d"},"until":7}"#;
    assert_eq!(decode_leaving(short.as_bytes()).unwrap().attempts, 0);
    let short =
        r#"{"registration":"d","by":{"keys":["",""]},"enabled":true,"created":1,"updated":2}"#;
    let entry = decode_enrollment(short.as_bytes()).unwrap();
    assert!(!entry.edge && entry.hubs.is_empty() && entry.policy.is_none());
    assert_eq!(entry.initial_twin, Twin::default());
}

#[test]
fn records_live_where_they_did_yesterday() {
    let scope = IdScope::parse("0ne00ABCDEF").unwrap();
    let id = RegistrationId::parse("Press-1").unwrap();
    let keys = DeviceKeys::new(&scope, &id);
    let at = place("A.hub.example", "Press-1");
    let group = GroupId::parse("Presses").unwrap();
    assert_eq!(keys.shard.slot, 32);
    assert_eq!(&*keys.key(Table::Registration).id, "press-1");
    assert_eq!(&*keys.leaving_id(&at), "press-1/a.hub.example/Press-1");
    assert_eq!(&*keys.member_id(&group), "presses/press-1");
    assert_eq!(&*keys.key(Table::Challenge).id, "press-1");
    let fixed = [
        epoch_key(&scope),
        instance_key(&scope),
        nonce_key_key(&scope),
    ];
    assert!(
        fixed
            .iter()
            .all(|key| key.shard.slot == 0 && key.table == Table::Instance)
    );
    let ids = fixed.each_ref().map(|key| &*key.id);
    assert_eq!(ids, ["epoch", "instance", "nonce-key"]);
}

proptest::proptest! {
    #[test]
    fn a_name_tells_where_its_record_lives(
        device in "[a-z0-9][a-z0-9._:-]{0,126}[a-z0-9-]",
        group in "[a-z0-9][a-z0-9._:-]{0,126}[a-z0-9-]",
        at in "[A-Za-z0-9#/._:-]{1,128}",
    ) {
        let scope = IdScope::parse("0ne00ABCDEF").unwrap();
        let keys = DeviceKeys::new(&scope, &RegistrationId::parse(&device).unwrap());
        let at = Place {
            hub: HubName::parse("a.hub.example").unwrap(),
            device: DeviceId::parse(&at).unwrap_or_else(|_| DeviceId::parse("d").unwrap()),
        };
        let own = |table: Table, id: &str| {
            let found = shard_of(&scope, table, id).unwrap();
            assert_eq!((&found.scope, found.slot), (&scope, keys.shard.slot));
        };
        for table in [Table::Enrollment, Table::Registration, Table::Challenge] {
            own(table, &keys.key(table).id);
        }
        own(Table::Member, &keys.member_id(&GroupId::parse(&group).unwrap()));
        own(Table::Leaving, &keys.leaving_id(&at));
        for table in [Table::Instance, Table::Certificate, Table::Group] {
            proptest::prop_assert_eq!(shard_of(&scope, table, &group).unwrap(), configuration(&scope));
        }
    }
}

#[test]
fn the_count_of_a_slot_lives_in_it_and_other_names_live_nowhere() {
    let scope = IdScope::parse("0ne00ABCDEF").unwrap();
    for key in tally_keys(&scope) {
        assert_eq!(shard_of(&scope, key.table, &key.id), Some(key.shard));
    }
    for (table, id) in [
        (Table::Tally, "enrollments/0"),
        (Table::Tally, "enrollments/65"),
        (Table::Tally, "enrollments/x"),
        (Table::Tally, "9"),
        (Table::Member, "presses"),
        (Table::Member, "presses/"),
        (Table::Leaving, "press-1"),
        (Table::Leaving, "/a/b"),
        (Table::Registration, ""),
    ] {
        assert_eq!(shard_of(&scope, table, id), None, "{table:?} {id}");
    }
}
