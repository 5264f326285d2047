//! Devices that prove themselves with a certificate. The handshake has shown that the caller holds
//! the leaf's key; here the certificate itself is judged.

mod known;
#[cfg(all(test, feature = "aws-lc"))]
pub(crate) mod testing;

use rustls_pki_types::CertificateDer;
use webpki::{EndEntityCert, KeyUsage};

pub(super) use self::known::KnownIssuers;
use super::{AttestError, AttestRequest, MAX_CHAIN};
use crate::certificate::Certificate;
use crate::enrollment::Slots;
use crate::hub::DeviceAuth;
use crate::time::Timestamp;

/// Follows a chain by name: the leaf, its issuer, the issuer's issuer, in whatever order they were
/// presented.
///
/// * `chain`: the leaf first, as presented.
///
/// Returns the leaf and what was presented above it, upwards. The walk ends at a certificate that names itself
/// as its issuer, or where the next one was not presented. What is presented besides is ignored.
/// Names alone are followed; nothing of it is verified.
///
/// # Errors
/// [`AttestError::Mismatch`] if the next certificate is not certain: with two of one name, a decoy
/// could lead around the certificate of a disabled group. Also if there is no certificate, there are
/// too many, or the names go round in a circle.
pub(crate) fn walk(chain: &[Certificate]) -> Result<Vec<&Certificate>, AttestError> {
    let Some(leaf) = chain.first() else {
        return Err(AttestError::mismatch("no certificate was presented"));
    };
    if chain.len() > MAX_CHAIN {
        return Err(AttestError::mismatch(
            "too many certificates were presented",
        ));
    }
    let (mut walk, mut last) = (vec![leaf], leaf);
    while !last.is_self_issued() {
        let mut named = chain.iter().filter(|c| c.subject() == last.issuer());
        let Some(next) = named.next() else { break };
        if named.any(|other| other != next) {
            let because = "two certificates of one name were presented";
            return Err(AttestError::mismatch(because));
        }
        if walk.contains(&next) {
            let because = "the issuers in the chain go round in a circle";
            return Err(AttestError::mismatch(because));
        }
        walk.push(next);
        last = next;
    }
    Ok(walk)
}

/// Judges the caller of an individual enrollment: its certificate is one of the enrolled ones.
pub(super) fn verify_leaf(
    request: &AttestRequest<'_>,
    slots: &Slots<Certificate>,
) -> Result<DeviceAuth, AttestError> {
    let enrolled = slots.iter().map(Certificate::thumbprint);
    let Some((primary, secondary)) = both(enrolled) else {
        return Err(AttestError::mismatch("no certificate is enrolled"));
    };
    let Some(leaf) = request.chain.first() else {
        return Err(AttestError::mismatch("no certificate was presented"));
    };
    if !slots.iter().any(|enrolled| enrolled == leaf) {
        let because = "the certificate is not an enrolled one";
        return Err(AttestError::mismatch(because));
    }
    check_common_name(request, leaf)?;
    if !leaf.is_valid_at(request.now) {
        return Err(AttestError::expired(LEAF));
    }
    Ok(DeviceAuth::Thumbprints { primary, secondary })
}

/// Judges the caller of a group: its chain goes through one of the group's certificates (`slots`)
/// and ends at a verified certificate of the instance.
pub(super) fn verify_group(
    request: &AttestRequest<'_>,
    slots: &Slots<Certificate>,
    issuers: &KnownIssuers,
) -> Result<DeviceAuth, AttestError> {
    let walk = walk(request.chain)?;
    let leaf = walk[0];
    check_common_name(request, leaf)?;
    if leaf.authority().is_some() {
        return Err(AttestError::mismatch("the device's certificate is a CA's"));
    }
    let mut refusal = AttestError::mismatch("the chain ends at no verified certificate");
    for path in paths(request.anchors, slots, &walk)? {
        match verify_path(request, leaf, &path, issuers) {
            Ok(()) => {
                let (primary, secondary) = (*leaf.thumbprint(), *leaf.thumbprint());
                return Ok(DeviceAuth::Thumbprints { primary, secondary });
            }
            Err(_) if matches!(refusal, AttestError::Expired { .. }) => {}
            Err(e) => refusal = e,
        }
    }
    Err(refusal)
}

const LEAF: &str = "the device's certificate";

fn both<'a>(mut filled: impl Iterator<Item = &'a [u8; 32]>) -> Option<([u8; 32], [u8; 32])> {
    let first = filled.next()?;
    Some((*first, *filled.next().unwrap_or(first)))
}

fn check_common_name(request: &AttestRequest<'_>, leaf: &Certificate) -> Result<(), AttestError> {
    match leaf.common_name() {
        Some(name) if name.eq_ignore_ascii_case(request.registration.as_str()) => Ok(()),
        Some(_) => Err(AttestError::mismatch(
            "the certificate's common name is not the registration id",
        )),
        None => Err(AttestError::mismatch(
            "the certificate has no single common name",
        )),
    }
}

/// What lies above a leaf.
struct Path<'a> {
    /// From the leaf's issuer up to the one that the anchor issued. None of them names itself as its
    /// issuer, for a walk ends there.
    below: Vec<&'a Certificate>,
    anchor: &'a Certificate,
}

impl<'a> Path<'a> {
    /// The leaf's issuer first, the anchor last.
    fn upwards(&self) -> impl Iterator<Item = &'a Certificate> {
        self.below.iter().copied().chain([self.anchor])
    }
}

/// The ways from the leaf through a certificate of the group to an anchor. More than one only where
/// the last issuer was not presented and several certificates bear its name.
fn paths<'a>(
    anchors: &'a [Certificate],
    slots: &'a Slots<Certificate>,
    walk: &[&'a Certificate],
) -> Result<Vec<Path<'a>>, AttestError> {
    let above = &walk[1..];
    let nearest = above
        .iter()
        .position(|&presented| slots.iter().any(|signing| signing == presented));
    if let Some(nearest) = nearest {
        let end = (nearest..above.len()).find(|&at| anchors.contains(above[at]));
        return Ok(match end {
            Some(end) => vec![Path {
                below: above[..end].to_vec(),
                anchor: above[end],
            }],
            None => with_missing_anchor(anchors, above.to_vec()).collect(),
        });
    }
    let last = walk[walk.len() - 1];
    let mut found = Vec::new();
    for signing in slots.iter().filter(|signing| issued(signing, last)) {
        if anchors.contains(signing) {
            found.push(Path {
                below: above.to_vec(),
                anchor: signing,
            });
        } else {
            let below = above.iter().copied().chain([signing]).collect();
            found.extend(with_missing_anchor(anchors, below));
        }
    }
    if !slots.iter().any(|signing| issued(signing, last)) {
        let because = "no certificate of the group is in the chain";
        return Err(AttestError::mismatch(because));
    }
    Ok(found)
}

/// The anchors that may have issued the last of `below`.
fn with_missing_anchor<'a>(
    anchors: &'a [Certificate],
    below: Vec<&'a Certificate>,
) -> impl Iterator<Item = Path<'a>> {
    let last = below.last().copied();
    let named = anchors
        .iter()
        .filter(move |anchor| last.is_some_and(|last| issued(anchor, last)));
    named.map(move |anchor| Path {
        below: below.clone(),
        anchor,
    })
}

/// Whether the names say so, of two different certificates.
fn issued(issuer: &Certificate, issued: &Certificate) -> bool {
    !issued.is_self_issued() && issuer.subject() == issued.issuer()
}

/// Judges one path. That a certificate is outside its time is said of paths that hold otherwise: the
/// signatures are checked at the nearest moment at which all were valid.
fn verify_path(
    request: &AttestRequest<'_>,
    leaf: &Certificate,
    path: &Path<'_>,
    issuers: &KnownIssuers,
) -> Result<(), AttestError> {
    check_authorities(path)?;
    let moment = nearest_moment(request.now, path.upwards().chain([leaf]))?;
    let verify =
        |below: &[&Certificate], anchor| check_signatures(request, leaf, below, anchor, moment);
    let key = known::Key::of(request, &path.below, path.anchor);
    let remembered = key.as_ref().is_some_and(|key| issuers.contains(key));
    match path.below.first() {
        Some(issuer) if remembered => verify(&[], issuer)?,
        _ => verify(&path.below, path.anchor)?,
    }
    check_validity(request.now, leaf, path)?;
    if let Some(key) = key.filter(|_| !remembered) {
        issuers.insert(key);
    }
    Ok(())
}

/// That each may issue the next. webpki asks this of what lies below an anchor, but not of anchors.
fn check_authorities(path: &Path<'_>) -> Result<(), AttestError> {
    for (intermediates, certificate) in path.upwards().enumerate() {
        let Some(authority) = certificate.authority() else {
            return Err(AttestError::mismatch(
                "an issuer in the chain is no CA by its basic constraints, which need X.509 v3",
            ));
        };
        let allowed = authority.path_length.map(|length| length as usize);
        if allowed.is_some_and(|allowed| intermediates > allowed) {
            return Err(AttestError::mismatch(
                "the chain is longer than the path length of one of its issuers allows",
            ));
        }
    }
    Ok(())
}

/// The moment closest to `now` at which all of them were, or will be, valid.
fn nearest_moment<'a>(
    now: Timestamp,
    all: impl Iterator<Item = &'a Certificate>,
) -> Result<Timestamp, AttestError> {
    let (mut begin, mut end) = (Timestamp(0), Timestamp(u64::MAX));
    for certificate in all {
        begin = begin.max(certificate.not_before());
        end = end.min(certificate.not_after());
    }
    if begin > end {
        let because = "the certificates of the chain are never valid together";
        return Err(AttestError::mismatch(because));
    }
    // Certificates end with a whole second, which belongs to them to its last millisecond.
    Ok(if now.seconds() > end.seconds() {
        end
    } else {
        now.max(begin)
    })
}

fn check_validity(now: Timestamp, leaf: &Certificate, path: &Path<'_>) -> Result<(), AttestError> {
    let outside = |certificate: &Certificate| !certificate.is_valid_at(now);
    if outside(leaf) {
        return Err(AttestError::expired(LEAF));
    }
    if path.below.iter().any(|intermediate| outside(intermediate)) {
        return Err(AttestError::expired("an intermediate certificate"));
    }
    if outside(path.anchor) {
        let because = "the verified certificate at the end of the chain";
        return Err(AttestError::expired(because));
    }
    Ok(())
}

/// Signatures, purposes and constraints, from the leaf through all of `below` to `anchor`.
fn check_signatures(
    request: &AttestRequest<'_>,
    leaf: &Certificate,
    below: &[&Certificate],
    anchor: &Certificate,
    moment: Timestamp,
) -> Result<(), AttestError> {
    let leaf = EndEntityCert::try_from(leaf.der()).map_err(refusal)?;
    let anchors = [webpki::anchor_from_trusted_cert(anchor.der()).map_err(refusal)?];
    let intermediates: Vec<_> = below
        .iter()
        .map(|certificate| CertificateDer::from(certificate.der().as_ref()))
        .collect();
    let verified = leaf
        .verify_for_usage(
            request.crypto.signatures,
            &anchors,
            &intermediates,
            moment.unix(),
            KeyUsage::client_auth(),
            None,
            None,
        )
        .map_err(refusal)?;
    // webpki looks for a way of its own. Each name occurs once, so there is but this one; if there
    // were a shorter one, it could leave out the group's certificate.
    if verified.intermediate_certificates().count() != intermediates.len() {
        let because = "the chain leads past some of its own certificates";
        return Err(AttestError::mismatch(because));
    }
    Ok(())
}

fn refusal(error: webpki::Error) -> AttestError {
    use webpki::Error::*;
    AttestError::mismatch(match error {
        CertExpired { .. } | CertNotValidYet { .. } => {
            return AttestError::expired("a certificate of the chain");
        }
        InvalidSignatureForPublicKey => "a signature in the chain is wrong",
        UnknownIssuer => "the chain does not hold together",
        UnsupportedCertVersion => "a certificate of the chain is not of X.509 version 3",
        CaUsedAsEndEntity => "the device's certificate is a CA's",
        EndEntityUsedAsCa => "an issuer in the chain is no CA",
        PathLenConstraintViolated | MaximumPathDepthExceeded => "the chain is too long",
        RequiredEkuNotFoundContext(_) | EmptyEkuExtension => {
            "a certificate of the chain is not for client authentication"
        }
        NameConstraintViolation => "a name in the chain is not one that its issuer may certify",
        UnsupportedSignatureAlgorithmContext(_)
        | UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        | SignatureAlgorithmMismatch => "a signature in the chain is of a kind that is not taken",
        UnsupportedCriticalExtension => "a certificate has a critical extension that is not known",
        other => return AttestError::Malformed(Box::new(other)),
    })
}

#[cfg(all(test, feature = "aws-lc"))]
mod tests;
