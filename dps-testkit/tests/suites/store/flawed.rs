//! Stores in memory with one flaw each.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use dps_core::id::IdScope;
use dps_core::store::{
    Change, Expect, Key, MAX_STORED_BYTES, Page, Scan, Shard, Store, StoreError, Version,
    Versioned, Write,
};
use dps_store_memory::MemoryStore;
use dps_testkit::run::give_way;

/// What a store gets wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    None,
    WritesBeforeItChecks,
    ForgetsAbsent,
    TakesAnyVersion,
    ChecksThenWrites,
    ConflictNamesTheLast,
    PutsWhatIsKept,
    AnswersSorted,
    CutsValues,
    MixesScopes,
    FoldsIds,
    ScansDescending,
    IgnoresPrefix,
    IncludesAfter,
    ForgetsMore,
    SaysMoreAtTheEnd,
    SkipsSlots,
    WritesWhatIsNotTooLarge,
    CallsTooLargeAConflict,
    TakesWhatIsTooLarge,
    RefusesNoWrites,
    CutsIds,
    ReadsFiveHundred,
    CountsToAThousand,
    SortsAsUtf16,
    TakesPrefixForAPattern,
    EndsPrefixAtTheNextCharacter,
    CommitsInTwoHalves,
    StaysLockedWhenDropped,
    RefusesNeighbours,
}

/// A store in memory with one flaw.
#[derive(Debug)]
pub(crate) struct Flawed {
    inner: MemoryStore,
    flaw: Flaw,
    /// Whether a commit is under way, for those who let only one in.
    busy: AtomicBool,
}

#[async_trait]
impl Store for Flawed {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        let mut keys: Vec<Key> = keys.iter().map(|key| self.bent(key)).collect();
        if self.flaw == Flaw::AnswersSorted {
            keys.sort();
        }
        let mut found = self.inner.get_many(&keys).await?;
        if self.flaw == Flaw::ReadsFiveHundred {
            found.iter_mut().skip(500).for_each(|found| *found = None);
        }
        Ok(found)
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let shard = self.bent_shard(shard);
        let mut writes = writes.to_vec();
        for write in &mut writes {
            match (self.flaw, write.expect, &write.change) {
                (Flaw::ForgetsAbsent, Expect::Absent, _)
                | (Flaw::TakesAnyVersion, Expect::Exactly(_), _) => write.expect = Expect::Any,
                (Flaw::PutsWhatIsKept, Expect::Exactly(_), Change::Keep) => {
                    write.change = Change::Put(Bytes::from_static(b"g"));
                }
                (Flaw::CutsValues, _, Change::Put(value)) => {
                    let cut = value.iter().position(|byte| *byte == 0);
                    let end = cut.unwrap_or(value.len()).min(65_535);
                    write.change = Change::Put(value.slice(..end));
                }
                (Flaw::FoldsIds, _, _) => write.id = folded(&write.id),
                (Flaw::CutsIds, _, _) => write.id = cut(&write.id),
                (Flaw::TakesWhatIsTooLarge, _, Change::Put(value)) => {
                    let end = value.len().min(MAX_STORED_BYTES);
                    write.change = Change::Put(value.slice(..end));
                }
                _ => {}
            }
        }
        match self.flaw {
            Flaw::WritesBeforeItChecks => {
                let mut version = Version(0);
                for write in &writes {
                    version = self
                        .inner
                        .commit(&shard, std::slice::from_ref(write))
                        .await?;
                }
                Ok(version)
            }
            Flaw::ChecksThenWrites => {
                let checks: Vec<Write> = writes.iter().map(kept).collect();
                self.inner.commit(&shard, &checks).await?;
                (0..50).for_each(|_| std::thread::yield_now());
                let blind: Vec<Write> = writes.iter().map(blind).collect();
                self.inner.commit(&shard, &blind).await
            }
            Flaw::ConflictNamesTheLast => {
                let outcome = self.inner.commit(&shard, &writes).await;
                outcome.map_err(|error| match (error, writes.last()) {
                    (StoreError::Conflict { .. }, Some(last)) => StoreError::Conflict {
                        table: last.table,
                        id: Arc::clone(&last.id),
                    },
                    (other, _) => other,
                })
            }
            Flaw::WritesWhatIsNotTooLarge => {
                let (small, large): (Vec<_>, Vec<_>) = writes
                    .into_iter()
                    .partition(|write| write.check_size().is_ok());
                let version = self.inner.commit(&shard, &small).await?;
                large.iter().try_for_each(Write::check_size)?;
                Ok(version)
            }
            Flaw::CallsTooLargeAConflict => {
                let checks: Vec<Write> = writes.iter().map(kept).collect();
                self.inner.commit(&shard, &checks).await?;
                self.inner.commit(&shard, &writes).await
            }
            Flaw::RefusesNoWrites if writes.is_empty() => {
                Err(StoreError::Unavailable("nothing to do".into()))
            }
            Flaw::CommitsInTwoHalves if writes.len() == 2 => {
                self.inner.commit(&shard, &writes[..1]).await?;
                give_way().await;
                self.inner.commit(&shard, &writes[1..]).await
            }
            Flaw::StaysLockedWhenDropped | Flaw::RefusesNeighbours => {
                if self.busy.swap(true, Ordering::SeqCst) {
                    return Err(StoreError::Unavailable("somebody is at it".into()));
                }
                match self.flaw {
                    Flaw::StaysLockedWhenDropped => give_way().await,
                    _ => (0..50).for_each(|_| std::thread::yield_now()),
                }
                let outcome = self.inner.commit(&shard, &writes).await;
                self.busy.store(false, Ordering::SeqCst);
                outcome
            }
            _ => self.inner.commit(&shard, &writes).await,
        }
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        let mut scan = scan.clone();
        if self.flaw == Flaw::MixesScopes {
            scan.scope = one_scope();
        }
        let prefix = Arc::clone(&scan.prefix);
        if matches!(
            self.flaw,
            Flaw::IgnoresPrefix | Flaw::TakesPrefixForAPattern | Flaw::EndsPrefixAtTheNextCharacter
        ) {
            scan.prefix = "".into();
        }
        let mut page = self.inner.scan(&scan).await?;
        match self.flaw {
            Flaw::ScansDescending => page.records.reverse(),
            Flaw::ForgetsMore => page.more = false,
            Flaw::SaysMoreAtTheEnd => page.more |= page.records.len() == scan.limit as usize,
            Flaw::CountsToAThousand => page.more &= scan.limit < 1000,
            Flaw::SortsAsUtf16 => page
                .records
                .sort_by_key(|(id, _)| id.encode_utf16().collect::<Vec<u16>>()),
            Flaw::TakesPrefixForAPattern => page.records.retain(|(id, _)| {
                let fits = |(id, prefix): (char, char)| prefix == '_' || id == prefix;
                id.chars().count() >= prefix.chars().count()
                    && id.chars().zip(prefix.chars()).all(fits)
            }),
            Flaw::EndsPrefixAtTheNextCharacter => {
                let end = next(&prefix);
                page.records.retain(|(id, _)| {
                    **id >= *prefix && end.as_deref().is_none_or(|end| **id < *end)
                });
            }
            Flaw::SkipsSlots => page.records.retain(|(id, _)| !id.ends_with('7')),
            Flaw::IncludesAfter => {
                if let Some(after) = scan.after.take() {
                    scan.prefix = Arc::clone(&after);
                    scan.limit = 1;
                    let mut there = self.inner.scan(&scan).await?.records;
                    there.retain(|(id, _)| *id == after);
                    page.records.splice(0..0, there);
                }
            }
            _ => {}
        }
        Ok(page)
    }
}

impl Flawed {
    pub(crate) fn new(flaw: Flaw) -> Self {
        Self {
            inner: MemoryStore::new(),
            flaw,
            busy: AtomicBool::new(false),
        }
    }

    fn bent(&self, key: &Key) -> Key {
        let id = match self.flaw {
            Flaw::FoldsIds => folded(&key.id),
            Flaw::CutsIds => cut(&key.id),
            _ => Arc::clone(&key.id),
        };
        Key {
            shard: self.bent_shard(&key.shard),
            table: key.table,
            id,
        }
    }

    fn bent_shard(&self, shard: &Shard) -> Shard {
        match self.flaw {
            Flaw::MixesScopes => Shard {
                scope: one_scope(),
                slot: shard.slot,
            },
            _ => shard.clone(),
        }
    }
}

fn one_scope() -> IdScope {
    IdScope::parse("all").expect("it is a scope")
}

fn folded(id: &str) -> Arc<str> {
    id.replace(['/', '.'], "-").into()
}

fn cut(id: &str) -> Arc<str> {
    id.chars().take(255).collect::<String>().into()
}

/// The prefix with its last character one further, if there is one further.
fn next(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    let last = chars.pop()?;
    chars.push(char::from_u32(last as u32 + 1)?);
    Some(chars.into_iter().collect())
}

fn kept(write: &Write) -> Write {
    Write {
        change: Change::Keep,
        ..write.clone()
    }
}

fn blind(write: &Write) -> Write {
    Write {
        expect: Expect::Any,
        ..write.clone()
    }
}
