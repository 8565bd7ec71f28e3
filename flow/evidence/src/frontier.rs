//! The growing edge of a Merkle tree: all that an appender has to keep.

use crate::Hash;
use crate::merkle::{EMPTY_ROOT, TILE_BITS, node_hash};

/// The roots of the full subtrees that a tree of `size` leaves consists of, the largest first: one
/// for each bit set in `size`. Enough to append and to know the root; at most 64 hashes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frontier {
    size: u64,
    roots: Vec<Hash>,
}

/// Stored bytes that are not a frontier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a frontier: expected a size and one hash for each of its bits")]
pub struct FrontierError;

impl Frontier {
    /// The frontier of the empty tree.
    #[must_use]
    pub const fn new() -> Self {
        Self { size: 0, roots: Vec::new() }
    }

    /// How many leaves the tree has.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// Appends a leaf's hash. `completed(level, index, hash)` is called for each subtree this
    /// completes at a tile's edge, of 256 leaves (level 8), 65,536 (level 16) and so on; `index`
    /// counts the subtrees of that level from the left. What it is given makes the [`crate::merkle::Nodes`]
    /// that proofs over a long record need.
    pub fn append(&mut self, leaf: Hash, completed: &mut impl FnMut(u8, u64, Hash)) {
        let mut hash = leaf;
        let mut level = 0_u8;
        // Each bit set from the right is a full subtree as large as the one in hand.
        while self.size >> level & 1 == 1 {
            let Some(left) = self.roots.pop() else { break };
            hash = node_hash(&left, &hash);
            level += 1;
            if level.is_multiple_of(TILE_BITS) {
                completed(level, self.size >> level, hash);
            }
        }
        self.roots.push(hash);
        self.size += 1;
    }

    /// The root of the tree (RFC 6962 §2.1).
    #[must_use]
    pub fn root(&self) -> Hash {
        self.roots.iter().copied().rev().reduce(|right, left| node_hash(&left, &right)).unwrap_or(EMPTY_ROOT)
    }

    /// For storing: the size (8 bytes, big-endian), then the hashes, the largest subtree's first.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = self.size.to_be_bytes().to_vec();
        bytes.extend(self.roots.iter().flatten());
        bytes
    }

    /// Reads what [`Frontier::to_bytes`] wrote.
    ///
    /// # Errors
    /// When the number of hashes is not the number of bits set in the size, or the size is beyond
    /// 2⁵³ (no sequence number goes there).
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, FrontierError> {
        let (size, rest) = bytes.split_first_chunk::<8>().ok_or(FrontierError)?;
        let size = u64::from_be_bytes(*size);
        let (roots, rest) = rest.as_chunks::<32>();
        if !rest.is_empty() || roots.len() != size.count_ones() as usize || size > 1 << 53 {
            return Err(FrontierError);
        }
        Ok(Self { size, roots: roots.to_vec() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stored_bytes_read_back_and_nothing_else_does() {
        let mut frontier = Frontier::new();
        for number in 0..300_u64 {
            frontier.append([u8::try_from(number % 256).unwrap(); 32], &mut |_, _, _| {});
            let bytes = frontier.to_bytes();
            assert_eq!(Frontier::from_bytes(&bytes), Ok(frontier.clone()));
            assert_eq!(Frontier::from_bytes(&bytes[..bytes.len() - 1]), Err(FrontierError));
            assert_eq!(Frontier::from_bytes(&[&bytes[..], &[0; 32]].concat()), Err(FrontierError));
        }
        assert_eq!(Frontier::from_bytes(&[]), Err(FrontierError));
        assert_eq!(Frontier::from_bytes(&[0x80, 0, 0, 0, 0, 0, 0, 0]), Err(FrontierError));
    }
}
