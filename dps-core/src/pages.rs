//! Walking through all records of a scope without holding many of them.

use std::pin::Pin;
use std::sync::Arc;
use std::task::Poll;

use crate::id::IdScope;
use crate::store::{Scan, Store, StoreError, Table, Versioned};

/// Records in one page. Each may have 1 MiB, so that is what a page takes at the most, in MiB.
pub(crate) const PAGE: u32 = 64;

/// The records of one table, page after page, ids ascending.
#[derive(Debug)]
pub(crate) struct Pages<'a> {
    store: &'a dyn Store,
    next: Option<Scan>,
}

impl<'a> Pages<'a> {
    pub(crate) fn new(store: &'a dyn Store, scope: &IdScope, table: Table) -> Self {
        let first = Scan {
            scope: scope.clone(),
            table,
            prefix: "".into(),
            after: None,
            limit: PAGE,
        };
        Self {
            store,
            next: Some(first),
        }
    }

    /// The next page; an empty one is the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<(Arc<str>, Versioned)>, StoreError> {
        let Some(scan) = &mut self.next else {
            return Ok(Vec::new());
        };
        let page = self.store.scan(scan).await?;
        match page.records.last() {
            Some((last, _)) if page.more => scan.after = Some(Arc::clone(last)),
            _ => self.next = None,
        }
        Ok(page.records)
    }
}

/// Drives all futures to their ends at once; what they gave, in their order.
///
/// A back end that gathers commits gets them together.
pub(crate) async fn together<F>(futures: impl IntoIterator<Item = F> + Send) -> Vec<F::Output>
where
    F: Future + Send,
    F::Output: Send,
{
    let mut running: Vec<Running<F>> = futures
        .into_iter()
        .map(|future| Running::Still(Box::pin(future)))
        .collect();
    std::future::poll_fn(move |cx| {
        let mut waiting = false;
        for one in &mut running {
            if let Running::Still(future) = one {
                match future.as_mut().poll(cx) {
                    Poll::Ready(given) => *one = Running::Done(given),
                    Poll::Pending => waiting = true,
                }
            }
        }
        if waiting {
            return Poll::Pending;
        }
        let given = running.drain(..).filter_map(|one| match one {
            Running::Done(given) => Some(given),
            Running::Still(_) => None,
        });
        Poll::Ready(given.collect())
    })
    .await
}

enum Running<F: Future> {
    Still(Pin<Box<F>>),
    Done(F::Output),
}
