//! The process that runs the embedded server lets in who is registered: it hears of changes, takes in machines with join tokens, and shuts out nodes
//! that were deleted.
use super::registry::{Entry, Registry};
use super::{Join, Reload};
use crate::failure::Failure;
use bus::server::{Reloading, Server};
use bus::{Bus, Caller, Incoming, Role, Service};
use jiff::Timestamp;
use model::Stored;
use serde::Deserialize;
use state_client::{Change, Client, Reflector};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio_util::sync::{CancellationToken, DropGuard};

/// Keys that may be registered at most.
const KEYS: usize = 20_000;
/// Nodes that one token may let in at most.
const OF_A_TOKEN: usize = 1_000;
/// The longest name of a node that becomes a file's.
const NAME: usize = 200;
/// The longest wait until it is seen again which tokens have ended.
const LOOK: Duration = Duration::from_secs(60);

/// The embedded server, until it is stopped.
pub type Shared = Arc<Mutex<Option<Server>>>;

/// Who is let in. Cheap to clone.
#[derive(Clone)]
pub struct AccessControl {
    registry: Registry,
    server: Shared,
    /// One change at a time: a check and what follows from it, until the server knows.
    changing: Arc<tokio::sync::Mutex<()>>,
}

/// What is served, and what goes on beside, for as long as it is held.
pub struct Served {
    _services: [Service; 2],
    _stop: DropGuard,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether a machine may become this node with this token, given what is registered under the node's name, whether there is such a Node, and which keys
/// are known.
fn decide(token: Option<&Entry>, now: Timestamp, asked: &Join, registered: Option<&Entry>, node_exists: bool, known: &[String]) -> Result<(), String> {
    let token = token.filter(|token| !token.ended(now)).ok_or("the join token has ended: make another with `whalesong token`")?;
    if !model::names::is_dns_subdomain(&asked.node) || asked.node.len() > NAME {
        return Err(format!("{:?} can't be the name of a node: it must be a lower-case DNS name of at most {NAME} characters", asked.node));
    }
    if let Some(only) = token.node.as_ref().filter(|only| **only != asked.node) {
        return Err(format!("the join token is for the node {only:?}"));
    }
    if !bus::keys::is_public(&asked.key) {
        return Err("what came with the request is no public key".to_owned());
    }
    match registered {
        Some(entry) if entry.key == asked.key => return Ok(()),
        Some(_) => return Err(format!("a machine with another key is the node {:?}: `whalesong creds revoke agent {}` ends it", asked.node, asked.node)),
        // a token that was made for this node says that it may be the machine's
        None if node_exists && token.node.is_none() => {
            return Err(format!("there is a node {:?} without a key: delete it first, or choose another --node-name", asked.node));
        }
        // its key was revoked, or its Node deleted: who has the token still may not undo that
        None if token.used.contains(&asked.node) => {
            return Err(format!("the join token has let {:?} in before: make another with `whalesong token`", asked.node));
        }
        None if token.used.len() >= OF_A_TOKEN => return Err(format!("the join token has let {OF_A_TOKEN} nodes in: make another with `whalesong token`")),
        None => {}
    }
    if known.contains(&asked.key) {
        return Err("the key is somebody else's".to_owned());
    }
    Ok(())
}

impl AccessControl {
    /// The keys of a registry, for this server.
    pub fn new(registry: Registry, server: Shared) -> Self {
        Self { registry, server, changing: Arc::default() }
    }

    /// The server lets in who is registered now, and cuts off who isn't any more, once it has read what is returned.
    fn reload(&self) -> Result<Option<Reloading>, Failure> {
        let users = self.registry.users(Timestamp::now())?;
        let authorized = locked(&self.server).as_mut().map(|server| server.authorize(users)).transpose();
        authorized.map_err(|e| Failure::new(e.to_string(), ""))
    }

    /// Answers on the bus, follows the cluster's nodes and the tokens' ends.
    ///
    /// # Errors
    /// When NATS refuses a subscription.
    pub async fn serve(&self, bus: &Bus) -> Result<Served, Failure> {
        let (access, client) = (self.clone(), Client::new(bus.clone()));
        let reload = bus.serve(&bus.caller().name, 1, move |asked: Incoming<Reload>| {
            let outcome = match asked.caller.role {
                Role::Admin | Role::State => Ok(access.clone()),
                _ => Err(format!("{} may not change who is let in", asked.caller)),
            };
            async move { outcome?.changed(Self::reload).await }
        });
        let access = self.clone();
        let join = bus.serve(&bus.caller().name, 4, move |asked: Incoming<Join>| {
            let (access, client) = (access.clone(), client.clone());
            async move { access.join(&client, asked).await }
        });
        let stop = CancellationToken::new();
        let services = [reload.await, join.await].into_iter().collect::<Result<Vec<_>, _>>().map_err(|e| Failure::new(e.to_string(), ""))?;
        let services = <[Service; 2]>::try_from(services).map_err(|_| Failure::new("a service is missing", ""))?;
        tokio::spawn(stop.clone().run_until_cancelled_owned(self.clone().follow_nodes(Client::new(bus.clone()))));
        tokio::spawn(stop.clone().run_until_cancelled_owned(self.clone().follow_tokens()));
        Ok(Served { _services: services, _stop: stop.drop_guard() })
    }

    /// Makes a change, whose files are read and written outside of the loops of others; done once the server knows of it.
    async fn changed(&self, change: impl FnOnce(&Self) -> Result<Option<Reloading>, Failure> + Send + 'static) -> Result<(), String> {
        let _one = self.changing.lock().await;
        let access = self.clone();
        let changed = tokio::task::spawn_blocking(move || change(&access)).await.map_err(|e| e.to_string())?;
        match changed.map_err(|e| e.to_string())? {
            Some(reloading) => reloading.done().await.map_err(|e| e.to_string()),
            None => Ok(()),
        }
    }

    async fn join(&self, client: &Client, asked: Incoming<Join>) -> Result<(), String> {
        let Incoming { message, caller } = asked;
        if caller.role != Role::Join {
            return Err("only who has a join token joins".to_owned());
        }
        let node_exists = match client.get("", "nodes", "", &message.node).await {
            Ok(_) => true,
            Err(e) if e.is_not_found() => false,
            Err(e) => return Err(format!("whether there is such a node can't be told: {e}")),
        };
        let (node, token) = (message.node.clone(), caller.name.clone());
        self.changed(move |access| access.admit(&caller, &message, node_exists)).await?;
        tracing::info!(node, token, "a machine has joined");
        Ok(())
    }

    fn admit(&self, caller: &Caller, asked: &Join, node_exists: bool) -> Result<Option<Reloading>, Failure> {
        let refused = |why: String| Failure::new(why, "");
        let node = Caller::new(Role::Agent, asked.node.clone());
        let (token, registered, now) = (self.registry.get(caller)?, self.registry.get(&node)?, Timestamp::now());
        // who is registered asks again after an answer was lost: all that is known already
        let known = if registered.is_some() { Vec::new() } else { self.registry.users(now)?.into_iter().map(|user| user.key).collect() };
        decide(token.as_ref(), now, asked, registered.as_ref(), node_exists, &known).map_err(refused)?;
        let Some(mut token) = token.filter(|_| registered.is_none()) else { return Ok(None) };
        if known.len() >= KEYS {
            return Err(refused(format!("there are {KEYS} keys already")));
        }
        token.used.insert(asked.node.clone());
        self.registry.put(caller, &token)?;
        self.registry.put(&node, &Entry { token: Some(caller.name.clone()), ..Entry::new(&asked.key) })?;
        self.reload()
    }

    /// Ends the key of each node that is deleted; also where that happened while nobody looked.
    async fn follow_nodes(self, client: Client) {
        let mut nodes = Reflector::of(client, "", "nodes", "");
        loop {
            let changes = nodes.next().await;
            if nodes.revision().is_none() {
                continue;
            }
            let look = Look::of(&changes);
            if look.is_empty() {
                continue;
            }
            let alive = |node: &Stored| Some(metadata(node)).filter(|m| m.deletion_timestamp.is_none()).map(|m| (node.key.name.to_string(), m.uid));
            let present: BTreeMap<String, String> = if look.all {
                nodes.objects().filter_map(|node| alive(node)).collect()
            } else {
                look.made.union(&look.deleted).filter_map(|name| nodes.get("", name).and_then(|node| alive(node))).collect()
            };
            if let Err(why) = self.changed(move |access| access.settle(&look, &present)).await {
                tracing::error!(why, "the keys of deleted nodes can't be ended");
            }
        }
    }

    fn settle(&self, look: &Look, present: &BTreeMap<String, String>) -> Result<Option<Reloading>, Failure> {
        let mut ended = false;
        for name in look.names(&self.registry)? {
            let owner = Caller::new(Role::Agent, name);
            let Some(entry) = self.registry.get(&owner)? else { continue };
            match verdict(&entry, present.get(&owner.name).cloned(), look.deleted.contains(&owner.name)) {
                Verdict::Keep => {}
                Verdict::Note(uid) => self.registry.put(&owner, &Entry { uid: Some(uid), ..entry })?,
                Verdict::End => {
                    tracing::warn!(node = owner.name, "its Node was deleted: its key is revoked");
                    self.registry.remove(&owner)?;
                    ended = true;
                }
            }
        }
        if ended { self.reload() } else { Ok(None) }
    }

    /// Shuts out who has a token that ended.
    async fn follow_tokens(self) {
        loop {
            tokio::time::sleep(LOOK).await;
            let outcome = self.changed(move |access| {
                let now = Timestamp::now();
                let ended: Vec<Caller> = access.registry.entries()?.into_iter().filter(|(_, entry)| entry.ended(now)).map(|(owner, _)| owner).collect();
                for owner in &ended {
                    access.registry.remove(owner)?;
                }
                if ended.is_empty() { Ok(None) } else { access.reload() }
            });
            if let Err(why) = outcome.await {
                tracing::error!(why, "tokens that have ended can't be removed");
            }
        }
    }
}

/// What of a Node says whether it is the one that it was.
#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    uid: String,
    deletion_timestamp: Option<String>,
}

fn metadata(node: &Stored) -> Metadata {
    node.metadata().unwrap_or_default()
}

/// Which nodes' keys are to be looked at after changes.
#[derive(Default)]
struct Look {
    /// All: what happened since the last look isn't known.
    all: bool,
    made: BTreeSet<String>,
    deleted: BTreeSet<String>,
}

impl Look {
    fn of(changes: &[Change]) -> Self {
        let mut look = Self::default();
        for change in changes {
            match change {
                Change::Synced => look.all = true,
                Change::Deleted(node) => _ = look.deleted.insert(node.key.name.to_string()),
                // somebody has deleted it, though a finalizer, which may be the node's own, keeps the object
                Change::Applied { new, .. } if metadata(new).deletion_timestamp.is_some() => _ = look.deleted.insert(new.key.name.to_string()),
                Change::Applied { old: None, new } => _ = look.made.insert(new.key.name.to_string()),
                Change::Applied { old: Some(old), new } if old.uid() != new.uid() => _ = look.deleted.insert(new.key.name.to_string()),
                Change::Applied { .. } => {}
            }
        }
        look
    }

    fn is_empty(&self) -> bool {
        !self.all && self.made.is_empty() && self.deleted.is_empty()
    }

    fn names(&self, registry: &Registry) -> Result<BTreeSet<String>, Failure> {
        let registered = if self.all { registry.entries()? } else { Vec::new() };
        let registered = registered.into_iter().filter(|(owner, _)| owner.role == Role::Agent).map(|(owner, _)| owner.name);
        Ok(registered.chain(self.made.union(&self.deleted).cloned()).collect())
    }
}

/// What becomes of a node's key.
#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Keep,
    /// Its Node is there for the first time, with this UID.
    Note(String),
    End,
}

/// Given the UID of the Node of its name, if there is one, and whether one of this name was deleted just now.
fn verdict(entry: &Entry, present: Option<String>, deleted: bool) -> Verdict {
    match (&entry.uid, present) {
        (Some(known), Some(uid)) if *known == uid => Verdict::Keep,
        (Some(_), _) => Verdict::End,
        (None, _) if deleted => Verdict::End,
        (None, Some(uid)) => Verdict::Note(uid),
        (None, None) => Verdict::Keep,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::keys::NatsKey;

    #[test]
    fn a_key_ends_with_its_node() {
        let (new, seen) = (Entry::new("U1"), Entry { uid: Some("a".to_owned()), ..Entry::new("U1") });
        let (a, b) = ("a".to_owned(), "b".to_owned());
        let rows = [
            (&new, None, false, Verdict::Keep),
            (&new, Some(&a), false, Verdict::Note(a.clone())),
            (&new, Some(&b), true, Verdict::End),
            (&new, None, true, Verdict::End),
            (&seen, Some(&a), false, Verdict::Keep),
            (&seen, Some(&b), false, Verdict::End),
            (&seen, None, false, Verdict::End),
        ];
        for (entry, present, deleted, expected) in rows {
            assert_eq!(verdict(entry, present.cloned(), deleted), expected, "{entry:?} {present:?} {deleted}");
        }
    }

    #[test]
    fn a_token_makes_a_new_node_and_nothing_else() {
        let now = Timestamp::from_second(100).unwrap();
        let lasts = Entry { expires: Some(Timestamp::from_second(101).unwrap()), ..Entry::new("UT") };
        let ended = Entry { expires: Some(now), ..lasts.clone() };
        let of_one = Entry { node: Some("n1".to_owned()), ..lasts.clone() };
        let used = Entry { used: ["n1".to_owned()].into(), ..of_one.clone() };
        let spent = Entry { used: (0..OF_A_TOKEN).map(|n| format!("m{n}")).collect(), ..lasts.clone() };
        let key = NatsKey::generate().public();
        let join = |node: &str| Join { node: node.to_owned(), key: key.clone() };
        let (same, other) = (Entry::new(&key), Entry::new("UOTHER"));
        let says = |token: Option<&Entry>, asked: &Join, registered: Option<&Entry>, exists: bool, known: &[String]| {
            decide(token, now, asked, registered, exists, known).err().unwrap_or_default()
        };
        let rows = [
            (says(Some(&lasts), &join("n1"), None, false, &[]), ""),
            (says(Some(&of_one), &join("n1"), None, false, &[]), ""),
            (says(Some(&lasts), &join("n1"), Some(&same), true, std::slice::from_ref(&key)), ""),
            (says(Some(&used), &join("n1"), Some(&same), true, &[]), ""),
            (says(Some(&used), &join("n1"), None, false, &[]), "has let \"n1\" in before"),
            (says(Some(&used), &join("n1"), None, true, &[]), "has let \"n1\" in before"),
            (says(Some(&spent), &join("n1"), None, false, &[]), "nodes in: make another"),
            (says(Some(&lasts), &join(&"n".repeat(201)), None, false, &[]), "DNS name"),
            (says(None, &join("n1"), None, false, &[]), "has ended"),
            (says(Some(&ended), &join("n1"), None, false, &[]), "has ended"),
            (says(Some(&of_one), &join("n2"), None, false, &[]), "is for the node"),
            (says(Some(&lasts), &join("../n"), None, false, &[]), "DNS name"),
            (says(Some(&lasts), &join(""), None, false, &[]), "DNS name"),
            (says(Some(&lasts), &join("n1"), Some(&other), true, &[]), "another key"),
            (says(Some(&lasts), &join("n1"), None, true, &[]), "delete it first"),
            (says(Some(&of_one), &join("n1"), None, true, &[]), ""),
            (says(Some(&lasts), &join("n1"), None, false, std::slice::from_ref(&key)), "somebody else's"),
            (says(Some(&lasts), &Join { node: "n1".to_owned(), key: "UX".to_owned() }, None, false, &[]), "no public key"),
        ];
        for (said, expected) in rows {
            assert_eq!(said.is_empty(), expected.is_empty(), "{said}");
            assert!(said.contains(expected), "{said}");
        }
    }
}
