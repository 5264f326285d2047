//! Many operators who write the same list at once, and what they are told of it.

mod bulk;
mod entries;
mod groups;
mod import;
mod kept;
mod lists;
mod model;
mod quotas;
mod races;
mod removal;

use dps_core::admin::{Admin, AdminError, EntryId, Precondition, Revision};
use dps_core::enrollment::{AttestationDraft, CertificateDraft, Draft, Enrollment, Slots, Subject};
use dps_core::id::{GroupId, RegistrationId, SecretBytes};
use dps_core::time::Timestamp;
use dps_testkit::certs::Ca;
use dps_testkit::run::block_on;

use crate::common::*;

type Written = Result<Revision<Enrollment>, AdminError>;

pub fn device(id: &str) -> EntryId {
    EntryId::Individual(RegistrationId::parse(id).unwrap())
}

pub fn group_id(id: &str) -> EntryId {
    EntryId::Group(GroupId::parse(id).unwrap())
}

pub fn draft(id: &EntryId, attestation: AttestationDraft) -> Draft {
    let subject = match id {
        EntryId::Individual(id) => Subject::Individual {
            registration: id.clone(),
            device: None,
            information: None,
        },
        EntryId::Group(id) => Subject::Group { id: id.clone() },
    };
    Draft::new(subject, attestation, Timestamp(0))
}

/// By symmetric keys that are not said.
pub fn unsaid(id: &EntryId) -> Draft {
    keyed(id, None, None)
}

pub fn keyed(id: &EntryId, primary: Option<u8>, secondary: Option<u8>) -> Draft {
    let (primary, secondary) = (primary.map(key), secondary.map(key));
    draft(id, AttestationDraft::SymmetricKey { primary, secondary })
}

pub fn signed(id: &EntryId, primary: Option<&Ca>, secondary: Option<&Ca>) -> Draft {
    let given = |ca: &Ca| CertificateDraft::Given(certificate(ca));
    let (primary, secondary) = (primary.map(given), secondary.map(given));
    draft(id, AttestationDraft::Signing(Slots { primary, secondary }))
}

pub fn write(admin: &Admin, draft: &Draft, precondition: Precondition, now: u64) -> Written {
    block_on(admin.write_entry(draft.clone(), precondition, Timestamp(now)))
}

pub fn create(admin: &Admin, draft: &Draft) -> Written {
    write(admin, draft, Precondition::Absent, 1)
}

pub fn remove(admin: &Admin, id: &EntryId, precondition: Precondition) -> Result<(), AdminError> {
    block_on(admin.remove_entry(id, precondition))
}

pub fn read(admin: &Admin, id: &EntryId) -> Option<Revision<Enrollment>> {
    block_on(admin.entry(id)).unwrap()
}

/// Both keys of an entry.
pub fn keys_of(entry: &Enrollment) -> [SecretBytes; 2] {
    match &entry.attestation {
        dps_core::enrollment::Attestation::SymmetricKey { primary, secondary } => {
            [primary.clone(), secondary.clone()]
        }
        other => panic!("{other:?}"),
    }
}

/// A word for what became of it.
pub fn word<T>(done: &Result<T, AdminError>) -> &'static str {
    match done {
        Ok(_) => "done",
        Err(AdminError::Invalid(_)) => "invalid",
        Err(AdminError::NotFound) => "not found",
        Err(AdminError::Exists) => "exists",
        Err(AdminError::Changed) => "changed",
        Err(AdminError::Duplicate(_)) => "duplicate",
        Err(AdminError::Full { .. }) => "full",
        Err(error) => panic!("{error}"),
    }
}
