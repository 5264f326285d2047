//! How many registrations there are, and whether there may be one more.
//!
//! Nothing about it is stored: a count in the store would have to be written with every first registration of
//! a shard, by one at a time. Each node counts now and then and adds what it takes itself meanwhile.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};

use super::{Caller, Provisioner, SweepError, View};
use crate::api::{DeviceResponse, Reply};
use crate::error::Failure;
use crate::event::EventKind;
use crate::id::{IdScope, OperationId};
use crate::registration::{Extras, RegistrationState, Status};
use crate::store::{Scan, Table, Version};
use crate::tenant::TenantName;
use crate::trace::{Step, Trace};

/// Records of a page of the scan that counts.
const PAGE: u32 = 1000;

impl Provisioner {
    /// Counts the registrations of `scope`, which [`Quotas::registrations`](crate::instance::Quotas) is held
    /// against. Call it now and then, such as every ten minutes; a service that never does turns nobody away.
    ///
    /// Reads all of them, a page at a time. With several nodes each counts for itself and knows of what others
    /// have taken since only when it counts again.
    ///
    /// # Errors
    /// [`SweepError`] if the tenant or its store does not answer: the last count stays. An unknown scope has
    /// none.
    pub async fn count_registrations(&self, scope: &IdScope) -> Result<u64, SweepError> {
        let Some(tenant) = self.parts.tenants.resolve(TenantName::Scope(scope)).await? else {
            return Ok(0);
        };
        let mut scan = Scan {
            scope: tenant.scope.clone(),
            table: Table::Registration,
            prefix: "".into(),
            after: None,
            limit: PAGE,
        };
        let mut count = 0;
        loop {
            let page = tenant.store().scan(&scan).await?;
            count += page.records.len() as u64;
            match page.records.last() {
                Some((last, _)) if page.more => scan.after = Some(Arc::clone(last)),
                _ => break,
            }
        }
        let mut counts = self
            .parts
            .counts
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        counts.insert(tenant.scope, Arc::new(AtomicU64::new(count)));
        Ok(count)
    }
}

impl Caller<'_> {
    /// What was counted of this tenant, if anybody has.
    fn count(&self) -> Option<Arc<AtomicU64>> {
        let counts = self.parts.counts.read();
        let counts = counts.unwrap_or_else(PoisonError::into_inner);
        counts.get(&self.proven.tenant.scope).cloned()
    }

    /// Whether there are as many registrations as may be.
    pub(super) fn is_full(&self, view: &View) -> Option<u64> {
        let limit = view.snapshot.instance.quotas.registrations;
        let full = limit > 0
            && self
                .count()
                .is_some_and(|count| count.load(Ordering::Relaxed) >= limit);
        full.then_some(limit)
    }

    /// One more device has registered.
    pub(super) fn add(&self) {
        if let Some(count) = self.count() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The answer to a device that would be one too many. Nothing is written, or the devices of a group could
    /// fill the store all the same; so there is no operation to ask about.
    pub(super) fn turn_away(&self, limit: u64, operation: OperationId, mut trace: Trace) -> Reply {
        trace.push(Step::TooManyRegistrations { limit });
        self.emit(EventKind::TurnedAway, Arc::new(trace));
        let failure = Failure::new(
            Failure::TOO_MANY_REGISTRATIONS,
            format!("there are {limit} registrations already, which is as many as may be"),
        );
        let registration = self.session.registration().clone();
        DeviceResponse::Operation {
            operation,
            state: RegistrationState {
                registration,
                created: self.now,
                updated: self.now,
                status: Status::Failed,
                assignment: None,
                failure: Some(failure),
                owner: self.proven.owner.clone(),
                version: Version(0),
                extras: Extras::default(),
            },
            retry_after: None,
        }
        .into()
    }
}
