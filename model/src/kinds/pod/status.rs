//! What is refused in a pod's status: the API conventions' rules, and what has ended stays ended.
use crate::error::Cause;
use crate::kinds::fields::{Checks, int, items, list, text};
use crate::object::Object;
use crate::{addresses, names};
use serde_json::{Value, json};
use std::fmt::Display;

/// Condition types whose names are older than the rule for them.
const SYSTEM_CONDITIONS: [&str; 3] = ["PodScheduled", "Ready", "Initialized"];

/// Brings `podIP` and `podIPs` together: clients older than the list write only the former, and where they differ it is what counts.
pub(super) fn settle_addresses(pod: &mut Object) {
    let (first, ip) = (pod.list_at(&["status", "podIPs"]).first().map(|ip| text(ip, "ip")), pod.str_at(&["status", "podIP"]));
    match (first, ip) {
        (None, "") => {}
        (Some(first), ip) if first == ip => {}
        (Some(first), "") => pod.set(&["status", "podIP"], first.to_owned()),
        (_, ip) => pod.set(&["status", "podIPs"], json!([{"ip": ip}])),
    }
}

/// `new` and `old` are the pods.
pub(super) fn validate(new: &Object, old: &Object) -> Vec<Cause> {
    let mut checks = Checks::default();
    let nothing = Value::Null;
    let (spec, status, before) = (old.at(&["spec"]).unwrap_or(&nothing), new.at(&["status"]).unwrap_or(&nothing), old.at(&["status"]).unwrap_or(&nothing));
    conditions(&mut checks, status);
    nominated(&mut checks, status, before, old);
    not_below_zero(&mut checks, &"status.observedGeneration", status);
    checks.immutable("status.qosClass", status.get("qosClass"), before.get("qosClass"));
    for (statuses, containers) in [("containerStatuses", "containers"), ("initContainerStatuses", "initContainers")] {
        ended(&mut checks, statuses, status, before, |name, code| restarts(spec, containers, name, code));
    }
    ended(&mut checks, "ephemeralContainerStatuses", status, before, |_, _| false);
    pod_ips(&mut checks, status, before);
    host_ips(&mut checks, status, before);
    checks.0
}

fn conditions(checks: &mut Checks, status: &Value) {
    for (path, condition) in items(status, &"status", "conditions") {
        not_below_zero(checks, &format_args!("{path}.observedGeneration"), condition);
        let kind = text(condition, "type");
        if !SYSTEM_CONDITIONS.contains(&kind) {
            checks.name(format_args!("{path}.Type"), kind, names::qualified_name);
        }
    }
}

fn not_below_zero(checks: &mut Checks, path: &dyn Display, of: &Value) {
    if let Some(generation) = int(of, "observedGeneration").filter(|g| *g < 0) {
        checks.add(Cause::invalid(path, &generation.into(), "must be a non-negative integer"));
    }
}

fn nominated(checks: &mut Checks, status: &Value, before: &Value, old: &Object) {
    let (path, name) = ("status.nominatedNodeName", text(status, "nominatedNodeName"));
    if name.is_empty() || name == text(before, "nominatedNodeName") {
        return;
    }
    checks.name(path, name, names::dns_subdomain);
    if !old.str_at(&["spec", "nodeName"]).is_empty() {
        checks.add(Cause::forbidden(path, "may not be set on pods that are already bound to a node"));
    }
}

/// Whether a container that ended with this code may run again.
fn restarts(spec: &Value, containers: &str, name: &str, code: i64) -> bool {
    let Some(container) = list(spec, containers).iter().find(|c| text(c, "name") == name) else { return false };
    match (text(container, "restartPolicy"), text(spec, "restartPolicy")) {
        ("Always", _) | ("", "Always" | "") => true,
        ("OnFailure", _) | ("", "OnFailure") => code != 0,
        _ => false,
    }
}

/// A container that has ended for good isn't said to wait or run again.
fn ended(checks: &mut Checks, key: &str, status: &Value, before: &Value, restarts: impl Fn(&str, i64) -> bool) {
    for (path, old) in items(before, &"status", key) {
        let Some(terminated) = old.get("state").and_then(|s| s.get("terminated")).filter(|t| !t.is_null()) else { continue };
        let name = text(old, "name");
        let new = list(status, key).iter().find(|s| text(s, "name") == name);
        let goes_on = new.is_some_and(|s| s.get("state").and_then(|s| s.get("terminated")).is_none_or(Value::is_null));
        if goes_on && !restarts(name, int(terminated, "exitCode").unwrap_or_default()) {
            checks.add(Cause::forbidden(format_args!("{path}.state"), "may not be transitioned to non-terminated state"));
        }
    }
}

/// The addresses of a list are valid, but for those that were there before, and at most one of each family.
fn addresses_of<'a>(checks: &mut Checks, path: &str, key: &str, status: &'a Value, before: &Value) -> Vec<&'a str> {
    let had: Vec<&str> = list(before, key).iter().map(|ip| text(ip, "ip")).collect();
    let ips: Vec<&str> = list(status, key).iter().map(|ip| text(ip, "ip")).collect();
    for (i, ip) in ips.iter().enumerate().filter(|(_, ip)| !had.contains(ip)) {
        checks.all(format_args!("{path}[{i}]"), ip, addresses::ip(ip));
    }
    let v6 = |ip: &&&str| addresses::parse_loose(ip).is_some_and(|ip| ip.is_ipv6());
    if ips.len() > 2 || (ips.len() == 2 && ips.iter().filter(v6).count() != 1) {
        checks.add(Cause::invalid(path, status.get(key).unwrap_or(&Value::Null), "may specify no more than one IP for each IP family"));
    }
    ips
}

fn pod_ips(checks: &mut Checks, status: &Value, before: &Value) {
    let (path, ip) = ("status.podIPs", text(status, "podIP"));
    let ips = addresses_of(checks, path, "podIPs", status, before);
    match ips.first() {
        None if ip.is_empty() => {}
        Some(first) if !ip.is_empty() => {
            if *first != ip {
                checks.add(Cause::invalid(format_args!("{path}[0].ip"), &(*first).into(), "must be equal to `podIP`"));
            }
        }
        _ => checks.add(Cause::invalid(path, status.get("podIPs").unwrap_or(&Value::Null), "podIP and podIPs must either both be set or both be unset")),
    }
}

fn host_ips(checks: &mut Checks, status: &Value, before: &Value) {
    let path = "status.hostIPs";
    if let Some(first) = list(status, "hostIPs").first().map(|ip| text(ip, "ip"))
        && first != text(status, "hostIP")
    {
        checks.add(Cause::invalid(format_args!("{path}[0].ip"), &first.into(), "must be equal to `hostIP`"));
    }
    addresses_of(checks, path, "hostIPs", status, before);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn errors(spec: Value, before: Value, after: Value) -> Vec<String> {
        let pod = |status: Value| Object::from_value(json!({"metadata": {"name": "p", "namespace": "a"}, "spec": spec, "status": status})).unwrap();
        validate(&pod(after), &pod(before)).iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
    }

    #[test]
    fn each_rule_has_its_row() {
        let spec = json!({"restartPolicy": "Always", "containers": [{"name": "c"}]});
        let rows = [
            (
                json!({"podIP": "foo", "podIPs": [{"ip": "foo"}]}),
                "status.podIPs[0]: Invalid value: \"foo\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            (json!({"podIP": "1.2.3.4"}), "status.podIPs: Invalid value: null: podIP and podIPs must either both be set or both be unset"),
            (json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.5"}]}), "status.podIPs[0].ip: Invalid value: \"1.2.3.5\": must be equal to `podIP`"),
            (
                json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}, {"ip": "1.2.3.5"}]}),
                "status.podIPs: Invalid value: [{\"ip\":\"1.2.3.4\"},{\"ip\":\"1.2.3.5\"}]: may specify no more than one IP for each IP family",
            ),
            (
                json!({"hostIP": "zz", "hostIPs": [{"ip": "zz"}]}),
                "status.hostIPs[0]: Invalid value: \"zz\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
            ),
            (json!({"hostIP": "1.1.1.1", "hostIPs": [{"ip": "1.1.1.2"}]}), "status.hostIPs[0].ip: Invalid value: \"1.1.1.2\": must be equal to `hostIP`"),
            (json!({"observedGeneration": -4}), "status.observedGeneration: Invalid value: -4: must be a non-negative integer"),
            (
                json!({"conditions": [{"type": "Ready", "observedGeneration": -1}]}),
                "status.conditions[0].observedGeneration: Invalid value: -1: must be a non-negative integer",
            ),
        ];
        for (after, want) in rows {
            assert_eq!(errors(spec.clone(), json!({}), after.clone()), [want], "{after}");
        }
        let starts = |after: Value, want: &str| {
            let got = errors(spec.clone(), json!({"qosClass": "BestEffort"}), after);
            assert!(got.len() == 1 && got[0].starts_with(want), "{got:?}");
        };
        starts(json!({"qosClass": "BestEffort", "conditions": [{"type": "a b"}]}), "status.conditions[0].Type: Invalid value: \"a b\": name part must");
        starts(
            json!({"qosClass": "BestEffort", "nominatedNodeName": "A_B"}),
            "status.nominatedNodeName: Invalid value: \"A_B\": a lowercase RFC 1123 subdomain",
        );
        starts(json!({"qosClass": "Burstable"}), "status.qosClass: Invalid value: \"Burstable\": field is immutable");
        let right = json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}, {"ip": "fd00::1"}], "hostIP": "1.1.1.1", "hostIPs": [{"ip": "1.1.1.1"}],
            "conditions": [{"type": "Ready"}, {"type": "example.com/x"}], "nominatedNodeName": "n1", "observedGeneration": 1});
        assert_eq!(errors(spec.clone(), json!({}), right), [""; 0]);
        let kept = json!({"podIP": "foo", "podIPs": [{"ip": "foo"}]});
        assert_eq!(errors(spec, kept.clone(), kept), [""; 0], "what is there already may stay");
    }

    #[test]
    fn one_address_and_the_list_agree() {
        let rows = [
            (json!({"podIP": "1.2.3.4"}), json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}]})),
            (json!({"podIPs": [{"ip": "1.2.3.4"}, {"ip": "::1"}]}), json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}, {"ip": "::1"}]})),
            (json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "5.6.7.8"}, {"ip": "::1"}]}), json!({"podIP": "1.2.3.4", "podIPs": [{"ip": "1.2.3.4"}]})),
            (json!({"phase": "Pending"}), json!({"phase": "Pending"})),
        ];
        for (given, want) in rows {
            let mut pod = Object::from_value(json!({"metadata": {"name": "p"}, "status": given})).unwrap();
            settle_addresses(&mut pod);
            assert_eq!(pod.at(&["status"]), Some(&want), "{given}");
        }
    }

    #[test]
    fn a_bound_pod_is_nominated_nowhere() {
        let spec = json!({"nodeName": "n1", "containers": []});
        assert_eq!(
            errors(spec, json!({}), json!({"nominatedNodeName": "n2"})),
            ["status.nominatedNodeName: Forbidden: may not be set on pods that are already bound to a node"]
        );
    }

    #[test]
    fn what_ended_for_good_does_not_run_again() {
        let at = |key: &str, state: Value| json!({key: [{"name": "c", "state": state}]});
        let ended = |code: i64| json!({"terminated": {"exitCode": code}});
        let rows = [
            ("containerStatuses", json!({"restartPolicy": "Never", "containers": [{"name": "c"}]}), 1, true),
            ("containerStatuses", json!({"restartPolicy": "OnFailure", "containers": [{"name": "c"}]}), 0, true),
            ("containerStatuses", json!({"restartPolicy": "OnFailure", "containers": [{"name": "c"}]}), 1, false),
            ("containerStatuses", json!({"restartPolicy": "Always", "containers": [{"name": "c"}]}), 0, false),
            ("initContainerStatuses", json!({"restartPolicy": "Never", "initContainers": [{"name": "c"}]}), 0, true),
            ("initContainerStatuses", json!({"restartPolicy": "Never", "initContainers": [{"name": "c", "restartPolicy": "Always"}]}), 1, false),
        ];
        for (key, spec, code, refused) in rows {
            let got = errors(spec.clone(), at(key, ended(code)), at(key, json!({"waiting": {}})));
            let want: &[String] = &[format!("status.{key}[0].state: Forbidden: may not be transitioned to non-terminated state")];
            assert_eq!(got, if refused { want } else { &[] }, "{spec}");
            assert!(errors(spec, at(key, ended(code)), at(key, ended(code))).is_empty());
        }
    }
}
