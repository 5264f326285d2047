//! What the configuration names, written to the store: once, or whenever that is asked for.

use std::sync::Arc;

use dps_core::admin::{Admin, AdminError, Existing, Imported};
use dps_core::enrollment::{Draft, Subject};
use dps_core::instance::{Instance, Quotas};
use dps_core::store::{BoxError, Store};
use dps_core::time::Timestamp;
use dps_examples::config::{Config, ConfiguredInstance};
use dps_store_memory::MemoryStore;

/// Holds that all that the configuration names can be written. No store of anybody is touched.
pub(super) async fn rehearse(config: &Config, now: Timestamp) -> Result<(), BoxError> {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    for one in &config.instances {
        // Whoever writes the configuration says how much there is.
        let instance = Instance {
            quotas: Quotas::UNLIMITED,
            ..one.instance.clone()
        };
        let admin = Admin::new(Arc::clone(&store), one.scope.clone());
        admin.put_instance(&instance).await?;
        write_entries(&admin, one, now).await?;
    }
    Ok(())
}

/// Makes each instance that `store` does not have, with its entries. One that is there stays as operators left it,
/// entries and all: what they have removed does not come back.
///
/// * `overwrite`: writes the configuration over what is there.
pub(super) async fn fill(
    store: &Arc<dyn Store>,
    config: &Config,
    overwrite: bool,
    now: Timestamp,
) -> Result<(), BoxError> {
    for one in &config.instances {
        let admin = Admin::new(Arc::clone(store), one.scope.clone());
        let there = match admin.settings().await {
            Ok(there) => Some(there.value),
            Err(AdminError::NotFound) => None,
            Err(error) => return Err(error.into()),
        };
        let done = match there {
            None => make(&admin, one, now).await?,
            Some(there) if overwrite => write_over(&admin, &there, one, now).await?,
            Some(_) => Done::Kept,
        };
        let (hubs, groups) = (one.instance.hubs.len(), one.groups.len());
        let (scope, enrollments) = (&one.scope, one.enrollments.len());
        match done {
            Done::Made => tracing::info!(%scope, hubs, groups, enrollments, "instance made"),
            Done::Overwritten => {
                tracing::info!(%scope, hubs, groups, enrollments, "instance overwritten");
            }
            Done::Kept => tracing::info!(
                %scope,
                "instance kept as operators left it; --overwrite writes the configuration over it"
            ),
        }
    }
    Ok(())
}

/// What became of an instance.
enum Done {
    Made,
    Kept,
    Overwritten,
}

/// The instance comes last: where it is, its entries are whole, whatever happens to this process in between.
async fn make(admin: &Admin, one: &ConfiguredInstance, now: Timestamp) -> Result<Done, BoxError> {
    write_entries(admin, one, now).await?;
    match admin.create_instance(&one.instance).await {
        Ok(()) => Ok(Done::Made),
        // Another process that starts on this store was quicker.
        Err(AdminError::Exists) => Ok(Done::Kept),
        Err(error) => Err(error.into()),
    }
}

/// What the configuration cannot say stays: IP rules, doors, quotas, and what the service signs in to hubs with.
async fn write_over(
    admin: &Admin,
    there: &Instance,
    one: &ConfiguredInstance,
    now: Timestamp,
) -> Result<Done, BoxError> {
    write_entries(admin, one, now).await?;
    let mut instance = one.instance.clone();
    instance.quotas = there.quotas;
    instance.access.rules.clone_from(&there.access.rules);
    instance.access.network.clone_from(&there.access.network);
    for hub in &mut instance.hubs {
        let linked = there.hub(&hub.name);
        hub.credential = linked.and_then(|linked| linked.credential.clone());
    }
    admin.put_instance(&instance).await?;
    Ok(Done::Overwritten)
}

/// All entries, gathered into few commits. Keys that are not said are those that are there, or are made.
async fn write_entries(
    admin: &Admin,
    one: &ConfiguredInstance,
    now: Timestamp,
) -> Result<(), BoxError> {
    let drafts: Vec<Draft> = one.groups.iter().chain(&one.enrollments).cloned().collect();
    let names: Vec<String> = drafts.iter().map(name).collect();
    let outcomes = admin.import(Existing::Replace, now).batch(drafts).await?;
    for (name, outcome) in names.iter().zip(outcomes) {
        let _: Imported = outcome.map_err(|error| format!("{}: {name}: {error}", admin.scope()))?;
    }
    Ok(())
}

fn name(draft: &Draft) -> String {
    match &draft.subject {
        Subject::Individual { registration, .. } => format!("enrollment {registration}"),
        Subject::Group { id } => format!("group {id}"),
    }
}
