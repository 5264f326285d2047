//! Many entries at once, gathered: what a factory brings.
//!
//! Entries of one slot share a commit, and with it the count of the slot; groups share one, and with it
//! the epoch. Everything that a commit depends on is read first and expected by it, as for one entry.
//! Nothing remembers how far an import came: whoever was stopped imports the same again, and what is
//! there already is passed over.

mod groups;

use std::sync::Arc;

use bytes::Bytes;

use super::entries::{exactly, revision};
use super::{Admin, AdminError, EntryId, ROUNDS, breathe, check};
use crate::crypto::{Crypto, CryptoError};
use crate::enrollment::{Draft, Enrollment};
use crate::instance::Quotas;
use crate::record::{
    decode_instance, decode_tally, encode_enrollment, encode_tally, instance_key, tally_key,
    tally_keys,
};
use crate::store::{Change, Expect, Key, Shard, StoreError, Table, Versioned, Write};
use crate::time::Timestamp;

/// How many entries one commit writes at most. Our choice.
const MAX_RECORDS: usize = 512;

/// A commit that has so many bytes takes no more entries. Our choice: usual entries have 1 KiB.
const MAX_BYTES: usize = 2 << 20;

/// What happens to an entry that is there already and differs from the one that is brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Existing {
    /// It stays, and the one that is brought is refused: [`AdminError::Exists`].
    Keep,
    /// It is replaced.
    Replace,
}

/// What became of an entry that was brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Imported {
    /// It is new.
    Created,
    /// It has taken the place of another.
    Replaced,
    /// It was there already, the same in all but its dates: nothing was written.
    Same,
}

/// Brings in many entries, batch by batch. Made by [`Admin::import`].
#[derive(Debug)]
pub struct Import {
    admin: Admin,
    existing: Existing,
    now: Timestamp,
    rehearsal: Option<Rehearsal>,
}

/// What would be there by now.
#[derive(Debug, Default)]
struct Rehearsal {
    added: u64,
    groups: Vec<Enrollment>,
}

/// What became of each entry of a batch, in its order; `None` while that is open.
type Outcomes = [Option<Result<Imported, AdminError>>];

/// One entry of a batch.
struct Line {
    nth: usize,
    key: Key,
    draft: Draft,
}

/// An entry that is to be written.
struct Planned {
    nth: usize,
    id: Arc<str>,
    expect: Expect,
    value: Bytes,
    becomes: Imported,
}

impl Admin {
    /// Begins to bring in many entries, individual ones and groups, dated `now`.
    ///
    /// * `existing`: what happens to entries that are there already and differ.
    #[must_use]
    pub fn import(&self, existing: Existing, now: Timestamp) -> Import {
        Import {
            admin: self.clone(),
            existing,
            now,
            rehearsal: None,
        }
    }
}

impl Import {
    /// Writes nothing, and says what would become of each entry if nobody else wrote meanwhile.
    #[must_use]
    pub fn rehearsed(mut self) -> Self {
        self.rehearsal = Some(Rehearsal::default());
        self
    }

    /// Brings in `drafts`, of any number and in any order; some thousand at once are quickest. A draft
    /// that is refused keeps none of the others back.
    ///
    /// What a draft leaves out is taken from the entry that is there, or made: a key that an earlier
    /// import has made stays. Where the quota does not suffice for all, earlier drafts come first.
    ///
    /// Returns what became of each draft, in their order. The errors are those of
    /// [`Admin::write_entry`]; the second of two drafts for one id is an [`AdminError::Duplicate`].
    ///
    /// # Errors
    /// [`AdminError::Store`] if the store failed, or others did not stop writing: any of the drafts may
    /// have been written, each whole. The same batch can be brought again. [`AdminError::Crypto`] if
    /// there is no provider.
    ///
    /// The future may be dropped at any point, with the same consequences.
    pub async fn batch(
        &mut self,
        drafts: Vec<Draft>,
    ) -> Result<Vec<Result<Imported, AdminError>>, AdminError> {
        let crypto = self.admin.crypto.ok_or(CryptoError)?;
        let mut outcomes: Vec<_> = drafts.iter().map(|_| None).collect();
        let lines = drafts.into_iter().enumerate().map(|(nth, draft)| Line {
            nth,
            key: self.admin.entry_key(&EntryId::of(&draft.subject)),
            draft,
        });
        let mut lines: Vec<_> = lines.collect();
        // By shard, so that neighbours share what is read and written; equal ones in their order.
        lines.sort_by(|a, b| {
            let place = |line: &Line| (line.key.shard.slot, line.key.table);
            (place(a), &*a.key.id)
                .cmp(&(place(b), &*b.key.id))
                .then(a.nth.cmp(&b.nth))
        });
        lines.dedup_by(|second, first| {
            let twice = second.key == first.key;
            if twice {
                let text = "an entry with this id was brought earlier";
                put(
                    &mut outcomes,
                    second.nth,
                    Err(AdminError::Duplicate(text.into())),
                );
            }
            twice
        });
        let devices = lines.split_off(lines.partition_point(|line| line.key.table == Table::Group));
        self.groups(lines, &crypto, &mut outcomes).await?;
        self.devices(devices, &crypto, &mut outcomes).await?;
        Ok(outcomes.into_iter().flatten().collect())
    }

    /// Individual enrollments, in the order of their shards.
    async fn devices(
        &mut self,
        mut open: Vec<Line>,
        crypto: &Crypto,
        outcomes: &mut Outcomes,
    ) -> Result<(), AdminError> {
        let mut rounds = 0;
        while !open.is_empty() {
            if rounds == ROUNDS {
                return Err(AdminError::restless());
            }
            rounds += 1;
            let seen = self.look(&open).await?;
            let mut planned = Vec::new();
            for (line, found) in open.iter().zip(&seen.entries) {
                match self.plan(line, found.as_ref(), crypto) {
                    Ok(Some((plan, _))) => planned.push((&line.key.shard, plan)),
                    Ok(None) => put(outcomes, line.nth, Ok(Imported::Same)),
                    Err(error) => put(outcomes, line.nth, Err(error)),
                }
            }
            self.make_room(&mut planned, &seen, outcomes);
            let mut lost = Vec::new();
            for run in planned.chunk_by(|(a, _), (b, _)| a.slot == b.slot) {
                let Some((shard, _)) = run.first() else {
                    continue;
                };
                let plans: Vec<_> = run.iter().map(|(_, plan)| plan).collect();
                let tally = seen.tally(shard.slot);
                lost.extend(self.commit(shard, tally, &plans, outcomes).await?);
            }
            lost.sort_unstable();
            open.retain(|line| lost.binary_search(&line.nth).is_ok());
        }
        Ok(())
    }

    /// Refuses those for which the quota does not suffice: the last ones.
    fn make_room(
        &mut self,
        planned: &mut Vec<(&Shard, Planned)>,
        seen: &Seen,
        outcomes: &mut Outcomes,
    ) {
        let new = |plan: &Planned| plan.becomes == Imported::Created;
        let limit = seen.quotas.enrollments;
        if limit > 0 {
            let earlier = self.rehearsal.as_ref().map_or(0, |so_far| so_far.added);
            let there = seen.count.saturating_add(earlier);
            let room = usize::try_from(limit.saturating_sub(there)).unwrap_or(usize::MAX);
            let all = planned.iter();
            let mut added: Vec<_> = all
                .filter(|(_, plan)| new(plan))
                .map(|one| one.1.nth)
                .collect();
            if added.len() > room {
                added.sort_unstable();
                let first_without = added[room];
                planned.retain(|(_, plan)| {
                    let fits = !new(plan) || plan.nth < first_without;
                    if !fits {
                        put(outcomes, plan.nth, Err(AdminError::Full { limit }));
                    }
                    fits
                });
            }
        }
        if let Some(so_far) = &mut self.rehearsal {
            so_far.added += planned.iter().filter(|(_, plan)| new(plan)).count() as u64;
        }
    }

    /// Writes entries of one shard, and counts them. Returns those that have to be looked at again.
    async fn commit(
        &self,
        shard: &Shard,
        tally: Option<&Versioned>,
        plans: &[&Planned],
        outcomes: &mut Outcomes,
    ) -> Result<Vec<usize>, AdminError> {
        let mut tally = tally.cloned();
        let mut rest = plans;
        while !rest.is_empty() {
            let (now, later) = rest.split_at(portion(rest));
            let mut writes: Vec<_> = now
                .iter()
                .map(|plan| plan.write(Table::Enrollment))
                .collect();
            let added = now.iter().filter(|plan| plan.becomes == Imported::Created);
            let added = added.count() as u64;
            let counted = match added {
                0 => None,
                _ => {
                    let there = tally
                        .as_ref()
                        .map_or(Ok(0), |one| decode_tally(&one.value))?;
                    Some(encode_tally(there.saturating_add(added))?)
                }
            };
            if let Some(value) = &counted {
                let Key { table, id, .. } = tally_key(shard);
                writes.push(Write {
                    table,
                    id,
                    expect: exactly(tally.as_ref()),
                    change: Change::Put(value.clone()),
                });
            }
            if self.rehearsal.is_none() {
                match self.admin.store.commit(shard, &writes).await {
                    Ok(version) => {
                        if let Some(value) = counted {
                            tally = Some(Versioned { version, value });
                        }
                    }
                    Err(StoreError::Conflict { .. }) => {
                        return Ok(rest.iter().map(|plan| plan.nth).collect());
                    }
                    Err(error) => return Err(error.into()),
                }
                breathe().await;
            }
            for plan in now {
                put(outcomes, plan.nth, Ok(plan.becomes));
            }
            rest = later;
        }
        Ok(Vec::new())
    }

    /// What is to be written for a line; `None` if that is there already.
    fn plan(
        &self,
        line: &Line,
        found: Option<&Versioned>,
        crypto: &Crypto,
    ) -> Result<Option<(Planned, Enrollment)>, AdminError> {
        let before = found.map(revision).transpose()?;
        let mut draft = line.draft.clone();
        (draft.created, draft.updated) = (self.now, self.now);
        let mut entry = draft.complete(before.as_ref().map(|one| &one.value), crypto)?;
        let becomes = match &before {
            None => Imported::Created,
            Some(before) => {
                entry.updated = before.value.updated;
                if entry == before.value {
                    return Ok(None);
                }
                entry.updated = self.now;
                Imported::Replaced
            }
        };
        check::sensible(&entry, self.admin.crypto)?;
        if becomes == Imported::Replaced && self.existing == Existing::Keep {
            return Err(AdminError::Exists);
        }
        let plan = Planned {
            nth: line.nth,
            id: Arc::clone(&line.key.id),
            expect: exactly(found),
            value: encode_enrollment(&entry)?,
            becomes,
        };
        Ok(Some((plan, entry)))
    }

    /// The entries that are there, how many there are, and how many there may be.
    async fn look(&self, lines: &[Line]) -> Result<Seen, AdminError> {
        let scope = &self.admin.scope;
        let mut keys = vec![instance_key(scope)];
        keys.extend(tally_keys(scope));
        let counters = keys.len();
        keys.extend(lines.iter().map(|line| line.key.clone()));
        let mut found = self.admin.store.get_many(&keys).await?;
        let entries = found.split_off(counters);
        let tallies = found.split_off(1);
        let counts = tallies.iter().flatten();
        let count: Result<u64, StoreError> = counts.map(|one| decode_tally(&one.value)).sum();
        Ok(Seen {
            entries,
            count: count?,
            tallies,
            quotas: quotas(found.pop().flatten())?,
        })
    }
}

/// What a batch of individual enrollments is decided by.
struct Seen {
    /// One for each line.
    entries: Vec<Option<Versioned>>,
    /// Of all slots that devices are in, from slot 1.
    tallies: Vec<Option<Versioned>>,
    count: u64,
    quotas: Quotas,
}

impl Seen {
    fn tally(&self, slot: u16) -> Option<&Versioned> {
        let at = usize::from(slot).checked_sub(1)?;
        self.tallies.get(at)?.as_ref()
    }
}

impl Planned {
    fn write(&self, table: Table) -> Write {
        Write {
            table,
            id: Arc::clone(&self.id),
            expect: self.expect,
            change: Change::Put(self.value.clone()),
        }
    }
}

/// How many of `plans` the next commit takes: at least one.
fn portion(plans: &[&Planned]) -> usize {
    let mut bytes = 0;
    let fits = plans.iter().take(MAX_RECORDS).take_while(|plan| {
        let fits = bytes < MAX_BYTES;
        bytes += plan.value.len();
        fits
    });
    fits.count()
}

fn put(outcomes: &mut Outcomes, nth: usize, outcome: Result<Imported, AdminError>) {
    if let Some(place) = outcomes.get_mut(nth) {
        *place = Some(outcome);
    }
}

fn quotas(instance: Option<Versioned>) -> Result<Quotas, StoreError> {
    instance.map_or(Ok(Quotas::UNLIMITED), |stored| {
        Ok(decode_instance(&stored.value)?.quotas)
    })
}
