//! The addresses that Services have, and the ranges that they are taken from.
use crate::addresses::{canonical_cidr, canonical_ip, parse_cidr};
use crate::error::Cause;
use crate::kinds::fields::{Checks, keep};
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const CIDRS: &str = "spec.cidrs";

/// The rules of IPAddresses.
pub(in crate::kinds) static IP_ADDRESS: IpAddress = IpAddress;
/// The rules of ServiceCIDRs.
pub(in crate::kinds) static SERVICE_CIDR: ServiceCidr = ServiceCidr;

/// The rules of IPAddresses.
pub(in crate::kinds) struct IpAddress;
/// The rules of ServiceCIDRs.
pub(in crate::kinds) struct ServiceCidr;

impl Strategy for IpAddress {
    fn name_errors(&self, name: &str) -> Vec<String> {
        canonical_ip(name)
    }
}

fn cidrs(range: &Object) -> Vec<&str> {
    range.list_at(&["spec", "cidrs"]).iter().filter_map(Value::as_str).collect()
}

impl Strategy for ServiceCidr {
    fn prepare_create(&self, range: &mut Object) {
        range.set(&["status"], json!({}));
    }
    fn prepare_update(&self, new: &mut Object, old: &Object) {
        keep(new, old, "status");
    }
    fn status_has_metadata(&self) -> bool {
        false
    }
    fn validate(&self, range: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let given = cidrs(range);
        match given.len() {
            0 => checks.required(CIDRS, "at least one CIDR required"),
            1 | 2 => {
                given.iter().enumerate().for_each(|(i, cidr)| checks.all(format_args!("{CIDRS}[{i}]"), cidr, canonical_cidr(cidr)));
                let families: Vec<bool> = given.iter().filter_map(|cidr| parse_cidr(cidr)).map(|(ip, _)| ip.is_ipv4()).collect();
                if matches!(families[..], [first, second] if first == second) {
                    let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
                    checks.add(Cause::invalid(CIDRS, &json!(given), why));
                }
            }
            _ => checks.add(Cause::invalid(CIDRS, &json!({ "CIDRs": given }), "may only hold up to 2 values")),
        }
        checks.0
    }
    /// A range of the other family may come, and nothing may go.
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        let (after, before, why) = (cidrs(new), cidrs(old), "field is immutable");
        match (before.len(), after.len()) {
            (old, new) if old == new || (old, new) == (1, 2) => {
                for (i, (new, _)) in after.iter().zip(&before).enumerate().filter(|(_, (new, old))| new != old) {
                    checks.add(Cause::invalid(format_args!("{CIDRS}[{i}]"), &(*new).into(), why));
                }
            }
            _ => checks.add(Cause::invalid(CIDRS, &json!(after), why)),
        }
        checks.0
    }
}
