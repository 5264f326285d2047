//! Commits where rows are spread over servers.

use std::collections::HashSet;

use super::MOST_SPREAD;
use crate::error::Failure;
use crate::link::Link;
use crate::read::padded;
use crate::sql::{Batch, Place, Statement, spread};

/// Where rows are spread: one statement if that is enough, else a transaction whose commit waits until all is seen.
pub(super) async fn write(link: &mut Link, batch: &Batch) -> Result<(), Failure> {
    let puts: Vec<_> = batch.puts.chunks(MOST_SPREAD).map(spread::put).collect();
    if let ([put], true) = (puts.as_slice(), batch.only_puts()) {
        return link.rows(put).await.map(drop);
    }
    link.run("BEGIN").await?;
    match within(link, batch, puts).await {
        Ok(()) => link.run("COMMIT").await,
        Err(failure) => {
            if failure.keeps_connection() {
                link.run("ROLLBACK").await?;
            }
            Err(failure)
        }
    }
}

async fn within(link: &mut Link, batch: &Batch, puts: Vec<Statement>) -> Result<(), Failure> {
    let exact = |(_, expected): &&(Place, i64)| *expected > 0;
    let locks: Vec<_> = batch
        .keeps
        .iter()
        .chain(batch.deletes.iter().filter(exact))
        .collect();
    let deletes: Vec<_> = batch.deletes.iter().map(|(place, _)| place).collect();
    let absent: Vec<_> = batch.absent.iter().collect();
    let places: Vec<_> = locks.iter().map(|(place, _)| place).collect();
    let mut statements: Vec<_> = places
        .chunks(MOST_SPREAD)
        .map(|places| spread::lock(&padded(places)))
        .collect();
    let locking = statements.len();
    statements.extend(
        deletes
            .chunks(MOST_SPREAD)
            .map(|places| spread::delete(&padded(places))),
    );
    statements.extend(puts);
    // Last, when all else is locked.
    let looking = statements.len();
    statements.extend(
        absent
            .chunks(MOST_SPREAD)
            .map(|places| spread::read(&padded(places))),
    );
    // Rows that stand for those that are only put are seen by their own transaction, and have been checked.
    let mine: HashSet<&Place> = batch.puts.iter().map(|put| &put.place).collect();
    let answers = link.pipeline(&statements).await?;
    let mut held = 0;
    for row in answers[..locking].iter().flatten() {
        let (table, id): (i16, &[u8]) = (
            row.try_get(0).map_err(Failure::from)?,
            row.try_get(1).map_err(Failure::from)?,
        );
        let version: i64 = row.try_get(2).map_err(Failure::from)?;
        let same = |(place, expected): &&&(Place, i64)| {
            place.table == table && place.id == id && *expected == version
        };
        held += usize::from(locks.iter().any(|lock| same(&lock)));
    }
    for row in answers[looking..].iter().flatten() {
        let (table, id): (i16, &[u8]) = (
            row.try_get(0).map_err(Failure::from)?,
            row.try_get(1).map_err(Failure::from)?,
        );
        if !mine
            .iter()
            .any(|place| place.table == table && place.id == id)
        {
            return Err(Failure::Unexpected);
        }
    }
    if held == locks.len() {
        Ok(())
    } else {
        Err(Failure::Unexpected)
    }
}
