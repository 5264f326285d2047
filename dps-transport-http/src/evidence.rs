//! What a request shows for itself.

use std::sync::Arc;

use dps_core::attest::Evidence;
use dps_core::tpm::TpmKeys;
use dps_transport::Peer;
use http::HeaderMap;
use http::header::AUTHORIZATION;

const SCHEME: &str = "SharedAccessSignature ";

/// The keys of a TPM go before all else: without a token they ask for the challenge. A token goes before
/// the connection's certificate. Credentials of any other kind are none, also beside a certificate or the
/// keys of a TPM: whoever sends them means something that we cannot judge.
pub(crate) fn evidence(headers: &HeaderMap, tpm: Option<TpmKeys>, peer: &Peer) -> Option<Evidence> {
    let token = token(headers).ok()?;
    match (tpm, token) {
        (Some(keys), token) => Some(Evidence::Tpm { keys, token }),
        (None, Some(token)) => Some(Evidence::Sas { token }),
        (None, None) => {
            let chain = Arc::clone(&peer.chain);
            (!chain.is_empty()).then_some(Evidence::X509 { chain })
        }
    }
}

/// Credentials that we cannot judge.
struct Foreign;

fn token(headers: &HeaderMap) -> Result<Option<String>, Foreign> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let Some(value) = given.next() else {
        return Ok(None);
    };
    let alone = given.next().is_none();
    let token = value.to_str().ok().filter(|_| alone).ok_or(Foreign)?;
    match token.get(..SCHEME.len()) {
        Some(scheme) if scheme.eq_ignore_ascii_case(SCHEME) => Ok(Some(token.to_owned())),
        _ => Err(Foreign),
    }
}
