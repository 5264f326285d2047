//! How connections begin and end.

use super::*;

#[test]
fn a_peer_may_begin_without_a_proof() {
    let mut wire = Wire::new();
    wire.send(AMQP);
    assert_eq!(wire.told(), ["AMQP 0"], "step by step");
    wire.send(&open());
    assert_eq!(wire.told(), ["open"]);
    assert!(wire.engine.is_open());
}

#[test]
fn open_says_what_we_take() {
    let mut wire = Wire::new();
    wire.send(&[AMQP, &open()].concat());
    let told = wire.engine.take_output();
    let (frame, _) = decode_frame(&told[8..], 512).unwrap().unwrap();
    let Performative::Open(open) = Performative::read(frame.body).unwrap() else {
        panic!("no open");
    };
    assert_eq!(open.container_id, "us");
    assert_eq!(open.max_frame_size, Some(65_536));
    assert_eq!(open.channel_max, Some(3));
    assert_eq!(open.idle_time_out, Some(150_000), "half of what we wait");
}

#[test]
fn a_proof_comes_before_the_connection_and_nothing_is_taken_while_it_is_judged() {
    let mut wire = Wire::new();
    wire.send(SASL);
    assert_eq!(wire.told(), ["AMQP 3", "mechanisms EXTERNAL PLAIN"]);
    let heard = wire.send(&[&init("PLAIN", Some(b"me"))[..], AMQP, &open()].concat());
    assert_eq!(heard, [Heard::Init("PLAIN".into(), Some(b"me".to_vec()))]);
    assert_eq!(wire.send(&[]), []);
    assert!(wire.told().is_empty());
    wire.engine.outcome(SaslCode::Ok);
    wire.send(&[]);
    assert_eq!(wire.told(), ["outcome 0", "AMQP 0", "open"]);
}

#[test]
fn challenges_and_responses_alternate() {
    let mut wire = Wire::new();
    wire.send(&[SASL, &init("PLAIN", None)].concat());
    wire.told();
    for challenge in [&b"\0"[..], &[7; MAX_CHALLENGE_BYTES]] {
        wire.engine.challenge(challenge);
        assert_eq!(wire.told(), [format!("challenge {challenge:x?}")]);
        let heard = wire.send(&sasl(&SaslFrame::Response(b"yes")));
        assert_eq!(heard, [Heard::Response(b"yes".to_vec())]);
    }
    wire.engine.outcome(SaslCode::Ok);
    assert_eq!(wire.told(), ["outcome 0"]);
}

#[test]
fn a_challenge_that_fits_into_no_frame_is_not_sent() {
    let mut wire = Wire::new();
    wire.send(&[SASL, &init("PLAIN", None)].concat());
    wire.told();
    wire.engine.challenge(&[0; MAX_CHALLENGE_BYTES + 1]);
    assert_eq!(wire.told(), ["outcome 4"]);
    assert!(wire.engine.is_over());
}

#[test]
fn a_proof_that_fails_ends_the_connection() {
    for (code, told) in [
        (SaslCode::Auth, "outcome 1"),
        (SaslCode::SysTemp, "outcome 4"),
    ] {
        let mut wire = Wire::new();
        wire.send(&[SASL, &init("PLAIN", None)].concat());
        wire.told();
        wire.engine.outcome(code);
        assert_eq!(wire.told(), [told]);
        assert!(wire.engine.is_over());
    }
}

#[test]
fn close_is_echoed() {
    let mut wire = Wire::linked();
    wire.send(&frame(0, &Close::default()));
    assert_eq!(wire.told(), ["close"]);
    assert!(wire.engine.is_over());
    assert_eq!(wire.engine.fault(), None);
}

#[test]
fn our_close_waits_for_the_peers_and_takes_nothing_else_any_more() {
    let mut wire = Wire::linked();
    wire.engine
        .close(Some(ErrorInfo::new("amqp:connection:forced", None)));
    // The SDK for Node.js waits for the end of its session.
    let told = ["end", "close"].map(|word| format!("{word} amqp:connection:forced"));
    assert_eq!(wire.told(), told);
    assert_eq!(wire.send(&transfer(0, 0, b"late")), []);
    assert!(wire.engine.is_closing() && !wire.engine.is_over());
    wire.engine.close(None);
    wire.send(&frame(0, &Close::default()));
    assert!(wire.told().is_empty(), "it is said once");
    assert!(wire.engine.is_over());
}

#[test]
fn whoever_is_closed_before_its_open_is_sent_ours() {
    let mut wire = Wire::new();
    wire.send(AMQP);
    wire.engine.close(None);
    assert_eq!(wire.told(), ["AMQP 0", "open", "close"]);
}

#[test]
fn the_peers_idle_time_out_is_kept_in_mind() {
    let idle = |millis| {
        let wire = Wire::opened_by(&open_with(None, millis));
        wire.engine.peer_idle()
    };
    assert_eq!(idle(Some(1000)), Some(SECOND));
    assert_eq!(idle(Some(0)), None);
    assert_eq!(idle(None), None);
}

#[test]
fn a_peer_that_is_too_impatient_is_told_so() {
    let mut wire = Wire::new();
    wire.send(&[AMQP, &open_with(None, Some(999))].concat());
    assert_eq!(
        wire.told(),
        ["AMQP 0", "open", "close amqp:not-implemented"]
    );
}

#[test]
fn a_peer_that_takes_less_than_everybody_must_is_refused() {
    let mut wire = Wire::new();
    wire.send(&[AMQP, &open_with(Some(511), None)].concat());
    assert_eq!(wire.told(), ["AMQP 0", "open", "close amqp:invalid-field"]);
    Wire::opened_by(&open_with(Some(512), None));
}

#[test]
fn signs_of_life_come_and_go() {
    let mut wire = Wire::linked();
    assert_eq!(wire.send(ALIVE), []);
    assert!(wire.told().is_empty());
    wire.engine.beat();
    assert_eq!(wire.engine.take_output(), ALIVE);
    wire.engine.close(None);
    wire.told();
    wire.engine.beat();
    assert!(wire.told().is_empty());
}
