//! The store.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};

use crate::commit::{Commit, Commits};
use crate::link::Opener;
use crate::queue::{Queue, lane};
use crate::read::{Reads, Scans};
use crate::{Config, DatabaseError, Layout, schema};

/// A [`Store`] in PostgreSQL. Clones share connections; any number of processes may share the database.
///
/// Its connections are served by tasks of the runtime in which it was opened, which has to live as long. Its futures
/// can be polled anywhere.
#[derive(Clone)]
pub struct PostgresStore {
    all: Arc<All>,
}

struct All {
    layout: Layout,
    reads: Arc<Queue<Reads>>,
    commits: Arc<Queue<Commits>>,
    scans: Arc<Queue<Scans>>,
}

impl PostgresStore {
    /// Makes the tables, or brings those of an older version up to date; does nothing where that is done.
    ///
    /// The role has to be one that may create tables. Several nodes may do it at once. Tables of a newer version are
    /// left as they are.
    ///
    /// # Errors
    /// [`DatabaseError`]; [`DatabaseError::NewerSchema`] and [`DatabaseError::NewerRecords`] among them.
    pub async fn migrate(config: &Config) -> Result<(), DatabaseError> {
        schema::migrate(&Opener::new(config)?).await
    }

    /// Connects, and looks whether the tables are such as this version works with.
    ///
    /// # Errors
    /// [`DatabaseError`], if it could not be used now. Once open, a store finds its way back by itself.
    ///
    /// # Panics
    /// Outside of a tokio runtime with timers and I/O.
    pub async fn connect(config: Config) -> Result<Self, DatabaseError> {
        let opener = Arc::new(Opener::new(&config)?);
        let (mut link, layout) = opener.open_checked(None).await?;
        schema::raise_format(&mut link).await?;
        let config = opener.config();
        let scans = (config.connections / 8).max(1);
        let commits = (config.connections / 2).max(1);
        let reads = config.connections.saturating_sub(scans + commits).max(1);
        let all = All {
            layout,
            reads: Queue::new(config.patience, config.waiting),
            commits: Queue::new(config.patience, config.waiting),
            scans: Queue::new(config.patience, config.waiting),
        };
        let mut first = Some(link);
        for _ in 0..commits {
            let queue = Arc::clone(&all.commits);
            tokio::spawn(lane(queue, Arc::clone(&opener), layout, first.take()));
        }
        for _ in 0..reads {
            tokio::spawn(lane(
                Arc::clone(&all.reads),
                Arc::clone(&opener),
                layout,
                None,
            ));
        }
        for _ in 0..scans {
            tokio::spawn(lane(
                Arc::clone(&all.scans),
                Arc::clone(&opener),
                layout,
                None,
            ));
        }
        Ok(Self { all: Arc::new(all) })
    }

    /// Where rows lie, as set or as the database said.
    #[must_use]
    pub fn layout(&self) -> Layout {
        self.all.layout
    }
}

impl fmt::Debug for PostgresStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresStore({:?})", self.all.layout)
    }
}

impl Drop for All {
    fn drop(&mut self) {
        self.reads.close();
        self.commits.close();
        self.scans.close();
    }
}

#[async_trait]
impl Store for PostgresStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        self.all.reads.call(keys.to_vec()).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        for write in writes {
            write.check_size()?;
        }
        let (shard, writes) = (shard.clone(), writes.to_vec());
        self.all.commits.call(Commit { shard, writes }).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.all.scans.call(scan.clone()).await
    }
}
