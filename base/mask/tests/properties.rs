//! What holds for any text, and for any bytes in any pieces.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests may fail loudly")]

use std::borrow::Cow;
use std::io::Write;

use chancery_mask::{Kind, MaskWriter, mask, mask_bytes};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

/// Pieces that mean something, and what stands between them. Put together at random they touch, overlap
/// and break each other.
const PIECES: &[&str] = &[
    "alice@example.com",
    "@",
    "@example.com",
    "alice%40example.com",
    "+5511987654321",
    "+55 11 98765-4321",
    "(11) 98765-4321",
    "555-234-5678",
    "4111 1111 1111 1111",
    "4111111111111111",
    "529.982.247-25",
    "52998224725",
    "11.222.333/0001-81",
    "12.ABC.345/01DE-35",
    "HEGG560427MVZRRL04",
    "GODE561231GR8",
    "GODE-561231-GR8",
    "ÑAA561231",
    "20-12345678-6",
    "12.345.678-5",
    "12345678Z",
    "123456789",
    "X1234567L",
    "GB29NWBK60161331926819",
    "GB29 NWBK 6016 1331 9268 19",
    "password",
    "token",
    "token=",
    "api_key:",
    "\"secret\":",
    "Authorization: ",
    "Bearer ",
    "Basic ",
    "Cookie: ",
    "--password ",
    "user[password]",
    "phone",
    "cpf",
    "nif",
    "rut ",
    "AKIA0123456789ABCDEF",
    "ghp_0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0aB1cD",
    "sk-",
    "eyJhbGciOiJIUzI1NiJ9",
    ".eyJzdWIiOiIxIn0",
    "chn_live_",
    "0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0aB1cD2eF3gH4iJ5kL6mN7oP8qR9sT0aB1cD2eF3g",
    "110201543:AA",
    "https://",
    "postgres://user:pass",
    "hooks.slack.com/",
    "-----BEGIN PRIVATE KEY-----",
    "-----END PRIVATE KEY-----",
    "MIIEvQIBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIB",
    "DEK-Info: x",
    "sig=",
    "Q~",
    "[email]",
    "[card]",
    "[password]",
    "[token]",
    "[key]",
    "[",
    "]",
    "{",
    "}",
    "(",
    ")",
    "\"",
    "'",
    "\\",
    "\\n",
    "\\\"",
    "\\u003d",
    "%3D",
    "%22",
    "%26",
    "%",
    "\u{1b}[1m",
    "=",
    ":",
    ": ",
    ", ",
    ",",
    ";",
    "; ",
    "&",
    "?",
    "/",
    " ",
    "  ",
    "\t",
    "\n",
    "\r\n",
    "-",
    ".",
    "_",
    "+",
    "a",
    "x1",
    "Z",
    "é",
    "Ñ",
    "：",
    "0",
    "12",
    "2026-11-27",
];

fn text() -> impl Strategy<Value = String> {
    let piece =
        prop_oneof![8 => select(PIECES).prop_map(str::to_owned), 1 => "\\PC{0,4}", 1 => "[0-9 .-]{1,16}"];
    vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

/// What of a masked text is no word of a kind.
fn rest(masked: &str) -> String {
    Kind::ALL.iter().fold(masked.to_owned(), |rest, kind| rest.replace(kind.word(), ""))
}

fn written(bytes: &[u8], cuts: &[Index]) -> Vec<u8> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(bytes.len() + 1)).collect();
    cuts.sort_unstable();
    let mut writer = MaskWriter::new(Vec::new());
    let mut start = 0;
    for end in cuts.into_iter().chain([bytes.len()]) {
        writer.write_all(&bytes[start..end]).unwrap();
        start = end;
    }
    writer.into_inner().unwrap()
}

proptest! {
    /// Things that touch one another may become one, but nothing that was hidden comes back.
    #[test]
    fn masking_what_is_masked_hides_no_less(text in text()) {
        let once = mask(&text).into_owned();
        let (shown, before) = (rest(&mask(&once)), rest(&once));
        let mut left = before.chars();
        prop_assert!(shown.chars().all(|shown| left.any(|one| one == shown)), "{:?}", text);
    }

    #[test]
    fn what_is_borrowed_is_the_text_and_what_is_not_differs(text in text()) {
        match mask(&text) {
            Cow::Borrowed(same) => prop_assert_eq!(same, &text),
            Cow::Owned(masked) => prop_assert!(masked != text),
        }
    }

    #[test]
    fn bytes_are_masked_as_text_is(text in text()) {
        let masked = mask_bytes(text.as_bytes());
        prop_assert_eq!(std::str::from_utf8(&masked).unwrap(), mask(&text));
    }

    #[test]
    fn bytes_that_are_no_text_are_handed_on(bytes: Vec<u8>) {
        let masked = mask_bytes(&bytes);
        prop_assert!(masked == bytes || Kind::ALL.iter().any(|kind| String::from_utf8_lossy(&masked).contains(kind.word())));
    }

    #[test]
    fn a_writer_masks_as_a_text_is_masked_in_whatever_pieces(text in text(), cuts in vec(any::<Index>(), 0..8)) {
        let masked = written(text.as_bytes(), &cuts);
        prop_assert_eq!(String::from_utf8(masked).unwrap(), mask(&text));
    }

    #[test]
    fn any_bytes_in_any_pieces_are_written_as_at_once(bytes: Vec<u8>, cuts in vec(any::<Index>(), 0..8)) {
        prop_assert_eq!(written(&bytes, &cuts), written(&bytes, &[]));
    }
}
