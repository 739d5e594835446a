//! Clients that write while things break: what they were told, and whether the cluster's state and its watch fit that.
//!
//! Two kinds of writes show what idempotent ones would hide. A creation by `generateName` that is applied twice leaves two objects. A counter that is
//! counted up by compare-and-swap shows a lost write (it falls) and a doubled one (it skips).
use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::{Api, ListParams, ObjectMeta, PostParams, WatchEvent, WatchParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Error};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::task::JoinHandle;

/// What a client knows of a write of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// A success: it must last.
    Acknowledged,
    /// A 4xx: it must not have happened.
    Refused,
    /// A 5xx, or the connection broke: it happened once or not at all.
    Unknown,
}

impl Told {
    fn of<T>(answer: &Result<T, Error>) -> Self {
        match answer {
            Ok(_) => Self::Acknowledged,
            Err(Error::Api(status)) if status.code < 500 => Self::Refused,
            Err(_) => Self::Unknown,
        }
    }
}

/// One counter: what was acknowledged, and the highest value that was ever asked for.
#[derive(Debug, Default, Clone, Copy)]
struct Count {
    acknowledged: u64,
    asked: u64,
}

/// All that the clients did.
#[derive(Debug, Default)]
pub struct History {
    creations: Vec<(String, Told)>,
    counters: BTreeMap<String, Count>,
}

/// What a watch delivered, from the first write to the last.
#[derive(Debug, Default)]
struct Seen {
    /// Each counter's values, in order.
    values: BTreeMap<String, Vec<u64>>,
    /// Whether it had to list again in between, so that values may be left out.
    gaps: bool,
}

impl Seen {
    fn take(&mut self, map: &ConfigMap) {
        if map.metadata.name.as_ref().is_some_and(|n| n.starts_with(COUNTER)) {
            self.values.entry(map.metadata.name.clone().unwrap_or_default()).or_default().push(count_of(map));
        }
    }

    /// The revision that is too old for a watch is replaced by a list's, as a reflector does.
    async fn list(&mut self, maps: &Api<ConfigMap>) -> Option<String> {
        let list = maps.list(&ListParams::default()).await.ok()?;
        self.gaps = true;
        list.items.iter().for_each(|map| self.take(map));
        list.metadata.resource_version
    }
}

/// A client of kube-rs.
///
/// # Panics
/// When the kubeconfig can't be used.
pub async fn client(kubeconfig: &Path) -> Client {
    let config = Kubeconfig::read_from(kubeconfig).unwrap();
    Client::try_from(kube::Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await.unwrap()).unwrap()
}

const OPERATION: &str = "operation";
const COUNTER: &str = "counter-";
const LAST: &str = "last";

fn map(metadata: ObjectMeta, count: u64) -> ConfigMap {
    let data = BTreeMap::from([("count".to_owned(), count.to_string()), ("pad".to_owned(), "x".repeat(200))]);
    ConfigMap { metadata, data: Some(data), ..ConfigMap::default() }
}

fn count_of(map: &ConfigMap) -> u64 {
    map.data.as_ref().and_then(|d| d.get("count")).and_then(|c| c.parse().ok()).unwrap_or(0)
}

/// A refused client waits a little, as any client would.
async fn after(told: Told) {
    if told != Told::Acknowledged {
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn create(maps: Api<ConfigMap>, writer: usize, stop: Arc<AtomicBool>) -> Vec<(String, Told)> {
    let mut done = Vec::new();
    for n in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let operation = format!("{writer}-{n}");
        let labels = BTreeMap::from([(OPERATION.to_owned(), operation.clone())]);
        let metadata = ObjectMeta { generate_name: Some("created-".to_owned()), labels: Some(labels), ..ObjectMeta::default() };
        let told = Told::of(&maps.create(&PostParams::default(), &map(metadata, 0)).await);
        done.push((operation, told));
        after(told).await;
    }
    done
}

/// Counts one object up. It is this writer's alone, so a conflict means that a write whose fate was unknown has happened.
async fn count(maps: Api<ConfigMap>, name: String, stop: Arc<AtomicBool>) -> (String, Count) {
    let mut count = Count::default();
    while !stop.load(Ordering::Relaxed) {
        let Ok(current) = maps.get_opt(&name).await else {
            after(Told::Unknown).await;
            continue;
        };
        let read = current.as_ref().map_or(0, count_of);
        assert!(read >= count.acknowledged && read <= count.asked, "{name}: read {read} after {count:?}");
        count.asked = count.asked.max(read + 1);
        let told = match current {
            Some(mut current) => {
                current.data = map(ObjectMeta::default(), read + 1).data;
                Told::of(&maps.replace(&name, &PostParams::default(), &current).await)
            }
            None => Told::of(&maps.create(&PostParams::default(), &map(ObjectMeta { name: Some(name.clone()), ..ObjectMeta::default() }, 1)).await),
        };
        if told == Told::Acknowledged {
            count.acknowledged = read + 1;
        }
        after(told).await;
    }
    (name, count)
}

/// Watches until the last write has been seen; begins again where it broke off.
async fn watch(maps: Api<ConfigMap>, mut from: String) -> Seen {
    let mut seen = Seen::default();
    loop {
        let Ok(events) = maps.watch(&WatchParams::default(), &from).await else {
            after(Told::Unknown).await;
            continue;
        };
        let mut events = events.boxed();
        while let Some(Ok(event)) = events.next().await {
            match event {
                WatchEvent::Added(map) | WatchEvent::Modified(map) => {
                    from = in_order(&from, &map);
                    if map.metadata.name.as_deref() == Some(LAST) {
                        return seen;
                    }
                    seen.take(&map);
                }
                WatchEvent::Deleted(map) => panic!("nobody deleted {:?}", map.metadata.name),
                WatchEvent::Bookmark(mark) => from = mark.metadata.resource_version,
                WatchEvent::Error(status) if status.code == 410 => {
                    from = seen.list(&maps).await.unwrap_or(from);
                    break;
                }
                WatchEvent::Error(_) => break,
            }
        }
    }
}

/// The event's revision, which is higher than those before.
fn in_order(from: &str, map: &ConfigMap) -> String {
    let to = map.metadata.resource_version.clone().unwrap();
    let number = |revision: &str| revision.parse::<u64>().unwrap();
    assert!(number(&to) > number(from), "an event at {to} after one at {from}");
    to
}

/// Writers and a watcher at work.
pub struct Writers {
    maps: Api<ConfigMap>,
    stop: Arc<AtomicBool>,
    creators: Vec<JoinHandle<Vec<(String, Told)>>>,
    counters: Vec<JoinHandle<(String, Count)>>,
    watcher: JoinHandle<Seen>,
}

impl Writers {
    /// So many that create and so many that count, in the default namespace.
    ///
    /// # Panics
    /// When the API doesn't answer.
    pub async fn start(kubeconfig: &Path, creators: usize, counters: usize) -> Self {
        let maps: Api<ConfigMap> = Api::default_namespaced(client(kubeconfig).await);
        let stop = Arc::new(AtomicBool::new(false));
        let from = maps.list(&ListParams::default()).await.unwrap().metadata.resource_version.unwrap();
        Self {
            creators: (0..creators).map(|w| tokio::spawn(create(maps.clone(), w, stop.clone()))).collect(),
            counters: (0..counters).map(|c| tokio::spawn(count(maps.clone(), format!("{COUNTER}{c}"), stop.clone()))).collect(),
            watcher: tokio::spawn(watch(maps.clone(), from)),
            maps,
            stop,
        }
    }

    /// Stops writing, and holds the state and the watch against what was told; gives the number of acknowledged writes, and of those of unknown fate.
    ///
    /// # Panics
    /// When a write was lost, applied twice, applied though refused, or delivered wrongly.
    pub async fn check(self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        let mut history = History::default();
        for creator in self.creators {
            history.creations.extend(creator.await.unwrap());
        }
        for counter in self.counters {
            let (name, count) = counter.await.unwrap();
            history.counters.insert(name, count);
        }
        let last = map(ObjectMeta { name: Some(LAST.to_owned()), ..ObjectMeta::default() }, 0);
        while let Err(error) = self.maps.create(&PostParams::default(), &last).await {
            // applied though its answer was lost
            if matches!(&error, Error::Api(s) if s.code == 409) {
                break;
            }
            after(Told::Unknown).await;
        }
        let seen = tokio::time::timeout(Duration::from_secs(30), self.watcher).await.expect("the watch delivers the last write").unwrap();
        history.holds(&self.maps.list(&ListParams::default()).await.unwrap().items);
        history.fits(&seen);
        history.told()
    }
}

impl History {
    fn told(&self) -> (usize, usize) {
        let told = |told| self.creations.iter().filter(|(_, t)| *t == told).count();
        let counted: u64 = self.counters.values().map(|c| c.acknowledged).sum();
        (told(Told::Acknowledged) + usize::try_from(counted).unwrap(), told(Told::Unknown))
    }

    fn holds(&self, held: &[ConfigMap]) {
        let mut created: BTreeMap<&str, usize> = BTreeMap::new();
        for operation in held.iter().filter_map(|m| m.metadata.labels.as_ref()?.get(OPERATION)) {
            *created.entry(operation).or_default() += 1;
        }
        for (operation, told) in &self.creations {
            let times = created.get(operation.as_str()).copied().unwrap_or(0);
            let right = match told {
                Told::Acknowledged => times == 1,
                Told::Refused => times == 0,
                Told::Unknown => times <= 1,
            };
            assert!(right, "creation {operation} was {told:?} and is there {times} times");
        }
        for (name, count) in &self.counters {
            let value = held.iter().find(|m| m.metadata.name.as_ref() == Some(name)).map_or(0, count_of);
            assert!(value >= count.acknowledged && value <= count.asked, "{name} is {value} after {count:?}");
        }
    }

    fn fits(&self, seen: &Seen) {
        for (name, values) in &seen.values {
            let step = |pair: &[u64]| if seen.gaps { pair[1] >= pair[0] } else { pair[1] == pair[0] + 1 };
            assert!(values.windows(2).all(step), "{name} was watched as {values:?}");
            let last = values.last().copied().unwrap_or(0);
            assert!(last >= self.counters[name].acknowledged, "{name}: the watch ended at {last} of {:?}", self.counters[name]);
        }
        assert_eq!(seen.values.len(), self.counters.len(), "each counter was watched");
    }
}
