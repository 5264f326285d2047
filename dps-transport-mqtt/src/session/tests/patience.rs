//! How long a device is waited for.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

fn connected(keep_alive: u16) -> Talk {
    let mut talk = Talk::new();
    talk.send(&connect_with(
        "Press-1",
        Some(USER),
        Some(TOKEN),
        true,
        keep_alive,
    ));
    talk.judge(Ok(()));
    talk
}

fn later(talk: &mut Talk, by: Duration) -> Option<End> {
    talk.now += by;
    talk.session.expire(talk.now);
    talk.end()
}

#[test]
fn connect_has_to_come_within_its_limit() {
    let mut talk = Talk::new();
    assert_eq!(talk.session.deadline(), Some(30 * SECOND));
    talk.now = 20 * SECOND;
    talk.send(&connect()[..10]);
    assert_eq!(
        talk.session.deadline(),
        Some(30 * SECOND),
        "its beginning is not enough"
    );
    assert_eq!(later(&mut talk, 10 * SECOND), Some(End::Late));
}

#[test]
fn a_device_that_is_not_believed_has_a_minute() {
    let mut talk = Talk::denied(wrong_key());
    for _ in 0..5 {
        assert_eq!(later(&mut talk, 11 * SECOND), None);
        talk.send(&bytes(&Packet::PingReq));
    }
    assert_eq!(talk.session.deadline(), Some(60 * SECOND));
    assert_eq!(later(&mut talk, 5 * SECOND), Some(End::Late));
}

#[test]
fn silence_lasts_one_and_a_half_times_the_keep_alive() {
    let mut talk = connected(60);
    assert_eq!(later(&mut talk, 89 * SECOND), None);
    talk.send(&bytes(&Packet::PingReq));
    assert_eq!(later(&mut talk, 89 * SECOND), None);
    assert_eq!(later(&mut talk, SECOND), Some(End::Late));
}

#[test]
fn a_keep_alive_of_0_means_five_minutes() {
    let mut talk = connected(0);
    assert_eq!(later(&mut talk, 299 * SECOND), None);
    assert_eq!(later(&mut talk, SECOND), Some(End::Late));
}

#[test]
fn a_packet_that_has_begun_has_to_end_in_time() {
    let mut talk = connected(600);
    let request = register("a", None);
    for byte in &request[..20] {
        talk.now += SECOND;
        talk.send(&[*byte]);
    }
    assert_eq!(
        talk.session.deadline(),
        Some(31 * SECOND),
        "since its first byte"
    );
    assert_eq!(later(&mut talk, 11 * SECOND), Some(End::Late));
}

#[test]
fn half_a_packet_is_no_sign_of_life() {
    let mut talk = connected(10);
    assert_eq!(later(&mut talk, 14 * SECOND), None);
    talk.send(&[0xc0]);
    assert_eq!(later(&mut talk, SECOND), Some(End::Late));
}

#[test]
fn a_device_that_waits_for_its_answer_is_not_late() {
    let mut talk = connected(1);
    talk.send(&[subscribe(&[(RESPONSES, 1)]), register("a", None)].concat());
    talk.call();
    assert_eq!(talk.session.deadline(), None);
    assert_eq!(later(&mut talk, 9 * SECOND), None);
    talk.session.answered(&busy(), talk.now);
    assert_eq!(later(&mut talk, SECOND), None);
    assert_eq!(later(&mut talk, SECOND), Some(End::Late));
}
