//! What devices must not do; the rules of AMQP itself are tested with the engine.

use super::*;

/// Over before anything was asked about it.
fn unheard(said: &[&[u8]]) -> Vec<String> {
    let mut talk = Talk::new();
    talk.send(&said.concat());
    let told = talk.told();
    assert!(talk.session.engine.is_closing());
    assert!(matches!(talk.session.end(), End::Fault(_)));
    told
}

#[test]
fn wrong_protocols_and_frames_out_of_turn_are_refused_before_anything_is_asked() {
    let init = init("PLAIN", Some(PLAIN));
    let closed = ["AMQP 0", "open", "close amqp:connection:framing-error"];
    assert_eq!(unheard(&[b"GET / HTTP/1.1"]), ["AMQP 0"]);
    assert_eq!(unheard(&[b"AMQP\0\0\x09\x01"]), ["AMQP 0"]);
    assert_eq!(unheard(&[SASL, &open()]).len(), 2);
    assert_eq!(unheard(&[AMQP, &init]), closed);
    assert_eq!(unheard(&[AMQP, &transfer(0, 0, b"")]), closed);
    assert_eq!(unheard(&[AMQP, AMQP]), closed);
    let long = sasl(&crate::codec::SaslFrame::Init {
        mechanism: "PLAIN",
        initial_response: Some(&[0; 1024]),
    });
    assert_eq!(unheard(&[SASL, &long]).len(), 2);
}

#[test]
fn a_second_proof_is_refused() {
    let mut talk = Talk::new();
    let init = init("PLAIN", Some(PLAIN));
    talk.send(&[SASL, &init, &init].concat());
    talk.judge(Verdict::Believed);
    assert_eq!(talk.told()[2..], ["outcome 0", "AMQP 0"]);
    assert!(talk.session.is_over());
}

#[test]
fn a_request_before_any_link_asks_nobody() {
    let mut talk = Talk::new();
    talk.send(&[SASL, &init("PLAIN", Some(PLAIN)), AMQP, &open(), &begin(0)].concat());
    talk.judge(Verdict::Believed);
    talk.told();
    talk.send(&register(0));
    assert_eq!(talk.told(), ["end amqp:session:unattached-handle"]);
}

#[test]
fn a_request_before_a_certificate_was_believed_asks_nobody() {
    let mut talk = Talk::by(certified());
    talk.send(&[AMQP, &open(), &begin(0), &register(0)].concat());
    assert_eq!(
        talk.told().last().unwrap(),
        "end amqp:session:unattached-handle"
    );
    let mut talk = Talk::by(certified());
    talk.send(&[&linking(), &register(0)[..]].concat());
    talk.judge(Verdict::Denied(ServiceError::new(Reason::Unauthorized)));
    assert_eq!(
        talk.told().last().unwrap(),
        "close amqp:unauthorized-access",
        "what came behind its link is passed over"
    );
}

#[test]
fn requests_over_the_credit_end_their_link_and_those_before_are_answered() {
    let mut talk = Talk::linked();
    for id in 0..8 {
        talk.send(&register(id));
    }
    talk.send(&register(8));
    for id in 0..8 {
        talk.answer(&operation(Status::Assigned));
        let told = words(&talk.session.take_output());
        assert_eq!(told[0], format!("accepted #{id}"));
    }
}

#[test]
fn a_close_in_the_middle_of_a_message_is_echoed() {
    let mut talk = Talk::linked();
    let begun = transfer_with(0, b"half a", |transfer| {
        transfer.delivery_id = Some(0);
        transfer.more = true;
    });
    talk.send(&[begun, frame(0, &crate::codec::Close::default())].concat());
    assert_eq!(talk.told(), ["close"]);
    assert_eq!(talk.over(), End::Goodbye);
}

#[test]
fn values_of_any_depth_are_refused_by_name() {
    // What ends the process of an acceptor that reads values by calling itself.
    let mut talk = Talk::linked();
    let mut deep = b"\0\0\xff\xff\x02\0\0\0\0\x53\x12".to_vec();
    while deep.len() + 9 < 65_535 {
        let left = u32::try_from(65_535 - deep.len() - 5).unwrap();
        deep.push(0xd0);
        deep.extend(left.to_be_bytes());
        deep.extend(1_u32.to_be_bytes());
    }
    deep.resize(65_535, 0x45);
    talk.send(&deep);
    assert_eq!(
        talk.told(),
        ["end amqp:decode-error", "close amqp:decode-error"]
    );
}
