//! `whalesong status` for people: a table a subject.
use crate::get;
use crate::report::{ClusterReport, NatsReport, ProcessReport};
use std::collections::BTreeMap;
use std::fmt::Display;

/// A heading and its table; nothing where there are no rows.
fn section(title: &str, head: &[&str], rows: Vec<Vec<String>>) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let all: Vec<Vec<String>> = std::iter::once(head.iter().map(ToString::to_string).collect()).chain(rows).collect();
    let table: String = get::align(&all).lines().map(|line| format!("  {line}\n")).collect();
    format!("{title}\n{table}\n")
}

fn row<const N: usize>(cells: [&dyn Display; N]) -> Vec<String> {
    cells.iter().map(ToString::to_string).collect()
}

fn known(value: Option<impl Display>) -> String {
    value.map_or_else(|| "?".to_owned(), |v| v.to_string())
}

fn size(bytes: u64) -> String {
    match bytes {
        0..10_240 => format!("{bytes} B"),
        10_240..10_485_760 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / (1 << 20)),
    }
}

fn place(process: &ProcessReport) -> String {
    format!("{}/{}", process.host, process.pid)
}

/// The whole.
pub fn cluster(report: &ClusterReport) -> String {
    let mut out = [servers(report), processes(report), streams(report), leases(report), actors(report), controllers(report), nodes(report)].concat();
    for silent in &report.silent {
        out.push_str(&format!("No answer: {silent}\n"));
    }
    out.trim_end().to_owned() + "\n"
}

fn servers(report: &ClusterReport) -> String {
    let mut seen: BTreeMap<&str, (&NatsReport, usize)> = BTreeMap::new();
    for nats in report.processes.iter().filter_map(|p| p.nats.as_ref()) {
        seen.entry(&nats.server).or_insert((nats, 0)).1 += 1;
    }
    let told = |name: &str| report.processes.iter().flat_map(|p| &p.servers).find(|s| s.name == name);
    let rows = seen.into_values().map(|(nats, processes)| {
        let more = told(&nats.server);
        let jetstream = if nats.jetstream { "yes" } else { "no" };
        let (connections, memory, uptime) = (known(more.map(|s| s.connections)), known(more.map(|s| size(s.memory))), known(more.map(|s| &s.uptime)));
        row([&nats.server, &nats.version, &nats.address, &jetstream, &processes, &connections, &memory, &uptime])
    });
    section("NATS SERVERS", &["NAME", "VERSION", "ADDRESS", "JETSTREAM", "PROCESSES", "CONNECTIONS", "MEMORY", "UPTIME"], rows.collect())
}

fn processes(report: &ClusterReport) -> String {
    let rows = report.processes.iter().map(|p| {
        let nats = p.nats.as_ref().map_or("-".to_owned(), |n| if n.connected { n.server.clone() } else { format!("{} (lost)", n.server) });
        row([&place(p), &p.roles.join(","), &p.version, &size(p.resident_kib * 1024), &nats])
    });
    section("PROCESSES", &["HOST/PROCESS", "ROLES", "VERSION", "MEMORY", "NATS"], rows.collect())
}

fn streams(report: &ClusterReport) -> String {
    let rows = report.processes.iter().flat_map(|p| {
        p.streams.iter().map(|s| {
            let (size, replicas, lag) = (known(s.bytes.map(size)), known(s.replicas), known(s.lag));
            row([&s.stream, &place(p), &s.objects, &size, &replicas, &s.revision, &lag, &s.queued, &s.stored, &s.restarts])
        })
    });
    let head = ["STREAM", "COPY OF", "OBJECTS", "SIZE", "REPLICAS", "REVISION", "LAG", "QUEUED", "WRITTEN", "RESTARTS"];
    section("STREAMS", &head, rows.collect())
}

fn leases(report: &ClusterReport) -> String {
    let mut rows: Vec<Vec<String>> = report
        .processes
        .iter()
        .flat_map(|p| p.leases.iter().map(|l| row([&l.lease, &if l.leads { "leads" } else { "stands by" }, &place(p), &l.identity])))
        .collect();
    rows.sort();
    section("ONE AT A TIME", &["LEASE", "PROCESS", "HOST/PROCESS", "IDENTITY"], rows)
}

fn actors(report: &ClusterReport) -> String {
    let rows = report.processes.iter().flat_map(|p| {
        p.actors.iter().map(|a| {
            let mailbox = if a.capacity == 0 { "-".to_owned() } else { format!("{}/{}", a.mailbox, a.capacity) };
            row([&place(p), &a.path, &a.state, &a.restarts, &mailbox, &a.last_failure])
        })
    });
    section("ACTORS", &["HOST/PROCESS", "ACTOR", "STATE", "RESTARTS", "MAILBOX", "LAST FAILURE"], rows.collect())
}

fn controllers(report: &ClusterReport) -> String {
    let rows = report.processes.iter().flat_map(|p| &p.controllers).map(|c| {
        let synced = if c.synced { "yes" } else { "no" };
        row([&c.name, &synced, &c.waiting, &c.busy, &c.plans, &c.writes, &c.conflicts, &c.errors])
    });
    section("CONTROLLERS", &["CONTROLLER", "SYNCED", "WAITING", "BUSY", "PLANS", "WRITES", "CONFLICTS", "ERRORS"], rows.collect())
}

fn nodes(report: &ClusterReport) -> String {
    let kinds = model::kinds::builtin();
    let Some(kind) = kinds.resource("", "nodes").filter(|_| !report.nodes.is_empty()) else { return String::new() };
    let table: String = get::table(kind, &report.nodes, false, false).lines().map(|line| format!("  {line}\n")).collect();
    format!("NODES\n{table}\n")
}
