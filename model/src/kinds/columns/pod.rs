//! Pods: how ready, in which state, how often restarted.
use super::{AGE, NAME, NONE, list, or_none, text, wide};
use crate::kind::Column;
use crate::object::Object;
use crate::time;
use jiff::Timestamp;
use serde_json::Value;

pub(in crate::kinds) fn pod() -> Vec<Column> {
    vec![
        NAME,
        text("Ready", "Containers that are ready, of all", |o, _| {
            let s = Summary::of(o);
            format!("{}/{}", s.ready, s.total).into()
        }),
        text("Status", "What the pod's containers are doing", |o, _| Summary::of(o).reason.into()),
        text("Restarts", "How often containers were restarted, and when last", |o, now| Summary::of(o).restarts(now).into()),
        AGE,
        wide(text("IP", "The pod's address", |o, _| or_none(address(o)))),
        wide(text("Node", "The node that runs it", |o, _| or_none(o.str_at(&["spec", "nodeName"]).to_owned()))),
        wide(text("Nominated Node", "The node where room is being made for it", |o, _| or_none(o.str_at(&["status", "nominatedNodeName"]).to_owned()))),
        wide(text("Readiness Gates", "Conditions from outside that are true, of those awaited", |o, _| gates(o).into())),
    ]
}

fn address(pod: &Object) -> String {
    let first = pod.list_at(&["status", "podIPs"]).first().and_then(|ip| ip.get("ip")).and_then(Value::as_str);
    first.unwrap_or_else(|| pod.str_at(&["status", "podIP"])).to_owned()
}

fn gates(pod: &Object) -> String {
    let gates = pod.list_at(&["spec", "readinessGates"]);
    if gates.is_empty() {
        return NONE.to_owned();
    }
    let met = gates.iter().filter(|g| g.get("conditionType").and_then(Value::as_str).is_some_and(|t| condition(pod, t) == Some("True"))).count();
    format!("{met}/{}", gates.len())
}

fn condition<'a>(pod: &'a Object, kind: &str) -> Option<&'a str> {
    let found = pod.list_at(&["status", "conditions"]).iter().find(|c| c.get("type").and_then(Value::as_str) == Some(kind));
    found.and_then(|c| c.get("status")).and_then(Value::as_str)
}

/// Restarts so far, and when the last one was.
#[derive(Clone, Copy, Default)]
struct Restarts {
    count: i64,
    last: Option<Timestamp>,
}

impl Restarts {
    fn add(&mut self, status: &Value) {
        self.count += status.get("restartCount").and_then(Value::as_i64).unwrap_or_default();
        let finished = status.pointer("/lastState/terminated/finishedAt").and_then(Value::as_str).and_then(time::parse);
        self.last = self.last.max(finished);
    }
}

/// What the columns of a pod say.
struct Summary {
    ready: usize,
    total: usize,
    reason: String,
    restarts: Restarts,
}

impl Summary {
    fn of(pod: &Object) -> Self {
        let phase = pod.str_at(&["status", "phase"]);
        let status_reason = pod.str_at(&["status", "reason"]);
        let sidecars = pod.list_at(&["spec", "initContainers"]).iter().filter(|c| is_sidecar(c)).count();
        let mut summary = Self {
            ready: 0,
            total: pod.list_at(&["spec", "containers"]).len() + sidecars,
            reason: if status_reason.is_empty() { phase } else { status_reason }.to_owned(),
            restarts: Restarts::default(),
        };
        if pod.list_at(&["status", "conditions"]).iter().any(|c| c.get("reason").and_then(Value::as_str) == Some("SchedulingGated")) {
            summary.reason = "SchedulingGated".to_owned();
        }
        let (initializing, sidecar_restarts) = summary.init_containers(pod);
        if !initializing || condition(pod, "Initialized") == Some("True") {
            summary.restarts = sidecar_restarts;
            summary.containers(pod);
        }
        if pod.deletion_timestamp().is_some() {
            if status_reason == "NodeLost" {
                summary.reason = "Unknown".to_owned();
            } else if !matches!(phase, "Succeeded" | "Failed") {
                summary.reason = "Terminating".to_owned();
            }
        }
        summary
    }

    /// Whether an init container isn't done, and the restarts of those that run beside the others.
    fn init_containers(&mut self, pod: &Object) -> (bool, Restarts) {
        let specs = pod.list_at(&["spec", "initContainers"]);
        let mut beside = Restarts::default();
        for (i, status) in pod.list_at(&["status", "initContainerStatuses"]).iter().enumerate() {
            let sidecar = specs.iter().any(|c| c.get("name") == status.get("name") && is_sidecar(c));
            self.restarts.add(status);
            if sidecar {
                beside.add(status);
            }
            let terminated = status.pointer("/state/terminated");
            if terminated.is_some_and(|t| exit_code(t) == 0) {
                continue;
            }
            if sidecar && flag(status, "started") {
                self.ready += usize::from(flag(status, "ready"));
                continue;
            }
            let waiting = status.pointer("/state/waiting/reason").and_then(Value::as_str).unwrap_or_default();
            self.reason = match terminated {
                Some(t) => format!("Init:{}", ending(t)),
                None if !matches!(waiting, "" | "PodInitializing") => format!("Init:{waiting}"),
                None => format!("Init:{i}/{}", specs.len()),
            };
            return (true, beside);
        }
        (false, beside)
    }

    fn containers(&mut self, pod: &Object) {
        let mut running = false;
        for status in pod.list_at(&["status", "containerStatuses"]).iter().rev() {
            self.restarts.add(status);
            let waiting = status.pointer("/state/waiting/reason").and_then(Value::as_str).unwrap_or_default();
            if !waiting.is_empty() {
                self.reason = waiting.to_owned();
            } else if let Some(terminated) = status.pointer("/state/terminated") {
                self.reason = ending(terminated);
            } else if flag(status, "ready") && status.pointer("/state/running").is_some() {
                running = true;
                self.ready += 1;
            }
        }
        if self.reason == "Completed" && running {
            self.reason = if condition(pod, "Ready") == Some("True") { "Running" } else { "NotReady" }.to_owned();
        }
    }

    fn restarts(&self, now: Timestamp) -> String {
        match (self.restarts.count, self.restarts.last) {
            (count, Some(last)) if count != 0 => format!("{count} ({} ago)", time::human_duration(time::seconds_between(last, now))),
            (count, _) => count.to_string(),
        }
    }
}

fn is_sidecar(container: &Value) -> bool {
    container.get("restartPolicy").and_then(Value::as_str) == Some("Always")
}
fn flag(status: &Value, key: &str) -> bool {
    status.get(key).and_then(Value::as_bool).unwrap_or_default()
}
fn exit_code(terminated: &Value) -> i64 {
    terminated.get("exitCode").and_then(Value::as_i64).unwrap_or_default()
}
/// Why a container ended: its reason, else its signal, else its exit code.
fn ending(terminated: &Value) -> String {
    let signal = terminated.get("signal").and_then(Value::as_i64).unwrap_or_default();
    match terminated.get("reason").and_then(Value::as_str) {
        Some(reason) if !reason.is_empty() => reason.to_owned(),
        _ if signal != 0 => format!("Signal:{signal}"),
        _ => format!("ExitCode:{}", exit_code(terminated)),
    }
}

/// Names and images of a pod template's containers, as workloads print them.
pub(super) fn container_names(object: &Object, key: &str) -> String {
    names_in(object.at(&["spec", "template", "spec"]), key)
}

/// What this field of each of a pod's containers says.
pub(super) fn names_in(pod: Option<&Value>, key: &str) -> String {
    list(pod.unwrap_or(&Value::Null), "containers").iter().map(|c| super::at(c, key)).collect::<Vec<_>>().join(",")
}
