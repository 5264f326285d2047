//! How long a device is waited for, and how often it hears of us.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

/// A device that wants to hear of us within this time.
fn impatient(seconds: u32) -> Talk {
    let mut talk = Talk::new();
    let open = open_with(None, Some(seconds * 1000));
    talk.send(
        &[
            SASL,
            &init("PLAIN", Some(PLAIN)),
            AMQP,
            &open,
            &begin(0),
            &sender(),
        ]
        .concat(),
    );
    talk.judge(Verdict::Believed);
    talk.told();
    talk
}

fn later(talk: &mut Talk, by: Duration) -> Vec<String> {
    talk.now += by;
    talk.session.expire(talk.now);
    words(&talk.session.take_output())
}

/// A session, if there is one, ends before its connection.
const LATE: [&str; 2] = [
    "end amqp:resource-limit-exceeded",
    "close amqp:resource-limit-exceeded",
];

#[test]
fn a_device_begins_within_its_limit() {
    let mut talk = Talk::new();
    assert_eq!(talk.session.deadline(), Some(30 * SECOND));
    talk.now = 20 * SECOND;
    talk.send(&SASL[..5]);
    assert_eq!(
        talk.session.deadline(),
        Some(30 * SECOND),
        "its beginning is not enough"
    );
    assert!(later(&mut talk, 10 * SECOND).is_empty());
    assert_eq!(talk.over(), End::Late);
}

#[test]
fn silence_at_any_step_ends_the_connection() {
    let init = init("PLAIN", Some(PLAIN));
    for (said, told) in [
        (vec![SASL], &[][..]),
        (vec![AMQP], &["open", LATE[1]]),
        (vec![AMQP, &open()], &LATE[1..]),
        (vec![AMQP, &open(), &begin(0)], &LATE),
        (vec![SASL, &init[..20]], &[]),
    ] {
        let mut talk = Talk::new();
        talk.send(&said.concat());
        talk.told();
        assert!(later(&mut talk, 29 * SECOND).is_empty());
        assert_eq!(later(&mut talk, SECOND), told);
        later(&mut talk, SECOND);
        assert_eq!(talk.over(), End::Late);
    }
}

#[test]
fn nobody_stays_for_more_than_a_minute_without_a_proof() {
    let mut talk = Talk::by(certified());
    talk.send(&[AMQP, &open()].concat());
    talk.told();
    for _ in 0..3 {
        assert!(later(&mut talk, 19 * SECOND).is_empty());
        talk.send(ALIVE);
    }
    assert_eq!(talk.session.deadline(), Some(60 * SECOND));
    assert_eq!(later(&mut talk, 3 * SECOND), LATE[1..]);
}

#[test]
fn a_device_that_says_nothing_for_too_long_is_gone() {
    let mut talk = Talk::linked();
    assert!(later(&mut talk, 299 * SECOND).is_empty());
    talk.send(ALIVE);
    assert!(later(&mut talk, 299 * SECOND).is_empty());
    assert_eq!(later(&mut talk, SECOND), LATE);
    assert!(!talk.session.is_over());
    later(&mut talk, SECOND);
    assert_eq!(talk.over(), End::Late);
}

#[test]
fn a_frame_that_has_begun_has_to_end_in_time() {
    let mut talk = Talk::linked();
    let request = register(0);
    for byte in &request[..20] {
        talk.now += SECOND;
        talk.send(&[*byte]);
    }
    assert_eq!(
        talk.session.deadline(),
        Some(31 * SECOND),
        "since its first byte"
    );
    assert_eq!(later(&mut talk, 11 * SECOND), LATE);
}

#[test]
fn half_a_frame_is_no_sign_of_life() {
    let mut talk = Talk::linked();
    later(&mut talk, 290 * SECOND);
    talk.send(&ALIVE[..4]);
    assert_eq!(later(&mut talk, 10 * SECOND), LATE);
}

#[test]
fn a_device_that_waits_for_its_answer_is_not_late() {
    let mut talk = Talk::linked();
    talk.send(&register(0));
    talk.call();
    assert_eq!(talk.session.deadline(), None);
    assert!(later(&mut talk, 400 * SECOND).is_empty());
    talk.session
        .answered(&operation(Status::Assigned), talk.now);
    talk.told();
    assert!(later(&mut talk, 299 * SECOND).is_empty());
}

#[test]
fn a_device_hears_of_us_at_half_of_the_time_it_waits() {
    let mut talk = impatient(10);
    for _ in 0..20 {
        assert_eq!(talk.session.deadline(), Some(talk.now + 5 * SECOND));
        assert!(later(&mut talk, 4 * SECOND).is_empty());
        assert_eq!(later(&mut talk, SECOND), ["alive"]);
    }
    // Anything will do.
    later(&mut talk, 3 * SECOND);
    talk.send(&begin(1));
    talk.told();
    assert_eq!(talk.session.deadline(), Some(talk.now + 5 * SECOND));
}

#[test]
fn a_device_hears_of_us_also_while_it_waits_for_an_answer() {
    let mut talk = impatient(10);
    talk.send(&register(0));
    talk.call();
    for _ in 0..10 {
        assert_eq!(talk.session.deadline(), Some(talk.now + 5 * SECOND));
        assert_eq!(later(&mut talk, 5 * SECOND), ["alive"]);
    }
}

#[test]
fn a_device_that_does_not_answer_our_close_is_waited_for_a_second() {
    let mut talk = impatient(2);
    talk.session.leave();
    talk.told();
    assert_eq!(talk.session.deadline(), Some(SECOND));
    talk.send(ALIVE);
    assert!(later(&mut talk, SECOND).is_empty());
    assert!(talk.session.is_over());
}
