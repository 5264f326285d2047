//! How devices prove who they are, and say it.

use super::*;

#[test]
fn a_device_with_a_key_proves_itself_step_by_step() {
    let mut talk = Talk::new();
    talk.send(SASL);
    assert_eq!(talk.told(), ["AMQP 3", "mechanisms PLAIN TPM"]);
    talk.send(&init("PLAIN", Some(PLAIN)));
    let hello = talk.hello();
    assert_eq!(hello.scope.as_str(), "0neS");
    assert_eq!(hello.registration.as_str(), "Press-1");
    assert_eq!(hello.origin.transport, Transport::Amqp);
    assert_eq!(hello.origin.address, IpAddr::from([192, 0, 2, 7]));
    let Some(Evidence::Sas { token }) = hello.evidence else {
        panic!("no token");
    };
    assert_eq!(token, "SharedAccessSignature sr=x");
    talk.session.judged(Verdict::Believed, talk.now);
    assert_eq!(talk.told(), ["outcome 0"]);
    for (said, told) in [
        (AMQP.to_vec(), &["AMQP 0"][..]),
        (open(), &["open"]),
        (begin(0), &["begin for 0"]),
        // The receiver first, as C# and Java do.
        (
            receiver(),
            &["attach 1 sender link at 0neS/registrations/Press-1"],
        ),
        (credit(1, 5), &[]),
        (
            sender(),
            &[
                "attach 0 receiver link at 0neS/registrations/Press-1",
                "flow 0 after 0 credit 8",
            ],
        ),
    ] {
        talk.send(&said);
        assert_eq!(talk.told(), told);
    }
    talk.send(&register(0));
    talk.answer(&operation(Status::Assigned));
    let told = talk.told();
    assert_eq!(told[0], "accepted #0");
    assert!(told[1].starts_with("transfer 1 #0 "), "{told:?}");
}

#[test]
fn a_device_may_say_everything_in_one_go() {
    let mut talk = Talk::linked();
    assert!(talk.session.input.is_empty());
    talk.send(&frame(0, &crate::codec::Close::default()));
    assert_eq!(talk.told(), ["close"]);
    assert_eq!(talk.over(), End::Goodbye);
}

#[test]
fn whoever_gives_no_response_with_its_choice_is_asked_for_it() {
    let mut talk = Talk::new();
    talk.send(&[SASL, &init("PLAIN", None)].concat());
    assert_eq!(talk.told()[2..], ["challenge []"]);
    talk.send(&sasl(&crate::codec::SaslFrame::Response(PLAIN)));
    talk.judge(Verdict::Believed);
    assert_eq!(talk.told(), ["outcome 0"]);
}

#[test]
fn a_device_with_a_certificate_needs_no_sasl() {
    let mut talk = Talk::by(certified());
    talk.send(&linking());
    let hello = talk.hello();
    assert_eq!(hello.registration.as_str(), "Press-1");
    assert!(matches!(hello.evidence, Some(Evidence::X509 { chain }) if chain.len() == 1));
    assert_eq!(talk.told(), ["AMQP 0", "open", "begin for 0"]);
    talk.session.judged(Verdict::Believed, talk.now);
    assert_eq!(
        talk.told(),
        [
            "attach 0 receiver link at 0neS/registrations/Press-1",
            "flow 0 after 0 credit 8",
            "attach 1 sender link at 0neS/registrations/Press-1"
        ]
    );
    talk.send(&register(0));
    talk.answer(&operation(Status::Assigned));
    assert_eq!(answers(&talk.output()).len(), 1);
}

#[test]
fn external_looks_nothing_up_whatever_is_said_with_it() {
    for response in [None, Some(&b""[..]), Some(b"somebody else")] {
        let mut talk = Talk::by(certified());
        talk.send(SASL);
        assert_eq!(talk.told(), ["AMQP 3", "mechanisms EXTERNAL PLAIN TPM"]);
        talk.send(&init("EXTERNAL", response));
        assert_eq!(talk.told(), ["outcome 0"]);
        talk.send(&linking());
        let hello = talk.hello();
        assert!(matches!(hello.evidence, Some(Evidence::X509 { .. })));
        talk.session.judged(Verdict::Believed, talk.now);
        assert_eq!(talk.told().len(), 6);
    }
}

#[test]
fn a_token_goes_before_a_certificate() {
    let mut talk = Talk::by(certified());
    talk.send(&greeting());
    assert!(matches!(talk.hello().evidence, Some(Evidence::Sas { .. })));
}

#[test]
fn mechanisms_that_are_not_offered_cannot_be_chosen() {
    for name in [
        "EXTERNAL",
        "ANONYMOUS",
        "plain",
        "tpm",
        "TPM2",
        "MSSBCBS",
        "",
        "PLAIN ",
    ] {
        let mut talk = Talk::new();
        talk.send(&[SASL, &init(name, Some(PLAIN))].concat());
        assert_eq!(
            talk.told(),
            ["AMQP 3", "mechanisms PLAIN TPM", "outcome 1"],
            "{name}"
        );
        assert_eq!(talk.over(), End::Unproven);
    }
}

#[test]
fn whoever_is_not_believed_is_told_the_same_whatever_the_reason() {
    let mut told = Vec::new();
    let refused = |response: &[u8], is_asked: bool| {
        let mut talk = Talk::new();
        talk.send(&[SASL, &init("PLAIN", Some(response))].concat());
        if is_asked {
            let error = ServiceError::new(Reason::Unauthorized).with_message("of some kind");
            talk.judge(Verdict::Denied(error));
        }
        let told = talk.output();
        assert_eq!(talk.over(), End::Unproven);
        told
    };
    told.push(refused(PLAIN, true));
    for nonsense in [
        &b""[..],
        b"0neS/registrations/Press-1\0token",
        b"me\x000neS/registrations/Press-1\0token",
        b"\x000neS/registrations/Press-1",
        b"\x000neS/devices/Press-1\0token",
        b"\x000neS/registrations/Press-1/\0token",
        b"\x000neS/registrations/\0token",
        b"\0/registrations/Press-1\0token",
        b"\x000neS/registrations/Press-1\0\xff",
    ] {
        told.push(refused(nonsense, false));
    }
    assert!(told.iter().all(|one| *one == told[0]));
    assert_eq!(
        words(&told[0]),
        ["AMQP 3", "mechanisms PLAIN TPM", "outcome 1"]
    );
}

#[test]
fn whoever_cannot_be_judged_now_is_told_to_come_back() {
    for reason in [Reason::Unavailable, Reason::Throttled, Reason::Internal] {
        let mut talk = Talk::new();
        talk.send(&[SASL, &init("PLAIN", Some(PLAIN))].concat());
        talk.judge(Verdict::Denied(ServiceError::new(reason)));
        assert_eq!(talk.told()[2..], ["outcome 4"]);
        assert!(talk.session.is_over());
    }
}

#[test]
fn a_challenge_is_a_refusal_where_it_cannot_be_told() {
    let mut talk = Talk::new();
    talk.send(&[SASL, &init("PLAIN", Some(PLAIN))].concat());
    talk.judge(Verdict::Challenge(vec![1]));
    assert_eq!(talk.told()[2..], ["outcome 1"]);
    let mut talk = Talk::by(certified());
    talk.send(&linking());
    talk.judge(Verdict::Challenge(vec![1]));
    assert_eq!(
        talk.told().last().unwrap(),
        "close amqp:unauthorized-access"
    );
}

#[test]
fn a_certificate_that_is_not_believed_ends_the_link_and_the_connection() {
    let mut talk = Talk::by(certified());
    talk.send(&linking());
    talk.judge(Verdict::Denied(ServiceError::new(Reason::Unauthorized)));
    let output = talk.output();
    assert_eq!(
        words(&output)[3..],
        [
            "attach 0 receiver link at nothing",
            "detach 0 amqp:unauthorized-access",
            "end amqp:unauthorized-access",
            "close amqp:unauthorized-access"
        ]
    );
    let text = String::from_utf8_lossy(&output);
    let body = r#"{"errorCode":401002,"trackingId":"#;
    assert_eq!(text.matches(body).count(), 3, "one error in all places");
    assert!(!talk.session.is_over(), "its close is waited for");
    talk.send(&frame(0, &crate::codec::Close::default()));
    assert_eq!(talk.over(), End::Unproven);
}

#[test]
fn a_certificate_that_cannot_be_judged_now_is_told_when_to_come_back() {
    let mut talk = Talk::by(certified());
    talk.send(&linking());
    let error = ServiceError::new(Reason::Unavailable).with_retry_after(Duration::from_secs(9));
    talk.judge(Verdict::Denied(error));
    assert_eq!(
        talk.told()[4..],
        [
            "detach 0 amqp:internal-error",
            "end amqp:internal-error",
            "close amqp:internal-error"
        ]
    );
}

#[test]
fn whoever_shows_nothing_is_judged_by_nothing() {
    let mut talk = Talk::new();
    talk.send(&linking());
    assert!(talk.hello().evidence.is_none());
}

#[test]
fn a_device_is_named_by_its_link_in_many_ways() {
    for address in [
        "0neS/registrations/Press-1",
        "/0neS/registrations/Press-1",
        "amqps://global.example.com/0neS/registrations/Press-1",
        "AMQPS://global.example.com:5671/0neS/registrations/Press-1",
        "0nes/Registrations/PRESS-1",
        "0neS%2fregistrations%2FPress%2d1",
    ] {
        let mut talk = Talk::linked();
        let attach = attach_with(0, address, |attach| {
            attach.handle = 2;
            attach.name = "other";
        });
        talk.send(&attach);
        assert_eq!(
            talk.told(),
            [
                format!("attach 2 receiver other at {address}"),
                "flow 2 after 0 credit 8".to_owned()
            ]
        );
        let mut talk = Talk::by(certified());
        talk.send(&[AMQP, &open(), &begin(0), &attach].concat());
        let hello = talk.hello();
        assert!(hello.registration.as_str().eq_ignore_ascii_case("Press-1"));
    }
}

#[test]
fn a_device_has_links_to_itself_only() {
    for address in [
        "0neS/registrations/Press-2",
        "0neT/registrations/Press-1",
        "0neS/registrations/Press-1/x",
        "devices/Press-1",
        "$cbs",
        "",
    ] {
        let mut talk = Talk::linked();
        talk.send(&attach_with(0, address, |attach| {
            attach.handle = 2;
            attach.name = "other";
        }));
        assert_eq!(
            talk.told(),
            [
                "attach 2 receiver other at nothing",
                "detach 2 amqp:unauthorized-access"
            ],
            "{address}"
        );
        talk.send(&[detach(2), register(0)].concat());
        talk.answer(&operation(Status::Assigned));
        assert_eq!(answers(&talk.output()).len(), 1, "all else goes on");
    }
}

#[test]
fn whoever_names_nobody_is_refused_like_anybody() {
    let mut talk = Talk::by(certified());
    let attach = attach(0, Role::Sender, "nobody");
    talk.send(&[AMQP, &open(), &begin(0), &attach].concat());
    assert_eq!(
        talk.told()[4..],
        [
            "detach 0 amqp:unauthorized-access",
            "end amqp:unauthorized-access",
            "close amqp:unauthorized-access"
        ]
    );
}

#[test]
fn nothing_is_read_while_a_device_is_judged() {
    for (peer, said) in [(anonymous(), greeting()), (certified(), linking())] {
        let mut talk = Talk::by(peer);
        assert!(talk.session.wants_bytes());
        talk.send(&said);
        assert!(!talk.session.wants_bytes());
        talk.hello();
        assert!(!talk.session.wants_bytes());
        talk.session.judged(Verdict::Believed, talk.now);
        assert!(talk.session.wants_bytes());
    }
}
