use std::sync::{Arc, Mutex};

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::mask_bytes;

/// Small windows, as a long line meets large ones.
const SMALL: usize = 1024;

fn through(bytes: &[u8], piece: usize, window: usize) -> String {
    let mut writer = MaskWriter::with_windows(Vec::new(), window, window / 2);
    for piece in bytes.chunks(piece) {
        writer.write_all(piece).unwrap();
    }
    String::from_utf8(writer.into_inner().unwrap()).unwrap()
}

#[test]
fn a_private_key_that_comes_line_by_line_is_masked_whole() {
    let text = "a\n-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\nQvNT4w==\n-----END PRIVATE KEY-----\nb\n";
    for piece in [1, 7, 1000] {
        assert_eq!(through(text.as_bytes(), piece, WINDOW), "a\n[key]\nb\n");
    }
    let broken = "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\nINFO next line\n";
    assert_eq!(through(broken.as_bytes(), 3, WINDOW), "[key]\nINFO next line\n");
}

#[test]
fn an_incomplete_line_waits_for_its_end_or_a_flush() {
    let mut writer = MaskWriter::new(Vec::new());
    writer.write_all(b"first alice@exam").unwrap();
    assert_eq!(writer.inner.as_deref().unwrap(), b"");
    writer.write_all(b"ple.com\nsecond").unwrap();
    assert_eq!(writer.inner.as_deref().unwrap(), b"first [email]\n");
    writer.flush().unwrap();
    assert_eq!(writer.inner.as_deref().unwrap(), b"first [email]\nsecond");
    writer.write_all(b" line\n").unwrap();
    assert_eq!(writer.into_inner().unwrap(), b"first [email]\nsecond line\n");
}

#[test]
fn what_a_flush_cuts_in_two_goes_on_when_it_was_found() {
    for (first, second, whole) in [
        ("password=hun", "ter2 x\n", "password=[password] x\n"),
        ("{\"password\":\"a b", " c\",\"x\":1}\n", "{\"password\":\"[password]\",\"x\":1}\n"),
        ("-----BEGIN PRIVATE KEY-----\nMIIE", "vQIBADAN\n-----END PRIVATE KEY-----\nx\n", "[key]\nx\n"),
        ("nothing of the", " kind password", "nothing of the kind password"),
        ("name pass", "word=hunter2\n", "name password=[password]\n"),
    ] {
        let mut writer = MaskWriter::new(Vec::new());
        writer.write_all(first.as_bytes()).unwrap();
        writer.flush().unwrap();
        writer.write_all(second.as_bytes()).unwrap();
        assert_eq!(String::from_utf8(writer.into_inner().unwrap()).unwrap(), whole);
    }
}

#[test]
fn nothing_is_missed_at_the_edge_of_a_window() {
    for secret in [
        "alice@example.com",
        "4111 1111 1111 1111",
        "password=hunter2",
        "+55 11 98765-4321",
        "GB29 NWBK 6016 1331 9268 19",
    ] {
        for before in (SMALL / 2 - 64)..(SMALL / 2 + 64) {
            let line = format!(
                "{}{secret} {}",
                "ab ".repeat(before / 3) + &" ".repeat(before % 3),
                "cd ".repeat(SMALL)
            );
            let masked = mask_bytes(line.as_bytes());
            assert_eq!(through(line.as_bytes(), 100, SMALL).as_bytes(), &*masked, "{secret} at {before}");
        }
    }
}

#[test]
fn what_is_longer_than_a_window_is_masked_whole() {
    for (head, secret, tail) in [
        ("password=", "x".repeat(5 * SMALL), " after"),
        ("{\"password\":\"", "x y ".repeat(SMALL), "\",\"a\":1}"),
        ("", format!("eyJhbGciOiJIUzI1NiJ9.{}.x", "a1".repeat(3 * SMALL)), " after"),
        (
            "x: ",
            format!(
                "-----BEGIN PRIVATE KEY-----\\n{}",
                "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSj\\n".repeat(SMALL / 8)
            ),
            "-----END PRIVATE KEY-----, after",
        ),
    ] {
        let line = format!("{head}{secret}{tail}\nnext\n");
        let masked = mask_bytes(line.as_bytes());
        assert_eq!(through(line.as_bytes(), 333, SMALL).as_bytes(), &*masked, "{head}");
    }
}

#[test]
fn memory_is_bounded_however_long_a_line() {
    let mut writer = MaskWriter::new(io::sink());
    for _ in 0..100 {
        writer.write_all(&b"a line without an end ".repeat(10_000)).unwrap();
    }
    assert!(writer.line.capacity() <= 2 * WINDOW && writer.masked.capacity() <= 4 * WINDOW);
}

/// Fails every other time, and takes a few bytes when it does not.
#[derive(Clone, Default)]
struct Failing(Arc<Mutex<(Vec<u8>, usize)>>);

impl Write for Failing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut inner = self.0.lock().unwrap();
        inner.1 += 1;
        if inner.1.is_multiple_of(2) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let count = bytes.len().min(5);
        inner.0.extend_from_slice(&bytes[..count]);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_failing_writer_loses_nothing_and_gets_nothing_twice() {
    let inner = Failing::default();
    let mut writer = MaskWriter::new(inner.clone());
    let text = b"one alice@example.com\ntwo\nthree password=x\nfour";
    let (mut taken, mut failures) = (0, 0);
    while taken < text.len() {
        match writer.write(&text[taken..text.len().min(taken + 4)]) {
            Ok(count) => taken += count,
            Err(_) => failures += 1,
        }
    }
    while writer.flush().is_err() {
        failures += 1;
    }
    assert!(failures > 3);
    assert_eq!(inner.0.lock().unwrap().0, b"one [email]\ntwo\nthree password=[password]\nfour");
}

#[test]
fn dropping_hands_on_what_is_held() {
    struct Shared(Arc<Mutex<Vec<u8>>>);
    impl Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let shared = Arc::new(Mutex::new(Vec::new()));
    let mut writer = MaskWriter::new(Shared(shared.clone()));
    writer.write_all(b"by alice@example.com").unwrap();
    drop(writer);
    assert_eq!(*shared.lock().unwrap(), b"by [email]");
}

proptest! {
    #[test]
    fn long_lines_are_masked_alike_in_whatever_pieces(
        words in vec("[a-z]{1,9}|alice@example[.]com|password=x1|4111 1111 1111 1111|[0-9]{1,12}|token:\"a b\"|\n", 0..400),
        piece in 1_usize..300,
    ) {
        let text = words.join(" ");
        let masked = String::from_utf8(mask_bytes(text.as_bytes()).into_owned()).unwrap();
        prop_assert_eq!(through(text.as_bytes(), piece, SMALL), masked);
    }

    #[test]
    fn any_bytes_pass_small_windows_alike_in_whatever_pieces(bytes in vec(any::<u8>(), 0..4000), piece in 1_usize..300) {
        let written = |piece: usize| {
            let mut writer = MaskWriter::with_windows(Vec::new(), SMALL, SMALL / 2);
            for piece in bytes.chunks(piece) {
                writer.write_all(piece).unwrap();
            }
            writer.into_inner().unwrap()
        };
        prop_assert_eq!(written(piece), written(4000));
    }
}
