//! Another implementation of the standard, asked about the same bytes.
//!
//! What is known of serde_amqp, and left out here: it does not compare the length of a list, map or
//! array with what is in it; it takes any text as a symbol; it does not read the type of an empty array,
//! nor arrays of lists, maps, arrays or described values. It writes a list that follows an array as if it
//! were one, fails at bytes that follow a time in a map, and writes symbols in arrays, and bytes and texts
//! of exactly 255 bytes, in the wide form.

use std::fmt::Debug;

use fe2o3_amqp_types::definitions::{
    Error, ErrorCondition, Fields, Handle, ReceiverSettleMode, Role as TheirRole,
};
use fe2o3_amqp_types::messaging::message::__private::{Deserializable, Serializable};
use fe2o3_amqp_types::messaging::{
    self, ApplicationProperties, Data, DeliveryState, MessageId as TheirId, Properties,
    TargetArchetype,
};
use fe2o3_amqp_types::performatives as theirs;
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

type Outcome = Result<(), TestCaseError>;

/// What they write is read by us as `ours`, and what we write of it is the same to them.
fn agree<T>(theirs: &T, ours: impl FnOnce(&Performative<'_>) -> bool) -> Outcome
where
    T: Serialize + DeserializeOwned + PartialEq + Debug,
{
    let bytes = to_vec(theirs).unwrap();
    let performative = Performative::read(&bytes).unwrap();
    prop_assert!(ours(&performative), "{performative:?} is not {theirs:?}");
    let again = encoded(|writer| performative.put(writer));
    prop_assert_eq!(&from_slice::<T>(&again).unwrap(), theirs);
    Ok(())
}

fn fields() -> impl Strategy<Value = Fields> {
    let pair = ("[a-z:-]{0,30}", tree());
    vec(pair, 0..4).prop_map(|pairs| {
        let pairs = pairs.into_iter();
        pairs.map(|(key, value)| (key.into(), value)).collect()
    })
}

fn error() -> impl Strategy<Value = Error> {
    let condition = prop_oneof![Just("amqp:not-found".to_owned()), "[a-z:.-]{1,40}"];
    let parts = (condition, option::of("\\PC{0,300}"), option::of(fields()));
    parts.prop_map(|(condition, description, info)| {
        // As they read it: names that they know are variants.
        let condition: ErrorCondition = from_slice(&encoded(|to| to.symbol(&condition))).unwrap();
        Error::new(condition, description, info)
    })
}

fn is_same_error(ours: Option<&ErrorInfo<'_>>, theirs: Option<&Error>) -> bool {
    let (Some(ours), Some(theirs)) = (ours, theirs) else {
        return ours.is_none() && theirs.is_none();
    };
    let condition = encoded(|to| to.symbol(ours.condition.0));
    condition == to_vec(&theirs.condition).unwrap()
        && ours.description == theirs.description.as_deref()
        && is_same_map(ours.info, theirs.info.as_deref())
}

fn is_same_map(ours: Option<Map<'_>>, theirs: Option<&Fields>) -> bool {
    let ours = ours.map(|map| tree_of(Value::Map(map)));
    let theirs = theirs.map(|fields| {
        let pairs = fields.iter();
        Tree::Map(
            pairs
                .map(|(key, value)| (Tree::Symbol(key.clone()), value.clone()))
                .collect(),
        )
    });
    ours == theirs
}

fn their_role(role: bool) -> TheirRole {
    if role {
        TheirRole::Receiver
    } else {
        TheirRole::Sender
    }
}

fn role(role: bool) -> Role {
    if role { Role::Receiver } else { Role::Sender }
}

fn numbers() -> impl Strategy<Value = [u32; 4]> {
    let number = || prop_oneof![any::<u32>(), 0_u32..300];
    [number(), number(), number(), number()]
}

fn maybe_numbers() -> impl Strategy<Value = [Option<u32>; 4]> {
    (numbers(), any::<[bool; 4]>())
        .prop_map(|(numbers, there)| std::array::from_fn(|at| there[at].then_some(numbers[at])))
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
        prop_assert_eq!(tree_of(whole(&theirs).unwrap()), tree.clone());
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
    fn open_is_the_same_to_both(
        names in ("\\PC{0,300}", option::of("\\PC{0,60}")),
        (max_frame_size, channel_max) in (0..u32::MAX, 0..u16::MAX),
        idle_time_out in option::of(any::<u32>()),
        properties in option::of(fields()),
    ) {
        let (container_id, hostname) = names;
        let theirs = theirs::Open {
            container_id,
            hostname,
            max_frame_size: max_frame_size.into(),
            channel_max: channel_max.into(),
            idle_time_out,
            outgoing_locales: None,
            incoming_locales: None,
            offered_capabilities: None,
            desired_capabilities: None,
            properties,
        };
        agree(&theirs, |ours| matches!(ours, Performative::Open(ours)
            if ours.container_id == theirs.container_id
                && ours.hostname == theirs.hostname.as_deref()
                && ours.max_frame_size == Some(max_frame_size)
                && ours.channel_max == Some(channel_max)
                && ours.idle_time_out == idle_time_out
                && is_same_map(ours.properties, theirs.properties.as_ref())))?;
    }

    #[test]
    fn begin_is_the_same_to_both(
        remote_channel in option::of(any::<u16>()),
        [next_outgoing_id, incoming_window, outgoing_window, handle_max] in numbers(),
    ) {
        let theirs = theirs::Begin {
            remote_channel,
            next_outgoing_id,
            incoming_window,
            outgoing_window,
            handle_max: Handle(handle_max),
            offered_capabilities: None,
            desired_capabilities: None,
            properties: None,
        };
        let ours = Begin {
            remote_channel,
            next_outgoing_id,
            incoming_window,
            outgoing_window,
            // They leave out what is the default.
            handle_max: (handle_max < u32::MAX).then_some(handle_max),
        };
        agree(&theirs, |found| *found == Performative::Begin(ours))?;
    }

    #[test]
    fn attach_is_the_same_to_both(
        name in "\\PC{0,300}",
        [handle, count, _, _] in numbers(),
        is_receiver in any::<bool>(),
        addresses in (option::of(option::of("\\PC{0,90}")), option::of(option::of("\\PC{0,90}"))),
        max_message_size in option::of(any::<u64>()),
        properties in option::of(fields()),
        modes in (0_u8..3, 0_u8..2),
    ) {
        let (source, target) = addresses;
        let theirs = theirs::Attach {
            name,
            handle: Handle(handle),
            role: their_role(is_receiver),
            snd_settle_mode: from_slice(&[0x50, modes.0]).unwrap(),
            rcv_settle_mode: from_slice(&[0x50, modes.1]).unwrap(),
            source: source.clone().map(|address| {
                Box::new(messaging::Source { address, ..messaging::Source::default() })
            }),
            target: target.clone().map(|address| {
                let target = messaging::Target { address, ..messaging::Target::default() };
                Box::new(TargetArchetype::Target(target))
            }),
            unsettled: None,
            incomplete_unsettled: false,
            initial_delivery_count: Some(count),
            max_message_size,
            offered_capabilities: None,
            desired_capabilities: None,
            properties,
        };
        let terminus = |value: Option<Value<'_>>, is_source: bool, address: &Option<Option<String>>| {
            let wanted = address.as_ref().map(|address| match is_source {
                true => Terminus::Source(address.as_deref()),
                false => Terminus::Target(address.as_deref()),
            });
            value.and_then(|value| Terminus::of(value).unwrap()) == wanted
        };
        agree(&theirs, |ours| matches!(ours, Performative::Attach(ours)
            if ours.name == theirs.name
                && ours.handle == handle
                && ours.role == role(is_receiver)
                // They leave out what is the default.
                && ours.snd_settle_mode.unwrap_or(2) == modes.0
                && ours.rcv_settle_mode.unwrap_or(0) == modes.1
                && ours.initial_delivery_count == Some(count)
                && ours.max_message_size == max_message_size
                && terminus(ours.source, true, &source)
                && terminus(ours.target, false, &target)
                && is_same_map(ours.properties, theirs.properties.as_ref())))?;
    }

    #[test]
    fn flow_is_the_same_to_both(
        [incoming_window, next_outgoing_id, outgoing_window, next_incoming_id] in numbers(),
        [handle, delivery_count, link_credit, available] in maybe_numbers(),
        (begun, drain, echo) in any::<(bool, bool, bool)>(),
    ) {
        let next_incoming_id = begun.then_some(next_incoming_id);
        let theirs = theirs::Flow {
            next_incoming_id,
            incoming_window,
            next_outgoing_id,
            outgoing_window,
            handle: handle.map(Handle),
            delivery_count,
            link_credit,
            available,
            drain,
            echo,
            properties: None,
        };
        let ours = Flow {
            next_incoming_id,
            incoming_window,
            next_outgoing_id,
            outgoing_window,
            handle,
            delivery_count,
            link_credit,
            available,
            drain,
            echo,
        };
        agree(&theirs, |found| *found == Performative::Flow(ours))?;
    }

    #[test]
    fn transfer_is_the_same_to_both(
        [delivery_id, message_format, _, _] in maybe_numbers(),
        handle in any::<u32>(),
        tag in option::of(vec(any::<u8>(), 0..32)),
        settled in option::of(any::<bool>()),
        (more, resume, aborted) in any::<(bool, bool, bool)>(),
        second in option::of(any::<bool>()),
    ) {
        let theirs = theirs::Transfer {
            handle: Handle(handle),
            delivery_id,
            delivery_tag: tag.clone().map(Into::into),
            message_format,
            settled,
            more,
            rcv_settle_mode: second.map(|second| match second {
                false => ReceiverSettleMode::First,
                true => ReceiverSettleMode::Second,
            }),
            state: None,
            resume,
            aborted,
            batchable: false,
        };
        let ours = Transfer {
            handle,
            delivery_id,
            delivery_tag: tag.as_deref(),
            message_format,
            settled,
            more,
            rcv_settle_mode: second.map(u8::from),
            resume,
            aborted,
            ..Transfer::default()
        };
        agree(&theirs, |found| *found == Performative::Transfer(ours, b""))?;
    }

    #[test]
    fn disposition_is_the_same_to_both(
        [first, last, _, _] in numbers(),
        (is_receiver, one, settled) in any::<(bool, bool, bool)>(),
        state in 0..5,
        error in option::of(error()),
    ) {
        let state = match state {
            0 => None,
            1 => Some(DeliveryState::Accepted(messaging::Accepted {})),
            2 => Some(DeliveryState::Rejected(messaging::Rejected { error: error.clone() })),
            3 => Some(DeliveryState::Released(messaging::Released {})),
            _ => Some(DeliveryState::Received(messaging::Received {
                section_number: first,
                section_offset: last.into(),
            })),
        };
        let theirs = theirs::Disposition {
            role: their_role(is_receiver),
            first,
            last: one.then_some(last),
            settled,
            state,
            batchable: false,
        };
        agree(&theirs, |ours| matches!(ours, Performative::Disposition(ours)
            if ours.role == role(is_receiver)
                && ours.first == first
                && ours.last == theirs.last
                && ours.settled == settled
                && match (&ours.state, &theirs.state) {
                    (None, None)
                    | (Some(super::Outcome::Accepted), Some(DeliveryState::Accepted(_))) => true,
                    (Some(super::Outcome::Rejected(ours)), Some(DeliveryState::Rejected(_))) => {
                        is_same_error(ours.as_ref(), error.as_ref())
                    }
                    (Some(super::Outcome::Other(ours)), Some(theirs)) => {
                        encoded(|writer| writer.value(ours)) == to_vec(theirs).unwrap()
                    }
                    _ => false,
                }))?;
    }

    #[test]
    fn detach_end_and_close_are_the_same_to_both(
        handle in any::<u32>(),
        closed in any::<bool>(),
        error in option::of(error()),
    ) {
        let detach = theirs::Detach { handle: Handle(handle), closed, error: error.clone() };
        agree(&detach, |ours| matches!(ours, Performative::Detach(ours)
            if ours.handle == handle
                && ours.closed == closed
                && is_same_error(ours.error.as_ref(), error.as_ref())))?;
        agree(&theirs::End { error: error.clone() }, |ours| matches!(ours, Performative::End(ours)
            if is_same_error(ours.error.as_ref(), error.as_ref())))?;
        agree(&theirs::Close { error: error.clone() }, |ours| matches!(ours, Performative::Close(ours)
            if is_same_error(ours.error.as_ref(), error.as_ref())))?;
    }

    #[test]
    fn sasl_is_the_same_to_both(
        names in vec("[A-Z0-9-]{1,20}", 1..20),
        response in option::of(vec(any::<u8>(), 0..300)),
        code in 0_u8..5,
    ) {
        fn same<T: Serialize + DeserializeOwned + Debug>(theirs: &T, ours: &SaslFrame<'_>) -> Outcome {
            let bytes = to_vec(theirs).unwrap();
            let read = SaslFrame::read(&bytes).unwrap();
            prop_assert!(read == *ours || matches!(ours, SaslFrame::Mechanisms(_)), "{read:?}");
            for frame in [&read, ours] {
                let written = encoded(|writer| frame.put(writer));
                let back: T = from_slice(&written).unwrap();
                prop_assert_eq!(format!("{back:?}"), format!("{theirs:?}"));
            }
            Ok(())
        }
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
        let properties: Vec<(String, SimpleValue)> = pairs
            .iter()
            .map(|(key, value)| (key.clone(), SimpleValue::String(value.clone())))
            .collect();
        let message = messaging::Message {
            header: Some(messaging::Header::default()),
            delivery_annotations: None,
            message_annotations: None,
            properties: Some(Properties {
                message_id: id.clone().map(TheirId::String),
                correlation_id: correlation.map(TheirId::Ulong),
                ..Properties::default()
            }),
            application_properties: Some(ApplicationProperties(properties.into_iter().collect())),
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
