//! Why bytes are not a packet.

/// Why bytes are not a packet, or not one that is taken. The connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("a packet of a kind that devices do not send, or that is not supported")]
    Kind,
    #[error("reserved bits of the packet are used")]
    Reserved,
    #[error("the length of the packet takes more than four bytes")]
    Length,
    #[error("the packet is larger than is taken")]
    TooLarge,
    #[error("the first packet is not CONNECT")]
    NotConnect,
    #[error("a protocol other than MQTT 3.1.1")]
    Protocol,
    #[error("the packet ends before its fields do")]
    Short,
    #[error("the packet goes on after its fields")]
    Long,
    #[error("a text is not UTF-8, or has a null character in it")]
    Text,
    #[error("a quality of service that does not exist")]
    QoS,
    #[error("a packet identifier of 0")]
    Id,
    #[error("a topic that nobody can publish to")]
    Topic,
    #[error("a subscription to nothing")]
    Filters,
    #[error("flags that contradict each other")]
    Flags,
}
