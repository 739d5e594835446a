//! Whalesong's one binary: every role of a cluster, and the commands that look at it.
mod access;
mod admission;
mod agent;
mod allocator;
mod candidate;
mod cli;
mod config;
mod creds;
mod data;
mod down;
mod failure;
mod get;
mod hollow;
mod host;
mod join;
mod process;
mod purge;
mod render;
mod report;
mod role;
mod status;
mod up;
mod witness;

use clap::FromArgMatches;
use cli::{Cli, Command, CredsAction, CredsCommand};
use config::Config;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    allocator::tune();
    let matches = cli::command().get_matches();
    let cli = Cli::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let config = Config::new(cli.config, &matches);
    let outcome = start_logging(&cli.log).and_then(|()| run(cli.command, &config));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("whalesong: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn start_logging(filter: &str) -> Result<(), Failure> {
    let filter =
        tracing_subscriber::EnvFilter::try_new(filter).map_err(|e| Failure::new(format!("{filter:?} is no log filter ({e})"), "use a level such as info"))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    Ok(())
}

fn run(command: Command, config: &Config) -> Result<(), Failure> {
    match command {
        Command::Version => print(&format!("whalesong {}\n", env!("CARGO_PKG_VERSION"))),
        Command::Completions { shell } => {
            clap_complete::generate(shell, &mut cli::command(), "whalesong", &mut std::io::stdout());
            Ok(())
        }
        command => block_on(dispatch(command, config)),
    }
}

async fn dispatch(command: Command, config: &Config) -> Result<(), Failure> {
    match command {
        Command::Up(args) => up::up(config.resolve(&args)?).await,
        Command::State(args) => role::state(config.resolve(&args)?).await,
        Command::Gateway(args) => role::gateway(config.resolve(&args)?).await,
        Command::Scheduler(args) => role::scheduler(config.resolve(&args)?).await,
        Command::Controllers(args) => role::controllers(config.resolve(&args)?).await,
        Command::Agent(args) => role::agent(config.resolve(&args)?).await,
        Command::Status(args) => print(&status::status(config.resolve(&args)?).await?),
        Command::Get(args) => print(&get::get(config.resolve(&args)?).await?),
        Command::Hollow(args) => print(&hollow::hollow(config.resolve(&args)?).await?),
        Command::Down(args) => down::down(config.resolve(&args)?).await,
        Command::Token(args) => print(&creds::token(config.resolve(&args)?).await?),
        Command::Creds(creds) => print(&credentials(creds, config).await?),
        Command::Version | Command::Completions { .. } => Ok(()),
    }
}

async fn credentials(creds: CredsCommand, config: &Config) -> Result<String, Failure> {
    match creds.command {
        Some(CredsAction::Revoke(args)) => creds::revoke(config.resolve(&args)?).await,
        Some(CredsAction::List(args)) => creds::list(&config.resolve(&args)?),
        None => creds::creds(config.resolve(&creds.make)?).await,
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    runtime.map_err(|e| Failure::new(format!("the runtime can't be started ({e})"), "look at the process limits"))?.block_on(work)
}

/// Prints to stdout; a reader that has gone away (`| head`) is no failure.
fn print(text: &str) -> Result<(), Failure> {
    use std::io::Write;
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(e) if e.kind() != std::io::ErrorKind::BrokenPipe => Err(Failure::new(format!("stdout can't be written ({e})"), "")),
        _ => Ok(()),
    }
}
