//! Whole AMQP conversations: in one piece, and byte by byte. The bits of the first byte of the input say
//! whether the device begins well, whether it is believed, whether it has a certificate, and whether it
//! begins with the proof of a TPM instead.
#![no_main]

use dps_transport_amqp::fuzzing::{converse, frame};
use libfuzzer_sys::fuzz_target;

/// SASL PLAIN.
const PROOF: &[u8] = b"AMQP\x03\x01\0\0\0\0\0+\x02\x01\0\0\0SA\xc0\x1e\x02\xa3\x05PLAIN\
    \xa0\x14\0s/registrations/d\0t";
const SASL: &[u8] = b"AMQP\x03\x01\0\0";
const ENDORSEMENT_KEY: &[u8] = include_bytes!("../seeds/tpm_public/ek_p256");
const STORAGE_ROOT_KEY: &[u8] = include_bytes!("../seeds/tpm_public/srk_p256");
/// Open, begin, a link to send on, one to be answered on, and credit.
const LINKS: &[u8] = b"AMQP\0\x01\0\0\0\0\0\x14\x02\0\0\0\0S\x10\xc0\x07\x01\xa1\x04peer\
    \0\0\0\x1b\x02\0\0\0\0S\x11\xc0\x0e\x04@R\x01p\0\0\x08\0p\0\0\x08\0\
    \0\0\0M\x02\0\0\0\0S\x12\xc0@\n\xa1\x04linkCB@@\0S(\xc0\x14\x01\xa1\x11s/registrations/d\
    \0S)\xc0\x14\x01\xa1\x11s/registrations/d@@C\
    \0\0\0N\x02\0\0\0\0S\x12\xc0A\n\xa1\x04linkR\x01A@@\0S(\xc0\x14\x01\xa1\x11s/registrations/d\
    \0S)\xc0\x14\x01\xa1\x11s/registrations/d@@C\
    \0\0\0#\x02\0\0\0\0S\x13\xc0\x16\x07Cp\0\0\x08\0R\x01p\0\0\x08\0R\x01Cp\0\0\x03\xe8";

/// A frame of SASL: what is described by `code`, with fields that are encoded.
fn sasl(code: u8, fields: &[&[u8]]) -> Vec<u8> {
    let bytes = fields.concat();
    let size = |bytes: usize| u8::try_from(bytes).expect("a short frame");
    let list = [
        0,
        0x53,
        code,
        0xc0,
        size(bytes.len() + 1),
        size(fields.len()),
    ];
    let length = [0, 0, 0, size(8 + list.len() + bytes.len()), 2, 1, 0, 0];
    [&length[..], &list, &bytes].concat()
}

fn binary(parts: &[&[u8]]) -> Vec<u8> {
    let bytes = parts.concat();
    [
        &[0xa0, u8::try_from(bytes.len()).expect("a short text")],
        &bytes[..],
    ]
    .concat()
}

/// SASL TPM.
fn tpm() -> Vec<u8> {
    let response = |parts: &[&[u8]]| sasl(0x43, &[&binary(parts)]);
    let introduction = binary(&[b"\0s\0d\0", ENDORSEMENT_KEY]);
    [
        SASL,
        &sasl(0x41, &[b"\xa3\x03TPM", &introduction]),
        &response(&[b"\0", STORAGE_ROOT_KEY]),
        &response(&[b"\0"]),
        &response(&[b"\0SharedAccessSignature sr=s"]),
    ]
    .concat()
}

fuzz_target!(|input: &[u8]| {
    let Some((choice, rest)) = input.split_first() else {
        return;
    };
    let (begins, believed, certified) = (choice & 1 > 0, choice & 2 > 0, choice & 4 > 0);
    let by_tpm = choice & 8 > 0;
    let stream = match (begins, by_tpm, certified) {
        (false, false, _) => rest.to_vec(),
        // What it says of itself is the input's.
        (false, true, _) => [SASL, rest].concat(),
        (true, true, _) => [&tpm(), LINKS, rest].concat(),
        (true, false, false) => [PROOF, LINKS, rest].concat(),
        (true, false, true) => [LINKS, rest].concat(),
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
