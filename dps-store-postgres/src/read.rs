//! Reads: what waits goes out together; and pages.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;

use async_trait::async_trait;
use bytes::Bytes;
use dps_core::store::{Key, Page, Scan, StoreError, Version, Versioned};
use tokio_postgres::Row;

use crate::Layout;
use crate::error::{DatabaseError, Failure};
use crate::link::Link;
use crate::place::{place, scope_of};
use crate::queue::{Job, Kind, Ran};
use crate::sql::{self, Place, Statement, spread, together};

/// Keys in one flight, unless one call has more.
const MOST_KEYS: usize = 256;

/// Keys in one statement where rows are spread: each number is a plan of its own.
const MOST_SPREAD: usize = 32;

/// How often a read is begun; it changes nothing.
const TRIES: u32 = 3;

type Found = Option<Versioned>;

/// `get_many`.
#[derive(Debug)]
pub(crate) struct Reads;

#[async_trait]
impl Kind for Reads {
    type Task = Vec<Key>;
    type Reply = Vec<Found>;
    type Busy = ();

    fn gather(
        waiting: &mut VecDeque<Job<Self::Task, Self::Reply>>,
        (): &mut (),
        _: Layout,
    ) -> Vec<Job<Self::Task, Self::Reply>> {
        let mut keys = 0;
        let mut count = 0;
        for job in waiting.iter() {
            keys += job.task.len();
            if count > 0 && keys > MOST_KEYS {
                break;
            }
            count += 1;
        }
        waiting.drain(..count).collect()
    }

    async fn run(
        link: &mut Link,
        layout: Layout,
        jobs: Vec<Job<Self::Task, Self::Reply>>,
    ) -> Ran<Job<Self::Task, Self::Reply>> {
        // The same record is often asked for by many.
        let mut wanted: Vec<Place> = Vec::new();
        let mut known: HashMap<&Key, usize> = HashMap::new();
        for key in jobs.iter().flat_map(|job| &job.task) {
            known.entry(key).or_insert_with(|| {
                wanted.push(place(&key.shard, key.table, &key.id));
                wanted.len() - 1
            });
        }
        match read(link, layout, &wanted).await {
            Ok(Ok(found)) => {
                let answers: Vec<Vec<Found>> = jobs
                    .iter()
                    .map(|job| {
                        job.task
                            .iter()
                            .map(|key| found[known[key]].clone())
                            .collect()
                    })
                    .collect();
                for (job, answer) in jobs.into_iter().zip(answers) {
                    job.answer(Ok(answer));
                }
                Ran::done(true)
            }
            Ok(Err(damaged)) => {
                fail(jobs, |_| StoreError::Corrupt(Box::new(damaged.clone())));
                Ran::done(true)
            }
            Err(failure) => failed(jobs, failure),
        }
    }

    fn done((): &mut (), (): &()) {}

    fn marks(_: &[Job<Self::Task, Self::Reply>], _: Layout) {}
}

/// `scan`.
#[derive(Debug)]
pub(crate) struct Scans;

#[async_trait]
impl Kind for Scans {
    type Task = Scan;
    type Reply = Page;
    type Busy = ();

    fn gather(
        waiting: &mut VecDeque<Job<Scan, Page>>,
        (): &mut (),
        _: Layout,
    ) -> Vec<Job<Scan, Page>> {
        waiting.pop_front().into_iter().collect()
    }

    async fn run(link: &mut Link, _: Layout, jobs: Vec<Job<Scan, Page>>) -> Ran<Job<Scan, Page>> {
        let mut all = Ran::done(true);
        for job in jobs {
            match link.rows(&page_of(&job.task)).await {
                Ok(rows) => {
                    let page = page(&rows, job.task.limit);
                    job.answer(page.map_err(|damaged| StoreError::Corrupt(Box::new(damaged))));
                }
                Err(failure) => all = failed(vec![job], failure),
            }
        }
        all
    }

    fn done((): &mut (), (): &()) {}

    fn marks(_: &[Job<Scan, Page>], _: Layout) {}
}

/// What cannot be a record.
#[derive(Clone, Debug, thiserror::Error)]
#[error("a row of dps_record is not one of a store: {0}")]
pub(crate) struct Damaged(String);

/// Reads rows; one result for each place.
async fn read(
    link: &mut Link,
    layout: Layout,
    wanted: &[Place],
) -> Result<Result<Vec<Found>, Damaged>, Failure> {
    let mut found = vec![None; wanted.len()];
    match layout {
        Layout::Together => {
            for row in link.rows(&together::read(wanted)).await? {
                let nth = row.try_get::<_, i64>(0).map_err(Failure::from)?;
                let nth = usize::try_from(nth - 1).unwrap_or(usize::MAX);
                match (found.get_mut(nth), versioned(&row, 1)) {
                    (Some(place), Ok(record)) => *place = Some(record),
                    (None, _) => {}
                    (_, Err(damaged)) => return Ok(Err(damaged)),
                }
            }
        }
        Layout::Spread => {
            let mut shards: BTreeMap<&Bytes, Vec<&Place>> = BTreeMap::new();
            for place in wanted {
                shards.entry(&place.shard).or_default().push(place);
            }
            let flights: Vec<Vec<&Place>> = shards
                .into_values()
                .flat_map(|places| places.chunks(MOST_SPREAD).map(padded).collect::<Vec<_>>())
                .collect();
            let statements: Vec<Statement> =
                flights.iter().map(|places| spread::read(places)).collect();
            let numbers: HashMap<&Place, usize> = wanted.iter().zip(0..).collect();
            for (rows, places) in link.pipeline(&statements).await?.iter().zip(&flights) {
                for row in rows {
                    let at = Place {
                        shard: places[0].shard.clone(),
                        table: row.try_get(0).map_err(Failure::from)?,
                        id: Bytes::copy_from_slice(row.try_get(1).map_err(Failure::from)?),
                    };
                    match (numbers.get(&at), versioned(row, 2)) {
                        (Some(nth), Ok(record)) => found[*nth] = Some(record),
                        (None, _) => {}
                        (_, Err(damaged)) => return Ok(Err(damaged)),
                    }
                }
            }
        }
    }
    Ok(Ok(found))
}

/// Where rows are spread, each number of places is a plan: so there are few numbers, and the last place is named
/// again.
pub(crate) fn padded<'a>(places: &[&'a Place]) -> Vec<&'a Place> {
    let mut places = places.to_vec();
    if let Some(last) = places.last().copied() {
        places.resize(places.len().next_power_of_two(), last);
    }
    places
}

/// The versions that some rows have now.
pub(crate) async fn versions(
    link: &mut Link,
    layout: Layout,
    places: &[Place],
) -> Result<Vec<Option<Version>>, Failure> {
    let found = read(link, layout, places).await?;
    let found = found.map_err(|damaged| {
        Failure::Not(DatabaseError::Other {
            code: "XX001".to_owned(),
            message: damaged.to_string(),
        })
    })?;
    Ok(found
        .into_iter()
        .map(|record| record.map(|record| record.version))
        .collect())
}

fn page_of(scan: &Scan) -> Statement {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    let prefix = &*scan.prefix;
    let from = match &scan.after {
        Some(after) if **after >= *prefix => sql::From::After(bytes(after)),
        _ => sql::From::At(bytes(prefix)),
    };
    let limit = i64::from(scan.limit).saturating_add(1);
    sql::scan(
        scope_of(&scan.scope),
        scan.table as i16,
        &from,
        after_prefix(prefix),
        limit,
    )
}

/// The least bytes above all that begin with `prefix`; `None` if there are none.
fn after_prefix(prefix: &str) -> Option<Bytes> {
    let mut bytes = prefix.as_bytes().to_vec();
    while let Some(last) = bytes.pop() {
        if last < u8::MAX {
            bytes.push(last + 1);
            return Some(bytes.into());
        }
    }
    None
}

fn page(rows: &[Row], limit: u32) -> Result<Page, Damaged> {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let mut records = Vec::with_capacity(rows.len().min(limit));
    for row in rows.iter().take(limit) {
        let id: &[u8] = row.try_get(0).map_err(|error| Damaged(error.to_string()))?;
        let id = std::str::from_utf8(id).map_err(|error| Damaged(error.to_string()))?;
        records.push((Arc::from(id), versioned(row, 1)?));
    }
    Ok(Page {
        records,
        more: rows.len() > limit,
    })
}

/// Two columns: version and value.
fn versioned(row: &Row, at: usize) -> Result<Versioned, Damaged> {
    let wrong = |error: tokio_postgres::Error| Damaged(error.to_string());
    let version: i64 = row.try_get(at).map_err(wrong)?;
    let value: &[u8] = row.try_get(at + 1).map_err(wrong)?;
    let version = u64::try_from(version).map_err(|_| Damaged(format!("version {version}")))?;
    Ok(Versioned {
        version: Version(version),
        value: Bytes::copy_from_slice(value),
    })
}

/// Reads that failed are begun again over another connection, some times.
fn failed<T, R>(jobs: Vec<Job<T, R>>, failure: Failure) -> Ran<Job<T, R>> {
    let keep = failure.keeps_connection();
    let again = matches!(
        failure,
        Failure::Again(_) | Failure::Unknown(DatabaseError::Lost(_))
    );
    let why = failure.error();
    let (mut jobs, over): (Vec<_>, Vec<_>) = jobs
        .into_iter()
        .partition(|job| again && job.tries + 1 < TRIES);
    fail(over, |_| why.clone().unavailable());
    for job in &mut jobs {
        job.tries += 1;
    }
    Ran {
        again: jobs,
        why: Some(why),
        keep,
    }
}

fn fail<T, R>(jobs: Vec<Job<T, R>>, error: impl Fn(&T) -> StoreError) {
    for job in jobs {
        let error = error(&job.task);
        job.answer(Err(error));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_next_bytes() {
        assert_eq!(after_prefix("ab").unwrap(), "ac");
        assert_eq!(after_prefix(""), None);
        assert_eq!(after_prefix("é").unwrap()[..], [0xc3, 0xaa]);
    }
}
