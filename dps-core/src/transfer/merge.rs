//! One table of two stores, side by side.

use std::cmp::Ordering;
use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::TransferError;
use crate::id::IdScope;
use crate::pages::Pages;
use crate::store::{Store, StoreError, Table, Version, Versioned};

/// Where a record is.
#[derive(Debug)]
pub(super) enum Found {
    /// In the source alone: its value.
    Missing(Bytes),
    /// In both: its value in the source, and what the target has.
    Both(Bytes, Versioned),
    /// In the target alone.
    Surplus(Version),
}

/// Gives each record of either store once, ids ascending.
///
/// What is given may be written to the target at once: it lies before what is read there next.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    from: Side<'a>,
    to: Side<'a>,
}

impl<'a> Merge<'a> {
    pub(super) fn new(
        from: &'a dyn Store,
        to: &'a dyn Store,
        scope: &IdScope,
        table: Table,
    ) -> Self {
        Self {
            from: Side::new(from, scope, table),
            to: Side::new(to, scope, table),
        }
    }

    pub(super) async fn next(&mut self) -> Result<Option<(Arc<str>, Found)>, TransferError> {
        let ours = self.from.id().await.map_err(TransferError::Source)?;
        let theirs = self.to.id().await.map_err(TransferError::Target)?;
        let order = match (ours, theirs) {
            (None, None) => return Ok(None),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(ours), Some(theirs)) => ours.cmp(theirs),
        };
        let ours = order.is_le().then(|| self.from.page.pop_front()).flatten();
        let theirs = order.is_ge().then(|| self.to.page.pop_front()).flatten();
        Ok(match (ours, theirs) {
            (Some((id, ours)), None) => Some((id, Found::Missing(ours.value))),
            (Some((id, ours)), Some((_, theirs))) => Some((id, Found::Both(ours.value, theirs))),
            (None, Some((id, theirs))) => Some((id, Found::Surplus(theirs.version))),
            (None, None) => None,
        })
    }

    /// Whether a page has come to its end.
    pub(super) fn turned(&self) -> bool {
        [&self.from, &self.to]
            .iter()
            .any(|side| side.page.is_empty() && !side.over)
    }
}

#[derive(Debug)]
struct Side<'a> {
    pages: Pages<'a>,
    page: VecDeque<(Arc<str>, Versioned)>,
    over: bool,
}

impl<'a> Side<'a> {
    fn new(store: &'a dyn Store, scope: &IdScope, table: Table) -> Self {
        Self {
            pages: Pages::new(store, scope, table),
            page: VecDeque::new(),
            over: false,
        }
    }

    /// The id of the next record.
    async fn id(&mut self) -> Result<Option<&str>, StoreError> {
        if self.page.is_empty() && !self.over {
            self.page = self.pages.next().await?.into();
            self.over = self.page.is_empty();
        }
        Ok(self.page.front().map(|(id, _)| &**id))
    }
}
