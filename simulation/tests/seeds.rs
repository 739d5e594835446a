//! Runs the simulation for many seeds. The variable `SEEDS` sets how many; `SEED` runs a single one.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod common;

use simulation::Life;

#[test]
fn every_life_ends_well() {
    let seeds = common::seeds();
    let started = std::time::Instant::now();
    let (mut events, mut failures) = (0, Vec::new());
    for seed in &seeds {
        match Life::run(*seed) {
            Ok(happened) => events += happened,
            Err(failure) => failures.push(failure),
        }
    }
    println!("{} seeds, {} failed, {events} events, {:?}", seeds.len(), failures.len(), started.elapsed());
    let all: Vec<String> = failures.iter().map(|f| format!("seed {}: {}", f.seed, f.why)).collect();
    assert!(failures.is_empty(), "{}\nall that failed:\n{}", failures.first().unwrap(), all.join("\n"));
}

#[test]
fn a_seed_replays() {
    let trace = |seed| {
        let life = Life::run(seed);
        life.map_err(|f| f.trace)
    };
    assert_eq!(trace(7), trace(7));
}
