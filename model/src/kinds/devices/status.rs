//! The status of a claim: which devices it has, and what drivers say of them.
use super::parts;
use crate::addresses;
use crate::error::Cause;
use crate::kinds::fields::{Checks, items, list, text};
use crate::kinds::{conditions, pod};
use crate::names;
use crate::object::Object;
use serde_json::Value;
use std::collections::HashSet;
use std::fmt::Display;

const CONDITIONS_MAX: usize = 8;

/// What is wrong with a reference to a request of the claim.
type Reference<'a> = &'a dyn Fn(&mut Checks, &dyn Display, &str);
/// A driver, a pool, a device, and the share of it.
type Device<'a> = [&'a str; 4];

fn device(of: &Value) -> Device<'_> {
    ["driver", "pool", "device", "shareID"].map(|field| text(of, field))
}

/// The devices that a claim has.
fn allocated(claim: &Object) -> HashSet<Device<'_>> {
    claim.list_at(&["status", "allocation", "devices", "results"]).iter().map(device).collect()
}

/// Forgets what was said of devices that the claim hasn't any more.
pub(super) fn drop_released(new: &mut Object, old: &Object) {
    let kept: HashSet<[String; 4]> = allocated(new).into_iter().map(|id| id.map(str::to_owned)).collect();
    let released: Vec<Device<'_>> = allocated(old).into_iter().filter(|id| !kept.contains(&id.map(str::to_owned))).collect();
    if released.is_empty() {
        return;
    }
    if let Some(devices) = new.at_mut(&["status", "devices"]).and_then(Value::as_array_mut) {
        devices.retain(|one| !released.contains(&device(one)));
        if devices.is_empty() {
            new.remove(&["status", "devices"]);
        }
    }
}

/// What of a changed status is refused.
pub(super) fn validate(new: &Object, old: &Object, reference: Reference<'_>) -> Vec<Cause> {
    let mut checks = Checks::default();
    let status = new.at(&["status"]).unwrap_or(&Value::Null);
    for (path, consumer) in items(status, &"status", "reservedFor") {
        ["resource", "name", "uid"].iter().for_each(|field| checks.filled(format_args!("{path}.{field}"), text(consumer, field)));
    }
    let devices = allocated(new);
    for (path, one) in items(status, &"status", "devices") {
        said(&mut checks, &path, one, &devices);
    }
    let (consumers, allocation) = (list(status, "reservedFor"), status.get("allocation"));
    let added = || consumers.iter().any(|consumer| !old.list_at(&["status", "reservedFor"]).contains(consumer));
    if !consumers.is_empty() && allocation.is_none() {
        checks.add(Cause::forbidden("status.reservedFor", "may not be specified when `allocated` is not set"));
    } else if new.deletion_timestamp().is_some() && added() {
        let why = "new entries may not be added while `deallocationRequested` or `deletionTimestamp` are set";
        checks.add(Cause::forbidden("status.reservedFor", why));
    }
    if let Some(allocation) = allocation.filter(|_| old.at(&["status", "allocation"]).is_none()) {
        allocate(&mut checks, allocation, reference);
    }
    checks.0
}

/// What the scheduler has chosen.
fn allocate(checks: &mut Checks, allocation: &Value, reference: Reference<'_>) {
    let path = "status.allocation";
    if let Some(selector) = allocation.get("nodeSelector") {
        pod::node_selector(checks, &format_args!("{path}.nodeSelector"), selector);
    }
    let (path, devices) = (format_args!("{path}.devices"), allocation.get("devices").unwrap_or(&Value::Null));
    for (path, result) in items(devices, &path, "results") {
        let name = text(result, "device");
        reference(checks, &format_args!("{path}.request"), text(result, "request"));
        checks.all(format_args!("{path}.device"), name, names::dns_label(name));
        parts::binding(checks, &path, result);
        parts::tolerations(checks, &path, result);
    }
    for (path, config) in items(devices, &path, "config") {
        for (path, name) in items(config, &path, "requests") {
            reference(checks, &path, name.as_str().unwrap_or_default());
        }
        parts::configuration(checks, &path, config);
    }
}

/// What a driver says of a device.
fn said(checks: &mut Checks, path: &dyn Display, of: &Value, devices: &HashSet<Device<'_>>) {
    let id = device(of);
    let [driver, pool, name, _] = id;
    checks.name(format_args!("{path}.driver"), driver, |name| names::dns_subdomain(&name.to_ascii_lowercase()));
    checks.name(format_args!("{path}.pool"), pool, |pool| pool.split('/').flat_map(names::dns_subdomain).collect());
    checks.all(format_args!("{path}.device"), name, names::dns_label(name));
    if !devices.contains(&id) {
        let given = id.iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/");
        checks.add(Cause::invalid(path, &given.into(), "must be an allocated device in the claim"));
    }
    let said = list(of, "conditions").len();
    if said > CONDITIONS_MAX {
        checks.add(Cause::too_many(format_args!("{path}.conditions"), said, CONDITIONS_MAX));
    }
    for (path, condition) in items(of, path, "conditions") {
        conditions::validate(checks, &path, condition);
    }
    if let Some(data) = of.get("data") {
        parts::parameters(checks, &format_args!("{path}.data"), Some(data));
    }
    let network = of.get("networkData").unwrap_or(&Value::Null);
    for (path, ip) in items(network, &format_args!("{path}.networkData"), "ips") {
        interface(checks, &path, ip.as_str().unwrap_or_default());
    }
}

/// An address of an interface, with the length of its network's prefix.
fn interface(checks: &mut Checks, path: &dyn Display, text: &str) {
    let Some((ip, length)) = addresses::parse_cidr(text) else {
        let why = "must be a valid address in CIDR form, (e.g. 10.9.8.7/24 or 2001:db8::1/64)";
        return checks.add(Cause::invalid(path, &text.into(), why));
    };
    let canonical = format!("{ip}/{length}");
    if canonical != text {
        checks.add(Cause::invalid(path, &text.into(), format_args!("must be in canonical form ({canonical:?})")));
    }
}
