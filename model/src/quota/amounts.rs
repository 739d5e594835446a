//! Amounts by the name of their resource.
use crate::quantity::Quantity;
use serde_json::{Map, Value};
use std::collections::BTreeMap;

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
    pub fn add(&mut self, name: &str, amount: Quantity) {
        *self.0.entry(name.to_owned()).or_insert(Quantity::ZERO) += amount;
    }

    /// Adds each amount of `other`.
    pub fn add_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, amount)| self.add(name, *amount));
    }

    /// Takes each amount of `other` away.
    pub fn subtract_all(&mut self, other: &Self) {
        other.0.iter().for_each(|(name, amount)| self.add(name, -*amount));
    }

    /// Raises each amount to that of `other`.
    pub fn raise_to(&mut self, other: &Self) {
        for (name, amount) in &other.0 {
            let own = self.0.entry(name.clone()).or_insert(*amount);
            *own = (*own).max(*amount);
        }
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
