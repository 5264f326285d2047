//! Who is at the other end of a connection, as far as the handshake tells.

use std::net::IpAddr;
use std::sync::Arc;

use dps_core::access::Ingress;
use rustls_pki_types::CertificateDer;

/// The other end of a connection. Nothing of it but the address and the possession of the leaf's
/// key is proven.
///
/// Cheap to clone: an HTTP service gets one with each request.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it calls from, as the socket has it; an IPv4 address is never written as an IPv6 one.
    pub address: IpAddr,
    /// The door it came through, as its [`Listener`](crate::Listener) has it.
    pub ingress: Ingress,
    /// The host name it asked for (SNI), in lower case; devices may ask for none.
    pub server_name: Option<Arc<str>>,
    /// The certificates it sent, leaf first, unjudged; empty if it sent none.
    ///
    /// The handshake has proven that the peer holds the key of the leaf. TLS bounds the whole to
    /// 64 KiB. A chain longer than [`MAX_CHAIN`](dps_core::attest::MAX_CHAIN) is passed on: the core
    /// refuses it with an answer and a trace, where an alert would tell nobody why.
    pub chain: Arc<[CertificateDer<'static>]>,
}

impl Peer {
    /// A peer that showed nothing but its address.
    #[must_use]
    pub fn anonymous(address: IpAddr) -> Self {
        Self {
            address: address.to_canonical(),
            ingress: Ingress::Public,
            server_name: None,
            chain: Arc::from([]),
        }
    }
}
