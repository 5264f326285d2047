//! What is done beside serving.

use std::sync::Arc;
use std::time::Duration;

use dps_core::Provisioner;
use dps_core::id::IdScope;
use dps_core::seal::SealedStore;
use dps_core::store::{BoxError, Store};
use dps_core::time::{Clock, SystemClock};
use dps_examples::config::{Backup, Backups};
use dps_examples::place::with_causes;
use dps_keys_file::KeyFile;

use crate::signals::Told;

/// How often places that devices have left are looked after.
const SWEEP: Duration = Duration::from_secs(60);

/// How long after a failure resealing begins anew.
const AGAIN: Duration = Duration::from_secs(30);

/// Cleans what devices left behind when a hub did not answer, and counts registrations for their quota. Never
/// ends.
pub(super) async fn sweep(service: &Provisioner, scopes: &[&IdScope]) {
    loop {
        tokio::time::sleep(SWEEP).await;
        for scope in scopes {
            if let Err(error) = service.count_registrations(scope).await {
                tracing::warn!(%scope, %error, "count");
            }
            let mut after = None;
            loop {
                match service.sweep(scope, after, 100).await {
                    Ok(done) if done.next.is_some() => after = done.next,
                    Ok(_) => break,
                    Err(error) => {
                        tracing::warn!(%scope, %error, "sweep");
                        break;
                    }
                }
            }
        }
    }
}

/// Seals what is sealed with another key than the current one, once.
pub(super) async fn reseal(store: Option<&SealedStore<Arc<dyn Store>>>, scopes: &[&IdScope]) {
    let Some(store) = store else { return };
    for scope in scopes {
        loop {
            match store.reseal(scope, &mut |_| {}).await {
                Ok(done) => {
                    let (resealed, missed) = (done.resealed, done.missed);
                    tracing::info!(%scope, seen = done.seen, resealed, missed, "resealed");
                    for (table, id) in &done.examples {
                        tracing::warn!(%scope, ?table, id = &**id, "cannot be read, and stays as it is");
                    }
                    break;
                }
                Err(error) => {
                    tracing::warn!(%scope, error = with_causes(&error), "reseal");
                    tokio::time::sleep(AGAIN).await;
                }
            }
        }
    }
}

/// Reads the file of keys again whenever the process is told to. Never ends.
pub(super) async fn reread(keys: Option<&KeyFile>, mut hangup: Told) {
    loop {
        hangup.next().await;
        match keys.map(KeyFile::reload) {
            None => tracing::warn!("there is no [seal], and so no keys to read"),
            Some(Ok(())) => tracing::info!("keys read"),
            Some(Err(error)) => {
                tracing::error!(error = with_causes(&error), "keys stay as they were");
            }
        }
    }
}

/// Makes a backup whenever the process is told to. Never ends.
pub(super) async fn back_up(backups: Option<Backups>, mut told: Told) {
    loop {
        told.next().await;
        let Some(backups) = backups.clone() else {
            tracing::warn!("no backup was made: no [store] backups says where");
            continue;
        };
        let now = SystemClock.now();
        let made = tokio::task::spawn_blocking(move || backups.add(now)).await;
        match made.map_err(BoxError::from).flatten() {
            Ok(Backup { path, records }) => {
                tracing::info!(path = %path.display(), records, "backup made");
            }
            Err(error) => tracing::error!(error = with_causes(&*error), "no backup was made"),
        }
    }
}
