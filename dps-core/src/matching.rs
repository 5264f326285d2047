//! Which enrollments may answer for a caller. Pure.
//!
//! An individual enrollment, if there is one, is the only candidate, disabled or not, whatever the
//! caller shows: that is how one member of a group is blocked. This file is about the groups.

use std::sync::Arc;

use crate::attest::{Evidence, x509};
use crate::certificate::Certificate;
use crate::enrollment::Attestation;
use crate::id::GroupId;
use crate::snapshot::{Group, Snapshot};
use crate::trace::{Step, Trace};

/// The groups that may answer, in the order in which they are to be asked; the first that accepts
/// decides.
///
/// * `chain`: the evidence's certificates, parsed; empty for other evidence.
///
/// For a certificate: the groups that name the certificate nearest to the leaf, and only those. For
/// a token, which names none, every group with symmetric keys.
///
/// # Source
/// "Create a group enrollment … the most specific" in *X.509 certificate attestation*; *How to
/// disenroll or revoke device*: a disabled group nearer to the leaf blocks its branch.
pub(crate) fn groups<'s>(
    snapshot: &'s Snapshot,
    evidence: &Evidence,
    chain: &[Certificate],
    trace: &mut Trace,
) -> Vec<&'s Group> {
    let found = match evidence {
        Evidence::Sas { .. } => snapshot.symmetric_groups().collect(),
        Evidence::X509 { .. } => by_chain(snapshot, chain, trace),
        // A TPM is enrolled by itself.
        Evidence::Tpm { .. } => Vec::new(),
    };
    if found.is_empty() {
        trace.push(Step::NoGroup);
    }
    found
}

fn by_chain<'s>(
    snapshot: &'s Snapshot,
    chain: &[Certificate],
    trace: &mut Trace,
) -> Vec<&'s Group> {
    let walk = match x509::walk(chain) {
        Ok(walk) => walk,
        Err(error) => {
            trace.push(Step::BadChain {
                because: error.to_string().into(),
            });
            return Vec::new();
        }
    };
    let (by, named) = Issuers::of(&walk).named(snapshot);
    let by = by.and_then(|above| walk.get(above + 1));
    let by = by.map_or_else(
        || "the issuer that the chain leaves out".into(),
        |certificate| Arc::clone(certificate.subject_text()),
    );
    note(&named, &by, trace);
    named
}

/// Who stands above a leaf: all of a chain that decides which groups may answer, and small enough to be
/// kept as long as a connection.
#[derive(Debug, Default)]
pub(crate) struct Issuers {
    /// SHA-256 of each certificate, upwards.
    thumbprints: Box<[[u8; 32]]>,
    /// The name of the last issuer, if it was left out of the chain.
    left_out: Option<Box<[u8]>>,
}

impl Issuers {
    fn of(walk: &[&Certificate]) -> Self {
        let above = walk.iter().skip(1);
        let last = walk.last().filter(|last| !last.is_self_issued());
        Self {
            thumbprints: above.map(|certificate| *certificate.thumbprint()).collect(),
            left_out: last.map(|last| last.issuer().into()),
        }
    }

    /// Of nobody, if the chain leads nowhere.
    pub(crate) fn above(chain: &[Certificate]) -> Self {
        x509::walk(chain).map_or_else(|_| Self::default(), |walk| Self::of(&walk))
    }

    /// The groups that name the nearest of them, and which it is; `None` if it was left out.
    fn named<'s>(&self, snapshot: &'s Snapshot) -> (Option<usize>, Vec<&'s Group>) {
        for (above, thumbprint) in self.thumbprints.iter().enumerate() {
            let named: Vec<_> = snapshot.groups_naming(thumbprint).collect();
            if !named.is_empty() {
                return (Some(above), named);
            }
        }
        let left_out = self.left_out.iter();
        let named = left_out.flat_map(|name| snapshot.groups_of_subject(name));
        (None, named.collect())
    }
}

/// The groups that are asked before `owner` about a device of `owner`, and could know it.
///
/// * `issuers`: of the device's certificate; `None` if it has proven itself with a key.
///
/// `None` if `owner` is not asked at all. As long as the answer stays the same, so does the device's group.
pub(crate) fn before<'s>(
    snapshot: &'s Snapshot,
    owner: &GroupId,
    issuers: Option<&Issuers>,
) -> Option<Vec<&'s GroupId>> {
    let attestation = &snapshot.group(owner)?.enrollment.attestation;
    let asked = match issuers {
        Some(issuers) => issuers.named(snapshot).1,
        None => {
            let groups = snapshot.symmetric_groups();
            let alike =
                groups.filter(|group| share_a_key(&group.enrollment.attestation, attestation));
            alike.collect()
        }
    };
    let position = asked.iter().position(|group| group.id == *owner)?;
    Some(asked[..position].iter().map(|group| &group.id).collect())
}

fn share_a_key(one: &Attestation, other: &Attestation) -> bool {
    use Attestation::SymmetricKey;
    match (one, other) {
        (
            SymmetricKey { primary, secondary },
            SymmetricKey {
                primary: p,
                secondary: s,
            },
        ) => [primary, secondary].iter().any(|key| [p, s].contains(key)),
        _ => false,
    }
}

fn note(named: &[&Group], certificate: &Arc<str>, trace: &mut Trace) {
    for group in named.iter().take(4) {
        trace.push(Step::GroupNamed {
            group: Arc::clone(group.id.folded()),
            certificate: Arc::clone(certificate),
        });
    }
}
