//! What unmodified devices and the service told each other over TLS, said again without a socket. Where
//! the captures come from is told beside them, in `tests/captures/README.md`.

#[path = "../../../../dps-transport/tests/replay/mod.rs"]
mod replay;

use std::collections::BTreeSet;

use serde_json::Value as Json;

use self::replay::{Capture, Service, Written, assert_evidence, captures};
use super::*;
use crate::codec::{Body, FrameKind, Message, Outcome, Performative, SaslFrame, decode_frame};

/// A service that has heard nothing.
fn service(capture: &Capture) -> Service<Session<'static>> {
    let (bodies, answered) = (bodies(capture), capture.answered());
    let (peer, stamps) = (capture.peer(), Written::into(&bodies));
    let opened = frames(&answered).into_iter().find_map(|frame| match frame {
        Performative::Open(open) => Some(open.container_id.to_owned()),
        _ => None,
    });
    // Nobody whom SASL refuses learns it.
    let container_id = Box::leak(opened.unwrap_or_default().into_boxed_str());
    let (transport, timeouts) = (transport(capture), Timeouts::default());
    let session = Session::new(peer, transport, timeouts, container_id, stamps);
    let mut service = Service::new(session, capture, &bodies);
    service.challenge = challenge(&answered);
    service
}

/// What a TPM was asked, out of both its halves.
fn challenge(mut bytes: &[u8]) -> Vec<u8> {
    let mut challenge = Vec::new();
    while !bytes.is_empty() {
        if bytes.starts_with(b"AMQP") {
            bytes = &bytes[8..];
            continue;
        }
        let (frame, length) = decode_frame(bytes, usize::MAX).unwrap().unwrap();
        if matches!(frame.kind, FrameKind::Sasl)
            && let SaslFrame::Challenge(part) = SaslFrame::read(frame.body).unwrap()
        {
            challenge.extend(&part[1..]);
        }
        bytes = &bytes[length..];
    }
    challenge
}

fn transport(capture: &Capture) -> Transport {
    match capture.fact("transport") {
        "amqp" => Transport::Amqp,
        "amqp-ws" => Transport::AmqpWs,
        other => panic!("{other} is not AMQP"),
    }
}

/// The frames of AMQP among `bytes`.
fn frames(mut bytes: &[u8]) -> Vec<Performative<'_>> {
    let mut frames = Vec::new();
    while !bytes.is_empty() {
        if bytes.starts_with(b"AMQP") {
            bytes = &bytes[8..];
            continue;
        }
        let (frame, length) = decode_frame(bytes, usize::MAX).unwrap().unwrap();
        if matches!(frame.kind, FrameKind::Amqp { .. }) && !frame.body.is_empty() {
            frames.push(Performative::read(frame.body).unwrap());
        }
        bytes = &bytes[length..];
    }
    frames
}

/// All JSON that the device was told, in messages and in errors. One that ends several things is one.
fn bodies(capture: &Capture) -> Vec<Json> {
    let answered = capture.answered();
    let (mut texts, mut begun) = (Vec::new(), Vec::new());
    for frame in frames(&answered) {
        let error = match frame {
            Performative::Transfer(transfer, part) => {
                begun.extend(part);
                if !transfer.more {
                    texts.push(data(&std::mem::take(&mut begun)));
                }
                continue;
            }
            Performative::Disposition(disposition) => match disposition.state {
                Some(Outcome::Rejected(error)) => error,
                _ => None,
            },
            Performative::Detach(detach) => detach.error,
            Performative::End(end) => end.error,
            Performative::Close(close) => close.error,
            _ => None,
        };
        let description = error.and_then(|error| error.description);
        texts.extend(description.map(|text| text.as_bytes().to_vec()));
    }
    texts.dedup();
    let bodies = texts
        .iter()
        .map(|text| serde_json::from_slice(text).unwrap());
    bodies.collect()
}

fn data(message: &[u8]) -> Vec<u8> {
    match Message::read(message).unwrap().body {
        Body::Data(data) => data.into_owned(),
        other => panic!("{other:?} is not data"),
    }
}

/// What the device sent, in pieces as large as can be: what comes behind a request that has to be answered
/// first is another piece.
fn glued(sent: &[u8]) -> Vec<&[u8]> {
    let (mut pieces, mut begun, mut at) = (Vec::new(), 0, 0);
    while at < sent.len() {
        let rest = &sent[at..];
        if rest.starts_with(b"AMQP") {
            at += 8;
            continue;
        }
        let (frame, length) = decode_frame(rest, usize::MAX).unwrap().unwrap();
        at += length;
        let is_request = matches!(frame.kind, FrameKind::Amqp { .. })
            && !frame.body.is_empty()
            && matches!(
                Performative::read(frame.body),
                Ok(Performative::Transfer(..))
            );
        if is_request {
            pieces.push(&sent[begun..at]);
            begun = at;
        }
    }
    pieces.push(&sent[begun..]);
    pieces
}

#[test]
fn every_device_is_told_the_same_bytes_at_the_same_time() {
    for capture in captures() {
        let mut service = service(&capture);
        service.hold(&capture);
        // Qpid Proton says nothing more when it has been told to go.
        let sent = capture.sent();
        let goodbye = frames(&sent)
            .iter()
            .any(|frame| matches!(frame, Performative::Close(_)));
        let by_sasl = capture.fact("credential") == "wrong-key";
        assert_eq!(service.conversation.is_over(), goodbye || by_sasl);
        let expected = match capture.accepted() {
            true => End::Goodbye,
            false => End::Unproven,
        };
        assert_eq!(service.conversation.end(), expected);
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
        let glued = service(&capture).heard(pieces);
        glued.assert_told(&capture, "glued");
    }
}

#[test]
fn every_device_is_understood() {
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
        let unsigned = matches!(hello.evidence, Some(Evidence::Tpm { token: None, .. }));
        assert_eq!(unsigned, capture.fact("credential") == "tpm");
        assert_evidence(&capture, hello.evidence);
        if unsigned {
            let Some(Question::Authenticate(signed)) = asked.next() else {
                panic!("{case}: nothing is signed");
            };
            assert_evidence(&capture, signed.evidence);
        }

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
fn every_client_and_transport_is_there_with_every_kind_of_credential() {
    let node = "azure-iot-provisioning-device-amqp";
    let mut missing = BTreeSet::new();
    for (client, transport) in [
        (node, "amqp"),
        (node, "amqp-ws"),
        ("rhea", "amqp"),
        ("python3-qpid-proton", "amqp"),
    ] {
        let mut cases = vec![
            ("symmetric-individual/no-payload", 1),
            ("x509-individual/payload", 1),
            ("x509-group/no-payload", 2),
            ("symmetric-group/payload", 2),
            ("refused/wrong-key", 0),
            ("refused/unknown-x509", 1),
        ];
        match (client, transport) {
            (_, "amqp-ws") => cases.push(("tpm/no-payload", 2)),
            (_, _) if client == node => cases.push(("tpm/payload", 1)),
            _ => {}
        }
        if client != node {
            cases.extend([
                ("x509-individual/external", 1),
                ("symmetric-individual/small-frames", 1),
                ("symmetric-individual/wrong-request", 2),
            ]);
        }
        for (case, answers) in cases {
            missing.insert(format!("{client} {transport} {case} {answers}"));
        }
    }
    for capture in &captures() {
        let parts: Vec<_> = capture.fact("case").split('/').collect();
        let (client, transport) = (capture.fact("sdk"), capture.fact("transport"));
        let (case, answers) = (parts[2..4].join("/"), bodies(capture).len());
        let there = format!("{client} {transport} {case} {answers}");
        assert!(missing.remove(&there), "{there} is one too many");
    }
    assert_eq!(missing, BTreeSet::new());
}
