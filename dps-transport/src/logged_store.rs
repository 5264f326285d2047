//! What a store could not do, as log lines.

use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dps_core::store::{Key, Page, Scan, Shard, Store, StoreError, Version, Versioned, Write};

/// How often a line is written at the most.
const PAUSE: Duration = Duration::from_secs(1);

/// A store around a store, which writes its errors as lines of `tracing`, under the target `dps::store`, with all their
/// causes: a database that is away, a key that is missing and the record that it is missing for.
///
/// Devices are told 503 or 500 then, and no more. One line a second at the most; how many errors were passed over is in the
/// next one's field `more`. Conflicts are no errors. No error of a store shows a value or a key.
#[derive(Debug)]
pub struct LoggedStore {
    store: Arc<dyn Store>,
    last: Mutex<Last>,
}

#[derive(Debug, Default)]
struct Last {
    line: Option<Instant>,
    more: u64,
}

impl LoggedStore {
    /// Writes what `store` could not do.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self {
            store,
            last: Mutex::default(),
        }
    }

    fn look<T>(&self, done: Result<T, StoreError>, what: &str) -> Result<T, StoreError> {
        if let Err(error) = &done
            && !matches!(error, StoreError::Conflict { .. })
            && let Some(more) = self.due(Instant::now())
        {
            let error = chain(error);
            tracing::error!(target: "dps::store", what, error, more, "the store failed");
        }
        done
    }

    /// Whether it is time for a line, and how many errors there were since the last one.
    fn due(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if last
            .line
            .is_some_and(|line| now.duration_since(line) < PAUSE)
        {
            last.more += 1;
            return None;
        }
        last.line = Some(now);
        Some(std::mem::take(&mut last.more))
    }
}

#[async_trait]
impl Store for LoggedStore {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.look(self.store.get_many(keys).await, "read")
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        self.look(self.store.commit(shard, writes).await, "commit")
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.look(self.store.scan(scan).await, "scan")
    }
}

/// An error and its causes in one line.
fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use std::fmt::{Debug, Write as _};
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use dps_core::id::IdScope;
    use dps_core::store::Table;
    use tracing::field::{Field, Visit};
    use tracing::span::{Attributes, Id, Record};
    use tracing::{Event, Metadata, Subscriber};

    use super::*;

    /// Answers each call with the next error.
    #[derive(Debug)]
    struct Failing(Mutex<Vec<StoreError>>);

    #[async_trait]
    impl Store for Failing {
        async fn get_many(&self, _: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
            match self.0.lock().unwrap().pop() {
                Some(error) => Err(error),
                None => Ok(Vec::new()),
            }
        }

        async fn commit(&self, _: &Shard, _: &[Write]) -> Result<Version, StoreError> {
            self.get_many(&[]).await.map(|_| Version(1))
        }

        async fn scan(&self, _: &Scan) -> Result<Page, StoreError> {
            self.get_many(&[]).await.map(|_| Page {
                records: Vec::new(),
                more: false,
            })
        }
    }

    /// Keeps lines.
    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<String>>>);

    struct Line(String);

    impl Visit for Line {
        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            write!(self.0, " {}={value:?}", field.name()).unwrap();
        }
    }

    impl Subscriber for Lines {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }
        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }
        fn record(&self, _: &Id, _: &Record<'_>) {}
        fn record_follows_from(&self, _: &Id, _: &Id) {}
        fn event(&self, event: &Event<'_>) {
            let mut line = Line(event.metadata().target().to_owned());
            event.record(&mut line);
            self.0.lock().unwrap().push(line.0);
        }
        fn enter(&self, _: &Id) {}
        fn exit(&self, _: &Id) {}
    }

    fn now<F: Future>(future: F) -> F::Output {
        match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => output,
            Poll::Pending => panic!("nothing here waits"),
        }
    }

    fn lines(errors: Vec<StoreError>, calls: impl FnOnce(&LoggedStore)) -> Vec<String> {
        let lines = Lines::default();
        let failing = Failing(Mutex::new(errors));
        let store = LoggedStore::new(Arc::new(failing));
        tracing::subscriber::with_default(lines.clone(), || calls(&store));
        lines.0.lock().unwrap().clone()
    }

    fn away() -> StoreError {
        StoreError::Unavailable(Box::new(std::io::Error::other("nobody answers")))
    }

    #[test]
    fn an_error_is_a_line_with_its_causes() {
        let scan = Scan {
            scope: IdScope::parse("s").unwrap(),
            table: Table::Group,
            prefix: "".into(),
            after: None,
            limit: 1,
        };
        let written = lines(vec![away()], |store| {
            assert!(now(store.scan(&scan)).is_err());
            assert!(now(store.scan(&scan)).is_ok());
        });
        assert_eq!(written.len(), 1, "{written:?}");
        for part in [
            "dps::store",
            "scan",
            "the store is unavailable: nobody answers",
        ] {
            assert!(written[0].contains(part), "{written:?}");
        }
    }

    #[test]
    fn errors_of_one_second_are_one_line() {
        let written = lines((0..100).map(|_| away()).collect(), |store| {
            for _ in 0..100 {
                assert!(now(store.get_many(&[])).is_err());
            }
            let later = Instant::now() + PAUSE;
            assert_eq!(store.due(later), Some(99));
            assert_eq!(store.due(later), None);
            assert_eq!(store.due(later + PAUSE), Some(1));
        });
        assert_eq!(written.len(), 1);
    }

    #[test]
    fn a_conflict_is_no_error() {
        let conflict = StoreError::Conflict {
            table: Table::Group,
            id: "g".into(),
        };
        let shard = Shard {
            scope: IdScope::parse("s").unwrap(),
            slot: 0,
        };
        let written = lines(vec![conflict], |store| {
            assert!(now(store.commit(&shard, &[])).is_err());
        });
        assert!(written.is_empty());
    }
}
