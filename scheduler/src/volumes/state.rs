//! All that is known of claims and volumes.
use super::choice::{Choice, Reserved};
use super::object::{Claim, ClaimKey, Class, Volume};
use crate::node::ParseError;
use crate::pod::PodClass;
use crate::wake::Wake;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::Hash;
use std::sync::Arc;

/// All that is known of volumes.
#[derive(Debug, Default)]
pub struct Volumes {
    pub(super) claims: HashMap<ClaimKey, Claim>,
    pub(super) volumes: BTreeMap<Arc<str>, Volume>,
    by_class: HashMap<Arc<str>, BTreeSet<Arc<str>>>,
    pub(super) classes: HashMap<Arc<str>, Class>,
    /// How many pods with a node use each claim.
    pub(super) users: HashMap<ClaimKey, u32>,
    pub(super) reserved: HashMap<Arc<str>, Reserved>,
    /// Nodes that claims are reserved on, and by how many pods.
    selected: HashMap<ClaimKey, (Arc<str>, u32)>,
    /// Claims that volumes are reserved for, and by how many pods.
    promised: HashMap<Arc<str>, (ClaimKey, u32)>,
    /// Changes whenever a pod's verdict may have changed by what was reserved or used.
    generation: u64,
}

impl Volumes {
    /// Takes in a claim.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't one.
    pub fn apply_claim(&mut self, stored: &model::Stored) -> Result<Wake, ParseError> {
        self.claims.insert((stored.key.namespace.clone(), stored.key.name.clone()), Claim::parse(stored)?);
        Ok(Wake::CLAIM)
    }

    /// Takes in a volume.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't one.
    pub fn apply_volume(&mut self, stored: &model::Stored) -> Result<Wake, ParseError> {
        let (name, volume) = (stored.key.name.clone(), Volume::parse(stored)?);
        self.remove_volume(&name);
        self.by_class.entry(volume.class.clone()).or_default().insert(name.clone());
        self.volumes.insert(name, volume);
        Ok(Wake::VOLUME)
    }

    /// Takes in a storage class.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't one.
    pub fn apply_class(&mut self, stored: &model::Stored) -> Result<Wake, ParseError> {
        self.classes.insert(stored.key.name.clone(), Class::parse(stored)?);
        Ok(Wake::STORAGE_CLASS)
    }

    /// Takes out a claim.
    pub fn remove_claim(&mut self, namespace: &Arc<str>, name: &Arc<str>) {
        self.claims.remove(&(namespace.clone(), name.clone()));
    }

    /// Takes out a volume.
    pub fn remove_volume(&mut self, name: &str) {
        let Some(was) = self.volumes.remove(name) else { return };
        if let Some(names) = self.by_class.get_mut(&was.class) {
            names.remove(name);
            if names.is_empty() {
                self.by_class.remove(&was.class);
            }
        }
    }

    /// Takes out a storage class.
    pub fn remove_class(&mut self, name: &str) {
        self.classes.remove(name);
    }

    /// Counts a pod's use of its claims, or counts it no longer.
    pub(crate) fn count(&mut self, class: &PodClass, comes: bool) {
        for used in &class.claims {
            let key = (class.namespace.clone(), used.name.clone());
            if self.claims.get(&key).is_some_and(Claim::is_for_one_pod) {
                self.generation += 1;
            }
            if comes {
                *self.users.entry(key).or_default() += 1;
            } else if let Some(n) = self.users.get_mut(&key) {
                *n = n.saturating_sub(1);
                if *n == 0 {
                    self.users.remove(&key);
                }
            }
        }
    }

    /// See the field.
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// The claims of a pod that are there, with their keys.
    pub(super) fn claims_of<'a>(&'a self, class: &'a PodClass) -> impl Iterator<Item = (ClaimKey, &'a Claim)> {
        class.claims.iter().filter_map(|used| {
            let key = (class.namespace.clone(), used.name.clone());
            let claim = self.claims.get(&key)?;
            Some((key, claim))
        })
    }

    pub(super) fn is_delayed(&self, claim: &Claim) -> bool {
        claim.volume.is_empty() && self.classes.get(&claim.class).is_some_and(|c| c.delayed)
    }

    /// The node that a claim's volume is to be made on, by what is written and by what is reserved.
    pub(super) fn selected_node(&self, key: &ClaimKey, claim: &Claim) -> Option<Arc<str>> {
        claim.selected_node.clone().or_else(|| self.selected.get(key).map(|(node, _)| node.clone()))
    }

    /// Volumes that may be bound to a claim: those of its class, and those that are meant for it.
    pub(super) fn candidates<'a>(&'a self, key: &'a ClaimKey, claim: &'a Claim) -> impl Iterator<Item = (&'a Arc<str>, &'a Volume)> {
        let names = self.by_class.get(&claim.class).into_iter().flatten();
        let all = names.filter_map(|name| self.volumes.get_key_value(name));
        all.filter(move |(name, volume)| volume.suits(key, claim) && self.promised.get(*name).is_none_or(|(other, _)| other == key))
    }

    /// Notes what a pod gets.
    pub(crate) fn note(&mut self, uid: &Arc<str>, node: &Arc<str>, choice: Choice) {
        self.release(uid);
        self.generation += 1;
        for key in &choice.made {
            self.selected.entry(key.clone()).or_insert_with(|| (node.clone(), 0)).1 += 1;
        }
        for (name, key) in &choice.found {
            self.promised.entry(name.clone()).or_insert_with(|| (key.clone(), 0)).1 += 1;
        }
        self.reserved.insert(uid.clone(), Reserved::new(node.clone(), choice));
    }

    /// Ends a pod's reservation, if it has one.
    pub(crate) fn release(&mut self, uid: &str) {
        let Some(was) = self.reserved.remove(uid) else { return };
        self.generation += 1;
        for key in &was.choice.made {
            end_one(&mut self.selected, key);
        }
        for (name, _) in &was.choice.found {
            end_one(&mut self.promised, name);
        }
    }
}

/// One pod less that reserved something for the same.
fn end_one<K: Hash + Eq, V>(all: &mut HashMap<K, (V, u32)>, key: &K) {
    let Some((_, pods)) = all.get_mut(key) else { return };
    *pods = pods.saturating_sub(1);
    if *pods == 0 {
        all.remove(key);
    }
}
