//! Messages of AMQP: what is read of them is what fe2o3-amqp-types reads.
#![no_main]

use dps_transport_amqp::fuzzing::message;
use fe2o3_amqp_types::messaging::message::__private::Deserializable;
use fe2o3_amqp_types::messaging::{Body, Message, MessageId};
use libfuzzer_sys::fuzz_target;
use serde_amqp::{Value, from_slice, to_vec};

fn read(bytes: &[u8]) -> Value {
    from_slice(bytes).expect("a value that was taken")
}

fn encoded(id: Option<&MessageId>) -> Option<Vec<u8>> {
    id.map(|id| to_vec(id).expect("what was read can be written"))
}

fuzz_target!(|bytes: &[u8]| {
    let Some(ours) = message(bytes) else {
        return;
    };
    if bytes.iter().any(|byte| matches!(byte, 0xe0 | 0xf0)) {
        // serde_amqp reads neither empty arrays nor those of lists, maps, arrays or described values.
        return;
    }
    // It looks at fields that are passed over here.
    let Ok(Deserializable(theirs)) = from_slice::<Deserializable<Message<Body<Value>>>>(bytes)
    else {
        return;
    };
    let properties = theirs.properties.as_ref();
    let message_id = properties.and_then(|properties| properties.message_id.as_ref());
    let correlation_id = properties.and_then(|properties| properties.correlation_id.as_ref());
    assert_eq!(ours.message_id, encoded(message_id));
    assert_eq!(ours.correlation_id, encoded(correlation_id));
    let pairs = theirs.application_properties.map(|section| section.0);
    let pairs = to_vec(&pairs.unwrap_or_default()).expect("what was read can be written");
    assert_eq!(read(&ours.application_properties), read(&pairs));
    match theirs.body {
        Body::Empty => assert_eq!((ours.data, ours.value), (None, None)),
        Body::Data(sections) => {
            let data = sections
                .into_iter()
                .flat_map(|section| section.0.into_vec());
            assert_eq!(ours.data, Some(data.collect()));
        }
        Body::Value(value) => assert_eq!(ours.value.map(|value| read(&value)), Some(value.0)),
        Body::Sequence(sections) => {
            let first = sections
                .into_iter()
                .next()
                .map(|section| Value::List(section.0));
            assert_eq!(ours.value.map(|value| read(&value)), first);
        }
    }
});
