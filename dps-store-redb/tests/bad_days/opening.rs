//! Opening what cannot be opened: a clear error, and not a byte is changed.

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::path::{Path, PathBuf};

use crate::disk::{Disk, all, put, value};
use dps_core::store::RECORD_FORMAT;
use dps_store_redb::{OpenError, RedbStore};
use redb::{Database, MultimapTableDefinition, TableDefinition};
use tempfile::TempDir;

const ABOUT: TableDefinition<'static, &str, u64> = TableDefinition::new("about");

/// A folder, and the path of a file in it.
fn place() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("dps.redb");
    (folder, path)
}

/// A store with some records, closed.
fn filled() -> (TempDir, PathBuf) {
    let (folder, path) = place();
    let store = RedbStore::open(&path).unwrap();
    for n in 0..200 {
        put(&store, &format!("device-{n}"), &[7; 300]).unwrap();
    }
    (folder, path)
}

/// The error, once it is sure that opening has changed nothing.
fn refused(path: &Path) -> OpenError {
    let before = fs::read(path).unwrap();
    let error = RedbStore::open(path).unwrap_err();
    assert!(fs::read(path).unwrap() == before, "the file was changed");
    let names = fs::read_dir(path.parent().unwrap()).unwrap().count();
    assert_eq!(names, 1, "something was left behind");
    error
}

fn text(error: &OpenError) -> String {
    let source = error.source().map(|source| format!(": {source}"));
    format!("{error}{}", source.unwrap_or_default())
}

#[test]
fn what_is_no_database_is_refused() {
    let zeros = vec![0; 100_000];
    for bytes in [&b"[store]\npath = \"here\"\n"[..], b"r", b"redb", &zeros] {
        let (_folder, path) = place();
        fs::write(&path, bytes).unwrap();
        let error = refused(&path);
        assert!(matches!(error, OpenError::Foreign), "{}", text(&error));
    }
}

#[test]
fn a_database_of_another_program_is_refused() {
    let theirs: [fn(&redb::WriteTransaction); 4] = [
        |transaction| {
            let table: TableDefinition<'_, u64, u64> = TableDefinition::new("songs");
            transaction.open_table(table).unwrap();
        },
        |transaction| {
            let table: MultimapTableDefinition<'_, u64, u64> = MultimapTableDefinition::new("tags");
            transaction.open_multimap_table(table).unwrap();
        },
        |transaction| {
            let table: TableDefinition<'_, u64, u64> = TableDefinition::new("about");
            transaction.open_table(table).unwrap();
        },
        |transaction| {
            transaction
                .open_table(ABOUT)
                .unwrap()
                .insert("us", 1)
                .unwrap();
        },
    ];
    for make in theirs {
        let (_folder, path) = place();
        let database = Database::create(&path).unwrap();
        let transaction = database.begin_write().unwrap();
        make(&transaction);
        transaction.commit().unwrap();
        drop(database);
        let error = refused(&path);
        assert!(matches!(error, OpenError::NotOurs), "{}", text(&error));
    }
}

fn say(path: &Path, name: &str, number: u64) {
    let database = Database::open(path).unwrap();
    let transaction = database.begin_write().unwrap();
    let mut about = transaction.open_table(ABOUT).unwrap();
    about.insert(name, number).unwrap();
    drop(about);
    transaction.commit().unwrap();
}

#[test]
fn a_file_from_the_future_is_refused_with_both_numbers() {
    let record_format = u64::from(RECORD_FORMAT);
    for (name, number) in [("layout", 2), ("records", record_format + 1)] {
        let (_folder, path) = filled();
        say(&path, name, number);
        let error = refused(&path);
        let OpenError::Newer { found, known, .. } = error else {
            panic!("{}", text(&error));
        };
        assert_eq!((found, known), (number, number - 1));
    }
}

#[test]
fn a_file_with_older_records_says_from_now_on_that_it_has_newer_ones() {
    let (_folder, path) = filled();
    say(&path, "records", 0);
    drop(RedbStore::open(&path).unwrap());
    let database = Database::open(&path).unwrap();
    let transaction = redb::ReadableDatabase::begin_read(&database).unwrap();
    let about = transaction.open_table(ABOUT).unwrap();
    let records = about.get("records").unwrap().unwrap().value();
    assert_eq!(records, u64::from(RECORD_FORMAT));
}

#[test]
fn a_file_in_use_is_refused_and_may_be_opened_afterwards() {
    let (_folder, path) = filled();
    let store = RedbStore::open(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, OpenError::InUse), "{}", text(&error));
    put(&store, "device-0", b"still works").unwrap();
    drop(store);
    let store = RedbStore::open(&path).unwrap();
    assert_eq!(value(&store, "device-0"), b"still works");
}

#[test]
fn a_file_that_may_not_be_written_is_refused() {
    let (_folder, path) = filled();
    let mut permissions = fs::metadata(&path).unwrap().permissions();
    permissions.set_readonly(true);
    fs::set_permissions(&path, permissions).unwrap();
    // Whoever may do everything needs a file that nobody may write.
    let path = if OpenOptions::new().write(true).open(&path).is_ok() {
        PathBuf::from("/sys/kernel/notes")
    } else {
        path
    };
    let error = RedbStore::open(path).unwrap_err();
    assert!(matches!(error, OpenError::Denied(_)), "{}", text(&error));
}

#[test]
fn what_is_not_a_file_or_not_in_a_folder_is_named() {
    let (folder, path) = place();
    let error = RedbStore::open(folder.path()).unwrap_err();
    assert!(matches!(error, OpenError::NotAFile), "{}", text(&error));
    let error = RedbStore::open(path.join("deeper")).unwrap_err();
    assert!(matches!(error, OpenError::NoFolder(_)), "{}", text(&error));
    assert!(text(&error).contains("dps.redb"));
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_empty_file_becomes_a_store() {
    let (folder, path) = place();
    fs::write(&path, b"").unwrap();
    let store = RedbStore::open(&path).unwrap();
    put(&store, "one", b"1").unwrap();
    drop(store);
    assert_eq!(value(&RedbStore::open(&path).unwrap(), "one"), b"1");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn only_its_owner_can_read_a_new_file() {
    use std::os::unix::fs::PermissionsExt;
    let (_folder, path) = filled();
    let mode = fs::metadata(&path).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_file_that_was_cut_short_is_refused() {
    let (_folder, path) = filled();
    let whole = fs::read(&path).unwrap();
    for length in [
        9,
        100,
        319,
        320,
        4096,
        5000,
        whole.len() / 2,
        whole.len() - 1,
    ] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = refused(&path);
        assert!(
            matches!(error, OpenError::Damaged(_)),
            "{length}: {}",
            text(&error)
        );
    }
}

#[test]
fn a_file_whose_end_was_never_written_is_refused() {
    // As it is when the last pages were torn out, and zeros put in their place.
    let (_folder, path) = filled();
    let mut bytes = fs::read(&path).unwrap();
    let half = bytes.len() / 8;
    bytes[half..].fill(0);
    fs::write(&path, &bytes).unwrap();
    let error = RedbStore::builder()
        .with_check(true)
        .open(&path)
        .unwrap_err();
    assert!(matches!(error, OpenError::Damaged(_)), "{}", text(&error));
    assert!(fs::read(&path).unwrap() == bytes, "the file was changed");
}

#[test]
fn a_check_finds_a_flipped_bit_wherever_records_are() {
    let (_folder, path) = filled();
    let whole = fs::read(&path).unwrap();
    let of_records: Vec<usize> = (0..whole.len())
        .filter(|at| whole[*at..].starts_with(&[7; 300]))
        .collect();
    let mut found = 0;
    for at in of_records.iter().step_by(of_records.len() / 40) {
        let mut bytes = whole.clone();
        bytes[*at] ^= 0x10;
        fs::write(&path, &bytes).unwrap();
        let checking = RedbStore::builder().with_check(true);
        // What lies in pages that are not used any more is of no interest.
        match checking.open(&path) {
            Ok(store) => assert_eq!(all(&store).unwrap().len(), 200),
            Err(error) => {
                assert!(matches!(error, OpenError::Damaged(_)), "{}", text(&error));
                assert!(fs::read(&path).unwrap() == bytes, "the file was changed");
                found += 1;
            }
        }
    }
    assert!(found > 0);
}

#[test]
fn a_backend_that_was_given_up_in_the_making_begins_anew() {
    let disk = Disk::default();
    let store = RedbStore::builder().open_backend(disk.clone()).unwrap();
    put(&store, "one", b"1").unwrap();
    drop(store);
    let mut bytes = disk.bytes();
    bytes[..9].fill(0);
    let store = RedbStore::builder().open_backend(Disk::of(bytes)).unwrap();
    assert!(all(&store).unwrap().is_empty());
    put(&store, "two", b"2").unwrap();
    assert_eq!(value(&store, "two"), b"2");
}

#[test]
fn the_progress_of_a_repair_is_told() {
    let disk = Disk::default();
    let store = RedbStore::builder().open_backend(disk.clone()).unwrap();
    put(&store, "one", b"1").unwrap();
    let crashed = disk.after_power_failure();
    let told = std::sync::Arc::new(parking_lot::Mutex::new(Vec::new()));
    let tell = std::sync::Arc::clone(&told);
    let telling = RedbStore::builder().on_repair(move |progress| tell.lock().push(progress));
    let store = telling.open_backend(crashed).unwrap();
    assert_eq!(value(&store, "one"), b"1");
    assert!(!told.lock().is_empty());
    assert!(
        told.lock()
            .iter()
            .all(|progress| (0.0..=1.0).contains(progress))
    );
}
