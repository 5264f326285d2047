//! Groups of an import: few, and each compared with all others.

use super::{Import, Imported, Line, MAX_BYTES, MAX_RECORDS, Outcomes, put, quotas};
use crate::admin::{AdminError, ROUNDS, breathe, check};
use crate::crypto::Crypto;
use crate::enrollment::Enrollment;
use crate::instance::Quotas;
use crate::record::{decode_certificate, decode_enrollment, epoch_key, instance_key};
use crate::snapshot::all;
use crate::store::{StoreError, Table, Versioned};

impl Import {
    /// Groups. Each is compared with all others, so the epoch that was read is expected.
    pub(super) async fn groups(
        &mut self,
        mut open: Vec<Line>,
        crypto: &Crypto,
        outcomes: &mut Outcomes,
    ) -> Result<(), AdminError> {
        let mut lost = 0;
        while let Some(first) = open.first() {
            let shard = first.key.shard.clone();
            let now = &open[..open.len().min(MAX_RECORDS)];
            let (found, epoch, quotas) = self.look_at_groups(now).await?;
            let (store, scope) = (&*self.admin.store, &self.admin.scope);
            let mut known = all(store, scope, Table::Group, decode_enrollment).await?;
            let certificates = all(store, scope, Table::Certificate, decode_certificate).await?;
            let rehearsed = self.rehearsal.iter().flat_map(|so_far| &so_far.groups);
            rehearsed.for_each(|entry| replace(&mut known, entry.clone()));
            let mut writes = vec![self.admin.new_epoch(epoch.as_ref())];
            let (mut done, mut fresh, mut bytes) = (Vec::new(), Vec::new(), 0);
            for (line, found) in now.iter().zip(&found) {
                if bytes >= MAX_BYTES {
                    break;
                }
                let planned = self.plan(line, found.as_ref(), crypto).and_then(|planned| {
                    if let Some((_, entry)) = &planned {
                        check::alone(entry, &known, &certificates)?;
                        check::counted(entry, &known, quotas)?;
                    }
                    Ok(planned)
                });
                done.push(match planned {
                    Ok(Some((plan, entry))) => {
                        bytes += plan.value.len();
                        writes.push(plan.write(Table::Group));
                        replace(&mut known, entry.clone());
                        fresh.push(entry);
                        Ok(plan.becomes)
                    }
                    Ok(None) => Ok(Imported::Same),
                    Err(error) => Err(error),
                });
            }
            if let Some(so_far) = &mut self.rehearsal {
                let planned = fresh.into_iter();
                planned.for_each(|entry| replace(&mut so_far.groups, entry));
            } else if writes.len() > 1 {
                match self.admin.store.commit(&shard, &writes).await {
                    Ok(_) => breathe().await,
                    Err(StoreError::Conflict { .. }) if lost + 1 < ROUNDS => {
                        lost += 1;
                        continue;
                    }
                    Err(StoreError::Conflict { .. }) => return Err(AdminError::restless()),
                    Err(error) => return Err(error.into()),
                }
            }
            for (line, outcome) in open.drain(..done.len()).zip(done) {
                put(outcomes, line.nth, outcome);
            }
        }
        Ok(())
    }

    async fn look_at_groups(
        &self,
        lines: &[Line],
    ) -> Result<(Vec<Option<Versioned>>, Option<Versioned>, Quotas), AdminError> {
        let scope = &self.admin.scope;
        let mut keys = vec![epoch_key(scope), instance_key(scope)];
        keys.extend(lines.iter().map(|line| line.key.clone()));
        let mut found = self.admin.store.get_many(&keys).await?;
        let entries = found.split_off(2);
        let quotas = quotas(found.pop().flatten())?;
        Ok((entries, found.pop().flatten(), quotas))
    }
}

/// `entry` in the place of the group of its id, or beside the others.
fn replace(groups: &mut Vec<Enrollment>, entry: Enrollment) {
    match groups.iter_mut().find(|one| one.group() == entry.group()) {
        Some(before) => *before = entry,
        None => groups.push(entry),
    }
}
