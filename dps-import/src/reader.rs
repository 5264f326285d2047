//! From a line to an entry.

use std::path::Path;

use dps_core::crypto::Crypto;
use dps_core::json;
use dps_core::time::Timestamp;
use dps_transport_http::service::{EnrollmentError, EnrollmentReader, ReadEnrollment};
use serde_json::Value;

use crate::column::{Header, HeaderError};
use crate::report::LineError;

/// How a file is written. See the crate's page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// A JSON document in each line.
    Ndjson,
    /// Fields with commas between them; the first line names the columns.
    Csv,
}

impl Format {
    /// By the name of a file: `.csv` is CSV, and `.ndjson`, `.jsonl` and `.json` are NDJSON; `None` for
    /// any other.
    #[must_use]
    pub fn of_path(path: &Path) -> Option<Self> {
        let ends = path.extension()?.to_str()?.to_ascii_lowercase();
        match &*ends {
            "csv" => Some(Self::Csv),
            "ndjson" | "jsonl" | "json" => Some(Self::Ndjson),
            _ => None,
        }
    }

    /// The word for it: `ndjson` or `csv`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ndjson => "ndjson",
            Self::Csv => "csv",
        }
    }
}

/// Reads lines of one file, one by one. Each stands for itself.
#[derive(Debug)]
pub struct LineReader {
    reader: EnrollmentReader,
    header: Option<Header>,
}

impl LineReader {
    /// Reads NDJSON. Entries are dated `now`.
    #[must_use]
    pub const fn ndjson(crypto: Crypto, now: Timestamp) -> Self {
        Self {
            reader: EnrollmentReader::new(crypto, now),
            header: None,
        }
    }

    /// Reads CSV with these columns. Entries are dated `now`.
    ///
    /// * `first`: the first line of the file, without its end.
    ///
    /// # Errors
    /// [`HeaderError`] if it does not name columns.
    pub fn csv(crypto: Crypto, now: Timestamp, first: &[u8]) -> Result<Self, HeaderError> {
        Ok(Self {
            reader: EnrollmentReader::new(crypto, now),
            header: Some(Header::parse(first)?),
        })
    }

    /// Reads the entry that a line says.
    ///
    /// * `line`: without its end, at most [`MAX_LINE_BYTES`](crate::MAX_LINE_BYTES).
    ///
    /// # Errors
    /// [`LineError`] says why it is none.
    pub fn read(&mut self, line: &[u8]) -> Result<ReadEnrollment, LineError> {
        let document = match &mut self.header {
            Some(header) => header.document(line)?,
            None => json::parse(line).map_err(EnrollmentError::from)?,
        };
        let has = |name| {
            document
                .get(name)
                .is_some_and(|member: &Value| !member.is_null())
        };
        // What is no object at all is told so by the reader.
        let known = self.header.is_some() || !document.is_object();
        Ok(match (has("registrationId"), has("enrollmentGroupId")) {
            (true, true) => return Err(LineError::Both),
            (false, false) if !known => return Err(LineError::Nobody),
            (false, true) => self.reader.group(&document)?,
            _ => self.reader.individual(&document)?,
        })
    }
}
