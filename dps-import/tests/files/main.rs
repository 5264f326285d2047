//! Files that are imported and exported, as a program does it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "files are written where they are used"
)]

mod export;
mod rejects;
mod resume;

use std::io::Cursor;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_core::access::Access;
use dps_core::admin::Admin;
use dps_core::admin::query::{Listing, Query};
use dps_core::allocate::Policy;
use dps_core::crypto::AWS_LC;
use dps_core::enrollment::Enrollment;
use dps_core::id::IdScope;
use dps_core::instance::{Instance, Quotas};
use dps_core::store::Store;
use dps_core::time::Timestamp;
use dps_import::{Event, Format, ImportError, Importer, Summary};
use dps_store_memory::MemoryStore;
use dps_testkit::run::block_on;

const NOW: Timestamp = Timestamp(1_763_683_200_000);

fn admin_of(store: Arc<dyn Store>) -> Admin {
    Admin::new(store, IdScope::parse("0ne00000001").unwrap())
}

fn admin() -> Admin {
    admin_of(Arc::new(MemoryStore::new()))
}

fn with_quotas(admin: &Admin, quotas: Quotas) {
    let instance = Instance {
        service_host: "one.example.net".into(),
        policy: Policy::Hashed,
        hubs: Vec::new(),
        certificates: Vec::new(),
        access: Access::default(),
        quotas,
    };
    block_on(admin.put_instance(&instance)).unwrap();
}

/// A line for a device with two keys of this byte.
fn keyed(id: &str, byte: u8) -> String {
    let key = STANDARD.encode([byte; 16]);
    let keys = format!(r#"{{"primaryKey":"{key}","secondaryKey":"{key}"}}"#);
    format!(
        r#"{{"registrationId":"{id}","attestation":{{"type":"symmetricKey","symmetricKey":{keys}}}}}"#
    )
}

/// A line for a device whose keys are made.
fn unsaid(id: &str) -> String {
    format!(r#"{{"registrationId":"{id}","attestation":{{"type":"symmetricKey"}}}}"#)
}

/// What became of a file: the summary, and number and reason of each rejected line.
type Done = (Summary, Vec<(u64, String)>);

fn run(importer: &Importer, file: impl AsRef<[u8]> + Send) -> Result<Done, ImportError> {
    let mut rejected = Vec::new();
    let tell = |event: Event<'_>| {
        if let Event::Rejected { line, why, .. } = event {
            rejected.push((line, why.to_string()));
        }
    };
    let summary = block_on(importer.run(Cursor::new(file.as_ref()), tell))?;
    assert_eq!(summary.rejected, rejected.len() as u64);
    assert_eq!(summary.bytes, file.as_ref().len() as u64);
    Ok((summary, rejected))
}

fn importer(admin: &Admin, format: Format) -> Importer {
    Importer::new(admin, format, AWS_LC, NOW)
}

fn ndjson(admin: &Admin, file: impl AsRef<[u8]> + Send) -> Done {
    run(&importer(admin, Format::Ndjson), file).unwrap()
}

fn csv(admin: &Admin, file: impl AsRef<[u8]> + Send) -> Done {
    run(&importer(admin, Format::Csv), file).unwrap()
}

/// Created, replaced, same, rejected.
fn counts(summary: &Summary) -> [u64; 4] {
    [
        summary.created,
        summary.replaced,
        summary.same,
        summary.rejected,
    ]
}

/// All entries, groups first.
fn entries(admin: &Admin) -> Vec<Enrollment> {
    let mut all = Vec::new();
    for listing in [Listing::Groups, Listing::Enrollments] {
        let query = Query::all(listing);
        let mut from = None;
        loop {
            let page = block_on(admin.entries(&query, from.as_ref(), 1000)).unwrap();
            all.extend(page.items.into_iter().map(|one| one.value));
            from = page.next;
            if from.is_none() {
                break;
            }
        }
    }
    all
}
