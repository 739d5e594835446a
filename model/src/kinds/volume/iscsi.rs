//! Volumes that are reached over iSCSI.
use super::disks::unit;
use super::place::Use;
use crate::error::Cause;
use crate::kinds::fields::{Checks, flag, int, text};
use serde_json::Value;
use std::fmt::Display;

/// Most characters of a volume's name and its portal together, of which the name of an interface is made.
const INTERFACE_MAX: usize = 64;

/// An iSCSI source at `path`.
pub(super) fn validate(checks: &mut Checks, path: &dyn Display, source: &Value, of: Use<'_>) {
    let (portal, initiator) = (text(source, "targetPortal"), source.get("initiatorName").and_then(Value::as_str));
    let volume = match of {
        Use::Volume(name) => name,
        Use::Inline => "",
    };
    if initiator.is_some() && volume.len() + 1 + portal.len() > INTERFACE_MAX {
        let why = "Total length of <volume name>:<iscsi.targetPortal> must be under 64 characters if iscsi.initiatorName is specified.";
        checks.add(Cause::invalid(format_args!("{path}.targetportal"), &portal.into(), why));
    }
    let target = text(source, "iqn");
    checks.filled(format_args!("{path}.iqn"), target);
    if !target.is_empty() && !is_name(target) {
        checks.add(Cause::invalid(format_args!("{path}.iqn"), &target.into(), "must be valid format"));
    }
    unit(checks, &format_args!("{path}.lun"), int(source, "lun").unwrap_or_default());
    let secret = source.get("secretRef");
    if (flag(source, "chapAuthDiscovery") || flag(source, "chapAuthSession")) && secret.is_none() {
        checks.required(format_args!("{path}.secretRef"), "");
    }
    secret.into_iter().for_each(|secret| checks.filled(format_args!("{path}.secretRef.name"), text(secret, "name")));
    if let Some(name) = initiator.filter(|name| !is_name(name)) {
        checks.add(Cause::invalid(format_args!("{path}.initiatorname"), &name.into(), "must be valid format"));
    }
}

/// Whether a text names an initiator or a target, in one of the three forms that there are.
fn is_name(name: &str) -> bool {
    let numbered = |rest: &str, digits: usize| {
        let mut rest = rest.chars();
        let (any, number) = (rest.next(), rest.as_str());
        any.is_some_and(|c| c != '\n') && number.len() == digits && number.bytes().all(|b| b.is_ascii_alphanumeric())
    };
    if let Some(rest) = name.strip_prefix("eui") {
        return numbered(rest, 16);
    }
    if let Some(rest) = name.strip_prefix("naa") {
        return numbered(rest, 32);
    }
    name.strip_prefix("iqn.").and_then(qualified).is_some()
}

/// `2001-04.com.example:storage`: a month, a domain that was its owner's then, and a name within.
fn qualified(rest: &str) -> Option<()> {
    let (month, rest) = rest.split_once('.')?;
    let (year, number) = month.split_once('-')?;
    let digits = |text: &str, count: usize| text.len() == count && text.bytes().all(|b| b.is_ascii_digit());
    let (domain, unique) = rest.split_once(':')?;
    let domain = !domain.is_empty() && domain.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.'));
    let unique = !unique.is_empty() && !unique.contains([',', ';', '*', '&', '$', '|', ' ', '\t', '\n', '\r', '\u{c}']);
    (digits(year, 4) && digits(number, 2) && domain && unique).then_some(())
}
