//! Containers that are only simulated: they start after a while, run until they are stopped or as long as their command says, and cost nothing.
mod ending;

use crate::runtime::EventKind;
use crate::runtime::{
    Answer, Container, ContainerSpec, ContainerUse, Event, ExecSpec, Exit, Image, Limits, PullSecret, RunState, Runtime, RuntimeError, Sandbox, SandboxSpec,
    Session, Version,
};
use ending::{Ending, ending};
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use jiff::Timestamp;
use model::quantity::Quantity;
use model::{Object, Stored};
use state_client::usage::ContainerSample;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// The annotation that says what each container of a simulated pod uses, as `cpu=250m,memory=64Mi`; with `.` and a container's name behind it, what that
/// one does.
pub const USED: &str = "whalesong.io/simulated-usage";
/// What a container uses of which nothing is said: a thousandth of a processor, and 8 MiB.
const IDLE: (i128, u64) = (1, 8 << 20);

/// What a simulated pod consists of.
#[derive(Default)]
struct Parts {
    sandbox: Option<Sandbox>,
    containers: Vec<Container>,
    /// How those end that end by themselves, by their ids.
    endings: HashMap<String, Ending>,
    /// What each run has used of processors, nanoseconds, and up to when that is counted.
    used: HashMap<String, (u64, Timestamp)>,
}

impl Parts {
    /// What its containers use now, where `pod` says how much.
    fn usage(&mut self, pod: &Object, now: Timestamp) -> Vec<ContainerUse> {
        let mut all = Vec::new();
        for container in &self.containers {
            let RunState::Running(started) = container.state else { continue };
            let (milli, memory) = wanted(pod, &container.name);
            let (nanos, until) = self.used.entry(container.id.clone()).or_insert((0, started));
            let elapsed = now.duration_since(*until).as_nanos().max(0);
            *nanos = nanos.saturating_add(u64::try_from(elapsed * milli / 1000).unwrap_or(u64::MAX));
            *until = now;
            let (name, run) = (container.name.clone(), container.id.clone());
            all.push(ContainerUse { pod: container.pod.uid.clone(), sample: ContainerSample { name, run, started, cpu_nanos: *nanos, memory } });
        }
        all
    }
}

/// Thousandths of a processor and bytes of memory that a pod wants one of its containers to use.
fn wanted(pod: &Object, container: &str) -> (i128, u64) {
    let own = format!("{USED}.{container}");
    let Some(text) = pod.annotation(&own).or_else(|| pod.annotation(USED)) else { return IDLE };
    let amount = |name: &str| text.split(',').find_map(|part| part.trim().strip_prefix(name)?.strip_prefix('=')?.parse::<Quantity>().ok());
    let memory = amount("memory").and_then(|memory| u64::try_from(memory.value()).ok());
    (amount("cpu").map_or(IDLE.0, |cpu| cpu.milli().max(0)), memory.unwrap_or(IDLE.1))
}

/// So many ends of containers wait to be heard of.
const ENDS: usize = 1024;

/// A container of one of the nodes has ended by itself.
pub type Ended = (usize, Event);

/// By the pods' UIDs: one simulation serves all nodes of a process, and no call may take longer because there are many.
type Simulated = HashMap<String, Parts>;

/// A container's id begins with the pod's UID, which is where it is found.
fn owner(id: &str) -> &str {
    id.rsplit_once('.').map_or(id, |(uid, _)| uid)
}

/// What all nodes share.
struct Shared {
    state: Mutex<Simulated>,
    ids: AtomicU64,
    addresses: AtomicU32,
    /// How long a container takes to start.
    start_delay: Duration,
    ended: mpsc::Sender<Ended>,
}

/// The simulation, as one of any number of nodes has it.
#[derive(Clone)]
pub struct Hollow {
    shared: Arc<Shared>,
    node: usize,
}

impl Default for Hollow {
    fn default() -> Self {
        Self::starting_after(Duration::ZERO).0
    }
}

impl Hollow {
    /// One whose containers take so long to start, and where is told which of them ended by themselves.
    pub fn starting_after(start_delay: Duration) -> (Self, mpsc::Receiver<Ended>) {
        let (ended, ends) = mpsc::channel(ENDS);
        let shared = Shared { state: Mutex::default(), ids: AtomicU64::default(), addresses: AtomicU32::default(), start_delay, ended };
        (Self { shared: Arc::new(shared), node: 0 }, ends)
    }

    /// The same for another node.
    pub fn of_node(&self, node: usize) -> Self {
        Self { node, ..self.clone() }
    }

    fn state(&self) -> MutexGuard<'_, Simulated> {
        self.shared.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn change<T>(&self, id: &str, change: impl FnOnce(&mut Container) -> T) -> Result<T, RuntimeError> {
        let mut state = self.state();
        let container = state.get_mut(owner(id)).and_then(|parts| parts.containers.iter_mut().find(|c| c.id == id));
        container.map(change).ok_or_else(|| RuntimeError::NotFound(format!("no container {id}")))
    }

    /// Has a container that runs end; returns whether it ran.
    fn end(&self, id: &str, code: i32) -> bool {
        let ended = self.change(id, |c| {
            let RunState::Running(started) = c.state else { return false };
            c.state = RunState::Exited(Exit { code, started: Some(started), finished: Timestamp::now(), oom: false, error: String::new() });
            true
        });
        ended.unwrap_or(false)
    }

    /// Has a container end by itself, if its command says so.
    fn end_later(&self, id: &str) {
        let Some(Ending { after, code }) = self.state().get(owner(id)).and_then(|parts| parts.endings.get(id).copied()) else { return };
        let (this, id) = (self.clone(), id.to_owned());
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            let event = Event { uid: owner(&id).to_owned(), id: id.clone(), kind: EventKind::Ended };
            if this.end(&id, code) && this.shared.ended.send((this.node, event)).await.is_err() {
                tracing::trace!(id, "nobody hears that a container has ended");
            }
        });
    }
}

fn answer<'a, T: Send + 'a>(value: Result<T, RuntimeError>) -> Answer<'a, T> {
    futures::future::ready(value).boxed()
}

fn impossible<'a, T: Send + 'a>() -> Answer<'a, T> {
    answer(Err(RuntimeError::Refused("this container is simulated".to_owned())))
}

fn image(name: &str) -> Image {
    Image { id: name.to_owned(), reference: name.to_owned(), names: vec![name.to_owned()], ..Image::default() }
}

impl Runtime for Hollow {
    fn uses_files(&self) -> bool {
        false
    }
    fn version(&self) -> Answer<'_, Version> {
        answer(Ok(Version { name: "hollow".into(), version: env!("CARGO_PKG_VERSION").into() }))
    }

    fn create_sandbox<'a>(&'a self, spec: &'a SandboxSpec) -> Answer<'a, Sandbox> {
        let n = self.shared.addresses.fetch_add(1, Ordering::Relaxed) & 0x003f_ffff;
        // 100.64.0.0/10 is nobody's: such pods aren't reached.
        let ip = (!spec.host_network).then(|| IpAddr::from(Ipv4Addr::from(0x6440_0000 | n)));
        let sandbox = Sandbox { id: format!("{n:x}"), ip, ..Sandbox::default() };
        self.state().entry(spec.pod.uid.clone()).or_default().sandbox = Some(sandbox.clone());
        answer(Ok(sandbox))
    }

    fn sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, Option<Sandbox>> {
        answer(Ok(self.state().get(uid).and_then(|parts| parts.sandbox.clone())))
    }

    fn remove_sandbox<'a>(&'a self, uid: &'a str) -> Answer<'a, ()> {
        let mut state = self.state();
        if let Some(parts) = state.get_mut(uid) {
            parts.sandbox = None;
            if parts.containers.is_empty() {
                state.remove(uid);
            }
        }
        answer(Ok(()))
    }

    fn create<'a>(&'a self, spec: &'a ContainerSpec) -> Answer<'a, String> {
        let id = format!("{}.{:x}", spec.pod.uid, self.shared.ids.fetch_add(1, Ordering::Relaxed));
        let container = Container {
            id: id.clone(),
            pod: spec.pod.clone(),
            name: spec.name.clone(),
            attempt: spec.attempt,
            hash: spec.hash.clone(),
            sandbox: spec.sandbox.clone(),
            image: spec.image_name.clone(),
            image_id: spec.image_reference.clone(),
            state: RunState::Created,
        };
        let command: Vec<String> = spec.entrypoint.iter().chain(&spec.args).flatten().cloned().collect();
        let mut state = self.state();
        let parts = state.entry(spec.pod.uid.clone()).or_default();
        parts.containers.push(container);
        parts.endings.extend(ending(&command).map(|ending| (id.clone(), ending)));
        answer(Ok(id))
    }

    fn start<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        async move {
            if !self.shared.start_delay.is_zero() {
                tokio::time::sleep(self.shared.start_delay).await;
            }
            self.change(id, |c| c.state = RunState::Running(Timestamp::now()))?;
            self.end_later(id);
            Ok(())
        }
        .boxed()
    }

    fn limit<'a>(&'a self, id: &'a str, _: &'a Limits) -> Answer<'a, ()> {
        answer(self.change(id, |_| ()))
    }

    fn memory<'a>(&'a self, _: &'a str) -> Answer<'a, Option<i64>> {
        answer(Ok(None))
    }

    fn stop<'a>(&'a self, id: &'a str, _: Option<Duration>) -> Answer<'a, ()> {
        self.end(id, 0);
        answer(Ok(()))
    }

    fn remove<'a>(&'a self, id: &'a str) -> Answer<'a, ()> {
        let mut state = self.state();
        if let Some(parts) = state.get_mut(owner(id)) {
            parts.containers.retain(|c| c.id != id);
            parts.endings.remove(id);
            parts.used.remove(id);
            if parts.containers.is_empty() && parts.sandbox.is_none() {
                state.remove(owner(id));
            }
        }
        answer(Ok(()))
    }

    fn reopen_log<'a>(&'a self, _: &'a str) -> Answer<'a, ()> {
        impossible()
    }

    fn process_namespace<'a>(&'a self, _: &'a str) -> Answer<'a, Option<OwnedFd>> {
        answer(Ok(None))
    }

    fn inspect<'a>(&'a self, id: &'a str) -> Answer<'a, Container> {
        answer(self.change(id, |c| c.clone()))
    }

    fn list<'a>(&'a self, uid: Option<&'a str>) -> Answer<'a, Vec<Container>> {
        let state = self.state();
        answer(Ok(match uid {
            Some(uid) => state.get(uid).map(|parts| parts.containers.clone()).unwrap_or_default(),
            None => state.values().flat_map(|parts| parts.containers.iter().cloned()).collect(),
        }))
    }

    fn usage<'a>(&'a self, pods: &'a [Arc<Stored>]) -> Answer<'a, Vec<ContainerUse>> {
        let (mut state, now) = (self.state(), Timestamp::now());
        let of = |pod: &Arc<Stored>| pod.read(|pod| state.get_mut(pod.uid()).map(|parts| parts.usage(pod, now)));
        answer(Ok(pods.iter().filter_map(of).flatten().collect()))
    }

    fn image<'a>(&'a self, name: &'a str) -> Answer<'a, Option<Image>> {
        answer(Ok(Some(image(name))))
    }

    fn images(&self) -> Answer<'_, Vec<Image>> {
        answer(Ok(Vec::new()))
    }

    fn pull<'a>(&'a self, name: &'a str, _: Option<&'a PullSecret>) -> Answer<'a, Image> {
        answer(Ok(image(name)))
    }

    fn exec<'a>(&'a self, _: &'a str, _: &'a ExecSpec) -> Answer<'a, Session> {
        impossible()
    }

    fn exec_exit<'a>(&'a self, _: &'a str) -> Answer<'a, i32> {
        impossible()
    }

    fn attach<'a>(&'a self, _: &'a str, _: &'a ExecSpec) -> Answer<'a, Session> {
        impossible()
    }

    fn resize<'a>(&'a self, _: &'a str, _: bool, _: u16, _: u16) -> Answer<'a, ()> {
        impossible()
    }

    fn events(&self) -> BoxStream<'static, Result<Event, RuntimeError>> {
        futures::stream::pending().boxed()
    }

    fn connect<'a>(&'a self, _: &'a str, _: Option<IpAddr>, _: u16) -> Answer<'a, tokio::net::TcpStream> {
        impossible()
    }
}
