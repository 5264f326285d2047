//! A mechanism that asks and is asked several times, as `TPM` is: what is needed for it is there.
//!
//! # Source
//! `prov_sasl_tpm.c` (C), `sasl_tpm.ts` (Node.js), `SaslTpmHandler.cs` (C#).

use super::*;
use crate::codec::SaslFrame;

#[derive(Debug)]
enum Plugged {
    Begun,
    /// The storage root key is to come.
    Root(Name),
    /// The device has the first part of what it has to answer.
    First(Name, Vec<u8>),
    /// It has all of it.
    Second(Name),
}

fn evidence(text: &str) -> Option<Evidence> {
    Some(Evidence::Sas {
        token: text.to_owned(),
    })
}

impl Mechanism for Plugged {
    fn respond(&mut self, response: Option<&[u8]>) -> Step {
        let response = response.unwrap_or_default();
        match std::mem::replace(self, Self::Begun) {
            Self::Begun => {
                let mut parts = response.splitn(4, |byte| *byte == 0).skip(1);
                let mut text = || std::str::from_utf8(parts.next()?).ok();
                let (Some(scope), Some(id)) = (text(), text()) else {
                    return Step::Outcome(SaslCode::Auth);
                };
                let name = Name::of_path(&format!("{scope}/registrations/{id}")).unwrap();
                assert_eq!(parts.next(), Some(&b"EK\0of any bytes"[..]));
                *self = Self::Root(name);
                Step::Challenge(vec![0])
            }
            Self::Root(name) => {
                assert_eq!(response, b"\0SRK");
                *self = Self::Root(name.clone());
                Step::Authenticate(name, evidence("both keys"))
            }
            Self::First(name, rest) => {
                assert_eq!(response, b"\0");
                *self = Self::Second(name);
                Step::Challenge([&[0xc1][..], &rest].concat())
            }
            Self::Second(name) => {
                let token = std::str::from_utf8(&response[1..]).unwrap();
                Step::Authenticate(name, evidence(token))
            }
        }
    }

    fn judged(&mut self, verdict: &Verdict) -> Step {
        match (std::mem::replace(self, Self::Begun), verdict) {
            (Self::Root(name), Verdict::Challenge(blob)) => {
                let (first, rest) = blob.split_at(blob.len().div_ceil(2));
                *self = Self::First(name, rest.to_vec());
                Step::Challenge([&[0x80][..], first].concat())
            }
            (_, Verdict::Believed) => Step::Outcome(SaslCode::Ok),
            _ => Step::Outcome(SaslCode::Auth),
        }
    }
}

fn plugged() -> Talk {
    let mut talk = Talk::new();
    let offer = Offer {
        names: &["PLAIN", "PLUGGED"],
        begin: |name| (name == "PLUGGED").then(|| Box::new(Plugged::Begun) as _),
    };
    talk.session.offer = offer;
    talk.session.engine = Engine::new("us", offer.names, Duration::from_secs(300));
    talk
}

fn respond(talk: &mut Talk, response: &[u8]) {
    talk.send(&sasl(&SaslFrame::Response(response)));
}

#[test]
fn a_mechanism_can_ask_twice_and_be_judged_twice() {
    let blob: Vec<u8> = (0..972_u16).map(|nth| nth as u8).collect();
    let mut talk = plugged();
    talk.send(SASL);
    assert_eq!(talk.told(), ["AMQP 3", "mechanisms PLAIN PLUGGED"]);
    let first = b"\x000neS\0Press-1\0EK\0of any bytes";
    talk.send(&init("PLUGGED", Some(first)));
    assert_eq!(talk.told(), ["challenge [0]"]);
    respond(&mut talk, b"\0SRK");
    let hello = talk.hello();
    assert_eq!(hello.registration.as_str(), "Press-1");
    talk.session
        .judged(Verdict::Challenge(blob.clone()), talk.now);
    // Each of them is as large as a frame can be.
    let part = |control: u8, part: &[u8]| format!("challenge {:x?}", [&[control], part].concat());
    assert_eq!(talk.told(), [part(0x80, &blob[..486])]);
    respond(&mut talk, b"\0");
    assert_eq!(talk.told(), [part(0xc1, &blob[486..])]);
    // It may take its time to ask its TPM.
    talk.now += Duration::from_secs(29);
    talk.session.expire(talk.now);
    assert!(talk.told().is_empty());
    respond(&mut talk, b"\0SharedAccessSignature sr=x");
    let Some(Evidence::Sas { token }) = talk.hello().evidence else {
        panic!("no token");
    };
    assert_eq!(token, "SharedAccessSignature sr=x");
    talk.session.judged(Verdict::Believed, talk.now);
    assert_eq!(talk.told(), ["outcome 0"]);
    talk.send(&linking());
    assert_eq!(talk.told().len(), 6);
    talk.send(&register(0));
    talk.answer(&operation(Status::Assigned));
    assert_eq!(answers(&talk.output()).len(), 1);
}

#[test]
fn each_of_its_steps_can_fail() {
    let denied = || Verdict::Denied(ServiceError::new(Reason::Unauthorized));
    let first = b"\x000neS\0Press-1\0EK\0of any bytes";
    let mut talk = plugged();
    talk.send(&[SASL, &init("PLUGGED", Some(b"nonsense"))].concat());
    assert_eq!(talk.told()[2..], ["outcome 1"]);
    let mut talk = plugged();
    talk.send(&[SASL, &init("PLUGGED", Some(first))].concat());
    respond(&mut talk, b"\0SRK");
    talk.judge(denied());
    assert_eq!(talk.told()[3..], ["outcome 1"]);
    let mut talk = plugged();
    talk.send(&[SASL, &init("PLUGGED", Some(first))].concat());
    respond(&mut talk, b"\0SRK");
    talk.judge(Verdict::Challenge(vec![1, 2]));
    respond(&mut talk, b"\0");
    respond(&mut talk, b"\0token");
    talk.judge(denied());
    assert_eq!(talk.told()[5..], ["outcome 1"]);
    assert_eq!(talk.over(), End::Unproven);
}
