//! Any bytes, in any pieces.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::codec::{Close, Disposition, End as EndSession, Flow, Outcome};

fn handle() -> impl Strategy<Value = u32> {
    0..4_u32
}

/// A frame that may stand anywhere, and mostly does no harm.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let id = 0..20_u32;
    let role = prop_oneof![Just(Role::Sender), Just(Role::Receiver)];
    let credits = (handle(), 0..20_u32, 0..5_u32, any::<bool>(), any::<bool>());
    let parts = (
        handle(),
        proptest::option::of(0..3_u32),
        any::<bool>(),
        0..300_usize,
    );
    prop_oneof![
        4 => id.clone().prop_map(register),
        2 => id.clone().prop_map(|id| poll(id, "5.0.a")),
        1 => (handle(), id).prop_map(|(handle, id)| transfer(handle, id, b"{}")),
        2 => parts.prop_map(|(handle, id, more, length)| {
            transfer_with(0, &vec![7; length], |transfer| {
                transfer.handle = handle;
                transfer.delivery_id = id;
                transfer.more = more;
                transfer.aborted = length == 0;
            })
        }),
        2 => credits.prop_map(|(handle, credit, count, drain, echo)| {
            let flow = Flow {
                incoming_window: count,
                delivery_count: Some(count),
                drain,
                echo,
                ..flow(Some(handle), Some(credit))
            };
            frame(0, &flow)
        }),
        2 => (handle(), role, any::<bool>()).prop_map(|(handle, role, mine)| {
            let address = if mine { ADDRESS } else { "elsewhere" };
            attach_with(0, address, |attach| {
                attach.handle = handle;
                attach.role = role;
                attach.name = ["a", "b", "c", "d"][handle as usize];
            })
        }),
        1 => handle().prop_map(detach),
        1 => (0..3_u32, 0..5_u32, any::<bool>()).prop_map(|(first, last, settled)| {
            let disposition = Disposition {
                role: Role::Receiver,
                first,
                last: Some(last),
                settled,
                state: Some(Outcome::Accepted),
            };
            frame(0, &disposition)
        }),
        1 => (0..2_u16).prop_map(begin),
        1 => (0..2_u16).prop_map(|channel| frame(channel, &EndSession::default())),
        1 => Just(ALIVE.to_vec()),
    ]
}

/// A stream that begins well, and goes on anyhow.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let bad = prop_oneof![
        vec(any::<u8>(), 1..20),
        Just(open()),
        Just(frame(0, &Close::default())),
    ];
    (vec(any_frame(), 0..40), proptest::option::of(bad)).prop_map(|(frames, bad)| {
        let mut all = greeting();
        all.extend(frames.concat());
        all.extend(bad.unwrap_or_default());
        all
    })
}

/// Everything that happens; questions are answered only when nothing else is left to do.
fn run(stream: &[u8], cuts: &[usize], believed: bool) -> (Vec<u8>, End) {
    let mut talk = Talk::new();
    let mut output = Vec::new();
    let ask = |talk: &mut Talk, output: &mut Vec<u8>| {
        let question = talk.session.question();
        match &question {
            Some(Question::Authenticate(_)) if believed => {
                talk.session.judged(Verdict::Believed, talk.now);
            }
            Some(Question::Authenticate(_)) => {
                let error = ServiceError::new(Reason::Unauthorized);
                talk.session.judged(Verdict::Denied(error), talk.now);
            }
            Some(Question::Call(..)) => {
                talk.session
                    .answered(&operation(Status::Assigning), talk.now);
            }
            None => {}
        }
        let written = talk.session.take_output();
        let more = question.is_some() || !written.is_empty();
        output.extend(written);
        talk.session.resume(talk.now);
        more
    };
    let mut start = 0;
    for end in cuts.iter().copied().chain([stream.len()]) {
        talk.send(&stream[start..end]);
        start = end;
        while !talk.session.wants_bytes() && ask(&mut talk, &mut output) {}
        if talk.session.is_over() {
            break;
        }
    }
    while ask(&mut talk, &mut output) {}
    (output, talk.session.end())
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same_conversation(
        stream in stream(),
        cuts in vec(any::<proptest::sample::Index>(), 0..20),
        believed in any::<bool>(),
    ) {
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let whole = run(&stream, &[], believed);
        let bytewise: Vec<usize> = (1..stream.len()).collect();
        prop_assert_eq!(&run(&stream, &cuts, believed), &whole);
        prop_assert_eq!(&run(&stream, &bytewise, believed), &whole);
        words(&whole.0);
    }

    #[test]
    fn any_bytes_are_survived(head in any::<bool>(), stream in vec(any::<u8>(), 0..400)) {
        let stream = if head { [greeting(), stream].concat() } else { stream };
        words(&run(&stream, &[], true).0);
    }

    #[test]
    fn any_damage_is_survived(
        mut stream in stream(),
        damage in vec((any::<proptest::sample::Index>(), any::<u8>()), 1..4),
    ) {
        for (at, byte) in damage {
            let at = at.index(stream.len());
            stream[at] = byte;
        }
        words(&run(&stream, &[], true).0);
    }

    #[test]
    fn what_is_held_is_bounded(stream in stream(), takes in any::<bool>()) {
        let mut talk = Talk::new();
        for chunk in stream.repeat(3).chunks(1000) {
            if talk.session.wants_bytes() {
                talk.send(chunk);
            }
            if let Some(question) = talk.session.question() {
                match question {
                    Question::Authenticate(_) => {
                        talk.session.judged(Verdict::Believed, talk.now);
                    }
                    Question::Call(..) => {
                        talk.session.answered(&operation(Status::Assigning), talk.now);
                    }
                }
            }
            prop_assert!(talk.session.unanswered.len() <= MAX_UNANSWERED);
            prop_assert!(talk.session.engine.output().len() < MAX_OUTPUT_BYTES + 8192);
            prop_assert!(talk.session.input.len() <= 1000 + 65_536);
            prop_assert!(talk.session.engine.held() <= MAX_BODY_BYTES + 16_384);
            prop_assert!(talk.session.versions.len() <= 17);
            if takes {
                talk.session.take_output();
                talk.session.resume(talk.now);
            }
        }
    }
}
