//! The tables: made, brought up to date, and looked at.
//!
//! | version | tables |
//! |---|---|
//! | 1 | `dps_meta`, `dps_record` |

use dps_core::store::RECORD_FORMAT;
use tokio_postgres::Row;

use crate::error::Failure;
use crate::link::{Link, Opener};
use crate::sql::{Param, Statement};
use crate::{DatabaseError, Layout};

/// The version of the tables that this crate works with.
pub(crate) const SCHEMA: i64 = 1;

/// How many versions one connection takes at a time.
const BLOCK: i64 = 1 << 20;

/// Rows of `dps_meta`.
const OF_SCHEMA: &str = "schema";
const OF_RECORDS: &str = "record_format";
const OF_VERSIONS: &str = "version";

const META: &str = "CREATE TABLE IF NOT EXISTS dps_meta (name varchar(32) NOT NULL PRIMARY KEY, number bigint NOT NULL)";

/// What leads from each version to the next.
const STEPS: [&[&str]; SCHEMA as usize] = [&[
    "CREATE TABLE dps_record (
        shard bytea NOT NULL,
        tbl smallint NOT NULL,
        id bytea NOT NULL,
        version bigint NOT NULL,
        expected bigint NOT NULL,
        scope bytea NOT NULL,
        value bytea NOT NULL,
        PRIMARY KEY (shard, tbl, id)
    )",
    "CREATE INDEX dps_record_scan ON dps_record (scope, tbl, id)",
]];

/// How often another node may be in the way.
const ROUNDS: u32 = 20;

/// Makes the tables or brings them up to date.
pub(crate) async fn migrate(opener: &Opener) -> Result<(), DatabaseError> {
    let mut link = opener.open().await?;
    let mut rounds = 0;
    let done = loop {
        match migrate_once(&mut link).await {
            // Two nodes that make the same table at once meet in the catalogue.
            Err(Failure::Again(_)) if rounds < ROUNDS => rounds += 1,
            Err(Failure::Not(DatabaseError::Other { code, .. }))
                if rounds < ROUNDS && matches!(&*code, "23505" | "42710" | "42P07" | "XX000") =>
            {
                rounds += 1;
            }
            done => break done.map_err(Failure::error),
        }
        // Whatever is left of the transaction.
        link.run("ROLLBACK").await.map_err(Failure::error)?;
    };
    link.close().await;
    done
}

async fn migrate_once(link: &mut Link) -> Result<(), Failure> {
    match numbers(link).await {
        // A newer one is to be left alone.
        Ok(found) => known(&found).map_err(Failure::Not)?,
        Err(Failure::Not(DatabaseError::NoSchema)) => link.run(META).await?,
        Err(error) => return Err(error),
    }
    for (name, number) in [
        (OF_SCHEMA, 0),
        (OF_RECORDS, i64::from(RECORD_FORMAT)),
        (OF_VERSIONS, 0),
    ] {
        link.run(&format!(
            "INSERT INTO dps_meta (name, number) VALUES ('{name}', {number}) ON CONFLICT (name) DO NOTHING"
        ))
        .await?;
    }
    link.run("BEGIN").await?;
    // Whoever has this row migrates; the others wait, and find that nothing is left to do.
    let found = link
        .rows(&meta(
            "SELECT number FROM dps_meta WHERE name = 'schema' FOR UPDATE",
        ))
        .await?;
    let found: i64 = found
        .first()
        .map_or(Ok(0), |row| row.try_get(0))
        .map_err(Failure::from)?;
    let from = usize::try_from(found).unwrap_or(0);
    for step in STEPS.get(from..).unwrap_or_default() {
        for text in *step {
            link.run(text).await?;
        }
    }
    if found < SCHEMA {
        link.run(&format!(
            "UPDATE dps_meta SET number = {SCHEMA} WHERE name = 'schema'"
        ))
        .await?;
    }
    link.run("COMMIT").await
}

/// Whether the tables and records are such as this version of the crate works with, and commits are durable.
pub(crate) async fn check(link: &mut Link) -> Result<(), DatabaseError> {
    let found = numbers(link).await.map_err(Failure::error)?;
    known(&found)?;
    if found.schema < SCHEMA {
        let found = found.schema;
        return Err(if found == 0 {
            DatabaseError::NoSchema
        } else {
            DatabaseError::OlderSchema {
                found,
                known: SCHEMA,
            }
        });
    }
    let durable = link
        .rows(&meta("SHOW synchronous_commit"))
        .await
        .map_err(Failure::error)?;
    let durable = durable
        .first()
        .and_then(|row| row.try_get::<_, String>(0).ok());
    if durable.as_deref() == Some("off") {
        return Err(DatabaseError::Forgetful);
    }
    Ok(())
}

/// Notes which form records have from now on.
pub(crate) async fn raise_format(link: &mut Link) -> Result<(), DatabaseError> {
    let found = numbers(link).await.map_err(Failure::error)?;
    if found.records >= i64::from(RECORD_FORMAT) {
        return Ok(());
    }
    let raise = Statement {
        text: "UPDATE dps_meta SET number = $1 WHERE name = 'record_format' AND number < $1".into(),
        values: vec![Param::Big(RECORD_FORMAT.into())],
    };
    link.rows(&raise).await.map(drop).map_err(Failure::error)
}

/// Takes versions that nobody else has, nobody had, and nobody will have.
///
/// The row only ever grows, and versions are used on the connection that took them alone. A server that has a record
/// with one of them has the row as it was after they were taken, for it came first: so also a standby that lacks the
/// latest commits gives none of them out again. Readers may still remember versions that such a standby never saw, so
/// each block lies at random in a range that is 4096 times as large.
pub(crate) async fn take_versions(link: &mut Link) -> Result<(), Failure> {
    use std::hash::{BuildHasher as _, Hasher as _};
    let random = std::hash::RandomState::new().build_hasher().finish();
    let step = BLOCK + i64::try_from(random % (BLOCK as u64 * 4096)).unwrap_or(0);
    let take = Statement {
        text: "UPDATE dps_meta SET number = number + $1 WHERE name = 'version' RETURNING number"
            .into(),
        values: vec![Param::Big(step)],
    };
    let row = link.rows(&take).await?;
    let row = row.first().ok_or(Failure::Not(DatabaseError::NoSchema))?;
    let last: i64 = row.try_get(0).map_err(Failure::from)?;
    link.versions = last - BLOCK + 1..last + 1;
    Ok(())
}

/// Where rows lie, by what the database says of itself.
pub(crate) async fn layout(link: &mut Link) -> Result<Layout, DatabaseError> {
    let question = "SELECT version(), (SELECT count(*) FROM pg_extension WHERE extname = 'citus')";
    let rows = link.rows(&meta(question)).await.map_err(Failure::error)?;
    let Some(row) = rows.first() else {
        return Ok(Layout::Spread);
    };
    let (version, citus): (String, i64) = (row.get(0), row.get(1));
    let one = version.starts_with("PostgreSQL ") && !version.contains("-YB-") && citus == 0;
    Ok(if one {
        Layout::Together
    } else {
        Layout::Spread
    })
}

struct Numbers {
    schema: i64,
    records: i64,
}

async fn numbers(link: &mut Link) -> Result<Numbers, Failure> {
    let rows = link
        .rows(&meta("SELECT name, number FROM dps_meta"))
        .await?;
    let number = |name: &str| {
        let is = |row: &&Row| row.try_get::<_, &str>(0).is_ok_and(|found| found == name);
        rows.iter()
            .find(is)
            .and_then(|row| row.try_get(1).ok())
            .unwrap_or(0)
    };
    Ok(Numbers {
        schema: number(OF_SCHEMA),
        records: number(OF_RECORDS),
    })
}

fn known(found: &Numbers) -> Result<(), DatabaseError> {
    if found.schema > SCHEMA {
        return Err(DatabaseError::NewerSchema {
            found: found.schema,
            known: SCHEMA,
        });
    }
    if found.records > i64::from(RECORD_FORMAT) {
        return Err(DatabaseError::NewerRecords {
            found: found.records,
            known: RECORD_FORMAT.into(),
        });
    }
    Ok(())
}

fn meta(text: &'static str) -> Statement {
    Statement {
        text: text.into(),
        values: Vec::new(),
    }
}
