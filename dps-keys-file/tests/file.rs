//! Files of keys on a disk: the suite for key providers, and what an operator does to a file.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that fails says so"
)]

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use dps_core::crypto::AWS_LC;
use dps_core::id::IdScope;
use dps_core::seal::{KeyError, KeyName, KeyProvider, SealedStore};
use dps_core::store::{Change, Expect, Key, Shard, Store, StoreError, Table, Write};
use dps_keys_file::{KeyFile, KeyFileError, LineError, MAX_FILE_BYTES, key_line};
use dps_store_memory::MemoryStore;
use dps_testkit::keys::Fixture;
use dps_testkit::run::block_on;

/// A file in a directory of its own, which goes with it.
struct TestFile {
    folder: PathBuf,
}

impl TestFile {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let nth = NEXT.fetch_add(1, Ordering::SeqCst);
        let folder = format!("dps-keys-file-{}-{nth}", std::process::id());
        let folder = std::env::temp_dir().join(folder);
        fs::create_dir(&folder).unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.join("keys")
    }

    fn write(&self, text: impl AsRef<[u8]>) {
        fs::write(self.path(), text).unwrap();
        set_mode(&self.path(), 0o600);
    }

    /// A file of these lines, the first of which is current.
    fn with(lines: &[&str]) -> Self {
        let file = Self::new();
        file.write(text(lines, 1));
        file
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

#[cfg(unix)]
fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(not(unix))]
fn set_mode(_: &Path, _: u32) {}

fn name(n: usize) -> KeyName {
    KeyName::parse(&format!("k{n}")).unwrap()
}

fn line(n: usize) -> String {
    key_line(&name(n), &AWS_LC).unwrap()
}

fn text(lines: &[&str], current: usize) -> String {
    format!("{}current k{current}\n", lines.concat())
}

fn scope() -> IdScope {
    IdScope::parse("0ne00ABCDEF").unwrap()
}

fn chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text.push_str(": ");
        text.push_str(&source.to_string());
        next = source.source();
    }
    text
}

mod conformance {
    use super::*;

    struct Files;

    #[async_trait]
    impl Fixture for Files {
        type Guard = (TestFile, Arc<KeyFile>);

        async fn open(&self) -> (Self::Guard, Arc<dyn KeyProvider>) {
            let file = TestFile::with(&[&line(1)]);
            let keys = Arc::new(KeyFile::open(file.path()).unwrap());
            ((file, Arc::clone(&keys)), keys)
        }

        async fn rotate(&self, (file, keys): &Self::Guard) {
            let before = fs::read_to_string(file.path()).unwrap();
            let first = before.lines().next().unwrap();
            file.write(text(&[first, "\n", &line(2)], 2));
            keys.reload().unwrap();
        }
    }

    dps_testkit::keys::conformance!(Files);
}

#[test]
fn a_node_that_meets_a_new_name_reads_its_file_again() {
    let (one, two) = (line(1), line(2));
    let file = TestFile::with(&[&one]);
    let always = KeyFile::open(file.path())
        .unwrap()
        .with_reread_every(Duration::ZERO);
    let seldom = KeyFile::open(file.path()).unwrap();
    let opening = |keys: &KeyFile, n| block_on(keys.opening_key(&scope(), &name(n)));
    assert!(matches!(opening(&always, 2), Err(KeyError::Unknown { .. })));
    assert!(matches!(opening(&seldom, 2), Err(KeyError::Unknown { .. })));
    file.write(text(&[&one, &two], 1));
    assert_eq!(opening(&always, 2).unwrap().name(), &name(2));
    // Within five seconds of the last time nobody reads it again, whoever makes up names.
    assert!(matches!(opening(&seldom, 2), Err(KeyError::Unknown { .. })));
    seldom.reload().unwrap();
    assert_eq!(opening(&seldom, 2).unwrap().name(), &name(2));
}

#[test]
fn a_reload_keeps_keys_and_takes_up_what_is_current() {
    let (one, two) = (line(1), line(2));
    let file = TestFile::with(&[&one]);
    let keys = KeyFile::open(file.path()).unwrap();
    let before = keys.current().unwrap();
    file.write(text(&[&two, &one], 2));
    keys.reload().unwrap();
    assert_eq!(keys.current().unwrap().name(), &name(2));
    assert_eq!(keys.names(), [name(1), name(2)]);
    let after = block_on(keys.opening_key(&scope(), &name(1))).unwrap();
    assert!(Arc::ptr_eq(&before, &after), "a key is made ready once");
    file.write(text(&[&two], 2));
    keys.reload().unwrap();
    assert_eq!(keys.names(), [name(2)]);
}

#[test]
fn a_file_that_is_wrong_now_changes_nothing() {
    let (one, other) = (line(1), line(1));
    let file = TestFile::with(&[&one]);
    let keys = KeyFile::open(file.path())
        .unwrap()
        .with_reread_every(Duration::ZERO);
    file.write("key");
    let error = keys.reload().unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with("keys line 1: a line is `key NAME BASE64` or `current NAME`")
    );
    assert_eq!(keys.current().unwrap().name(), &name(1));
    // Where a key is missing, the file may be to blame.
    let missing = block_on(keys.opening_key(&scope(), &name(2))).unwrap_err();
    assert!(matches!(missing, KeyError::Unavailable(_)));
    assert!(
        chain(&missing).contains("keys line 1: a line is"),
        "{}",
        chain(&missing)
    );
    // A name keeps its key.
    file.write(text(&["\n", &other], 1));
    let error = keys.reload().unwrap_err();
    assert!(matches!(
        error,
        KeyFileError::Line {
            line: 2,
            error: LineError::Changed,
            ..
        }
    ));
    fs::remove_file(file.path()).unwrap();
    assert!(matches!(
        keys.reload(),
        Err(KeyFileError::Unreadable { .. })
    ));
    assert_eq!(keys.current().unwrap().name(), &name(1));
    file.write(text(&[&one], 1));
    keys.reload().unwrap();
}

#[cfg(unix)]
#[test]
fn a_file_that_others_may_read_is_refused_unless_that_is_meant() {
    let file = TestFile::with(&[&line(1)]);
    for mode in [0o604, 0o644, 0o620, 0o602, 0o666, 0o601, 0o777] {
        set_mode(&file.path(), mode);
        let error = KeyFile::open(file.path()).unwrap_err();
        assert!(matches!(error, KeyFileError::Shared { mode: of, .. } if of == mode));
        assert!(error.to_string().contains(&format!("(mode {mode:03o})")));
        KeyFile::open_shared(file.path()).unwrap();
    }
    for mode in [0o400, 0o600, 0o640, 0o440, 0o700] {
        set_mode(&file.path(), mode);
        let keys = KeyFile::open(file.path()).unwrap();
        set_mode(&file.path(), 0o644);
        assert!(matches!(keys.reload(), Err(KeyFileError::Shared { .. })));
    }
}

#[test]
fn what_is_no_file_of_keys_is_refused() {
    let file = TestFile::new();
    let open = || KeyFile::open(file.path()).unwrap_err();
    assert!(matches!(open(), KeyFileError::Unreadable { .. }));
    assert!(matches!(
        KeyFile::open(&file.folder),
        Err(KeyFileError::NoFile { .. } | KeyFileError::Unreadable { .. })
    ));
    file.write("# nothing\n");
    assert!(matches!(open(), KeyFileError::NoCurrent { .. }));
    file.write(vec![b'#'; MAX_FILE_BYTES + 1]);
    assert!(matches!(open(), KeyFileError::TooLarge { .. }));
    file.write(vec![b'#'; MAX_FILE_BYTES]);
    assert!(matches!(open(), KeyFileError::NoCurrent { .. }));
}

#[test]
fn nothing_that_is_shown_has_a_key_in_it() {
    let one = line(1);
    let key = one.split_whitespace().last().unwrap();
    let file = TestFile::with(&[&one]);
    let keys = KeyFile::open(file.path()).unwrap();
    let mut shown = format!("{keys:?} {keys:#?}");
    assert!(shown.contains("k1"));
    for text in [
        format!("current {key}\n{one}"),
        format!("{one}{one}current k1"),
        format!("key {key} k1"),
        format!("{key}\ncurrent k1"),
    ] {
        file.write(text);
        let error = KeyFile::open(file.path()).unwrap_err();
        shown += &format!("{error} {error:?}");
    }
    assert!(!shown.contains(&key[..8]), "{shown}");
}

#[test]
fn keys_that_are_made_differ() {
    let made: std::collections::BTreeSet<_> = (0..100).map(|_| line(1)).collect();
    assert_eq!(made.len(), 100);
    assert!(made.iter().all(|line| line.len() == "key k1 \n".len() + 44));
}

/// A key that is lost: the record and the key are named; brought back, all is well.
#[test]
fn a_store_whose_key_was_lost_goes_on_when_it_is_back() {
    let (one, two) = (line(1), line(2));
    let file = TestFile::with(&[&one]);
    let below = Arc::new(MemoryStore::new());
    let open = || {
        let keys = KeyFile::open(file.path())
            .unwrap()
            .with_reread_every(Duration::ZERO);
        SealedStore::new(Arc::clone(&below), Arc::new(keys), AWS_LC).unwrap()
    };
    let shard = Shard {
        scope: scope(),
        slot: 1,
    };
    let write = Write {
        table: Table::Enrollment,
        id: "press-1".into(),
        expect: Expect::Any,
        change: Change::Put(Bytes::from_static(b"value")),
    };
    block_on(open().commit(&shard, &[write])).unwrap();
    file.write(text(&[&two], 2));
    let store = open();
    let key = Key {
        shard,
        table: Table::Enrollment,
        id: "press-1".into(),
    };
    let read = || block_on(store.get_many(std::slice::from_ref(&key)));
    let error = read().unwrap_err();
    assert!(matches!(error, StoreError::Unavailable(_)));
    assert!(
        chain(&error)
            .ends_with("Enrollment record press-1 is sealed with key k1: there is no key k1"),
        "{}",
        chain(&error)
    );
    file.write(text(&[&two, &one], 2));
    assert_eq!(read().unwrap()[0].as_ref().unwrap().value, "value");
}
