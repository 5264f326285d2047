//! stub
#[derive(Debug)]
pub(crate) struct Proven;
