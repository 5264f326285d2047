//! stub, replaced by the attest part
use super::{AttestError, AttestRequest};
use crate::certificate::Certificate;
use crate::enrollment::Slots;
use crate::hub::DeviceAuth;
/// stub
#[derive(Debug, Default)]
pub(super) struct KnownIssuers;
pub(super) fn verify_leaf(
    request: &AttestRequest<'_>,
    slots: &Slots<Certificate>,
) -> Result<DeviceAuth, AttestError> {
    let _ = (request, slots);
    Err(AttestError::mismatch("stub"))
}
pub(super) fn verify_group(
    request: &AttestRequest<'_>,
    slots: &Slots<Certificate>,
    issuers: &KnownIssuers,
) -> Result<DeviceAuth, AttestError> {
    let _ = (request, slots, issuers);
    Err(AttestError::mismatch("stub"))
}

pub(crate) fn walk(chain: &[Certificate]) -> Result<Vec<&Certificate>, AttestError> {
    Ok(chain.iter().collect())
}
