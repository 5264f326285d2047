//! Cleaning places that devices have left and nobody has cleaned.
//!
//! A device polls for its own operation, but nobody polls for what it left behind.

use std::sync::Arc;
use std::time::Duration;

use super::{CALL_DEADLINE, Provisioner};
use crate::api::Work;
use crate::event::EventKind;
use crate::id::{IdScope, RegistrationId, TrackingId};
use crate::record::{DeviceKeys, Leaving, decode_leaving, encode_leaving, epoch_key};
use crate::store::{Change, Expect, Scan, StoreError, Table, Version, Write};
use crate::tenant::{Tenant, TenantError, TenantName};
use crate::trace::{Step, Trace};

/// A place whose hub keeps refusing is tried again at the latest after this long. Our choice.
const LONGEST_WAIT: Duration = Duration::from_secs(60 * 60);

/// What a sweep has done.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Sweep {
    /// Places that are clean now.
    pub cleaned: u32,
    /// Places that somebody else is at, or whose hub asked to be left alone.
    pub waiting: u32,
    /// Records that cannot be read. They stay; somebody has to look at them.
    pub unreadable: u32,
    /// Where to go on; `None` when all have been looked at.
    pub next: Option<Arc<str>>,
}

/// Why a sweep stopped. What it had done is done.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SweepError {
    /// The tenant could not be looked up.
    #[error(transparent)]
    Tenant(#[from] TenantError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Provisioner {
    /// Cleans places that devices of `scope` have left. Call it now and then, from anywhere.
    ///
    /// * `after`: where an earlier sweep stopped; `None` to begin.
    /// * `limit`: how many records to look at, 1 to 1000; each may cost one call to a hub.
    ///
    /// # Errors
    /// [`SweepError`] if the tenant or its store does not answer. An unknown scope is an empty sweep.
    pub async fn sweep(
        &self,
        scope: &IdScope,
        after: Option<Arc<str>>,
        limit: u32,
    ) -> Result<Sweep, SweepError> {
        let Some(tenant) = self.parts.tenants.resolve(TenantName::Scope(scope)).await? else {
            return Ok(Sweep::default());
        };
        let scope = tenant.scope.clone();
        let scan = Scan {
            scope,
            table: Table::Leaving,
            prefix: "".into(),
            after,
            limit,
        };
        let page = tenant.store().scan(&scan).await?;
        let mut sweep = Sweep::default();
        for (id, stored) in &page.records {
            // One that cannot be read must not keep those after it from being cleaned.
            let Ok(leaving) = decode_leaving(&stored.value) else {
                sweep.unreadable += 1;
                continue;
            };
            match self.clean(&tenant, id, stored.version, leaving).await {
                Ok(true) => sweep.cleaned += 1,
                // Somebody else has taken it up, or the device is coming back.
                Ok(false) | Err(StoreError::Conflict { .. }) => sweep.waiting += 1,
                Err(error) => return Err(error.into()),
            }
        }
        sweep.next = page
            .records
            .last()
            .filter(|_| page.more)
            .map(|(id, _)| Arc::clone(id));
        Ok(sweep)
    }

    async fn clean(
        &self,
        tenant: &Tenant,
        id: &Arc<str>,
        version: Version,
        leaving: Leaving,
    ) -> Result<bool, StoreError> {
        let now = self.parts.clock.now();
        let device = id.split('/').next().unwrap_or_default();
        let keys = DeviceKeys::of_folded(&tenant.scope, device.into());
        if leaving.until > now {
            return Ok(false);
        }
        let write = |expect, change| {
            [Write {
                table: Table::Leaving,
                id: Arc::clone(id),
                expect,
                change,
            }]
        };
        let again = |delay: Duration| {
            let attempts = leaving.attempts.saturating_add(1);
            let place = leaving.place.clone();
            encode_leaving(&Leaving {
                place,
                until: now.plus(delay),
                attempts,
            })
            .map(Change::Put)
        };
        // The lease comes first: a device that comes back meanwhile takes the record away, and
        // waits until the lease is over.
        let lease = write(Expect::Exactly(version), again(Work::LEASE)?);
        let version = tenant.store().commit(&keys.shard, &lease).await?;
        let epoch = tenant.store().get_many(&[epoch_key(&tenant.scope)]).await?;
        let snapshot = match epoch.into_iter().next().flatten() {
            Some(epoch) => self.parts.snapshot(tenant, epoch.version).await?,
            None => None,
        };
        // A hub that is not linked any more cannot be cleaned, now or later.
        let place = &leaving.place;
        if let Some(hub) = snapshot
            .as_ref()
            .and_then(|known| known.instance.hub(&place.hub))
            && self
                .parts
                .linker
                .unlink(hub, &place.device, CALL_DEADLINE)
                .await
                .is_err()
        {
            let wait = Duration::from_secs(1 << leaving.attempts.min(12)).min(LONGEST_WAIT);
            let later = write(Expect::Exactly(version), again(wait)?);
            tenant.store().commit(&keys.shard, &later).await?;
            return Ok(false);
        }
        let done = write(Expect::Exactly(version), Change::Delete);
        tenant.store().commit(&keys.shard, &done).await?;
        self.report(tenant, device, &leaving);
        Ok(true)
    }

    fn report(&self, tenant: &Tenant, device: &str, leaving: &Leaving) {
        let parts = &self.parts;
        let (Ok(registration), Ok(random)) =
            (RegistrationId::parse(device), parts.crypto.random::<16>())
        else {
            return;
        };
        let mut trace = Trace::default();
        trace.push(Step::Cleaned {
            hub: Arc::clone(leaving.place.hub.folded()),
        });
        let (now, tracking) = (parts.clock.now(), TrackingId::from_random(random));
        let trace = Arc::new(trace);
        parts.emit(
            now,
            &tenant.scope,
            &registration,
            tracking,
            EventKind::Cleaned,
            trace,
        );
    }
}
