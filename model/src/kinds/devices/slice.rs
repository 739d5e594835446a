//! ResourceSlices: the devices of a pool.
use super::{capacity, features, parts};
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, int, items, list, map, text};
use crate::kinds::pod;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Map, Value};
use std::fmt::Display;

/// Most devices of a slice that have taints or share counters.
const DEVICES_MAX: usize = 64;
const COUNTERS_MAX: usize = 32;
const TAINTS_MAX: usize = 16;
const NAMED_MAX: usize = 32;
const VALUES_MAX: usize = 48;
const VALUE_BYTES: usize = 64;

/// The rules of ResourceSlices.
pub(in crate::kinds) static SLICE: Slice = Slice;

/// The rules of ResourceSlices.
pub(in crate::kinds) struct Slice;

impl Strategy for Slice {
    fn prepare_create(&self, slice: &mut Object) {
        features::drop(slice, None, "spec");
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        features::drop(new, Some(old), "spec");
    }
    fn validate(&self, slice: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let spec = slice.at(&["spec"]).unwrap_or(&Value::Null);
        let pool = spec.get("pool").unwrap_or(&Value::Null);
        for (field, least, why) in [("resourceSliceCount", 1, "must be greater than zero"), ("generation", 0, "must be greater than or equal to zero")] {
            let n = int(pool, field).unwrap_or_default();
            if n < least {
                checks.add(Cause::invalid(format_args!("spec.pool.{field}"), &n.into(), why));
            }
        }
        nodes(&mut checks, spec);
        if spec.get("sharedCounters").is_some() && spec.get("devices").is_some() {
            checks.add(Cause::invalid("spec", &"".into(), "only one of `sharedCounters` or `devices` is allowed"));
        }
        let devices = list(spec, "devices");
        let advanced = |device: &Value| !list(device, "taints").is_empty() || !list(device, "consumesCounters").is_empty();
        if devices.len() > DEVICES_MAX && devices.iter().any(advanced) {
            checks.add(Cause::too_many("spec.devices", devices.len(), DEVICES_MAX));
        } else {
            for (path, device) in items(spec, &"spec", "devices") {
                self::device(&mut checks, &path, device, flag(spec, "perDeviceNodeSelection"));
            }
        }
        for (path, set) in items(spec, &"spec", "sharedCounters") {
            counters(&mut checks, &path, set);
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let name = |slice: &'_ Object| slice.at(&["spec", "pool", "name"]).cloned();
        checks.immutable("spec.pool.name", name(new).as_ref(), name(old).as_ref());
        checks.0
    }
}

fn counters(checks: &mut Checks, path: &dyn Display, of: &Value) {
    let n = map(of, "counters").map_or(0, Map::len);
    if n > COUNTERS_MAX {
        checks.add(Cause::too_many(format_args!("{path}.counters"), n, COUNTERS_MAX));
    }
}

/// From which nodes a slice's devices can be reached: that is said in one way.
fn nodes(checks: &mut Checks, spec: &Value) {
    let mut set = Vec::new();
    match spec.get("nodeName").and_then(Value::as_str) {
        Some("") => checks.add(Cause::invalid("spec.nodeName", &"".into(), "must be either unset or set to a non-empty string")),
        Some(_) => set.push("`nodeName`"),
        None => {}
    }
    if let Some(selector) = spec.get("nodeSelector") {
        set.push("`nodeSelector`");
        pod::node_selector(checks, &"spec.nodeSelector", selector);
        let terms = list(selector, "nodeSelectorTerms");
        if terms.len() != 1 {
            let why = "must have exactly one node selector term";
            checks.add(Cause::invalid("spec.nodeSelector.nodeSelectorTerms", &terms.to_vec().into(), why));
        }
    }
    for (field, named) in [("allNodes", "`allNodes`"), ("perDeviceNodeSelection", "`perDeviceNodeSelection`")] {
        match spec.get(field).and_then(Value::as_bool) {
            Some(true) => set.push(named),
            Some(false) => checks.add(Cause::invalid(format_args!("spec.{field}"), &false.into(), "must be either unset or set to true")),
            None => {}
        }
    }
    let why = "exactly one of `nodeName`, `nodeSelector`, `allNodes`, `perDeviceNodeSelection` is required";
    match set.len() {
        0 => checks.required("spec", why),
        1 => {}
        _ => checks.add(Cause::invalid("spec", &format!("{{{}}}", set.join(", ")).into(), format_args!("{why}, but multiple fields are set"))),
    }
}

fn device(checks: &mut Checks, path: &dyn Display, device: &Value, by_device: bool) {
    let (attributes, capacities) = (map(device, "attributes"), map(device, "capacity"));
    let named = attributes.map_or(0, Map::len) + capacities.map_or(0, Map::len);
    if named > NAMED_MAX {
        let why = format_args!("the total number of attributes and capacities must not exceed {NAMED_MAX}");
        checks.add(Cause::invalid(path, &named.into(), why));
    }
    let values: usize = attributes.into_iter().flat_map(Map::values).map(values).sum();
    if values > VALUES_MAX {
        checks.add(Cause::invalid(path, &values.into(), format_args!("the total number of attribute values must not exceed {VALUES_MAX}")));
    }
    parts::by_name(checks, &format_args!("{path}.attributes"), attributes, attribute);
    let shared = flag(device, "allowMultipleAllocations");
    parts::by_name(checks, &format_args!("{path}.capacity"), capacities, |checks, path, value| capacity::validate(checks, path, value, shared));
    let taints = list(device, "taints").len();
    if taints > TAINTS_MAX {
        checks.add(Cause::too_many(format_args!("{path}.taints"), taints, TAINTS_MAX));
    }
    for (path, consumption) in items(device, path, "consumesCounters") {
        counters(checks, &path, consumption);
    }
    nodes_of_device(checks, path, device, by_device);
    parts::binding(checks, path, device);
}

const LISTS: [&str; 4] = ["bools", "ints", "strings", "versions"];

/// How many values an attribute has.
fn values(attribute: &Value) -> usize {
    LISTS.iter().map(|field| list(attribute, field).len()).sum::<usize>().max(1)
}

fn attribute(checks: &mut Checks, path: &dyn Display, attribute: &Value) {
    if text(attribute, "string").len() > VALUE_BYTES {
        checks.add(Cause::too_long(format_args!("{path}.string"), VALUE_BYTES));
    }
    if let Some(version) = attribute.get("version").and_then(Value::as_str) {
        self::version(checks, &format_args!("{path}.version"), version);
    }
    for field in LISTS {
        if attribute.get(field).and_then(Value::as_array).is_some_and(Vec::is_empty) {
            checks.add(Cause::invalid(format_args!("{path}.{field}"), &Value::Array(Vec::new()), "must not be empty if specified"));
        }
    }
    for (path, version) in items(attribute, path, "versions") {
        self::version(checks, &path, version.as_str().unwrap_or_default());
    }
}

fn version(checks: &mut Checks, path: &dyn Display, version: &str) {
    if !is_semantic(version) {
        checks.add(Cause::invalid(path, &version.into(), "must be a string compatible with semver.org spec 2.0.0"));
    }
    if version.len() > VALUE_BYTES {
        checks.add(Cause::too_long(path, VALUE_BYTES));
    }
}

/// Whether a text is a semantic version: `1.2.3-alpha.1+build`.
fn is_semantic(version: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
    let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let earlier = |part: &str| word(part) && (number(part) || !part.bytes().all(|b| b.is_ascii_digit()));
    let (rest, build) = version.split_once('+').map_or((version, None), |(rest, build)| (rest, Some(build)));
    let (core, pre) = rest.split_once('-').map_or((rest, None), |(core, pre)| (core, Some(pre)));
    core.split('.').count() == 3
        && core.split('.').all(number)
        && pre.is_none_or(|pre| pre.split('.').all(earlier))
        && build.is_none_or(|build| build.split('.').all(word))
}

/// From which nodes a device can be reached, where each device of a slice says that.
fn nodes_of_device(checks: &mut Checks, path: &dyn Display, device: &Value, by_device: bool) {
    let (name, selector, all) = (device.get("nodeName").and_then(Value::as_str), device.get("nodeSelector"), device.get("allNodes").and_then(Value::as_bool));
    if !by_device {
        if name.is_some() || selector.is_some() || all.is_some() {
            let why = "`nodeName`, `nodeSelector` and `allNodes` can only be set if `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
            checks.add(Cause::invalid(path, &Value::Null, why));
        }
        return;
    }
    let mut set = Vec::new();
    match name {
        Some("") => checks.add(Cause::invalid(format_args!("{path}.nodeName"), &"".into(), "must not be empty")),
        Some(name) => {
            set.push("`nodeName`");
            checks.all(format_args!("{path}.nodeName"), name, names::dns_subdomain(name));
        }
        None => {}
    }
    if let Some(selector) = selector {
        set.push("`nodeSelector`");
        pod::node_selector(checks, &format_args!("{path}.nodeSelector"), selector);
    }
    match all {
        Some(true) => set.push("`allNodes`"),
        Some(false) => checks.add(Cause::invalid(format_args!("{path}.allNodes"), &false.into(), "must be either unset or set to true")),
        None => {}
    }
    let why = "exactly one of `nodeName`, `nodeSelector`, or `allNodes` is required when `perDeviceNodeSelection` is set to true in the ResourceSlice spec";
    match set.len() {
        0 => checks.required(path, why),
        1 => {}
        _ => checks.add(Cause::invalid(path, &format!("{{{}}}", set.join(", ")).into(), why)),
    }
}
