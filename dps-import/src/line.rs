//! Lines of a bounded length.

use std::io::{self, BufRead, Read};

use dps_transport_http::service::MAX_ENROLLMENT_BYTES;

/// The longest line that is looked at, in bytes, without its end: as much as a document may have.
pub const MAX_LINE_BYTES: usize = MAX_ENROLLMENT_BYTES;

/// What stood in front of the first line of files from some programs.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// Reads lines that end with LF or CR LF; the last one may end with the file.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    pub(crate) input: R,
    /// How many bytes have been read.
    pub(crate) offset: u64,
    /// How many lines have been read.
    pub(crate) number: u64,
    max: usize,
}

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// Its text, without its end, is in the buffer.
    Text,
    /// It has more bytes than are looked at. It was passed over, and never held.
    TooLong,
}

impl<R: BufRead> Lines<R> {
    /// * `max`: the longest line, in bytes.
    pub(crate) const fn new(input: R, max: usize) -> Self {
        Self {
            input,
            offset: 0,
            number: 0,
            max,
        }
    }

    /// Reads the next line into `line`; `None` at the end of the file.
    pub(crate) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Option<Line>> {
        line.clear();
        // A mark, and both characters of an end.
        let most = self.max + BYTE_ORDER_MARK.len() + 2;
        let read = self
            .input
            .by_ref()
            .take(most as u64)
            .read_until(b'\n', line)?;
        if read == 0 {
            return Ok(None);
        }
        let first = self.offset == 0;
        self.offset += read as u64;
        self.number += 1;
        if line.last() == Some(&b'\n') {
            line.pop();
            if line.last() == Some(&b'\r') {
                line.pop();
            }
        } else if read == most {
            self.offset += self.input.skip_until(b'\n')? as u64;
        }
        if first && line.starts_with(BYTE_ORDER_MARK) {
            line.drain(..BYTE_ORDER_MARK.len());
        }
        if line.len() > self.max {
            line.clear();
            return Ok(Some(Line::TooLong));
        }
        Ok(Some(Line::Text))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8], max: usize) -> (Vec<Option<Vec<u8>>>, u64) {
        let mut lines = Lines::new(bytes, max);
        let (mut found, mut line) = (Vec::new(), Vec::new());
        while let Some(kind) = lines.next(&mut line).expect("slices do not fail") {
            found.push((kind == Line::Text).then(|| line.clone()));
        }
        assert_eq!(lines.number, found.len() as u64);
        (found, lines.offset)
    }

    #[test]
    fn a_line_ends_with_lf_or_cr_lf_or_the_file() {
        let (found, read) = all(b"\xef\xbb\xbfa\r\n\nb\r\xef\xbb\xbf\nc", 5);
        let expected: [&[u8]; 4] = [b"a", b"", b"b\r\xef\xbb\xbf", b"c"];
        assert_eq!(found, expected.map(|line| Some(line.to_vec())));
        assert_eq!(read, 14);
    }

    #[test]
    fn a_line_that_is_too_long_is_one_line_and_the_next_is_read() {
        for length in [5, 6, 7, 8, 9, 10, 100, 10_000_000] {
            let mut bytes = vec![b'x'; length];
            bytes.extend(b"\nnext");
            let (found, read) = all(&bytes, 4);
            assert_eq!(found, [None, Some(b"next".to_vec())], "{length}");
            assert_eq!(read, bytes.len() as u64);
        }
        let (found, _) = all(b"next\r\nnext", 4);
        assert_eq!(found, [Some(b"next".to_vec()), Some(b"next".to_vec())]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_the_lines_that_splitting_them_gives(
            bytes in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), any::<u8>()], 0..200),
            max in 0_usize..20,
        ) {
            let (found, read) = all(&bytes, max);
            prop_assert_eq!(read, bytes.len() as u64);
            let bare = bytes.strip_prefix(BYTE_ORDER_MARK).unwrap_or(&bytes);
            let mut whole: Vec<_> = bare.split(|byte| *byte == b'\n').collect();
            let last = whole.pop().unwrap_or_default();
            let mark_alone = bare.is_empty() && !bytes.is_empty();
            let last = (mark_alone || !last.is_empty()).then_some(last);
            let expected: Vec<_> = whole
                .into_iter()
                .map(|line| line.strip_suffix(b"\r").unwrap_or(line))
                .chain(last)
                .map(|line| (line.len() <= max).then(|| line.to_vec()))
                .collect();
            prop_assert_eq!(found, expected);
        }
    }
}
