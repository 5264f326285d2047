//! What ends a connection.

use super::*;

fn ends(talk: &mut Talk, bytes: &[u8]) -> End {
    talk.send(bytes);
    assert!(talk.session.question().is_none());
    assert!(!talk.session.wants_bytes());
    let end = talk.end();
    end.unwrap_or_else(|| panic!("it goes on after {bytes:?}"))
}

#[test]
fn garbage_ends_it() {
    for bytes in [
        &b"GET / HTTP/1.1\r\n\r\n"[..],
        b"\x16\x03\x01\x02\0\x01\0\x01\xfc",
        b"\0\0\0\0",
        b"\xff\xff\xff\xff",
        b"AMQP\0\x01\0\0",
    ] {
        assert!(matches!(ends(&mut Talk::new(), bytes), End::Packet(_)));
        assert!(matches!(
            ends(&mut Talk::subscribed(), bytes),
            End::Packet(_)
        ));
    }
}

#[test]
fn a_bomb_of_a_length_ends_it_and_nothing_is_kept_for_it() {
    let late = End::Packet(DecodeError::TooLarge);
    let mut talk = Talk::new();
    assert_eq!(ends(&mut talk, b"\x10\xff\xff\xff\x7f"), late);
    assert!(talk.session.input.capacity() < 64);
    let mut talk = Talk::subscribed();
    assert_eq!(ends(&mut talk, b"\x32\xff\xff\xff\x7f"), late);
    let mut talk = Talk::subscribed();
    talk.send(b"\x32\x80\x80\x06");
    assert_eq!(talk.end(), None, "98,304 bytes may come");
    assert!(talk.session.input.capacity() < 64);
}

#[test]
fn a_first_packet_over_4_kib_ends_it() {
    let password = vec![b'a'; 4096];
    let connect = connect_as("Press-1", Some(USER), Some(&password));
    let end = ends(&mut Talk::new(), &connect[..3]);
    assert_eq!(end, End::Packet(DecodeError::TooLarge));
}

#[test]
fn a_payload_of_96_kib_is_taken_and_a_larger_one_ends_it() {
    let topic = format!("{REGISTER}a");
    let mut body = br#"{"payload":""#.to_vec();
    body.resize(98_302, b'a');
    body.extend(br#""}"#);
    let mut talk = Talk::subscribed();
    talk.send(&publish(&topic, None, &body));
    assert!(matches!(
        talk.call(),
        DeviceRequest::Register { payload: Some(_) }
    ));
    body.push(b' ');
    let end = ends(&mut Talk::subscribed(), &publish(&topic, None, &body));
    assert_eq!(end, End::Packet(DecodeError::TooLarge));
}

#[test]
fn a_publish_before_connect_ends_it() {
    for bytes in [register("a", None), subscribe(&[(RESPONSES, 1)])] {
        let end = ends(&mut Talk::new(), &bytes);
        assert_eq!(end, End::Packet(DecodeError::NotConnect));
    }
}

#[test]
fn a_second_connect_ends_it() {
    let end = ends(&mut Talk::proven(), &connect());
    assert_eq!(end, End::Forbidden("a second CONNECT"));
    let mut talk = Talk::denied(wrong_key());
    let end = ends(&mut talk, &connect());
    assert_eq!(end, End::Forbidden("a second CONNECT"));
}

#[test]
fn a_message_to_a_foreign_topic_ends_it() {
    for topic in [
        "devices/Press-1/messages/events/",
        "$dps/registrations/res/200/?$rid=1",
        "$dps/registrations/PUT/other/?$rid=1",
        "a",
    ] {
        let end = ends(&mut Talk::subscribed(), &publish(topic, Some(1), b"{}"));
        assert!(matches!(end, End::Forbidden(_)), "{topic}");
    }
}

#[test]
fn a_topic_without_rid_ends_it() {
    for topic in [REGISTER.trim_end_matches("$rid="), REGISTER, POLL] {
        let mut talk = Talk::subscribed();
        let end = ends(&mut talk, &publish(topic, Some(1), b"{}"));
        assert!(matches!(end, End::Forbidden(_)), "{topic}");
        assert!(
            talk.session.take_output().is_empty(),
            "it is not acknowledged"
        );
    }
}

#[test]
fn a_message_of_quality_2_ends_it() {
    let topic = format!("{REGISTER}a");
    let message = bytes(&Packet::Publish(Publish {
        dup: false,
        retain: false,
        topic: &topic,
        delivery: Delivery::ExactlyOnce(1),
        payload: b"{}",
    }));
    let end = ends(&mut Talk::subscribed(), &message);
    assert_eq!(end, End::Forbidden("a message of quality 2"));
}

#[test]
fn a_message_to_a_pattern_ends_it() {
    for topic in ["$dps/registrations/PUT/iotdps-register/?$rid=#", "$dps/+/a"] {
        let end = ends(&mut Talk::subscribed(), &publish(topic, None, b"{}"));
        assert_eq!(end, End::Packet(DecodeError::Topic));
    }
}

#[test]
fn a_message_to_be_retained_ends_it() {
    let topic = format!("{REGISTER}a");
    let message = bytes(&Packet::Publish(Publish {
        dup: false,
        retain: true,
        topic: &topic,
        delivery: Delivery::AtMostOnce,
        payload: b"{}",
    }));
    let end = ends(&mut Talk::subscribed(), &message);
    assert_eq!(end, End::Forbidden("a message to be retained"));
}

#[test]
fn a_message_that_is_sent_again_is_taken_like_a_new_one() {
    let topic = format!("{REGISTER}a");
    let mut talk = Talk::subscribed();
    talk.send(&bytes(&Packet::Publish(Publish {
        dup: true,
        retain: false,
        topic: &topic,
        delivery: Delivery::AtLeastOnce(3),
        payload: b"{}",
    })));
    talk.answer(&busy());
    assert_eq!(talk.told().len(), 2);
}

#[test]
fn what_only_a_server_sends_ends_it() {
    for packet in [
        Packet::ConnAck {
            session_present: false,
            code: 0,
        },
        Packet::SubAck { id: 1, codes: &[0] },
        Packet::UnsubAck { id: 1 },
        Packet::PingResp,
    ] {
        let end = ends(&mut Talk::subscribed(), &bytes(&packet));
        assert!(matches!(end, End::Forbidden(_)), "{packet:?}");
    }
}

#[test]
fn goodbye_ends_it_and_nothing_is_asked_any_more() {
    let mut talk = Talk::subscribed();
    talk.send(&[register("a", None), bytes(&Packet::Disconnect)].concat());
    assert!(talk.session.question().is_none());
    assert_eq!(talk.end(), Some(End::Goodbye));
}
