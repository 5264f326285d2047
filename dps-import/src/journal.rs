//! How far an import came, in a file beside it.
//!
//! It only saves work: without it, or with one whose end is lost, entries are compared with the store
//! again. So nothing of it has to reach the disk at any time, but it is written after the store has
//! answered.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::importer::Fingerprint;
use crate::line::{Line, Lines};
use crate::report::Summary;

/// The longest line of a journal, in bytes: a batch has 24 KiB.
const MAX_BYTES: usize = 256 << 10;

/// So much of a file says which it is.
const HEAD: usize = 64 << 10;

/// What every journal begins with.
const BEGIN: &[u8] = br#"{"import":1,"#;

/// Notes how far an import came.
///
/// It holds no keys, and ids as digests.
#[derive(Debug)]
pub struct Journal {
    file: File,
}

/// A journal cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum JournalError {
    /// It cannot be read or written, or the file that is imported cannot be read.
    #[error("the journal cannot be used: {0}")]
    Io(#[from] io::Error),
    /// It is no journal.
    #[error("that is no journal of an import")]
    NoJournal,
    /// It is of another file, or that has been changed.
    #[error("the journal is of another file than the one that is imported")]
    OtherFile,
    /// It is of an import for another tenant, of another format, or that replaces, or only rehearses.
    #[error("the journal is of an import that does something else")]
    OtherImport,
}

/// What an import does.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Opening {
    pub(crate) scope: String,
    pub(crate) format: String,
    pub(crate) replaces: bool,
    pub(crate) rehearsed: bool,
    /// In milliseconds since 1970; may differ.
    pub(crate) began: u64,
}

/// The first line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct First {
    /// The version of the format.
    import: u8,
    what: Opening,
    /// How many bytes of the file the digest is of.
    head: usize,
    sha256: String,
}

/// Each other line.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Noted {
    done: Summary,
    ids: String,
}

/// Where an import goes on.
#[derive(Debug)]
pub(crate) struct At {
    pub(crate) began: u64,
    pub(crate) summary: Summary,
    pub(crate) seen: HashSet<Fingerprint>,
}

impl Journal {
    /// Opens a journal, or begins one.
    ///
    /// # Errors
    /// [`JournalError::Io`].
    pub fn open(path: &Path) -> Result<Self, JournalError> {
        let mut options = OpenOptions::new();
        let file = options.read(true).append(true).create(true).open(path)?;
        Ok(Self { file })
    }

    /// Where an import of `input` goes on that does what `opening` says. Cuts off what was not written
    /// whole.
    pub(crate) fn begin<R: BufRead + Seek>(
        &mut self,
        opening: Opening,
        input: &mut R,
    ) -> Result<At, JournalError> {
        self.file.rewind()?;
        let mut lines = Lines::new(BufReader::new(&self.file), MAX_BYTES);
        let mut line = Vec::new();
        let first: Option<First> = next(&mut lines, &mut line)?;
        let Some(first) = first else {
            return match lines.next(&mut Vec::new())? {
                None if is_begun(&line) => self.first(opening, input),
                _ => Err(JournalError::NoJournal),
            };
        };
        if first.import != 1 {
            return Err(JournalError::NoJournal);
        }
        let At {
            summary,
            seen,
            began,
        } = rest(&first, &mut lines, &mut line, self)?;
        if (Opening { began, ..opening }) != first.what {
            return Err(JournalError::OtherImport);
        }
        let (head, sha256) = head(input, first.head)?;
        if (head, &sha256) != (first.head, &first.sha256) || !ends_at(input, summary.bytes)? {
            return Err(JournalError::OtherFile);
        }
        Ok(At {
            began,
            summary,
            seen,
        })
    }

    fn first<R: BufRead + Seek>(
        &mut self,
        what: Opening,
        input: &mut R,
    ) -> Result<At, JournalError> {
        self.file.set_len(0)?;
        let (head, sha256) = head(input, HEAD)?;
        let began = what.began;
        self.write(&First {
            import: 1,
            what,
            head,
            sha256,
        })?;
        let (summary, seen) = (Summary::default(), HashSet::new());
        Ok(At {
            began,
            summary,
            seen,
        })
    }

    /// Notes that an import has come so far.
    pub(crate) fn note(
        &mut self,
        done: &Summary,
        fresh: &[Fingerprint],
    ) -> Result<(), JournalError> {
        let ids = STANDARD.encode(fresh.as_flattened());
        self.write(&Noted { done: *done, ids })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), JournalError> {
        let mut text = serde_json::to_vec(line).map_err(io::Error::from)?;
        text.push(b'\n');
        Ok(self.file.write_all(&text)?)
    }
}

/// What was noted after the first line; what is not whole is cut off.
fn rest<R: BufRead>(
    first: &First,
    lines: &mut Lines<R>,
    line: &mut Vec<u8>,
    journal: &Journal,
) -> Result<At, JournalError> {
    let (mut summary, mut seen) = (Summary::default(), HashSet::new());
    let mut whole = lines.offset;
    while let Some(noted) = next::<Noted, _>(lines, line)? {
        let Ok(ids) = STANDARD.decode(&noted.ids) else {
            break;
        };
        seen.extend(ids.as_chunks().0);
        (summary, whole) = (noted.done, lines.offset);
    }
    journal.file.set_len(whole)?;
    Ok(At {
        began: first.what.began,
        summary,
        seen,
    })
}

/// The next line; `None` if there is none that is whole.
fn next<T: for<'de> Deserialize<'de>, R: BufRead>(
    lines: &mut Lines<R>,
    line: &mut Vec<u8>,
) -> io::Result<Option<T>> {
    let before = lines.offset;
    let read = lines.next(line)?;
    // Without its end, the next one would be written behind it.
    let whole = lines.offset - before == line.len() as u64 + 1;
    Ok(match read {
        Some(Line::Text) if whole => serde_json::from_slice(line).ok(),
        _ => None,
    })
}

/// Whether that is what is left of a first line that was not written whole.
fn is_begun(text: &[u8]) -> bool {
    text.starts_with(BEGIN) || BEGIN.starts_with(text)
}

/// How many bytes a file begins with, up to `most`, and their digest.
fn head<R: BufRead + Seek>(input: &mut R, most: usize) -> io::Result<(usize, String)> {
    input.rewind()?;
    let mut bytes = Vec::new();
    input
        .by_ref()
        .take(most.min(HEAD) as u64)
        .read_to_end(&mut bytes)?;
    Ok((bytes.len(), STANDARD.encode(Sha256::digest(&bytes))))
}

/// Whether a line ends there, or the file.
fn ends_at<R: BufRead + Seek>(input: &mut R, offset: u64) -> io::Result<bool> {
    let length = input.seek(SeekFrom::End(0))?;
    if offset == 0 || offset >= length {
        return Ok(offset <= length);
    }
    let mut before = [0];
    input.seek(SeekFrom::Start(offset - 1))?;
    input.read_exact(&mut before)?;
    Ok(before == *b"\n")
}
