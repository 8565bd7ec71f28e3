//! Changes to something valid, as bytes say.

/// The bytes that one change takes.
const CHANGE: usize = 5;

/// `original` with the changes that `script` describes: each a place (three bytes), what to do there
/// (replace, insert, remove, cut off), and a byte to do it with. What is left over says nothing.
pub(crate) fn edit(original: &[u8], script: &[u8]) -> Vec<u8> {
    let mut bytes = original.to_vec();
    for change in script.chunks_exact(CHANGE) {
        let &[high, middle, low, what, byte] = change else { continue };
        let at = place([high, middle, low]) % (bytes.len() + 1);
        match what % 8 {
            0..=2 => bytes.splice(at..bytes.len().min(at + 1), [byte]).for_each(drop),
            3..=4 => bytes.insert(at, byte),
            5..=6 => bytes.drain(at..bytes.len().min(at + 1 + usize::from(byte % 8))).for_each(drop),
            _ => bytes.truncate(at),
        }
    }
    bytes
}

/// A place, as three bytes name it.
pub(crate) fn place([high, middle, low]: [u8; 3]) -> usize {
    usize::from(high) << 16 | usize::from(middle) << 8 | usize::from(low)
}

#[cfg(test)]
mod tests {
    use super::edit;

    #[test]
    fn a_script_replaces_inserts_removes_and_cuts_off() {
        assert_eq!(edit(b"abc", &[]), b"abc");
        assert_eq!(edit(b"abc", &[0, 0, 1, 0, b'x', 9, 9]), b"axc");
        assert_eq!(edit(b"abc", &[0, 0, 3, 3, b'x']), b"abcx");
        assert_eq!(edit(b"abc", &[0, 0, 1, 5, 0]), b"ac");
        assert_eq!(edit(b"abc", &[0, 0, 2, 7, 0]), b"ab");
    }
}
