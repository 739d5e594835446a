//! StorageClasses and VolumeAttributesClasses: what volumes can be had.
use crate::error::Cause;
use crate::kinds::fields::{Checks, items, list, text, top_items};
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

/// Most parameters of a class.
const PARAMETERS_MAX: usize = 512;
/// Most bytes of all of them.
const PARAMETERS_BYTES: usize = 256 << 10;

/// The rules of StorageClasses.
pub(in crate::kinds) static CLASS: StorageClass = StorageClass;
/// The rules of VolumeAttributesClasses.
pub(in crate::kinds) static ATTRIBUTES_CLASS: VolumeAttributesClass = VolumeAttributesClass;

/// The rules of StorageClasses.
pub(in crate::kinds) struct StorageClass;
/// The rules of VolumeAttributesClasses.
pub(in crate::kinds) struct VolumeAttributesClass;

impl Strategy for StorageClass {
    fn validate(&self, class: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        driver(&mut checks, "provisioner", class.str_at(&["provisioner"]));
        parameters(&mut checks, class);
        let mut seen = Vec::new();
        for (path, term) in top_items(class, "allowedTopologies") {
            let topology = topology(&mut checks, &path, term);
            if seen.contains(&topology) {
                checks.add(Cause::duplicate(format_args!("{path}.matchLabelExpressions"), &"".into()));
            }
            seen.push(topology);
        }
        checks.0
    }
}

impl Strategy for VolumeAttributesClass {
    fn validate(&self, class: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        driver(&mut checks, "driverName", class.str_at(&["driverName"]));
        parameters(&mut checks, class);
        if class.at(&["parameters"]).and_then(Value::as_object).is_none_or(serde_json::Map::is_empty) {
            checks.required("parameters", "must contain at least one key/value pair");
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let fields = ["driverName", "parameters"].into_iter().filter(|field| new.at(&[field]) != old.at(&[field]));
        fields.map(|field| Cause::forbidden(field, format_args!("updates to {field} are forbidden."))).collect()
    }
}

/// The name of a driver; that it is there is declared.
fn driver(checks: &mut Checks, path: &str, name: &str) {
    checks.optional_name(path, &name.to_ascii_lowercase(), names::qualified_name);
}

fn parameters(checks: &mut Checks, class: &Object) {
    let given = class.at(&["parameters"]).and_then(Value::as_object);
    if given.is_some_and(|given| given.len() > PARAMETERS_MAX) {
        return checks.add(Cause::too_long("parameters", PARAMETERS_MAX));
    }
    if given.is_some_and(|given| given.contains_key("")) {
        checks.add(Cause::invalid("parameters", &"".into(), "field can not be empty."));
    }
    let bytes: usize = given.into_iter().flatten().map(|(key, value)| key.len() + value.as_str().map_or(0, str::len)).sum();
    if bytes > PARAMETERS_BYTES {
        checks.add(Cause::too_long("parameters", PARAMETERS_BYTES));
    }
}

/// Checks a term of labels, and returns the values by their keys.
fn topology<'a>(checks: &mut Checks, path: &dyn Display, term: &'a Value) -> BTreeMap<&'a str, BTreeSet<&'a str>> {
    let mut all = BTreeMap::new();
    for (path, expression) in items(term, path, "matchLabelExpressions") {
        let (key, values) = (text(expression, "key"), list(expression, "values"));
        if values.is_empty() {
            checks.required(format_args!("{path}.values"), "");
        }
        let mut seen = BTreeSet::new();
        for (i, value) in values.iter().filter_map(Value::as_str).enumerate() {
            if !seen.insert(value) {
                checks.add(Cause::duplicate(format_args!("{path}.values[{i}]"), &value.into()));
            }
        }
        checks.all(format_args!("{path}.key"), key, names::qualified_name(key));
        if all.insert(key, seen).is_some() {
            checks.add(Cause::duplicate(format_args!("{path}.key"), &key.into()));
        }
    }
    all
}
