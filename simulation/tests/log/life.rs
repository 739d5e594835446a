//! One life: processes with a store each, their clients, and what goes wrong, until all is well again and the history is checked.
use crate::history::{History, Incarnation, RESOURCES, Resource};
use crate::network::{Connection, Mood, Shared};
use crate::stream::Stream;
use arc_swap::ArcSwap;
use bus::actor::System;
use model::kind::{Bucket, Kind};
use model::{Key, Kinds, Object};
use serde_json::json;
use state::store::server::{OpenStream, OpenStreams};
use state::store::{Feed, Group, Store, StoreError, StoreOp, StoreOptions, WatchFrom, Write};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

/// How long things go wrong.
const TROUBLE: Duration = Duration::from_secs(25);
/// How long markers stay, and after a cut of half of it everything is loaded anew.
const MARKERS: Duration = Duration::from_secs(16);
/// How long an Event stays.
const EVENTS: Duration = Duration::from_secs(6);
/// No write takes longer, whatever happens.
const LONGEST: Duration = Duration::from_secs(90);
/// A life that isn't over by then hangs.
const HUNG: Duration = Duration::from_secs(1_800);

/// What a life was.
#[derive(Debug)]
pub struct Outcome {
    pub problems: Vec<String>,
    pub trace: Vec<String>,
    pub seen: u64,
}

/// Lives one life, in virtual time.
pub fn run(seed: u64) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let life = Life::new(seed);
        let history = life.history.clone();
        if timeout(HUNG, life.live()).await.is_err() {
            history.lock().problems.push("the life hangs".to_owned());
        }
        let mut record = history.lock();
        Outcome { problems: std::mem::take(&mut record.problems), trace: std::mem::take(&mut record.trace), seen: record.seen }
    })
}

struct Life {
    world: Shared,
    history: History,
    options: StoreOptions,
    /// What runs; `None` where a process is down.
    processes: Vec<Option<Process>>,
    number: u64,
    /// Says when clients stop.
    stop: watch::Sender<bool>,
}

/// A process that runs: its clients, and what ends it.
struct Process {
    system: System,
    clients: JoinSet<()>,
    store: Store,
}

fn kinds() -> Arc<ArcSwap<Kinds>> {
    let builtin = model::kinds::builtin();
    let events = Kind { bucket: Bucket::Ephemeral { ttl: Some(EVENTS) }, ..Kind::clone(builtin.resource("", "events").unwrap()) };
    Arc::new(ArcSwap::from_pointee(builtin.with(events)))
}

impl Life {
    fn new(seed: u64) -> Self {
        let mut events = Stream::default();
        events.marker_ttl = Some(MARKERS);
        let processes = 1 + (seed % 3) as usize;
        let world = Shared::new(seed, processes, vec![Stream::default(), events, Stream::default()]);
        let mut options = StoreOptions::new("test", kinds());
        options.marker_ttl = MARKERS;
        options.replicas = if world.chance(500) { 1 } else { 3 };
        options.open_timeout = HUNG;
        let history = History::new(world.clone());
        Self { world, history, options, processes: (0..processes).map(|_| None).collect(), number: 0, stop: watch::Sender::new(false) }
    }

    async fn live(mut self) {
        tokio::spawn(expire(self.world.clone()));
        for process in 0..self.processes.len() {
            self.start(process).await;
        }
        let end = Instant::now() + TROUBLE;
        while Instant::now() < end {
            sleep(Duration::from_millis(self.world.between(20, 1_200))).await;
            self.trouble().await;
        }
        self.heal().await;
        self.stop.send_replace(true);
        for process in self.processes.iter_mut().flatten() {
            while let Some(ended) = process.clients.join_next().await {
                if let Err(error) = ended {
                    self.history.lock().problems.push(format!("a client failed: {error}"));
                }
            }
        }
        self.check_caches().await;
        self.history.settle();
    }

    async fn start(&mut self, process: usize) {
        self.number += 1;
        let by = Incarnation { process, number: self.number };
        let system = System::new();
        let open = |stream| OpenStream { server: Arc::new(Connection::new(&self.world, process, stream)), batches: stream == 0 };
        let streams = OpenStreams { objects: open(0), events: open(1), leases: open(2) };
        let store = Store::start(streams, self.options.clone(), &system).await.unwrap();
        let mut clients = JoinSet::new();
        let client =
            |number| Client { by, number, store: store.clone(), world: self.world.clone(), history: self.history.clone(), stop: self.stop.subscribe() };
        for number in 0..2 {
            clients.spawn(client(number).write());
            clients.spawn(client(number).read());
            clients.spawn(client(number).watch());
        }
        for resource in RESOURCES {
            clients.spawn(client(0).mirror(resource));
        }
        self.processes[process] = Some(Process { system, clients, store });
    }

    /// The next thing that goes wrong, or is well again.
    async fn trouble(&mut self) {
        let process = self.world.between(0, self.processes.len() as u64 - 1) as usize;
        let now = Instant::now();
        match self.world.between(0, 9) {
            0..=2 => {
                let longest = if self.world.chance(100) { 20_000 } else { 3_000 };
                let cut = Duration::from_millis(self.world.between(50, longest));
                self.world.lock().cut[process] = now + cut;
            }
            3 | 4 => {
                let silent = Duration::from_millis(self.world.between(10, 2_500));
                let restarts = self.world.chance(500);
                let mut world = self.world.lock();
                world.silent_until = now + silent;
                if restarts { world.restart() } else { world.term += 1 }
            }
            5 => self.crash(process).await,
            6..=8 => {
                let bad = |most| self.world.between(0, most) as u32;
                let mood = Mood { lost: bad(60), doubled: bad(60), stalled: bad(10), busy: bad(100), torn: bad(50) };
                self.world.lock().mood = mood;
            }
            _ => self.world.lock().mood = Mood::default(),
        }
        self.world.wake();
    }

    /// A process ends at any moment, and starts again.
    async fn crash(&mut self, process: usize) {
        if let Some(mut running) = self.processes[process].take() {
            running.clients.shutdown().await;
            running.system.stopping().cancel();
        }
        sleep(Duration::from_millis(self.world.between(0, 800))).await;
        self.start(process).await;
    }

    async fn heal(&mut self) {
        let mut world = self.world.lock();
        let now = Instant::now();
        world.mood = Mood::default();
        world.silent_until = now;
        world.cut.iter_mut().for_each(|cut| *cut = now);
    }

    /// Waits until a cache is as new as the stream; what has had its time may go while an answer is on its way.
    async fn current(&self, store: &Store, resource: Resource) -> Result<(), StoreError> {
        while store.revision(resource.group, resource.name) != self.world.lock().streams[resource.stream].end() {
            store.barrier(resource.group, resource.name).await?;
        }
        Ok(())
    }

    async fn check_caches(&self) {
        for process in self.processes.iter().flatten() {
            for resource in RESOURCES {
                if let Err(error) = self.current(&process.store, resource).await {
                    self.history.lock().problems.push(format!("all is well, and there is no consistent read: {error}"));
                    continue;
                }
                let held = process.store.list(resource.group, resource.name, "").items;
                let held: BTreeMap<Key, u64> = held.iter().map(|object| (object.key.clone(), object.revision)).collect();
                self.history.holds("a cache", resource, &held);
            }
        }
    }
}

/// Lets go what has had its time.
async fn expire(world: Shared) {
    loop {
        sleep(Duration::from_millis(250)).await;
        let now = Instant::now();
        let marked = world.lock().streams.iter_mut().fold(false, |marked, stream| stream.expire(now) | marked);
        if marked {
            world.wake();
        }
    }
}

/// Somebody who uses a process's store.
struct Client {
    by: Incarnation,
    number: u64,
    store: Store,
    world: Shared,
    history: History,
    stop: watch::Receiver<bool>,
}

fn object(key: &Key, value: usize) -> Object {
    let metadata = json!({"name": &*key.name, "namespace": &*key.namespace});
    Object::from_value(json!({"apiVersion": "v1", "kind": "Thing", "metadata": metadata, "data": {"value": value}})).unwrap()
}

impl Client {
    fn stopped(&self) -> bool {
        *self.stop.borrow()
    }

    async fn pause(&self, most: u64) {
        sleep(Duration::from_millis(self.world.between(0, most))).await;
    }

    fn any_resource(&self) -> Resource {
        RESOURCES[[0, 0, 0, 1, 2][self.world.between(0, 4) as usize]]
    }

    fn any_key(&self) -> (Resource, Key) {
        let resource = self.any_resource();
        let namespace = resource.namespaces[self.world.between(0, resource.namespaces.len() as u64 - 1) as usize];
        let name = self.world.between(1, resource.objects);
        (resource, Key::new(resource.group, resource.name, namespace, format!("n{name}")))
    }

    /// Writes in bursts, mostly on top of what the cache shows.
    async fn write(self) {
        while !self.stopped() {
            let burst = self.world.between(1, 8);
            futures::future::join_all((0..burst).map(|_| self.write_some())).await;
            self.pause(400).await;
        }
    }

    /// One write, or several that belong together: what a client wants of them, with their numbers.
    fn proposed(&self) -> (Vec<usize>, Group) {
        let mut keys = vec![self.any_key()];
        if keys[0].0.stream == 0 && self.world.chance(300) {
            keys.extend((0..self.world.between(1, 3)).map(|_| self.any_key()).filter(|(resource, _)| resource.stream == 0));
            let mut seen = std::collections::HashSet::new();
            keys.retain(|(_, key)| seen.insert(key.clone()));
        }
        let mut numbers: Vec<usize> = Vec::new();
        let group = keys.into_iter().map(|(_, key)| self.proposed_of(key, &mut numbers)).collect();
        (numbers, group)
    }

    fn proposed_of(&self, key: Key, numbers: &mut Vec<usize>) -> Write {
        let shown = self.store.get(&key).map_or(0, |stored| stored.revision);
        let expect = match self.world.between(0, 9) {
            0 => 0,
            1 => {
                let had = self.history.had(&key);
                had.get(self.world.between(0, had.len() as u64) as usize).copied().unwrap_or(shown)
            }
            _ => shown,
        };
        let delete = expect != 0 && self.world.chance(250);
        let number = self.history.begin(self.by, &key, expect, delete, numbers.first().copied());
        numbers.push(number);
        let op = if delete { StoreOp::Delete } else { StoreOp::Put }(object(&key, number));
        Write { key, expect, op }
    }

    async fn write_some(&self) {
        let (numbers, group) = self.proposed();
        let started = Instant::now();
        let commit = self.store.commit_group(group);
        let results = match self.world.chance(30) {
            // who asked goes away
            true => timeout(Duration::from_millis(self.world.between(0, 20)), commit).await.ok(),
            false => Some(commit.await),
        };
        for (number, result) in numbers.iter().zip(results.iter().flatten()) {
            self.history.ended(*number, result);
        }
        if started.elapsed() > LONGEST {
            self.history.lock().problems.push(format!("writes {numbers:?} took {:?}", started.elapsed()));
        }
    }

    /// Reads consistently.
    async fn read(self) {
        while !self.stopped() {
            self.pause(300 + self.number).await;
            let (resource, key) = self.any_key();
            let told = self.history.told(&key);
            if self.store.barrier(resource.group, resource.name).await.is_ok() {
                self.history.read(self.by, resource, &key, told, self.store.get(&key).as_ref());
            }
        }
    }

    /// Watches from anywhere for a while, again and again.
    async fn watch(self) {
        while !self.stopped() {
            self.pause(100).await;
            let resource = self.any_resource();
            let namespace = if self.world.chance(500) { "" } else { "a" };
            let revision = self.store.revision(resource.group, resource.name);
            let from = match self.world.between(0, 2) {
                0 => WatchFrom::Now,
                1 => WatchFrom::Initial,
                _ => WatchFrom::After(self.world.between(revision.saturating_sub(40), revision + 2)),
            };
            let Ok(mut feed) = self.store.watch(resource.group, resource.name, namespace, from) else { continue };
            let for_a_while = Duration::from_millis(self.world.between(100, 6_000));
            // it ends by its time, or because it can't go on
            _ = timeout(for_a_while, self.follow(&mut feed, resource, namespace)).await;
        }
    }

    async fn follow(&self, feed: &mut Feed, resource: Resource, namespace: &str) {
        loop {
            let from = feed.revision();
            let Ok(changes) = feed.next().await else { return };
            self.check(from, resource, namespace, &changes);
        }
    }

    fn check(&self, mut from: u64, resource: Resource, namespace: &str, changes: &[Arc<state::store::RecordedChange>]) {
        for change in changes {
            self.history.watched(self.by, resource, namespace, from, change);
            from = change.revision;
        }
    }

    /// Keeps a copy by a watch, as an informer does; at the end the copy is what there is.
    async fn mirror(self, resource: Resource) {
        loop {
            let Ok(mut feed) = self.store.watch(resource.group, resource.name, "", WatchFrom::Initial) else { return };
            let mut copy: BTreeMap<Key, u64> = feed.take_initial().iter().map(|object| (object.key.clone(), object.revision)).collect();
            loop {
                let from = feed.revision();
                let next = timeout(Duration::from_secs(1), feed.next()).await;
                match next {
                    Ok(Ok(changes)) => {
                        self.check(from, resource, "", &changes);
                        for change in changes {
                            if change.deleted {
                                copy.remove(&change.new.key)
                            } else {
                                copy.insert(change.new.key.clone(), change.revision)
                            };
                        }
                    }
                    Ok(Err(_)) => break,
                    Err(_) if self.stopped() && self.is_last(&mut feed, resource) => return self.history.holds("a watcher", resource, &copy),
                    Err(_) => {}
                }
            }
        }
    }

    /// Whether the feed has come to the stream's end.
    fn is_last(&self, feed: &mut Feed, resource: Resource) -> bool {
        feed.progress() == self.world.lock().streams[resource.stream].end()
    }
}
