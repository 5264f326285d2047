//! Where records are kept.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use dps_core::crypto::AWS_LC;
use dps_core::seal::SealedStore;
use dps_core::store::{BoxError, Store};
use dps_core::time::Timestamp;
use dps_keys_file::KeyFile;
use dps_store_postgres::Config;
use dps_store_redb::RedbStore;

use super::file::{SealTable, StoreTable};
use super::{Complaint, Context};
use crate::place::{DatabasePlace, FilePlace, Place, with_causes};

const MIB: usize = 1 << 20;

/// Where records are kept, and whether they are sealed there.
#[derive(Clone, Debug)]
pub struct Records {
    /// The store.
    pub place: Place,
    /// The keys that values are sealed with, if they are.
    pub keys: Option<Arc<KeyFile>>,
    /// The folder for backups of a file, if there may be any.
    pub backups: Option<PathBuf>,
}

/// A store that is open.
#[derive(Debug)]
pub struct Opened {
    /// What to read and write.
    pub store: Arc<dyn Store>,
    /// The same, if what is in it is sealed.
    pub sealed: Option<SealedStore<Arc<dyn Store>>>,
    /// What makes backups, if it is a file and a folder was named.
    pub backups: Option<Backups>,
}

/// Backups of a file of records, in a folder.
#[derive(Clone, Debug)]
pub struct Backups {
    store: RedbStore,
    folder: PathBuf,
}

/// One that was made.
#[derive(Clone, Debug)]
pub struct Backup {
    /// Where it is.
    pub path: PathBuf,
    /// How many records are in it.
    pub records: u64,
}

impl Backups {
    /// Makes one more, named by the time. Blocks the thread until it is done.
    ///
    /// # Errors
    /// It cannot be written, or the records cannot be read.
    pub fn add(&self, now: Timestamp) -> Result<Backup, BoxError> {
        fs::create_dir_all(&self.folder)
            .map_err(|error| format!("{}: {error}", self.folder.display()))?;
        // Some file systems take no colons.
        let name = format!("dps-{now}.redb").replace(':', "");
        let path = self.folder.join(name);
        let records = self.store.backup(&path);
        let records =
            records.map_err(|error| format!("{}: {}", path.display(), with_causes(&error)))?;
        Ok(Backup { path, records })
    }
}

impl Records {
    /// Opens the store. Blocks the thread while a file is opened.
    ///
    /// # Errors
    /// It is not there, not ours, of a later version, or somebody else has it.
    pub async fn open(&self) -> Result<Opened, BoxError> {
        let (store, backups): (Arc<dyn Store>, _) = match &self.place {
            Place::File(file) => {
                let store = file.open()?;
                let folder = self.backups.clone();
                let backups = folder.map(|folder| Backups {
                    store: store.clone(),
                    folder,
                });
                (Arc::new(store), backups)
            }
            place => (place.open().await?, None),
        };
        let mut opened = Opened {
            store,
            sealed: None,
            backups,
        };
        if let Some(keys) = &self.keys {
            let sealed = SealedStore::new(opened.store, Arc::clone(keys) as _, AWS_LC)?;
            opened.store = Arc::new(sealed.clone());
            opened.sealed = Some(sealed);
        }
        Ok(opened)
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
    let keys = seal.map(|table| {
        let opened = KeyFile::open(context.beside(&table.keys));
        opened.map_err(|error| context.complaint("seal.keys", with_causes(&error)))
    });
    Ok(Records {
        place: place(context, table)?,
        keys: keys.transpose()?.map(Arc::new),
        backups: table.backups.as_deref().map(|path| context.beside(path)),
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
        ("backups", table.backups.is_some(), "path"),
        ("password_file", table.password_file.is_some(), "postgres"),
        ("connections", table.connections.is_some(), "postgres"),
        ("pooler", table.pooler, "postgres"),
        ("migrate", table.migrate.is_some(), "postgres"),
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
    let mut config = Config::parse(&beside(context, url.expose()))
        .map_err(|error| context.complaint("store.postgres", error))?;
    if let Some(path) = &table.password_file {
        let complaint = |what: String| {
            let what = format!("{}: {what}", path.display());
            context.complaint("store.password_file", what)
        };
        let read = fs::read_to_string(context.beside(path));
        let text = read.map_err(|error| complaint(error.to_string()))?;
        // Editors end the last line.
        let password = text.strip_suffix('\n').unwrap_or(&text);
        let password = password.strip_suffix('\r').unwrap_or(password);
        if password.is_empty() {
            return Err(complaint("is empty".to_owned()));
        }
        config = config.with_password(password);
    }
    if let Some(connections) = table.connections {
        config = config.with_connections(connections.get() as usize);
    }
    Ok(Place::Postgres(Box::new(DatabasePlace {
        config: config.with_transaction_pooler(table.pooler),
        migrate: table.migrate.unwrap_or(true),
    })))
}

/// The URL with the files that it names as they are seen from the configuration.
fn beside(context: &Context<'_>, url: &str) -> String {
    let Some((database, settings)) = url.split_once('?') else {
        return url.to_owned();
    };
    let file = |setting: &str| match setting.split_once('=') {
        Some((name @ ("sslrootcert" | "sslcert" | "sslkey"), path)) if path != "system" => {
            format!("{name}={}", context.beside(Path::new(path)).display())
        }
        _ => setting.to_owned(),
    };
    let settings: Vec<_> = settings.split('&').map(file).collect();
    format!("{database}?{}", settings.join("&"))
}
