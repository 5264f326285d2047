//! What unmodified SDKs and the service told each other over TLS, said again without a socket. Where
//! the captures come from is told beside them, in `tests/captures/README.md`.

#[path = "../../../../dps-transport/tests/replay/mod.rs"]
mod replay;

use std::collections::BTreeSet;

use serde_json::Value;

use self::replay::{Capture, Service, Written, assert_evidence, captures};
use super::*;

/// A service that has heard nothing.
fn service(capture: &Capture) -> Service<Session<'static>> {
    let bodies = bodies(capture);
    let (peer, stamps) = (capture.peer(), Written::into(&bodies));
    let session = Session::new(peer, transport(capture), Timeouts::default(), stamps);
    Service::new(session, capture, &bodies)
}

fn transport(capture: &Capture) -> Transport {
    match capture.fact("transport") {
        "mqtt" => Transport::Mqtt,
        "mqtt-ws" => Transport::MqttWs,
        other => panic!("{other} is not MQTT"),
    }
}

/// The bodies of the service's answers.
fn bodies(capture: &Capture) -> Vec<Value> {
    let bytes = capture.answered();
    let published = packets(&bytes)
        .into_iter()
        .filter_map(|packet| match packet {
            (Packet::Publish(publish), _) => serde_json::from_slice(publish.payload).unwrap(),
            _ => None,
        });
    published.collect()
}

/// The packets that `bytes` consist of, and the bytes of each.
fn packets(mut bytes: &[u8]) -> Vec<(Packet<'_>, &[u8])> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let (packet, length) = decode(bytes, Stage::Later).unwrap().unwrap();
        let (whole, rest) = bytes.split_at(length);
        packets.push((packet, whole));
        bytes = rest;
    }
    packets
}

/// What the device sent, in pieces as large as can be: it cannot go on before it has been answered.
fn glued(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut pieces = vec![Vec::new()];
    for (packet, whole) in packets(bytes) {
        let piece: &mut Vec<u8> = pieces.last_mut().unwrap();
        piece.extend(whole);
        if matches!(packet, Packet::Publish(_)) {
            pieces.push(Vec::new());
        }
    }
    pieces
}

#[test]
fn every_sdk_is_told_the_same_bytes_at_the_same_time() {
    for capture in captures() {
        let mut service = service(&capture);
        service.hold(&capture);
        let goodbye = capture.sent().ends_with(&[0xe0, 0]);
        let end = service.conversation.end();
        assert_eq!(end, goodbye.then_some(End::Goodbye));
    }
}

#[test]
fn it_does_not_matter_where_reads_begin_and_end() {
    for capture in captures() {
        let sent = capture.sent();
        let bytewise = service(&capture).heard(sent.chunks(1));
        bytewise.assert_told(&capture, "byte by byte");
        let pieces = glued(&sent);
        assert_eq!(pieces.concat(), sent);
        let pieces = pieces.iter().map(Vec::as_slice);
        let glued = service(&capture).heard(pieces);
        glued.assert_told(&capture, "glued");
    }
}

#[test]
fn every_sdk_is_understood() {
    for capture in captures() {
        let case = capture.fact("case");
        let service = service(&capture).heard(capture.sent().chunks(1));
        let mut asked = service.asked.into_iter();
        let Some(Question::Authenticate(hello)) = asked.next() else {
            panic!("{case}: nobody is judged");
        };
        assert_eq!(hello.scope.as_str(), capture.fact("idScope"));
        assert_eq!(hello.registration.as_str(), capture.fact("registrationId"));
        assert_eq!(hello.origin.transport, transport(&capture));
        assert_eq!(hello.operation, None);
        assert_evidence(&capture, hello.evidence);

        if capture.accepted() {
            let Some(Question::Call(version, DeviceRequest::Register { payload })) = asked.next()
            else {
                panic!("{case}: nothing is registered");
            };
            assert_eq!(version.to_string(), "2019-03-31", "{case}");
            assert_eq!(payload.as_ref(), capture.facts.get("payload"), "{case}");
        }
        let mut bodies = bodies(&capture);
        bodies.retain(|body| body["status"] == "assigning");
        for body in bodies {
            let Some(Question::Call(version, DeviceRequest::OperationStatus { operation })) =
                asked.next()
            else {
                panic!("{case}: nothing is asked after");
            };
            assert_eq!(version.to_string(), "2019-03-31", "{case}");
            assert_eq!(operation.as_str(), body["operationId"], "{case}");
        }
        assert!(asked.next().is_none(), "{case}");
    }
}

#[test]
fn every_sdk_and_transport_is_there_with_every_kind_of_credential() {
    let mut missing = BTreeSet::new();
    for sdk in ["azure-iot-provisioning-device-mqtt", "azure-iot-device"] {
        for transport in ["mqtt", "mqtt-ws"] {
            for (credential, payload, answers) in [
                ("symmetric-individual", false, 1),
                ("x509-individual", true, 1),
                ("x509-group", false, 2),
                ("symmetric-group", true, 2),
                ("wrong-key", false, 1),
                ("unknown-x509", false, 1),
            ] {
                missing.insert((sdk, transport, credential, payload, answers));
            }
        }
    }
    let captures = captures();
    for capture in &captures {
        let there = (
            capture.fact("sdk"),
            capture.fact("transport"),
            capture.fact("credential"),
            capture.facts.get("payload").is_some(),
            bodies(capture).len(),
        );
        assert!(missing.remove(&there), "{there:?} is one too many");
    }
    assert_eq!(missing, BTreeSet::new());
}
