//! Whole AMQP conversations: in one piece, and byte by byte. The bits of the first byte of the input say
//! whether the device begins well, whether it is believed, and whether it has a certificate.
#![no_main]

use dps_transport_amqp::fuzzing::{converse, frame};
use libfuzzer_sys::fuzz_target;

/// SASL PLAIN.
const PROOF: &[u8] = b"AMQP\x03\x01\0\0\0\0\0+\x02\x01\0\0\0SA\xc0\x1e\x02\xa3\x05PLAIN\
    \xa0\x14\0s/registrations/d\0t";
/// Open, begin, a link to send on, one to be answered on, and credit.
const LINKS: &[u8] = b"AMQP\0\x01\0\0\0\0\0\x14\x02\0\0\0\0S\x10\xc0\x07\x01\xa1\x04peer\
    \0\0\0\x1b\x02\0\0\0\0S\x11\xc0\x0e\x04@R\x01p\0\0\x08\0p\0\0\x08\0\
    \0\0\0M\x02\0\0\0\0S\x12\xc0@\n\xa1\x04linkCB@@\0S(\xc0\x14\x01\xa1\x11s/registrations/d\
    \0S)\xc0\x14\x01\xa1\x11s/registrations/d@@C\
    \0\0\0N\x02\0\0\0\0S\x12\xc0A\n\xa1\x04linkR\x01A@@\0S(\xc0\x14\x01\xa1\x11s/registrations/d\
    \0S)\xc0\x14\x01\xa1\x11s/registrations/d@@C\
    \0\0\0#\x02\0\0\0\0S\x13\xc0\x16\x07Cp\0\0\x08\0R\x01p\0\0\x08\0R\x01Cp\0\0\x03\xe8";

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let (begins, believed, certified) = (choice & 1 > 0, choice & 2 > 0, choice & 4 > 0);
    let stream = match (begins, certified) {
        (false, _) => rest.to_vec(),
        (true, false) => [PROOF, LINKS, rest].concat(),
        (true, true) => [LINKS, rest].concat(),
    };
    let told = converse([&stream[..]], certified, believed);
    assert_eq!(told, converse(stream.chunks(1), certified, believed));
    let mut left = &told[..];
    while !left.is_empty() {
        let length = if left.starts_with(b"AMQP") {
            8
        } else {
            frame(left).expect("whole frames are sent").1
        };
        left = &left[length..];
    }
    if begins && believed {
        // A header or two, perhaps two frames of SASL; then open, begin, and two links with a flow.
        assert!(told.len() > 200);
    }
});
