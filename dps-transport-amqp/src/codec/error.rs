//! Why bytes are not AMQP.

/// Why bytes are not AMQP, or more of it than is taken. The connection is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DecodeError {
    #[error("a protocol other than AMQP 1.0, plain or with SASL")]
    Protocol,
    #[error("a frame that is shorter than its header")]
    FrameHeader,
    #[error("a frame that is larger than is taken")]
    FrameTooLarge,
    #[error("a frame of a kind that is not expected here")]
    FrameKind,
    #[error("the bytes end before the value does")]
    Short,
    #[error("the bytes go on after the value")]
    Long,
    #[error("a type that does not exist")]
    Code,
    #[error("a descriptor that is neither a number nor a symbol")]
    Descriptor,
    #[error("values inside values, too deep")]
    Depth,
    #[error("a count that the bytes cannot hold")]
    Count,
    #[error("a map with a key that has no value")]
    Map,
    #[error("a text that is not UTF-8, or a symbol that is not ASCII")]
    Text,
    #[error("a value that its type does not have")]
    Value,
    #[error("a field of another type than it must have")]
    Type,
    #[error("a field that must be there and is not")]
    Missing,
    #[error("a performative, or a section of a message, that is not known")]
    Unknown,
    #[error("a section of a message where it must not stand")]
    Section,
}

impl DecodeError {
    /// What the peer is told [2.8.15, 2.8.16].
    pub(crate) const fn condition(self) -> &'static str {
        match self {
            Self::Protocol | Self::FrameHeader | Self::FrameTooLarge | Self::FrameKind => {
                "amqp:connection:framing-error"
            }
            Self::Type | Self::Missing | Self::Value => "amqp:invalid-field",
            _ => "amqp:decode-error",
        }
    }
}
