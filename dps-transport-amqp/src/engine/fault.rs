//! What a peer did wrong.

use crate::codec::{DecodeError, ErrorInfo};

/// What a peer did wrong. It ends the session it was done in, or the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Fault {
    #[error(transparent)]
    Decode(#[from] DecodeError),
    #[error("{what}")]
    Connection {
        condition: &'static str,
        what: &'static str,
    },
    #[error("{what}")]
    Session {
        condition: &'static str,
        what: &'static str,
    },
}

impl Fault {
    pub(super) const IMPATIENT: Self = Self::Connection {
        condition: "amqp:not-implemented",
        what: "idle-time-out has to be a second or more",
    };

    /// A frame that must not come, or not now [2.8.16].
    pub(super) const fn connection(what: &'static str) -> Self {
        Self::Connection {
            condition: "amqp:connection:framing-error",
            what,
        }
    }

    pub(super) const fn session(condition: &'static str, what: &'static str) -> Self {
        Self::Session { condition, what }
    }

    pub(super) const fn is_of_session(self) -> bool {
        matches!(self, Self::Session { .. })
    }

    /// As the peer is told it.
    pub(super) const fn error(self) -> ErrorInfo<'static> {
        match self {
            Self::Decode(error) => ErrorInfo::new(error.condition(), None),
            Self::Connection { condition, what } | Self::Session { condition, what } => {
                ErrorInfo::new(condition, Some(what))
            }
        }
    }
}
