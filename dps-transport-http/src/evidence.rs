//! What a request shows for itself.

use std::sync::Arc;

use dps_core::attest::Evidence;
use dps_transport::Peer;
use http::HeaderMap;
use http::header::AUTHORIZATION;

const SCHEME: &str = "SharedAccessSignature ";

/// A token goes before the connection's certificate. Credentials of any other kind are none, also
/// beside a certificate: whoever sends them means something that we cannot judge.
pub(crate) fn evidence(headers: &HeaderMap, peer: &Peer) -> Option<Evidence> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        let chain = Arc::clone(&peer.chain);
        return (!chain.is_empty()).then_some(Evidence::X509 { chain });
    };
    let token = value.to_str().ok().filter(|_| given.next().is_none())?;
    let scheme = token.get(..SCHEME.len())?;
    scheme.eq_ignore_ascii_case(SCHEME).then(|| Evidence::Sas {
        token: token.to_owned(),
    })
}
