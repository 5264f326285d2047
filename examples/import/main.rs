//! A factory's list of devices: checked, brought in, and exported again.
//!
//! ```text
//! cargo run --release --example import -- FILE
//! ```
//!
//! Shows [`Importer`] and [`Exporter`] of `dps-import` as a program uses them: a rehearsal before anything
//! is written, each rejected line with its reason, progress on a terminal.
//!
//! Corner it cuts: whoever stops it begins again, and passes over what is there already. A `dps_import::Journal` would
//! save reading that part once more.
#![allow(clippy::print_stdout, reason = "a program that reports to people")]

use std::fs::File;
use std::io::{self, BufReader, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use dps_core::admin::Admin;
use dps_core::crypto::AWS_LC;
use dps_core::id::IdScope;
use dps_core::store::{BoxError, Store};
use dps_core::time::{Clock, SystemClock};
use dps_examples::place::{Place, sealed, with_causes};
use dps_import::{Event, Exporter, Format, Importer, Summary};
use indicatif::{ProgressBar, ProgressStyle};

/// Imports enrollments from a file, and tells what became of each line that was not taken.
///
/// NDJSON has an IndividualEnrollment or an EnrollmentGroup of the service API in each line; CSV has
/// individual enrollments, and names its columns in the first line. An entry that is there already and
/// says the same is passed over, so the same file can be imported again. Without --store the entries go
/// into memory: it tells what would become of the file, and nothing is kept.
///
/// Ends with status 0 if every line was taken, 2 if some were not, and 1 if it could not go on.
#[derive(Debug, Parser)]
#[command(name = "import", after_help = HELP)]
struct Arguments {
    /// The file; - is the standard input.
    file: PathBuf,
    /// How it is written. Default: by its name, .csv or .ndjson, .jsonl, .json.
    #[arg(long)]
    format: Option<Written>,
    /// Where the entries go: redb:FILE or postgres://USER@HOST/DATABASE.
    #[arg(long, value_parser = Place::parse, value_name = "STORE")]
    store: Option<Place>,
    /// The file with the keys that records of the store are sealed with.
    #[arg(long, requires = "store", value_name = "FILE")]
    keys: Option<PathBuf>,
    /// The tenant whose entries they are.
    #[arg(long, default_value = "0ne00000001", value_parser = IdScope::parse)]
    scope: IdScope,
    /// Only say what would become of each line; write nothing.
    #[arg(long)]
    check: bool,
    /// Check the whole file first, and write nothing if any line would be rejected.
    #[arg(long, conflicts_with = "check")]
    check_first: bool,
    /// Replace entries that are there already and differ; without, they are kept, and the line is rejected.
    #[arg(long)]
    replace: bool,
    /// Stop soon after so many lines have been rejected.
    #[arg(long, default_value_t = 1000, value_name = "LINES")]
    max_rejects: u64,
    /// Tell of lines that are taken and are probably not meant as they are.
    #[arg(long)]
    notes: bool,
    /// Write all entries to this file afterwards, in the format that its name says.
    #[arg(long, value_name = "FILE", conflicts_with = "check")]
    export: Option<PathBuf>,
    /// Export symmetric keys, too: whoever reads the file can pretend to be the devices.
    #[arg(long, requires = "export")]
    with_keys: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Written {
    Ndjson,
    Csv,
}

const HELP: &str = "Columns of CSV, in any order; an empty field says nothing, any other column is an error:

  registrationId, attestation              have to be there; x509, symmetricKey or tpm
  primaryKey, secondaryKey                 base64 of 16 to 64 bytes; made if not said
  primaryCertificate, secondaryCertificate base64 of DER
  endorsementKey, storageRootKey           base64 of a TPM2B_PUBLIC
  deviceId, iotHubHostName, provisioningStatus (enabled, disabled)
  iotHubs                                  with ; between them
  allocationPolicy, webhookUrl, apiVersion hashed, geoLatency, static or custom, and the webhook of that
  iotEdge, updateHubAssignment, migrateDeviceData  true or false; the last two both or none
  initialTwin, optionalDeviceInformation   JSON objects, in quotes, with each quote in them twice";

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(&Arguments::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(2),
        Err(error) => {
            eprintln!("import: {}", with_causes(&*error));
            ExitCode::FAILURE
        }
    }
}

/// Where the entries go.
async fn open(arguments: &Arguments) -> Result<Arc<dyn Store>, BoxError> {
    let place = arguments.store.as_ref().unwrap_or(&Place::Memory);
    let store = place.open().await?;
    match &arguments.keys {
        Some(keys) => sealed(store, keys),
        None => Ok(store),
    }
}

/// Whether every line was taken.
async fn run(arguments: &Arguments) -> Result<bool, BoxError> {
    if arguments.check_first && arguments.file == Path::new("-") {
        return Err(
            "the standard input cannot be read twice: give a file, or leave --check-first".into(),
        );
    }
    let format = match arguments.format {
        Some(Written::Ndjson) => Format::Ndjson,
        Some(Written::Csv) => Format::Csv,
        None => format_of(&arguments.file)?,
    };
    let export = arguments.export.as_deref();
    let export = export
        .map(|path| format_of(path).map(|format| (path, format)))
        .transpose()?;
    let admin = Admin::new(open(arguments).await?, arguments.scope.clone());
    let importer = || {
        let importer = Importer::new(&admin, format, AWS_LC, SystemClock.now())
            .with_max_rejects(arguments.max_rejects.saturating_sub(1));
        if arguments.replace {
            importer.replacing()
        } else {
            importer
        }
    };
    if arguments.check || arguments.check_first {
        let summary = bring(arguments, &importer().rehearsed(), "checked").await?;
        if arguments.check || summary.rejected > 0 {
            return Ok(summary.rejected == 0);
        }
    }
    let summary = bring(arguments, &importer(), "imported").await?;
    if let Some((path, format)) = export {
        let exporter = Exporter::new(&admin, format);
        let exporter = if arguments.with_keys {
            exporter.with_keys()
        } else {
            exporter
        };
        let file = File::create(path).map_err(|error| format!("{}: {error}", path.display()))?;
        let count = exporter.run(BufWriter::new(file), |_| {}).await?;
        println!("{}: {count} entries", path.display());
    }
    Ok(summary.rejected == 0)
}

/// Brings the file in, and tells how it goes: rejected lines to the standard output, progress to a terminal.
async fn bring(
    arguments: &Arguments,
    importer: &Importer,
    word: &str,
) -> Result<Summary, BoxError> {
    let path = arguments.file.display();
    let (bar, began) = (bar(&arguments.file), Instant::now());
    let tell = |event: Event<'_>| match event {
        Event::Rejected { line, why, .. } => bar.suspend(|| println!("{path}:{line}: {why}")),
        Event::Note { line, text } if arguments.notes => {
            bar.suspend(|| println!("{path}:{line}: note: {text}"));
        }
        Event::Progress(so_far) => {
            bar.set_position(so_far.bytes);
            bar.set_message(format!(
                "{} lines, {} rejected",
                so_far.lines, so_far.rejected
            ));
        }
        _ => {}
    };
    let summary = if arguments.file == Path::new("-") {
        importer.run(BufReader::new(io::stdin()), tell).await?
    } else {
        let file = File::open(&arguments.file).map_err(|error| format!("{path}: {error}"))?;
        importer
            .run(BufReader::with_capacity(1 << 20, file), tell)
            .await?
    };
    bar.finish_and_clear();
    let Summary {
        created,
        replaced,
        same,
        rejected,
        ..
    } = summary;
    println!(
        "{word}: {created} new, {replaced} replaced, {same} there already, {rejected} rejected, in {:.1} s",
        began.elapsed().as_secs_f64()
    );
    if summary.stopped {
        println!(
            "stopped after line {}: too many lines were rejected",
            summary.lines
        );
    }
    io::stdout().flush()?;
    Ok(summary)
}

/// A bar if somebody watches; otherwise nothing is drawn.
fn bar(file: &Path) -> ProgressBar {
    if !io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = match std::fs::metadata(file) {
        Ok(file) => ProgressBar::new(file.len()),
        Err(_) => ProgressBar::no_length(),
    };
    let style = "{bar:40} {bytes}/{total_bytes} {bytes_per_sec} {eta} {msg}";
    match ProgressStyle::with_template(style) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn format_of(path: &Path) -> Result<Format, BoxError> {
    let what = || format!("{}: neither .csv nor .ndjson: say --format", path.display());
    Ok(Format::of_path(path).ok_or_else(what)?)
}
