//! The little DER that keys and signatures are handed over in.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;

/// A sequence of unsigned numbers, each big-endian with any zeros before it.
///
/// * `numbers`: at most 2,000 bytes in all.
pub(crate) fn sequence(numbers: &[&[u8]]) -> Vec<u8> {
    let mut content = Vec::new();
    for number in numbers {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        let digits = number.get(zeros..).unwrap_or_default();
        // The first bit is the sign; and no number at all is zero.
        let sign = digits.first().is_none_or(|first| first & 0x80 != 0);
        head(&mut content, INTEGER, digits.len() + usize::from(sign));
        content.extend(sign.then_some(0));
        content.extend(digits);
    }
    let mut out = Vec::with_capacity(content.len() + 4);
    head(&mut out, SEQUENCE, content.len());
    out.extend(content);
    out
}

fn head(out: &mut Vec<u8>, tag: u8, length: usize) {
    let [.., high, low] = length.to_be_bytes();
    out.push(tag);
    match length {
        0..0x80 => out.push(low),
        0x80..0x100 => out.extend([0x81, low]),
        _ => out.extend([0x82, high, low]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_short_as_they_can_be() {
        assert_eq!(
            sequence(&[&[0, 0, 1], &[0x7f]]),
            [0x30, 6, 2, 1, 1, 2, 1, 0x7f]
        );
        assert_eq!(sequence(&[&[0x80]]), [0x30, 4, 2, 2, 0, 0x80]);
        assert_eq!(sequence(&[&[0, 0], &[]]), [0x30, 6, 2, 1, 0, 2, 1, 0]);
        let long = sequence(&[&[0xff; 256], &[1, 0, 1]]);
        assert_eq!(long[..9], [0x30, 0x82, 1, 10, 2, 0x82, 1, 1, 0]);
        assert_eq!(long[265..], [2, 3, 1, 0, 1]);
        assert_eq!(sequence(&[&[1; 200]])[..6], [0x30, 0x81, 203, 2, 0x81, 200]);
    }
}
