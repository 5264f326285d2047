//! Whether a point is on the curve P-256. Public points only, so it may take its time: not for
//! secrets.

/// A number below 2^256, the lowest 64 bits first.
type Number = [u64; 4];

/// The prime of the field, 2^256 - 2^224 + 2^192 + 2^96 - 1 (SEC 2, 2.4.2).
const P: Number = [
    0xffff_ffff_ffff_ffff,
    0x0000_0000_ffff_ffff,
    0x0000_0000_0000_0000,
    0xffff_ffff_0000_0001,
];

/// The curve is y² = x³ - 3x + B.
const B: Number = [
    0x3bce_3c3e_27d2_604b,
    0x651d_06b0_cc53_b0f6,
    0xb3eb_bd55_7698_86bc,
    0x5ac6_35d8_aa3a_93e7,
];

/// Whether `(x, y)`, both big-endian, is a point of the curve other than the one at infinity.
pub(super) fn has_point(x: &[u8; 32], y: &[u8; 32]) -> bool {
    let (x, y) = (number(x), number(y));
    if is_at_least(&x, &P) || is_at_least(&y, &P) {
        return false;
    }
    let minus_three = subtract(&P, &[3, 0, 0, 0]).0;
    let cubic = add(&multiply(&x, &x), &minus_three);
    multiply(&y, &y) == add(&multiply(&x, &cubic), &B)
}

fn number(bytes: &[u8; 32]) -> Number {
    let mut out = [0; 4];
    for (limb, bytes) in out.iter_mut().rev().zip(bytes.chunks_exact(8)) {
        *limb = bytes
            .iter()
            .fold(0, |sum, byte| (sum << 8) | u64::from(*byte));
    }
    out
}

fn is_at_least(a: &Number, b: &Number) -> bool {
    a.iter().rev().ge(b.iter().rev())
}

/// `a - b` modulo 2^256, and whether that went below zero.
fn subtract(a: &Number, b: &Number) -> (Number, bool) {
    let mut below = false;
    let mut out = [0; 4];
    for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
        let (difference, first) = a.overflowing_sub(*b);
        let (difference, second) = difference.overflowing_sub(u64::from(below));
        (*out, below) = (difference, first || second);
    }
    (out, below)
}

/// `a + b` modulo the prime; both are below it, and so is the sum.
fn add(a: &Number, b: &Number) -> Number {
    let mut above = false;
    let mut sum = [0; 4];
    for ((sum, a), b) in sum.iter_mut().zip(a).zip(b) {
        let (partial, first) = a.overflowing_add(*b);
        let (partial, second) = partial.overflowing_add(u64::from(above));
        (*sum, above) = (partial, first || second);
    }
    let (reduced, below) = subtract(&sum, &P);
    if above || !below { reduced } else { sum }
}

/// `a * b` modulo the prime, bit by bit from the highest of `b`.
fn multiply(a: &Number, b: &Number) -> Number {
    let mut product = [0; 4];
    for limb in b.iter().rev() {
        for bit in (0..64).rev() {
            product = add(&product, &product);
            if limb >> bit & 1 == 1 {
                product = add(&product, a);
            }
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(hex: &str) -> [u8; 32] {
        std::array::from_fn(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
    }

    /// The base point (SEC 2, 2.4.2).
    fn base() -> ([u8; 32], [u8; 32]) {
        (
            bytes("6b17d1f2e12c4247f8bce6e563a440f277037d812deb33a0f4a13945d898c296"),
            bytes("4fe342e2fe1a7f9b8ee7eb4a7c0f9e162bce33576b315ececbb6406837bf51f5"),
        )
    }

    #[test]
    fn the_base_point_and_its_negative_are_on_the_curve() {
        let (x, y) = base();
        assert!(has_point(&x, &y));
        let mut negative = [0; 32];
        for (at, limb) in subtract(&P, &number(&y)).0.iter().rev().enumerate() {
            negative[8 * at..8 * at + 8].copy_from_slice(&limb.to_be_bytes());
        }
        assert!(has_point(&x, &negative));
    }

    #[test]
    fn a_point_with_one_changed_bit_is_not() {
        let (x, y) = base();
        for bit in 0..256 {
            let mut other = x;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!has_point(&other, &y), "x, bit {bit}");
            let mut other = y;
            other[bit / 8] ^= 1 << (bit % 8);
            assert!(!has_point(&x, &other), "y, bit {bit}");
        }
    }

    #[test]
    fn coordinates_are_below_the_prime() {
        // x = 0 has a square root of B for y; 0 + p says the same point and is not taken.
        let root = bytes("66485c780e2f83d72433bd5d84a06bb6541c2af31dae871728bf856a174f93f4");
        assert!(has_point(&[0; 32], &root));
        let prime = bytes("ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
        assert!(!has_point(&prime, &root));
        assert!(!has_point(&[0xff; 32], &root));
        assert!(!has_point(&[0; 32], &[0; 32]));
    }
}
