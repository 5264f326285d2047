//! Writes the entries of an instance.

use std::io::{self, Write};

use dps_core::admin::query::{Listing, MAX_PAGE, Query};
use dps_core::admin::{Admin, AdminError};
use dps_core::enrollment::Enrollment;
use dps_transport_http::service::EnrollmentWriter;

use crate::column;
use crate::reader::Format;

/// Writes all entries of an instance, so that [`Importer`](crate::Importer) brings them in elsewhere:
/// groups, then individual enrollments; in CSV those alone. Holds one page of a thousand.
///
/// It is no snapshot: what comes or goes meanwhile may be in it or not. Dates are told in NDJSON, and are
/// not taken over when it is imported.
#[derive(Debug)]
pub struct Exporter {
    admin: Admin,
    format: Format,
    writer: EnrollmentWriter,
}

/// An export cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// Nothing more can be written.
    #[error("the file cannot be written: {0}")]
    Write(#[from] io::Error),
    /// The store failed, or a record in it cannot be read.
    #[error(transparent)]
    Store(#[from] AdminError),
}

impl Exporter {
    /// Writes what `admin` works on, without symmetric keys: whoever imports it makes new ones.
    #[must_use]
    pub fn new(admin: &Admin, format: Format) -> Self {
        Self {
            admin: admin.clone(),
            format,
            writer: EnrollmentWriter::new(),
        }
    }

    /// Writes symmetric keys, too: whoever reads the file can pretend to be the devices.
    #[must_use]
    pub const fn with_keys(mut self) -> Self {
        self.writer = self.writer.with_keys();
        self
    }

    /// Writes everything to `out`. `tell` is told after each page how many entries there were.
    ///
    /// Returns how many entries there were.
    ///
    /// # Errors
    /// [`ExportError`]; what was written until then is whole lines.
    pub async fn run<W: Write + Send>(
        &self,
        mut out: W,
        mut tell: impl FnMut(u64) + Send,
    ) -> Result<u64, ExportError> {
        let lists: &[_] = match self.format {
            Format::Ndjson => &[Listing::Groups, Listing::Enrollments],
            Format::Csv => {
                out.write_all(&record(column::names())?)?;
                &[Listing::Enrollments]
            }
        };
        let mut count = 0;
        for list in lists {
            let query = Query::all(list.clone());
            let mut from = None;
            loop {
                let page = self.admin.entries(&query, from.as_ref(), MAX_PAGE).await?;
                for entry in &page.items {
                    out.write_all(&self.line(&entry.value)?)?;
                    count += 1;
                }
                tell(count);
                from = page.next;
                if from.is_none() {
                    break;
                }
            }
        }
        out.flush()?;
        Ok(count)
    }

    fn line(&self, entry: &Enrollment) -> io::Result<Vec<u8>> {
        match self.format {
            Format::Ndjson => {
                let mut line = self.writer.to_vec(entry);
                line.push(b'\n');
                Ok(line)
            }
            Format::Csv => record(column::texts(&self.writer.to_value(entry))),
        }
    }
}

/// One line of CSV.
fn record<T: AsRef<[u8]>>(fields: impl Iterator<Item = T>) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    let mut writer = csv::Writer::from_writer(&mut line);
    writer.write_record(fields)?;
    writer.flush()?;
    drop(writer);
    Ok(line)
}
