mod oracle;
mod refused;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A packet that holds what it names.
#[derive(Clone, Debug)]
pub(super) struct Owned(pub(super) Vec<u8>);

fn encoded(packet: &Packet<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode(packet, &mut out).unwrap();
    out
}

fn text(most: usize) -> impl Strategy<Value = String> {
    vec(any::<char>(), 1..=most).prop_map(|chars| chars.iter().filter(|c| **c != '\0').collect())
}

fn topic() -> impl Strategy<Value = String> {
    text(40)
        .prop_map(|text| text.replace(['#', '+'], "_"))
        .prop_filter("a topic has characters", |topic| !topic.is_empty())
}

fn filter() -> impl Strategy<Value = String> {
    topic().prop_flat_map(|topic| {
        prop_oneof![
            Just(topic.clone()),
            Just(format!("{topic}/#")),
            Just(format!("+/{topic}"))
        ]
    })
}

fn qos() -> impl Strategy<Value = QoS> {
    prop_oneof![
        Just(QoS::AtMostOnce),
        Just(QoS::AtLeastOnce),
        Just(QoS::ExactlyOnce)
    ]
}

fn bytes(most: usize) -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..=most)
}

fn connect() -> impl Strategy<Value = Vec<u8>> {
    let will = proptest::option::of((topic(), bytes(20), qos(), any::<bool>()));
    let name = proptest::option::of((text(60), proptest::option::of(bytes(60))));
    (any::<bool>(), any::<u16>(), text(30), will, name).prop_map(
        |(clean_session, keep_alive, client_id, will, name)| {
            let will = will.as_ref().map(|(topic, payload, qos, retain)| Will {
                topic,
                payload,
                qos: *qos,
                retain: *retain,
            });
            encoded(&Packet::Connect(Connect {
                clean_session,
                keep_alive,
                client_id: &client_id,
                will,
                user_name: name.as_ref().map(|(name, _)| name.as_str()),
                password: name.as_ref().and_then(|(_, password)| password.as_deref()),
            }))
        },
    )
}

fn publish() -> impl Strategy<Value = Vec<u8>> {
    (topic(), qos(), 1..=u16::MAX, any::<[bool; 2]>(), bytes(300)).prop_map(
        |(topic, qos, id, [dup, retain], payload)| {
            let (delivery, dup) = match qos {
                QoS::AtMostOnce => (Delivery::AtMostOnce, false),
                QoS::AtLeastOnce => (Delivery::AtLeastOnce(id), dup),
                QoS::ExactlyOnce => (Delivery::ExactlyOnce(id), dup),
            };
            encoded(&Packet::Publish(Publish {
                dup,
                retain,
                topic: &topic,
                delivery,
                payload: &payload,
            }))
        },
    )
}

/// The bytes of any packet that can be written and is taken.
pub(super) fn any_packet() -> impl Strategy<Value = Owned> {
    let id = 1..=u16::MAX;
    let subscribe = (id.clone(), vec((filter(), 0..3_u8), 1..4)).prop_map(|(id, filters)| {
        let mut list = Vec::new();
        for (filter, qos) in filters {
            list.extend(u16::try_from(filter.len()).unwrap().to_be_bytes());
            list.extend(filter.bytes());
            list.push(qos);
        }
        let filters = Requested::read(&list).unwrap();
        encoded(&Packet::Subscribe { id, filters })
    });
    let unsubscribe = (id.clone(), vec(filter(), 1..4)).prop_map(|(id, filters)| {
        let mut list = Vec::new();
        for filter in filters {
            list.extend(u16::try_from(filter.len()).unwrap().to_be_bytes());
            list.extend(filter.bytes());
        }
        let filters = Filters::read(&list).unwrap();
        encoded(&Packet::Unsubscribe { id, filters })
    });
    let code = prop_oneof![0..3_u8, Just(0x80)];
    let sub_ack = (id.clone(), vec(code, 1..5))
        .prop_map(|(id, codes)| encoded(&Packet::SubAck { id, codes: &codes }));
    let conn_ack = (any::<bool>(), 0..6_u8).prop_map(|(session_present, code)| {
        encoded(&Packet::ConnAck {
            session_present,
            code,
        })
    });
    prop_oneof![
        4 => connect(),
        4 => publish(),
        2 => subscribe,
        2 => unsubscribe,
        1 => sub_ack,
        1 => conn_ack,
        1 => id.clone().prop_map(|id| encoded(&Packet::PubAck { id })),
        1 => id.prop_map(|id| encoded(&Packet::UnsubAck { id })),
        1 => prop_oneof![
            Just(Packet::PingReq),
            Just(Packet::PingResp),
            Just(Packet::Disconnect)
        ]
        .prop_map(|packet| encoded(&packet)),
    ]
    .prop_map(Owned)
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(Owned(bytes) in any_packet(), tail in bytes(4)) {
        let mut stream = bytes.clone();
        stream.extend(tail);
        let (packet, length) = decode(&stream, Stage::Later).unwrap().unwrap();
        prop_assert_eq!(length, bytes.len());
        prop_assert_eq!(encoded(&packet), bytes);
    }

    #[test]
    fn a_packet_that_is_not_whole_is_waited_for(Owned(bytes) in any_packet()) {
        for end in 0..bytes.len() {
            prop_assert_eq!(decode(&bytes[..end], Stage::Later), Ok(None), "{}", end);
        }
    }

    #[test]
    fn any_bytes_are_a_packet_or_an_error(bytes in bytes(200)) {
        for stage in [Stage::First, Stage::Later] {
            if let Ok(Some((packet, length))) = decode(&bytes, stage) {
                prop_assert!(length <= bytes.len());
                // Lengths may be written longer than need be, so the bytes may differ, not the packet.
                let again = encoded(&packet);
                prop_assert_eq!(decode(&again, stage), Ok(Some((packet, again.len()))));
            }
        }
    }
}

#[test]
fn the_bytes_are_those_of_the_standard() {
    let ack = Packet::ConnAck {
        session_present: false,
        code: 5,
    };
    assert_eq!(encoded(&ack), [0x20, 2, 0, 5]);
    assert_eq!(encoded(&Packet::PubAck { id: 0x102 }), [0x40, 2, 1, 2]);
    let codes = &[1, 0x80];
    assert_eq!(
        encoded(&Packet::SubAck { id: 7, codes }),
        [0x90, 4, 0, 7, 1, 0x80]
    );
    assert_eq!(encoded(&Packet::UnsubAck { id: 7 }), [0xb0, 2, 0, 7]);
    assert_eq!(encoded(&Packet::PingResp), [0xd0, 0]);
    let publish = Packet::Publish(Publish {
        dup: false,
        retain: false,
        topic: "a/b",
        delivery: Delivery::AtLeastOnce(10),
        payload: b"{}",
    });
    assert_eq!(encoded(&publish), b"\x32\x09\0\x03a/b\0\x0a{}");
    let connect = b"\x10\x1c\0\x04MQTT\x04\xc2\0\x3c\0\x04dev1\0\x06a/b/c=\0\x02pw";
    assert_eq!(
        decode(connect, Stage::First).unwrap().unwrap().0,
        Packet::Connect(Connect {
            clean_session: true,
            keep_alive: 60,
            client_id: "dev1",
            will: None,
            user_name: Some("a/b/c="),
            password: Some(b"pw"),
        })
    );
}

#[test]
fn a_password_is_not_shown() {
    let connect = Connect {
        clean_session: true,
        keep_alive: 0,
        client_id: "dev1",
        will: None,
        user_name: Some("name"),
        password: Some(b"secret"),
    };
    assert!(!format!("{connect:?}").contains("115, 101"));
    assert!(!format!("{connect:?}").contains("secret"));
}

#[test]
fn what_is_too_long_to_write_is_not_written() {
    let topic = "a".repeat(65_536);
    let publish = Packet::Publish(Publish {
        dup: false,
        retain: false,
        topic: &topic,
        delivery: Delivery::AtMostOnce,
        payload: b"",
    });
    let mut out = vec![1];
    assert!(encode(&publish, &mut out).is_err());
    assert_eq!(out, [1]);
}
