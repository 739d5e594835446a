//! The keys that the embedded NATS server lets in, as files below the data directory.
//!
//! `<role>@<name>.nk` holds the seeds of a role of this machine. `<role>@<name>.pub` holds the public half of a key whose seed is elsewhere: of nodes,
//! of other machines' roles, and of join tokens. A node's seed is never read here, so that deleting its `.pub` is all that it takes to shut it out.
use crate::failure::Failure;
use bus::keys::{self, KeyFile};
use bus::server::User;
use bus::subject::{escape, unescape};
use bus::{Caller, Role, client_permissions, permissions, reply_permissions};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// A registered key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Its public half.
    pub key: String,
    /// The public half of the key by which a `state` answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replies: Option<String>,
    /// When it ends, where it does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires: Option<Timestamp>,
    /// The only node that a token may be used for, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// The nodes that a token was used for: it lets none of them in again when their keys were revoked.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub used: BTreeSet<String>,
    /// The token (its public key) by which a node's key came in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
    /// What a user's program may ask, as patterns of subjects; anything when there are none.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub allowed: Vec<String>,
    /// The UID of the Node that was seen with it: when that Node is deleted, the key ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uid: Option<String>,
}

impl Entry {
    /// A key without an end.
    pub fn new(key: impl Into<String>) -> Self {
        Self { key: key.into(), replies: None, expires: None, node: None, used: BTreeSet::new(), token: None, allowed: Vec::new(), uid: None }
    }

    /// Whether it has ended.
    pub fn ended(&self, now: Timestamp) -> bool {
        self.expires.is_some_and(|at| at <= now)
    }
}

/// The directory of keys of one cluster.
#[derive(Clone, Debug)]
pub struct Registry {
    directory: PathBuf,
    cluster: String,
}

/// A caller's file name without its ending; no name leads out of the directory.
fn file_stem(role: Role, name: &str) -> String {
    format!("{}@{}", role.name(), escape(name))
}

/// Who a file is for, by its name.
fn file_owner(stem: &str) -> Option<Caller> {
    let (role, name) = stem.split_once('@')?;
    Some(Caller::new(Role::from_name(role)?, unescape(name)?.into_owned()))
}

impl Registry {
    /// The keys below this data directory.
    pub fn new(root: &Path, cluster: &str) -> Self {
        Self { directory: root.join("keys"), cluster: cluster.to_owned() }
    }

    /// The file with the seeds of a role of this machine.
    pub fn seeds(&self, role: Role, name: &str) -> PathBuf {
        self.directory.join(file_stem(role, name) + ".nk")
    }

    fn public(&self, caller: &Caller) -> PathBuf {
        self.directory.join(file_stem(caller.role, &caller.name) + ".pub")
    }

    fn broken(path: &Path, why: impl std::fmt::Display, remedy: &str) -> Failure {
        Failure::new(format!("the key file {} can't be used ({why})", path.display()), remedy)
    }

    /// The entry of a caller.
    ///
    /// # Errors
    /// When its file can't be read.
    pub fn get(&self, caller: &Caller) -> Result<Option<Entry>, Failure> {
        let path = self.public(caller);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text).map(Some).map_err(|e| Self::broken(&path, e, "remove it, and make the key anew")),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(Self::broken(&path, e, "look at its owner")),
        }
    }

    /// Registers a key, or changes what is known of it.
    ///
    /// # Errors
    /// When its file can't be written.
    pub fn put(&self, caller: &Caller, entry: &Entry) -> Result<(), Failure> {
        let path = self.public(caller);
        let written = serde_json::to_vec_pretty(entry).map_err(std::io::Error::other).and_then(|text| keys::write_private(&path, &text));
        written.map_err(|e| Self::broken(&path, e, "free some space, or look at the directory's owner"))
    }

    /// Forgets a key; whether there was one.
    ///
    /// # Errors
    /// When its file can't be removed.
    pub fn remove(&self, caller: &Caller) -> Result<bool, Failure> {
        let path = self.public(caller);
        match std::fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(e) => Err(Self::broken(&path, e, "remove it by hand")),
        }
    }

    /// Those whose files have this ending.
    fn owners(&self, ending: &str) -> Result<Vec<Caller>, Failure> {
        let unreadable = |e: std::io::Error| Failure::new(format!("the keys in {} can't be read ({e})", self.directory.display()), "look at their owner");
        let mut owners = Vec::new();
        let entries = match std::fs::read_dir(&self.directory) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(owners),
            entries => entries.map_err(unreadable)?,
        };
        for entry in entries {
            let name = entry.map_err(unreadable)?.file_name();
            owners.extend(name.to_str().and_then(|name| name.strip_suffix(ending)).and_then(file_owner));
        }
        owners.sort_by(|a, b| (a.role.name(), &a.name).cmp(&(b.role.name(), &b.name)));
        Ok(owners)
    }

    /// All registered keys.
    ///
    /// # Errors
    /// When a file can't be read.
    pub fn entries(&self) -> Result<Vec<(Caller, Entry)>, Failure> {
        let mut all = Vec::new();
        for owner in self.owners(".pub")? {
            if let Some(entry) = self.get(&owner)? {
                all.push((owner, entry));
            }
        }
        Ok(all)
    }

    /// Everybody whom the server lets in at this time, with what each may do. A key that two have registered counts once, for the first of them:
    /// the server would take no configuration with it twice.
    ///
    /// # Errors
    /// When a key file can't be read.
    pub fn users(&self, now: Timestamp) -> Result<Vec<User>, Failure> {
        let mut users = Vec::new();
        let mut known = BTreeSet::new();
        let mut add = |key: String, permissions| {
            if known.insert(key.clone()) {
                users.push(User { key, permissions });
            }
        };
        // whose seeds are here comes first; those of nodes that run on this machine are registered as any other's
        for owner in self.owners(".nk")?.into_iter().filter(|owner| !matches!(owner.role, Role::Agent | Role::Join | Role::Client)) {
            let keys = KeyFile::load(&self.seeds(owner.role, &owner.name)).map_err(|e| Failure::new(e.to_string(), ""))?;
            add(keys.own.public(), permissions(owner.role, &owner.name, &self.cluster));
            if let Some(replies) = keys.replies.filter(|_| owner.role == Role::State) {
                add(replies.public(), reply_permissions(&self.cluster));
            }
        }
        for (owner, entry) in self.entries()?.into_iter().filter(|(_, entry)| !entry.ended(now)) {
            let may = match owner.role {
                Role::Client => client_permissions(&owner.name, &self.cluster, &entry.allowed),
                role => permissions(role, &owner.name, &self.cluster),
            };
            add(entry.key, may);
            if let Some(replies) = entry.replies.filter(|_| owner.role == Role::State) {
                add(replies, reply_permissions(&self.cluster));
            }
        }
        Ok(users)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bus::keys::NatsKey;

    #[test]
    fn no_name_leads_out_of_the_directory() {
        let names = ["n1.example.com", "../../etc/passwd", "..", "", "a/b", "ünï", "=", "a@b", "x\0y", "\n"];
        for name in names {
            let stem = file_stem(Role::Agent, name);
            assert!(!stem.contains(['/', '\0', '\n']) && stem.starts_with("agent@"), "{stem}");
            assert_eq!(file_owner(&stem), Some(Caller::new(Role::Agent, name)));
        }
        assert_eq!(file_owner("agent@a/b"), None);
        assert_eq!(file_owner("nobody@a"), None);
    }

    #[test]
    fn who_is_registered_is_let_in_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let registry = Registry::new(dir.path(), "c");
        let now = Timestamp::from_second(1_000).unwrap();
        let own = KeyFile::load_or_create(&registry.seeds(Role::State, "s"), true).unwrap();
        let node = Caller::new(Role::Agent, "n1");
        // the seed of a node on this machine lets nobody in by itself
        KeyFile::load_or_create(&registry.seeds(Role::Agent, "n1"), false).unwrap();
        let keys = |at| registry.users(at).unwrap().into_iter().map(|user| user.key).collect::<Vec<_>>();
        let ours = vec![own.own.public(), own.replies.unwrap().public()];
        assert_eq!(keys(now), ours);
        let (of_node, of_token) = (NatsKey::generate().public(), NatsKey::generate().public());
        registry.put(&node, &Entry::new(&of_node)).unwrap();
        let ends = Entry { expires: Some(now), ..Entry::new(&of_token) };
        registry.put(&Caller::new(Role::Join, &of_token), &ends).unwrap();
        let before = Timestamp::from_second(999).unwrap();
        assert_eq!(keys(before), [ours.clone(), vec![of_node.clone(), of_token]].concat());
        assert_eq!(keys(now), [ours.clone(), vec![of_node]].concat());
        // somebody else's key is not to be had by registering it
        registry.put(&node, &Entry::new(&ours[0])).unwrap();
        let users = registry.users(now).unwrap();
        assert_eq!(
            users.iter().filter(|user| user.key == ours[0]).map(|user| user.permissions.clone()).collect::<Vec<_>>(),
            [permissions(Role::State, "s", "c")]
        );
        assert!(registry.remove(&node).unwrap() && !registry.remove(&node).unwrap());
        assert_eq!(keys(now), ours);
    }
}
