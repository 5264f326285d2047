//! Another implementation of the standard, asked about the same bytes.
//!
//! What is known of serde_amqp, and left out here: it does not compare the length of a list, map or
//! array with what is in it; it takes any text as a symbol; it does not read the type of an empty array,
//! nor arrays of lists, maps, arrays or described values. It writes a list that follows an array as if it
//! were one, fails at bytes that follow a time in a map, and writes symbols in arrays, and bytes and texts
//! of exactly 255 bytes, in the wide form.

mod performatives;

use std::fmt::Debug;

use fe2o3_amqp_types::messaging::message::__private::{Deserializable, Serializable};
use fe2o3_amqp_types::messaging::{
    self, ApplicationProperties, Data, MessageId as TheirId, Properties,
};
use fe2o3_amqp_types::primitives::SimpleValue;
use fe2o3_amqp_types::sasl as their_sasl;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use serde_amqp::serde::de::DeserializeOwned;
use serde_amqp::serde::ser::Serialize;
use serde_amqp::{from_slice, to_vec};

use super::tree::{Tree, array, put, tree, tree_of};
use super::*;

/// What they write is read by us as `ours`, and what we write of it is the same to them.
fn same<T: Serialize + DeserializeOwned + Debug>(
    theirs: &T,
    ours: &SaslFrame<'_>,
) -> Result<(), TestCaseError> {
    let bytes = to_vec(theirs).unwrap();
    let read = SaslFrame::read(&bytes).unwrap();
    prop_assert!(
        read == *ours || matches!(ours, SaslFrame::Mechanisms(_)),
        "{read:?}"
    );
    for frame in [&read, ours] {
        let written = encoded(|writer| frame.put(writer));
        let back: T = from_slice(&written).unwrap();
        prop_assert_eq!(format!("{back:?}"), format!("{theirs:?}"));
    }
    Ok(())
}

proptest! {
    #[test]
    fn a_value_is_the_same_to_both(tree in tree()) {
        let theirs = to_vec(&tree).unwrap();
        prop_assert_eq!(&tree_of(whole(&theirs).unwrap()), &tree);
        let ours = encoded(|writer| put(&tree, writer));
        prop_assert!(ours.len() <= theirs.len());
        prop_assert_eq!(from_slice::<Tree>(&ours).unwrap(), tree);
    }

    #[test]
    fn arrays_are_the_same_to_both(tree in array()) {
        let theirs = to_vec(&tree).unwrap();
        prop_assert_eq!(&tree_of(whole(&theirs).unwrap()), &tree);
        let ours = encoded(|writer| put(&tree, writer));
        prop_assert_eq!(from_slice::<Tree>(&ours).unwrap(), tree);
    }

    #[test]
    fn changed_bytes_are_taken_by_both_or_for_a_reason_by_one(
        tree in tree(),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut bytes = encoded(|writer| put(&tree, writer));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut reader = Reader(&bytes);
        match Value::read(&mut reader) {
            Ok(_) if bytes.iter().any(|byte| matches!(byte, 0xe0 | 0xf0)) => {}
            Ok(value) => {
                let theirs: Tree = from_slice(&bytes).unwrap();
                prop_assert_eq!(tree_of(value), theirs);
            }
            // They trust lengths, and subtract from them.
            Err(DecodeError::Short | DecodeError::Long | DecodeError::Count) => {}
            // They take any text as a symbol.
            Err(DecodeError::Text) => {}
            // They do not look at what follows the last pair they take.
            Err(DecodeError::Map) => {}
            Err(error) => prop_assert!(from_slice::<Tree>(&bytes).is_err(), "{error}"),
        }
    }

    #[test]
    fn sasl_is_the_same_to_both(
        names in vec("[A-Z0-9-]{1,20}", 1..20),
        response in option::of(vec(any::<u8>(), 0..300)),
        code in 0_u8..5,
    ) {
        let borrowed: Vec<&str> = names.iter().map(String::as_str).collect();
        let symbols: Vec<serde_amqp::primitives::Symbol> =
            names.iter().map(|name| name.clone().into()).collect();
        same(
            &their_sasl::SaslMechanisms { sasl_server_mechanisms: symbols.clone().into() },
            &SaslFrame::Mechanisms(Symbols::Ours(&borrowed)),
        )?;
        same(
            &their_sasl::SaslInit {
                mechanism: symbols[0].clone(),
                initial_response: response.clone().map(Into::into),
                hostname: None,
            },
            &SaslFrame::Init { mechanism: borrowed[0], initial_response: response.as_deref() },
        )?;
        let response = response.unwrap_or_default();
        same(
            &their_sasl::SaslChallenge { challenge: response.clone().into() },
            &SaslFrame::Challenge(&response),
        )?;
        same(
            &their_sasl::SaslResponse { response: response.clone().into() },
            &SaslFrame::Response(&response),
        )?;
        same(
            &their_sasl::SaslOutcome {
                code: from_slice(&[0x50, code]).unwrap(),
                additional_data: None,
            },
            &SaslFrame::Outcome(code),
        )?;
    }

    #[test]
    fn what_they_send_is_what_we_read(
        id in option::of("\\PC{0,60}"),
        correlation in option::of(any::<u64>()),
        pairs in vec(("[a-z-]{1,30}", "\\PC{0,60}"), 0..4),
        body in vec(vec(any::<u8>(), 0..300), 1..4),
    ) {
        let properties = pairs.into_iter().map(|(key, value)| (key, SimpleValue::String(value)));
        let message = messaging::Message {
            header: Some(messaging::Header::default()),
            delivery_annotations: None,
            message_annotations: None,
            properties: Some(Properties {
                message_id: id.clone().map(TheirId::String),
                correlation_id: correlation.map(TheirId::Ulong),
                ..Properties::default()
            }),
            application_properties: Some(ApplicationProperties(properties.collect())),
            body: messaging::Body::<Tree>::Data(
                body.iter().map(|bytes| Data(bytes.clone().into())).collect::<Vec<_>>().into(),
            ),
            footer: None,
        };
        let bytes = to_vec(&Serializable(message.clone())).unwrap();
        let ours = Message::read(&bytes).unwrap();
        let id = id.as_deref().map(Value::String);
        prop_assert_eq!(ours.message_id.as_ref().map(MessageId::value), id.as_ref());
        let correlation = correlation.map(Value::ULong);
        prop_assert_eq!(ours.correlation_id.as_ref().map(MessageId::value), correlation.as_ref());
        for (key, value) in &message.application_properties.unwrap().0.into_inner() {
            let SimpleValue::String(value) = value else {
                panic!("another value");
            };
            prop_assert_eq!(ours.application_properties.get(key), Some(Value::String(value)));
        }
        prop_assert_eq!(ours.body, Body::Data(body.concat().into()));
    }

    #[test]
    fn what_we_answer_is_what_they_read(
        id in option::of(prop_oneof![
            any::<u64>().prop_map(TheirId::Ulong),
            any::<[u8; 16]>().prop_map(|bytes| TheirId::Uuid(bytes.into())),
            vec(any::<u8>(), 0..300).prop_map(|bytes| TheirId::Binary(bytes.into())),
            "\\PC{0,100}".prop_map(TheirId::String),
        ]),
        retry_after in option::of(any::<i32>()),
        body in vec(any::<u8>(), 0..600),
    ) {
        let encoded_id = id.as_ref().map(|id| to_vec(id).unwrap());
        let response = Response { id: encoded_id.as_deref(), retry_after, body: &body };
        let bytes = encoded(|writer| response.put(writer));
        let Deserializable(message) =
            from_slice::<Deserializable<messaging::Message<messaging::Body<Tree>>>>(&bytes).unwrap();
        let properties = message.properties.unwrap();
        prop_assert_eq!(properties.correlation_id, id);
        let content_type = properties.content_type.map(|symbol| symbol.into_inner());
        prop_assert_eq!(content_type.as_deref(), Some("application/json; charset=utf-8"));
        let delays = message.application_properties.map(|section| section.0);
        for key in ["retry-after", "Retry-After"] {
            let delay = delays.as_ref().and_then(|pairs| pairs.get(key).cloned());
            prop_assert_eq!(delay, retry_after.map(SimpleValue::Int));
        }
        let messaging::Body::Data(sections) = message.body else {
            panic!("no data");
        };
        let sections: Vec<Vec<u8>> = sections.into_iter().map(|data| data.0.into_vec()).collect();
        prop_assert_eq!(sections, vec![body]);
    }
}
