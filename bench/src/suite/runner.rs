//! One run of one load: a cluster for it, what goes before it, the load itself as a process of its own, and its line.
use super::kubernetes::Kubernetes;
use super::loads::{Cluster, Load};
use super::server::{Server, Software};
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// No load takes longer.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// Why a run has no figures.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// A program can't be started.
    #[error("{program} can't be run: {source}")]
    Start {
        /// Which one.
        program: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The cluster doesn't answer.
    #[error("the cluster doesn't come up: {0}")]
    Cluster(String),
    /// A load ended with an error.
    #[error("`bench {what}` failed: {why}")]
    Load {
        /// Its arguments.
        what: String,
        /// The last of what it said.
        why: String,
    },
    /// A load took too long.
    #[error("`bench {0}` was still running after {PATIENCE:?}")]
    Endless(String),
}

/// The programs that are measured and measure.
#[derive(Clone, Debug)]
pub struct Programs {
    /// The binary under test.
    pub whalesong: PathBuf,
    /// The load generator.
    pub bench: PathBuf,
    /// Where clusters have their data.
    pub directory: PathBuf,
    /// Leave the data there.
    pub keep: bool,
}

impl Programs {
    /// Runs a load, with `more` arguments, on a cluster of its own. Its line comes back; of several, a map by what each is a load of.
    ///
    /// # Errors
    /// [`RunError`], with the cluster gone all the same.
    pub async fn run(&self, load: &Load, more: &[&str]) -> Result<Value, RunError> {
        let Cluster::Up(args) = load.cluster else {
            let path = self.whalesong.to_string_lossy();
            let own: &[&str] = if load.cluster == Cluster::Own { &["--whalesong", &path] } else { &[] };
            return self.bench(&[load.args, more, own].concat()).await;
        };
        let software = Software::Whalesong { program: self.whalesong.clone(), args: args.iter().map(ToString::to_string).collect() };
        let server = Server::start(software, &self.directory).map_err(|source| RunError::Start { program: self.whalesong.clone(), source })?;
        self.run_on(server, load, more).await
    }

    /// Runs a load that is on a cluster on one of Kubernetes, whose programs are in a directory.
    ///
    /// # Errors
    /// [`RunError`], with the cluster gone all the same.
    pub async fn run_kubernetes(&self, programs: &Path, load: &Load, more: &[&str]) -> Result<Value, RunError> {
        let server = Kubernetes::new(programs).and_then(|kubernetes| Server::start(Software::Kubernetes(kubernetes), &self.directory));
        self.run_on(server.map_err(|source| RunError::Start { program: programs.to_owned(), source })?, load, more).await
    }

    async fn run_on(&self, mut server: Server, load: &Load, more: &[&str]) -> Result<Value, RunError> {
        if self.keep {
            server.keep();
        }
        let kubeconfig = server.kubeconfig();
        let at = ["--kubeconfig", &kubeconfig.to_string_lossy()];
        let ready = [&["ready"], &at[..]].concat();
        let trouble = tokio::select! {
            ready = self.bench(&ready) => ready.err().map(|error| error.to_string()),
            () = server.ended() => Some("it ended".to_owned()),
        };
        if let Some(trouble) = trouble {
            return Err(RunError::Cluster(format!("{trouble}; it said: {}", last_lines(&server.log()))));
        }
        server.complete().map_err(|error| RunError::Cluster(error.to_string()))?;
        for before in load.before {
            self.bench(&[before, &at[..]].concat()).await?;
        }
        let pids = server.pids().iter().map(u32::to_string).collect::<Vec<_>>().join(",");
        self.bench(&[load.args, more, &at, &["--pids", &pids]].concat()).await
    }

    async fn bench(&self, args: &[&str]) -> Result<Value, RunError> {
        let what = args.join(" ");
        let start = |source| RunError::Start { program: self.bench.clone(), source };
        let child = Command::new(&self.bench).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true).spawn();
        let ended = tokio::time::timeout(PATIENCE, child.map_err(start)?.wait_with_output()).await;
        let output = ended.map_err(|_| RunError::Endless(what.clone()))?.map_err(start)?;
        if !output.status.success() {
            return Err(RunError::Load { what, why: last_lines(&String::from_utf8_lossy(&output.stderr)) });
        }
        lines(&String::from_utf8_lossy(&output.stdout)).ok_or_else(|| RunError::Load { what, why: "it printed no figures".to_owned() })
    }
}

/// What a load printed: its line, or its lines by what each is a load of.
fn lines(text: &str) -> Option<Value> {
    let lines: Vec<Value> = text.lines().filter_map(|l| serde_json::from_str(l).ok()).collect();
    let named = |line: Value| line["load"].as_str().map(str::to_owned).map(|name| (name, line));
    match <[Value; 1]>::try_from(lines) {
        Ok([one]) if one["load"].is_null() => Some(one),
        Ok([one]) => Some(Value::Object(named(one).into_iter().collect())),
        Err(many) if many.is_empty() => None,
        Err(many) => Some(Value::Object(many.into_iter().filter_map(named).collect())),
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|l| !l.trim().is_empty()).collect();
    lines.get(lines.len().saturating_sub(3)..).unwrap_or_default().join(" | ")
}

/// How many requests failed, over all phases of a line.
pub fn failed(line: &Value) -> u64 {
    match line {
        Value::Object(parts) => parts.iter().map(|(name, part)| if name == "errors" { part.as_u64().unwrap_or_default() } else { failed(part) }).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn one_line_is_itself_and_many_go_by_name() {
        assert_eq!(lines("{\"a\":1}\n"), Some(json!({"a": 1})));
        assert_eq!(lines("{\"load\":\"x\",\"n\":1}\n{\"load\":\"y\"}\n"), Some(json!({"x": {"load": "x", "n": 1}, "y": {"load": "y"}})));
        assert_eq!(lines("no json"), None);
    }

    #[test]
    fn failures_of_all_phases_count() {
        assert_eq!(failed(&json!({"create": {"errors": 2, "latency": {"n": 7}}, "errors": 1})), 3);
        assert_eq!(failed(&json!({"n": 1})), 0);
    }

    #[test]
    fn the_last_words_are_kept() {
        assert_eq!(last_lines("a\n\nb\nc\nd\n"), "b | c | d");
        assert_eq!(last_lines(""), "");
    }
}
