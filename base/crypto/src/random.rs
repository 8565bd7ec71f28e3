//! Randomness as an argument. Only [`SystemRandom`] reads the machine's.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::certain::certain;
use crate::sha256;

/// Where random bytes come from.
pub trait Random: Send + Sync + 'static {
    /// Fills `out` with random bytes.
    fn fill(&self, out: &mut [u8]);
}

impl dyn Random + '_ {
    /// `N` random bytes.
    #[must_use]
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut out = [0; N];
        self.fill(&mut out);
        out
    }
}

/// The machine's randomness (aws-lc's generator, seeded by the kernel).
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemRandom;

impl Random for SystemRandom {
    fn fill(&self, out: &mut [u8]) {
        certain(aws_lc_rs::rand::fill(out), "the machine gives randomness");
    }
}

/// The same bytes for the same seed: SHA-256 over seed and counter. Foretellable, so for tests only.
#[derive(Debug)]
pub struct SeededRandom {
    seed: u64,
    blocks: AtomicU64,
}

impl SeededRandom {
    /// A source that begins anew at `seed`.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed, blocks: AtomicU64::new(0) }
    }
}

impl Random for SeededRandom {
    fn fill(&self, out: &mut [u8]) {
        for chunk in out.chunks_mut(32) {
            let block = self.blocks.fetch_add(1, Ordering::Relaxed);
            let bytes = sha256(&[b"chancery/seeded-random", &self.seed.to_be_bytes(), &block.to_be_bytes()]);
            chunk.iter_mut().zip(bytes).for_each(|(out, byte)| *out = byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_bytes_again_and_never_repeats_itself() {
        let (one, again, other) = (SeededRandom::new(1), SeededRandom::new(1), SeededRandom::new(2));
        let (one, again, other): (&dyn Random, &dyn Random, &dyn Random) = (&one, &again, &other);
        let first = one.bytes::<80>();
        assert_eq!(first, again.bytes::<80>());
        assert_ne!(first, other.bytes::<80>());
        assert_ne!(first, one.bytes::<80>());
        assert_ne!(first[..32], first[32..64]);
    }

    #[test]
    fn the_machine_gives_different_bytes_each_time() {
        let random: &dyn Random = &SystemRandom;
        assert_ne!(random.bytes::<32>(), random.bytes::<32>());
    }
}
