//! Why a registration came to nothing.

use std::io;

use serde_json::Value;

/// Why a registration came to nothing.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The host is neither a name nor an address.
    #[error("the service's host is neither a name nor an address")]
    Host,
    /// The connection could not be made, or broke. Try again.
    #[error("no connection with the service")]
    Io(#[from] io::Error),
    /// TLS cannot be spoken.
    #[error("no TLS with the service")]
    Tls(#[from] rustls::Error),
    /// HTTP went wrong. Try again.
    #[error("no HTTP with the service")]
    Http(#[from] hyper::Error),
    /// The service opens no WebSocket for AMQP.
    #[error("no WebSocket with the service")]
    WebSocket(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// AMQP went wrong, or the service refused a link. Try again, with the same keys.
    #[error("no AMQP with the service")]
    Amqp(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The TPM did not do what the service's answer asked for.
    #[error(transparent)]
    Tpm(#[from] crate::Error),
    /// The service does not know this device, does not believe it, or has no time.
    #[error("the service refuses: {status} {body}")]
    Refused {
        /// In the words of HTTP: 401 if it does not know or believe it; 429 and 5xx if it has no time.
        status: u16,
        /// What it said; null if nothing.
        body: Value,
    },
    /// The service knows the device and could not find it a hub. The operator can tell.
    #[error("the registration failed: {message}")]
    Failed {
        /// Six digits that say why.
        code: Option<u64>,
        /// The same in words.
        message: String,
    },
    /// An operator has disabled the device's enrollment.
    #[error("the enrollment is disabled")]
    Disabled,
    /// The service's answer lacks something.
    #[error("the service's answer has no {0}")]
    Missing(&'static str),
    /// Something in the service's answer is not what it must be.
    #[error("the {0} of the service's answer cannot be read")]
    Unreadable(&'static str),
}
