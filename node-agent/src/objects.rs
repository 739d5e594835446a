//! ConfigMaps, Secrets, claims and volumes that pods of this node refer to: each is watched while a pod needs it, and kept on the node's disk so that a pod can be
//! restarted while the cluster can't be reached.
use crate::component::Component;
use base64::Engine;
use model::{ApiError, Key, Object, Stored};
use state_client::{Change, Client, Reflector, Request, Verb};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Names an object that a pod refers to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefKey {
    /// `configmaps`, `secrets`, `persistentvolumeclaims` or `persistentvolumes`.
    pub resource: &'static str,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl RefKey {
    /// A ConfigMap.
    pub fn config_map(namespace: &str, name: &str) -> Self {
        Self { resource: "configmaps", namespace: namespace.to_owned(), name: name.to_owned() }
    }
    /// A Secret.
    pub fn secret(namespace: &str, name: &str) -> Self {
        Self { resource: "secrets", namespace: namespace.to_owned(), name: name.to_owned() }
    }
    /// A claim to a volume.
    pub fn claim(namespace: &str, name: &str) -> Self {
        Self { resource: "persistentvolumeclaims", namespace: namespace.to_owned(), name: name.to_owned() }
    }
    /// A volume.
    pub fn volume(name: &str) -> Self {
        Self { resource: "persistentvolumes", namespace: String::new(), name: name.to_owned() }
    }
}

/// Objects at one moment, for pure functions.
#[derive(Clone, Debug, Default)]
pub struct Objects(BTreeMap<RefKey, Arc<Stored>>);

impl Objects {
    /// An object.
    pub fn get(&self, key: &RefKey) -> Option<&Arc<Stored>> {
        self.0.get(key)
    }

    /// A ConfigMap's `data` and `binaryData`, a Secret's `data`, decoded; `None` when the object doesn't exist.
    pub fn data(&self, key: &RefKey) -> Option<BTreeMap<String, Vec<u8>>> {
        let object = self.0.get(key)?.object();
        let entries = |field: &str| object.at(&[field]).and_then(|d| d.as_object()).into_iter().flatten();
        let decode = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
        let (plain, encoded) = if key.resource == "secrets" { (None, "data") } else { (Some("data"), "binaryData") };
        let mut out: BTreeMap<String, Vec<u8>> = BTreeMap::new();
        for (name, value) in plain.into_iter().flat_map(entries) {
            out.insert(name.clone(), value.as_str().unwrap_or_default().as_bytes().to_vec());
        }
        for (name, value) in entries(encoded) {
            out.insert(name.clone(), decode(value.as_str().unwrap_or_default()));
        }
        Some(out)
    }

    /// One entry of [`Objects::data`].
    pub fn value(&self, key: &RefKey, entry: &str) -> Option<Vec<u8>> {
        let object = self.0.get(key)?.object();
        let text = |field: &str| object.at(&[field, entry])?.as_str();
        let decoded = |text: &str| base64::engine::general_purpose::STANDARD.decode(text).unwrap_or_default();
        if key.resource == "secrets" {
            return text("data").map(decoded);
        }
        text("binaryData").map(decoded).or_else(|| Some(text("data")?.as_bytes().to_vec()))
    }

    #[cfg(test)]
    pub(crate) fn put(&mut self, key: RefKey, json: serde_json::Value) {
        let stored = Stored::from_object(Key::new("", key.resource, &*key.namespace, &*key.name), Object::from_value(json).unwrap()).unwrap();
        self.0.insert(key, Arc::new(stored));
    }
}

#[derive(Clone, Debug)]
enum Known {
    NotYet,
    Absent,
    Present(Arc<Stored>),
}

struct Watched {
    value: watch::Receiver<Known>,
    pods: BTreeSet<String>,
    /// Whether somebody asked before anything was known.
    in_vain: bool,
    _stop: DropGuard,
}

/// The objects that this node's pods refer to.
pub struct References {
    client: Client,
    connected: watch::Receiver<bool>,
    /// Copies of objects; an empty one of an object that doesn't exist.
    disk: PathBuf,
    watched: Mutex<HashMap<RefKey, Watched>>,
    /// Whose object changed, as long as nobody has asked: each once.
    changed: Mutex<BTreeSet<RefKey>>,
    change: Notify,
}

/// The longest copy that is believed; a cluster's objects are shorter.
const COPY_MAX: u64 = 16 << 20;

/// How long a start waits for the cluster before it takes the copy on disk.
const PATIENCE: Duration = Duration::from_secs(5);
/// The same while there is no connection.
const PATIENCE_ALONE: Duration = Duration::from_millis(100);

impl References {
    /// Nothing is watched yet.
    pub fn new(client: Client, disk: PathBuf) -> Arc<Self> {
        let connected = client.bus().connected();
        Arc::new(Self { client, connected, disk, watched: Mutex::default(), changed: Mutex::default(), change: Notify::new() })
    }

    /// The next key whose object changed. One asks at a time.
    pub async fn changed(&self) -> RefKey {
        loop {
            let next = self.changed.lock().unwrap_or_else(PoisonError::into_inner).pop_first();
            match next {
                Some(key) => return key,
                None => self.change.notified().await,
            }
        }
    }

    fn tell(&self, key: RefKey) {
        self.changed.lock().unwrap_or_else(PoisonError::into_inner).insert(key);
        self.change.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<RefKey, Watched>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The objects that a pod refers to; those that don't exist are left out. They are watched from now on, until [`References::forget`].
    ///
    /// # Errors
    /// 503 when the cluster can't be asked and the disk has no copy.
    pub async fn get(self: &Arc<Self>, pod: &str, keys: impl IntoIterator<Item = RefKey>) -> Result<Objects, ApiError> {
        let mut out = Objects::default();
        let values: Vec<_> = keys.into_iter().map(|key| (self.watch(pod, &key), key)).collect();
        // For all of them together: a pod may refer to many.
        let until = Instant::now() + if *self.connected.borrow() { PATIENCE } else { PATIENCE_ALONE };
        for (mut value, key) in values {
            let known = tokio::time::timeout_at(until, value.wait_for(|v| !matches!(v, Known::NotYet))).await;
            let known = match known {
                Ok(Ok(known)) => known.clone(),
                Ok(Err(_)) | Err(_) => {
                    if let Some(watched) = self.lock().get_mut(&key) {
                        watched.in_vain = true;
                    }
                    self.copy(&key)?
                }
            };
            if let Known::Present(stored) = known {
                out.0.insert(key, stored);
            }
        }
        Ok(out)
    }

    /// The pod refers to nothing any more.
    pub fn forget(&self, pod: &str) {
        self.lock().retain(|key, watched| {
            watched.pods.remove(pod);
            let unused = watched.pods.is_empty();
            if unused {
                let path = self.path(key);
                if let Err(error) = crate::disk::forget(&path) {
                    tracing::warn!(path = %path.display(), %error, "a copy could not be removed");
                }
            }
            !unused
        });
    }

    /// The pods that refer to an object.
    pub fn pods(&self, key: &RefKey) -> Vec<String> {
        self.lock().get(key).map(|w| w.pods.iter().cloned().collect()).unwrap_or_default()
    }

    fn watch(self: &Arc<Self>, pod: &str, key: &RefKey) -> watch::Receiver<Known> {
        let mut watched = self.lock();
        let entry = watched.entry(key.clone()).or_insert_with(|| {
            let (sender, value) = watch::channel(Known::NotYet);
            let stop = CancellationToken::new();
            let follow = self.clone().follow(key.clone(), sender);
            let stopped = stop.clone();
            tokio::spawn(async move { stopped.run_until_cancelled(follow).await });
            Watched { value, pods: BTreeSet::new(), in_vain: false, _stop: stop.drop_guard() }
        });
        entry.pods.insert(pod.to_owned());
        entry.value.clone()
    }

    async fn follow(self: Arc<Self>, key: RefKey, sender: watch::Sender<Known>) {
        let mut request = Request::new(Verb::Watch, "", key.resource, &key.namespace, "");
        request.options.field_selector = format!("metadata.name={}", key.name);
        let mut reflector = Reflector::new(self.client.clone(), request);
        loop {
            let changes = reflector.next().await;
            if changes.is_empty() {
                continue;
            }
            let first = matches!(*sender.borrow(), Known::NotYet);
            let (known, json) = match reflector.get(&key.namespace, &key.name) {
                Some(stored) => (Known::Present(stored.clone()), stored.json().to_vec()),
                None if changes.iter().any(|c| matches!(c, Change::Synced | Change::Deleted(_))) => (Known::Absent, Vec::new()),
                None => continue,
            };
            // Pods may have been given the copy on disk before the cluster could be asked.
            let copy = crate::beneath::read(&self.path(&key), COPY_MAX).ok();
            let in_vain = self.lock().get_mut(&key).is_some_and(|watched| std::mem::take(&mut watched.in_vain));
            let news = if first { in_vain || copy.as_ref().is_some_and(|copy| *copy != json) } else { true };
            if copy.as_ref() != Some(&json) {
                self.keep(&key, &json);
            }
            sender.send_replace(known);
            if news {
                self.tell(key.clone());
            }
        }
    }

    fn path(&self, key: &RefKey) -> PathBuf {
        self.disk.join(Component::joined(&[key.resource, &key.namespace, &key.name]).with(".json"))
    }

    fn keep(&self, key: &RefKey, json: &[u8]) {
        let path = self.path(key);
        if let Err(error) = crate::disk::keep(&path, json) {
            tracing::warn!(path = %path.display(), %error, "a copy could not be kept");
        }
    }

    fn copy(&self, key: &RefKey) -> Result<Known, ApiError> {
        let json = crate::beneath::read(&self.path(key), COPY_MAX)
            .map_err(|_| ApiError::unavailable(format!("{} \"{}\" cannot be read now", key.resource, key.name)))?;
        if json.is_empty() {
            return Ok(Known::Absent);
        }
        let stored = Stored::from_object(Key::new("", key.resource, &*key.namespace, &*key.name), Object::from_json(&json)?)?;
        Ok(Known::Present(Arc::new(stored)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::{Bus, Caller, Role};

    fn references(dir: &std::path::Path) -> Arc<References> {
        References::new(Client::new(Bus::local("test", Caller::new(Role::Agent, "n"))), dir.to_owned())
    }

    #[tokio::test]
    async fn each_change_is_told_once_however_often_it_comes() {
        let dir = tempfile::tempdir().unwrap();
        let references = references(dir.path());
        for _ in 0..1000 {
            references.tell(RefKey::secret("a", "s"));
            references.tell(RefKey::config_map("a", "c"));
        }
        assert_eq!(references.changed().await, RefKey::config_map("a", "c"));
        assert_eq!(references.changed().await, RefKey::secret("a", "s"));
        assert!(tokio::time::timeout(Duration::from_millis(10), references.changed()).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn many_references_are_waited_for_together_and_asking_in_vain_is_remembered() {
        let dir = tempfile::tempdir().unwrap();
        let references = references(dir.path());
        let keys: Vec<RefKey> = (0..1000).map(|i| RefKey::secret("a", &format!("s{i}"))).collect();
        std::fs::create_dir_all(dir.path()).unwrap();
        keys.iter().for_each(|key| std::fs::write(references.path(key), "").unwrap());
        let began = Instant::now();
        references.get("pod", keys.clone()).await.unwrap();
        assert!(began.elapsed() <= PATIENCE);
        assert!(references.lock().values().all(|w| w.in_vain));
        references.forget("pod");
        assert_eq!(dir.path().read_dir().unwrap().count(), 0);
    }

    #[tokio::test]
    async fn copies_stay_in_their_directory() {
        let dir = tempfile::tempdir().unwrap();
        let references = references(&dir.path().join("objects"));
        std::fs::write(dir.path().join("victim.json"), "of the node").unwrap();
        for way in ["../victim", "x/../../victim", "/victim", "..", ".", "", "a_b", "a\0b"] {
            for key in [RefKey::secret(way, way), RefKey::config_map("a", way)] {
                references.keep(&key, b"");
                assert!(matches!(references.copy(&key), Ok(Known::Absent)), "{way:?}");
            }
        }
        assert_eq!(std::fs::read_to_string(dir.path().join("victim.json")).unwrap(), "of the node");
        assert_eq!((dir.path().read_dir().unwrap().count(), dir.path().join("objects").read_dir().unwrap().count()), (2, 16));
    }
}
