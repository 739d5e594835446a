//! Each target over its seeds and over mutations of them. `FUZZ_SEED` and `FUZZ_RUNS` try others, or more.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use fuzz::mutate::{Random, mutate};
use fuzz::{TARGETS, Target, seeds};
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

fn number(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).map_or(otherwise, |v| v.parse().unwrap())
}

fn seeds_of(target: &Target) -> Vec<Vec<u8>> {
    let mut files: Vec<_> = std::fs::read_dir(seeds(target.name)).unwrap().map(|f| f.unwrap().path()).collect();
    files.sort();
    files.iter().map(|f| std::fs::read(f).unwrap()).collect()
}

fn fails(target: &Target, input: &[u8]) -> Option<String> {
    let failed = catch_unwind(AssertUnwindSafe(|| (target.run)(input))).is_err();
    failed.then(|| format!("{} on \"{}\": put these bytes into fuzz/seeds/{}/", target.name, input.escape_ascii(), target.name))
}

fn first_failure(target: &Target, seed: u64, runs: u64) -> Option<String> {
    let seeds = seeds_of(target);
    assert!(!seeds.is_empty(), "{} has seeds", target.name);
    let mut random = Random::new(seed);
    let mutated = (0..runs).map(|_| mutate(&seeds, &mut random));
    seeds.iter().cloned().chain(mutated).find_map(|input| fails(target, &input))
}

#[test]
fn each_decoder_takes_whatever_comes() {
    let (seed, runs) = (number("FUZZ_SEED", 1), number("FUZZ_RUNS", 400));
    let failures: Vec<String> = TARGETS.iter().filter_map(|target| first_failure(target, seed, runs)).collect();
    assert!(failures.is_empty(), "FUZZ_SEED={seed} FUZZ_RUNS={runs}:\n{}", failures.join("\n"));
}

#[test]
fn seeds_belong_to_targets() {
    let folders: BTreeSet<String> = std::fs::read_dir(seeds("")).unwrap().map(|f| f.unwrap().file_name().into_string().unwrap()).collect();
    let names: BTreeSet<String> = TARGETS.iter().map(|t| t.name.to_owned()).collect();
    assert_eq!(folders, names);
}
