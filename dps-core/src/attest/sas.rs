//! stub, replaced by the attest part
/// stub
pub const MAX_TOKEN_BYTES: usize = 1024;
/// stub
#[derive(Debug, thiserror::Error)]
#[error("x")]
pub struct SasError;
/// stub
#[derive(Debug)]
pub struct SasToken;
