//! `bench suite`: every load of the table, several times, as a table, a chart and a record. `bench check`: against a recorded commit.
mod base;
mod chart;
pub mod check;
mod compare;
mod figure;
mod kubernetes;
mod loads;
mod machine;
mod places;
mod record;
mod runner;
pub mod server;
mod table;

use crate::report::rounded;
use clap::Args;
use figure::human;
use loads::{Cluster, Load};
use machine::{Machine, Ticks};
pub use places::SuiteError;
use places::{Places, files};
use record::{Figures, Record};
use runner::Programs;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

/// A run during which a greater share of the processors' time was given to others is run again.
const STOLEN: f64 = 0.05;
/// So often at most, and the last counts whatever it was.
const TRIES: usize = 3;

/// Which loads, how often, on what.
#[derive(Args, Debug)]
pub struct Options {
    /// Loads to run; all where none is named
    loads: Vec<String>,
    /// How often each load runs
    #[arg(long, env = "RUNS", default_value_t = 3)]
    runs: usize,
    /// Short loads, once each: to see that all of it works
    #[arg(long)]
    quick: bool,
    /// The binary to measure; the figures are those of no commit then
    #[arg(long, value_name = "PATH")]
    whalesong: Option<PathBuf>,
    /// A directory with etcd, kube-apiserver, kube-controller-manager and kube-scheduler: they are measured by the same loads, in turn
    #[arg(long, value_name = "DIRECTORY", env = "KUBERNETES")]
    kubernetes: Option<PathBuf>,
    /// Leave the clusters' data and logs
    #[arg(long)]
    keep: bool,
    /// Print the names of the loads
    #[arg(long)]
    list: bool,
}

/// The last word of the first line in which a program says its version.
fn version(program: &Path, arg: &str) -> String {
    let said = Command::new(program).arg(arg).output().map(|o| String::from_utf8_lossy(&o.stdout).into_owned()).unwrap_or_default();
    said.lines().next().and_then(|line| line.split_whitespace().last()).unwrap_or("unknown").trim_start_matches('v').to_owned()
}

/// Runs what the options say, prints the table, writes the chart and the record.
///
/// # Errors
/// [`SuiteError`]; what was started is gone then too.
pub async fn run(options: &Options) -> Result<(), SuiteError> {
    if options.list {
        loads::LOADS.iter().for_each(|load| println!("{:<12} {}", load.name, load.title));
        return Ok(());
    }
    let chosen = loads::chosen(&options.loads).map_err(SuiteError::Unknown)?;
    let places = Places::find()?;
    let mut programs = Programs { keep: options.keep, ..places.own.clone() };
    let mut commit = places.commit();
    if let Some(given) = &options.whalesong {
        (programs.whalesong, commit) = (given.clone(), None);
    }
    let mut versions = BTreeMap::from([
        ("whalesong".to_owned(), version(&programs.whalesong, "version")),
        ("nats-server".to_owned(), version(Path::new("nats-server"), "--version")),
    ]);
    if let Some(kubernetes) = &options.kubernetes {
        versions.insert("kubernetes".to_owned(), version(&kubernetes.join("kube-apiserver"), "--version"));
        versions.insert("etcd".to_owned(), version(&kubernetes.join("etcd"), "--version"));
    }
    let machine = Machine::here(&places.scratch).map_err(files(places.scratch.display().to_string()))?;
    let kubernetes = options.kubernetes.as_ref().map(|_| Figures::default());
    let mut record = Record { date: jiff::Timestamp::now(), commit, quick: options.quick, machine, versions, whalesong: Figures::default(), kubernetes };
    tokio::select! {
        () = measure(&programs, &chosen, options, &mut record) => {}
        () = stop_asked() => return Err(SuiteError::Interrupted),
    }
    println!("{}", table::render(&record));
    keep(&places, &record, options.loads.is_empty())?;
    let failed: Vec<&str> = record.whalesong.trouble.keys().map(String::as_str).collect();
    if failed.is_empty() { Ok(()) } else { Err(SuiteError::Trouble(failed.join(", "))) }
}

/// Runs all loads in turn, so many times: what a machine does at one time then falls on all of them.
async fn measure(programs: &Programs, chosen: &[&'static Load], options: &Options, record: &mut Record) {
    let runs = if options.quick { 1 } else { options.runs.max(1) };
    for run in 1..=runs {
        for (n, load) in chosen.iter().enumerate() {
            let which = format!("run {run} of {runs}, load {} of {}: {}", n + 1, chosen.len(), load.name);
            let more = if options.quick { load.quick } else { &[] };
            told(&which, load, || programs.run(load, more), &mut record.whalesong).await;
            let beside = options.kubernetes.as_ref().zip(record.kubernetes.as_mut()).filter(|_| matches!(load.cluster, Cluster::Up(_)));
            if let Some((directory, figures)) = beside {
                told(&format!("{which}, Kubernetes"), load, || programs.run_kubernetes(directory, load, more), figures).await;
            }
        }
    }
}

/// A run with a line of what came of it. One during which much of the processors was given to others says nothing: it is run again, a few times.
async fn told<R>(which: &str, load: &Load, run: impl Fn() -> R, figures: &mut Figures)
where
    R: Future<Output = Result<serde_json::Value, runner::RunError>>,
{
    for again in (0..TRIES).rev() {
        eprint!("{which} … ");
        let (start, ticks) = (Instant::now(), Ticks::now());
        let outcome = run().await;
        let (took, stolen) = (start.elapsed().as_secs_f64(), Ticks::now().stolen_since(ticks));
        let share = human(stolen * 100.0);
        if outcome.is_ok() && stolen > STOLEN && again > 0 {
            eprintln!("{share}% of the processors' time was given to others: once more ({took:.1} s)");
            continue;
        }
        figures.stolen.entry(load.name.to_owned()).or_default().push(rounded(stolen, 3));
        eprintln!("{} ({took:.1} s, {share}% stolen)", take(load, outcome, figures));
        return;
    }
}

/// Keeps a load's figures. What is to be said of it at once comes back.
fn take(load: &Load, outcome: Result<serde_json::Value, runner::RunError>, figures: &mut Figures) -> String {
    let line = match outcome {
        Ok(line) => line,
        Err(error) => {
            figures.add_trouble(load.name, error.to_string());
            return error.to_string();
        }
    };
    match runner::failed(&line) {
        0 => {}
        many => figures.add_trouble(load.name, format!("{many} requests failed")),
    }
    let mut first = None;
    for figure in load.figures {
        let Some(value) = figure.read(&line) else {
            figures.add_trouble(load.name, format!("it has no {}", figure.name));
            continue;
        };
        figures.add(load.name, figure.name, value);
        for (process, part) in figure.parts(&line) {
            figures.add(load.name, &format!("{}: {process}", figure.name), part);
        }
        first.get_or_insert_with(|| format!("{}: {} {}", figure.name, human(value), figure.unit));
    }
    first.unwrap_or_default()
}

/// Writes the table, the chart and the record. Where all was measured and belongs to a commit, the record goes to the history.
fn keep(places: &Places, record: &Record, whole: bool) -> Result<(), SuiteError> {
    let history = places.root.join("bench/history");
    let kept = whole && !record.quick && record.commit.is_some() && record.whalesong.trouble.is_empty();
    let (data, drawing) = if kept {
        fs::create_dir_all(&history).map_err(files(history.display().to_string()))?;
        (history.join(record.name() + ".json"), places.root.join("bench/chart.svg"))
    } else {
        (places.scratch.join("last.json"), places.scratch.join("chart.svg"))
    };
    record.save(&data)?;
    fs::write(&drawing, chart::render(record)).map_err(files(drawing.display().to_string()))?;
    let table = places.scratch.join("table.md");
    fs::write(&table, table::render(record)).map_err(files(table.display().to_string()))?;
    eprintln!("the record: {}; the chart: {}; the table: {}", data.display(), drawing.display(), table.display());
    Ok(())
}

async fn stop_asked() {
    let mut end = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate());
    let end = async {
        match &mut end {
            Ok(end) => _ = end.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted.unwrap_or_default(),
        () = end => {}
    }
}
