//! The store's committer, tail, cache and barrier under faults by a seed: the real ones of several processes, in virtual time, on streams in memory. Each
//! history is checked: what was acknowledged is in the stream once and was read and watched; what was refused is not; watches are in order; all ends well.
//! The variable `SEEDS` sets how many; `SEED` runs a single one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
#[path = "../common/mod.rs"]
mod common;
mod history;
mod life;
mod network;
mod stream;

#[test]
fn every_history_is_right() {
    let seeds = common::seeds();
    let started = std::time::Instant::now();
    let (mut writes, mut seen, mut failures) = (0, 0, Vec::new());
    for seed in &seeds {
        let outcome = life::run(*seed);
        writes += outcome.trace.len();
        seen += outcome.seen;
        failures.extend(outcome.problems.into_iter().map(|problem| format!("seed {seed}: {problem}")));
    }
    println!("{} seeds, {writes} writes, {seen} observations, {} problems, {:?}", seeds.len(), failures.len(), started.elapsed());
    assert!(failures.is_empty(), "{}", failures.join("\n"));
}

#[test]
fn a_seed_replays() {
    let (one, other) = (life::run(7).trace, life::run(7).trace);
    let first = one.iter().zip(&other).position(|(one, other)| one != other);
    assert_eq!(first.map(|n| (n, &one[n], &other[n])), None);
    assert_eq!(one.len(), other.len());
}
