//! Reads a file and brings it in.

use std::collections::HashSet;
use std::io::{self, BufRead, Seek, SeekFrom};

use dps_core::admin::{Admin, AdminError, EntryId, Existing, Import, Imported};
use dps_core::crypto::Crypto;
use dps_core::enrollment::Draft;
use dps_core::time::Timestamp;
use sha2::{Digest, Sha256};

use crate::MAX_LINE_BYTES;
use crate::column::HeaderError;
use crate::journal::{Journal, JournalError, Opening};
use crate::line::{Line, Lines};
use crate::reader::{Format, LineReader};
use crate::report::{Event, LineError, Summary};

/// How many lines are brought in at once. Our choice: about sixteen for each slot of the store.
const BATCH: usize = 1024;

/// A batch that has so many bytes takes no more lines. Our choice.
const BATCH_BYTES: usize = 4 << 20;

/// So many ids are remembered, to find those that come twice: 16 bytes each. A line beyond is compared
/// with what is in the store alone. Our choice.
const REMEMBERED: usize = 4_000_000;

/// How many lines may be rejected before an import stops, unless it is said. Our choice.
const MAX_REJECTS: u64 = 1000;

/// Part of a digest of an entry's id.
pub(crate) type Fingerprint = [u8; 16];

/// Brings in the entries of a file.
///
/// It reads the file and waits for it, as files are read in Rust; run it where that may be. It holds one
/// batch of about a thousand lines, and 16 bytes for each line of the file.
#[derive(Debug)]
pub struct Importer {
    admin: Admin,
    format: Format,
    crypto: Crypto,
    now: Timestamp,
    existing: Existing,
    rehearsed: bool,
    max_rejects: u64,
}

/// An import cannot go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    Read(#[from] io::Error),
    /// The file is not CSV as it has to be.
    #[error(transparent)]
    Header(#[from] HeaderError),
    /// The store failed. What was written stays: import the file again.
    #[error("after {} lines: {error}", so_far.lines)]
    Store {
        /// How far it came for sure.
        so_far: Summary,
        /// What failed.
        #[source]
        error: AdminError,
    },
    /// The journal cannot be used.
    #[error(transparent)]
    Journal(#[from] JournalError),
}

/// A file that is being read.
struct Reading<R> {
    lines: Lines<R>,
    reader: LineReader,
    seen: HashSet<Fingerprint>,
    summary: Summary,
}

/// Lines that are brought in together.
#[derive(Default)]
struct Batch {
    drafts: Vec<Draft>,
    /// Line and id of each.
    names: Vec<(u64, EntryId)>,
    fresh: Vec<Fingerprint>,
}

impl Importer {
    /// Brings entries into what `admin` works on. They are dated `now`; entries that are there already
    /// and differ are kept, and after 1000 rejected lines it stops.
    ///
    /// * `crypto`: makes keys that are not said.
    #[must_use]
    pub fn new(admin: &Admin, format: Format, crypto: Crypto, now: Timestamp) -> Self {
        Self {
            admin: admin.clone().with_crypto(crypto),
            format,
            crypto,
            now,
            existing: Existing::Keep,
            rehearsed: false,
            max_rejects: MAX_REJECTS,
        }
    }

    /// Replaces entries that are there already and differ.
    #[must_use]
    pub const fn replacing(mut self) -> Self {
        self.existing = Existing::Replace;
        self
    }

    /// Writes nothing, and tells what would become of each line.
    #[must_use]
    pub const fn rehearsed(mut self) -> Self {
        self.rehearsed = true;
        self
    }

    /// Stops after the batch in which more lines than this have been rejected; what was not rejected
    /// until then is brought in.
    #[must_use]
    pub const fn with_max_rejects(mut self, max: u64) -> Self {
        self.max_rejects = max;
        self
    }

    /// Brings in a file from its beginning. `tell` is told of each rejected line, and of each batch.
    ///
    /// # Errors
    /// [`ImportError`] if it cannot go on. The same file can be brought in again.
    pub async fn run<R: BufRead + Send>(
        &self,
        input: R,
        tell: impl FnMut(Event<'_>) + Send,
    ) -> Result<Summary, ImportError> {
        let reading = self.begin(input, self.now)?;
        self.go_on(reading, self.import(self.now), None, tell).await
    }

    /// As [`Importer::run`], and notes in `journal` how far it came: what was stopped goes on there, dated
    /// as it was begun. Lines that were rejected before are not told of again, and are in the summary.
    ///
    /// A journal of an import that came to the end of its file goes on with what was appended to that.
    ///
    /// # Errors
    /// [`ImportError::Journal`] if the journal is of another file, as far as its first 64 KiB and its
    /// length tell, or of an import that does something else; otherwise as for [`Importer::run`].
    pub async fn resume<R: BufRead + Seek + Send>(
        &self,
        mut input: R,
        journal: &mut Journal,
        tell: impl FnMut(Event<'_>) + Send,
    ) -> Result<Summary, ImportError> {
        let opening = Opening {
            scope: self.admin.scope().folded().to_string(),
            format: self.format.word().to_owned(),
            replaces: self.existing == Existing::Replace,
            rehearsed: self.rehearsed,
            began: self.now.0,
        };
        let at = journal.begin(opening, &mut input)?;
        input.rewind()?;
        let mut reading = self.begin(input, Timestamp(at.began))?;
        if at.summary.bytes > 0 {
            reading
                .lines
                .input
                .seek(SeekFrom::Start(at.summary.bytes))?;
            reading.lines.offset = at.summary.bytes;
            reading.lines.number = at.summary.lines;
            reading.summary = at.summary;
            reading.seen = at.seen;
        }
        let import = self.import(Timestamp(at.began));
        self.go_on(reading, import, Some(journal), tell).await
    }

    fn import(&self, now: Timestamp) -> Import {
        let import = self.admin.import(self.existing, now);
        if self.rehearsed {
            import.rehearsed()
        } else {
            import
        }
    }

    fn begin<R: BufRead>(&self, input: R, now: Timestamp) -> Result<Reading<R>, ImportError> {
        let mut lines = Lines::new(input, MAX_LINE_BYTES);
        let reader = match self.format {
            Format::Ndjson => LineReader::ndjson(self.crypto, now),
            Format::Csv => {
                let mut first = Vec::new();
                match lines.next(&mut first)? {
                    Some(Line::Text) => LineReader::csv(self.crypto, now, &first)?,
                    Some(Line::TooLong) => {
                        return Err(HeaderError::Unreadable("it is too long").into());
                    }
                    None => return Err(HeaderError::Missing.into()),
                }
            }
        };
        Ok(Reading {
            lines,
            reader,
            seen: HashSet::new(),
            summary: Summary::default(),
        })
    }

    async fn go_on<R: BufRead + Send>(
        &self,
        mut reading: Reading<R>,
        mut import: Import,
        mut journal: Option<&mut Journal>,
        mut tell: impl FnMut(Event<'_>) + Send,
    ) -> Result<Summary, ImportError> {
        loop {
            let so_far = reading.summary;
            let batch = reading.batch(&mut tell)?;
            if reading.lines.offset == so_far.bytes {
                break;
            }
            let outcomes = import.batch(batch.drafts).await;
            let outcomes = outcomes.map_err(|error| ImportError::Store { so_far, error })?;
            let summary = &mut reading.summary;
            for ((line, id), outcome) in batch.names.into_iter().zip(outcomes) {
                match outcome {
                    Ok(Imported::Created) => summary.created += 1,
                    Ok(Imported::Replaced) => summary.replaced += 1,
                    Ok(Imported::Same) => summary.same += 1,
                    Err(error) => {
                        summary.rejected += 1;
                        let (id, why) = (Some(&id), &error.into());
                        tell(Event::Rejected { line, id, why });
                    }
                }
            }
            summary.bytes = reading.lines.offset;
            summary.lines = reading.lines.number;
            if let Some(journal) = &mut journal {
                journal.note(summary, &batch.fresh)?;
            }
            tell(Event::Progress(summary));
            if summary.rejected > self.max_rejects {
                summary.stopped = true;
                break;
            }
        }
        Ok(reading.summary)
    }
}

impl<R: BufRead> Reading<R> {
    /// Reads the next lines, up to the end of the file.
    fn batch(&mut self, tell: &mut impl FnMut(Event<'_>)) -> io::Result<Batch> {
        let (mut batch, mut buffer) = (Batch::default(), Vec::new());
        let (mut count, mut bytes) = (0, 0);
        while count < BATCH && bytes < BATCH_BYTES {
            let Some(kind) = self.lines.next(&mut buffer)? else {
                break;
            };
            count += 1;
            bytes += buffer.len();
            if kind == Line::Text && buffer.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            let line = self.lines.number;
            let (id, why) = match self.line(kind, &buffer, &mut batch, tell) {
                Ok(()) => continue,
                Err(found) => found,
            };
            self.summary.rejected += 1;
            let (id, why) = (id.as_ref(), &why);
            tell(Event::Rejected { line, id, why });
        }
        Ok(batch)
    }

    fn line(
        &mut self,
        kind: Line,
        text: &[u8],
        batch: &mut Batch,
        tell: &mut impl FnMut(Event<'_>),
    ) -> Result<(), (Option<EntryId>, LineError)> {
        if kind == Line::TooLong {
            return Err((None, LineError::TooLong));
        }
        let read = self.reader.read(text).map_err(|why| (None, why))?;
        let (line, id) = (self.lines.number, EntryId::of(&read.draft.subject));
        if self.seen.len() < REMEMBERED {
            let fingerprint = fingerprint(&id);
            if !self.seen.insert(fingerprint) {
                return Err((Some(id), LineError::Twice));
            }
            batch.fresh.push(fingerprint);
        } else if self.seen.contains(&fingerprint(&id)) {
            return Err((Some(id), LineError::Twice));
        }
        for text in &read.notes {
            tell(Event::Note { line, text });
        }
        batch.drafts.push(read.draft);
        batch.names.push((line, id));
        Ok(())
    }
}

/// Short, and different for any two ids that somebody will find.
fn fingerprint(id: &EntryId) -> Fingerprint {
    let (kind, text) = match id {
        EntryId::Individual(id) => (b"e", id.folded()),
        EntryId::Group(id) => (b"g", id.folded()),
    };
    let digest: [u8; 32] = Sha256::new()
        .chain_update(kind)
        .chain_update(&**text)
        .finalize()
        .into();
    std::array::from_fn(|nth| digest[nth])
}
