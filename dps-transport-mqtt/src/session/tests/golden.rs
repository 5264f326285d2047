//! What unmodified SDKs and the service told each other over TLS, said again without a socket. Where
//! the captures come from is told beside them, in `tests/captures/README.md`.

mod capture;

use std::collections::BTreeSet;

use self::capture::{Capture, Chunk, captures, packets};
use super::*;

/// The service of a capture: it answers as it did there.
struct Service {
    session: Session<'static>,
    accepted: bool,
    responses: VecDeque<DeviceResponse>,
    told: Vec<u8>,
    asked: Vec<Question>,
}

impl Service {
    fn of(capture: &Capture) -> Self {
        let peer = Peer {
            chain: capture.chain(),
            ..peer()
        };
        let stamps = Box::leak(Box::new(capture.stamps()));
        Self {
            session: Session::new(peer, capture.transport(), Timeouts::default(), stamps),
            accepted: capture.accepted(),
            responses: capture.responses(),
            told: Vec::new(),
            asked: Vec::new(),
        }
    }

    /// The service that has heard a device that sends `chunks`.
    fn heard<'a>(capture: &Capture, chunks: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut service = Self::of(capture);
        for chunk in chunks {
            service.hear(chunk);
        }
        service
    }

    /// Takes what has come, and goes on until there is nothing to do but wait for more.
    fn hear(&mut self, bytes: &[u8]) {
        self.session.receive(bytes, Duration::ZERO);
        while let Some(question) = self.session.question() {
            match &question {
                Question::Authenticate(_) => {
                    let verdict = if self.accepted {
                        Ok(())
                    } else {
                        Err(wrong_key())
                    };
                    self.session.judged(told(verdict), Duration::ZERO);
                }
                Question::Call(..) => {
                    let response = self.responses.pop_front();
                    let response = response.expect("no call more than in the capture");
                    self.session.answered(&response, Duration::ZERO);
                }
            }
            self.asked.push(question);
        }
        self.told.extend(self.session.take_output());
        self.session.resume(Duration::ZERO);
        assert!(self.session.question().is_none(), "all has been answered");
    }

    fn assert_told(&self, capture: &Capture, how: &str) {
        let (told, expected) = (
            self.told.escape_ascii().to_string(),
            capture.answered().escape_ascii().to_string(),
        );
        assert_eq!(told, expected, "{}, {how}", capture.fact("case"));
        assert!(self.responses.is_empty(), "{}", capture.fact("case"));
    }
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
        let mut service = Service::of(&capture);
        let mut expected = Vec::new();
        for chunk in &capture.chunks {
            match chunk {
                Chunk::Device(bytes) => service.hear(bytes),
                Chunk::Service(bytes) => {
                    expected.extend(bytes);
                    assert!(
                        service.told.starts_with(&expected),
                        "{}: {:?} before {:?}",
                        capture.fact("case"),
                        service.told.escape_ascii().to_string(),
                        bytes.escape_ascii().to_string(),
                    );
                }
            }
        }
        service.assert_told(&capture, "as it came");
        let goodbye = capture.sent().ends_with(&[0xe0, 0]);
        let end = service.session.end();
        assert_eq!(end, goodbye.then_some(End::Goodbye));
    }
}

#[test]
fn it_does_not_matter_where_reads_begin_and_end() {
    for capture in captures() {
        let sent = capture.sent();
        Service::heard(&capture, sent.chunks(1)).assert_told(&capture, "byte by byte");
        let pieces = glued(&sent);
        assert_eq!(pieces.concat(), sent);
        let pieces = pieces.iter().map(Vec::as_slice);
        Service::heard(&capture, pieces).assert_told(&capture, "glued");
    }
}

#[test]
fn every_sdk_is_understood() {
    for capture in captures() {
        let case = capture.fact("case");
        let service = Service::heard(&capture, capture.sent().chunks(1));
        let mut asked = service.asked.into_iter();
        let Some(Question::Authenticate(hello)) = asked.next() else {
            panic!("{case}: nobody is judged");
        };
        assert_eq!(hello.scope.as_str(), capture.fact("idScope"));
        assert_eq!(hello.registration.as_str(), capture.fact("registrationId"));
        assert_eq!(hello.origin.transport, capture.transport());
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
        let mut bodies = capture.bodies();
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

/// The SDKs write the slashes of the resource each in its own way.
fn assert_evidence(capture: &Capture, evidence: Option<Evidence>) {
    match evidence.unwrap() {
        Evidence::X509 { chain } => {
            assert!(capture.fact("credential").contains("x509"));
            assert_eq!(chain, capture.chain());
            let certificates = match capture.fact("credential") {
                "x509-group" => 2,
                _ => 1,
            };
            assert_eq!(chain.len(), certificates);
        }
        Evidence::Sas { token } => {
            assert!(!capture.fact("credential").contains("x509"));
            let (scope, id) = (capture.fact("idScope"), capture.fact("registrationId"));
            let resource = format!("SharedAccessSignature sr={scope}/registrations/{id}&");
            let token = token.replace("%2F", "/");
            assert!(token.starts_with(&resource), "{token}");
        }
        other => panic!("no SDK sends {other:?}"),
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
            capture.bodies().len(),
        );
        assert!(missing.remove(&there), "{there:?} is one too many");
    }
    assert_eq!(missing, BTreeSet::new());
}
