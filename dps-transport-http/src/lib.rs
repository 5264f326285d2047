//! The HTTPS front of an embeddable device provisioning service.

pub mod service;
