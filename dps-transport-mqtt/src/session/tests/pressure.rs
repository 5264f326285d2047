//! Devices that ask faster than they read.

use super::*;

#[test]
fn a_thousand_requests_without_reading_are_not_all_taken() {
    let mut talk = Talk::subscribed();
    let request = register("a", Some(1));
    for _ in 0..1000 {
        if !talk.session.wants_bytes() {
            break;
        }
        talk.send(&request);
    }
    assert_eq!(talk.session.unanswered.len(), MAX_UNANSWERED);
    assert!(!talk.session.wants_bytes());
    talk.answer(&busy());
    assert!(talk.session.wants_bytes(), "there is room for one more");
    talk.send(&request);
    assert!(!talk.session.wants_bytes());
}

#[test]
fn what_was_read_beyond_the_limit_waits_for_its_turn() {
    let mut talk = Talk::subscribed();
    let requests: Vec<u8> = (0..20)
        .flat_map(|n| register(&n.to_string(), None))
        .collect();
    talk.send(&requests);
    for n in 0..20 {
        talk.answer(&busy());
        let told = words(&talk.session.take_output());
        assert_eq!(told.len(), 1, "{n}");
        assert!(told[0].contains(&format!("$rid={n}&")), "{told:?}");
    }
    assert!(talk.session.input.is_empty());
}

#[test]
fn large_requests_wait_in_small_numbers() {
    let mut talk = Talk::subscribed();
    let mut body = br#"{"payload":""#.to_vec();
    body.resize(60_000, b'a');
    body.extend(br#""}"#);
    let request = publish(&format!("{REGISTER}a"), None, &body);
    talk.send(&request);
    assert!(talk.session.wants_bytes());
    talk.send(&request);
    assert!(!talk.session.wants_bytes());
    talk.answer(&busy());
    assert!(talk.session.wants_bytes());
}

#[test]
fn answers_that_nobody_takes_stop_the_reading() {
    let mut talk = Talk::subscribed();
    let pings = bytes(&Packet::PingReq).repeat(100_000);
    for chunk in pings.chunks(4096) {
        if !talk.session.wants_bytes() {
            break;
        }
        talk.send(chunk);
    }
    let written = talk.session.take_output().len();
    assert!(
        (MAX_OUTPUT_BYTES..MAX_OUTPUT_BYTES + 100).contains(&written),
        "{written}"
    );
    assert!(talk.session.input.len() < 4096);
    talk.session.resume(talk.now);
    assert!(talk.session.wants_bytes());
}

#[test]
fn nothing_is_asked_while_answers_wait_to_be_taken() {
    let mut talk = Talk::subscribed();
    talk.session.output = vec![0; MAX_OUTPUT_BYTES];
    talk.session.unanswered.push_back(Waiting {
        rid: "a".to_owned(),
        what: Ok(What::Register(Box::from(&b"{}"[..]))),
    });
    assert!(talk.session.question().is_none());
    talk.session.take_output();
    talk.call();
}

#[test]
fn an_idle_session_holds_no_buffers() {
    let mut talk = Talk::subscribed();
    let request = register("a", Some(1));
    talk.send(&request[..20]);
    talk.send(&request[20..]);
    talk.answer(&busy());
    talk.told();
    assert_eq!(talk.session.input.capacity(), 0);
    assert_eq!(talk.session.output.capacity(), 0);
    assert_eq!(talk.session.unanswered.capacity(), 0);
}
