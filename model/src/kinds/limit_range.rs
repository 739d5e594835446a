//! LimitRanges.
use super::fields::{Checks, fill, items, map, map_mut, text};
use super::pod;
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::strategy::Strategy;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashSet};
use std::fmt::Display;

/// Where amounts by resource are.
const FIELDS: [&str; 5] = ["max", "min", "default", "defaultRequest", "maxLimitRequestRatio"];
/// Of which amounts the first must not be larger than the second; where that is said, which of them is shown, and how they are called.
const ORDER: [(&str, &str, &str, &str, [&str; 2]); 6] = [
    ("min", "max", "min", "min", ["min", "max"]),
    ("min", "defaultRequest", "defaultRequest", "defaultRequest", ["min", "default request"]),
    ("defaultRequest", "max", "defaultRequest", "defaultRequest", ["default request", "max"]),
    ("defaultRequest", "default", "defaultRequest", "defaultRequest", ["default request", "default limit"]),
    ("min", "default", "default", "min", ["min", "default"]),
    ("default", "max", "default", "max", ["default", "max"]),
];

/// The rules of LimitRanges.
pub static LIMITS: LimitRange = LimitRange;

/// The rules of LimitRanges.
pub struct LimitRange;

impl Strategy for LimitRange {
    fn create_on_update(&self) -> bool {
        true
    }
    fn default(&self, range: &mut Object) {
        let Some(limits) = range.at_mut(&["spec", "limits"]).and_then(Value::as_array_mut) else { return };
        for limit in limits.iter_mut().filter(|l| text(l, "type") == "Container") {
            // what is asked for by default is the limit, and the limit the maximum, where nothing else is said
            for (key, from) in [("default", "max"), ("defaultRequest", "default"), ("defaultRequest", "min")] {
                let given = map(limit, from).cloned().unwrap_or_default();
                if given.is_empty() {
                    continue;
                }
                if let Some(amounts) = map_mut(limit, key) {
                    given.into_iter().for_each(|(resource, amount)| fill(amounts, &resource, amount));
                }
            }
        }
    }
    fn validate(&self, range: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let mut types = HashSet::new();
        for (path, limit) in items(range.at(&["spec"]).unwrap_or(&Value::Null), &"spec", "limits") {
            let kind = text(limit, "type");
            type_name(&mut checks, &format_args!("{path}.type"), kind);
            checks.unique(format_args!("{path}.type"), &kind.into(), &mut types);
            let item = Item { path: &path, limit, kind };
            item.names(&mut checks);
            if kind == "PersistentVolumeClaim" && limit.pointer("/min/storage").is_none() && limit.pointer("/max/storage").is_none() {
                checks.required(format_args!("{path}.limits"), "either minimum or maximum storage value is required, but neither was provided");
            }
            let resources: BTreeSet<&String> = FIELDS.iter().filter_map(|field| item.amounts(field)).flat_map(Map::keys).collect();
            resources.into_iter().for_each(|resource| item.order(&mut checks, resource));
        }
        checks.0
    }
}

fn type_name(checks: &mut Checks, path: &dyn Display, kind: &str) {
    let errors = names::qualified_name(kind);
    if errors.is_empty() && !kind.contains('/') && !matches!(kind, "Container" | "PersistentVolumeClaim" | "Pod") {
        checks.add(Cause::invalid(path, &kind.into(), "must be a standard limit type or fully qualified"));
    }
    checks.all(path, kind, errors);
}

/// The limits of one type of things.
struct Item<'a> {
    path: &'a dyn Display,
    limit: &'a Value,
    kind: &'a str,
}

impl<'a> Item<'a> {
    /// The amounts of a field; what pods have nothing to do with is refused, and not looked at.
    fn amounts(&self, field: &str) -> Option<&'a Map<String, Value>> {
        let none = self.kind == "Pod" && matches!(field, "default" | "defaultRequest");
        map(self.limit, field).filter(|_| !none)
    }
    fn amount(&self, field: &str, resource: &str) -> Option<Quantity> {
        self.amounts(field)?.get(resource).and_then(|v| Quantity::from_json(v).ok())
    }
    /// Which resources can be limited.
    fn names(&self, checks: &mut Checks) {
        for field in FIELDS {
            let path = format_args!("{}.{field}", self.path);
            if self.amounts(field).is_none() && map(self.limit, field).is_some_and(|given| !given.is_empty()) {
                checks.add(Cause::forbidden(path, "may not be specified when `type` is 'Pod'"));
            }
            for resource in self.amounts(field).into_iter().flat_map(Map::keys) {
                let path = format_args!("{path}[{resource}]");
                match self.kind {
                    "Pod" | "Container" => pod::container_name(checks, &path, resource),
                    _ => pod::standard_name(checks, &path, resource),
                }
            }
        }
    }
    /// The least, the default and the largest amount of a resource are in this order.
    fn order(&self, checks: &mut Checks, resource: &str) {
        for (less, more, at, shown, words) in ORDER {
            let (Some(a), Some(b)) = (self.amount(less, resource), self.amount(more, resource)) else { continue };
            if a > b {
                let given = if shown == less { &a } else { &b }.to_string();
                let why = format!("{} value {a} is greater than {} value {b}", words[0], words[1]);
                checks.add(Cause::invalid(format_args!("{}.{at}[{resource}]", self.path), &given.into(), why));
            }
        }
        self.ratio(checks, resource);
        if let (Some(limit), Some(asked)) = (self.amount("default", resource), self.amount("defaultRequest", resource))
            && limit != asked
            && !pod::may_overcommit(resource)
        {
            let why = format!("default value {limit} must equal to defaultRequest value {asked} in {resource}");
            checks.add(Cause::invalid(format_args!("{}.defaultRequest[{resource}]", self.path), &asked.to_string().into(), why));
        }
    }
    /// How much more than it asks for something may use.
    fn ratio(&self, checks: &mut Checks, resource: &str) {
        let Some(ratio) = self.amount("maxLimitRequestRatio", resource) else { return };
        let path = format_args!("{}.maxLimitRequestRatio[{resource}]", self.path);
        let given = Value::from(ratio.to_string());
        if ratio < Quantity::from_value(1) {
            checks.add(Cause::invalid(path, &given, format_args!("ratio {ratio} is less than 1")));
        }
        if let (Some(least), Some(most)) = (self.amount("min", resource), self.amount("max", resource)) {
            let limit = most.milli() as f64 / least.milli() as f64;
            if ratio.milli() as f64 / 1000.0 > limit {
                checks.add(Cause::invalid(path, &given, format_args!("ratio {ratio} is greater than max/min = {limit:.6}")));
            }
        }
    }
}
