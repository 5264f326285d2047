//! TLS as devices need it: any certificate is heard, none is judged, and its key is proven.

mod config;
mod error;
mod possession;
mod provider;

pub use self::config::ServerTls;
pub use self::error::TlsError;
pub use self::provider::{CipherOrder, TlsProvider};
