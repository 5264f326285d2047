//! Where records are kept.

use std::path::PathBuf;
use std::sync::Arc;

use dps_core::store::{BoxError, Store};

use super::file::{SealTable, StoreTable};
use super::{Complaint, Context};
use crate::place::{Database, FilePlace, Place, sealed};

const MIB: usize = 1 << 20;

/// Where records are kept, and whether they are sealed there.
#[derive(Clone, Debug)]
pub struct Records {
    /// The store.
    pub place: Place,
    /// The file with the keys that values are sealed with, if they are.
    pub keys: Option<PathBuf>,
}

impl Records {
    /// Opens the store. Blocks the thread while a file is opened.
    ///
    /// # Errors
    /// The store or the keys cannot be opened.
    pub async fn open(&self) -> Result<Arc<dyn Store>, BoxError> {
        let store = self.place.open().await?;
        match &self.keys {
            Some(keys) => sealed(store, keys),
            None => Ok(store),
        }
    }
}

pub(super) fn read(
    context: &Context<'_>,
    store: Option<&StoreTable>,
    seal: Option<&SealTable>,
) -> Result<Records, Complaint> {
    // No default: a file that nobody asked for, with keys of devices in it, would be a surprise.
    let Some(table) = store else {
        let what = "there is no [store] that says where records are kept: path = \"dps.redb\" for one file, \
                    postgres = \"postgres://...\" for a database, memory = true for as long as the process runs";
        return Err(context.complaint("store", what));
    };
    Ok(Records {
        place: place(context, table)?,
        keys: seal.map(|table| context.beside(&table.keys)),
    })
}

fn place(context: &Context<'_>, table: &StoreTable) -> Result<Place, Complaint> {
    let said = [
        ("path", table.path.is_some()),
        ("postgres", table.postgres.is_some()),
        ("memory", table.memory),
    ];
    let said: Vec<_> = said
        .into_iter()
        .filter_map(|(name, said)| said.then_some(name))
        .collect();
    let [one] = said.as_slice() else {
        let what = match said.as_slice() {
            [] => "has to say path, postgres or memory = true".to_owned(),
            more => format!("says {}: records are kept in one place", more.join(" and ")),
        };
        return Err(context.complaint("store", what));
    };
    for (name, said, of) in [
        ("cache_mib", table.cache_mib.is_some(), "path"),
        ("password_file", table.password_file.is_some(), "postgres"),
        ("connections", table.connections.is_some(), "postgres"),
    ] {
        if said && of != *one {
            let what = format!("is for {of}, and records are kept by {one}");
            return Err(context.complaint(format!("store.{name}"), what));
        }
    }
    if let Some(path) = &table.path {
        let path = context.beside(path);
        let cache = table.cache_mib.map(|mib| mib.get() as usize * MIB);
        return Ok(Place::File(FilePlace { path, cache }));
    }
    let Some(url) = &table.postgres else {
        return Ok(Place::Memory);
    };
    let mut database = Database::parse(url.expose())
        .map_err(|error| context.complaint("store.postgres", error))?;
    if let Some(path) = &table.password_file {
        let complaint = |what: String| {
            let what = format!("{}: {what}", path.display());
            context.complaint("store.password_file", what)
        };
        let read = std::fs::read_to_string(context.beside(path));
        let text = read.map_err(|error| complaint(error.to_string()))?;
        // Editors end the last line.
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err(complaint("is empty".to_owned()));
        }
        database = database.with_password(password);
    }
    if let Some(connections) = table.connections {
        database = database.with_connections(connections);
    }
    Ok(Place::Postgres(database))
}
