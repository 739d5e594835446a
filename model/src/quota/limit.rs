//! A quota: what it counts, and how much there is left.
use super::pods;
use super::scopes::{self, Requirement};
use super::usage::{Taken, counted_by};
use crate::object::Object;
use crate::placement::at_once::Amount;
use crate::quantity::Quantity;
use crate::resource_list::ResourceList;
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// A quota, and how much of it is used.
#[derive(Clone, Debug)]
pub struct Quota {
    name: String,
    /// The most of each resource.
    pub hard: ResourceList,
    used: ResourceList,
    scopes: Vec<Requirement>,
    /// Whether what is used was counted for these limits.
    counted: bool,
}

impl Quota {
    /// A ResourceQuota.
    pub fn of(object: &Object) -> Self {
        let hard = ResourceList::of(object.at(&["spec", "hard"]));
        let used = ResourceList::of(object.at(&["status", "used"]));
        let told = object.at(&["status", "hard"]);
        let counted = ResourceList::of(told) == hard && told.is_some() && hard.0.keys().all(|name| used.0.contains_key(name));
        Self { name: object.name().to_owned(), hard, used, scopes: scopes::requirements(object), counted }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether what is used was counted for the limits that it has now.
    pub fn is_counted(&self) -> bool {
        self.counted
    }

    /// How much of what an object takes it counts, of what it limits.
    pub fn charge(&self, taken: &Taken<'_>) -> ResourceList {
        if self.scopes.iter().all(|scope| scope.holds(taken)) { taken.usage.only(|name| self.hard.0.contains_key(name)) } else { ResourceList::default() }
    }

    /// What a change of an object adds to what it counts; negative where that becomes less.
    pub fn change(&self, old: Option<&Taken<'_>>, new: Option<&Taken<'_>>) -> ResourceList {
        let mut delta = new.map(|new| self.charge(new)).unwrap_or_default();
        if let Some(old) = old {
            delta.subtract_all(&self.charge(old));
        }
        delta.without_zeros()
    }

    /// Whether a new object says all that it wants to know.
    ///
    /// # Errors
    /// The sentence that says what is missing.
    pub fn check_constraints(&self, new: &Taken<'_>) -> Result<(), String> {
        let concerned = (new.group, new.resource) == ("", "pods") && self.scopes.iter().all(|scope| scope.holds(new));
        if !concerned {
            return Ok(());
        }
        pods::check_constraints(new.object, &self.hard).map_err(|why| format!("failed quota: {}: {why}", self.name()))
    }

    /// Whether there is room for `more`; what becomes less always has it.
    ///
    /// # Errors
    /// The sentence that says of what there isn't.
    pub fn check_room(&self, more: &ResourceList) -> Result<(), String> {
        let exceeded = |name: &str| {
            let wanted = more.get(name);
            wanted > Quantity::ZERO && self.used.get(name) + wanted > self.hard.get(name)
        };
        let requested = more.only(exceeded);
        if requested.0.is_empty() {
            return Ok(());
        }
        let (used, limited) = (self.used_of(&requested), self.hard.only(|name| requested.0.contains_key(name)));
        Err(format!("exceeded quota: {}, requested: {}, used: {}, limited: {}", self.name(), requested.text(), used.text(), limited.text()))
    }

    fn used_of(&self, names: &ResourceList) -> ResourceList {
        ResourceList(names.0.keys().map(|name| (name.clone(), self.used.get(name))).collect())
    }

    /// Adds to what is used, which is never less than nothing.
    pub fn add(&mut self, delta: &ResourceList) {
        self.used.add(delta);
        for amount in self.used.0.values_mut().filter(|amount| amount.is_negative()) {
            *amount = Quantity::ZERO;
        }
    }

    /// Counts anew all that there is in its namespace.
    pub fn count<'a>(&mut self, all: impl Iterator<Item = Taken<'a>>) {
        self.used = ResourceList(self.hard.0.keys().map(|name| (name.clone(), Quantity::ZERO)).collect());
        for taken in all {
            let charge = self.charge(&taken);
            self.used.add(&charge);
        }
        self.counted = true;
    }

    /// Whether it may count objects of this resource.
    pub fn concerns(&self, group: &str, resource: &str) -> bool {
        self.hard.0.keys().any(|name| counted_by(name) == (group, resource))
    }

    /// The resources, by group and name, of which it counts objects.
    pub fn concerned(&self) -> BTreeSet<(&str, &str)> {
        self.hard.0.keys().map(|name| counted_by(name)).collect()
    }

    /// What its status says.
    pub fn status(&self) -> Value {
        json!({"hard": self.hard.to_json(), "used": self.used.to_json()})
    }
}
