//! Bulk import and export of enrollments.
//!
//! A factory has a list of the devices it has made, and an instance of the service has to know them all.
//! [`Importer`] reads the list line by line and brings it in by the hundreds; [`Exporter`] writes a list.
//! Both work on an [`Admin`](dps_core::admin::Admin), and therefore on any store.
//!
//! ```
//! use dps_core::admin::Admin;
//! use dps_core::crypto::AWS_LC;
//! use dps_core::time::{Clock, SystemClock};
//! use dps_import::{Event, Format, ImportError, Importer, Summary};
//!
//! async fn bring_in(admin: &Admin, path: &str) -> Result<Summary, ImportError> {
//!     let file = std::io::BufReader::new(std::fs::File::open(path)?);
//!     let importer = Importer::new(admin, Format::Ndjson, AWS_LC, SystemClock.now());
//!     let report = |event: Event<'_>| {
//!         if let Event::Rejected { line, why, .. } = event {
//!             eprintln!("{path}:{line}: {why}");
//!         }
//!     };
//!     importer.run(file, report).await
//! }
//! ```
//!
//! # Formats
//!
//! **NDJSON**: each line is an `IndividualEnrollment` or an `EnrollmentGroup` of the service API.
//!
//! **CSV**: the first line names the columns, in any order; each other line is an individual enrollment.
//! An empty field says nothing. A field with a comma or a quote in it stands in quotes, and a quote in it
//! twice. A record is one line: a quote that is forgotten spoils that line alone.
//!
//! | column | what |
//! |---|---|
//! | `registrationId` | has to be there |
//! | `attestation` | has to be there: `x509`, `symmetricKey` or `tpm` |
//! | `primaryKey`, `secondaryKey` | base64 of 16 to 64 bytes; made if they are not said |
//! | `primaryCertificate`, `secondaryCertificate` | base64 of DER |
//! | `endorsementKey`, `storageRootKey` | base64 of a `TPM2B_PUBLIC` |
//! | `deviceId` | |
//! | `iotHubHostName` | one hub |
//! | `iotHubs` | hubs, with `;` between them |
//! | `allocationPolicy` | `hashed`, `geoLatency`, `static` or `custom` |
//! | `webhookUrl`, `apiVersion` | of the policy `custom` |
//! | `provisioningStatus` | `enabled` or `disabled` |
//! | `iotEdge` | `true` or `false` |
//! | `updateHubAssignment`, `migrateDeviceData` | `true` or `false`; both or none |
//! | `initialTwin`, `optionalDeviceInformation` | JSON objects |
//!
//! Names of columns are taken in any case of letters; any other column is an error, as is one that comes
//! twice. Both formats may begin with a byte order mark, and lines may end with CR LF. Blank lines are
//! passed over.
//!
//! # Importing again
//!
//! An entry that is there already and says the same is passed over, and keys that the service made stay:
//! importing a file twice does what importing it once does. One that differs is rejected, or replaced
//! if [`Importer::replacing`] says so. The second line with an id is rejected. So an import that was
//! stopped at any moment is begun again; with a [`Journal`] it goes on where it was.

mod column;
mod export;
mod importer;
mod journal;
mod line;
mod reader;
mod report;

pub use self::column::{HeaderError, MAX_COLUMNS};
pub use self::export::{ExportError, Exporter};
pub use self::importer::{ImportError, Importer};
pub use self::journal::{Journal, JournalError};
pub use self::line::MAX_LINE_BYTES;
pub use self::reader::{Format, LineReader};
pub use self::report::{Event, LineError, Summary};
