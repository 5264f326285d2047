//! Any bytes, in any pieces.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// A stream that begins well, and goes on anyhow.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let rid = "[a-z0-9]{1,8}";
    let good = prop_oneof![
        (rid, proptest::option::of(1..=u16::MAX)).prop_map(|(rid, id)| register(&rid, id)),
        rid.prop_map(|rid| publish(&format!("{POLL}{rid}&operationId=5.0.a"), Some(9), b" ")),
        Just(publish(&format!("{REGISTER}x"), Some(3), b"{")),
        Just(bytes(&Packet::PingReq)),
        Just(subscribe(&[(RESPONSES, 1), ("a", 0)])),
        Just(bytes(&Packet::PubAck { id: 0 })),
    ];
    let bad = prop_oneof![
        vec(any::<u8>(), 1..20),
        Just(connect()),
        Just(bytes(&Packet::Disconnect)),
        Just(publish("elsewhere", None, b"")),
    ];
    (vec(good, 0..30), proptest::option::of(bad)).prop_map(|(good, bad)| {
        let mut all = [connect(), subscribe(&[(RESPONSES, 1)])].concat();
        all.extend(good.concat());
        all.extend(bad.unwrap_or_default());
        all
    })
}

/// Everything that happens; questions are answered only when nothing else is left to do.
fn run(
    stream: &[u8],
    cuts: &[usize],
    verdict: &Result<(), ServiceError>,
) -> (Vec<u8>, Option<End>) {
    let mut talk = Talk::new();
    let mut output = Vec::new();
    let ask = |talk: &mut Talk, output: &mut Vec<u8>| {
        let question = talk.session.question();
        match &question {
            Some(Question::Authenticate(_)) => talk.session.judged(told(verdict.clone()), talk.now),
            Some(Question::Call(..)) => talk.session.answered(&busy(), talk.now),
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
        if talk.end().is_some() {
            break;
        }
    }
    while ask(&mut talk, &mut output) {}
    (output, talk.end())
}

proptest! {
    #[test]
    fn any_split_of_the_stream_gives_the_same_conversation(
        stream in stream(),
        cuts in vec(any::<proptest::sample::Index>(), 0..20),
        believed in any::<bool>(),
    ) {
        let verdict = if believed { Ok(()) } else { Err(wrong_key()) };
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(stream.len())).collect();
        cuts.sort_unstable();
        let whole = run(&stream, &[], &verdict);
        let bytewise: Vec<usize> = (1..stream.len()).collect();
        prop_assert_eq!(&run(&stream, &cuts, &verdict), &whole);
        prop_assert_eq!(&run(&stream, &bytewise, &verdict), &whole);
    }

    #[test]
    fn any_bytes_are_survived(head in any::<bool>(), stream in vec(any::<u8>(), 0..400)) {
        let stream = if head { [connect(), stream].concat() } else { stream };
        let (output, _) = run(&stream, &[], &Ok(()));
        words(&output);
    }

    #[test]
    fn what_is_held_is_bounded(stream in stream()) {
        let mut talk = Talk::new();
        for chunk in stream.repeat(3).chunks(1000) {
            if talk.session.wants_bytes() {
                talk.send(chunk);
            }
            prop_assert!(talk.session.unanswered.len() <= MAX_UNANSWERED);
            prop_assert!(talk.session.output.len() < MAX_OUTPUT_BYTES + 8192);
            prop_assert!(talk.session.input.len() <= 1000 + 4096);
            if let Some(Question::Authenticate(_)) = talk.session.question() {
                talk.session.judged(Verdict::Believed, talk.now);
            }
        }
    }
}
