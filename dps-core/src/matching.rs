//! Which enrollments may answer for a caller. Pure.
//!
//! An individual enrollment, if there is one, is the only candidate, disabled or not, whatever the
//! caller shows: that is how one member of a group is blocked. This file is about the groups.

use std::sync::Arc;

use crate::attest::{Evidence, x509};
use crate::certificate::Certificate;
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
    for certificate in walk.iter().skip(1) {
        let named: Vec<_> = snapshot.groups_naming(certificate).collect();
        if !named.is_empty() {
            note(&named, certificate.subject_text(), trace);
            return named;
        }
    }
    // The last issuer may be left out of the chain: then its name leads to it.
    let Some(last) = walk.last().filter(|last| !last.is_self_issued()) else {
        return Vec::new();
    };
    let named: Vec<_> = snapshot.groups_of_subject(last.issuer()).collect();
    note(
        &named,
        &"the issuer that the chain leaves out".into(),
        trace,
    );
    named
}

fn note(named: &[&Group], certificate: &Arc<str>, trace: &mut Trace) {
    for group in named.iter().take(4) {
        trace.push(Step::GroupNamed {
            group: Arc::clone(group.id.folded()),
            certificate: Arc::clone(certificate),
        });
    }
}
