//! Services that are none: whatever they say, the device is told, and neither panics nor waits for ever.

use std::cell::RefCell;

use dps_tpm::client::{Assignment, Endpoint, Error, Transport};
use proptest::prelude::*;
use rustls::RootCertStore;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::site::*;

/// Registers with somebody who says `said` as soon as something is asked, and then ends the connection.
async fn told(
    transport: Transport,
    device: &mut Device,
    said: Vec<u8>,
) -> Result<Assignment, Error> {
    let (io, mut theirs) = tokio::io::duplex(1 << 20);
    tokio::spawn(async move {
        theirs.read_u8().await.unwrap();
        theirs.write_all(&said).await.unwrap();
        theirs.shutdown().await.unwrap();
        theirs.read_to_end(&mut Vec::new()).await.unwrap();
    });
    let endpoint = Endpoint::new("dps.test", SCOPE, RootCertStore::empty()).unwrap();
    endpoint
        .register_on(Box::new(io), transport, &mut device.tpm, "press-1", None)
        .await
}

fn http(status: u16, body: &Value) -> Vec<u8> {
    let body = body.to_string();
    let length = body.len();
    format!("HTTP/1.1 {status} x\r\ncontent-length: {length}\r\n\r\n{body}").into_bytes()
}

#[tokio::test]
async fn what_is_no_challenge_over_http_is_not_answered() {
    let mut device = Device::new("press-1", ECC);
    let https = Transport::Https;
    let key = |text: &str| json!({"authenticationKey": text, "keyName": "registration"});
    for (status, body) in [
        (200, key("AAAA")),
        (202, json!({"operationId": "o", "status": "assigning"})),
        (401, json!({"errorCode": 401_002})),
        (401, json!({"authenticationKey": 7})),
        (429, json!(null)),
    ] {
        let error = told(https, &mut device, http(status, &body)).await;
        assert!(
            matches!(error, Err(Error::Refused { status: found, .. }) if found == status),
            "{status} {body}: {error:?}"
        );
    }
    let error = told(https, &mut device, http(401, &key("no base64"))).await;
    assert!(matches!(error, Err(Error::Unreadable(_))), "{error:?}");
    let error = told(https, &mut device, http(401, &key("AAAA"))).await;
    let is_blob = matches!(error, Err(Error::Tpm(dps_tpm::Error::Blob(_))));
    assert!(is_blob, "{error:?}");
    let endless = http(401, &key(&"A".repeat(300_000)));
    let error = told(https, &mut device, endless).await;
    assert!(matches!(error, Err(Error::Unreadable(_))), "{error:?}");
}

fn sasl(code: u8, fields: &[u8], count: u8) -> Vec<u8> {
    let body = [
        &[0, 0x53, code, 0xd0],
        &(fields.len() as u32 + 4).to_be_bytes()[..],
        &[0, 0, 0, count],
        fields,
    ]
    .concat();
    let size = body.len() as u32 + 8;
    [&size.to_be_bytes(), &[2, 1, 0, 0], &body[..]].concat()
}

fn mechanisms(name: &str) -> Vec<u8> {
    let name = [&[name.len() as u8], name.as_bytes()].concat();
    let array = [&[0xe0, name.len() as u8 + 2, 1, 0xa3], &name[..]].concat();
    [b"AMQP\x03\x01\x00\x00", &sasl(0x40, &array, 1)[..]].concat()
}

fn challenge(bytes: &[u8]) -> Vec<u8> {
    let size = (bytes.len() as u32).to_be_bytes();
    sasl(0x42, &[&[0xb0], &size[..], bytes].concat(), 1)
}

#[tokio::test]
async fn what_is_no_challenge_over_amqp_is_not_answered() {
    let mut device = Device::new("press-1", ECC);
    let offer = [mechanisms("TPM"), challenge(&[0])].concat();
    let with = |parts: &[Vec<u8>]| [std::slice::from_ref(&offer), parts].concat().concat();
    for (nonsense, said) in [
        ("HTTP", b"HTTP/1.1 400 x\r\n\r\n".to_vec()),
        ("no SASL", b"AMQP\x00\x01\x00\x00".to_vec()),
        ("another mechanism", mechanisms("PLAIN")),
        ("an empty challenge", with(&[challenge(&[])])),
        ("not a key", with(&[challenge(&[0, 1])])),
        ("the second part first", with(&[challenge(&[0xc1, 1])])),
        (
            "the first part twice",
            with(&[challenge(&[0x80, 1]), challenge(&[0x80, 1])]),
        ),
        ("a frame that is too long", with(&[challenge(&[0x80; 488])])),
    ] {
        let error = told(Transport::Amqp, &mut device, said).await;
        let is_noticed = matches!(error, Err(Error::Unreadable(_) | Error::Missing(_)));
        assert!(is_noticed, "{nonsense}: {error:?}");
    }
    let parts = [challenge(&[0x80, 0]), challenge(&[0xc1, 0])];
    let error = told(Transport::Amqp, &mut device, with(&parts)).await;
    let is_blob = matches!(error, Err(Error::Tpm(dps_tpm::Error::Blob(_))));
    assert!(is_blob, "{error:?}");
    // Refused before there is a challenge, and an end in the middle.
    let refused = with(&[sasl(0x44, &[0x50, 1], 1)]);
    let error = told(Transport::Amqp, &mut device, refused).await;
    assert!(
        matches!(error, Err(Error::Refused { status: 401, .. })),
        "{error:?}"
    );
    let error = told(Transport::Amqp, &mut device, with(&[])).await;
    assert!(matches!(error, Err(Error::Io(_))), "{error:?}");
}

#[test]
fn no_bytes_bring_it_down() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let device = RefCell::new(Device::new("press-1", ECC));
    let bytes = proptest::collection::vec(any::<u8>(), 0..64);
    let begun = [
        Vec::new(),
        mechanisms("TPM"),
        b"HTTP/1.1 401 x\r\n\r\n".to_vec(),
    ];
    let begun = (proptest::sample::select(begun.to_vec()), bytes)
        .prop_map(|(begun, more)| [begun, more].concat());
    let transport = proptest::sample::select(TRANSPORTS.to_vec());
    proptest!(ProptestConfig::with_cases(512), |(said in begun, transport in transport)| {
        let result = runtime.block_on(told(transport, &mut device.borrow_mut(), said));
        prop_assert!(result.is_err());
    });
}
