//! The root: follows the node's pods, gives each its actor, and keeps the node registered.
mod kept;

pub use kept::has_pods;
use kept::{address, is_over, kept, matters};

use crate::actor::{Message, PodActor, Wanted};
use crate::admission::Allocations;
use crate::executor::{Executor, Lookups, NodeInfo, Rotation};
use crate::net::{Ipv4Net, NetError, NetOptions, Network};
use crate::node::machine::Machine;
use crate::node::{NodeHeartbeat, Registration};
use crate::objects::References;
use crate::recorder::Recorder;
use crate::reports::Reports;
use crate::runtime::podman::Podman;
use crate::runtime::podman::service::{self, ServiceError, Socket};
use crate::runtime::{Container, Runtime, RuntimeError};
use crate::sysctl::Allowlist;
use bus::Bus;
use bus::actor::{ActorRef, Options, System};
use futures::StreamExt;
use model::{ApiError, Stored};
use state_client::{Change, Client, Reflector, Request, Verb};
use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// How an agent is run.
#[derive(Clone, Debug)]
pub struct AgentOptions {
    /// The node's name.
    pub node_name: String,
    /// Which Podman.
    pub podman: Socket,
    /// Where the agent keeps what it must not forget.
    pub data_dir: PathBuf,
    /// The range of the pods' addresses.
    pub pod_cidr: Ipv4Net,
    /// The node's address; `None`: the one by which it reaches others.
    pub node_ip: Option<IpAddr>,
    /// Labels of the node beside the standard ones.
    pub labels: BTreeMap<String, String>,
    /// Name of the pods' bridge; differs for agents that share a network namespace.
    pub bridge: String,
    /// The cluster's DNS server, where there is one.
    pub cluster_dns: Option<IpAddr>,
    /// The cluster's DNS domain.
    pub cluster_domain: String,
    /// The most pods.
    pub max_pods: u32,
    /// How long containers' logs may become.
    pub logs: Rotation,
    /// Kernel settings that pods may have beside the safe ones, as `kernel.msg*` or `net.core.somaxconn`: the kubelet's `--allowed-unsafe-sysctls`.
    pub allowed_unsafe_sysctls: Vec<String>,
    /// Where the profiles are that pods name as `localhostProfile`.
    pub seccomp_profile_root: PathBuf,
}

impl Default for AgentOptions {
    fn default() -> Self {
        Self {
            node_name: "node".to_owned(),
            podman: Socket::Auto,
            data_dir: PathBuf::from("/var/lib/whalesong/node"),
            pod_cidr: Ipv4Net::new_assert(std::net::Ipv4Addr::new(10, 244, 0, 0), 24),
            node_ip: None,
            labels: BTreeMap::new(),
            bridge: "ws0".to_owned(),
            cluster_dns: None,
            cluster_domain: "cluster.local".to_owned(),
            max_pods: 110,
            logs: Rotation::default(),
            allowed_unsafe_sysctls: Vec::new(),
            seccomp_profile_root: PathBuf::from("/var/lib/kubelet/seccomp"),
        }
    }
}

/// Why an agent can't run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// No Podman.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// No network for pods.
    #[error("the pods' network cannot be made: {0}")]
    Network(#[from] NetError),
    /// Podman doesn't say what is there.
    #[error(transparent)]
    Runtime(#[from] RuntimeError),
    /// The bus refuses the node's services.
    #[error(transparent)]
    Bus(#[from] bus::BusError),
    /// A kernel setting that pods can't be allowed.
    #[error("--allowed-unsafe-sysctls: {0}")]
    Sysctl(#[from] crate::sysctl::PatternError),
    /// No address.
    #[error("this machine has no address that others could reach: give one with --node-ip")]
    NoAddress,
}

#[derive(Clone)]
struct Entry {
    actor: ActorRef<Box<Message>>,
    wanted: Arc<Wanted>,
}

/// The pods that this agent has, by UID.
#[derive(Default)]
pub struct Pods {
    entries: Mutex<HashMap<String, Entry>>,
}

impl Entry {
    fn tell(&self, message: Message) {
        self.wanted.tell(&self.actor, message);
    }
}

impl Pods {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn entry(&self, uid: &str) -> Option<Entry> {
        self.lock().get(uid).cloned()
    }

    fn entries(&self) -> Vec<Entry> {
        self.lock().values().cloned().collect()
    }

    /// A pod that this node has, as last seen, by namespace and name and (where not empty) UID.
    pub fn find(&self, namespace: &str, name: &str, uid: &str) -> Option<Arc<Stored>> {
        let entries = self.lock();
        let mut objects = entries.values().map(|e| e.wanted.object());
        objects.find(|o| &*o.key.namespace == namespace && &*o.key.name == name && (uid.is_empty() || o.uid() == uid))
    }
}

/// One node's agent.
pub(crate) struct Agent {
    pub(crate) executor: Arc<Executor>,
    pub(crate) pods: Arc<Pods>,
    system: System,
    /// Containers that an agent before left, of pods that aren't on this disk, by UID: whether the cluster knows those pods isn't known yet.
    strays: Mutex<HashMap<String, Vec<Container>>>,
}

/// Starts an agent: its parts run in `system` until that is shut down. Returns once it runs; the node registers in the background.
///
/// # Errors
/// [`AgentError`] with the remedy, when the machine lacks something.
pub async fn run(bus: Bus, system: &System, options: AgentOptions) -> Result<(), AgentError> {
    let pods_dir = options.data_dir.join("pods");
    let network = Network::open(NetOptions { bridge: options.bridge.clone(), pod_cidr: options.pod_cidr, pods: pods_dir.clone() }).await?;
    let socket = service::find(&options.podman, &options.data_dir).await?;
    let runtime: Arc<dyn Runtime> = Arc::new(Podman::new(&socket, network));
    let machine = Machine::here(&pods_dir);
    let sysctls = Allowlist::new(&machine.kernel, &options.allowed_unsafe_sysctls)?;
    let address = options.node_ip.or_else(|| address(&options.data_dir)).ok_or(AgentError::NoAddress)?;
    let client = Client::new(bus.clone());
    let references = References::new(client.clone(), options.data_dir.join("objects"));
    let (recorder, events) = Recorder::new(client.clone(), options.node_name.clone());
    tokio::spawn(events);
    let memory = crate::proxy::ServiceCache::open(&options.data_dir).await;
    let (services_in, services) = watch::channel(memory.services());
    let node = NodeInfo {
        name: options.node_name.clone(),
        addresses: vec![address.to_string()],
        cpu_milli: i64::from(machine.cpus) * 1000,
        memory: machine.memory,
        cluster_dns: options.cluster_dns.map(|ip| ip.to_string()),
        cluster_domain: options.cluster_domain.clone(),
        sysctls,
        seccomp: options.seccomp_profile_root.clone(),
    };
    let (reports, images, admission) = (Reports::default(), Lookups::default(), Allocations::default());
    let executor = Arc::new(Executor { runtime, client: client.clone(), references, reports, images, recorder, services, node, admission, pods: pods_dir });
    let agent = Agent::new(executor.clone(), system.clone());
    agent.adopt().await?;
    let (unserved, not_served) = watch::channel(Vec::new());
    let registration = Registration {
        pod_cidr: options.pod_cidr.to_string(),
        labels: options.labels.clone(),
        max_pods: options.max_pods,
        machine,
        unserved: Some(not_served),
    };
    agent.clone().begin(registration, Duration::ZERO);
    follow_references(agent.clone());
    follow_events(agent.clone(), options.podman.clone(), options.data_dir.clone());
    let proxy = Arc::new(crate::proxy::Proxy {
        client,
        node: options.node_name.clone(),
        services: services_in,
        memory: memory.into(),
        recorder: executor.recorder.clone(),
        unserved,
    });
    system.task("proxy", move |cancel| proxy.clone().follow(cancel));
    let own = executor.clone();
    system.task("own-node", move |cancel| crate::node::follow(own.clone(), cancel));
    let (written, rotation) = (executor.clone(), options.logs);
    system.task("logs", move |cancel| {
        let executor = written.clone();
        async move { crate::executor::rotate(&executor, rotation, cancel).await }
    });
    crate::stream::serve(&bus, system, executor, agent.pods.clone()).await?;
    Ok(())
}

impl Agent {
    pub(crate) fn new(executor: Arc<Executor>, system: System) -> Arc<Self> {
        Arc::new(Self { executor, pods: Arc::default(), system, strays: Mutex::default() })
    }

    /// Starts what every node has, simulated ones too, after a while: the heartbeat, and its pods; and the reports.
    pub(crate) fn begin(self: Arc<Self>, registration: Registration, after: Duration) {
        let node = self.executor.node.name.clone();
        crate::node::introduce(&self.executor, &registration);
        let executor = self.executor.clone();
        let system = self.system.clone();
        // from now, not from each of the tasks' restarts
        let begin = Instant::now() + after;
        system.task(&format!("node-{node}"), move |cancel| {
            let heartbeat = NodeHeartbeat::new(executor.clone(), registration.clone());
            not_before(begin, cancel, |cancel| async move { heartbeat.run(cancel).await })
        });
        let executor = self.executor.clone();
        system.task(&format!("reports-{node}"), move |cancel| {
            let executor = executor.clone();
            async move {
                executor.reports.run(&executor.client, cancel).await;
                Ok::<(), ApiError>(())
            }
        });
        system.task(&format!("pods-{node}"), move |cancel| {
            let agent = self.clone();
            not_before(begin, cancel, |cancel| agent.follow_pods(cancel))
        });
    }

    async fn follow_pods(self: Arc<Self>, cancel: CancellationToken) -> Result<(), ApiError> {
        let mut request = Request::new(Verb::Watch, "", "pods", "", "");
        request.options.field_selector = format!("spec.nodeName={}", self.executor.node.name);
        let mut reflector = Reflector::new(self.executor.client.clone(), request);
        loop {
            let changes = tokio::select! {
                changes = reflector.next() => changes,
                () = cancel.cancelled() => return Ok(()),
            };
            for change in changes {
                match change {
                    Change::Applied { old, new } => {
                        if let Some(old) = old.map(|old| old.uid()).filter(|old| *old != new.uid()) {
                            self.gone(&old);
                        }
                        self.applied(new);
                    }
                    Change::Deleted(last) => self.gone(&last.uid()),
                    Change::Synced => {
                        let present: HashSet<String> = reflector.objects().map(|o| o.uid()).collect();
                        let missing: Vec<String> = self.pods.lock().keys().filter(|uid| !present.contains(*uid)).cloned().collect();
                        for uid in missing {
                            self.gone(&uid);
                        }
                        self.end_strays();
                    }
                }
            }
        }
    }

    fn applied(&self, object: Arc<Stored>) {
        let uid = object.uid();
        match self.pods.entry(&uid) {
            Some(entry) => {
                let before = std::mem::replace(&mut *entry.wanted.object.lock().unwrap_or_else(PoisonError::into_inner), object.light());
                if self.executor.runtime.uses_files() && matters(before.object(), object.object()) {
                    entry.wanted.keep(&self.executor.dir(&uid));
                }
                entry.tell(Message::Changed);
            }
            None => {
                let left = self.strays().remove(&uid).is_some();
                self.start(uid, object, left);
            }
        }
    }

    fn gone(&self, uid: &str) {
        let Some(entry) = self.pods.entry(uid) else { return };
        entry.wanted.gone.store(true, Ordering::Relaxed);
        // who deletes a pod at once and binds another in its place finds that one admitted, as with the kubelet
        self.executor.admission.leave(uid);
        entry.tell(Message::Changed);
    }

    fn start(&self, uid: String, object: Arc<Stored>, known: bool) {
        let name = format!("pod-{}-{}-{}", object.key.namespace, object.key.name, uid);
        if known && !is_over(object.object()) {
            self.executor.admission.hold(&uid, &object);
        }
        let wanted = Arc::new(Wanted::new(uid.clone(), object.light(), known));
        let (executor, for_actor, pods) = (self.executor.clone(), wanted.clone(), Arc::downgrade(&self.pods));
        let actor = self.system.spawn(&name, Options { mailbox: 64, restarts: None, ..Options::default() }, move || {
            let (pods, uid, node) = (pods.clone(), for_actor.uid.clone(), executor.clone());
            let ended = move || {
                if let Some(pods) = pods.upgrade() {
                    pods.lock().remove(&uid);
                    node.admission.forget(&uid);
                }
            };
            PodActor::new(executor.clone(), for_actor.clone(), Box::new(ended))
        });
        self.pods.lock().insert(uid, Entry { actor, wanted });
    }

    fn strays(&self) -> MutexGuard<'_, HashMap<String, Vec<Container>>> {
        self.strays.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends what belongs to no pod of the cluster, with the grace that it was made with.
    fn end_strays(&self) {
        for (uid, containers) in std::mem::take(&mut *self.strays()) {
            let executor = self.executor.clone();
            tokio::spawn(async move {
                if let Err(error) = end_stray(&executor, &uid, &containers).await {
                    tracing::warn!(uid, %error, "containers of a pod that is gone could not be removed");
                }
            });
        }
    }

    /// Takes over what an agent before left: pods from disk, with their containers; takes note of containers that belong to none of these.
    async fn adopt(&self) -> Result<(), AgentError> {
        let kept = kept(&self.executor.pods);
        let uids: HashSet<String> = kept.iter().map(|o| o.object().uid().to_owned()).collect();
        for container in self.executor.runtime.list(None).await? {
            if !uids.contains(&container.pod.uid) {
                self.strays().entry(container.pod.uid.clone()).or_default().push(container);
            }
        }
        for object in kept {
            self.start(object.object().uid().to_owned(), object, true);
        }
        Ok(())
    }
}

/// Runs it once it is time, if it isn't cancelled before.
async fn not_before<R: Future<Output = Result<(), E>>, E>(
    begin: Instant,
    cancel: CancellationToken,
    run: impl FnOnce(CancellationToken) -> R,
) -> Result<(), E> {
    match cancel.run_until_cancelled(tokio::time::sleep_until(begin)).await {
        Some(()) => run(cancel).await,
        None => Ok(()),
    }
}

async fn end_stray(executor: &Executor, uid: &str, containers: &[Container]) -> Result<(), RuntimeError> {
    futures::future::try_join_all(containers.iter().map(|c| async move {
        tracing::info!(pod = c.pod.name, container = c.name, "a container of a pod that the cluster does not know is ended");
        executor.runtime.stop(&c.id, None).await?;
        executor.runtime.remove(&c.id).await
    }))
    .await?;
    executor.runtime.remove_sandbox(uid).await
}

fn follow_references(agent: Arc<Agent>) {
    tokio::spawn(async move {
        loop {
            let key = agent.executor.references.changed().await;
            for entry in agent.executor.references.pods(&key).iter().filter_map(|uid| agent.pods.entry(uid)) {
                entry.tell(Message::Refresh);
            }
        }
    });
}

/// As a safety net only: what the runtime tells by itself is what counts.
const RELIST: Duration = Duration::from_secs(300);

fn follow_events(agent: Arc<Agent>, podman: Socket, data: PathBuf) {
    let system = agent.system.clone();
    let first = Arc::new(AtomicBool::new(true));
    system.task(&format!("runtime-{}", agent.executor.node.name), move |cancel| {
        let (agent, podman, data, first) = (agent.clone(), podman.clone(), data.clone(), first.clone());
        async move {
            if !first.swap(false, Ordering::Relaxed) {
                service::find(&podman, &data).await?;
            }
            cancel.run_until_cancelled(listen(&agent)).await.unwrap_or(Ok(()))
        }
    });
}

async fn listen(agent: &Agent) -> Result<(), AgentError> {
    let mut events = agent.executor.runtime.events();
    let mut relist = tokio::time::interval(RELIST);
    // The first tick comes at once: what happened before the stream was open is seen by it.
    loop {
        tokio::select! {
            event = events.next() => match event {
                Some(Ok(event)) => {
                    if let Some(entry) = agent.pods.entry(&event.uid) {
                        entry.tell(Message::Event(event));
                    }
                }
                Some(Err(e)) => return Err(e.into()),
                None => return Err(RuntimeError::Unreachable("its event stream ended".to_owned()).into()),
            },
            _ = relist.tick() => {
                agent.pods.entries().iter().for_each(|entry| entry.tell(Message::Relist));
            }
        }
    }
}

#[cfg(test)]
mod tests;
