//! CRC-32C, eight bytes at a time.

const POLYNOMIAL: u32 = 0x82f6_3b78;

/// What each byte does at each of eight places.
static TABLES: [[u32; 256]; 8] = tables();

const fn tables() -> [[u32; 256]; 8] {
    let mut tables = [[0; 256]; 8];
    let mut byte = 0;
    while byte < 256 {
        let mut sum = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            sum = (sum >> 1) ^ if sum & 1 == 1 { POLYNOMIAL } else { 0 };
            bit += 1;
        }
        tables[0][byte] = sum;
        byte += 1;
    }
    let mut place = 1;
    while place < 8 {
        let mut byte = 0;
        while byte < 256 {
            let before = tables[place - 1][byte];
            tables[place][byte] = (before >> 8) ^ tables[0][(before & 0xff) as usize];
            byte += 1;
        }
        place += 1;
    }
    tables
}

/// A sum over several pieces, as if they were one.
#[derive(Clone, Copy)]
pub(crate) struct Sum(u32);

impl Sum {
    pub(crate) const fn new() -> Self {
        Self(!0)
    }

    pub(crate) fn with(self, bytes: &[u8]) -> Self {
        let mut sum = self.0;
        let (eights, rest) = bytes.as_chunks::<8>();
        for eight in eights {
            let word = u64::from_le_bytes(*eight) ^ u64::from(sum);
            sum = word
                .to_le_bytes()
                .iter()
                .zip(TABLES.iter().rev())
                .fold(0, |sum, (byte, table)| sum ^ table[usize::from(*byte)]);
        }
        for byte in rest {
            let [low, ..] = sum.to_le_bytes();
            sum = (sum >> 8) ^ TABLES[0][usize::from(low ^ byte)];
        }
        Self(sum)
    }

    pub(crate) const fn end(self) -> u32 {
        !self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_those_of_rfc_3720() {
        let of = |bytes: &[u8]| Sum::new().with(bytes).end();
        assert_eq!(of(b"123456789"), 0xe306_9283);
        assert_eq!(of(&[0; 32]), 0x8a91_36aa);
        assert_eq!(of(&[0xff; 32]), 0x62a8_ab43);
        let rising: Vec<u8> = (0..32).collect();
        assert_eq!(of(&rising), 0x46dd_794e);
    }

    #[test]
    fn pieces_count_as_the_whole() {
        let whole: Vec<u8> = (0..100_u8).map(|n| n.wrapping_mul(37)).collect();
        for cut in 0..100 {
            let (left, right) = whole.split_at(cut);
            assert_eq!(
                Sum::new().with(left).with(right).end(),
                Sum::new().with(&whole).end()
            );
        }
    }
}
