//! Load generators. Every figure goes out as one JSON line; tables go to stderr.
mod api;
mod controlling;
mod load;
mod podman;
mod suite;

use api::{Api, ApiError, Protocol};
use bench::{report, scheduling};
use clap::{Parser, Subcommand};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// The product's: what runs in this process is measured with it, and the client, which shares the machine with what it measures, takes less of it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Parser)]
#[command(about = "Load generators for Whalesong and for any other server of the Kubernetes API", args_override_self = true)]
struct Cli {
    /// How to reach the server
    #[arg(long, env = "KUBECONFIG", default_value = "kubeconfig", global = true)]
    kubeconfig: PathBuf,
    /// Processes of the server: their CPU seconds and memory are reported
    #[arg(long, value_delimiter = ',', global = true)]
    pids: Vec<u32>,
    /// Speak HTTP/2, over one connection, rather than HTTP/1.1
    #[arg(long, global = true)]
    http2: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// All loads of the table, on clusters of their own: a table, a chart, a record
    Suite(suite::Options),
    /// What is built here against the last recorded commit: which figures have fallen by more than a tenth
    Check(suite::check::Options),
    /// The scheduler's decisions alone, in this process, without any server
    Scheduler(scheduling::Options),
    /// The controllers' plans alone, in this process, without any server
    Controllers(controlling::Options),
    /// Waits until the server answers
    Ready {
        /// Seconds after which to give up
        #[arg(long, default_value_t = 20)]
        timeout: u64,
    },
    /// Makes nodes on paper
    Nodes(load::nodes::Options),
    /// Deployments to running pods and back
    Pods(load::pods::Options),
    /// One Deployment, from one template to the next
    Rollout(load::rollout::Options),
    /// ConfigMaps created, read, patched, listed
    Writes(load::writes::Options),
    /// From a write to its delivery to all watchers
    Watch(load::watch::Options),
    /// Pods on a real node against the same containers made by hand on its Podman
    Podman(load::podman::Options),
    /// Many nodes and pods at rest, on a cluster of its own
    Rest(load::rest::Options),
    /// Some of many nodes fall silent, on a cluster of its own
    Failure(load::failure::Options),
    /// The server killed and started again on many objects, on a cluster of its own
    Restart(load::restart::Options),
    /// Many definitions of custom resources with many objects, on a cluster of its own
    Definitions(load::definitions::Options),
    /// The same pods on few nodes and on many, on clusters of its own
    Growth(load::growth::Options),
}

/// Asks until the server says that it is ready: it may still be writing its kubeconfig.
async fn ready(kubeconfig: &Path, protocol: Protocol, timeout: Duration) -> Result<Value, ApiError> {
    let start = Instant::now();
    loop {
        let answer = match Api::new(kubeconfig, protocol).await {
            Ok(api) => api.read("/readyz").await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(_) => return Ok(json!({"what": "ready"})),
            Err(error) if start.elapsed() > timeout => return Err(error),
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

/// The one load of a command on a server.
async fn load(cli: &Cli) -> Result<Value, load::podman::LoadError> {
    let protocol = if cli.http2 { Protocol::Http2 } else { Protocol::Http1 };
    if let Command::Ready { timeout } = cli.command {
        return Ok(ready(&cli.kubeconfig, protocol, Duration::from_secs(timeout)).await?);
    }
    let api = Api::new(&cli.kubeconfig, protocol).await?;
    match &cli.command {
        Command::Nodes(options) => Ok(load::nodes::run(&api, options).await),
        Command::Pods(options) => Ok(load::pods::run(&api, options, &cli.pids).await?),
        Command::Rollout(options) => Ok(load::rollout::run(&api, options, &cli.pids).await?),
        Command::Writes(options) => Ok(load::writes::run(&api, options).await?),
        Command::Watch(options) => Ok(load::watch::run(&api, options).await?),
        Command::Podman(options) => load::podman::run(&api, options).await,
        _ => Ok(Value::Null),
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(&Cli::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(cli: &Cli) -> Result<(), Box<dyn std::error::Error>> {
    match &cli.command {
        Command::Suite(options) => suite::run(options).await?,
        Command::Check(options) => suite::check::run(options).await?,
        Command::Scheduler(options) => {
            print(&scheduling::run(options)?, &["load", "pods", "bound", "pods_per_s", "us_per_pod", "parse_us_per_pod"]);
        }
        Command::Controllers(options) => {
            print(&controlling::run(options)?, &["load", "pods", "plans", "writes", "plans_per_s", "us_per_write"]);
        }
        Command::Rest(options) => println!("{}", load::rest::run(options).await?),
        Command::Failure(options) => println!("{}", load::failure::run(options).await?),
        Command::Restart(options) => println!("{}", load::restart::run(options).await?),
        Command::Definitions(options) => println!("{}", load::definitions::run(options).await?),
        Command::Growth(options) => println!("{}", load::growth::run(options).await?),
        _ => println!("{}", measured(cli).await?),
    }
    Ok(())
}

fn print(lines: &[Value], columns: &[&str]) {
    lines.iter().for_each(|line| println!("{line}"));
    eprintln!("{}", report::table(lines, columns));
}

/// A load on a server, with what the server's processes used meanwhile.
async fn measured(cli: &Cli) -> Result<Value, load::podman::LoadError> {
    let ((cpu_before, _), start) = (report::usage(&cli.pids), Instant::now());
    let mut line = load(cli).await?;
    let (cpu_after, resident) = report::usage(&cli.pids);
    line["server_cpu_s"] = json!(report::rounded(cpu_after - cpu_before, 2));
    line["server_rss_mib"] = resident;
    line["wall_s"] = json!(report::rounded(start.elapsed().as_secs_f64(), 2));
    Ok(line)
}
