//! What the device transports share: accepting connections, TLS, limits, and draining.
//!
//! A [`Listener`] accepts, finishes TLS, and hands each connection with its [`Peer`] to one
//! [`Protocol`]: HTTP, MQTT or AMQP. [`settle`] runs what a reply still owes. [`FailureLimit`] stands
//! in front of the [`DeviceApi`](dps_core::api::DeviceApi), [`Logging`] takes its events, and [`LoggedStore`] writes what its store could not do.
//!
//! ```
//! use std::error::Error;
//! use std::sync::Arc;
//!
//! use dps_transport::{Listener, Protocol, ServerTls, Tasks, TlsProvider, bind};
//!
//! # #[cfg(feature = "aws-lc")]
//! async fn serve(
//!     protocol: Arc<dyn Protocol>, // such as `dps_transport_http::Http`
//!     chain: &[u8],
//!     key: &[u8],
//!     tasks: Tasks, // `tasks.drain(bound)`, from anywhere, ends it
//! ) -> Result<(), Box<dyn Error>> {
//!     let tls = ServerTls::from_pem(&TlsProvider::aws_lc(), chain, key)?;
//!     let listener = Listener::new(tls, protocol, tasks).with_alpn(&["http/1.1"]);
//!     listener.serve(bind("[::]:443".parse()?)?).await?;
//!     Ok(())
//! }
//! ```
//!
//! It judges no certificate and knows no protocol. Whoever writes another transport implements
//! [`Protocol`], passes replies through [`settle`], and renders with [`device_json`]; for one that keeps a
//! connection, [`Conversation`] leaves reading, asking, writing and timers to [`Terms::hold`].
//!
//! # Features
//!
//! | feature | what it adds |
//! |---|---|
//! | `aws-lc` (default) | `TlsProvider::aws_lc`, with post-quantum key exchange |
//! | `fips` | AWS-LC in its FIPS build, for TLS and for `dps-core`: see [`dps_core::crypto`] |
//! | `ring` | `TlsProvider::ring` |
//!
//! With neither, [`TlsProvider::new`] takes a provider of one's own.
#![cfg_attr(
    test,
    allow(
        clippy::unwrap_used,
        clippy::panic,
        reason = "a test that fails says so"
    )
)]

mod conversation;
pub mod device_json;
mod failure_limit;
mod failures;
mod limits;
mod listener;
mod logged_store;
mod logging;
mod peer;
mod percent;
mod prefix;
mod protocol;
mod secured;
mod tasks;
mod tls;

pub use self::conversation::{ClockStamps, Conversation, Question, Stamp, Stamps, Terms, Verdict};
pub use self::failure_limit::FailureLimit;
pub use self::failures::Failures;
pub use self::limits::Limits;
pub use self::listener::{Listener, bind, bind_shared};
pub use self::logged_store::LoggedStore;
pub use self::logging::Logging;
pub use self::peer::Peer;
pub use self::percent::percent_decode;
pub use self::protocol::{ByteStream, Protocol, Timeouts};
pub use self::tasks::{Drained, Tasks, settle};
pub use self::tls::{CipherOrder, ServerTls, TlsError, TlsProvider};
