//! The other side of a connection, for tests: frames as peers send them, and what they are told in words.

use crate::codec::{
    Attach, Begin, Composite, Detach, Flow, FrameKind, Map, Message, Open, Outcome, Performative,
    Reader, Role, SaslFrame, Terminus, Transfer, Value, Writer, decode_frame, encode_frame,
};

pub(crate) const AMQP: &[u8] = b"AMQP\x00\x01\x00\x00";
pub(crate) const SASL: &[u8] = b"AMQP\x03\x01\x00\x00";
/// Says nothing but that the peer is alive.
pub(crate) const ALIVE: &[u8] = b"\0\0\0\x08\x02\0\0\0";

pub(crate) fn frame<'a>(channel: u16, performative: &impl Composite<'a>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(FrameKind::Amqp { channel }, &mut out, |writer| {
        performative.put(writer);
    });
    out
}

pub(crate) fn sasl(frame: &SaslFrame<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    encode_frame(FrameKind::Sasl, &mut out, |writer| frame.put(writer));
    out
}

pub(crate) fn init(mechanism: &str, response: Option<&[u8]>) -> Vec<u8> {
    sasl(&SaslFrame::Init {
        mechanism,
        initial_response: response,
    })
}

pub(crate) fn open() -> Vec<u8> {
    open_with(None, None)
}

pub(crate) fn open_with(max_frame_size: Option<u32>, idle_time_out: Option<u32>) -> Vec<u8> {
    let open = Open {
        container_id: "peer",
        max_frame_size,
        idle_time_out,
        ..Open::default()
    };
    frame(0, &open)
}

pub(crate) fn begin(channel: u16) -> Vec<u8> {
    begin_with(channel, 2048)
}

pub(crate) fn begin_with(channel: u16, incoming_window: u32) -> Vec<u8> {
    let begin = Begin {
        next_outgoing_id: 1,
        incoming_window,
        outgoing_window: 2048,
        ..Begin::default()
    };
    frame(channel, &begin)
}

pub(crate) fn attach(handle: u32, role: Role, address: &str) -> Vec<u8> {
    attach_with(0, address, |attach| {
        attach.handle = handle;
        attach.role = role;
    })
}

/// A wish for a link called `link`, changed by `change`.
pub(crate) fn attach_with(
    channel: u16,
    address: &str,
    change: impl FnOnce(&mut Attach<'_>),
) -> Vec<u8> {
    let (mut source, mut target) = (Vec::new(), Vec::new());
    Terminus::Source(Some(address)).put(&mut Writer(&mut source));
    Terminus::Target(Some(address)).put(&mut Writer(&mut target));
    let mut attach = Attach {
        name: "link",
        source: Some(Value::read(&mut Reader(&source)).unwrap()),
        target: Some(Value::read(&mut Reader(&target)).unwrap()),
        initial_delivery_count: Some(0),
        ..Attach::default()
    };
    change(&mut attach);
    frame(channel, &attach)
}

pub(crate) fn detach(handle: u32) -> Vec<u8> {
    let detach = Detach {
        handle,
        closed: true,
        error: None,
    };
    frame(0, &detach)
}

/// A window of 2048 frames, and credit for a link.
pub(crate) fn credit(handle: u32, credit: u32) -> Vec<u8> {
    frame(0, &flow(Some(handle), Some(credit)))
}

pub(crate) fn flow(handle: Option<u32>, link_credit: Option<u32>) -> Flow {
    Flow {
        next_incoming_id: Some(0),
        incoming_window: 2048,
        next_outgoing_id: 1,
        outgoing_window: 2048,
        handle,
        delivery_count: handle.and(Some(0)),
        link_credit,
        ..Flow::default()
    }
}

pub(crate) fn transfer(handle: u32, id: u32, payload: &[u8]) -> Vec<u8> {
    transfer_with(0, payload, |transfer| {
        transfer.handle = handle;
        transfer.delivery_id = Some(id);
    })
}

pub(crate) fn transfer_with(
    channel: u16,
    payload: &[u8],
    change: impl FnOnce(&mut Transfer<'_>),
) -> Vec<u8> {
    let mut transfer = Transfer {
        delivery_tag: Some(b"tag"),
        message_format: Some(0),
        ..Transfer::default()
    };
    change(&mut transfer);
    let mut out = Vec::new();
    encode_frame(FrameKind::Amqp { channel }, &mut out, |writer| {
        Performative::Transfer(transfer, payload).put(writer);
    });
    out
}

/// One message in frames of `most` bytes of it.
pub(crate) fn transfers(handle: u32, id: u32, message: &[u8], most: usize) -> Vec<Vec<u8>> {
    let count = message.len().div_ceil(most);
    let parts = message.chunks(most).enumerate();
    let frames = parts.map(|(nth, part)| {
        transfer_with(0, part, |transfer| {
            transfer.handle = handle;
            transfer.delivery_id = (nth == 0).then_some(id);
            transfer.more = nth + 1 < count;
        })
    });
    frames.collect()
}

/// A message with its correlation-id, encoded, some application properties, and data.
pub(crate) fn message(id: Option<&[u8]>, properties: &[(&str, &str)], data: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut writer = Writer(&mut out);
    if let Some(id) = id {
        writer.0.extend([0x00, 0x53, 0x73]);
        writer.list(|fields| {
            for _ in 0..5 {
                fields.null();
            }
            fields.next().encoded(id);
        });
    }
    writer.0.extend([0x00, 0x53, 0x74]);
    writer.map(|pairs| {
        for (key, value) in properties {
            pairs.next().string(key);
            pairs.next().string(value);
        }
    });
    writer.0.extend([0x00, 0x53, 0x75]);
    writer.binary(data);
    out
}

/// Frames in words, and what is after the last whole one of them must be nothing.
pub(crate) fn words(mut bytes: &[u8]) -> Vec<String> {
    let mut words = Vec::new();
    while !bytes.is_empty() {
        if let Some(header) = bytes.strip_prefix(b"AMQP") {
            words.push(format!("AMQP {}", header[0]));
            assert_eq!(header[1..4], [1, 0, 0]);
            bytes = &header[4..];
            continue;
        }
        let (frame, length) = decode_frame(bytes, usize::MAX)
            .unwrap()
            .expect("whole frames are sent");
        bytes = &bytes[length..];
        words.push(match frame.kind {
            FrameKind::Sasl => {
                assert!(length <= 512);
                in_sasl(frame.body)
            }
            FrameKind::Amqp { .. } if frame.body.is_empty() => "alive".to_owned(),
            FrameKind::Amqp { channel } => {
                let said = said(&Performative::read(frame.body).unwrap());
                if channel == 0 {
                    said
                } else {
                    format!("{channel}: {said}")
                }
            }
        });
    }
    words
}

fn in_sasl(body: &[u8]) -> String {
    match SaslFrame::read(body).unwrap() {
        // An array of short symbols, and nothing else.
        SaslFrame::Mechanisms(_) => {
            let [0, 0x53, 0x40, 0xc0, _, 1, 0xe0, _, count, 0xa3, names @ ..] = body else {
                panic!("no array: {body:x?}");
            };
            let (mut rest, mut told) = (names, "mechanisms".to_owned());
            for _ in 0..*count {
                let (name, more) = rest[1..].split_at(usize::from(rest[0]));
                told = format!("{told} {}", std::str::from_utf8(name).unwrap());
                rest = more;
            }
            assert!(rest.is_empty());
            told
        }
        SaslFrame::Challenge(bytes) => format!("challenge {bytes:x?}"),
        SaslFrame::Outcome(code) => format!("outcome {code}"),
        other => panic!("a server does not send {other:?}"),
    }
}

fn said(performative: &Performative<'_>) -> String {
    let condition = |error: &Option<crate::codec::ErrorInfo<'_>>| {
        error
            .as_ref()
            .map_or_else(String::new, |error| format!(" {}", error.condition.0))
    };
    match performative {
        Performative::Open(_) => "open".to_owned(),
        Performative::Begin(begin) => format!("begin for {}", begin.remote_channel.unwrap()),
        Performative::Attach(attach) => {
            let (end, role) = match attach.role {
                Role::Sender => (attach.source, "sender"),
                Role::Receiver => (attach.target, "receiver"),
            };
            if attach.role == Role::Sender {
                attach.initial_delivery_count.expect("uamqp wants it");
            }
            let address = end.map(|end| match Terminus::of(end).unwrap().unwrap() {
                Terminus::Source(address) | Terminus::Target(address) => address.unwrap(),
            });
            let address = address.unwrap_or("nothing");
            format!(
                "attach {} {role} {} at {address}",
                attach.handle, attach.name
            )
        }
        Performative::Flow(flow) => {
            flow.next_incoming_id.expect("we have heard of its begin");
            let drain = if flow.drain { " drained" } else { "" };
            match flow.handle {
                None => format!("window {}", flow.incoming_window),
                Some(handle) => format!(
                    "flow {handle} after {} credit {}{drain}",
                    flow.delivery_count.unwrap(),
                    flow.link_credit.unwrap()
                ),
            }
        }
        Performative::Transfer(transfer, payload) => {
            let settled = match transfer.settled {
                Some(true) => " settled",
                _ => "",
            };
            let more = if transfer.more { " and more" } else { "" };
            assert!(transfer.delivery_tag.is_some());
            format!(
                "transfer {} #{}{settled} {} bytes{more}",
                transfer.handle,
                transfer.delivery_id.expect("uamqp wants it"),
                payload.len()
            )
        }
        Performative::Disposition(disposition) => {
            assert!(disposition.settled, "uamqp wants it");
            let state = match &disposition.state {
                None => "settled".to_owned(),
                Some(Outcome::Accepted) => "accepted".to_owned(),
                Some(Outcome::Rejected(error)) => format!("rejected{}", condition(error)),
                Some(Outcome::Other(other)) => panic!("no outcome of ours: {other:?}"),
            };
            let last = disposition
                .last
                .map_or_else(String::new, |last| format!("-{last}"));
            format!("{state} #{}{last}", disposition.first)
        }
        Performative::Detach(detach) => {
            let closed = if detach.closed { "" } else { " for now" };
            let error = condition(&detach.error);
            format!("detach {}{closed}{error}", detach.handle)
        }
        Performative::End(end) => format!("end{}", condition(&end.error)),
        Performative::Close(close) => format!("close{}", condition(&close.error)),
    }
}

/// What a device is told in messages: the parts of each put together, of every link.
pub(crate) fn said_to(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    let mut begun = Vec::new();
    while !bytes.is_empty() {
        if bytes.starts_with(b"AMQP") {
            bytes = &bytes[8..];
            continue;
        }
        let (frame, length) = decode_frame(bytes, usize::MAX).unwrap().unwrap();
        bytes = &bytes[length..];
        if matches!(frame.kind, FrameKind::Amqp { .. })
            && !frame.body.is_empty()
            && let Performative::Transfer(transfer, part) = Performative::read(frame.body).unwrap()
        {
            begun.extend(part);
            if !transfer.more {
                all.push(std::mem::take(&mut begun));
            }
        }
    }
    assert!(begun.is_empty());
    all
}

/// A message to a device.
#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    /// As encoded.
    pub(crate) id: Option<Vec<u8>>,
    /// `retry-after` and `Retry-After`, as they came.
    pub(crate) delays: [Option<i32>; 2],
    pub(crate) body: String,
}

pub(crate) fn answers(bytes: &[u8]) -> Vec<Answer> {
    let read = |bytes: Vec<u8>| {
        // One data section at the very end, and no other.
        let message = Message::read(&bytes).unwrap();
        let crate::codec::Body::Data(std::borrow::Cow::Borrowed(data)) = message.body else {
            panic!("not one data section: {message:?}");
        };
        assert!(bytes.ends_with(data));
        let delay = |properties: Map<'_>, key| {
            properties.get(key).map(|delay| match delay {
                Value::Int(seconds) => seconds,
                other => panic!("no int: {other:?}"),
            })
        };
        Answer {
            id: message.correlation_id.map(|id| {
                let mut out = Vec::new();
                Writer(&mut out).value(id.value());
                out
            }),
            delays: ["retry-after", "Retry-After"]
                .map(|key| delay(message.application_properties, key)),
            body: String::from_utf8(data.to_vec()).unwrap(),
        }
    };
    said_to(bytes).into_iter().map(read).collect()
}
