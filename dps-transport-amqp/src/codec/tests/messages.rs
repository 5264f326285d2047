//! Messages.

use std::borrow::Cow;

use proptest::prelude::*;

use super::*;

const HEADER: &str = "00 53 70 c0 02 01 41";
const DELIVERY_ANNOTATIONS: &str = "00 53 71 c1 01 00";
const MESSAGE_ANNOTATIONS: &str = "00 53 72 c1 01 00";
const PROPERTIES: &str = "00 53 73 c0 04 01 a101 69";
const APPLICATION_PROPERTIES: &str = "00 53 74 c1 06 02 a101 6b 5207";
const DATA: &str = "00 53 75 a0 02 6162";
const SEQUENCE: &str = "00 53 76 c0 03 01 5201";
const VALUE: &str = "00 53 77 a1 01 76";
const FOOTER: &str = "00 53 78 c1 01 00";

fn read(sections: &[&str]) -> Result<(), DecodeError> {
    Message::read(&hex(&sections.concat())).map(drop)
}

#[test]
fn a_message_has_its_sections_in_their_order() {
    let bytes = hex(&[
        HEADER,
        DELIVERY_ANNOTATIONS,
        MESSAGE_ANNOTATIONS,
        PROPERTIES,
        APPLICATION_PROPERTIES,
        DATA,
        FOOTER,
    ]
    .concat());
    let message = Message::read(&bytes).unwrap();
    assert_eq!(message.message_id.unwrap().value(), &Value::String("i"));
    assert_eq!(message.correlation_id, None);
    assert_eq!(
        message.application_properties.get("k"),
        Some(Value::UInt(7))
    );
    assert_eq!(message.body, Body::Data(Cow::Borrowed(b"ab")));
}

#[test]
fn sections_out_of_order_or_twice_are_refused() {
    let all = [
        HEADER,
        DELIVERY_ANNOTATIONS,
        MESSAGE_ANNOTATIONS,
        PROPERTIES,
        APPLICATION_PROPERTIES,
        DATA,
        SEQUENCE,
        VALUE,
        FOOTER,
    ];
    for (first, one) in all.iter().enumerate() {
        for (second, other) in all.iter().enumerate() {
            let bodies = (5..=7).contains(&first) && (5..=7).contains(&second);
            let again = first == second && first != 7;
            let good = if bodies { again } else { first < second };
            let found = read(&[one, other]).err();
            assert_eq!(
                found,
                (!good).then_some(DecodeError::Section),
                "{one} {other}"
            );
        }
    }
}

#[test]
fn data_in_several_sections_is_one_body() {
    let bytes = hex(&[DATA, "00 53 75 a000", DATA, DATA].concat());
    let message = Message::read(&bytes).unwrap();
    assert_eq!(message.body, Body::Data(b"ababab".into()));
    // One section is not copied.
    let bytes = hex(DATA);
    let Body::Data(Cow::Borrowed(data)) = Message::read(&bytes).unwrap().body else {
        panic!("copied");
    };
    assert_eq!(data, b"ab");
}

#[test]
fn a_body_may_be_any_value_or_sequences_or_nothing() {
    for (bytes, wanted) in [
        ("", Body::Absent),
        (PROPERTIES, Body::Absent),
        ("00 53 75 a000", Body::Data(Cow::Borrowed(b""))),
        ("00 53 77 a1 01 76", Body::Value(Value::String("v"))),
        ("00 53 77 a0 01 76", Body::Value(Value::Binary(b"v"))),
        ("00 53 77 40", Body::Value(Value::Null)),
        (
            "00 53 77 00 5301 41",
            Body::Value(Value::Described(Descriptor::Code(1), Reader(b"\x41"))),
        ),
        ("00 53 76 45", Body::Value(Value::List(List::default()))),
    ] {
        assert_eq!(Message::read(&hex(bytes)).unwrap().body, wanted, "{bytes}");
    }
    let bytes = hex(&[SEQUENCE, "00 53 76 45"].concat());
    let Body::Value(Value::List(mut first)) = Message::read(&bytes).unwrap().body else {
        panic!("no sequence");
    };
    assert_eq!(first.take(), Ok(Some(Value::UInt(1))));
}

#[test]
fn ids_have_four_types() {
    for (id, wanted) in [
        ("5309", Value::ULong(9)),
        ("a1 01 69", Value::String("i")),
        ("a0 01 69", Value::Binary(b"i")),
        (
            "98 000102030405060708090a0b0c0d0e0f",
            Value::Uuid(std::array::from_fn(|at| at as u8)),
        ),
    ] {
        let id = hex(id);
        let null: &[u8] = b"\x40";
        let bytes = described(0x73, &[&id, null, null, null, null, &id]);
        let message = Message::read(&bytes).unwrap();
        assert_eq!(message.message_id.unwrap().value(), &wanted);
        assert_eq!(message.correlation_id.unwrap().value(), &wanted);
        let bytes = described(0x73, &[null, null, null, null, null, &id]);
        let message = Message::read(&bytes).unwrap();
        assert_eq!(message.message_id, None);
        assert_eq!(message.correlation_id.unwrap().value(), &wanted);
    }
    for wrong in ["43", "5401", "a301 69", "45", "41"] {
        let id = hex(wrong);
        let found = Message::read(&described(0x73, &[&id])).err();
        assert_eq!(found, Some(DecodeError::Type), "{wrong}");
    }
}

#[test]
fn descriptors_of_sections_are_numbers_or_symbols() {
    for (number, symbol) in [
        (HEADER, "amqp:header:list"),
        (DELIVERY_ANNOTATIONS, "amqp:delivery-annotations:map"),
        (MESSAGE_ANNOTATIONS, "amqp:message-annotations:map"),
        (PROPERTIES, "amqp:properties:list"),
        (APPLICATION_PROPERTIES, "amqp:application-properties:map"),
        (DATA, "amqp:data:binary"),
        (SEQUENCE, "amqp:amqp-sequence:list"),
        (VALUE, "amqp:amqp-value:*"),
        (FOOTER, "amqp:footer:map"),
    ] {
        let number = hex(number);
        let mut named = encoded(|writer| writer.descriptor(Descriptor::Symbol(symbol)));
        named.extend(&number[3..]);
        assert!(Message::read(&number).is_ok());
        assert_eq!(Message::read(&named), Message::read(&number));
    }
}

#[test]
fn other_bytes_are_no_message() {
    for (bytes, wanted) in [
        ("40", DecodeError::Unknown),
        ("a0 02 6162", DecodeError::Unknown),
        ("00 53 6f 45", DecodeError::Unknown),
        ("00 53 79 45", DecodeError::Unknown),
        ("00 a3 01 61 45", DecodeError::Unknown),
        ("00 53 70 c1 01 00", DecodeError::Type),
        ("00 53 71 45", DecodeError::Type),
        ("00 53 72 40", DecodeError::Type),
        ("00 53 73 c1 01 00", DecodeError::Type),
        ("00 53 74 45", DecodeError::Type),
        ("00 53 75 a1 01 61", DecodeError::Type),
        ("00 53 75 40", DecodeError::Type),
        ("00 53 76 a0 00", DecodeError::Type),
        ("00 53 78 45", DecodeError::Type),
        ("00 53 75 a0 02 61", DecodeError::Short),
        ("00 53 75 a0 01 61 00", DecodeError::Short),
    ] {
        assert_eq!(Message::read(&hex(bytes)), Err(wanted), "{bytes}");
    }
}

/// Properties with a correlation-id and a content-type, delays under both names, one data section.
#[test]
fn an_answer_has_these_bytes() {
    let id = hex("a1 03 696431");
    let response = Response {
        id: Some(&id),
        retry_after: Some(3),
        body: b"{}",
    };
    let content_type = "a3 1f 6170706c69636174696f6e2f6a736f6e3b20636861727365743d7574662d38";
    let wanted = [
        "00 53 73 c0 2c 07 40 40 40 40 40 a1 03 696431",
        content_type,
        "00 53 74 c1 1f 04 a1 0b 72657472792d6166746572 5403 a1 0b 52657472792d4166746572 5403",
        "00 53 75 a0 02 7b7d",
    ];
    assert_eq!(
        encoded(|writer| response.put(writer)),
        hex(&wanted.concat())
    );

    let response = Response {
        id: None,
        retry_after: None,
        body: b"",
    };
    let wanted = [
        "00 53 73 c0 28 07 40 40 40 40 40 40",
        content_type,
        "00 53 75 a0 00",
    ];
    assert_eq!(
        encoded(|writer| response.put(writer)),
        hex(&wanted.concat())
    );
}

#[test]
fn an_answer_can_be_read() {
    let id = encoded(|writer| writer.ulong(7));
    let body = vec![b' '; 70_000];
    let response = Response {
        id: Some(&id),
        retry_after: Some(300),
        body: &body,
    };
    let bytes = encoded(|writer| response.put(writer));
    let message = Message::read(&bytes).unwrap();
    assert_eq!(message.correlation_id.unwrap().value(), &Value::ULong(7));
    assert_eq!(
        message.application_properties.get("retry-after"),
        Some(Value::Int(300))
    );
    assert_eq!(
        message.application_properties.get("Retry-After"),
        Some(Value::Int(300))
    );
    assert_eq!(message.body, Body::Data(Cow::Owned(body)));
}

proptest! {
    #[test]
    fn any_bytes_are_a_message_or_not(
        sections in proptest::collection::vec((0x6f_u8..0x7a, any::<[u8; 6]>()), 0..5),
    ) {
        let mut bytes = Vec::new();
        for (code, behind) in sections {
            bytes.extend([0x00, 0x53, code]);
            bytes.extend(behind);
        }
        let _ = Message::read(&bytes);
    }
}
