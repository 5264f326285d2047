//! MQTT 3.1.1 packets, as clients and constant answers need them; and the frames of WebSockets.

/// What every accepted CONNECT is answered with.
pub const CONNACK: &[u8] = &[0x20, 2, 0, 0];

/// What a subscription with packet identifier 1 is answered with: quality 1 is granted.
pub const SUBACK: &[u8] = &[0x90, 3, 0, 1, 1];

/// What a message with packet identifier [`MESSAGE`] is answered with.
pub const PUBACK: &[u8] = &[0x40, 2, 0, MESSAGE];

/// The last thing a client says.
pub const DISCONNECT: &[u8] = &[0xe0, 0];

/// The packet identifier of every message, in both directions.
pub const MESSAGE: u8 = 1;

/// The request identifier in every topic; as long as those of the SDKs for Node.js and Python.
const RID: &str = "4ba1c8a5-9bb1-4e1e-bd8e-5c0f0a2e3c11";

/// A CONNECT as the SDK for Node.js sends it: clean session, keep-alive of 180 s.
///
/// * `name`: the client identifier.
/// * `user`, `password`: left out where there is none.
pub fn connect(name: &str, user: Option<&str>, password: Option<&str>) -> Vec<u8> {
    let flags = 0x02 | u8::from(user.is_some()) << 7 | u8::from(password.is_some()) << 6;
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, flags, 0, 180];
    for text in [Some(name), user, password].into_iter().flatten() {
        put(&mut body, text);
    }
    packet(0x10, &body)
}

/// A SUBSCRIBE with packet identifier 1, for quality 1.
pub fn subscribe(filter: &str) -> Vec<u8> {
    let mut body = vec![0, 1];
    put(&mut body, filter);
    body.push(1);
    packet(0x82, &body)
}

/// A PUBLISH of quality 1 with packet identifier [`MESSAGE`].
pub fn publish(topic: &str, payload: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    put(&mut body, topic);
    body.extend([0, MESSAGE]);
    body.extend_from_slice(payload);
    packet(0x32, &body)
}

/// What is subscribed to for answers of the service.
pub const ANSWERS: &str = "$dps/registrations/res/#";

/// What a register is published to.
pub fn register_topic() -> String {
    format!("$dps/registrations/PUT/iotdps-register/?$rid={RID}")
}

/// What the final answer to it is published to.
pub fn answer_topic() -> String {
    format!("$dps/registrations/res/200/?$rid={RID}")
}

/// The bytes in the first `count` packets; `None` if they are not all there.
pub fn length(bytes: &[u8], count: usize) -> Option<usize> {
    let mut all = 0;
    for _ in 0..count {
        let (mut body, mut shift, mut at) = (0, 0, all + 1);
        loop {
            let byte = *bytes.get(at)?;
            body |= usize::from(byte & 0x7f) << shift;
            at += 1;
            if byte & 0x80 == 0 {
                break;
            }
            shift += 7;
        }
        all = at + body;
    }
    (bytes.len() >= all).then_some(all)
}

/// The request that opens a WebSocket.
///
/// * `protocol`: what is to be spoken in it.
pub fn upgrade(protocol: &str) -> String {
    format!(
        "GET /$iothub/websocket HTTP/1.1\r\nhost: localhost\r\nconnection: Upgrade\r\n\
         upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-protocol: {protocol}\r\n\
         sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    )
}

/// The bytes of the first frame, as a server sends it, with less than 65,536 bytes; `None` if they are
/// not all there.
pub fn frame_length(bytes: &[u8]) -> Option<usize> {
    let length = match (bytes.get(1)?, bytes.get(2..4)) {
        (126, long) => 4 + usize::from(u16::from_be_bytes(long?.try_into().ok()?)),
        (short, _) => 2 + usize::from(*short),
    };
    (bytes.len() >= length).then_some(length)
}

/// A binary frame as a client sends it, masked, with at most 65,535 bytes.
pub fn frame(payload: &[u8]) -> Vec<u8> {
    const MASK: [u8; 4] = [0x5a, 0xc3, 0x17, 0x88];
    let length = u16::try_from(payload.len()).expect("a short payload");
    let mut frame = vec![0x82];
    match u8::try_from(length) {
        Ok(short) if short < 126 => frame.push(0x80 | short),
        _ => {
            frame.push(0x80 | 126);
            frame.extend(length.to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(
        payload
            .iter()
            .zip(MASK.iter().cycle())
            .map(|(byte, mask)| byte ^ mask),
    );
    frame
}

fn packet(first: u8, body: &[u8]) -> Vec<u8> {
    let mut packet = vec![first];
    let mut left = body.len();
    while left > 0x7f {
        packet.push((left & 0x7f) as u8 | 0x80);
        left >>= 7;
    }
    packet.push(left as u8);
    packet.extend_from_slice(body);
    packet
}

fn put(body: &mut Vec<u8>, text: &str) {
    let length = u16::try_from(text.len()).expect("a short text");
    body.extend(length.to_be_bytes());
    body.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_whole_with_their_last_byte() {
        let mut bytes = CONNACK.to_vec();
        bytes.extend(publish("a", &[7; 300]));
        assert_eq!(length(&bytes, 1), Some(4));
        assert_eq!(length(&bytes, 2), Some(bytes.len()));
        assert_eq!(length(&bytes[..bytes.len() - 1], 2), None);
        assert_eq!(length(&bytes[..5], 2), None);
    }

    #[test]
    fn a_frame_says_its_length() {
        assert_eq!(frame(&[0; 125])[1], 0x80 | 125);
        assert_eq!(frame(&[0; 126])[..4], [0x82, 0x80 | 126, 0, 126]);
        assert_eq!(frame(&[0; 126]).len(), 8 + 126);
        let answer = [&[0x82, 126, 0, 126][..], &[0; 126]].concat();
        assert_eq!(frame_length(&answer), Some(130));
        assert_eq!(frame_length(&answer[..129]), None);
        assert_eq!(frame_length(&[0x82, 1, 7]), Some(3));
    }
}
