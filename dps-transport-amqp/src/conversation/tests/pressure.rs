//! Devices that ask faster than they read.

use super::*;

#[test]
fn a_thousand_requests_are_not_all_taken() {
    let mut talk = Talk::linked();
    for id in 0..1000 {
        if !talk.session.wants_bytes() {
            break;
        }
        talk.send(&register(id));
    }
    assert_eq!(talk.session.unanswered.len(), MAX_UNANSWERED);
    talk.answer(&operation(Status::Assigned));
    assert!(talk.session.wants_bytes(), "there is room for one more");
}

#[test]
fn what_was_read_beyond_the_limit_waits_for_its_turn() {
    let mut talk = Talk::linked();
    let second = attach_with(0, ADDRESS, |attach| {
        attach.handle = 2;
        attach.name = "other";
    });
    talk.send(&second);
    talk.told();
    let mut requests: Vec<u8> = (0..8).flat_map(register).collect();
    requests.extend((8..16).flat_map(|id| transfer(2, id, &registering(None, b""))));
    talk.send(&requests);
    assert!(!talk.session.input.is_empty());
    for id in 0..16 {
        talk.answer(&operation(Status::Assigned));
        let told = words(&talk.session.take_output());
        assert!(told.contains(&format!("accepted #{id}")), "{told:?}");
    }
    assert!(talk.session.input.is_empty());
}

#[test]
fn large_requests_wait_in_small_numbers() {
    let mut body = br#"{"payload":""#.to_vec();
    body.resize(60_000, b'a');
    body.extend(br#""}"#);
    let mut talk = Talk::linked();
    talk.send(&register_with(0, None, &body));
    assert!(talk.session.wants_bytes());
    talk.send(&register_with(1, None, &body));
    assert!(!talk.session.wants_bytes());
    talk.answer(&operation(Status::Assigned));
    assert!(talk.session.wants_bytes());
}

#[test]
fn whoever_takes_no_answers_is_not_asked_about_for_ever() {
    let mut talk = Talk::linked();
    talk.send(&credit(1, 0));
    let mut asked = 0;
    for id in 0..12 {
        talk.send(&register(id));
        match talk.session.question() {
            Some(_) => {
                asked += 1;
                talk.session
                    .answered(&operation(Status::Assigned), talk.now);
            }
            None => {
                let told = words(&talk.session.take_output());
                assert_eq!(
                    told.last().unwrap(),
                    &format!("rejected com.microsoft:device-container-throttled #{id}")
                );
            }
        }
    }
    assert_eq!(asked, 8);
    talk.send(&credit(1, 100));
    let output = talk.output();
    assert_eq!(answers(&output).len(), 8);
    assert_eq!(words(&output).last().unwrap(), "flow 0 after 12 credit 8");
}

#[test]
fn what_a_device_does_not_take_stops_the_reading() {
    let mut talk = Talk::linked();
    let echo = crate::codec::Flow {
        echo: true,
        ..flow(None, None)
    };
    let echoes = frame(0, &echo).repeat(10_000);
    for chunk in echoes.chunks(4096) {
        if !talk.session.wants_bytes() {
            break;
        }
        talk.send(chunk);
    }
    assert!(talk.session.question().is_none());
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
fn nothing_is_asked_while_much_waits_to_be_taken() {
    let mut talk = Talk::linked();
    talk.send(&register(0));
    talk.session.engine.send(vec![0; MAX_OUTPUT_BYTES]);
    assert!(talk.session.question().is_none());
    talk.session.take_output();
    talk.call();
}

#[test]
fn an_idle_session_holds_no_buffers() {
    let mut talk = Talk::linked();
    let request = register(0);
    talk.send(&request[..20]);
    talk.send(&request[20..]);
    talk.answer(&operation(Status::Assigned));
    talk.output();
    assert_eq!(talk.session.input.capacity(), 0);
    assert_eq!(talk.session.engine.output().capacity(), 0);
    assert_eq!(talk.session.unanswered.capacity(), 0);
}

#[test]
fn a_flood_of_sessions_and_links_is_bounded() {
    let mut talk = Talk::linked();
    let mut flood = Vec::new();
    for channel in 1..=u16::MAX {
        flood.extend(begin(channel));
    }
    talk.send(&flood);
    assert_eq!(
        talk.told(),
        [
            "1: begin for 1",
            "2: begin for 2",
            "3: begin for 3",
            "end amqp:connection:framing-error",
            "1: end amqp:connection:framing-error",
            "2: end amqp:connection:framing-error",
            "3: end amqp:connection:framing-error",
            "close amqp:connection:framing-error"
        ]
    );
    let mut talk = Talk::linked();
    let names: Vec<String> = (0..100).map(|nth| nth.to_string()).collect();
    for (handle, name) in (2..).zip(&names) {
        talk.send(&attach_with(0, ADDRESS, |attach| {
            attach.handle = handle;
            attach.name = Box::leak(name.clone().into_boxed_str());
        }));
    }
    let told = talk.told();
    assert_eq!(told.len(), 6, "{told:?}");
    assert_eq!(told.last().unwrap(), "close amqp:connection:framing-error");
}

#[test]
fn links_that_come_and_go_leave_nothing() {
    let mut talk = Talk::linked();
    for _ in 0..1000 {
        talk.send(&[detach(0), sender()].concat());
        talk.told();
    }
    assert!(talk.session.versions.len() <= 3);
}
