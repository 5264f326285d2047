//! A tenant's configuration as one consistent, resolved value.
//!
//! Cached with the version of the scope's epoch record, which every change of configuration
//! rewrites and every request reads along with the device's own records: a change counts from the
//! next request, at no extra round trip.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::certificate::Certificate;
use crate::enrollment::{Attestation, Enrollment, Slots, X509Attestation};
use crate::id::{GroupId, IdScope, SecretBytes};
use crate::instance::{CaCertificate, Instance};
use crate::record::{
    decode_certificate, decode_enrollment, decode_instance, decode_nonce_key, epoch_key,
    instance_key, nonce_key_key,
};
use crate::store::{Scan, Store, StoreError, Table, Version, Versioned};

/// Everything in the configuration of one scope.
#[derive(Debug)]
pub(crate) struct Snapshot {
    pub(crate) epoch: Version,
    pub(crate) instance: Instance,
    /// What challenges are made from.
    pub(crate) nonce_key: Option<SecretBytes>,
    pub(crate) anchors: Vec<Certificate>,
    groups: Vec<Group>,
    by_thumbprint: BTreeMap<[u8; 32], Vec<usize>>,
    known: BTreeMap<[u8; 32], Certificate>,
    by_subject: BTreeMap<Box<[u8]>, Vec<usize>>,
    symmetric: Vec<usize>,
}

/// An enrollment group, names of certificates resolved.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) id: GroupId,
    pub(crate) enrollment: Arc<Enrollment>,
}

impl Snapshot {
    /// Reads the configuration of `scope`; `None` if it has no instance.
    ///
    /// Reading is not atomic, so the epoch is compared before and after.
    pub(crate) async fn load(
        store: &dyn Store,
        scope: &IdScope,
    ) -> Result<Option<Self>, StoreError> {
        let keys = [epoch_key(scope), instance_key(scope), nonce_key_key(scope)];
        for _ in 0..8 {
            let mut found = store.get_many(&keys).await?.into_iter();
            let (Some(Some(before)), Some(Some(instance))) = (found.next(), found.next()) else {
                return Ok(None);
            };
            let mut instance = decode_instance(&instance.value)?;
            let nonce_key = found.next().flatten();
            let nonce_key = nonce_key.map(|stored| decode_nonce_key(&stored.value));
            let nonce_key = nonce_key.transpose()?;
            instance.certificates =
                all(store, scope, Table::Certificate, decode_certificate).await?;
            let groups = all(store, scope, Table::Group, decode_enrollment).await?;
            let after = store.get_many(&keys[..1]).await?;
            if after
                .first()
                .and_then(Option::as_ref)
                .map(|epoch| epoch.version)
                == Some(before.version)
            {
                return Ok(Some(Self::new(before.version, instance, nonce_key, groups)));
            }
        }
        Err(StoreError::Unavailable(
            "the configuration does not stop changing".into(),
        ))
    }

    fn new(
        epoch: Version,
        instance: Instance,
        nonce_key: Option<SecretBytes>,
        entries: Vec<Enrollment>,
    ) -> Self {
        let verified = instance.certificates.iter().filter(|entry| entry.verified);
        let anchors = verified.map(|entry| entry.certificate.clone()).collect();
        let mut groups = Vec::new();
        let mut by_thumbprint: BTreeMap<_, Vec<_>> = BTreeMap::new();
        let mut known: BTreeMap<_, _> = instance.certificates.iter().map(by_hash).collect();
        let mut by_subject: BTreeMap<Box<[u8]>, Vec<_>> = BTreeMap::new();
        let mut symmetric = Vec::new();
        for mut entry in entries {
            let Some(id) = entry.group().cloned() else {
                continue;
            };
            resolve(&mut entry.attestation, &instance.certificates);
            let nth = groups.len();
            match &entry.attestation {
                Attestation::SymmetricKey { .. } => symmetric.push(nth),
                Attestation::X509(X509Attestation::Signing(slots)) => {
                    for certificate in slots.iter() {
                        known.insert(*certificate.thumbprint(), certificate.clone());
                        let named = by_thumbprint.entry(*certificate.thumbprint()).or_default();
                        if named.last() != Some(&nth) {
                            named.push(nth);
                        }
                        let named = by_subject.entry(certificate.subject().into()).or_default();
                        if named.last() != Some(&nth) {
                            named.push(nth);
                        }
                    }
                }
                Attestation::X509(_) | Attestation::Tpm { .. } => {}
            }
            groups.push(Group {
                id,
                enrollment: Arc::new(entry),
            });
        }
        // Where several entries could answer, a disabled one refuses, so those are asked first.
        let disabled_first = |list: &mut Vec<usize>| {
            list.sort_by_key(|nth| {
                groups
                    .get(*nth)
                    .is_some_and(|group| group.enrollment.enabled)
            });
        };
        by_thumbprint.values_mut().for_each(disabled_first);
        by_subject.values_mut().for_each(disabled_first);
        disabled_first(&mut symmetric);
        Self {
            epoch,
            instance,
            nonce_key,
            anchors,
            groups,
            by_thumbprint,
            known,
            by_subject,
            symmetric,
        }
    }

    pub(crate) fn group(&self, id: &GroupId) -> Option<&Group> {
        self.groups.iter().find(|group| group.id == *id)
    }

    /// Groups with symmetric keys. A device names none, so all have to be tried.
    pub(crate) fn symmetric_groups(&self) -> impl Iterator<Item = &Group> {
        self.symmetric
            .iter()
            .filter_map(|nth| self.groups.get(*nth))
    }

    /// Groups that name the certificate with this SHA-256.
    pub(crate) fn groups_naming(&self, thumbprint: &[u8; 32]) -> impl Iterator<Item = &Group> {
        let named = self
            .by_thumbprint
            .get(thumbprint)
            .map_or(&[][..], Vec::as_slice);
        named.iter().filter_map(|nth| self.groups.get(*nth))
    }

    /// A certificate of the configuration, by its SHA-256: devices send theirs along, and it need
    /// not be read again.
    pub(crate) fn known(&self, thumbprint: &[u8; 32]) -> Option<&Certificate> {
        self.known.get(thumbprint)
    }

    /// Groups with a certificate of this subject.
    pub(crate) fn groups_of_subject(&self, subject: &[u8]) -> impl Iterator<Item = &Group> {
        let named = self.by_subject.get(subject).map_or(&[][..], Vec::as_slice);
        named.iter().filter_map(|nth| self.groups.get(*nth))
    }
}

fn by_hash(entry: &CaCertificate) -> ([u8; 32], Certificate) {
    (*entry.certificate.thumbprint(), entry.certificate.clone())
}

/// Puts certificates in the place of their names. A name that leads nowhere leaves its slot empty;
/// if none leads anywhere, the names stay and nobody is accepted.
pub(crate) fn resolve(attestation: &mut Attestation, certificates: &[CaCertificate]) {
    let Attestation::X509(X509Attestation::CaReferences(names)) = attestation else {
        return;
    };
    let find = |name: &Option<Arc<str>>| {
        let name = name.as_ref()?;
        let entry = certificates
            .iter()
            .find(|entry| entry.name.eq_ignore_ascii_case(name))?;
        Some(entry.certificate.clone())
    };
    let slots = Slots {
        primary: find(&names.primary),
        secondary: find(&names.secondary),
    };
    if slots.iter().next().is_some() {
        *attestation = Attestation::X509(X509Attestation::Signing(slots));
    }
}

/// All records of a table, in the order of their ids.
pub(crate) async fn all<T>(
    store: &dyn Store,
    scope: &IdScope,
    table: Table,
    decode: impl Fn(&[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut scan = Scan {
        scope: scope.clone(),
        table,
        prefix: "".into(),
        after: None,
        limit: 200,
    };
    let mut entries = Vec::new();
    loop {
        let page = store.scan(&scan).await?;
        for (_, Versioned { value, .. }) in &page.records {
            entries.push(decode(value)?);
        }
        match page.records.last() {
            Some((last, _)) if page.more => scan.after = Some(Arc::clone(last)),
            _ => return Ok(entries),
        }
    }
}

/// An individual enrollment as stored, with names of certificates resolved.
pub(crate) fn individual(
    snapshot: &Snapshot,
    stored: &Versioned,
) -> Result<Arc<Enrollment>, StoreError> {
    let mut entry = decode_enrollment(&stored.value)?;
    resolve(&mut entry.attestation, &snapshot.instance.certificates);
    Ok(Arc::new(entry))
}
