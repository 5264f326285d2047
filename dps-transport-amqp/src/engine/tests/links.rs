//! Sessions and links: how they begin, and how they end.

use super::*;
use crate::codec::{Begin, Detach, End};

#[test]
fn links_of_both_directions_may_have_one_name() {
    // As Qpid Proton does.
    let mut wire = Wire::begun();
    let heard = wire.send(
        &[
            attach(0, Role::Sender, "here"),
            attach(1, Role::Receiver, "here"),
        ]
        .concat(),
    );
    let [Heard::Attach(first, _), Heard::Attach(second, _)] = heard[..] else {
        panic!("no two links: {heard:?}");
    };
    wire.engine.accept(second);
    assert_eq!(wire.told(), ["attach 1 sender link at here"]);
    wire.engine.accept(first);
    assert_eq!(
        wire.told(),
        ["attach 0 receiver link at here", "flow 0 after 0 credit 8"]
    );
}

#[test]
fn the_second_link_of_one_name_and_direction_is_refused() {
    let mut wire = Wire::linked();
    assert_eq!(
        wire.refused(&attach(2, Role::Sender, "here")),
        [
            "attach 2 receiver link at nothing",
            "detach 2 amqp:not-allowed"
        ]
    );
    wire.send(&detach(2));
    assert!(wire.told().is_empty(), "it was ours to begin with");
    // Another name will do.
    wire.link_by(&attach_with(0, "here", |attach| {
        attach.handle = 2;
        attach.name = "other";
    }));
}

#[test]
fn an_attach_is_echoed_with_what_we_add() {
    let mut wire = Wire::begun();
    let heard = wire.send(&attach_with(0, "here", |attach| {
        attach.role = Role::Receiver;
        attach.handle = 3;
        attach.snd_settle_mode = Some(0);
        attach.rcv_settle_mode = Some(1);
        attach.initial_delivery_count = None;
    }));
    let [Heard::Attach(link, _)] = heard[..] else {
        panic!("no link: {heard:?}");
    };
    wire.engine.accept(link);
    let told = wire.engine.take_output();
    let (frame, _) = decode_frame(&told, 65_536).unwrap().unwrap();
    let Performative::Attach(attach) = Performative::read(frame.body).unwrap() else {
        panic!("no attach");
    };
    assert_eq!((attach.name, attach.handle), ("link", 3));
    assert_eq!(attach.role, Role::Sender);
    assert_eq!(attach.initial_delivery_count, Some(0));
    assert_eq!(attach.max_message_size, Some(MAX_MESSAGE_BYTES as u64));
    assert_eq!(
        (attach.snd_settle_mode, attach.rcv_settle_mode),
        (Some(0), Some(1))
    );
    assert!(attach.source.is_some() && attach.target.is_some());
}

#[test]
fn what_we_receive_we_settle_first() {
    let mut wire = Wire::begun();
    let heard = wire.send(&attach_with(0, "here", |attach| {
        attach.rcv_settle_mode = Some(1);
    }));
    let [Heard::Attach(link, _)] = heard[..] else {
        panic!("no link: {heard:?}");
    };
    wire.engine.accept(link);
    let told = wire.engine.take_output();
    let (frame, _) = decode_frame(&told, 65_536).unwrap().unwrap();
    let Performative::Attach(attach) = Performative::read(frame.body).unwrap() else {
        panic!("no attach");
    };
    assert_eq!(attach.rcv_settle_mode, None, "which says first");
}

#[test]
fn a_link_without_our_end_is_refused() {
    let mut wire = Wire::begun();
    let told = wire.refused(&attach_with(0, "here", |attach| attach.target = None));
    assert_eq!(
        told,
        [
            "attach 0 receiver link at nothing",
            "detach 0 amqp:invalid-field"
        ]
    );
}

#[test]
fn a_link_whose_end_has_no_address_is_the_applications_to_judge() {
    let mut wire = Wire::begun();
    let mut target = Vec::new();
    crate::codec::Terminus::Target(None).put(&mut crate::codec::Writer(&mut target));
    let target = crate::codec::Value::read(&mut crate::codec::Reader(&target)).unwrap();
    let attach = Attach {
        name: "link",
        target: Some(target),
        ..Attach::default()
    };
    let heard = wire.send(&frame(0, &attach));
    assert!(matches!(heard[..], [Heard::Attach(_, None)]), "{heard:?}");
}

#[test]
fn a_refused_link_ends_at_nothing() {
    let mut wire = Wire::begun();
    let heard = wire.send(&attach(0, Role::Receiver, "there"));
    let [Heard::Attach(link, _)] = heard[..] else {
        panic!("no link: {heard:?}");
    };
    wire.engine
        .refuse(link, &ErrorInfo::new("amqp:not-found", None));
    assert_eq!(
        wire.told(),
        ["attach 0 sender link at nothing", "detach 0 amqp:not-found"]
    );
    assert!(!wire.engine.has(link));
    // Whatever was on its way is passed over.
    assert_eq!(wire.refused(&credit(0, 10)), Vec::<String>::new());
    wire.send(&detach(0));
    assert!(wire.told().is_empty());
    wire.link(0, Role::Receiver);
}

#[test]
fn the_name_of_a_link_that_we_have_ended_is_free() {
    let mut wire = Wire::begun();
    let link = wire.link(0, Role::Sender);
    wire.engine
        .refuse(link, &ErrorInfo::new("amqp:not-found", None));
    assert_eq!(wire.told(), ["detach 0 amqp:not-found"]);
    // It does not know yet, and has a handle left.
    wire.link(1, Role::Sender);
}

#[test]
fn a_link_that_is_ended_holds_nothing() {
    let mut wire = Wire::begun();
    let link = wire.link(0, Role::Sender);
    wire.send(&transfers(0, 0, &[0; 1000], 900)[0]);
    assert_eq!(wire.engine.held(), 900);
    wire.engine
        .refuse(link, &ErrorInfo::new("amqp:not-found", None));
    assert_eq!(wire.engine.held(), 0);
}

#[test]
fn detach_is_echoed_and_the_handle_is_free() {
    let mut wire = Wire::linked();
    for (closed, told) in [(true, "detach 0"), (false, "detach 0 for now")] {
        let detach = Detach {
            handle: 0,
            closed,
            error: None,
        };
        wire.send(&frame(0, &detach));
        assert_eq!(wire.told(), [told]);
        wire.link(0, Role::Sender);
    }
    let (_, bytes) = wire.message(&transfer(0, 0, b"hello"));
    assert_eq!(bytes, b"hello");
}

#[test]
fn two_sessions_have_handles_of_their_own() {
    let mut wire = Wire::linked();
    wire.send(&begin(3));
    assert_eq!(wire.told(), ["3: begin for 3"]);
    let heard = wire.send(&attach_with(3, "here", |_| {}));
    let [Heard::Attach(link, _)] = heard[..] else {
        panic!("no link: {heard:?}");
    };
    wire.engine.accept(link);
    assert_eq!(
        wire.told(),
        [
            "3: attach 0 receiver link at here",
            "3: flow 0 after 0 credit 8"
        ]
    );
    let [first, second] = [0, 3].map(|channel| {
        wire.message(&transfer_with(channel, b"hello", |transfer| {
            transfer.delivery_id = Some(0);
        }))
        .0
    });
    wire.engine.settle(second, Outcome::Accepted);
    wire.engine.settle(first, Outcome::Accepted);
    assert_eq!(wire.told(), ["3: accepted #0", "accepted #0"]);
}

#[test]
fn end_is_echoed_and_the_channel_is_free() {
    let mut wire = Wire::linked();
    wire.send(&frame(0, &End::default()));
    assert_eq!(wire.told(), ["end"]);
    wire.send(&begin(0));
    assert_eq!(wire.told(), ["begin for 0"]);
    wire.link(0, Role::Sender);
}

#[test]
fn what_was_received_before_its_session_ended_says_nothing_to_the_next() {
    let mut wire = Wire::linked();
    let (old, _) = wire.message(&transfer(0, 0, b"old"));
    wire.send(&[frame(0, &End::default()), begin(0)].concat());
    wire.told();
    wire.link(0, Role::Sender);
    let (new, _) = wire.message(&transfer(0, 0, b"new"));
    wire.engine.settle(old, Outcome::Rejected(None));
    assert!(wire.told().is_empty());
    wire.engine.settle(new, Outcome::Accepted);
    assert_eq!(wire.told(), ["accepted #0"]);
}

#[test]
fn a_response_is_not_sent_on_a_link_that_took_the_place_of_its_own() {
    let mut wire = Wire::begun_with(Some(512), 1);
    wire.link(1, Role::Receiver);
    wire.send(&credit(1, 1));
    wire.send(&frame(
        0,
        &Flow {
            incoming_window: 1,
            ..flow(None, None)
        },
    ));
    wire.engine.send(vec![7; 1000]);
    assert_eq!(wire.told(), ["transfer 1 #0 448 bytes and more"]);
    wire.send(&detach(1));
    assert_eq!(wire.told(), ["detach 1"]);
    assert!(wire.engine.is_quiet(), "its rest is given up");
    wire.link(1, Role::Receiver);
    wire.send(&frame(
        0,
        &Flow {
            next_incoming_id: Some(1),
            ..flow(Some(1), Some(1))
        },
    ));
    assert!(wire.told().is_empty());
}

#[test]
fn sixteen_links_and_no_more() {
    let mut wire = Wire::open();
    for channel in 0..4 {
        wire.send(&begin(channel));
        for handle in 0..4 {
            let name = handle.to_string();
            let heard = wire.send(&attach_with(channel, "here", |attach| {
                attach.handle = handle;
                attach.name = Box::leak(name.into_boxed_str());
            }));
            assert!(matches!(heard[..], [Heard::Attach(..)]), "{heard:?}");
        }
    }
    wire.told();
    let told = wire.refused(&begin(4));
    assert_eq!(told.last().unwrap(), "close amqp:connection:framing-error");
    let mut wire = Wire::begun();
    let told = wire.refused(&attach(4, Role::Sender, "here"));
    assert_eq!(told.last().unwrap(), "close amqp:connection:framing-error");
}

#[test]
fn links_that_come_and_go_for_ever_hold_nothing() {
    let mut wire = Wire::begun();
    for _ in 0..10_000 {
        wire.send(&[attach(0, Role::Sender, "here"), detach(0)].concat());
        wire.send(&[frame(0, &End::default()), begin(0)].concat());
        wire.engine.take_output();
    }
    assert_eq!(wire.engine.sessions.len(), 1);
}

#[test]
fn an_answer_to_a_session_that_nobody_began_is_refused() {
    let mut wire = Wire::open();
    let begin = Begin {
        remote_channel: Some(0),
        ..Begin::default()
    };
    assert_eq!(
        wire.refused(&frame(0, &begin)),
        ["close amqp:connection:framing-error"]
    );
}
