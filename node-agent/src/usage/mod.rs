//! Tells the cluster every few seconds what this node and its pods use.
mod machine;

use crate::agent::Pods;
use crate::executor::Executor;
use crate::node::machine::Machine;
use crate::runtime::ContainerUse;
use jiff::Timestamp;
use machine::NodeCounters;
use model::Stored;
use state_client::usage::{CONTAINERS_MAX, NodeUsage, PERIOD, PodSample};
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_util::sync::CancellationToken;

/// Tells it until `cancel`. What can't be told is let go: in a few seconds there is something newer.
pub(crate) async fn report(executor: Arc<Executor>, pods: Arc<Pods>, machine: Machine, cancel: CancellationToken) {
    let period = Duration::try_from(PERIOD).unwrap_or_default();
    let mut node = NodeCounters::new(machine.measured);
    loop {
        let measured = cancel.run_until_cancelled(tokio::time::timeout(period, measure(&executor, &pods, &mut node))).await;
        match measured {
            None => return,
            Some(Ok(Ok(usage))) => {
                if let Err(error) = executor.client.bus().tell(usage).await {
                    tracing::debug!(node = executor.node.name, %error, "what this node uses isn't told");
                }
            }
            Some(Ok(Err(error))) => tracing::debug!(node = executor.node.name, %error, "what containers use isn't known"),
            Some(Err(_)) => tracing::debug!(node = executor.node.name, "measuring what containers use takes too long"),
        }
        if cancel.run_until_cancelled(tokio::time::sleep(period)).await.is_none() {
            return;
        }
    }
}

async fn measure(executor: &Executor, pods: &Pods, node: &mut NodeCounters) -> Result<NodeUsage, crate::runtime::RuntimeError> {
    let pods: Vec<Arc<Stored>> = pods.entries().iter().map(|entry| entry.wanted.object()).collect();
    let used = executor.runtime.usage(&pods).await?;
    let (at, (cpu_nanos, memory)) = (Timestamp::now(), node.read(&used));
    Ok(NodeUsage { at, cpu_nanos, memory, pods: by_pod(&pods, used) })
}

/// What the containers of these pods use, a pod at a time.
fn by_pod(pods: &[Arc<Stored>], used: Vec<ContainerUse>) -> Vec<PodSample> {
    let mut containers: HashMap<String, Vec<_>> = HashMap::new();
    for ContainerUse { pod, sample } in used.into_iter().take(CONTAINERS_MAX) {
        containers.entry(pod).or_default().push(sample);
    }
    let samples = pods.iter().filter_map(|pod| {
        let uid = pod.uid();
        let mut containers = containers.remove(&uid)?;
        containers.sort_by(|a, b| a.name.cmp(&b.name));
        Some(PodSample { namespace: pod.key.namespace.to_string(), name: pod.key.name.to_string(), uid, containers })
    });
    samples.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::hollow::{Hollow, USED};
    use crate::runtime::{ContainerSpec, PodRef, Runtime};
    use model::{Key, Object};
    use serde_json::json;

    fn pod(uid: &str, used: &str) -> Arc<Stored> {
        let metadata = json!({"name": uid, "namespace": "a", "uid": uid, "annotations": {USED: used}});
        let object = Object::from_value(json!({"metadata": metadata})).unwrap();
        Arc::new(Stored::from_object(Key::new("", "pods", "a", uid), object).unwrap())
    }

    #[tokio::test(start_paused = true)]
    async fn simulated_pods_use_what_they_say() {
        let hollow = Hollow::default();
        for (uid, name) in [("u", "main"), ("u", "side"), ("v", "main")] {
            let spec = ContainerSpec { pod: PodRef { uid: uid.to_owned(), ..PodRef::default() }, name: name.to_owned(), ..ContainerSpec::default() };
            let id = hollow.create(&spec).await.unwrap();
            hollow.start(&id).await.unwrap();
        }
        let pods = [pod("u", "cpu=250m,memory=64Mi")];
        let mut node = NodeCounters::new(false);
        let first = by_pod(&pods, hollow.usage(&pods).await.unwrap());
        let of = |samples: &[PodSample]| samples[0].containers.iter().map(|c| (c.name.clone(), c.memory)).collect::<Vec<_>>();
        assert_eq!((first.len(), of(&first)), (1, vec![("main".to_owned(), 64 << 20), ("side".to_owned(), 64 << 20)]));
        std::thread::sleep(Duration::from_millis(20));
        let used = hollow.usage(&pods).await.unwrap();
        let grown = used[0].sample.cpu_nanos - first[0].containers.iter().find(|c| c.run == used[0].sample.run).unwrap().cpu_nanos;
        assert!((5_000_000..1_000_000_000).contains(&grown), "{grown}");
        let (cpu, memory) = node.read(&used);
        assert!(cpu >= grown && memory > 128 << 20);
    }
}
