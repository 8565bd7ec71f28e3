//! Numbers of fixed size as base62 of fixed width (`0-9 A-Z a-z`, most significant digit first).
//!
//! A fixed width has no leading-zero variants, and what exceeds the size is refused: a number has
//! one spelling.

const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Appends the big-endian number as `width` digits; `width` must be enough for its size.
pub(crate) fn encode(mut number: impl AsMut<[u8]>, width: usize, out: &mut String) {
    let number = number.as_mut();
    let start = out.len();
    for _ in 0..width {
        out.insert(start, char::from(divide(number)));
    }
}

/// Divides the number by 62 and gives the digit of the remainder.
fn divide(number: &mut [u8]) -> u8 {
    let remainder = number.iter_mut().fold(0_u16, |carry, byte| {
        let value = carry << 8 | u16::from(*byte);
        *byte = u8::try_from(value / 62).unwrap_or(u8::MAX);
        value % 62
    });
    DIGITS.get(usize::from(remainder)).copied().unwrap_or(b'0')
}

/// Reads digits into the big-endian number, which begins as zero. `None` for another character, or
/// when the number does not fit.
pub(crate) fn decode(text: &[u8], number: &mut [u8]) -> Option<()> {
    number.fill(0);
    for character in text {
        let digit = match character {
            b'0'..=b'9' => character - b'0',
            b'A'..=b'Z' => character - b'A' + 10,
            b'a'..=b'z' => character - b'a' + 36,
            _ => return None,
        };
        let overflow = number.iter_mut().rev().fold(u16::from(digit), |carry, byte| {
            let [high, low] = (u16::from(*byte) * 62 + carry).to_be_bytes();
            *byte = low;
            u16::from(high)
        });
        if overflow != 0 {
            return None;
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn encoded<const N: usize>(number: [u8; N], width: usize) -> String {
        let mut text = String::new();
        encode(number, width, &mut text);
        text
    }

    #[test]
    fn known_numbers() {
        assert_eq!(encoded([0; 4], 6), "000000");
        assert_eq!(encoded(61_u32.to_be_bytes(), 6), "00000z");
        assert_eq!(encoded(62_u32.to_be_bytes(), 6), "000010");
        assert_eq!(encoded(u32::MAX.to_be_bytes(), 6), "4gfFC3");
        assert_eq!(encoded([255; 16], 22), "7n42DGM5Tflk9n8mt7Fhc7");
    }

    #[test]
    fn what_does_not_fit_is_refused() {
        let mut number = [0; 4];
        assert_eq!(decode(b"4gfFC3", &mut number), Some(()));
        assert_eq!(number, [255; 4]);
        for bad in ["4gfFC4", "zzzzzz", "00000-", "00000\u{e9}"] {
            assert_eq!(decode(bad.as_bytes(), &mut number), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn every_number_comes_back(id: [u8; 16], secret: [u8; 32]) {
            let (mut id_again, mut secret_again) = ([7; 16], [7; 32]);
            prop_assert_eq!(decode(encoded(id, 22).as_bytes(), &mut id_again), Some(()));
            prop_assert_eq!(decode(encoded(secret, 43).as_bytes(), &mut secret_again), Some(()));
            prop_assert_eq!((id_again, secret_again), (id, secret));
        }
    }
}
