//! Amounts by the name of their resource, as objects hold them.
use crate::kinds::pod::is_huge;
use crate::object::Object;
use crate::placement::at_once::{Amount, Part, at_once};
use crate::quantity::Quantity;
use serde_json::{Map, Value};
use std::collections::BTreeMap;
use std::convert::Infallible;

/// Amounts by the name of their resource.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResourceList(pub BTreeMap<String, Quantity>);

impl ResourceList {
    /// From what an object holds. What isn't a quantity is left out.
    pub fn of(value: Option<&Value>) -> Self {
        let all = value.and_then(Value::as_object).into_iter().flatten();
        Self(all.filter_map(|(name, amount)| Some((name.clone(), Quantity::from_json(amount).ok()?))).collect())
    }

    /// As an object holds them.
    pub fn to_json(&self) -> Map<String, Value> {
        self.0.iter().map(|(name, amount)| (name.clone(), amount.to_string().into())).collect()
    }

    /// One amount; nothing where there is none.
    pub fn get(&self, name: &str) -> Quantity {
        self.0.get(name).copied().unwrap_or(Quantity::ZERO)
    }

    /// Adds to one amount.
    pub fn add_one(&mut self, name: &str, amount: Quantity) {
        *self.0.entry(name.to_owned()).or_insert(Quantity::ZERO) += amount;
    }

    /// Takes each amount of `other` away.
    pub fn subtract_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, amount)| self.add_one(name, -*amount));
    }

    /// Without those that are nothing.
    #[must_use]
    pub fn without_zeros(mut self) -> Self {
        self.0.retain(|_, amount| !amount.is_zero());
        self
    }

    /// Those that `wanted` names.
    #[must_use]
    pub fn only(&self, wanted: impl Fn(&str) -> bool) -> Self {
        Self(self.0.iter().filter(|(name, _)| wanted(name)).map(|(name, amount)| (name.clone(), *amount)).collect())
    }

    /// As messages have them: `cpu=1,pods=2`.
    pub fn text(&self) -> String {
        self.0.iter().map(|(name, amount)| format!("{name}={amount}")).collect::<Vec<_>>().join(",")
    }
}

impl Amount for ResourceList {
    fn add(&mut self, more: &Self) {
        more.0.iter().for_each(|(name, amount)| self.add_one(name, *amount));
    }

    fn max(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let own = self.0.entry(name.clone()).or_insert(*amount);
            *own = (*own).max(*amount);
        }
    }
}

/// All `requests` of a pod's containers, or all `limits`, by what `own` says of one of them, which stands in a list of this name. What is said of the whole pod
/// counts in place of its parts.
pub fn of_pod(pod: &Object, which: &str, own: impl Fn(&str, &Value) -> ResourceList) -> ResourceList {
    let list = |name: &'static str| pod.list_at(&["spec", name]).iter().map(move |container| (name, container));
    let part = |name: &str, container: &Value| match name {
        "containers" => Part::Main,
        _ if container["restartPolicy"] == "Always" => Part::Sidecar,
        _ => Part::Init,
    };
    let all = list("initContainers").chain(list("containers"));
    let Ok(mut all) = at_once::<_, Infallible>(all.map(|(name, container)| (part(name, container), Ok(own(name, container)))));
    let whole = ResourceList::of(pod.at(&["spec", "resources", which]));
    all.0.extend(whole.0.into_iter().filter(|(name, _)| matches!(name.as_str(), "cpu" | "memory") || is_huge(name)));
    all
}
