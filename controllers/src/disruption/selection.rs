//! Which pods a budget is about.
use crate::runtime::{Item, Resource, View};
use model::Object;
use model::kinds::disruption_budget;
use model::selector::LabelSelector;
use serde::Deserialize;
use std::sync::Arc;

/// Budgets.
pub const BUDGETS: Resource = Resource::new("policy", "poddisruptionbudgets");

/// What is read of a budget when pods change.
#[derive(Deserialize)]
#[serde(from = "Object")]
pub struct Selection(LabelSelector);

impl From<Object> for Selection {
    fn from(budget: Object) -> Self {
        Self(disruption_budget::selector(&budget))
    }
}

impl Selection {
    /// Whether a pod is among them.
    pub fn has(&self, pod: &Item) -> bool {
        self.0.selects(|label| pod.label(label))
    }
}

/// What a budget selects; what doesn't decode selects nothing.
pub fn selection(budget: &Item) -> Arc<Selection> {
    budget.part().unwrap_or_else(|error| {
        tracing::warn!(%error, "a budget does not decode");
        Arc::new(Selection(LabelSelector::nothing()))
    })
}

/// The budgets that are about a pod, by name.
pub fn budgets_of<'a>(view: &'a View, pod: &Item) -> Vec<&'a Arc<Item>> {
    let mut budgets: Vec<_> = view.in_namespace(&BUDGETS, pod.namespace()).filter(|budget| selection(budget).has(pod)).collect();
    budgets.sort_by_key(|budget| budget.name());
    budgets
}
