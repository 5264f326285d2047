//! The mechanism `TPM`: what is said, byte by byte, and what cannot be said.

use std::sync::LazyLock;

use dps_core::crypto::AWS_LC;
use dps_core::id::SecretBytes;
use dps_core::tpm::{MAX_RESOURCE_BYTES, PublicKey, TpmKeys, wrap};
use dps_testkit::tpm::{Kind, SoftTpm};

use super::*;
use crate::codec::{FrameKind, SaslFrame, encode_frame};
use crate::engine::MAX_CHALLENGE_BYTES;

const TOKEN: &str = "SharedAccessSignature sr=x";

/// As large as those that devices have.
static KEYS: LazyLock<TpmKeys> = LazyLock::new(|| SoftTpm::new(Kind::Rsa).keys());

fn endorsement() -> &'static [u8] {
    KEYS.endorsement_key.bytes()
}

fn storage_root() -> &'static [u8] {
    KEYS.storage_root_key.bytes()
}

fn introduction(scope: &str, id: &str, key: &[u8]) -> Vec<u8> {
    [b"\0", scope.as_bytes(), b"\0", id.as_bytes(), b"\0", key].concat()
}

fn responding(response: &[u8]) -> Vec<u8> {
    sasl(&SaslFrame::Response(response))
}

/// A device that has introduced itself by `response`.
fn introduced_by(response: &[u8]) -> Talk {
    let mut talk = Talk::new();
    talk.send(SASL);
    talk.told();
    talk.send(&init("TPM", Some(response)));
    talk
}

/// A device at one of the steps of its proof.
struct Proof(Talk);

impl Proof {
    fn introduced() -> Self {
        let introduction = introduction("0neS", "Press-1", endorsement());
        let mut talk = introduced_by(&introduction);
        assert_eq!(talk.told(), ["challenge [0]"]);
        Self(talk)
    }

    fn respond(&mut self, response: &[u8]) {
        self.0.send(&responding(response));
    }

    fn shown() -> Self {
        let mut proof = Self::introduced();
        proof.respond(&[b"\0", storage_root()].concat());
        proof
    }

    fn half(challenge: &[u8]) -> Self {
        let mut proof = Self::shown();
        proof.0.judge(Verdict::Challenge(challenge.to_vec()));
        proof.0.told();
        proof
    }

    fn challenged(challenge: &[u8]) -> Self {
        let mut proof = Self::half(challenge);
        proof.respond(b"\0");
        proof.0.told();
        proof
    }

    fn signed() -> Self {
        let mut proof = Self::challenged(&[7; 900]);
        proof.respond(&[b"\0", TOKEN.as_bytes()].concat());
        proof
    }

    /// That it is told like a wrong key, and nobody is asked.
    fn is_refused(&mut self, why: &str) {
        assert_eq!(self.0.told(), ["outcome 1"], "{why}");
        assert_eq!(self.0.over(), End::Unproven, "{why}");
    }
}

fn part(control: u8, part: &[u8]) -> String {
    format!("challenge {:x?}", [&[control], part].concat())
}

fn shows(hello: &DeviceHello, signed: Option<&str>) {
    assert_eq!(hello.scope.as_str(), "0neS");
    assert_eq!(hello.registration.as_str(), "Press-1");
    assert!(hello.operation.is_none());
    match &hello.evidence {
        Some(Evidence::Tpm { keys, token }) => {
            assert_eq!(*keys, *KEYS);
            assert_eq!(token.as_deref(), signed);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_device_with_a_tpm_proves_itself_step_by_step() {
    let challenge: Vec<u8> = (0..961_u16).map(|nth| nth as u8).collect();
    for peer in [anonymous(), certified()] {
        let mut talk = Talk::by(peer);
        talk.send(SASL);
        assert!(talk.told()[1].ends_with("PLAIN TPM"));
        let introduction = introduction("0neS", "Press-1", endorsement());
        talk.send(&init("TPM", Some(&introduction)));
        assert_eq!(talk.told(), ["challenge [0]"]);
        talk.send(&responding(&[b"\0", storage_root()].concat()));
        shows(&talk.hello(), None);
        talk.session
            .judged(Verdict::Challenge(challenge.clone()), talk.now);
        assert_eq!(talk.told(), [part(0x80, &challenge[..481])]);
        talk.send(&responding(b"\0"));
        assert_eq!(talk.told(), [part(0xc1, &challenge[481..])]);
        talk.send(&responding(&[b"\0", TOKEN.as_bytes()].concat()));
        shows(&talk.hello(), Some(TOKEN));
        talk.session.judged(Verdict::Believed, talk.now);
        assert_eq!(talk.told(), ["outcome 0"]);
        talk.send(&linking());
        assert_eq!(talk.told().len(), 6);
        talk.send(&register(0));
        talk.answer(&operation(Status::Assigned));
        assert_eq!(answers(&talk.output()).len(), 1);
    }
}

#[test]
fn a_tpm_may_be_slow_at_every_step() {
    let mut proof = Proof::challenged(&[7; 900]);
    proof.0.now += Duration::from_secs(29);
    proof.0.session.expire(proof.0.now);
    assert!(!proof.0.session.is_over());
    proof.respond(&[b"\0", TOKEN.as_bytes()].concat());
    proof.0.judge(Verdict::Believed);
    assert_eq!(proof.0.told(), ["outcome 0"]);
    let mut proof = Proof::challenged(&[7; 900]);
    proof.0.now += Duration::from_secs(30);
    proof.0.session.expire(proof.0.now);
    assert_eq!(proof.0.over(), End::Late);
}

#[test]
fn the_bodies_of_a_proven_device_may_show_other_keys_but_no_nonsense() {
    let mut proof = Proof::signed();
    proof.0.judge(Verdict::Believed);
    let mut talk = proof.0;
    talk.send(&linking());
    talk.told();
    // Node.js and C repeat what they have shown.
    let other = SoftTpm::new(Kind::Ecc).keys();
    let base64 = |key: &PublicKey| {
        use base64::Engine;
        base64::engine::general_purpose::STANDARD.encode(key.bytes())
    };
    let body = serde_json::json!({"tpm": {
        "endorsementKey": base64(&other.endorsement_key),
        "storageRootKey": base64(&other.storage_root_key),
    }});
    talk.send(&register_with(0, None, body.to_string().as_bytes()));
    assert!(matches!(
        talk.call(),
        DeviceRequest::Register { payload: None }
    ));
    talk.session
        .answered(&operation(Status::Assigned), talk.now);
    assert_eq!(answers(&talk.output()).len(), 1);
    talk.send(&register_with(
        1,
        None,
        br#"{"tpm":{"endorsementKey":"AAAA"}}"#,
    ));
    let output = talk.output();
    assert_eq!(words(&output), ["rejected amqp:not-allowed #1"]);
    let text = String::from_utf8_lossy(&output);
    assert!(text.contains(r#"{"errorCode":400004,"#), "{text}");
    assert!(text.contains("tpm.endorsementKey: the size"), "{text}");
}

#[test]
fn each_of_its_judgements_can_fail() {
    for (reason, code) in [
        (Reason::Unauthorized, 1),
        (Reason::Unavailable, 4),
        (Reason::Throttled, 4),
    ] {
        for mut proof in [Proof::shown(), Proof::signed()] {
            proof.0.judge(Verdict::Denied(ServiceError::new(reason)));
            assert_eq!(proof.0.told(), [format!("outcome {code}")]);
            assert_eq!(proof.0.over(), End::Unproven);
        }
    }
}

#[test]
fn nobody_is_challenged_twice() {
    let mut proof = Proof::signed();
    proof.0.judge(Verdict::Challenge(vec![7; 900]));
    proof.is_refused("a second challenge");
}

#[test]
fn an_introduction_that_cannot_be_read_is_told_like_a_wrong_key() {
    let long_scope = "s".repeat(200);
    let named = |scope: &str, id: &str| introduction(scope, id, endorsement());
    for (why, said) in [
        ("nothing", vec![]),
        ("a zero", vec![0]),
        ("no key", b"\x000neS\0Press-1".to_vec()),
        ("an empty key", b"\x000neS\0Press-1\0".to_vec()),
        ("no zero in front", named("0neS", "Press-1")[1..].to_vec()),
        ("another byte in front", {
            let mut said = named("0neS", "Press-1");
            said[0] = 0x80;
            said
        }),
        ("no scope", named("", "Press-1")),
        ("no id", named("0neS", "")),
        ("a scope that can be none", named(&long_scope, "Press-1")),
        ("an id that can be none", named("0neS", "Press/1")),
        (
            "an id that is no text",
            [b"\x000neS\0\xff\0", endorsement()].concat(),
        ),
        (
            "both keys",
            [&named("0neS", "Press-1")[..], storage_root()].concat(),
        ),
        ("a token", PLAIN.to_vec()),
    ] {
        Proof(introduced_by(&said)).is_refused(why);
    }
    let mut talk = Talk::new();
    talk.send(&[SASL, &init("TPM", None)].concat());
    assert_eq!(talk.told()[2..], ["outcome 1"], "nothing with its choice");
}

#[test]
fn keys_that_are_cut_anywhere_or_go_on_are_told_like_a_wrong_key() {
    for end in 0..endorsement().len() {
        let said = introduction("0neS", "Press-1", &endorsement()[..end]);
        Proof(introduced_by(&said)).is_refused(&end.to_string());
    }
    for end in 0..storage_root().len() {
        let mut proof = Proof::introduced();
        proof.respond(&[b"\0", &storage_root()[..end]].concat());
        proof.is_refused(&end.to_string());
    }
    for behind in [&[0][..], storage_root()] {
        let long = [endorsement(), behind].concat();
        Proof(introduced_by(&introduction("0neS", "Press-1", &long))).is_refused("too long");
        let mut proof = Proof::introduced();
        proof.respond(&[b"\0", storage_root(), behind].concat());
        proof.is_refused("too long");
    }
}

#[test]
fn swapped_keys_are_asked_about_like_any() {
    let introduction = introduction("0neS", "Press-1", storage_root());
    let mut proof = Proof(introduced_by(&introduction));
    assert_eq!(proof.0.told(), ["challenge [0]"]);
    proof.respond(&[b"\0", endorsement()].concat());
    match proof.0.hello().evidence {
        Some(Evidence::Tpm { keys, token: None }) => {
            assert_eq!(keys.endorsement_key, KEYS.storage_root_key);
            assert_eq!(keys.storage_root_key, KEYS.endorsement_key);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_is_out_of_turn_is_told_like_a_wrong_key() {
    let token = [b"\0", TOKEN.as_bytes()].concat();
    let root = [b"\0", storage_root()].concat();
    for (why, said) in [
        ("nothing", &b""[..]),
        ("only the word to go on", b"\0"),
        ("no zero in front", storage_root()),
        (
            "the endorsement key once more",
            &introduction("0neS", "Press-1", endorsement()),
        ),
        ("the token", &token),
    ] {
        let mut proof = Proof::introduced();
        proof.respond(said);
        proof.is_refused(why);
    }
    for (why, said) in [
        ("nothing", &b""[..]),
        ("another word", b"\x01"),
        ("the control byte", b"\x80"),
        ("more than the word", b"\0\0"),
        ("the storage root key", &root),
        ("the token", &token),
    ] {
        let mut proof = Proof::half(&[7; 900]);
        proof.respond(said);
        proof.is_refused(why);
    }
    for (why, said) in [
        ("nothing", &b""[..]),
        ("no zero in front", TOKEN.as_bytes()),
        (
            "the last control byte",
            &[b"\xc1", TOKEN.as_bytes()].concat(),
        ),
        ("no text", b"\0\xff"),
    ] {
        let mut proof = Proof::challenged(&[7; 900]);
        proof.respond(said);
        proof.is_refused(why);
    }
}

#[test]
fn frames_that_are_sent_before_their_turn_wait_for_it() {
    let whole = [
        responding(&[b"\0", storage_root()].concat()),
        responding(b"\0"),
        responding(&[b"\0", TOKEN.as_bytes()].concat()),
    ]
    .concat();
    let mut proof = Proof::introduced();
    proof.0.send(&whole);
    proof.0.judge(Verdict::Challenge(vec![7; 10]));
    shows(&proof.0.hello(), Some(TOKEN));
    proof.0.session.judged(Verdict::Believed, proof.0.now);
    assert_eq!(proof.0.told().last().unwrap(), "outcome 0");
}

#[test]
fn the_challenge_of_the_longest_name_fits_and_more_would_not() {
    // Names cannot be longer than these.
    let (scope, id) = ("s".repeat(20), "d".repeat(128));
    assert!(Name::of(&scope, &id).is_some());
    let resource = format!("{scope}/registrations/{id}");
    assert_eq!(resource.len(), MAX_RESOURCE_BYTES);
    let key = SecretBytes::new(vec![1; 32]);
    let TpmKeys {
        endorsement_key,
        storage_root_key,
    } = &*KEYS;
    let challenge = wrap(&AWS_LC, endorsement_key, storage_root_key, &key, &resource).unwrap();
    assert_eq!(challenge.len(), 961);

    // C# names the device as the host, too: a frame that is longer than the standard has it.
    let mut frame = Vec::new();
    encode_frame(FrameKind::Sasl, &mut frame, |writer| {
        writer.encoded(b"\0\x53\x41");
        writer.list(|fields| {
            fields.next().symbol("TPM");
            fields
                .next()
                .binary(&introduction(&scope, &id, endorsement()));
            fields.next().string(&resource);
        });
    });
    assert!(frame.len() > 512);
    let mut talk = Talk::new();
    talk.send(&[SASL, &frame].concat());
    talk.send(&responding(&[b"\0", storage_root()].concat()));
    talk.judge(Verdict::Challenge(challenge.clone()));
    let told = talk.told();
    assert_eq!(told[3..], [part(0x80, &challenge[..481])]);
    talk.send(&responding(b"\0"));
    assert_eq!(talk.told(), [part(0xc1, &challenge[481..])]);

    let longest = 2 * (MAX_CHALLENGE_BYTES - 1);
    for (bytes, told) in [(longest, None), (longest + 1, Some("outcome 4"))] {
        let mut proof = Proof::shown();
        proof.0.judge(Verdict::Challenge(vec![7; bytes]));
        let said = proof.0.told();
        match told {
            Some(told) => assert_eq!(said.last().unwrap(), told),
            None => assert!(said.last().unwrap().starts_with("challenge [80, 7")),
        }
        match told {
            Some(_) => assert_eq!(proof.0.over(), End::Unproven),
            None => assert!(!proof.0.session.is_over()),
        }
    }
}
