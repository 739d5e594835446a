//! Kubernetes' own conformance suite against a cluster on simulated machines: `make conformance`.
//!
//! `tests/conformance/build` makes the suite's programs and images; this starts the cluster ([`cluster`]), runs the tests ([`suite`], with
//! [`progress`]), writes what came of them into `results.json` ([`results`]), leaves the logs of those that failed ([`evidence`]), and ends with a
//! table ([`table`]).
mod choice;
mod cluster;
mod evidence;
mod failure;
mod interrupt;
mod list;
mod progress;
mod report;
mod results;
mod suite;
mod table;

use choice::Choice;
use clap::{Parser, Subcommand};
use cluster::Nodes;
use failure::Failure;
use report::{Outcome, Verdict};
use results::Results;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use suite::Suite;

#[derive(Parser)]
#[command(about = "Kubernetes' conformance suite against Whalesong, on simulated machines of this one")]
struct Cli {
    /// What tests/conformance/build has printed: the folder of the suite's programs and images
    #[arg(long, value_name = "DIRECTORY")]
    release: PathBuf,
    /// Where the results are kept
    #[arg(long, value_name = "FILE", global = true, default_value = concat!(env!("CARGO_MANIFEST_DIR"), "/results.json"))]
    results: PathBuf,
    /// Where the logs go; an earlier run's are removed
    #[arg(long, value_name = "DIRECTORY", global = true, default_value = "target/conformance")]
    out: PathBuf,
    /// How many tests run at a time, where the suite allows it
    #[arg(long, env = "PROCS", global = true)]
    procs: Option<usize>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Runs tests on a control plane and two nodes with Podman, and records what came of them
    Run(Choice),
    /// Records once more what came of the last run, from its output: also of one that was cut off
    Record {
        #[command(flatten)]
        choice: Choice,
        /// It ran on simulated nodes
        #[arg(long)]
        hollow: bool,
    },
    /// Runs tests that need no container on simulated nodes: those that are known to pass there, or those that are chosen
    Hollow(Choice),
    /// Runs tests that are recorded as passed, and fails where one doesn't pass any more
    Check {
        /// So many of them, chosen at random; otherwise all
        #[arg(long, env = "NUMBER")]
        number: Option<usize>,
        /// What the choice begins with; a run prints its own
        #[arg(long, env = "SEED")]
        seed: Option<u64>,
    },
}

fn main() -> ExitCode {
    match run(&Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("conformance: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: &Cli) -> Result<(), Failure> {
    interrupt::catch()?;
    let suite = Suite::of(&cli.release, &cli.out)?;
    let mut results = Results::read(&cli.results, suite.version())?;
    match &cli.command {
        Command::Run(choice) => {
            let outcomes = perform(cli, &suite, Nodes::Podman, suite.choose(choice)?)?;
            results.record(&outcomes);
            results.write(&cli.results)
        }
        Command::Record { choice, hollow } => {
            let (names, impossible) = possible(suite.choose(choice)?)?;
            let mut outcomes = suite.outcomes(&names)?;
            outcomes.extend(impossible);
            tell(&mut outcomes, &cli.out)?;
            if *hollow {
                results.record_hollow(&outcomes)
            } else {
                results.record(&outcomes)
            }
            results.write(&cli.results)
        }
        Command::Hollow(choice) => {
            let known = results.hollow();
            let names = if choice.is_default() { known.clone() } else { suite.choose(choice)? };
            let outcomes = perform(cli, &suite, Nodes::Hollow, names)?;
            results.record_hollow(&outcomes);
            results.write(&cli.results)?;
            none_lost(&known, &outcomes)
        }
        Command::Check { number, seed } => {
            let known = results.passed();
            let chosen = results::at_random(&known, *number, *seed);
            let outcomes = perform(cli, &suite, Nodes::Podman, chosen)?;
            none_lost(&known, &outcomes)
        }
    }
}

/// A cluster, the tests on it, the logs of those that fail, and the table.
fn perform(cli: &Cli, suite: &Suite, nodes: Nodes, names: Vec<String>) -> Result<Vec<Outcome>, Failure> {
    if names.is_empty() {
        return Err(Failure::NothingChosen);
    }
    let (names, mut outcomes) = possible(names)?;
    suite.clear()?;
    if !names.is_empty() {
        let cluster = cluster::start(suite, nodes)?;
        let ran = suite.run(&cluster, &names, cli.procs.unwrap_or(nodes.procs()));
        evidence::keep_logs(&cluster, &cli.out)?;
        drop(cluster);
        outcomes.extend(ran?);
    }
    tell(&mut outcomes, &cli.out)?;
    Ok(outcomes)
}

/// Tests that can't be run on these machines whatever the cluster does, each with the reason.
const IMPOSSIBLE: &str = include_str!("../impossible.json");

fn possible(names: Vec<String>) -> Result<(Vec<String>, Vec<Outcome>), Failure> {
    let impossible = serde_json::from_str(IMPOSSIBLE).map_err(|source| Failure::Content { path: PathBuf::from("impossible.json"), source })?;
    Ok(report::possible(names, &impossible))
}

/// Leaves the logs of what failed, and prints the table.
fn tell(outcomes: &mut [Outcome], out: &Path) -> Result<(), Failure> {
    outcomes.sort_by(|a, b| a.name.cmp(&b.name));
    evidence::of_failures(outcomes, out)?;
    print!("{}", table::render(outcomes));
    if outcomes.iter().any(|o| matches!(o.verdict, Verdict::Failed(_))) {
        println!("\nThe logs of each failed test: {}", out.join("failed").display());
    }
    Ok(())
}

/// Complains of those that are known to pass and don't.
fn none_lost(known: &[String], outcomes: &[Outcome]) -> Result<(), Failure> {
    let lost: Vec<String> = outcomes.iter().filter(|o| o.verdict != Verdict::Passed && known.contains(&o.name)).map(|o| o.name.clone()).collect();
    if lost.is_empty() { Ok(()) } else { Err(Failure::Lost(lost)) }
}
