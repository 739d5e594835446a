//! What a persistent volume is made of.
use super::amount::whole;
use super::place::Use;
use super::{modes, sources};
use crate::error::Cause;
use crate::kinds::fields::{Checks, map, text};
use crate::kinds::pod;
use crate::names;
use crate::quantity::Quantity;
use serde_json::Value;
use std::fmt::Display;

const RECLAIM: [&str; 3] = ["Delete", "Recycle", "Retain"];
const INLINE: &str = "in the context of inline volumes";

/// The spec of a volume at `path`.
pub(in crate::kinds) fn validate(checks: &mut Checks, path: &dyn Display, spec: &Value, of: Use<'_>) {
    let inline = matches!(of, Use::Inline);
    if inline {
        only_inline(checks, path, spec);
    }
    modes::access(checks, path, spec, "");
    if !inline {
        capacity(checks, &format_args!("{path}.capacity"), spec);
    }
    reclaim(checks, &format_args!("{path}.persistentVolumeReclaimPolicy"), text(spec, "persistentVolumeReclaimPolicy"), inline);
    match spec.get("nodeAffinity") {
        Some(_) if inline => checks.add(Cause::forbidden(format_args!("{path}.nodeAffinity"), format!("may not be specified {INLINE}"))),
        Some(affinity) => match affinity.get("required") {
            Some(required) => pod::node_selector(checks, &format_args!("{path}.nodeAffinity.required"), required),
            None => checks.required(format_args!("{path}.nodeAffinity.required"), "must specify required node constraints"),
        },
        None => {}
    }
    sources::validate(checks, path, spec, of);
    classes(checks, path, spec, inline);
}

fn only_inline(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    if spec.get("claimRef").is_some() {
        checks.add(Cause::forbidden(format_args!("{path}.claimRef"), format!("may not be specified {INLINE}")));
    }
    if map(spec, "capacity").is_some_and(|capacity| !capacity.is_empty()) {
        checks.add(Cause::forbidden(format_args!("{path}.capacity"), format!("may not be specified {INLINE}")));
    }
    if spec.get("csi").is_none() {
        checks.required(format_args!("{path}.csi"), &format!("has to be specified {INLINE}"));
    }
}

/// A volume has one size.
fn capacity(checks: &mut Checks, path: &dyn Display, spec: &Value) {
    let given = map(spec, "capacity").filter(|capacity| !capacity.is_empty());
    if given.is_none() {
        checks.required(path, "");
    }
    if given.is_none_or(|capacity| !capacity.contains_key("storage") || capacity.len() > 1) {
        checks.add(Cause::not_supported(path, spec.get("capacity").unwrap_or(&Value::Null), &["storage"]));
    }
    for (name, value) in given.into_iter().flatten() {
        let Ok(amount) = Quantity::from_json(value) else { continue };
        let path = format_args!("{path}[{name}]");
        if amount.value() < 0 {
            checks.add(Cause::invalid(path, &whole(&amount), "must be a valid resource quantity"));
        }
        if amount.is_negative() || amount.is_zero() {
            checks.add(Cause::invalid(path, &amount.to_string().into(), "must be greater than zero"));
        }
    }
}

fn reclaim(checks: &mut Checks, path: &dyn Display, policy: &str, inline: bool) {
    match policy {
        "" => {}
        "Retain" if inline => {}
        _ if inline => checks.add(Cause::forbidden(path, format!("may only be Retain {INLINE}"))),
        policy => checks.choice(path, Some(&policy.into()), &RECLAIM),
    }
}

fn classes(checks: &mut Checks, path: &dyn Display, spec: &Value, inline: bool) {
    let (class_path, class) = (format_args!("{path}.storageClassName"), text(spec, "storageClassName"));
    match class {
        "" => {}
        _ if inline => checks.add(Cause::forbidden(class_path, format!("may not be specified {INLINE}"))),
        class => checks.all(class_path, class, names::dns_subdomain(class)),
    }
    let (mode_path, mode) = (format_args!("{path}.volumeMode"), spec.get("volumeMode"));
    match mode.and_then(Value::as_str) {
        Some(mode) if inline && mode != "Filesystem" => {
            checks.add(Cause::forbidden(mode_path, format!("may not specify volumeMode other than Filesystem {INLINE}")));
        }
        _ if inline => {}
        _ => checks.choice(mode_path, mode, &modes::VOLUME),
    }
    // an attachment's volume is checked without the class of its attributes
    if let Some(class) = spec.get("volumeAttributesClassName").and_then(Value::as_str).filter(|_| !inline) {
        let class_path = format_args!("{path}.volumeAttributesClassName");
        match class {
            "" => checks.required(class_path, "an empty string is disallowed"),
            class => checks.all(class_path, class, names::dns_subdomain(class)),
        }
        if spec.get("csi").is_none() {
            checks.required(format_args!("{path}.csi"), "has to be specified when using volumeAttributesClassName");
        }
    }
}
