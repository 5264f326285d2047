//! Messages in both directions: credit, windows, parts, and what becomes of them.

use super::*;
use crate::codec::Disposition;

/// What the peer says it takes, as it stands after `seen` frames.
fn window(seen: u32, incoming_window: u32) -> Vec<u8> {
    let flow = Flow {
        next_incoming_id: Some(seen),
        incoming_window,
        ..flow(None, None)
    };
    frame(0, &flow)
}

#[test]
fn a_message_is_heard_and_settled() {
    let mut wire = Wire::linked();
    let (delivery, bytes) = wire.message(&transfer(0, 0, b"hello"));
    assert_eq!(bytes, b"hello");
    wire.engine.settle(delivery, Outcome::Accepted);
    assert_eq!(wire.told(), ["accepted #0"]);
    let (delivery, _) = wire.message(&transfer(0, u32::MAX, b"again"));
    let error = ErrorInfo::new("amqp:not-found", None);
    wire.engine.settle(delivery, Outcome::Rejected(Some(error)));
    assert_eq!(wire.told(), ["rejected amqp:not-found #4294967295"]);
}

#[test]
fn what_came_settled_is_not_settled_again() {
    let mut wire = Wire::linked();
    let (delivery, _) = wire.message(&transfer_with(0, b"hello", |transfer| {
        transfer.delivery_id = Some(0);
        transfer.settled = Some(true);
    }));
    assert!(delivery.settled);
    wire.engine.settle(delivery, Outcome::Accepted);
    assert!(wire.told().is_empty());
}

#[test]
fn credit_is_topped_up_as_messages_are_settled() {
    let mut wire = Wire::linked();
    let mut told = Vec::new();
    for id in 0..20 {
        let (delivery, _) = wire.message(&transfer(0, id, b"hello"));
        wire.engine.settle(delivery, Outcome::Accepted);
        told.extend(wire.told());
    }
    told.retain(|told| told.starts_with("flow"));
    assert_eq!(
        told,
        [4, 8, 12, 16, 20].map(|after| format!("flow 0 after {after} credit 8"))
    );
}

#[test]
fn no_credit_is_given_for_what_is_not_settled() {
    let mut wire = Wire::linked();
    let taken: Vec<_> = (0..8)
        .map(|id| wire.message(&transfer(0, id, b"hello")).0)
        .collect();
    assert!(wire.told().is_empty());
    assert_eq!(
        wire.refused(&transfer(0, 8, b"too much")),
        ["detach 0 amqp:link:transfer-limit-exceeded"]
    );
    for delivery in taken {
        wire.engine.settle(delivery, Outcome::Accepted);
    }
    assert!(wire.told().iter().all(|told| told.starts_with("accepted")));
}

#[test]
fn what_is_not_settled_counts_when_credit_is_topped_up() {
    let mut wire = Wire::linked();
    let taken: Vec<_> = (0..8)
        .map(|id| wire.message(&transfer(0, id, b"hello")).0)
        .collect();
    for delivery in &taken[..4] {
        wire.engine.settle(*delivery, Outcome::Accepted);
    }
    assert_eq!(wire.told().last().unwrap(), "flow 0 after 8 credit 4");
}

#[test]
fn a_message_in_many_frames_is_put_together() {
    let mut wire = Wire::linked();
    let message: Vec<u8> = (0..MAX_MESSAGE_BYTES).map(|nth| nth as u8).collect();
    let frames = transfers(0, 5, &message, 450);
    assert!(frames.len() > 200);
    for frame in &frames[..frames.len() - 1] {
        assert_eq!(wire.send(frame), []);
    }
    let (delivery, bytes) = wire.message(frames.last().unwrap());
    assert_eq!(bytes, message);
    assert_eq!(wire.told(), ["window 256"], "there is room for more frames");
    wire.engine.settle(delivery, Outcome::Accepted);
    assert_eq!(wire.told(), ["accepted #5"]);
}

#[test]
fn parts_may_name_their_message_and_the_last_may_settle_it() {
    let mut wire = Wire::linked();
    for (id, settled, more) in [(Some(3), None, true), (Some(3), Some(false), true)] {
        let part = transfer_with(0, b"ab", |transfer| {
            transfer.delivery_id = id;
            transfer.settled = settled;
            transfer.more = more;
        });
        assert_eq!(wire.send(&part), []);
    }
    let (delivery, bytes) = wire.message(&transfer_with(0, b"c", |transfer| {
        transfer.settled = Some(true);
    }));
    assert_eq!(bytes, b"ababc");
    assert!(delivery.settled);
}

#[test]
fn a_message_may_have_no_bytes() {
    let mut wire = Wire::linked();
    assert_eq!(wire.message(&transfer(0, 0, b"")).1, b"");
}

#[test]
fn messages_on_two_links_may_be_mixed() {
    let mut wire = Wire::linked();
    wire.link_by(&attach_with(0, "here", |attach| {
        attach.handle = 2;
        attach.name = "other";
    }));
    let [first, second] = [(0, 0, 1), (2, 1, 2)]
        .map(|(handle, id, byte)| transfers(handle, id, &vec![byte; 40_000], 1000));
    let mut heard = Vec::new();
    for (first, second) in first.iter().zip(&second) {
        heard.extend(wire.send(&[&first[..], second].concat()));
    }
    let bytes = heard.iter().map(|heard| match heard {
        Heard::Message(_, bytes) => bytes.clone(),
        other => panic!("no message: {other:?}"),
    });
    assert_eq!(
        bytes.collect::<Vec<_>>(),
        [vec![1; 40_000], vec![2; 40_000]]
    );
}

#[test]
fn a_message_that_is_too_long_ends_its_link_however_it_comes() {
    let told = ["detach 0 amqp:link:message-size-exceeded"];
    let long = vec![0; MAX_MESSAGE_BYTES + 1];
    for most in [400, 60_000] {
        let mut wire = Wire::linked();
        let mut all = Vec::new();
        for frame in transfers(0, 0, &long, most) {
            assert_eq!(wire.send(&frame), []);
            all.extend(wire.told());
        }
        all.retain(|told| told != "window 256");
        assert_eq!(all, told);
        assert_eq!(wire.engine.sessions[0].assembling(), 0);
    }
}

#[test]
fn all_links_together_hold_no_more_than_one_message() {
    let mut wire = Wire::linked();
    wire.send(&begin(1));
    let heard = wire.send(&attach_with(1, "here", |_| {}));
    let [Heard::Attach(link, _)] = heard[..] else {
        panic!("no link: {heard:?}");
    };
    wire.engine.accept(link);
    wire.told();
    let part = |channel| {
        transfer_with(channel, &[0; 60_000], |transfer| {
            transfer.delivery_id = Some(0);
            transfer.more = true;
        })
    };
    wire.send(&part(0));
    let small = transfer_with(1, &[0; 10], |transfer| {
        transfer.delivery_id = Some(0);
        transfer.more = true;
    });
    assert_eq!(wire.refused(&small), Vec::<String>::new());
    assert_eq!(
        wire.refused(&part(1)),
        ["1: detach 0 amqp:link:message-size-exceeded"]
    );
}

#[test]
fn a_message_may_be_given_up() {
    let mut wire = Wire::linked();
    for round in 0..100 {
        let abort = transfer_with(0, b"", |transfer| transfer.aborted = true);
        let begin = transfer_with(0, b"x", |transfer| {
            transfer.delivery_id = Some(2 * round);
            transfer.more = true;
        });
        let at_once = transfer_with(0, b"", |transfer| {
            transfer.delivery_id = Some(2 * round + 1);
            transfer.aborted = true;
        });
        assert_eq!(wire.send(&[begin, abort, at_once].concat()), []);
        wire.told();
    }
    wire.message(&transfer(0, 200, b"whole"));
}

#[test]
fn the_peers_window_is_renewed_before_it_is_used_up() {
    let mut wire = Wire::linked();
    let part = |id, more| {
        transfer_with(0, b"", |transfer| {
            transfer.delivery_id = id;
            transfer.more = more;
        })
    };
    wire.send(&part(Some(0), true));
    let mut told = Vec::new();
    for _ in 0..1000 {
        wire.send(&part(None, true));
        told.extend(wire.told());
    }
    assert_eq!(told, vec!["window 256"; 1001 / 129]);
}

#[test]
fn a_response_waits_for_a_link() {
    let mut wire = Wire::begun();
    wire.engine.send(b"hello".to_vec());
    assert!(wire.told().is_empty());
    assert!(!wire.engine.is_quiet());
    wire.link(1, Role::Receiver);
    assert!(wire.told().is_empty(), "and for credit");
    wire.send(&credit(1, 1));
    assert_eq!(wire.told(), ["transfer 1 #0 5 bytes"]);
    assert!(wire.engine.is_quiet());
}

#[test]
fn responses_wait_for_credit() {
    let mut wire = Wire::linked();
    wire.send(&credit(1, 2));
    for length in [1, 2, 3] {
        wire.engine.send(vec![0; length]);
    }
    assert_eq!(
        wire.told(),
        ["transfer 1 #0 1 bytes", "transfer 1 #1 2 bytes"]
    );
    // It counts from where the peer was when it said so.
    wire.send(&credit(1, 2));
    assert!(wire.told().is_empty());
    wire.send(&frame(
        0,
        &Flow {
            next_incoming_id: Some(2),
            delivery_count: Some(1),
            ..flow(Some(1), Some(2))
        },
    ));
    assert_eq!(wire.told(), ["transfer 1 #2 3 bytes"]);
}

#[test]
fn any_credit_and_any_window_will_do() {
    let mut wire = Wire::begun_with(None, u32::MAX);
    wire.link(1, Role::Receiver);
    let all = |seen, count| Flow {
        next_incoming_id: seen,
        incoming_window: u32::MAX,
        delivery_count: count,
        ..flow(Some(1), Some(u32::MAX))
    };
    // Whoever has not heard of us yet knows of no counts.
    for (nth, (seen, count)) in [(None, None), (Some(0), Some(0)), (Some(2), Some(2))]
        .into_iter()
        .enumerate()
    {
        wire.send(&frame(0, &all(seen, count)));
        wire.engine.send(vec![1]);
        assert_eq!(wire.told(), [format!("transfer 1 #{nth} 1 bytes")]);
    }
}

#[test]
fn credit_and_windows_of_the_future_are_none() {
    let mut wire = Wire::linked();
    wire.engine.send(vec![1]);
    let future = Flow {
        delivery_count: Some(1),
        ..flow(Some(1), Some(100))
    };
    wire.send(&frame(0, &future));
    let future = Flow {
        next_incoming_id: Some(1),
        ..flow(Some(1), Some(100))
    };
    wire.send(&frame(0, &future));
    assert!(wire.told().is_empty());
    wire.send(&credit(1, 1));
    assert_eq!(wire.told(), ["transfer 1 #0 1 bytes"]);
}

#[test]
fn credit_can_be_taken_back() {
    let mut wire = Wire::linked();
    wire.send(&credit(1, 5));
    wire.send(&credit(1, 0));
    wire.engine.send(vec![1]);
    assert!(wire.told().is_empty());
}

#[test]
fn a_response_goes_in_as_many_frames_as_the_peers_frames_need() {
    let mut wire = Wire::begun_with(Some(512), 2048);
    wire.link(1, Role::Receiver);
    wire.send(&credit(1, 1));
    let message: Vec<u8> = (0..MAX_MESSAGE_BYTES).map(|nth| nth as u8).collect();
    wire.engine.send(message.clone());
    let out = wire.engine.take_output();
    let mut left = &out[..];
    while let Some((_, length)) = decode_frame(left, 512).unwrap() {
        left = &left[length..];
    }
    assert!(left.is_empty());
    assert_eq!(said_to(&out), [message]);
}

#[test]
fn a_response_waits_for_the_peers_window() {
    let mut wire = Wire::begun_with(Some(512), 1);
    wire.link(1, Role::Receiver);
    wire.send(&frame(
        0,
        &Flow {
            incoming_window: 1,
            ..flow(Some(1), Some(5))
        },
    ));
    wire.engine.send(vec![0; 1000]);
    wire.engine.send(vec![0; 5]);
    assert_eq!(wire.told(), ["transfer 1 #0 448 bytes and more"]);
    wire.send(&window(1, 0));
    assert!(wire.told().is_empty());
    wire.send(&window(1, 1));
    assert_eq!(wire.told(), ["transfer 1 #0 448 bytes and more"]);
    wire.send(&window(2, 10));
    assert_eq!(
        wire.told(),
        ["transfer 1 #0 104 bytes", "transfer 1 #1 5 bytes"]
    );
}

#[test]
fn a_window_of_nothing_holds_everything() {
    let mut wire = Wire::begun_with(None, 0);
    wire.link(1, Role::Receiver);
    wire.send(&frame(
        0,
        &Flow {
            incoming_window: 0,
            ..flow(Some(1), Some(5))
        },
    ));
    wire.engine.send(vec![0; 5]);
    assert!(wire.told().is_empty());
    wire.send(&window(0, 1));
    assert_eq!(wire.told(), ["transfer 1 #0 5 bytes"]);
}

#[test]
fn responses_are_settled_if_the_peer_wants_them_so() {
    let mut wire = Wire::begun();
    wire.link_by(&attach_with(0, "here", |attach| {
        attach.role = Role::Receiver;
        attach.snd_settle_mode = Some(1);
    }));
    wire.send(&credit(0, 1));
    wire.engine.send(vec![0]);
    assert_eq!(wire.told(), ["transfer 0 #0 settled 1 bytes"]);
}

/// A peer that has taken three messages.
fn three() -> Wire {
    let mut wire = Wire::linked();
    wire.send(&credit(1, 3));
    for _ in 0..3 {
        wire.engine.send(vec![0]);
    }
    wire.told();
    wire
}

fn of(first: u32, last: Option<u32>, settled: bool) -> Vec<u8> {
    let disposition = Disposition {
        role: Role::Receiver,
        first,
        last,
        settled,
        state: Some(Outcome::Accepted),
    };
    frame(0, &disposition)
}

#[test]
fn what_the_peer_settles_needs_no_word() {
    let mut wire = three();
    assert_eq!(wire.send(&of(0, Some(2), true)), []);
    assert!(wire.told().is_empty());
}

#[test]
fn what_the_peer_does_not_settle_we_do() {
    // As receivers do whose mode is second.
    let mut wire = three();
    wire.send(&of(0, None, false));
    assert_eq!(wire.told(), ["settled #0"]);
    wire.send(&of(1, Some(2), false));
    assert_eq!(wire.told(), ["settled #1-2"]);
}

#[test]
fn what_was_never_sent_is_not_settled() {
    let mut wire = three();
    for (first, last) in [(3, None), (2, Some(3)), (1000, Some(1)), (0, Some(1000))] {
        assert_eq!(wire.refused(&of(first, last, false)), Vec::<String>::new());
    }
    let theirs = Disposition {
        role: Role::Sender,
        settled: true,
        ..Disposition::default()
    };
    assert_eq!(wire.refused(&frame(0, &theirs)), Vec::<String>::new());
}

#[test]
fn credit_that_is_not_needed_is_given_back_if_the_peer_wants_it() {
    let mut wire = Wire::linked();
    let drain = |seen, delivery_count, credit| Flow {
        next_incoming_id: Some(seen),
        delivery_count: Some(delivery_count),
        drain: true,
        ..flow(Some(1), Some(credit))
    };
    wire.engine.send(vec![0]);
    wire.send(&frame(0, &drain(0, 0, 10)));
    assert_eq!(
        wire.told(),
        ["transfer 1 #0 1 bytes", "flow 1 after 10 credit 0 drained"]
    );
    wire.engine.send(vec![0]);
    assert!(wire.told().is_empty(), "it is said once");
    wire.send(&frame(0, &drain(1, 10, 1)));
    assert_eq!(
        wire.told(),
        ["transfer 1 #1 1 bytes", "flow 1 after 11 credit 0 drained"]
    );
    // No longer.
    wire.send(&frame(
        0,
        &Flow {
            next_incoming_id: Some(2),
            delivery_count: Some(11),
            echo: true,
            ..flow(Some(1), Some(5))
        },
    ));
    assert_eq!(wire.told(), ["flow 1 after 11 credit 5"]);
}

#[test]
fn credit_is_not_given_back_while_a_response_waits_for_the_window() {
    let mut wire = Wire::begun_with(None, 0);
    wire.link(1, Role::Receiver);
    wire.engine.send(vec![0]);
    wire.send(&frame(
        0,
        &Flow {
            incoming_window: 0,
            drain: true,
            ..flow(Some(1), Some(2))
        },
    ));
    assert!(wire.told().is_empty());
    wire.send(&window(0, 5));
    assert_eq!(
        wire.told(),
        ["transfer 1 #0 1 bytes", "flow 1 after 2 credit 0 drained"]
    );
}

#[test]
fn whoever_wants_an_echo_gets_one() {
    let mut wire = Wire::linked();
    let echo = |handle, credit| Flow {
        echo: true,
        ..flow(handle, credit)
    };
    assert_eq!(wire.refused(&frame(0, &echo(None, None))), ["window 256"]);
    assert_eq!(
        wire.refused(&frame(0, &echo(Some(0), None))),
        ["flow 0 after 0 credit 8"]
    );
    assert_eq!(
        wire.refused(&frame(0, &echo(Some(1), Some(7)))),
        ["flow 1 after 0 credit 7"]
    );
}

#[test]
fn a_peer_that_takes_no_responses_may_send_no_more() {
    let mut wire = Wire::linked();
    for id in 0..8 {
        let (delivery, _) = wire.message(&transfer(0, id, b"hello"));
        assert!(!wire.engine.is_congested());
        wire.engine.send(vec![0; 10]);
        wire.engine.settle(delivery, Outcome::Accepted);
    }
    assert!(wire.engine.is_congested());
    let told = wire.told();
    assert!(
        told.contains(&"flow 0 after 4 credit 8".to_owned()),
        "{told:?}"
    );
    for id in 8..12 {
        let (delivery, _) = wire.message(&transfer(0, id, b"hello"));
        wire.engine.settle(delivery, Outcome::Accepted);
    }
    assert!(!wire.told().iter().any(|told| told.starts_with("flow")));
    wire.send(&credit(1, 100));
    let told = wire.told();
    assert_eq!(told.len(), 9);
    assert_eq!(told[8], "flow 0 after 12 credit 8");
}

#[test]
fn few_large_responses_are_as_many_as_eight() {
    let mut wire = Wire::begun();
    wire.engine.send(vec![0; MAX_MESSAGE_BYTES - 1]);
    assert!(!wire.engine.is_congested());
    wire.engine.send(vec![0]);
    assert!(wire.engine.is_congested());
}
