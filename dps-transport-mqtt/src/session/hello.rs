//! From CONNECT to who calls.

use std::sync::Arc;

use dps_core::api::{DeviceHello, Origin, Transport};
use dps_core::attest::Evidence;
use dps_core::id::ApiVersion;
use dps_transport::Peer;

use crate::packet::Connect;
use crate::user_name::UserName;

/// What CONNECT says about its sender.
#[derive(Debug)]
pub(crate) enum Hello {
    /// It names two devices, or none.
    Inconsistent,
    /// Its names are none that anybody can have: told like a wrong key.
    Nobody,
    Somebody(DeviceHello, ApiVersion),
}

/// Reads who calls. Whether its certificate bears the same name is the core's to judge.
pub(crate) fn hello(connect: &Connect<'_>, peer: &Peer, transport: Transport) -> Hello {
    let Some(name) = connect.user_name.and_then(UserName::read) else {
        return Hello::Inconsistent;
    };
    if !connect.client_id.eq_ignore_ascii_case(name.registration) {
        return Hello::Inconsistent;
    }
    let Some(claim) = name.claim() else {
        return Hello::Nobody;
    };
    let hello = DeviceHello {
        scope: claim.scope,
        registration: claim.registration,
        evidence: evidence(connect, peer),
        operation: None,
        origin: Origin {
            address: peer.address,
            ingress: peer.ingress.clone(),
            transport,
        },
    };
    Hello::Somebody(hello, claim.version)
}

/// A token goes before the connection's certificate, also if it is none: whoever sends a password
/// means it.
fn evidence(connect: &Connect<'_>, peer: &Peer) -> Option<Evidence> {
    let Some(password) = connect.password.filter(|password| !password.is_empty()) else {
        let chain = Arc::clone(&peer.chain);
        return (!chain.is_empty()).then_some(Evidence::X509 { chain });
    };
    let token = std::str::from_utf8(password).ok()?.to_owned();
    Some(Evidence::Sas { token })
}
