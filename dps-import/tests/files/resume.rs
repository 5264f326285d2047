//! An import that is stopped at any moment and goes on is an import that was never stopped.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use dps_core::store::{Key, Page, Scan, Shard, StoreError, Version, Versioned, Write};
use dps_import::{Journal, JournalError};
use proptest::prelude::*;

use super::*;

/// A store whose process dies at one commit: before it, or after it with nobody told.
#[derive(Debug)]
struct Mortal {
    inner: Arc<MemoryStore>,
    left: AtomicUsize,
    after: bool,
}

#[async_trait]
impl Store for Mortal {
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Versioned>>, StoreError> {
        self.inner.get_many(keys).await
    }

    async fn commit(&self, shard: &Shard, writes: &[Write]) -> Result<Version, StoreError> {
        let dies = self.left.fetch_sub(1, Ordering::SeqCst) == 1;
        if dies && self.after {
            self.inner.commit(shard, writes).await?;
        }
        if dies {
            return Err(StoreError::Unavailable("the process is gone".into()));
        }
        self.inner.commit(shard, writes).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, StoreError> {
        self.inner.scan(scan).await
    }
}

/// A file of its own, which goes with it.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let nth = NEXT.fetch_add(1, Ordering::SeqCst);
        let name = format!("dps-import-{}-{nth}.journal", std::process::id());
        Self(std::env::temp_dir().join(name))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn resume(importer: &Importer, file: &str, path: &Scratch) -> Result<Summary, ImportError> {
    let mut journal = Journal::open(&path.0).map_err(ImportError::Journal)?;
    block_on(importer.resume(Cursor::new(file.as_bytes()), &mut journal, |_| {}))
}

/// Some devices whose keys are made, some groups, some wrong lines, some ids twice.
fn list(count: usize) -> String {
    let line = |nth: usize| match nth % 10 {
        3 => keyed(&format!("d-{}", nth / 2), 1),
        5 => "{}".to_owned(),
        7 => keyed(&format!("g-{nth}"), 1)
            .replace("registrationId", "enrollmentGroupId")
            .replace(
                &STANDARD.encode([1; 16]),
                &STANDARD.encode((nth as u128).to_be_bytes()),
            ),
        _ => unsaid(&format!("d-{nth}")),
    };
    (0..count).map(|nth| line(nth) + "\n").collect()
}

#[test]
fn it_may_die_at_every_commit() {
    let file = list(1200);
    let once = admin();
    with_quotas(
        &once,
        Quotas {
            enrollments: 800,
            ..Quotas::UNLIMITED
        },
    );
    let whole = run(
        &importer(&once, Format::Ndjson).with_max_rejects(9999),
        &file,
    )
    .unwrap()
    .0;
    for (after, journaled) in [(false, false), (true, false), (false, true), (true, true)] {
        let store = Arc::new(MemoryStore::new());
        let survivor = admin_of(Arc::clone(&store) as Arc<dyn Store>);
        with_quotas(
            &survivor,
            Quotas {
                enrollments: 800,
                ..Quotas::UNLIMITED
            },
        );
        let path = Scratch::new();
        let mut lives = 0;
        let summary = loop {
            // Each life ends at its second commit.
            lives += 1;
            let mortal = Mortal {
                inner: Arc::clone(&store),
                left: 2.into(),
                after,
            };
            let mortal =
                importer(&admin_of(Arc::new(mortal)), Format::Ndjson).with_max_rejects(9999);
            let done = match journaled {
                true => resume(&mortal, &file, &path),
                false => run(&mortal, &file).map(|done| done.0),
            };
            match done {
                Ok(summary) => break summary,
                Err(ImportError::Store { .. }) => assert!(lives < 1000),
                Err(other) => panic!("{other}"),
            }
        };
        assert!(lives > 50, "{lives}");
        let ids = |admin| {
            entries(admin)
                .into_iter()
                .map(|entry| format!("{:?}", entry.subject))
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(&survivor), ids(&once));
        assert_eq!(summary.rejected, whole.rejected);
        assert_eq!(summary.created + summary.same, whole.created);
        // Once more changes nothing, and keys that were made are still there.
        let before = entries(&survivor);
        let again = run(
            &importer(&survivor, Format::Ndjson).with_max_rejects(9999),
            &file,
        )
        .unwrap()
        .0;
        assert_eq!((again.created, again.same), (0, whole.created));
        assert_eq!(entries(&survivor), before);
        // Each was counted once.
        with_quotas(
            &survivor,
            Quotas {
                enrollments: 801,
                ..Quotas::UNLIMITED
            },
        );
        assert_eq!(
            counts(&ndjson(&survivor, [unsaid("more-1"), unsaid("more-2")].join("\n")).0),
            [1, 0, 0, 1]
        );
    }
}

#[test]
fn what_was_done_is_not_read_again_and_what_was_appended_is() {
    let (path, admin) = (Scratch::new(), admin());
    let mut file = keyed("a", 1) + "\n";
    let importer = importer(&admin, Format::Ndjson);
    assert_eq!(
        counts(&resume(&importer, &file, &path).unwrap()),
        [1, 0, 0, 0]
    );
    block_on(admin.delete_enrollment(&dps_core::id::RegistrationId::parse("a").unwrap())).unwrap();
    file += &(keyed("b", 1) + "\n" + &keyed("A", 2) + "\n");
    let summary = resume(&importer, &file, &path).unwrap();
    // The id of the first line is still known, and that line is not looked at.
    assert_eq!((counts(&summary), summary.lines), ([2, 0, 0, 1], 3));
    assert_eq!(entries(&admin).len(), 1);
    assert_eq!(resume(&importer, &file, &path).unwrap(), summary);
}

#[test]
fn columns_are_known_where_it_goes_on() {
    let (path, admin) = (Scratch::new(), admin());
    let importer = importer(&admin, Format::Csv);
    let mut file = "\u{feff}attestation,registrationId\r\nsymmetricKey,a\r\n".to_owned();
    resume(&importer, &file, &path).unwrap();
    file += "symmetricKey,b\r\n";
    assert_eq!(
        counts(&resume(&importer, &file, &path).unwrap()),
        [2, 0, 0, 0]
    );
}

#[test]
fn entries_have_the_date_of_the_beginning() {
    let (path, admin) = (Scratch::new(), admin());
    let mut file = keyed("a", 1) + "\n";
    resume(&importer(&admin, Format::Ndjson), &file, &path).unwrap();
    file += &keyed("b", 1);
    let later = Importer::new(&admin, Format::Ndjson, AWS_LC, Timestamp(NOW.0 + 1000));
    resume(&later, &file, &path).unwrap();
    assert!(entries(&admin).iter().all(|entry| entry.created == NOW));
}

#[test]
fn a_journal_is_good_for_its_file_and_import_alone() {
    let (path, admin) = (Scratch::new(), admin());
    let importer = importer(&admin, Format::Ndjson);
    let file = keyed("a", 1) + "\n" + &keyed("b", 1) + "\n";
    resume(&importer, &file, &path).unwrap();
    let error = |importer: &Importer, file: &str| match resume(importer, file, &path) {
        Err(ImportError::Journal(error)) => error,
        other => panic!("{other:?}"),
    };
    for other in [
        file.replace("\"a\"", "\"c\""),
        keyed("a", 1),
        file.replace('\n', " "),
    ] {
        assert!(matches!(error(&importer, &other), JournalError::OtherFile));
    }
    let elsewhere = Admin::new(
        Arc::new(MemoryStore::new()),
        IdScope::parse("0ne2").unwrap(),
    );
    for other in [
        super::importer(&elsewhere, Format::Ndjson),
        super::importer(&admin, Format::Ndjson).replacing(),
        super::importer(&admin, Format::Ndjson).rehearsed(),
    ] {
        assert!(matches!(error(&other, &file), JournalError::OtherImport));
    }
    for text in ["something else", "{}\n", "{\"import\":2,\n"] {
        fs::write(&path.0, text).unwrap();
        assert!(
            matches!(error(&importer, &file), JournalError::NoJournal),
            "{text:?}"
        );
        assert_eq!(fs::read_to_string(&path.0).unwrap(), text);
    }
}

#[test]
fn a_journal_may_end_at_any_byte() {
    let (path, admin) = (Scratch::new(), admin());
    let importer = importer(&admin, Format::Ndjson);
    let mut file = String::new();
    for nth in 0..3 {
        file += &(unsaid(&format!("d-{nth}")) + "\n");
        resume(&importer, &file, &path).unwrap();
    }
    let whole = fs::read(&path.0).unwrap();
    let before = entries(&admin);
    for length in 0..=whole.len() {
        fs::write(&path.0, &whole[..length]).unwrap();
        let summary = resume(&importer, &file, &path).unwrap();
        assert_eq!(
            (summary.created + summary.same, summary.rejected),
            (3, 0),
            "{length}"
        );
        // What was not whole is gone, or what came after it could not be read.
        let written = fs::read(&path.0).unwrap();
        assert_eq!(resume(&importer, &file, &path).unwrap(), summary);
        assert_eq!(fs::read(&path.0).unwrap(), written, "{length}");
        assert_eq!(entries(&admin), before);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Any file, any process that dies at any commits, with or without its journal: one import.
    #[test]
    fn any_import_with_any_ends_is_one_import(
        lines in proptest::collection::vec((0_u8..30, 0_u8..4), 0..60),
        ends in proptest::collection::vec((1_usize..9, any::<bool>(), any::<bool>()), 0..8),
        replacing: bool,
    ) {
        let line = |(nth, byte): &(u8, u8)| match byte {
            0 => "{".to_owned(),
            byte => keyed(&format!("d-{nth}"), *byte),
        };
        let file = lines.iter().map(|one| line(one) + "\n").collect::<String>();
        let there = (0..30).step_by(3).map(|nth| keyed(&format!("d-{nth}"), 2) + "\n").collect::<String>();
        let make = |admin: &Admin| {
            let importer = importer(admin, Format::Ndjson);
            if replacing { importer.replacing() } else { importer }
        };
        let once = admin();
        ndjson(&once, &there);
        let (whole, _) = run(&make(&once), &file).unwrap();
        let store = Arc::new(MemoryStore::new());
        let survivor = admin_of(Arc::clone(&store) as Arc<dyn Store>);
        ndjson(&survivor, &there);
        let path = Scratch::new();
        for (left, after, loses) in ends {
            let mortal = Mortal { inner: Arc::clone(&store), left: left.into(), after };
            let _ = resume(&make(&admin_of(Arc::new(mortal))), &file, &path);
            if loses {
                let _ = fs::remove_file(&path.0);
            }
        }
        let summary = resume(&make(&survivor), &file, &path).unwrap();
        prop_assert_eq!(entries(&survivor), entries(&once));
        prop_assert_eq!(summary.entries(), whole.entries());
    }
}
