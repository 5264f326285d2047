//! What is said in frames.

use fe2o3_amqp_types::definitions::{
    Error, ErrorCondition, Fields, Handle, ReceiverSettleMode, Role as TheirRole,
};
use fe2o3_amqp_types::messaging::{DeliveryState, TargetArchetype};
use fe2o3_amqp_types::performatives as theirs;

use super::*;

/// What they write is read by us as `ours`, and what we write of it is the same to them.
fn agree<T>(theirs: &T, ours: impl FnOnce(&Performative<'_>) -> bool) -> Result<(), TestCaseError>
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
                    | (Some(Outcome::Accepted), Some(DeliveryState::Accepted(_))) => true,
                    (Some(Outcome::Rejected(ours)), Some(DeliveryState::Rejected(_))) => {
                        is_same_error(ours.as_ref(), error.as_ref())
                    }
                    (Some(Outcome::Other(ours)), Some(theirs)) => {
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
}
