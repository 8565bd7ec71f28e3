//! The numbers of a text, by their digits.
//!
//! A JSON reader hands on a double, and a double rounds: `100.00000000000000000001` would pass for the
//! 100 that a policy allows, and another reader would see more. So what a number is worth is taken from
//! its text, exactly, before anything is made of it.

/// The most significant digits of a decimal: every decimal of so many survives the way through a double.
const DECIMAL_DIGITS: usize = 15;
/// The most digits after the point, as in Cedar's `decimal`.
const FRACTION_DIGITS: i64 = 4;
/// 2⁵³: every integer up to here is exact in every JSON implementation.
const MAX_INTEGER: u64 = 9_007_199_254_740_992;

/// The first number that is not exact: where it begins, in bytes, and the rule it breaks.
///
/// Of a text that is not JSON it may find one, or none: the reader refuses that text either way.
pub(super) fn inexact(text: &[u8]) -> Option<(usize, &'static str)> {
    let mut rest = text;
    while let Some((first, after)) = rest.split_first() {
        rest = match first {
            b'"' => after_string(after),
            b'-' | b'0'..=b'9' => {
                let (number, after) = rest.split_at(length(rest));
                if let Some(rule) = broken_rule(number) {
                    return Some((text.len() - rest.len(), rule));
                }
                after
            }
            _ => after,
        };
    }
    None
}

/// What follows the end of the string that `text` is in.
fn after_string(mut text: &[u8]) -> &[u8] {
    loop {
        let Some(end) = text.iter().position(|byte| matches!(byte, b'"' | b'\\')) else { return &[] };
        let escaped = usize::from(text.get(end) == Some(&b'\\'));
        text = text.get(end + 1 + escaped..).unwrap_or_default();
        if escaped == 0 {
            return text;
        }
    }
}

fn length(text: &[u8]) -> usize {
    let part = |byte: &u8| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-');
    text.iter().position(|byte| !part(byte)).unwrap_or(text.len())
}

fn broken_rule(number: &[u8]) -> Option<&'static str> {
    let number = number.strip_prefix(b"-").unwrap_or(number);
    let (mantissa, exponent) = split(number, |byte| matches!(byte, b'e' | b'E'));
    let (whole, fraction) = split(mantissa, |byte| *byte == b'.');
    let digits = || whole.iter().chain(fraction);
    let nonzero = |digit: &u8| *digit != b'0';
    // Without a digit that counts it is zero, whatever the exponent.
    let before = digits().position(nonzero)?;
    let behind = digits().rev().position(nonzero)?;
    let significant = whole.len() + fraction.len() - before - behind;
    // The number is the integer of its significant digits, times ten to this power.
    let power = shifted(read_exponent(exponent), behind, fraction.len());
    if power < -FRACTION_DIGITS {
        return Some("a number has more than four digits after the point: send it as a string");
    }
    if power < 0 {
        return (significant > DECIMAL_DIGITS)
            .then_some("a decimal of more than 15 digits is not exact: send it as a string");
    }
    let integer = digits()
        .skip(before)
        .take(significant)
        .try_fold(0_u64, |sum, digit| sum.checked_mul(10)?.checked_add(u64::from(digit.wrapping_sub(b'0'))));
    let power = u32::try_from(power).unwrap_or(u32::MAX);
    let integer = integer.and_then(|integer| integer.checked_mul(10_u64.checked_pow(power)?));
    integer
        .is_none_or(|integer| integer > MAX_INTEGER)
        .then_some("an integer beyond 2^53 is not exact: send it as a string")
}

/// What stands before and behind the first such byte.
fn split(text: &[u8], at: impl Fn(&u8) -> bool) -> (&[u8], &[u8]) {
    let mut parts = text.splitn(2, at);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Saturates: an exponent that long takes any digits out of the domain.
fn read_exponent(text: &[u8]) -> i64 {
    let (sign, digits) = match text.split_first() {
        Some((b'-', digits)) => (-1, digits),
        Some((b'+', digits)) => (1, digits),
        _ => (1, text),
    };
    let digit = |byte: &u8| i64::from(byte.wrapping_sub(b'0'));
    sign * digits.iter().fold(0_i64, |sum, byte| sum.saturating_mul(10).saturating_add(digit(byte)))
}

fn shifted(exponent: i64, zeros_behind: usize, fraction: usize) -> i64 {
    let length = |digits: usize| i64::try_from(digits).unwrap_or(i64::MAX);
    exponent.saturating_add(length(zeros_behind)).saturating_sub(length(fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_found_outside_of_strings_only() {
        for (text, at) in [
            (r#"{"a":1e-9}"#, Some(5)),
            (r#"["1e-9","\"1e-9","\\",1e-9]"#, Some(22)),
            (r#"{"1e-9":"1e-9\\\"1e-9"}"#, None),
            (r#"["1e-9\"#, None),
            (r#"["1e-9\"1e-9"#, None),
            ("[1,-1e-9]", Some(3)),
        ] {
            assert_eq!(inexact(text.as_bytes()).map(|(at, _)| at), at, "{text}");
        }
    }

    #[test]
    fn an_exponent_beyond_any_integer_is_as_far_as_it_says() {
        for number in ["1e99999999999999999999", "1e-99999999999999999999", "1e+9223372036854775808"] {
            assert!(broken_rule(number.as_bytes()).is_some(), "{number}");
        }
        for zero in ["0e99999999999999999999", "-0.000e-99999999999999999999"] {
            assert!(broken_rule(zero.as_bytes()).is_none(), "{zero}");
        }
    }
}
