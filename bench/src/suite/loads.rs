//! The table of loads: everything that the suite runs, prints, draws and compares comes from here. A new load is a subcommand and a row.
use super::figure::Figure;

/// What a load runs against.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// Nothing: it measures in its own process.
    Nothing,
    /// `whalesong up` with these arguments, fresh for each run.
    Up(&'static [&'static str]),
    /// What it starts itself: it is told `--whalesong PATH`.
    Own,
}

/// One load.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// What it is called by on the command line and in records.
    pub name: &'static str,
    /// What it is, for people.
    pub title: &'static str,
    /// What it runs against.
    pub cluster: Cluster,
    /// Subcommands run before it, with their arguments; not measured.
    pub before: &'static [&'static [&'static str]],
    /// Its subcommand and arguments.
    pub args: &'static [&'static str],
    /// Arguments that make it short: targets don't apply then.
    pub quick: &'static [&'static str],
    /// Arguments with which `bench check` runs it; `None`: it doesn't.
    pub check: Option<&'static [&'static str]>,
    /// What is read from its line.
    pub figures: &'static [Figure],
}

const NO_NODE: Cluster = Cluster::Up(&["--no-node"]);

/// All loads, in the order in which they run.
pub const LOADS: &[Load] = &[
    Load {
        name: "pods-1000",
        title: "1,000 pods by 10 Deployments, 100 nodes",
        cluster: NO_NODE,
        before: &[&["nodes", "--count", "100"]],
        args: &["pods", "--pods", "1000", "--deployments", "10"],
        quick: &["--pods", "100"],
        check: Some(&[]),
        figures: &[
            Figure::more("to Running", "/pods_per_s", "pods/s").against(265.0, 2_500.0),
            Figure::less("server CPU a pod", "/cpu_ms_per_pod", "ms").against(7.2, 0.7),
            Figure::less("resident at the end, all server processes", "/server_rss_mib", "MiB").against(714.0, 100.0),
            Figure::less("added to Running p99", "/added_to_running/p99_ms", "ms").loose(),
        ],
    },
    Load {
        name: "pods-5000",
        title: "5,000 pods by 20 Deployments, 500 nodes",
        cluster: NO_NODE,
        before: &[&["nodes", "--count", "500"]],
        args: &["pods", "--pods", "5000", "--deployments", "20"],
        quick: &["--pods", "200"],
        check: None,
        figures: &[
            Figure::more("to Running", "/pods_per_s", "pods/s").against(174.0, 2_500.0),
            Figure::less("added to Running p99", "/added_to_running/p99_ms", "ms").against(21_500.0, 2_000.0),
            Figure::less("server CPU a pod", "/cpu_ms_per_pod", "ms").against(11.0, 0.7),
            Figure::less("resident at the end, all server processes", "/server_rss_mib", "MiB").against(2_185.0, 250.0),
        ],
    },
    Load {
        name: "rollout-1000",
        title: "rolling update of 1,000 pods of one Deployment, 100 nodes",
        cluster: NO_NODE,
        before: &[&["nodes", "--count", "100"]],
        args: &["rollout", "--pods", "1000"],
        quick: &["--pods", "100"],
        check: Some(&[]),
        figures: &[Figure::more("pods replaced", "/pods_per_s", "pods/s"), Figure::less("server CPU a pod", "/cpu_ms_per_pod", "ms")],
    },
    Load {
        name: "writes-1",
        title: "ConfigMaps, one request at a time",
        cluster: NO_NODE,
        before: &[],
        args: &["writes", "--concurrency", "1", "--seconds", "5"],
        quick: &["--seconds", "1"],
        check: Some(&["--seconds", "2"]),
        figures: &[
            Figure::less("creates p50", "/create/latency/p50_ms", "ms").against(1.1, 0.8),
            Figure::less("creates p99", "/create/latency/p99_ms", "ms").against(3.7, 2.0).loose(),
            Figure::less("reads by name p50", "/get/latency/p50_ms", "ms"),
            Figure::less("merge patches p50", "/update/latency/p50_ms", "ms"),
            Figure::less("lists of 100 p50", "/list100/latency/p50_ms", "ms"),
        ],
    },
    Load {
        name: "writes-16",
        title: "ConfigMaps, 16 requests at a time",
        cluster: NO_NODE,
        before: &[],
        args: &["writes", "--concurrency", "16", "--seconds", "5"],
        quick: &["--seconds", "1"],
        check: None,
        figures: &[
            Figure::more("creates", "/create/per_s", "/s").against(2_027.0, 5_000.0),
            Figure::less("creates p50", "/create/latency/p50_ms", "ms").against(6.5, 2.8),
            Figure::less("creates p99", "/create/latency/p99_ms", "ms").against(41.0, 9.0).loose(),
        ],
    },
    Load {
        name: "writes-256",
        title: "ConfigMaps, 256 requests at a time",
        cluster: NO_NODE,
        before: &[],
        args: &["writes", "--concurrency", "256", "--seconds", "5"],
        quick: &["--seconds", "1"],
        check: Some(&["--seconds", "2"]),
        figures: &[
            Figure::more("creates", "/create/per_s", "/s").against(3_157.0, 12_000.0),
            Figure::less("creates p50", "/create/latency/p50_ms", "ms").against(71.0, 18.0),
            Figure::less("creates p99", "/create/latency/p99_ms", "ms").against(222.0, 40.0).loose(),
            Figure::more("merge patches", "/update/per_s", "/s").against(2_638.0, 12_000.0),
            Figure::more("reads by name", "/get/per_s", "/s").against(7_318.0, 30_000.0),
            Figure::more("lists of 100", "/list100/per_s", "/s").against(878.0, 6_000.0),
        ],
    },
    Load {
        name: "http2-256",
        title: "ConfigMaps, 256 requests at a time on one HTTP/2 connection",
        cluster: NO_NODE,
        before: &[],
        args: &["writes", "--concurrency", "256", "--seconds", "5", "--http2"],
        quick: &["--seconds", "1"],
        check: None,
        figures: &[
            Figure::more("creates", "/create/per_s", "/s").against(3_157.0, 12_000.0),
            Figure::less("creates p50", "/create/latency/p50_ms", "ms").against(71.0, 18.0),
            Figure::more("merge patches", "/update/per_s", "/s").against(2_638.0, 12_000.0),
            Figure::more("reads by name", "/get/per_s", "/s").against(7_318.0, 30_000.0),
            Figure::more("lists of 100", "/list100/per_s", "/s").against(878.0, 6_000.0),
        ],
    },
    Load {
        name: "watch-100",
        title: "watch, write to delivery, 100 watchers (HTTP/2, as Go's clients do)",
        cluster: NO_NODE,
        before: &[],
        args: &["watch", "--watchers", "100", "--writes", "500", "--http2"],
        quick: &["--writes", "50"],
        check: Some(&["--writes", "200"]),
        figures: &[Figure::less("p50", "/latency/p50_ms", "ms").against(2.4, 1.0), Figure::less("p99", "/latency/p99_ms", "ms").against(6.3, 2.5).loose()],
    },
    Load {
        name: "watch-1000",
        title: "watch, write to delivery, 1,000 watchers (HTTP/2, 100 a connection)",
        cluster: NO_NODE,
        before: &[],
        args: &["watch", "--watchers", "1000", "--writes", "500", "--http2"],
        quick: &["--writes", "20"],
        check: None,
        figures: &[Figure::less("p50", "/latency/p50_ms", "ms").against(22.0, 10.0), Figure::less("p99", "/latency/p99_ms", "ms").against(41.0, 18.0).loose()],
    },
    Load {
        name: "scheduler",
        title: "scheduler alone, 5,000 nodes, 10,000 pods",
        cluster: Cluster::Nothing,
        before: &[],
        args: &["scheduler", "--nodes", "5000", "--pods", "10000"],
        quick: &["--nodes", "500", "--pods", "1000"],
        check: Some(&["--nodes", "1000", "--pods", "5000"]),
        figures: &[
            Figure::more("plain pods", "/plain/pods_per_s", "pods/s").against(810.0, 20_000.0),
            Figure::more("pods of workloads, spread by default", "/workload (spread by default)/pods_per_s", "pods/s"),
            Figure::more("required spread over zones", "/required spread over zones/pods_per_s", "pods/s").against(460.0, 8_000.0),
            Figure::more("required spread over nodes", "/required spread over nodes/pods_per_s", "pods/s").target(8_000.0),
            Figure::more("preferred spread over zones", "/preferred spread over zones/pods_per_s", "pods/s"),
            Figure::more("anti-affinity by node", "/anti-affinity by node/pods_per_s", "pods/s"),
            Figure::more("a mix of all", "/mix/pods_per_s", "pods/s"),
        ],
    },
    Load {
        name: "controllers",
        title: "controllers alone, 1,000 Deployments of 3 pods",
        cluster: Cluster::Nothing,
        before: &[],
        args: &["controllers", "--deployments", "1000", "--replicas", "3"],
        quick: &["--deployments", "50"],
        check: Some(&["--deployments", "300"]),
        figures: &[
            Figure::more("plans, when they are made", "/made/plans_per_s", "/s"),
            Figure::less("a write, when they are made", "/made/us_per_write", "µs"),
            Figure::less("a write, when they are rolled over", "/rolled over/us_per_write", "µs"),
            Figure::less("a write, when they are deleted", "/deleted/us_per_write", "µs"),
        ],
    },
    Load {
        name: "rest-10000",
        title: "10,000 nodes and 300,000 pods at rest",
        cluster: Cluster::Own,
        before: &[],
        args: &["rest", "--nodes", "10000", "--pods", "300000"],
        quick: &["--nodes", "200", "--pods", "2000", "--seconds", "10", "--settle", "2"],
        check: None,
        figures: &[
            Figure::less("resident, all server processes", "/server_rss_mib", "MiB").target(4_096.0),
            Figure::less("resident, a pod", "/server_kib_per_pod", "KiB"),
            Figure::less("server CPU at rest", "/server_cores", "cores"),
            Figure::less("server CPU a pod", "/cpu_ms_per_pod", "ms"),
            Figure::less("API p99", "/latency/p99_ms", "ms").target(100.0),
            Figure::less("nodes that are not Ready", "/unready", ""),
        ],
    },
    Load {
        name: "failure-1000",
        title: "1,000 of 10,000 nodes fall silent, 50,000 pods",
        cluster: Cluster::Own,
        before: &[],
        args: &["failure", "--nodes", "10000", "--pods", "50000", "--silent", "1000"],
        quick: &["--nodes", "100", "--pods", "1000", "--silent", "10"],
        check: None,
        figures: &[
            Figure::less("every pod rebound after the toleration's end", "/rebound_after_toleration_s", "s").target(15.0),
            Figure::less("others disturbed", "/disturbed", ""),
            Figure::less("API p99", "/latency/p99_ms", "ms").target(100.0),
        ],
    },
    Load {
        name: "restart-300000",
        title: "the server killed and started again on 300,000 objects",
        cluster: Cluster::Own,
        before: &[],
        args: &["restart", "--objects", "300000"],
        quick: &["--objects", "5000"],
        check: None,
        figures: &[Figure::less("to serving", "/serves_s", "s").target(5.0), Figure::less("resident afterwards", "/rss_mib_after", "MiB")],
    },
    Load {
        name: "definitions-500",
        title: "500 definitions of custom resources with 100,000 objects",
        cluster: Cluster::Own,
        before: &[],
        args: &["definitions", "--definitions", "500", "--objects", "100000"],
        quick: &["--definitions", "20", "--objects", "1000"],
        check: None,
        figures: &[
            Figure::less("definitions made and served", "/defined_s", "s"),
            Figure::less("objects made", "/made_s", "s"),
            Figure::less("to serving after a restart", "/serves_s", "s").target(10.0),
            Figure::less("memory an object, times its JSON", "/memory_times_json", "").target(3.0),
            Figure::less("OpenAPI v2 from the cache", "/openapi_v2_ms", "ms").target(50.0),
            Figure::less("creates of another kind, p50 before", "/others_before/p50_ms", "ms"),
            Figure::less("creates of another kind, p50 after", "/others_after/p50_ms", "ms"),
        ],
    },
    Load {
        name: "growth-10000",
        title: "5,000 pods on 10,000 nodes and on 100",
        cluster: Cluster::Own,
        before: &[],
        args: &["growth", "--few", "100", "--many", "10000", "--pods", "5000"],
        quick: &["--few", "10", "--many", "100", "--pods", "500"],
        check: None,
        figures: &[
            Figure::less("server CPU a pod, times that of 100 nodes", "/times", "").target(1.5),
            Figure::less("server CPU a pod, 10,000 nodes", "/many/cpu_ms_per_pod", "ms"),
        ],
    },
];

/// The loads that are asked for by name; all without a name.
///
/// # Errors
/// The name that no load has.
pub fn chosen(names: &[String]) -> Result<Vec<&'static Load>, String> {
    let known = |name: &String| LOADS.iter().any(|l| l.name == name);
    match names.iter().find(|name| !known(name)) {
        Some(unknown) => Err(unknown.clone()),
        None => Ok(LOADS.iter().filter(|l| names.is_empty() || names.iter().any(|n| n == l.name)).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Cli;
    use clap::Parser;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_a_command_that_is_there() {
        for load in LOADS {
            let own: &[&str] = if load.cluster == Cluster::Own { &["--whalesong", "w"] } else { &[] };
            let variants = [&[], load.quick, load.check.unwrap_or_default()];
            for more in variants {
                let all: Vec<&str> = ["bench"].into_iter().chain(load.args.iter().chain(more).chain(own).copied()).collect();
                assert!(Cli::try_parse_from(&all).is_ok(), "{all:?}");
            }
            for before in load.before {
                assert!(Cli::try_parse_from(["bench"].into_iter().chain(before.iter().copied())).is_ok(), "{before:?}");
            }
        }
    }

    #[test]
    fn names_are_unique() {
        let loads: BTreeSet<&str> = LOADS.iter().map(|l| l.name).collect();
        assert_eq!(loads.len(), LOADS.len());
        for load in LOADS {
            let figures: BTreeSet<&str> = load.figures.iter().map(|f| f.name).collect();
            assert_eq!(figures.len(), load.figures.len(), "{}", load.name);
        }
    }

    #[test]
    fn loads_are_chosen_by_name() {
        assert_eq!(chosen(&[]).map(|l| l.len()), Ok(LOADS.len()));
        assert_eq!(chosen(&["scheduler".to_owned()]).map(|l| l.len()), Ok(1));
        assert_eq!(chosen(&["nothing".to_owned()]).err(), Some("nothing".to_owned()));
    }
}
