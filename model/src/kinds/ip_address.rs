//! IPAddresses and ServiceCIDRs: where the addresses of Services come from.
use super::fields::{Checks, keep};
use crate::addresses;
use crate::error::Cause;
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};
use std::net::IpAddr;

/// The rules of IPAddresses.
pub static ADDRESS: Address = Address;
/// The rules of ServiceCIDRs.
pub static RANGE: Range = Range;

/// The rules of IPAddresses.
pub struct Address;

impl Strategy for Address {
    fn name_errors(&self, name: &str) -> Vec<String> {
        match name.parse::<IpAddr>() {
            Ok(ip) if ip.to_string() == name => Vec::new(),
            Ok(_) => vec!["must be a canonical format IP address".to_owned()],
            Err(_) => vec!["must be a valid IP address in canonical form, (e.g. 10.9.8.7 or 2001:db8::ffff)".to_owned()],
        }
    }
}

/// The rules of ServiceCIDRs.
pub struct Range;

impl Strategy for Range {
    fn prepare_create(&self, range: &mut Object) {
        range.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn validate(&self, range: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let ranges = range.list_at(&["spec", "cidrs"]);
        let list = Value::Array(ranges.to_vec());
        if ranges.is_empty() {
            checks.required("spec.cidrs", "at least one CIDR required");
        }
        if ranges.len() > 2 {
            checks.add(Cause::invalid("spec.cidrs", &list, "may only hold up to 2 values"));
            return checks.0;
        }
        let text = |i: usize| ranges.get(i).and_then(Value::as_str).unwrap_or_default();
        for i in 0..ranges.len() {
            checks.all(format_args!("spec.cidrs[{i}]"), text(i), addresses::cidr(text(i)));
        }
        if ranges.len() == 2 && text(0).contains(':') == text(1).contains(':') {
            checks.add(Cause::invalid("spec.cidrs", &list, "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/96"));
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.immutable("spec.cidrs", new.at(&["spec", "cidrs"]), old.at(&["spec", "cidrs"]));
        checks.0
    }
}
