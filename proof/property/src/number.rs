//! A number in a body.

use chancery_model::ijson;

/// What numbers are made of, and what is not.
const ALPHABET: &[u8] = b"0123456789012345678900000.eE+- ";
/// The exponents that are written out; others are out of the domain, but for zero.
const MOST: i64 = 2_000;

/// A number is worth exactly what its digits say, written out by hand here, or it is refused: none is
/// rounded. It is so wherever it stands, and in a string it is no number.
///
/// # Panics
/// When that does not hold.
pub fn number(data: &[u8]) {
    let data = &data[..data.len().min(1_000)];
    read(&String::from_utf8_lossy(data));
    let letter = |byte: &u8| char::from(ALPHABET[usize::from(*byte) % ALPHABET.len()]);
    read(&data.iter().map(letter).collect::<String>());
    // Digits, a point, an exponent: more of these are numbers.
    let digits: String = data.iter().skip(2).map(|byte| char::from(b'0' + byte % 10)).collect();
    let [point, exponent] = [0, 1].map(|at| data.get(at).copied().unwrap_or(0));
    let (whole, fraction) = digits.split_at(usize::from(point) % (digits.len() + 1));
    read(&format!("{}.{fraction}e{}", whole.trim_start_matches('0'), i32::from(exponent) - 128));
    read(&format!("-0.{digits}E+{}", exponent % 32));
}

fn read(text: &str) {
    let Some(parts) = Parts::of(text) else { return };
    let exact = parts.exact().filter(|exact| is_in_domain(exact));
    let canonical = |text: &str| ijson::canonical(&ijson::parse(text.as_bytes()).ok()?).ok();
    assert_eq!(canonical(text), exact, "`{text}` is read as another number");
    let body = format!("{{\"\\\"{text}\":[\"{text}\\\\\",{text},\"\\\"{text}\"]}}");
    let read = ijson::parse(body.as_bytes()).ok().map(|value| value[format!("\"{text}")][1].to_string());
    assert_eq!(read.and_then(|text| canonical(&text)), exact, "`{body}` holds another number");
}

/// A literal (RFC 8259 §6).
struct Parts<'a> {
    negative: bool,
    whole: &'a str,
    fraction: &'a str,
    exponent: &'a str,
}

impl<'a> Parts<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let unsigned = text.strip_prefix('-').unwrap_or(text);
        let (mantissa, exponent) = unsigned.split_once(['e', 'E']).unwrap_or((unsigned, "0"));
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
        let power = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
        let is_number =
            digits(whole) && (whole == "0" || !whole.starts_with('0')) && digits(fraction) && digits(power);
        is_number.then(|| Self { negative: text.starts_with('-'), whole, fraction, exponent })
    }

    /// The number without exponent and without a digit too many; `None` far out of the domain.
    fn exact(&self) -> Option<String> {
        let digits = format!("{}{}", self.whole, self.fraction);
        if digits.bytes().all(|digit| digit == b'0') {
            return Some("0".to_owned());
        }
        let exponent = self.exponent.parse().ok().filter(|exponent: &i64| exponent.abs() <= MOST)?;
        let zeros = "0".repeat(usize::try_from(MOST).unwrap());
        let written = format!("{zeros}{digits}{zeros}");
        let point = MOST + i64::try_from(self.whole.len()).unwrap() + exponent;
        let (whole, fraction) = written.split_at(usize::try_from(point).unwrap());
        let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
        let sign = if self.negative { "-" } else { "" };
        let whole = if whole.is_empty() { "0" } else { whole };
        let point = if fraction.is_empty() { "" } else { "." };
        Some(format!("{sign}{whole}{point}{fraction}"))
    }
}

/// An integer up to 2⁵³, or a decimal of at most 15 digits, four of them behind the point.
fn is_in_domain(exact: &str) -> bool {
    let unsigned = exact.trim_start_matches('-');
    match unsigned.split_once('.') {
        None => unsigned.len() < 16 || (unsigned.len() == 16 && unsigned <= "9007199254740992"),
        Some((whole, fraction)) => {
            let digits = format!("{whole}{fraction}");
            fraction.len() <= 4 && digits.trim_start_matches('0').len() <= 15
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exact_text_is_that_of_the_digits() {
        for (text, exact) in [
            ("-0.0", "0"),
            ("12.50e1", "125"),
            ("-1e-3", "-0.001"),
            ("100.00000000000000000001", "100.00000000000000000001"),
            ("0.0012e5", "120"),
        ] {
            assert_eq!(Parts::of(text).unwrap().exact().as_deref(), Some(exact), "{text}");
        }
        assert!(["01", ".5", "1.", "1e", "--1", "+1", "1e+-1"].iter().all(|text| Parts::of(text).is_none()));
    }
}
