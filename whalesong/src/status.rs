//! `whalesong status`: what runs where. Every process answers `process.status` with what its actors say of themselves.
use crate::cli::StatusArgs;
use crate::failure::Failure;
use crate::join;
use bus::actor::ActorReport;
use bus::{Call, Role, To};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

/// Asks a process for its [`ProcessReport`].
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct StatusRequest {}

impl Call for StatusRequest {
    type Reply = ProcessReport;
    const SERVICE: &'static str = "process.status";
}

/// What a process says of itself.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ProcessReport {
    /// Its host's name.
    pub host: String,
    /// Its process number.
    pub pid: u32,
    /// Its version.
    pub version: String,
    /// What it plays: `state`, `gateway`, ….
    pub roles: Vec<String>,
    /// Its resident memory in KiB.
    pub resident_kib: u64,
    /// Up to which revision its cache follows the log; only where it plays `state`.
    pub revision: Option<u64>,
    /// For which roles it stands that one process at a time plays.
    pub leases: Vec<Standing>,
    /// Its actors.
    pub actors: Vec<ActorReport>,
}

/// How a process stands for a role that one process at a time plays.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Standing {
    /// The lease.
    pub lease: String,
    /// As whom.
    pub identity: String,
    /// Whether it acts; otherwise it stands by.
    pub leads: bool,
}

/// This process's resident memory in KiB.
pub fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:"));
    line.and_then(|l| l.split_whitespace().next()).and_then(|n| n.parse().ok()).unwrap_or_default()
}

/// The reports as text for a person.
pub fn render(reports: &[ProcessReport]) -> String {
    let mut out = String::new();
    for r in reports {
        let lag = r.revision.map_or_else(String::new, |revision| format!(", log read up to {revision}"));
        // writing to a String can't fail
        _ = writeln!(out, "{} on {} (process {}, version {}, {} MiB{lag})", r.roles.join(", "), r.host, r.pid, r.version, r.resident_kib / 1024);
        for l in &r.leases {
            _ = writeln!(out, "  {} {} as {}", if l.leads { "leads" } else { "stands by for" }, l.lease, l.identity);
        }
        _ = writeln!(out, "  {:<48} {:<12} {:>8} {:>10}", "ACTOR", "STATE", "RESTARTS", "MAILBOX");
        for a in &r.actors {
            for l in &r.leases {
                _ = writeln!(out, "  {} {} as {}", if l.leads { "leads" } else { "stands by for" }, l.lease, l.identity);
            }
            _ = writeln!(out, "  {:<48} {:<12} {:>8} {:>10}", a.path, a.state.to_string(), a.restarts, format!("{}/{}", a.mailbox, a.capacity));
        }
    }
    out
}

/// Asks every process of the cluster and renders what they say.
///
/// # Errors
/// When NATS can't be reached, or nobody answers.
pub async fn status(args: StatusArgs) -> Result<String, Failure> {
    let bus = join::as_role(&args.role, Role::Admin, "admin").await?;
    let found = bus.discover(Duration::from_millis(500)).await;
    let mut reports = Vec::new();
    let instances: BTreeSet<&str> = found.iter().filter(|s| s.service == StatusRequest::SERVICE).map(|s| s.instance.as_str()).collect();
    for instance in instances {
        reports
            .push(bus.call(&To::instance(instance), StatusRequest {}, Duration::from_secs(2)).await.map_err(|e| Failure::new(format!("{instance}: {e}"), ""))?);
    }
    if reports.is_empty() {
        return Err(Failure::new("no process of this cluster answers", "start one with `whalesong up`"));
    }
    if args.json {
        return serde_json::to_string_pretty(&reports).map(|s| s + "\n").map_err(|e| Failure::new(e.to_string(), ""));
    }
    Ok(render(&reports))
}
