//! Requests and their answers.

use super::*;

#[test]
fn a_register_is_acknowledged_before_it_is_answered() {
    let mut talk = Talk::subscribed();
    talk.send(&publish(
        &format!("{REGISTER}1"),
        Some(77),
        br#"{"payload":{"a":1}}"#,
    ));
    let DeviceRequest::Register { payload } = talk.call() else {
        panic!("it is a register");
    };
    assert_eq!(payload, Some(serde_json::json!({"a": 1})));
    assert_eq!(talk.told(), ["PUBACK 77"]);
    talk.session.answered(&busy(), talk.now);
    assert_eq!(talk.told(), ["PUBLISH 1 429/?$rid=1&retry-after=7 429001"]);
}

#[test]
fn a_message_of_quality_0_is_not_acknowledged_but_answered() {
    let mut talk = Talk::subscribed();
    talk.send(&register("1", None));
    talk.answer(&busy());
    assert_eq!(talk.told(), ["PUBLISH 1 429/?$rid=1&retry-after=7 429001"]);
}

#[test]
fn the_payload_of_a_poll_does_not_matter() {
    for payload in [
        &b""[..],
        b" ",
        b"{}",
        b"{\"registrationId\":\"x\"}",
        b"\xff",
    ] {
        let mut talk = Talk::subscribed();
        talk.send(&publish(
            &format!("{POLL}1&operationId=5%2e0.a"),
            Some(1),
            payload,
        ));
        let DeviceRequest::OperationStatus { operation } = talk.call() else {
            panic!("it is a poll");
        };
        assert_eq!(operation.as_str(), "5.0.a");
    }
}

#[test]
fn rids_may_repeat_and_answers_keep_their_order() {
    let mut talk = Talk::subscribed();
    talk.send(
        &[
            register("1", None),
            register("1", None),
            register("b", None),
        ]
        .concat(),
    );
    for _ in 0..3 {
        talk.answer(&busy());
    }
    assert_eq!(
        talk.told(),
        [
            "PUBLISH 1 429/?$rid=1&retry-after=7 429001",
            "PUBLISH 2 429/?$rid=1&retry-after=7 429001",
            "PUBLISH 3 429/?$rid=b&retry-after=7 429001"
        ]
    );
}

#[test]
fn only_one_question_is_out_at_a_time() {
    let mut talk = Talk::subscribed();
    talk.send(&[register("1", None), register("2", None)].concat());
    talk.call();
    assert!(talk.session.question().is_none());
}

#[test]
fn a_subscription_is_granted_1_for_2_and_0_for_0_and_answers_follow_it() {
    for (asked, granted, quality) in [(0, 0, "once"), (1, 1, "1"), (2, 1, "1")] {
        let mut talk = Talk::proven();
        talk.send(&subscribe(&[(RESPONSES, asked)]));
        talk.send(&register("a", None));
        talk.answer(&busy());
        assert_eq!(
            talk.told(),
            [
                format!("SUBACK 10 [{granted}]"),
                format!("PUBLISH {quality} 429/?$rid=a&retry-after=7 429001")
            ]
        );
    }
}

#[test]
fn foreign_subscriptions_are_refused_and_the_connection_goes_on() {
    let mut talk = Talk::proven();
    talk.send(&subscribe(&[
        ("#", 1),
        (RESPONSES, 1),
        ("$dps/registrations/res/+", 0),
        ("$dps/#", 1),
        ("devices/#", 2),
    ]));
    assert_eq!(talk.told(), ["SUBACK 10 [80, 1, 80, 80, 80]"]);
    assert_eq!(talk.end(), None);
}

#[test]
fn who_has_not_subscribed_is_not_answered_and_asks_nothing() {
    let mut talk = Talk::proven();
    talk.send(&register("a", Some(5)));
    assert_eq!(talk.told(), ["PUBACK 5"]);
    talk.send(&subscribe(&[("#", 1)]));
    talk.send(&register("a", Some(6)));
    assert_eq!(talk.told(), ["SUBACK 10 [80]", "PUBACK 6"]);
}

#[test]
fn who_unsubscribes_is_not_answered_any_more() {
    let mut talk = Talk::subscribed();
    talk.send(&register("a", None));
    talk.call();
    let mut list = Vec::from(u16::try_from(RESPONSES.len()).unwrap().to_be_bytes());
    list.extend(RESPONSES.bytes());
    let filters = crate::packet::Filters::read(&list).unwrap();
    talk.send(&bytes(&Packet::Unsubscribe { id: 11, filters }));
    talk.session.answered(&busy(), talk.now);
    assert_eq!(talk.told(), ["UNSUBACK 11"]);
}

#[test]
fn a_ping_is_answered_also_while_a_request_is_not() {
    let mut talk = Talk::subscribed();
    talk.send(&register("a", None));
    talk.call();
    talk.send(&bytes(&Packet::PingReq));
    assert_eq!(talk.told(), ["PINGRESP"]);
}

#[test]
fn acknowledgements_are_taken_for_anything() {
    let mut talk = Talk::subscribed();
    for id in [0, 1, 999] {
        talk.send(&bytes(&Packet::PubAck { id }));
    }
    assert!(talk.told().is_empty());
    assert_eq!(talk.end(), None);
}

#[test]
fn a_body_that_cannot_be_read_is_400_on_the_topic() {
    for body in [
        &b"{"[..],
        b"[]",
        b"\xff",
        br#"{"registrationId":"press-2"}"#,
    ] {
        let mut talk = Talk::subscribed();
        talk.send(&publish(&format!("{REGISTER}a"), Some(1), body));
        assert_eq!(talk.told(), ["PUBACK 1", "PUBLISH 1 400/?$rid=a 400004"]);
        talk.send(&register("b", None));
        talk.answer(&busy());
        assert_eq!(talk.told().len(), 1, "the connection goes on");
    }
}

#[test]
fn an_operation_that_cannot_be_one_is_400_on_the_topic() {
    for query in [
        "a",
        "a&operationId=",
        "a&operationId=%zz",
        "a&operationId=a/b",
    ] {
        let mut talk = Talk::subscribed();
        talk.send(&publish(&format!("{POLL}{query}"), None, b""));
        assert_eq!(talk.told(), ["PUBLISH 1 400/?$rid=a 400004"]);
    }
}

#[test]
fn an_answer_to_another_question_is_our_own_fault() {
    let mut talk = Talk::subscribed();
    talk.send(&register("a", None));
    let error = ServiceError::new(Reason::Internal);
    talk.answer(&DeviceResponse::Error(error));
    assert_eq!(talk.told(), ["PUBLISH 1 500/?$rid=a 500001"]);
}

#[test]
fn numbers_of_messages_begin_anew_and_are_never_0() {
    let mut talk = Talk::subscribed();
    talk.session.last_id = u16::MAX - 1;
    talk.send(&[register("a", None), register("b", None)].concat());
    talk.answer(&busy());
    talk.answer(&busy());
    let told = talk.told();
    assert!(told[0].starts_with("PUBLISH 65535 "), "{told:?}");
    assert!(told[1].starts_with("PUBLISH 1 "), "{told:?}");
}

#[test]
fn a_will_is_never_published() {
    let will = crate::packet::Will {
        topic: "$dps/registrations/PUT/iotdps-register/?$rid=1",
        payload: b"{}",
        qos: QoS::AtLeastOnce,
        retain: true,
    };
    let mut talk = Talk::new();
    talk.send(&bytes(&Packet::Connect(Connect {
        clean_session: true,
        keep_alive: 0,
        client_id: "Press-1",
        will: Some(will),
        user_name: Some(USER),
        password: Some(TOKEN),
    })));
    talk.judge(Ok(()));
    talk.send(&bytes(&Packet::Disconnect));
    assert_eq!(talk.told(), ["CONNACK 0"]);
    assert_eq!(talk.end(), Some(End::Goodbye));
}
