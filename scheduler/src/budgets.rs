//! Disruption budgets: how many more pods of a kind may be made to go.
use crate::labels::{Labels, Selector};
use crate::node::ParseError;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use model::Stored;
use serde::Deserialize;
use serde::de::IgnoredAny;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A budget.
#[derive(Clone, Debug)]
struct Budget {
    selector: Selector,
    allowed: i32,
    /// Pods whose going is in `allowed` already.
    disrupted: BTreeMap<String, IgnoredAny>,
}

/// All budgets, by namespace and name.
#[derive(Debug, Default)]
pub struct Budgets(BTreeMap<Arc<str>, BTreeMap<Arc<str>, Budget>>);

/// A budget's namespace and name.
pub type BudgetKey = (Arc<str>, Arc<str>);

/// What is left of budgets that something was taken of.
#[derive(Clone, Debug, Default)]
pub struct Allowances(BTreeMap<BudgetKey, i32>);

#[derive(Deserialize)]
struct Raw {
    spec: RawSpec,
    status: Option<RawStatus>,
}

#[derive(Deserialize)]
struct RawSpec {
    selector: Option<LabelSelector>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawStatus {
    #[serde(default)]
    disruptions_allowed: i32,
    disrupted_pods: Option<BTreeMap<String, IgnoredAny>>,
}

impl Budgets {
    /// Takes in a budget. One that selects nothing or everything protects nobody.
    ///
    /// # Errors
    /// [`ParseError`] when the object isn't one.
    pub fn apply(&mut self, stored: &Stored) -> Result<(), ParseError> {
        let raw: Raw = serde_json::from_slice(stored.json())?;
        let empty = |s: &LabelSelector| s.match_labels.as_ref().is_none_or(BTreeMap::is_empty) && s.match_expressions.as_ref().is_none_or(Vec::is_empty);
        let status = raw.status.unwrap_or_default();
        let budget = Budget {
            selector: Selector::parse(raw.spec.selector.as_ref().filter(|s| !empty(s))),
            allowed: status.disruptions_allowed,
            disrupted: status.disrupted_pods.unwrap_or_default(),
        };
        self.0.entry(stored.key.namespace.clone()).or_default().insert(stored.key.name.clone(), budget);
        Ok(())
    }

    /// Takes out a budget.
    pub fn remove(&mut self, namespace: &str, name: &str) {
        if let Some(all) = self.0.get_mut(namespace) {
            all.remove(name);
            if all.is_empty() {
                self.0.remove(namespace);
            }
        }
    }

    /// Whether a pod has to go against a budget, after those that were taken before it.
    pub fn take(&self, namespace: &Arc<str>, pod: &str, labels: &Labels, left: &mut Allowances) -> bool {
        for (name, budget) in self.0.get(namespace).into_iter().flatten() {
            if budget.disrupted.contains_key(pod) || !budget.selector.matches(labels) {
                continue;
            }
            let left = left.0.entry((namespace.clone(), name.clone())).or_insert(budget.allowed);
            *left = left.saturating_sub(1);
            if *left < 0 {
                return true;
            }
        }
        false
    }

    /// Whether there is none in a namespace.
    pub fn is_without(&self, namespace: &str) -> bool {
        !self.0.contains_key(namespace)
    }
}
