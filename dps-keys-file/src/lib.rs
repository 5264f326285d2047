//! Keys for values at rest, in a file.
//!
//! ```
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # use std::sync::Arc;
//! # use dps_core::{crypto::AWS_LC, seal::{KeyName, SealedStore}};
//! use dps_keys_file::{KeyFile, key_line};
//! # let path = std::env::temp_dir().join(format!("dps-keys-file-doc-{}", std::process::id()));
//! let first = key_line(&KeyName::parse("2026-11")?, &AWS_LC)?;
//! std::fs::write(&path, format!("{first}current 2026-11\n"))?;
//! # #[cfg(unix)]
//! # std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
//! let keys = Arc::new(KeyFile::open(&path)?);
//! # std::fs::remove_file(&path)?;
//! // SealedStore::new(store, keys, AWS_LC)
//! # Ok(())
//! # }
//! ```
//!
//! # The file
//!
//! ```text
//! # What stands behind a # is not read. Words are separated by blanks.
//! key 2026-05 3q2+78r+ur7erb7vyv66vt6tvu/K/rq+3q2+78r+ur4=
//! key 2026-11 uq3wDbqt8A26rfANuq3wDbqt8A26rfANuq3wDbqt8A0=
//! current 2026-11
//! ```
//!
//! Each `key` has a [name](dps_core::seal::KeyName) and 32 random bytes in base64; `openssl rand -base64 32` makes them,
//! and so does [`key_line`]. One line says which is `current`: new values are sealed with that. Order does not
//! matter. At most 1000 keys and 256 KiB.
//!
//! # Turning keys
//!
//! 1. Add a `key` line to the file of every node, and have each read it ([`KeyFile::reload`], or start it anew). A node that
//!    meets a name it does not know reads its file again by itself, at most every five seconds.
//! 2. Change `current` on every node, and have each read it.
//! 3. [`SealedStore::reseal`](dps_core::seal::SealedStore::reseal) what is left under the old key, if it should go.
//! 4. Remove the old line when [`keys_in_use`](dps_core::seal::SealedStore::keys_in_use) counts nothing under it in any
//!    scope, **and no backup that you may want back has it either**: what is sealed with a key that is gone is gone.
//!
//! A name keeps its key: a file in which it has changed is refused, because what was sealed with the first one would
//! not open any more.
//!
//! # What it protects from
//!
//! Whoever has the store and not this file. Keep the two apart: not on the same disk, and not in the same backup. The file
//! must not be readable by everybody; on Unix that is checked. The bytes are wiped from memory when they are not needed
//! any more.

mod file;
mod parse;

pub use self::file::{KeyFile, KeyFileError, key_line};
pub use self::parse::{LineError, MAX_FILE_BYTES, MAX_KEYS};

/// For the fuzz targets.
#[cfg(feature = "__fuzzing")]
#[doc(hidden)]
pub mod fuzzing {
    /// How many keys a file has, or what it is refused for, as it would be shown.
    ///
    /// # Errors
    /// The text.
    pub fn parse(bytes: &[u8]) -> Result<usize, String> {
        crate::parse::parse(bytes)
            .map(|parsed| parsed.keys.len())
            .map_err(|error| format!("{error} {error:?}"))
    }
}
