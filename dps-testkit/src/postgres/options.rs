//! How a server is to be.

use super::{Server, ServerError};
use crate::certs::Identity;

/// How a server is to be. Without more: as it comes, with everybody on this machine as superuser.
#[derive(Clone, Debug, Default)]
pub struct Options {
    pub(super) settings: Vec<(String, String)>,
    pub(super) files: Vec<File>,
    pub(super) access: Vec<String>,
}

#[derive(Clone)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) contents: String,
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

impl Options {
    /// Sets a parameter of `postgresql.conf`; the last one of a name counts.
    #[must_use]
    pub fn with_setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets whether commits reach the disk before they are acknowledged. They do, unless told otherwise; what does
    /// not look at durability is faster without.
    #[must_use]
    pub fn with_fsync(self, fsync: bool) -> Self {
        let value = if fsync { "on" } else { "off" };
        self.with_setting("fsync", value)
            .with_setting("full_page_writes", value)
    }

    /// Puts a file into the server's data directory, readable by nobody else. Settings name it without a path.
    #[must_use]
    pub fn with_file(mut self, name: &str, contents: &str) -> Self {
        self.files.push(File {
            name: name.to_owned(),
            contents: contents.to_owned(),
        });
        self
    }

    /// Takes TLS with this certificate. Connections without TLS are still let in.
    #[must_use]
    pub fn with_tls(self, identity: &Identity) -> Self {
        self.with_file("server.crt", &identity.chain_pem())
            .with_file("server.key", &identity.key_pem())
            .with_setting("ssl", "on")
    }

    /// Puts a line into `pg_hba.conf`, before those that trust everybody; the first that fits counts.
    #[must_use]
    pub fn with_access(mut self, line: &str) -> Self {
        self.access.push(line.to_owned());
        self
    }

    /// Starts a server that is so. It takes connections when this returns, about a second later.
    ///
    /// # Errors
    /// [`ServerError`]; nothing is left behind.
    pub fn start(&self) -> Result<Server, ServerError> {
        Server::start_with(self)
    }
}
