//! The control plane in several processes: of those that may act one at a time, one does, and another follows it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, eventually};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);
/// As long as a lease lives without its holder, and a little.
const SUCCESSION: Duration = Duration::from_secs(8);
const LEADERS: [(&str, &str); 2] = [("scheduler", "kube-scheduler"), ("controllers", "kube-controller-manager")];

/// Manifest of `replicas` pods that need no node to be counted.
fn deployment(name: &str, replicas: u32) -> String {
    format!(
        "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: {name}}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: {name}}}}}\n  \
         template:\n    metadata: {{labels: {{app: {name}}}}}\n    spec: {{terminationGracePeriodSeconds: 0, containers: [{{name: c, image: none}}]}}\n"
    )
}

struct Pair {
    cluster: Cluster,
    data: [PathBuf; 2],
}

impl Pair {
    /// Two schedulers and two processes of controllers, over simulated nodes.
    fn start() -> Self {
        let mut cluster = Cluster::start_hollow(3);
        let data = [cluster.data(), cluster.machines[0].disk().join("second")];
        cluster.machines[0].sh(&format!("mkdir -p {0}/pki; cp {1}/pki/ca.crt {0}/pki/", data[1].display(), data[0].display()));
        for (role, lease) in LEADERS {
            eventually("the first one leads", MINUTE, || holder(&cluster, lease));
            cluster.role(role, &data[1]);
        }
        Self { cluster, data }
    }

    /// Which of the two leads.
    fn leader(&self, role: &str, lease: &str) -> Result<usize, String> {
        let holder = holder(&self.cluster, lease)?;
        let id = |data: &Path| std::fs::read_to_string(data.join(role).join("id")).unwrap_or_default();
        self.data.iter().position(|data| !id(data).is_empty() && holder.ends_with(&id(data))).ok_or(holder)
    }

    fn signal(&self, role: &str, which: usize, signal: &str) {
        let lock = self.data[which].join(role).join("lock");
        self.cluster.machines[0].sh(&format!("kill -{signal} $(cat {})", lock.display()));
    }

    fn succeeded(&self, role: &str, lease: &str, by: usize, within: Duration) -> Duration {
        let began = Instant::now();
        eventually(&format!("{lease} has another holder"), within, || match self.leader(role, lease)? {
            leader if leader == by => Ok(began.elapsed()),
            leader => Err(format!("{leader} leads")),
        })
    }

    fn runs(&self, name: &str, replicas: u32) {
        self.cluster.k(&["rollout", "status", &format!("deployment/{name}"), "--timeout=60s"]);
        let pods = self.cluster.get(&["pods", "-l", &format!("app={name}")])["items"].as_array().unwrap().len();
        assert_eq!(pods, replicas as usize, "{name}");
    }
}

fn holder(cluster: &Cluster, lease: &str) -> Result<String, String> {
    let lease = cluster.http("GET", &format!("/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/{lease}"), &[], None);
    lease.body["spec"]["holderIdentity"].as_str().filter(|h| !h.is_empty()).map(str::to_owned).ok_or(lease.text)
}

#[test]
fn another_takes_over_when_the_holder_is_killed_stopped_or_frozen() {
    let mut pair = Pair::start();
    pair.cluster.apply(&deployment("first", 2));
    pair.runs("first", 2);

    // killed: after the lease's time
    for (role, lease) in LEADERS {
        assert_eq!(pair.leader(role, lease), Ok(0));
        pair.signal(role, 0, "KILL");
    }
    for (role, lease) in LEADERS {
        println!("{role} killed: succeeded after {:?}", pair.succeeded(role, lease, 1, SUCCESSION));
    }
    pair.cluster.apply(&deployment("second", 3));
    pair.runs("second", 3);

    // stopped: at once
    for (role, lease) in LEADERS {
        let data = pair.data[0].clone();
        pair.cluster.role(role, &data);
        eventually("the first one stands by", MINUTE, || {
            let status = pair.cluster.status();
            let stands_by = |line: &str| line.contains(lease) && line.contains("stands by");
            if status.lines().any(stands_by) { Ok(()) } else { Err(status) }
        });
        pair.signal(role, 1, "TERM");
        let took = pair.succeeded(role, lease, 0, SUCCESSION);
        println!("{role} stopped: succeeded after {took:?}");
        assert!(took < Duration::from_secs(2), "{took:?}");
    }
    pair.cluster.k(&["scale", "deployment", "second", "--replicas=1"]);
    pair.runs("second", 1);

    // frozen past its time, and thawed: it must not act any more
    for (role, lease) in LEADERS {
        let data = pair.data[1].clone();
        pair.cluster.role(role, &data);
        pair.signal(role, 0, "STOP");
        println!("{role} frozen: succeeded after {:?}", pair.succeeded(role, lease, 1, MINUTE));
    }
    pair.cluster.apply(&deployment("third", 4));
    pair.runs("third", 4);
    for (role, _) in LEADERS {
        pair.signal(role, 0, "CONT");
    }
    eventually("the thawed ones notice", MINUTE, || {
        let log = pair.cluster.log();
        let noticed = log.matches("deposed; what was under way is dropped").count();
        if noticed >= 2 { Ok(()) } else { Err(log) }
    });
    pair.cluster.k(&["scale", "deployment", "third", "--replicas=6"]);
    pair.runs("third", 6);
    for (role, lease) in LEADERS {
        assert_eq!(pair.leader(role, lease), Ok(1), "{lease}");
    }
}
