//! One page of a list.

use std::sync::Arc;

use super::filter::{Filter, Record};
use super::{Listing, Position, Query, QueryError};
use crate::admin::{Admin, AdminError, Revision, breathe};
use crate::enrollment::Enrollment;
use crate::id::GroupId;
use crate::record::{DeviceKeys, decode_enrollment, decode_registration};
use crate::registration::Registration;
use crate::store::{Scan, StoreError, Table, Versioned};

/// How many records a page has if nobody says.
///
/// # Source
/// Observed (Azure/azure-cli issue 707).
pub const DEFAULT_PAGE: u32 = 100;

/// How many records a page has at most. Our choice.
pub const MAX_PAGE: u32 = 1000;

/// How many records are looked at for one page at most. Our choice.
const MAX_LOOKED: usize = 10_000;

/// A page ends when its records have so many bytes in the store. Our choice: usual ones have 1 KiB.
const MAX_PAGE_BYTES: usize = 4 << 20;

/// So many records are read at once.
const STEP: usize = 100;

/// A part of a list, ids ascending.
#[derive(Debug)]
pub struct Page<T> {
    /// What of it is wanted; may be empty although more follows.
    pub items: Vec<Revision<T>>,
    /// Where to go on; `None` at the end of the list.
    pub next: Option<Position>,
    /// What of the query was not understood and is left out.
    pub warning: Option<QueryError>,
}

/// Some records of a list as they are stored, and whether more follow.
struct Step {
    /// With the value of those that are not gone.
    records: Vec<(Arc<str>, Option<Versioned>)>,
    more: bool,
}

impl Admin {
    /// A page of enrollments, individual or groups.
    ///
    /// * `from`: where an earlier page ended; `None` to begin.
    /// * `limit`: how many at most, from 1; more than 1000 is as 1000.
    ///
    /// What is there throughout is in exactly one of the pages; what comes or goes meanwhile may be in one
    /// or not. A page looks at 10,000 records and 4 MiB at most, so that it may be short, or empty, and
    /// have a next one.
    ///
    /// # Errors
    /// [`AdminError::BadContinuation`] if `from` is of another list; [`AdminError::Invalid`] for a list of
    /// something else, or a limit of 0.
    pub async fn entries(
        &self,
        query: &Query,
        from: Option<&Position>,
        limit: u32,
    ) -> Result<Page<Enrollment>, AdminError> {
        match query.listing {
            Listing::Enrollments | Listing::Groups => {}
            _ => return Err(AdminError::invalid("that is no list of enrollments")),
        }
        let decode = |stored: &[u8]| decode_enrollment(stored).map(Some);
        self.page(query, from, limit, decode).await
    }

    /// A page of registrations, as [`Admin::entries`].
    ///
    /// # Errors
    /// As for [`Admin::entries`].
    pub async fn registrations(
        &self,
        query: &Query,
        from: Option<&Position>,
        limit: u32,
    ) -> Result<Page<Registration>, AdminError> {
        let group = match &query.listing {
            Listing::Registrations => None,
            Listing::RegistrationsOf(group) => Some(group),
            _ => return Err(AdminError::invalid("that is no list of registrations")),
        };
        let decode = |stored: &[u8]| {
            let record = decode_registration(stored)?;
            // It may have come through another entry since it was listed.
            let listed = group.is_none() || record.owner.group.as_ref() == group;
            Ok(listed.then_some(record))
        };
        self.page(query, from, limit, decode).await
    }

    async fn page<T: Record + Send>(
        &self,
        query: &Query,
        from: Option<&Position>,
        limit: u32,
        decode: impl Fn(&[u8]) -> Result<Option<T>, StoreError> + Send + Sync,
    ) -> Result<Page<T>, AdminError> {
        if limit == 0 {
            return Err(AdminError::invalid("a page has at least one record"));
        }
        if from.is_some_and(|position| position.listing != query.listing) {
            return Err(AdminError::BadContinuation);
        }
        let limit = usize::try_from(limit.min(MAX_PAGE)).unwrap_or(usize::MAX);
        let filter = query.filter.as_ref();
        let mut after = from.map(|position| Arc::clone(&position.after));
        let (mut items, mut looked, mut bytes) = (Vec::new(), 0, 0);
        let more = 'page: loop {
            let wanted = match filter {
                Some(_) => STEP,
                None => STEP.min(limit - items.len()),
            };
            let step = self.step(&query.listing, after.take(), wanted).await?;
            let mut records = step.records.into_iter().peekable();
            while let Some((id, stored)) = records.next() {
                looked += 1;
                let found = match &stored {
                    Some(stored) => decode(&stored.value)?.map(|value| (stored, value)),
                    None => None,
                };
                if let Some((stored, value)) = found.filter(|(_, value)| keeps(filter, value)) {
                    bytes += stored.value.len();
                    let version = stored.version;
                    items.push(Revision { version, value });
                }
                after = Some(id);
                if items.len() == limit || looked == MAX_LOOKED || bytes >= MAX_PAGE_BYTES {
                    break 'page records.peek().is_some() || step.more;
                }
            }
            if !step.more || after.is_none() {
                break false;
            }
            breathe().await;
        };
        let next = after.filter(|_| more).map(|after| Position {
            listing: query.listing.clone(),
            after,
        });
        Ok(Page {
            items,
            next,
            warning: query.warning,
        })
    }

    async fn step(
        &self,
        listing: &Listing,
        after: Option<Arc<str>>,
        wanted: usize,
    ) -> Result<Step, StoreError> {
        let table = match listing {
            Listing::Enrollments => Table::Enrollment,
            Listing::Groups => Table::Group,
            Listing::Registrations => Table::Registration,
            Listing::RegistrationsOf(group) => return self.members(group, after, wanted).await,
        };
        let scan = self.scan(table, "".into(), after, wanted);
        let page = self.store.scan(&scan).await?;
        let records = page.records.into_iter();
        Ok(Step {
            records: records.map(|(id, stored)| (id, Some(stored))).collect(),
            more: page.more,
        })
    }

    /// Registrations that are listed with `group`.
    async fn members(
        &self,
        group: &GroupId,
        after: Option<Arc<str>>,
        wanted: usize,
    ) -> Result<Step, StoreError> {
        let prefix = format!("{}/", group.folded());
        let after = after.map(|id| format!("{prefix}{id}").into());
        let scan = self.scan(Table::Member, prefix.as_str().into(), after, wanted);
        let page = self.store.scan(&scan).await?;
        let named = page.records.iter();
        let ids: Vec<Arc<str>> = named
            .filter_map(|(id, _)| id.strip_prefix(&prefix).map(Arc::from))
            .collect();
        let keys: Vec<_> = ids
            .iter()
            .map(|id| DeviceKeys::of_folded(&self.scope, Arc::clone(id)).key(Table::Registration))
            .collect();
        let found = self.store.get_many(&keys).await?;
        Ok(Step {
            records: ids.into_iter().zip(found).collect(),
            more: page.more,
        })
    }

    fn scan(&self, table: Table, prefix: Arc<str>, after: Option<Arc<str>>, wanted: usize) -> Scan {
        Scan {
            scope: self.scope.clone(),
            table,
            prefix,
            after,
            limit: u32::try_from(wanted).unwrap_or(u32::MAX),
        }
    }
}

fn keeps(filter: Option<&Filter>, record: &impl Record) -> bool {
    filter.is_none_or(|filter| filter.keeps(record))
}
