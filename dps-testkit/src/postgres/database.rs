//! Databases for tests that need no server of their own.

use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use parking_lot::Mutex;

use super::process::{Programs, run};
use super::url::Url;
use super::{Server, ServerError};

/// The environment variable with the URL of a superuser, for instance of a server that is there for a whole run.
pub const VARIABLE: &str = "DPS_TEST_POSTGRES";

/// A fresh database; it is removed when this is dropped, whoever is connected.
///
/// It is on the server that the environment variable [`VARIABLE`] names, and without one on a server that this
/// process starts when it is first asked, and that ends with it. Commits do not reach the disk on the latter.
///
/// # Errors
/// [`ServerError`].
pub fn database() -> Result<Database, ServerError> {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let owner = match std::env::var(VARIABLE) {
        Ok(url) => url,
        Err(_) => shared()?.url("postgres"),
    };
    let nth = NEXT.fetch_add(1, Ordering::Relaxed);
    let name = format!("dps_test_{}_{nth}", std::process::id());
    psql(&owner, &format!("DROP DATABASE IF EXISTS {name}"))?;
    psql(&owner, &format!("CREATE DATABASE {name}"))?;
    let url = Url::of(&owner).with_database(&name).to_string();
    Ok(Database { owner, name, url })
}

/// A database that is removed when this is dropped.
pub struct Database {
    owner: String,
    name: String,
    url: String,
}

impl Database {
    /// Its URL, for a superuser.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs statements in it as superuser; what they return, one row a line, columns parted by `|`.
    ///
    /// # Errors
    /// [`ServerError::Failed`] with what the server says.
    pub fn psql(&self, statements: &str) -> Result<String, ServerError> {
        psql(&self.url, statements)
    }
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Database({})", self.name)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that is gone has no databases.
        let _ = psql(
            &self.owner,
            &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name),
        );
    }
}

/// One server a process. It is never dropped; its guard sees the process end.
fn shared() -> Result<&'static Server, ServerError> {
    static SHARED: OnceLock<Server> = OnceLock::new();
    static STARTING: Mutex<()> = Mutex::new(());
    let _one_at_a_time = STARTING.lock();
    if let Some(server) = SHARED.get() {
        return Ok(server);
    }
    let server = Server::options().with_fsync(false).start()?;
    Ok(SHARED.get_or_init(|| server))
}

fn psql(url: &str, statements: &str) -> Result<String, ServerError> {
    let mut psql: Command = Programs::find_client()?.command("psql");
    psql.args(["--no-psqlrc", "--quiet", "--tuples-only", "--no-align"])
        .args(["--set=ON_ERROR_STOP=1", "--command", statements, url]);
    run(&mut psql).map(|text| text.trim().to_owned())
}
