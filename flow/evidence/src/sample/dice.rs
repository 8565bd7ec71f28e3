//! Choices that a seed decides.

use chancery_crypto::{Random, SeededRandom};
use chancery_model::{EntropyBytes, Timestamp};
use serde_json::{Map, Value, json};

use super::START_MICROS;

/// Text that readers and writers of JSON have got wrong before.
const PIECES: [&str; 14] = [
    "a",
    "Z",
    "refund",
    " ",
    "\"",
    "\\",
    "/",
    "\n",
    "\u{1f}",
    "\u{7f}",
    "é",
    "\u{2028}",
    "\u{fb33}",
    "\u{1f600}",
];

pub(super) struct Dice {
    pub(super) seed: u64,
    random: SeededRandom,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, random: SeededRandom::new(seed) }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.random.fill(&mut bytes);
        bytes
    }

    pub(super) fn entropy(&mut self) -> EntropyBytes {
        self.bytes()
    }

    /// Below `end`, which is not 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        u64::from_be_bytes(self.bytes()) % end
    }

    pub(super) fn index(&mut self, length: usize) -> usize {
        usize::try_from(self.below(length as u64)).unwrap()
    }

    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    pub(super) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.index(from.len())]
    }

    pub(super) fn time(&mut self) -> Timestamp {
        Timestamp::from_micros(START_MICROS + i64::try_from(self.below(1_000_000_000_000)).unwrap())
    }

    pub(super) fn text(&mut self) -> String {
        (0..=self.below(6)).map(|_| *self.pick(&PIECES)).collect()
    }

    /// Within I-JSON: an integer up to 2⁵³ or a decimal of up to 15 digits, four of them fractional.
    pub(super) fn number(&mut self) -> Value {
        let sign = if self.one_in(3) { "-" } else { "" };
        let text = match self.below(6) {
            0 => format!("{sign}9007199254740992"),
            1 => format!("{sign}{}", self.below(1 << 53)),
            2 => format!("{sign}{}", self.below(1_000)),
            3 => format!("{sign}0.000{}", 1 + self.below(9)),
            4 => format!("{sign}{}.{}", self.below(100_000_000_000_000), self.below(10)),
            _ => format!("{sign}{}.{:04}", self.below(1_000_000), self.below(10_000)),
        };
        chancery_model::ijson::parse(text.as_bytes()).unwrap()
    }

    pub(super) fn object(&mut self, depth: u64) -> Value {
        let members: Map<_, _> = (0..self.below(5)).map(|_| (self.text(), self.value(depth))).collect();
        Value::Object(members)
    }

    fn value(&mut self, depth: u64) -> Value {
        match self.below(if depth == 0 { 5 } else { 7 }) {
            0 => Value::Null,
            1 => json!(self.one_in(2)),
            2 | 3 => self.number(),
            4 => json!(self.text()),
            5 => (0..self.below(4)).map(|_| self.value(depth - 1)).collect(),
            _ => self.object(depth - 1),
        }
    }
}
