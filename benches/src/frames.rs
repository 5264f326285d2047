//! AMQP 1.0 frames, as clients and constant answers need them.

/// What comes first where a proof does.
pub const SASL: &[u8] = b"AMQP\x03\x01\0\0";

/// What comes first in a connection.
pub const AMQP: &[u8] = b"AMQP\0\x01\0\0";

/// The handle of the link on which a device is answered.
pub const ANSWERS: u8 = 0;

/// The handle of the link on which a device asks.
pub const REQUESTS: u8 = 1;

/// Names of the two links, as long as those of Node.js. They differ, because fe2o3-amqp refuses a name
/// that is used in the other direction.
const NAMES: [&str; 2] = [
    "4ba1c8a5-9bb1-4e1e-bd8e-5c0f0a2e3c1a",
    "4ba1c8a5-9bb1-4e1e-bd8e-5c0f0a2e3c1b",
];

const NULL: &[u8] = &[0x40];
const TRUE: &[u8] = &[0x41];
const FALSE: &[u8] = &[0x42];

/// The choice of PLAIN: as whom, and with which token.
pub fn plain(name: &str, token: &str) -> Vec<u8> {
    let response = format!("\0{name}\0{token}");
    sasl(0x41, &[&symbol("PLAIN"), &binary(response.as_bytes())])
}

/// What is offered: PLAIN.
pub fn mechanisms() -> Vec<u8> {
    let array = [0xe0, 8, 1, 0xa3, 5, b'P', b'L', b'A', b'I', b'N'];
    sasl(0x40, &[&array])
}

/// The proof is believed.
pub fn outcome() -> Vec<u8> {
    sasl(0x44, &[&[0x50, 0]])
}

/// Begins a connection.
pub fn open(container: &str) -> Vec<u8> {
    let fields: [&[u8]; 5] = [
        &string(container),
        &string("localhost"),
        &uint(65_536),
        &[0x60, 0, 3],
        &uint(120_000),
    ];
    amqp(0x10, &fields)
}

/// Begins a session; the one that answers names the channel of the other.
pub fn begin(answer: bool) -> Vec<u8> {
    let channel: &[u8] = if answer { &[0x60, 0, 0] } else { NULL };
    let fields: [&[u8]; 4] = [channel, &uint(0), &uint(2048), &uint(2048)];
    amqp(0x11, &fields)
}

/// Begins a link.
///
/// * `handle`: [`ANSWERS`] or [`REQUESTS`].
/// * `address`: of the device.
/// * `answer`: as the service, which is the other end of it.
pub fn attach(handle: u8, address: &str, answer: bool) -> Vec<u8> {
    let receiver = (handle == ANSWERS) != answer;
    let with = described(0x28, &list(&[&string(address)]));
    let with_target = described(0x29, &list(&[&string(address)]));
    let (source, target) = if handle == ANSWERS {
        (with, described(0x29, &list(&[])))
    } else {
        (described(0x28, &list(&[])), with_target)
    };
    let count = if receiver { NULL.to_vec() } else { uint(0) };
    let version = map(&[&symbol("com.microsoft:api-version"), &string("2021-06-01")]);
    let fields: [&[u8]; 14] = [
        &string(NAMES[usize::from(handle)]),
        &uint(handle.into()),
        if receiver { TRUE } else { FALSE },
        NULL,
        NULL,
        &source,
        &target,
        NULL,
        NULL,
        &count,
        if answer {
            &[0x80, 0, 0, 0, 0, 0, 1, 0x90, 0]
        } else {
            NULL
        },
        NULL,
        NULL,
        if answer { NULL } else { &version },
    ];
    amqp(0x12, &fields)
}

/// Lets the other end of a link send 8 messages.
pub fn credit(handle: u8) -> Vec<u8> {
    let numbers = [0, 2048, 0, 2048, handle.into(), 0, 8].map(uint);
    amqp(0x13, &numbers.each_ref().map(Vec::as_slice))
}

/// The first message on a link, not settled.
pub fn transfer(handle: u8, message: &[u8]) -> Vec<u8> {
    let tag = binary(&[0, 0, 0, 0]);
    let fields: [&[u8]; 5] = [&uint(handle.into()), &uint(0), &tag, &uint(0), FALSE];
    let mut body = described(0x14, &list(&fields));
    body.extend_from_slice(message);
    frame(0, &body)
}

/// The first message of the other end is accepted, and settled.
pub fn accepted() -> Vec<u8> {
    let state = described(0x24, &list(&[]));
    amqp(0x15, &[TRUE, &uint(0), NULL, TRUE, &state])
}

/// Ends a connection.
pub fn close() -> Vec<u8> {
    amqp(0x18, &[])
}

/// A register, as a message.
pub fn register(body: &[u8]) -> Vec<u8> {
    let properties = map(&[
        &string("iotdps-operation-type"),
        &string("iotdps-register"),
        &string("iotdps-forceRegistration"),
        FALSE,
    ]);
    [
        correlated(&[]),
        described(0x74, &properties),
        described(0x75, &binary(body)),
    ]
    .concat()
}

/// The answer to a register, as a message.
pub fn answer(body: &[u8]) -> Vec<u8> {
    let kind = symbol("application/json; charset=utf-8");
    [correlated(&[&kind]), described(0x75, &binary(body))].concat()
}

/// The bytes in the first `count` frames and headers of a protocol; `None` if they are not all there.
///
/// Signs of life, which say nothing and come at any time, are passed over, also behind the last one.
pub fn length(bytes: &[u8], mut count: usize) -> Option<usize> {
    const ALIVE: u32 = 8;
    let mut all = 0;
    loop {
        let rest = bytes.get(all..)?;
        all += match rest.first_chunk() {
            Some(size) if u32::from_be_bytes(*size) == ALIVE && rest.len() >= 8 => 8,
            _ if count == 0 => return Some(all),
            Some(b"AMQP") => {
                count -= 1;
                AMQP.len()
            }
            Some(size) => {
                count -= 1;
                usize::try_from(u32::from_be_bytes(*size)).ok()?
            }
            None => return None,
        };
    }
}

/// What the first frame of `bytes` says, by its number: of frames as they are made here.
pub fn what(bytes: &[u8]) -> Option<u8> {
    bytes.get(10).copied()
}

/// Whether the first frame, an attach as made here, is for the link on which a device asks.
pub fn is_for_requests(bytes: &[u8]) -> bool {
    // After the header, the number, the size of the list, and the name.
    let wide = usize::from(bytes.get(11) == Some(&0xd0)) * 6;
    bytes.get(14 + wide + 2 + NAMES[0].len()) != Some(&0x43)
}

fn correlated(more: &[&[u8]]) -> Vec<u8> {
    let id = string(NAMES[0]);
    let fields = [&[NULL, NULL, NULL, NULL, NULL, &id], more].concat();
    described(0x73, &list(&fields))
}

fn sasl(code: u8, fields: &[&[u8]]) -> Vec<u8> {
    frame(1, &described(code, &list(fields)))
}

fn amqp(code: u8, fields: &[&[u8]]) -> Vec<u8> {
    frame(0, &described(code, &list(fields)))
}

fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
    let size = u32::try_from(body.len() + 8).expect("a short frame");
    [&size.to_be_bytes(), &[2, kind, 0, 0], body].concat()
}

fn described(code: u8, value: &[u8]) -> Vec<u8> {
    [&[0, 0x53, code], value].concat()
}

fn list(values: &[&[u8]]) -> Vec<u8> {
    compound(0xc0, values)
}

fn map(pairs: &[&[u8]]) -> Vec<u8> {
    compound(0xc1, pairs)
}

fn compound(code: u8, values: &[&[u8]]) -> Vec<u8> {
    let (inside, count) = (values.concat(), values.len());
    match (u8::try_from(inside.len() + 1), u8::try_from(count)) {
        (Ok(size), Ok(count)) => [&[code, size, count], &inside[..]].concat(),
        _ => {
            let [size, count] = [inside.len() + 4, count].map(wide);
            [&[code + 0x10], &size[..], &count, &inside].concat()
        }
    }
}

fn string(text: &str) -> Vec<u8> {
    sized(0xa1, text.as_bytes())
}

fn symbol(text: &str) -> Vec<u8> {
    sized(0xa3, text.as_bytes())
}

fn binary(bytes: &[u8]) -> Vec<u8> {
    sized(0xa0, bytes)
}

fn sized(code: u8, bytes: &[u8]) -> Vec<u8> {
    match u8::try_from(bytes.len()) {
        Ok(length) => [&[code, length], bytes].concat(),
        Err(_) => [&[code + 0x10], &wide(bytes.len())[..], bytes].concat(),
    }
}

fn uint(value: u32) -> Vec<u8> {
    match u8::try_from(value) {
        Ok(0) => vec![0x43],
        Ok(small) => vec![0x52, small],
        Err(_) => [&[0x70], &value.to_be_bytes()[..]].concat(),
    }
}

fn wide(length: usize) -> [u8; 4] {
    u32::try_from(length).expect("a short value").to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_whole_with_their_last_byte() {
        let bytes = [AMQP, &open("a"), &close()].concat();
        assert_eq!(length(&bytes, 1), Some(8));
        assert_eq!(length(&bytes, 3), Some(bytes.len()));
        assert_eq!(length(&bytes[..bytes.len() - 1], 3), None);
        assert_eq!(length(&bytes, 4), None);
        let alive = frame(0, &[]);
        let bytes = [&alive, &open("a")[..], &alive].concat();
        assert_eq!(length(&bytes, 1), Some(bytes.len()));
        assert_eq!(length(&bytes, 2), None);
    }

    #[test]
    fn frames_say_what_they_are() {
        assert_eq!(what(&open("a")), Some(0x10));
        assert_eq!(what(&plain("a", "b")), Some(0x41));
        for address in ["short", &"long".repeat(100)] {
            assert!(!is_for_requests(&attach(ANSWERS, address, false)));
            assert!(is_for_requests(&attach(REQUESTS, address, false)));
        }
    }
}
