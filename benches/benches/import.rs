//! Importing a factory's file into the store in memory, beside the bare parse of its lines.
//!
//! `cargo bench --bench import [-- x509 symmetric again]`: all parts, or those named.

#![allow(clippy::future_not_send, reason = "one thread")]

use std::any::Any;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use dps_benches::inside::{Inside, Run, alternate};
use dps_benches::measure::Figures;
use dps_benches::{Bench, bench_main, table, world};
use dps_core::admin::Admin;
use dps_core::certificate::Certificate;
use dps_core::crypto::AWS_LC;
use dps_core::instance::{Instance, Quotas};
use dps_core::store::Store;
use dps_core::time::Timestamp;
use dps_import::{Event, Format, Importer, LineReader};
use dps_store_memory::MemoryStore;
use dps_testkit::certs::Ca;
use dps_testkit::run::block_on;
use rustls::pki_types::CertificateDer;
use serde_json::Value;

const NOW: Timestamp = Timestamp(1_763_683_200_000);

/// What the project promises, in entries a second and core.
const X509_RATE: f64 = 100_000.0;
const SYMMETRIC_RATE: f64 = 200_000.0;

/// Certificates are slow to make; each stands in the file many times, under many ids.
const CERTIFICATES: usize = 64;

fn main() {
    bench_main(&[], async |bench, _| {
        if bench.wants("x509") {
            let text = "individual enrollments with a certificate each, as NDJSON";
            let found = measure(bench, Format::Ndjson, &x509(bench), text);
            promise(&found, X509_RATE);
        }
        if bench.wants("symmetric") {
            let text = "individual enrollments with two keys each, as NDJSON";
            let found = measure(bench, Format::Ndjson, &symmetric(bench), text);
            promise(&found, SYMMETRIC_RATE);
            let text = "individual enrollments with two keys each, as CSV";
            let found = measure(bench, Format::Csv, &symmetric_csv(bench), text);
            promise(&found, SYMMETRIC_RATE);
        }
        Ok(())
    })
}

fn count(bench: &Bench) -> usize {
    if bench.quick() { 2_000 } else { 200_000 }
}

fn x509(bench: &Bench) -> String {
    let ca = Ca::root("Factory");
    let made: Vec<_> = (0..CERTIFICATES)
        .map(|nth| STANDARD.encode(ca.device(&format!("press-{nth}")).certificate_der()))
        .collect();
    let line = |nth: usize| {
        let certificate = &made[nth % CERTIFICATES];
        format!(
            r#"{{"registrationId":"press-{nth}","attestation":{{"type":"x509","x509":{{"clientCertificates":{{"primary":{{"certificate":"{certificate}"}}}}}}}},"provisioningStatus":"enabled"}}"#
        ) + "\n"
    };
    (0..count(bench)).map(line).collect()
}

fn keys(nth: usize) -> [String; 2] {
    [1_u8, 2].map(|byte| {
        let mut key = [byte; 64];
        key[..8].copy_from_slice(&nth.to_be_bytes());
        STANDARD.encode(key)
    })
}

fn symmetric(bench: &Bench) -> String {
    let line = |nth: usize| {
        let [primary, secondary] = keys(nth);
        format!(
            r#"{{"registrationId":"press-{nth}","attestation":{{"type":"symmetricKey","symmetricKey":{{"primaryKey":"{primary}","secondaryKey":"{secondary}"}}}},"provisioningStatus":"enabled"}}"#
        ) + "\n"
    };
    (0..count(bench)).map(line).collect()
}

fn symmetric_csv(bench: &Bench) -> String {
    let line = |nth: usize| {
        let [primary, secondary] = keys(nth);
        format!("press-{nth},symmetricKey,{primary},{secondary},enabled\n")
    };
    let header = "registrationId,attestation,primaryKey,secondaryKey,provisioningStatus\n";
    header.to_owned() + &(0..count(bench)).map(line).collect::<String>()
}

/// Bare parse first, then reading alone, the import, and the same import again.
fn measure(bench: &Bench, format: Format, file: &str, text: &str) -> Vec<Figures> {
    let entries = count(bench) as u64;
    let file: Rc<str> = file.into();
    let rounds = if bench.quick() { 1 } else { 5 };
    let mut all = vec![
        part("bare parse, and a map", &file, entries, move |file| {
            Box::new(bare(format, file)) as Box<dyn Any>
        }),
        part("read and validated", &file, entries, move |file| {
            assert_eq!(read(format, file), entries);
            Box::new(())
        }),
        part("imported", &file, entries, move |file| {
            let admin = admin();
            assert_eq!(import(&admin, format, file), [entries, 0]);
            Box::new(admin)
        }),
        again(format, &file, entries),
    ];
    let found = alternate(&mut all, rounds);
    let fixed = format!(
        "Fixed: {entries} lines from memory, {} bytes each; one thread; the store in memory, empty at first.\n\
         Bare is serde_json or a split at commas, base64, x509-parser and SHA-256 for certificates, and a map\n\
         from ids to bytes. Freeing what was made is not counted.",
        file.len() as u64 / entries
    );
    table::title(&format!("Import of {text}"), &fixed);
    table::costs("entry", &found);
    found
}

fn promise(found: &[Figures], least: f64) {
    if let Some(imported) = found.get(2) {
        table::rate(imported, "entries", least);
    }
}

fn part(
    label: &str,
    file: &Rc<str>,
    entries: u64,
    what: impl Fn(&str) -> Box<dyn Any> + 'static,
) -> Inside<'static> {
    let (file, what) = (Rc::clone(file), Rc::new(what));
    let prepare = move || {
        let (file, what) = (Rc::clone(&file), Rc::clone(&what));
        Box::new(move || (entries, what(&file))) as Run<'static>
    };
    Inside {
        label: label.to_owned(),
        prepare: Box::new(prepare),
    }
}

/// The same file for the second time.
fn again(format: Format, file: &Rc<str>, entries: u64) -> Inside<'static> {
    let admin = admin();
    import(&admin, format, file);
    part("imported again", file, entries, move |file| {
        assert_eq!(import(&admin, format, file), [0, entries]);
        Box::new(())
    })
}

fn admin() -> Admin {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let admin = Admin::new(store, world::scope());
    let instance = Instance {
        quotas: Quotas::default(),
        ..world::instance(None)
    };
    block_on(admin.put_instance(&instance)).expect("a sound instance");
    admin
}

/// How many are new, and how many were there.
fn import(admin: &Admin, format: Format, file: &str) -> [u64; 2] {
    let importer = Importer::new(admin, format, AWS_LC, NOW);
    let tell = |event: Event<'_>| assert!(!matches!(event, Event::Rejected { .. }), "{event:?}");
    let summary = block_on(importer.run(file.as_bytes(), tell)).expect("it is read");
    [summary.created, summary.same]
}

fn read(format: Format, file: &str) -> u64 {
    let mut lines = file.lines();
    let mut reader = match format {
        Format::Ndjson => LineReader::ndjson(AWS_LC, NOW),
        Format::Csv => {
            let first = lines.next().expect("a header").as_bytes();
            LineReader::csv(AWS_LC, NOW, first).expect("a header")
        }
    };
    lines
        .map(|line| reader.read(line.as_bytes()).expect("an entry"))
        .count() as u64
}

/// The least that has to be done: each line parsed, its bytes decoded, its certificate parsed and hashed.
fn bare(format: Format, file: &str) -> HashMap<String, Vec<Vec<u8>>> {
    let mut map = HashMap::new();
    let decode = |text: &str| STANDARD.decode(text).expect("base64");
    for line in file.lines() {
        if format == Format::Csv {
            let mut fields = line.split(',');
            let id = fields.next().unwrap_or_default().to_owned();
            let keys = fields.skip(1).take(2).filter(|key| key.ends_with('='));
            map.insert(id, keys.map(decode).collect());
            continue;
        }
        let document: Value = serde_json::from_str(line).expect("JSON");
        let attestation = &document["attestation"];
        let id = document["registrationId"]
            .as_str()
            .expect("an id")
            .to_owned();
        let certificate = &attestation["x509"]["clientCertificates"]["primary"]["certificate"];
        let values = match certificate.as_str() {
            Some(text) => {
                let der = CertificateDer::from(decode(text));
                let certificate = Certificate::parse(&der).expect("a certificate");
                vec![certificate.thumbprint().to_vec(), der.to_vec()]
            }
            None => ["primaryKey", "secondaryKey"]
                .map(|name| decode(attestation["symmetricKey"][name].as_str().expect("a key")))
                .to_vec(),
        };
        map.insert(id, values);
    }
    map
}
