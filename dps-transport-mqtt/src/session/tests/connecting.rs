//! From the first byte to whether the device is believed.

use rustls_pki_types::CertificateDer;

use super::*;

fn hello_of(connect: &[u8], peer: Peer) -> DeviceHello {
    let mut talk = Talk::by(peer);
    talk.send(connect);
    talk.hello()
}

fn with_certificate() -> Peer {
    Peer {
        chain: Arc::from([CertificateDer::from(vec![1])]),
        ..peer()
    }
}

#[test]
fn a_device_says_who_it_is_and_shows_its_token() {
    let hello = hello_of(&connect(), peer());
    assert_eq!(hello.scope.as_str(), "0neS");
    assert_eq!(hello.registration.as_str(), "Press-1");
    assert_eq!(hello.origin.transport, Transport::Mqtt);
    assert_eq!(hello.origin.address, peer().address);
    let Some(Evidence::Sas { token }) = hello.evidence else {
        panic!("it has shown a token");
    };
    assert_eq!(token.as_bytes(), TOKEN);
}

#[test]
fn without_a_password_the_certificate_counts_and_with_one_it_does_not() {
    for password in [None, Some(&b""[..])] {
        let hello = hello_of(
            &connect_as("Press-1", Some(USER), password),
            with_certificate(),
        );
        assert!(matches!(hello.evidence, Some(Evidence::X509 { chain }) if chain.len() == 1));
    }
    let hello = hello_of(&connect(), with_certificate());
    assert!(matches!(hello.evidence, Some(Evidence::Sas { .. })));
    let hello = hello_of(
        &connect_as("Press-1", Some(USER), Some(b"\xff")),
        with_certificate(),
    );
    assert!(hello.evidence.is_none());
}

#[test]
fn who_shows_nothing_is_judged_like_who_shows_something_wrong() {
    let hello = hello_of(&connect_as("Press-1", Some(USER), None), peer());
    assert!(hello.evidence.is_none());
}

#[test]
fn no_session_is_ever_present_whatever_is_asked() {
    for clean in [true, false] {
        let mut talk = Talk::new();
        talk.send(&connect_with("Press-1", Some(USER), Some(TOKEN), clean, 60));
        talk.judge(Ok(()));
        // A session that is present would not be read as this.
        assert_eq!(talk.told(), ["CONNACK 0"]);
    }
}

#[test]
fn ids_are_compared_without_regard_to_case() {
    let hello = hello_of(&connect_as("PRESS-1", Some(USER), Some(TOKEN)), peer());
    assert_eq!(hello.registration.as_str(), "Press-1");
}

#[test]
fn a_client_identifier_that_is_not_the_registration_id_is_connack_5() {
    for (id, user) in [
        ("Press-2", Some(USER)),
        ("", Some(USER)),
        ("Press-1", None),
        ("Press-1", Some("")),
        ("Press-1", Some("0neS/devices/Press-1/api-version=1")),
        ("Press-1", Some("0neS/registrations")),
    ] {
        let mut talk = Talk::new();
        talk.send(&connect_as(id, user, user.map(|_| TOKEN)));
        assert_eq!(talk.told(), ["CONNACK 5"], "{id} {user:?}");
        assert_eq!(talk.end(), Some(End::Identity));
    }
}

#[test]
fn another_protocol_is_connack_1() {
    for (level, name) in [(5, b"MQTT"), (3, b"MQTT"), (4, b"MQTX")] {
        let mut bytes = connect();
        let start = bytes.windows(4).position(|four| four == b"MQTT").unwrap();
        bytes[start..start + 4].copy_from_slice(name);
        bytes[start + 4] = level;
        let mut talk = Talk::new();
        talk.send(&bytes);
        assert_eq!(talk.told(), ["CONNACK 1"]);
        assert_eq!(talk.end(), Some(End::Packet(DecodeError::Protocol)));
    }
}

#[test]
fn a_wrong_key_is_connack_0_and_then_401_for_each_request() {
    let mut talk = Talk::denied(wrong_key());
    talk.send(&register("a", Some(1)));
    assert_eq!(talk.told(), ["PUBACK 1", "PUBLISH 1 401/?$rid=a 401002"]);
    talk.send(&publish(&format!("{POLL}b&operationId=5.0.a"), None, b" "));
    assert_eq!(talk.told(), ["PUBLISH 2 401/?$rid=b 401002"]);
    assert_eq!(talk.end(), None);
}

#[test]
fn names_that_nobody_can_have_are_told_like_a_wrong_key() {
    for user in ["a b/registrations/Press-1/", "0neS/registrations/Press-1./"] {
        let id = user.split('/').nth(2).unwrap();
        let mut talk = Talk::new();
        talk.send(&connect_as(id, Some(user), Some(TOKEN)));
        talk.send(&subscribe(&[(RESPONSES, 1)]));
        talk.send(&register("a", None));
        let told = talk.told();
        assert_eq!(
            told,
            ["CONNACK 0", "SUBACK 10 [1]", "PUBLISH 1 401/?$rid=a 401002"],
            "{user}"
        );
    }
}

#[test]
fn a_device_that_is_not_believed_has_five_requests() {
    let mut talk = Talk::denied(wrong_key());
    for n in 1..=4 {
        talk.send(&register("a", None));
        assert_eq!(talk.told().len(), 1, "{n}");
    }
    assert_eq!(talk.end(), None);
    let two = [register("b", Some(7)), register("c", Some(8))].concat();
    talk.send(&two);
    assert_eq!(talk.told(), ["PUBACK 7", "PUBLISH 5 401/?$rid=b 401002"]);
    assert_eq!(talk.end(), Some(End::Unproven));
}

#[test]
fn requests_that_cannot_be_answered_count_among_the_five() {
    let mut talk = Talk::new();
    talk.send(&connect());
    talk.judge(Err(wrong_key()));
    for _ in 0..5 {
        assert_eq!(talk.end(), None);
        talk.send(&register("a", None));
        talk.told();
    }
    assert_eq!(talk.end(), Some(End::Unproven));
}

#[test]
fn what_is_no_fault_of_the_device_is_told_and_asked_again() {
    let error = ServiceError::new(Reason::Unavailable).with_retry_after(Duration::from_secs(20));
    let mut talk = Talk::denied(error.clone());
    talk.send(&register("a", Some(1)));
    assert_eq!(
        talk.told(),
        ["PUBACK 1", "PUBLISH 1 503/?$rid=a&retry-after=20 503000"]
    );
    talk.send(&register("a", Some(2)));
    talk.judge(Err(error));
    assert_eq!(
        talk.told(),
        ["PUBACK 2", "PUBLISH 2 503/?$rid=a&retry-after=20 503000"]
    );
    talk.send(&register("a", Some(3)));
    talk.judge(Ok(()));
    talk.answer(&busy());
    assert_eq!(
        talk.told(),
        ["PUBACK 3", "PUBLISH 3 429/?$rid=a&retry-after=7 429001"]
    );
    for _ in 0..10 {
        talk.send(&register("a", None));
        talk.answer(&busy());
    }
    assert_eq!(talk.end(), None, "it is believed now");
}

#[test]
fn nothing_more_is_read_while_a_device_is_judged() {
    let mut talk = Talk::new();
    talk.send(&[connect(), subscribe(&[(RESPONSES, 0)]), register("a", None)].concat());
    assert!(!talk.session.wants_bytes());
    talk.judge(Ok(()));
    talk.answer(&busy());
    assert_eq!(
        talk.told(),
        [
            "CONNACK 0",
            "SUBACK 10 [0]",
            "PUBLISH once 429/?$rid=a&retry-after=7 429001"
        ]
    );
}

#[test]
fn the_version_goes_with_each_request() {
    for (rest, version) in [
        ("", "2019-03-31"),
        ("/api-version=2021-06-01", "2021-06-01"),
    ] {
        let mut talk = Talk::new();
        let user = format!("0neS/registrations/Press-1{rest}");
        talk.send(&connect_as("Press-1", Some(&user), Some(TOKEN)));
        talk.judge(Ok(()));
        talk.send(&[subscribe(&[(RESPONSES, 1)]), register("a", None)].concat());
        let Some(Question::Call(said, _)) = talk.session.question() else {
            panic!("there is a request");
        };
        assert_eq!(said.as_str(), version);
    }
}
