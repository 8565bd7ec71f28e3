//! The Merkle tree of RFC 6962 §2.1 over an organization's leaves, and its proofs.
//!
//! A proof is planned first and computed second: [`Plan`] says which hashes it needs, in whole
//! ranges of leaf hashes and of subtrees at the edges of tiles (256 leaves, 65,536, …), so that a
//! caller reads them from wherever they are before anything is computed. However long the record
//! is, a plan asks for at most 510 hashes of each level of tiles.

use std::collections::BTreeMap;
use std::ops::Range;

use chancery_crypto::sha256;

use crate::Hash;

/// The root of the tree without leaves: SHA-256 of nothing.
pub const EMPTY_ROOT: Hash = [
    0xe3, 0xb0, 0xc4, 0x42, 0x98, 0xfc, 0x1c, 0x14, 0x9a, 0xfb, 0xf4, 0xc8, 0x99, 0x6f, 0xb9, 0x24, 0x27,
    0xae, 0x41, 0xe4, 0x64, 0x9b, 0x93, 0x4c, 0xa4, 0x95, 0x99, 0x1b, 0x78, 0x52, 0xb8, 0x55,
];

/// A tile spans this many levels of the tree (C2SP tlog-tiles: 256 hashes).
pub const TILE_BITS: u8 = 8;

/// The hash of a leaf: SHA-256 of `00` and the leaf's bytes.
#[must_use]
pub fn leaf_hash(leaf: &[u8]) -> Hash {
    sha256(&[&[&[0], leaf].concat()])
}

/// The hash of an inner node: SHA-256 of `01` and its two children.
#[must_use]
pub fn node_hash(left: &Hash, right: &Hash) -> Hash {
    sha256(&[&[&[1], &left[..], right].concat()])
}

/// Where hashes come from: leaf hashes (level 0) and the roots of full subtrees at the edges of
/// tiles (levels 8, 16, …: what [`crate::Frontier::append`] hands out).
pub trait Nodes {
    /// The hash of the subtree of `2^level` leaves that is number `index` of its level from the
    /// left, if it is known.
    fn node(&self, level: u8, index: u64) -> Option<Hash>;
}

impl Nodes for BTreeMap<(u8, u64), Hash> {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        self.get(&(level, index)).copied()
    }
}

/// Why there is no proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// Such a proof does not exist: the leaf is not in the tree, or the older tree is the larger.
    #[error("no such proof: {asked} is beyond a tree of {size} leaves")]
    OutOfRange {
        /// The leaf or the older size.
        asked: u64,
        /// The size of the tree.
        size: u64,
    },
    /// The source does not hold a hash that the plan asked for.
    #[error("the hash of subtree {index} at level {level} is missing")]
    Missing {
        /// The level, 0 for leaves.
        level: u8,
        /// The number within its level.
        index: u64,
    },
}

/// Which hashes a plan needs: numbers `indices` of `level` (0 for leaf hashes, else 8, 16, …).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodeRange {
    /// The level.
    pub level: u8,
    /// The numbers within the level, from the left.
    pub indices: Range<u64>,
}

/// A full subtree of `2^level` leaves, number `index` of its level.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Subtree {
    level: u8,
    index: u64,
}

impl Subtree {
    /// What stands at the edge of a tile below (or at) this subtree's root.
    fn at_tile_edge(self) -> NodeRange {
        let down = self.level % TILE_BITS;
        NodeRange { level: self.level - down, indices: self.index << down..(self.index + 1) << down }
    }

    fn hash(self, nodes: &impl Nodes) -> Result<Hash, ProofError> {
        let NodeRange { level, indices } = self.at_tile_edge();
        let known = |index| nodes.node(level, index).ok_or(ProofError::Missing { level, index });
        let mut row = indices.map(known).collect::<Result<Vec<_>, _>>()?;
        while row.len() > 1 {
            row = row.as_chunks::<2>().0.iter().map(|[left, right]| node_hash(left, right)).collect();
        }
        row.first().copied().ok_or(ProofError::Missing { level, index: self.index })
    }
}

/// A proof (or a root) that is still to be computed: each hash of it is the hash of a run of
/// leaves, made of full subtrees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan(Vec<Vec<Subtree>>);

impl Plan {
    /// The proof that leaf `index` (from 0) is in the tree of `size` leaves (RFC 6962 §2.1.1).
    ///
    /// # Errors
    /// When the tree has no such leaf.
    pub fn inclusion(index: u64, size: u64) -> Result<Self, ProofError> {
        if index >= size {
            return Err(ProofError::OutOfRange { asked: index, size });
        }
        let mut run = 0..size;
        let mut hashes = Vec::new();
        while run.end - run.start > 1 {
            let middle = split(&run);
            if index < middle {
                hashes.push(subtrees(middle..run.end));
                run.end = middle;
            } else {
                hashes.push(subtrees(run.start..middle));
                run.start = middle;
            }
        }
        hashes.reverse();
        Ok(Self(hashes))
    }

    /// The proof that the tree of `old` leaves is the beginning of the tree of `size` leaves
    /// (RFC 6962 §2.1.2). Empty when `old` is 0 or `size`.
    ///
    /// # Errors
    /// When `old` is larger than `size`.
    pub fn consistency(old: u64, size: u64) -> Result<Self, ProofError> {
        if old > size {
            return Err(ProofError::OutOfRange { asked: old, size });
        }
        if old == 0 {
            return Ok(Self(Vec::new()));
        }
        let mut run = 0..size;
        let mut hashes = Vec::new();
        while run.end != old {
            let middle = split(&run);
            if old <= middle {
                hashes.push(subtrees(middle..run.end));
                run.end = middle;
            } else {
                hashes.push(subtrees(run.start..middle));
                run.start = middle;
            }
        }
        // The old root itself is known to the one who asks, unless it is not a node of the new tree.
        if run.start > 0 {
            hashes.push(subtrees(run));
        }
        hashes.reverse();
        Ok(Self(hashes))
    }

    /// The root of the tree of `size` leaves: one hash, or none for the empty tree.
    #[must_use]
    pub fn root(size: u64) -> Self {
        Self(if size == 0 { Vec::new() } else { vec![subtrees(0..size)] })
    }

    /// The hashes to read before [`Plan::compute`], neighbours joined.
    #[must_use]
    pub fn ranges(&self) -> Vec<NodeRange> {
        let mut ranges: Vec<_> = self.0.iter().flatten().map(|subtree| subtree.at_tile_edge()).collect();
        ranges.sort_by_key(|range| (range.level, range.indices.start));
        ranges.dedup_by(|next, range| {
            let joins = next.level == range.level && next.indices.start <= range.indices.end;
            if joins {
                range.indices.end = range.indices.end.max(next.indices.end);
            }
            joins
        });
        ranges
    }

    /// Computes the hashes of the proof, in the order of RFC 6962.
    ///
    /// # Errors
    /// When `nodes` lacks one of [`Plan::ranges`].
    pub fn compute(&self, nodes: &impl Nodes) -> Result<Vec<Hash>, ProofError> {
        let run_hash = |run: &Vec<Subtree>| {
            let (last, larger) = run.split_last().ok_or(ProofError::OutOfRange { asked: 0, size: 0 })?;
            larger
                .iter()
                .rev()
                .try_fold(last.hash(nodes)?, |right, left| Ok(node_hash(&left.hash(nodes)?, &right)))
        };
        self.0.iter().map(run_hash).collect()
    }
}

/// Where RFC 6962 splits a run of at least two leaves that begins at a multiple of its own size
/// rounded up: the left part is the largest full subtree smaller than the run.
fn split(run: &Range<u64>) -> u64 {
    run.start + (1 << (run.end - run.start - 1).ilog2())
}

/// The full subtrees a run consists of, the largest first.
fn subtrees(run: Range<u64>) -> Vec<Subtree> {
    let mut start = run.start;
    let mut parts = Vec::new();
    while start < run.end {
        let level = (run.end - start).ilog2();
        // A level is the logarithm of a u64, so below 64.
        parts.push(Subtree { level: u8::try_from(level).unwrap_or(63), index: start >> level });
        start += 1 << level;
    }
    parts
}

/// What [`inclusion_proof`] will ask its source for.
///
/// # Errors
/// When the tree has no such leaf.
pub fn needed_nodes(index: u64, size: u64) -> Result<Vec<NodeRange>, ProofError> {
    Ok(Plan::inclusion(index, size)?.ranges())
}

/// The proof that leaf `index` (from 0) is in the tree of `size` leaves.
///
/// # Errors
/// When the tree has no such leaf, or `nodes` lacks one of [`needed_nodes`].
pub fn inclusion_proof(index: u64, size: u64, nodes: &impl Nodes) -> Result<Vec<Hash>, ProofError> {
    Plan::inclusion(index, size)?.compute(nodes)
}

/// The proof that the tree of `old` leaves is the beginning of the tree of `size` leaves.
///
/// # Errors
/// When `old` is the larger, or `nodes` lacks one of [`Plan::ranges`].
pub fn consistency_proof(old: u64, size: u64, nodes: &impl Nodes) -> Result<Vec<Hash>, ProofError> {
    Plan::consistency(old, size)?.compute(nodes)
}

/// Whether `proof` shows the leaf with hash `leaf` at `index` of the tree with `root`
/// (RFC 9162 §2.1.3.2).
#[must_use]
pub fn verify_inclusion(index: u64, size: u64, leaf: &Hash, proof: &[Hash], root: &Hash) -> bool {
    if index >= size {
        return false;
    }
    let (mut node, mut last, mut hash) = (index, size - 1, *leaf);
    for sibling in proof {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            hash = node_hash(sibling, &hash);
            skip_lone_levels(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && hash == *root
}

/// Whether `proof` shows that the tree of `old` leaves with `old_root` is the beginning of the
/// tree of `size` leaves with `root` (RFC 9162 §2.1.4.2). The empty tree begins every tree.
#[must_use]
pub fn verify_consistency(old: u64, size: u64, old_root: &Hash, root: &Hash, proof: &[Hash]) -> bool {
    if old == 0 || old >= size {
        let same = old == 0 && *old_root == EMPTY_ROOT || old == size && old_root == root;
        return same && proof.is_empty();
    }
    let (first, rest) = if old.is_power_of_two() {
        (old_root, proof)
    } else {
        let Some((first, rest)) = proof.split_first() else { return false };
        (first, rest)
    };
    let (mut node, mut last) = (old - 1, size - 1);
    let full = node.trailing_ones();
    node >>= full;
    last >>= full;
    let (mut old_hash, mut hash) = (*first, *first);
    for sibling in rest {
        if last == 0 {
            return false;
        }
        if node & 1 == 1 || node == last {
            old_hash = node_hash(sibling, &old_hash);
            hash = node_hash(sibling, &hash);
            skip_lone_levels(&mut node, &mut last);
        } else {
            hash = node_hash(&hash, sibling);
        }
        node >>= 1;
        last >>= 1;
    }
    last == 0 && old_hash == *old_root && hash == *root
}

/// A node at the right edge without a sibling moves up unchanged.
fn skip_lone_levels(node: &mut u64, last: &mut u64) {
    while *node & 1 == 0 && *node != 0 {
        *node >>= 1;
        *last >>= 1;
    }
}
