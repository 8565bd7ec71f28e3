//! The name before a number that says what it is: `cpf=`, `"phone_number": "`, `Tel.: `.

use crate::text::{DIGIT, LETTER, LOWER, TOKEN, Text, UPPER, is};

/// The longest name that is read.
const LONGEST: usize = 32;
/// How much punctuation may stand between a name and a number.
const FURTHEST: usize = 12;

/// What a name says of the number after it.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Label {
    Card,
    Phone,
    Brazil,
    Mexico,
    Argentina,
    Chile,
    Iberia,
}

/// Words that may stand between a name and a number, and say nothing.
const FILLERS: [&[u8]; 8] = [b"number", b"numero", b"no", b"nr", b"num", b"n", b"is", b"value"];
/// What names may end in beside.
const ENDINGS: [&[u8]; 8] = [b"_number", b"-number", b"number", b"_no", b"_num", b"_numero", b"s", b"_e164"];

impl Label {
    /// In lower case.
    const fn words(self) -> &'static [&'static [u8]] {
        match self {
            Self::Card => &[b"card", b"pan", b"cc"],
            Self::Phone => &[
                b"phone",
                b"telephone",
                b"cellphone",
                b"tel",
                b"mobile",
                b"cell",
                b"celular",
                b"cel",
                b"fone",
                b"telefone",
                b"telefono",
                b"telemovel",
                b"movil",
                b"fax",
                b"whatsapp",
                b"msisdn",
                b"sms",
            ],
            Self::Brazil => &[b"cpf", b"cnpj", b"cpfcnpj"],
            Self::Mexico => &[b"rfc", b"curp"],
            Self::Argentina => &[b"cuit", b"cuil"],
            Self::Chile => &[b"rut"],
            Self::Iberia => &[
                b"nif",
                b"nipc",
                b"contribuinte",
                b"dni",
                b"nie",
                b"vat",
                b"vatin",
                b"taxid",
                b"tax_id",
                b"tax-id",
            ],
        }
    }

    /// Whether a name of this kind stands before `place`.
    pub(super) fn stands_before(self, text: &Text<'_>, place: usize) -> bool {
        let mut place = place;
        for _ in 0..3 {
            let Some((start, end)) = name_before(text, place) else { return false };
            let name = text.slice(start, end);
            let ending =
                ENDINGS.iter().find(|ending| ends_with(name, ending)).map_or(0, |ending| ending.len());
            if self.names(name) || ending > 0 && self.names(text.slice(start, end - ending)) {
                return true;
            }
            if !FILLERS.iter().any(|filler| name.eq_ignore_ascii_case(filler)) {
                return false;
            }
            place = start;
        }
        false
    }

    fn names(self, name: &[u8]) -> bool {
        self.words().iter().any(|word| {
            let Some(start) = name.len().checked_sub(word.len()).filter(|_| ends_with(name, word)) else {
                return false;
            };
            let at = |place: usize| name.get(place).copied().unwrap_or(0);
            // A word by itself, or the last of several: `hotel` is no telephone.
            start == 0
                || !is(at(start - 1), LETTER)
                || is(at(start), UPPER) && is(at(start - 1), LOWER | DIGIT)
        })
    }
}

fn ends_with(name: &[u8], ending: &[u8]) -> bool {
    let tail = name.len().checked_sub(ending.len()).and_then(|start| name.get(start..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(ending))
}

/// The name before `place`, behind punctuation, escapes and colours.
fn name_before(text: &Text<'_>, place: usize) -> Option<(usize, usize)> {
    let mut end = place;
    while place - end < FURTHEST {
        end = match text.before(end, 1) {
            b' ' | b'\t' | b':' | b'=' | b'"' | b'\'' | b'`' | b'\\' | b'#' | b'(' | b'.' | b'/' | b'-'
            | b'+' => end - 1,
            // The last byte of the sign in `n.º`, and its first.
            0xba | 0xb0 if text.before(end, 2) == 0xc2 => end - 2,
            byte if is(byte, DIGIT | LETTER) => match text.escape_before(end) {
                Some(start) if text.at(start) != b'\\' => start,
                _ => break,
            },
            _ => break,
        };
    }
    let start = text.skip_escape(text.run_start(end, TOKEN, LONGEST));
    (start < end).then_some((start, end))
}
