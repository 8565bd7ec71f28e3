//! The tree against RFC 6962's definition, written here a second time and naively.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "tests may fail loudly"
)]

use std::collections::BTreeMap;

use chancery_evidence::merkle::{
    EMPTY_ROOT, NodeRange, Nodes, Plan, ProofError, consistency_proof, inclusion_proof, leaf_hash,
    needed_nodes, node_hash, verify_consistency, verify_inclusion,
};
use chancery_evidence::{Frontier, Hash, Hex};
use proptest::prelude::*;

/// MTH of RFC 6962 §2.1, over leaf hashes.
fn naive_root(leaves: &[Hash]) -> Hash {
    match leaves {
        [] => EMPTY_ROOT,
        [one] => *one,
        _ => {
            let (left, right) = leaves.split_at(leaves.len().next_power_of_two() / 2);
            node_hash(&naive_root(left), &naive_root(right))
        }
    }
}

/// PATH of RFC 6962 §2.1.1.
fn naive_path(index: usize, leaves: &[Hash]) -> Vec<Hash> {
    if leaves.len() == 1 {
        return Vec::new();
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (mut path, sibling) = if index < split {
        (naive_path(index, left), naive_root(right))
    } else {
        (naive_path(index - split, right), naive_root(left))
    };
    path.push(sibling);
    path
}

/// SUBPROOF of RFC 6962 §2.1.2.
fn naive_subproof(old: usize, leaves: &[Hash], known: bool) -> Vec<Hash> {
    if old == leaves.len() {
        return if known { Vec::new() } else { vec![naive_root(leaves)] };
    }
    let split = leaves.len().next_power_of_two() / 2;
    let (left, right) = leaves.split_at(split);
    let (mut proof, sibling) = if old <= split {
        (naive_subproof(old, left, known), naive_root(right))
    } else {
        (naive_subproof(old - split, right, false), naive_root(left))
    };
    proof.push(sibling);
    proof
}

fn leaves(size: usize) -> Vec<Hash> {
    (0..size).map(|number| leaf_hash(&number.to_be_bytes())).collect()
}

type Stored = BTreeMap<(u8, u64), Hash>;

fn grow(leaves: &[Hash]) -> (Frontier, Stored) {
    let (mut frontier, mut nodes) = (Frontier::new(), Stored::new());
    for (index, leaf) in (0..).zip(leaves) {
        nodes.insert((0, index), *leaf);
        frontier.append(*leaf, &mut |level, index, hash| {
            assert!(nodes.insert((level, index), hash).is_none(), "twice: {level} {index}");
        });
    }
    (frontier, nodes)
}

/// Serves nothing but what was announced.
struct Announced<'a>(&'a Stored, Vec<NodeRange>);

impl Nodes for Announced<'_> {
    fn node(&self, level: u8, index: u64) -> Option<Hash> {
        let announced = self.1.iter().any(|range| range.level == level && range.indices.contains(&index));
        assert!(announced, "level {level} index {index} was not announced");
        self.0.node(level, index)
    }
}

fn check_tree(size: usize, indices: &[usize], olds: &[usize]) {
    let leaves = leaves(size);
    let (frontier, nodes) = grow(&leaves);
    let root = frontier.root();
    let size64 = size as u64;
    assert_eq!(root, naive_root(&leaves));
    assert_eq!(Plan::root(size64).compute(&nodes).unwrap().first().copied(), (size > 0).then_some(root));
    for &index in indices {
        let index64 = index as u64;
        let announced = Announced(&nodes, needed_nodes(index64, size64).unwrap());
        let proof = inclusion_proof(index64, size64, &announced).unwrap();
        assert_eq!(proof, naive_path(index, &leaves), "leaf {index} of {size}");
        assert!(verify_inclusion(index64, size64, &leaves[index], &proof, &root));
        assert!(!verify_inclusion(index64, size64, &[9; 32], &proof, &root));
        assert!(!verify_inclusion(size64, size64, &leaves[index], &proof, &root));
        if let Some((_, shorter)) = proof.split_last() {
            assert!(!verify_inclusion(index64, size64, &leaves[index], shorter, &root));
        }
        assert!(!verify_inclusion(index64, size64, &leaves[index], &[&proof[..], &[root]].concat(), &root));
        if index > 0 {
            assert!(!verify_inclusion(index64 - 1, size64, &leaves[index], &proof, &root));
        }
    }
    for &old in olds {
        let old64 = old as u64;
        let announced = Announced(&nodes, Plan::consistency(old64, size64).unwrap().ranges());
        let proof = consistency_proof(old64, size64, &announced).unwrap();
        let naive = if old == 0 { Vec::new() } else { naive_subproof(old, &leaves, true) };
        assert_eq!(proof, naive, "{old} of {size}");
        let old_root = naive_root(&leaves[..old]);
        assert!(verify_consistency(old64, size64, &old_root, &root, &proof));
        assert!(!verify_consistency(old64, size64, &[9; 32], &root, &proof));
        assert!(old == 0 || !verify_consistency(old64, size64, &old_root, &[9; 32], &proof));
        assert!(!verify_consistency(old64, size64, &old_root, &root, &[&proof[..], &[root]].concat()));
        if let Some((_, shorter)) = proof.split_last() {
            assert!(!verify_consistency(old64, size64, &old_root, &root, shorter));
        }
    }
}

/// The vectors of the first implementations of RFC 6962 (certificate-transparency).
#[test]
fn the_known_trees() {
    let inputs: [&[u8]; 8] = [
        b"",
        b"\x00",
        b"\x10",
        b"\x20\x21",
        b"\x30\x31",
        b"\x40\x41\x42\x43",
        b"\x50\x51\x52\x53\x54\x55\x56\x57",
        b"\x60\x61\x62\x63\x64\x65\x66\x67\x68\x69\x6a\x6b\x6c\x6d\x6e\x6f",
    ];
    let roots = [
        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
        "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
        "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
        "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
        "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
    ];
    let mut frontier = Frontier::new();
    for (size, root) in roots.iter().enumerate() {
        assert_eq!(Hex(frontier.root()).to_string(), *root, "{size} leaves");
        if let Some(input) = inputs.get(size) {
            frontier.append(leaf_hash(input), &mut |_, _, _| panic!("no tile is full yet"));
        }
    }
}

#[test]
fn every_proof_of_every_small_tree() {
    for size in 0..=40 {
        check_tree(size, &(0..size).collect::<Vec<_>>(), &(0..=size).collect::<Vec<_>>());
    }
}

#[test]
fn trees_around_the_edges_of_tiles() {
    for size in [255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, 65_793] {
        let near =
            [0, 1, 254, 255, 256, 257, size / 2, size - 2, size - 1].map(|index: usize| index.min(size - 1));
        let olds = [1, 2, 3, 255, 256, 257, 32_768, size - 1, size].map(|old: usize| old.min(size));
        check_tree(size, &near, &olds);
    }
}

#[test]
fn completed_tiles_are_handed_out_once_and_right() {
    let leaves = leaves(65_536 + 300);
    let (_, nodes) = grow(&leaves);
    let tiles: Vec<_> = nodes.iter().filter(|((level, _), _)| *level > 0).collect();
    assert_eq!(tiles.len(), 257 + 1);
    for ((level, index), hash) in tiles {
        let width = 1_usize << level;
        let start = usize::try_from(*index).unwrap() * width;
        assert_eq!(*hash, naive_root(&leaves[start..start + width]), "level {level} index {index}");
    }
}

#[test]
fn proofs_in_a_long_record_read_little() {
    let size = 3_270_001;
    for index in [0, 1_000_000, size - 1] {
        let ranges = needed_nodes(index, size).unwrap();
        for level in [0, 8, 16] {
            let read: u64 = ranges
                .iter()
                .filter(|range| range.level == level)
                .map(|range| range.indices.end - range.indices.start)
                .sum();
            assert!(read <= 510, "{read} hashes of level {level}");
        }
        assert!(ranges.iter().all(|range| range.level <= 16));
    }
}

#[test]
fn what_cannot_be_proven_is_an_error() {
    let empty = Stored::new();
    assert_eq!(inclusion_proof(3, 3, &empty), Err(ProofError::OutOfRange { asked: 3, size: 3 }));
    assert_eq!(consistency_proof(4, 3, &empty), Err(ProofError::OutOfRange { asked: 4, size: 3 }));
    assert_eq!(inclusion_proof(0, 2, &empty), Err(ProofError::Missing { level: 0, index: 1 }));
    assert!(inclusion_proof(u64::MAX - 1, u64::MAX, &empty).is_err());
    assert!(consistency_proof(u64::MAX - 1, u64::MAX, &empty).is_err());
    assert!(!verify_inclusion(0, 0, &EMPTY_ROOT, &[], &EMPTY_ROOT));
    assert!(!verify_inclusion(u64::MAX - 1, u64::MAX, &EMPTY_ROOT, &[[0; 32]; 70], &EMPTY_ROOT));
    assert!(!verify_consistency(3, u64::MAX, &EMPTY_ROOT, &EMPTY_ROOT, &[[0; 32]; 70]));
    assert!(!verify_consistency(5, 3, &EMPTY_ROOT, &EMPTY_ROOT, &[]));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_trees_are_the_naive_ones(size in 1_usize..2_000, a: usize, b: usize) {
        check_tree(size, &[a % size, b % size], &[a % (size + 1), b % (size + 1)]);
    }

    #[test]
    fn a_frontier_survives_storing(size in 0_usize..600) {
        let (frontier, _) = grow(&leaves(size));
        prop_assert_eq!(Frontier::from_bytes(&frontier.to_bytes()), Ok(frontier));
    }

    #[test]
    fn any_bytes_are_a_frontier_or_refused(bytes: Vec<u8>) {
        if let Ok(frontier) = Frontier::from_bytes(&bytes) {
            prop_assert_eq!(frontier.to_bytes(), bytes);
        }
    }
}
