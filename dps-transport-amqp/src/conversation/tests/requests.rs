//! Requests and their answers.

use super::*;

fn registers(talk: &mut Talk) -> Option<serde_json::Value> {
    match talk.call() {
        DeviceRequest::Register { payload } => payload,
        other => panic!("no register: {other:?}"),
    }
}

#[test]
fn an_operation_that_goes_on_is_told_with_its_delay() {
    let mut talk = Talk::linked();
    talk.send(&register_with(0, None, br#"{"payload":{"a":1}}"#));
    let payload = registers(&mut talk);
    assert_eq!(payload, Some(serde_json::json!({"a": 1})));
    assert!(talk.told().is_empty());
    talk.session
        .answered(&operation(Status::Assigning), talk.now);
    let output = talk.output();
    assert_eq!(words(&output)[0], "accepted #0");
    let body = r#"{"operationId":"5.0.a","status":"assigning","#;
    let [answer] = &answers(&output)[..] else {
        panic!("one answer");
    };
    assert!(answer.body.starts_with(body), "{}", answer.body);
    assert_eq!(answer.delays, [Some(3), Some(3)]);
    assert_eq!(answer.id, None);
}

#[test]
fn an_operation_that_is_done_has_no_delay() {
    let mut talk = Talk::linked();
    talk.send(&poll(0, "5.0.a"));
    let DeviceRequest::OperationStatus { operation: id } = talk.call() else {
        panic!("no poll");
    };
    assert_eq!(id.as_str(), "5.0.a");
    talk.session
        .answered(&operation(Status::Assigned), talk.now);
    let [answer] = &answers(&talk.output())[..] else {
        panic!("one answer");
    };
    assert_eq!(answer.delays, [None, None]);
    assert!(answer.body.contains(r#""assignedHub":"a.example""#));
}

#[test]
fn java_takes_no_longer_delay_than_five_seconds() {
    let mut talk = Talk::linked();
    talk.send(&register(0));
    let mut response = operation(Status::Assigning);
    if let DeviceResponse::Operation { retry_after, .. } = &mut response {
        *retry_after = Some(Duration::from_secs(60));
    }
    talk.answer(&response);
    assert_eq!(answers(&talk.output())[0].delays, [Some(5), Some(5)]);
}

#[test]
fn an_answer_has_the_name_of_its_request_in_its_own_type() {
    let uuid = Value::Uuid(*b"0123456789abcdef");
    for id in [
        Value::ULong(7),
        Value::ULong(u64::MAX),
        uuid,
        Value::Binary(b"\0\xff"),
        Value::String("3f6b9c1e-0000-4000-8000-000000000000"),
    ] {
        let id = encoded(&id);
        let mut talk = Talk::linked();
        talk.send(&register_with(0, Some(&id), b""));
        talk.answer(&operation(Status::Assigned));
        assert_eq!(answers(&talk.output())[0].id, Some(id));
    }
}

#[test]
fn a_message_id_will_do_for_a_name() {
    let mut bytes = Vec::new();
    let mut writer = Writer(&mut bytes);
    writer.0.extend([0x00, 0x53, 0x73]);
    writer.list(|fields| fields.next().ulong(9));
    let rest = registering(None, b"");
    let mut talk = Talk::linked();
    talk.send(&transfer(0, 0, &[bytes, rest].concat()));
    talk.answer(&operation(Status::Assigned));
    let id = answers(&talk.output())[0].id.clone();
    assert_eq!(id, Some(encoded(&Value::ULong(9))));
}

#[test]
fn each_link_says_the_version_of_its_requests() {
    let versioned = |version: &Value<'_>| {
        let mut bytes = Vec::new();
        Writer(&mut bytes).map(|pairs| {
            pairs.next().symbol("com.microsoft:client-version");
            pairs.next().string("a device");
            pairs.next().symbol("com.microsoft:api-version");
            pairs.next().value(version);
        });
        let properties = Value::read(&mut crate::codec::Reader(&bytes)).unwrap();
        let Value::Map(properties) = properties else {
            panic!("it is a map");
        };
        let attach = crate::codec::Attach {
            name: "other",
            handle: 2,
            properties: Some(properties),
            ..Default::default()
        };
        let mut target = Vec::new();
        crate::codec::Terminus::Target(Some(ADDRESS)).put(&mut Writer(&mut target));
        let target = Value::read(&mut crate::codec::Reader(&target)).unwrap();
        let attach = crate::codec::Attach {
            target: Some(target),
            ..attach
        };
        frame(0, &attach)
    };
    let usual = "2019-03-31";
    for (said, understood) in [
        (Value::String("2021-06-01"), "2021-06-01"),
        (Value::Symbol("2021-06-01"), "2021-06-01"),
        (Value::String(""), usual),
        (Value::ULong(7), usual),
    ] {
        let mut talk = Talk::linked();
        talk.send(&versioned(&said));
        talk.told();
        for (handle, version) in [(2, understood), (0, usual)] {
            talk.send(&transfer(handle, 0, &registering(None, b"")));
            let Some(Question::Call(found, _)) = talk.session.question() else {
                panic!("no call");
            };
            assert_eq!(found.as_str(), version);
            talk.session
                .answered(&operation(Status::Assigned), talk.now);
        }
    }
}

#[test]
fn a_body_comes_in_many_ways() {
    let head = || {
        let mut bytes = Vec::new();
        let mut writer = Writer(&mut bytes);
        writer.0.extend([0x00, 0x53, 0x74]);
        writer.map(|pairs| {
            pairs.next().string("iotdps-operation-type");
            pairs.next().symbol("iotdps-register");
            pairs.next().string("iotdps-forceRegistration");
            pairs.next().bool(true);
        });
        bytes
    };
    let data = |text: &str| {
        let mut bytes = vec![0x00, 0x53, 0x75];
        Writer(&mut bytes).binary(text.as_bytes());
        bytes
    };
    let value = |value: &Value<'_>| [&[0x00, 0x53, 0x77][..], &encoded(value)].concat();
    let json = r#"{"payload":7}"#;
    for (body, payload) in [
        (Vec::new(), None),
        (data(""), None),
        (data(json), Some(7)),
        ([data(&json[..5]), data(&json[5..])].concat(), Some(7)),
        (value(&Value::String(json)), Some(7)),
        (value(&Value::Binary(json.as_bytes())), Some(7)),
        (value(&Value::String("")), None),
        (value(&Value::Null), None),
    ] {
        let mut talk = Talk::linked();
        talk.send(&transfer(0, 0, &[head(), body].concat()));
        assert_eq!(registers(&mut talk), payload.map(Into::into));
    }
}

#[test]
fn a_poll_may_have_any_body() {
    let mut talk = Talk::linked();
    let properties = [
        ("iotdps-operation-type", "iotdps-get-operationstatus"),
        ("iotdps-operation-id", "5.0.a"),
    ];
    let mut text = message(None, &properties, b"");
    text.truncate(text.len() - 5);
    text.extend([0x00, 0x53, 0x77, 0xa1, 1, b'x']);
    talk.send(&transfer(0, 0, &text));
    assert!(matches!(talk.call(), DeviceRequest::OperationStatus { .. }));
}

#[test]
fn a_request_that_cannot_be_done_is_rejected_with_the_reason() {
    for (reason, condition) in [
        (Reason::Malformed, "amqp:not-allowed"),
        (Reason::Unauthorized, "amqp:unauthorized-access"),
        (Reason::OperationNotFound, "amqp:not-found"),
        (
            Reason::Throttled,
            "com.microsoft:device-container-throttled",
        ),
        (Reason::Internal, "amqp:internal-error"),
        (Reason::Unavailable, "amqp:internal-error"),
    ] {
        let mut talk = Talk::linked();
        talk.send(&register(5));
        talk.answer(&error(reason));
        let output = talk.output();
        assert_eq!(words(&output), [format!("rejected {condition} #5")]);
        let body = format!(r#"{{"errorCode":{},"trackingId":"#, reason.code());
        assert!(String::from_utf8_lossy(&output).contains(&body));
        talk.send(&register(6));
        talk.answer(&operation(Status::Assigned));
        assert_eq!(answers(&talk.output()).len(), 1, "the session goes on");
    }
}

#[test]
fn a_rejection_says_when_to_come_back() {
    let mut talk = Talk::linked();
    talk.send(&register(0));
    talk.answer(&DeviceResponse::Error(busy()));
    let output = talk.output();
    let (frame, _) = crate::codec::decode_frame(&output, 65_536)
        .unwrap()
        .unwrap();
    let crate::codec::Performative::Disposition(disposition) =
        crate::codec::Performative::read(frame.body).unwrap()
    else {
        panic!("no disposition");
    };
    let Some(crate::codec::Outcome::Rejected(Some(error))) = disposition.state else {
        panic!("not rejected");
    };
    let mut info = error.info.unwrap();
    let mut pairs = Vec::new();
    while let Some(pair) = info.take().unwrap() {
        pairs.push(pair);
    }
    assert_eq!(
        pairs,
        [
            (Value::Symbol("retry-after"), Value::Int(7)),
            (Value::Symbol("Retry-After"), Value::Int(7))
        ]
    );
}

#[test]
fn what_cannot_be_understood_is_rejected_and_asks_nobody() {
    let register = |body: &[u8]| registering(None, body);
    let typed = |kind| message(None, &[("iotdps-operation-type", kind)], b"");
    let polled = |id| {
        let properties = [
            ("iotdps-operation-type", "iotdps-get-operationstatus"),
            ("iotdps-operation-id", id),
        ];
        message(None, &properties, b"")
    };
    for bytes in [
        register(b"{"),
        register(b"[]"),
        register(b"\xff"),
        register(br#"{"registrationId":"press-2"}"#),
        typed("iotdps-get-operationstatus"),
        typed("iotdps-something"),
        typed(""),
        message(None, &[], b""),
        polled(""),
        polled("a/b"),
        Vec::new(),
        b"\xff".to_vec(),
        b"{}".to_vec(),
        registering(Some(&encoded(&Value::Binary(&[0; 300]))), b"{}"),
    ] {
        let mut talk = Talk::linked();
        talk.send(&transfer(0, 0, &bytes));
        assert_eq!(talk.told(), ["rejected amqp:not-allowed #0"], "{bytes:x?}");
        assert!(!talk.session.engine.is_closing());
    }
}

#[test]
fn a_body_over_96_kib_is_rejected_however_many_frames_it_takes() {
    let body = [b'a'; MAX_BODY_BYTES + 1];
    let mut talk = Talk::linked();
    for frame in transfers(0, 0, &registering(None, &body), 1000) {
        talk.send(&frame);
    }
    let output = talk.output();
    assert_eq!(
        words(&output).last().unwrap(),
        "rejected amqp:not-allowed #0"
    );
    assert!(String::from_utf8_lossy(&output).contains("413000"));
}

#[test]
fn a_body_of_96_kib_is_taken_in_many_frames() {
    let mut body = br#"{"payload":""#.to_vec();
    body.resize(MAX_BODY_BYTES - 2, b'a');
    body.extend(br#""}"#);
    let mut talk = Talk::linked();
    for frame in transfers(0, 0, &registering(None, &body), 400) {
        talk.send(&frame);
        talk.session.take_output();
    }
    let payload = registers(&mut talk).unwrap();
    assert_eq!(payload.as_str().unwrap().len(), MAX_BODY_BYTES - 14);
}

#[test]
fn whoever_settles_beforehand_is_answered_and_loses_its_link_by_an_error() {
    let settled = |id| {
        transfer_with(0, &registering(None, b""), |transfer| {
            transfer.delivery_id = Some(id);
            transfer.settled = Some(true);
        })
    };
    let mut talk = Talk::linked();
    talk.send(&settled(0));
    talk.answer(&operation(Status::Assigned));
    let output = talk.output();
    assert_eq!(words(&output).len(), 1);
    assert_eq!(answers(&output).len(), 1);
    talk.send(&settled(1));
    talk.answer(&error(Reason::OperationNotFound));
    assert_eq!(talk.told(), ["detach 0 amqp:not-found"]);
}

#[test]
fn an_answer_is_held_until_there_is_a_link_for_it() {
    let mut talk = Talk::new();
    talk.send(&[SASL, &init("PLAIN", Some(PLAIN)), AMQP, &open()].concat());
    talk.judge(Verdict::Believed);
    talk.send(&[begin(0), sender(), register(0)].concat());
    talk.answer(&operation(Status::Assigned));
    let told = talk.told();
    assert_eq!(told.last().unwrap(), "accepted #0", "{told:?}");
    assert!(!talk.session.is_quiet());
    talk.send(&receiver());
    assert_eq!(talk.told().len(), 1);
    talk.send(&credit(1, 1));
    assert_eq!(answers(&talk.output()).len(), 1);
    assert!(talk.session.is_quiet());
}

#[test]
fn answers_keep_the_order_of_their_requests() {
    let mut talk = Talk::linked();
    for nth in 0..3 {
        let name = encoded(&Value::ULong(nth));
        talk.send(&register_with(nth as u32, Some(&name), b""));
    }
    let mut told = Vec::new();
    for nth in 0..3 {
        talk.call();
        assert!(talk.session.question().is_none(), "one at a time");
        talk.session
            .answered(&operation(Status::Assigned), talk.now);
        let written = talk.session.take_output();
        assert_eq!(words(&written)[0], format!("accepted #{nth}"));
        told.extend(
            answers(&written)
                .into_iter()
                .map(|answer| answer.id.unwrap()),
        );
    }
    assert_eq!(told, [0, 1, 2].map(|nth| encoded(&Value::ULong(nth))));
}

#[test]
fn a_session_that_has_ended_meanwhile_is_not_answered_in_the_next() {
    let mut talk = Talk::linked();
    talk.send(&register(0));
    talk.call();
    talk.send(&[frame(0, &crate::codec::End::default()), begin(0)].concat());
    assert_eq!(talk.told(), ["end", "begin for 0"]);
    talk.session.answered(&error(Reason::Internal), talk.now);
    assert!(talk.told().is_empty());
}

#[test]
fn whoever_leaves_in_the_middle_of_a_question_is_let_go() {
    let mut talk = Talk::linked();
    talk.send(&register(0));
    talk.call();
    talk.send(&frame(0, &crate::codec::Close::default()));
    assert_eq!(talk.told(), ["close"]);
    assert_eq!(talk.over(), End::Goodbye);
    talk.session
        .answered(&operation(Status::Assigned), talk.now);
    assert!(talk.told().is_empty());
}

#[test]
fn the_service_says_goodbye_and_why() {
    let mut talk = Talk::linked();
    assert!(talk.session.is_quiet());
    talk.session.leave();
    talk.session.leave();
    assert_eq!(
        talk.told(),
        ["end amqp:connection:forced", "close amqp:connection:forced"]
    );
}

#[test]
fn an_answer_to_another_question_is_our_own_fault() {
    let DeviceResponse::Operation { state, .. } = operation(Status::Assigned) else {
        panic!("it is one");
    };
    let mut talk = Talk::linked();
    talk.send(&register(0));
    talk.answer(&DeviceResponse::Registration(state));
    assert_eq!(talk.told(), ["rejected amqp:internal-error #0"]);
}
