use crate::kinds::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status, merge};
use crate::kinds::{builtin, networking::IP_ADDRESS};
use crate::object::Object;
use crate::strategy::Strategy;
use serde_json::{Value, json};

const GROUP: &str = "networking.k8s.io";
const IMMUTABLE: &str = "field is immutable";

fn class(spec: Value) -> Value {
    let mut class = json!({"spec": {"controller": "a.b/c"}});
    merge(&mut class, json!({ "spec": spec }));
    class
}
fn parameters(change: Value) -> Value {
    let mut reference = json!({"kind": "K", "name": "n"});
    merge(&mut reference, change);
    class(json!({ "parameters": reference }))
}

#[test]
fn ingress_classes() {
    let of = |controller: &str| class(json!({ "controller": controller }));
    let at = |field: &str, why: &str| format!("spec.parameters.{field}: {why}");
    let long = format!("a.b/{}", "c".repeat(247));
    check_kind(
        GROUP,
        "ingressclasses",
        vec![
            (of("a.b/c/d!~"), ""),
            (of(&long[..250]), ""),
            (of(&long), "spec.controller: Too long: may not be more than 250 bytes"),
            (of(""), "spec.controller: Required value"),
            (json!({}), "spec.controller: Required value"),
            (of("a"), "spec.controller: Invalid value: \"a\": must be a domain-prefixed path (such as \"acme.io/foo\")"),
            (of("/a"), "spec.controller: Invalid value: \"/a\": must be a domain-prefixed path (such as \"acme.io/foo\")"),
            (of("a/"), "spec.controller: Invalid value: \"a/\": must be a domain-prefixed path (such as \"acme.io/foo\")"),
            (of("A/b"), "spec.controller: Invalid value: \"A\": a lowercase RFC 1123 subdomain…"),
            (of("a/b?"), "spec.controller: Invalid value: \"b?\": Invalid path (regex used for validation is '[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+')"),
            (parameters(json!({})), ""),
            (parameters(json!({"apiGroup": "A"})), &at("apiGroup", "Invalid value: \"A\": a lowercase RFC 1123 subdomain…")),
            (parameters(json!({"kind": ""})), &at("kind", "Required value")),
            (parameters(json!({"name": ""})), &at("name", "Required value")),
            (parameters(json!({"kind": "a/b"})), &at("kind", "Invalid value: \"a/b\": may not contain '/'")),
            (parameters(json!({"name": "a%b"})), &at("name", "Invalid value: \"a%b\": may not contain '%'")),
            (parameters(json!({"scope": "X"})), &at("scope", "Unsupported value: \"X\": supported values: \"Cluster\", \"Namespace\"")),
            (parameters(json!({"scope": "Namespace"})), &at("namespace", "Required value: `parameters.scope` is set to 'Namespace'")),
            (parameters(json!({"scope": "Namespace", "namespace": "n"})), ""),
            (parameters(json!({"scope": "Namespace", "namespace": "a.b"})), &at("namespace", "Invalid value: \"a.b\": must not contain dots")),
            (parameters(json!({"namespace": "n"})), &at("namespace", "Forbidden: `parameters.scope` is set to 'Cluster'")),
        ],
    );
    check_kind_change(
        GROUP,
        "ingressclasses",
        vec![
            (of("a/b"), class(json!({"controller": "a/b", "parameters": {"kind": "K", "name": "n"}})), ""),
            (of("a/b"), of("a/c"), &format!("spec.controller: Invalid value: \"a/c\": {IMMUTABLE}")),
        ],
    );
    check_defaults(GROUP, "ingressclasses", parameters(json!({})), parameters(json!({"scope": "Cluster"})));
}

fn policy(spec: Value) -> Value {
    json!({ "spec": spec })
}
fn ports(port: Value) -> Value {
    policy(json!({"ingress": [{"ports": [port]}]}))
}
fn peer(peer: Value) -> Value {
    policy(json!({"egress": [{"to": [peer]}]}))
}

#[test]
fn whom_a_policy_is_for() {
    check_defaults(GROUP, "networkpolicies", json!({}), json!({"spec": {"podSelector": {}, "policyTypes": ["Ingress"]}}));
    check_defaults(
        GROUP,
        "networkpolicies",
        policy(json!({"egress": [{"ports": [{"port": 1}]}]})),
        policy(json!({"podSelector": {}, "egress": [{"ports": [{"port": 1, "protocol": "TCP"}]}], "policyTypes": ["Ingress", "Egress"]})),
    );
    let types = |types: Value| policy(json!({ "policyTypes": types }));
    check_kind(
        GROUP,
        "networkpolicies",
        vec![
            (json!({}), ""),
            (policy(json!({"podSelector": {"matchLabels": {"a": "b"}}})), ""),
            (policy(json!({"podSelector": {"matchLabels": {"a": "b "}}})), "spec.podSelector.matchLabels: Invalid value: \"b \": a valid label must be…"),
            (types(json!(["Egress"])), ""),
            (types(json!(["Ingress", "X"])), "spec.policyTypes[1]: Unsupported value: \"X\": supported values: \"Ingress\", \"Egress\""),
            (
                types(json!(["Ingress", "Egress", "Ingress"])),
                "spec.policyTypes: Invalid value: [\"Ingress\",\"Egress\",\"Ingress\"]: may not specify more than two policyTypes",
            ),
        ],
    );
}

#[test]
fn ports_of_a_policy() {
    let at = |field: &str, why: &str| format!("spec.ingress[0].ports[0].{field}: {why}");
    let range = "must be between 1 and 65535, inclusive";
    check_kind(
        GROUP,
        "networkpolicies",
        vec![
            (ports(json!({})), ""),
            (ports(json!({"port": 80, "endPort": 80, "protocol": "SCTP"})), ""),
            (ports(json!({"port": "http"})), ""),
            (ports(json!({"protocol": "X"})), &at("protocol", "Unsupported value: \"X\": supported values: \"TCP\", \"UDP\", \"SCTP\"")),
            (ports(json!({"port": 0})), &at("port", &format!("Invalid value: 0: {range}"))),
            (ports(json!({"port": "a--b"})), &at("port", "Invalid value: \"a--b\": must not contain consecutive hyphens")),
            (ports(json!({"port": 80, "endPort": 79})), &at("endPort", "Invalid value: 79: must be greater than or equal to `port`")),
            (ports(json!({"port": 80, "endPort": 65_536})), &at("endPort", &format!("Invalid value: 65536: {range}"))),
            (ports(json!({"port": "http", "endPort": 1})), &at("endPort", "Invalid value: 1: may not be specified when `port` is non-numeric")),
            (ports(json!({"endPort": 1})), &at("endPort", "Invalid value: 1: may not be specified when `port` is not specified")),
        ],
    );
}

#[test]
fn peers_of_a_policy() {
    let block = |cidr: &str, except: Value| peer(json!({"ipBlock": {"cidr": cidr, "except": except}}));
    let place = "spec.egress[0].to[0]";
    let subset = |cidr: &str| format!("{place}.ipBlock.except[0]: Invalid value: \"{cidr}\": must be a strict subset of `cidr`");
    check_kind(
        GROUP,
        "networkpolicies",
        vec![
            (peer(json!({"podSelector": {}, "namespaceSelector": {}})), ""),
            (peer(json!({})), &format!("{place}: Required value: must specify a peer")),
            (
                peer(json!({"podSelector": {}, "ipBlock": {"cidr": "10.0.0.0/8"}})),
                &format!("{place}: Forbidden: may not specify both ipBlock and another peer"),
            ),
            (
                peer(json!({"namespaceSelector": {"matchExpressions": [{"key": "a", "operator": "X"}]}})),
                &format!("{place}.namespaceSelector.matchExpressions[0].operator: Invalid value: \"X\": not a valid selector operator"),
            ),
            (peer(json!({"podSelector": {"matchLabels": {"-": ""}}})), &format!("{place}.podSelector.matchLabels: Invalid value: \"-\": name part…")),
            (block("10.0.0.0/8", json!(["10.1.0.0/16"])), ""),
            (block("::/0", json!(["fe80::/10"])), ""),
            (block("", json!([])), &format!("{place}.ipBlock.cidr: Required value")),
            (block("x", json!(["y"])), &format!("{place}.ipBlock.cidr: Invalid value: \"x\": must be a valid CIDR value…")),
            (block("10.0.0.1/8", json!([])), &format!("{place}.ipBlock.cidr: Invalid value: \"10.0.0.1/8\": must not have bits set beyond…")),
            (block("10.0.0.0/8", json!(["11.0.0.0/16"])), &subset("11.0.0.0/16")),
            (block("10.0.0.0/8", json!(["10.0.0.0/8"])), &subset("10.0.0.0/8")),
            (block("10.0.0.0/8", json!(["fe80::/64"])), &subset("fe80::/64")),
            (block("10.0.0.0/8", json!(["z"])), &format!("{place}.ipBlock.except[0]: Invalid value: \"z\": must be a valid CIDR value…")),
        ],
    );
    let from = policy(json!({"ingress": [{"from": [{}]}]}));
    check_kind(GROUP, "networkpolicies", vec![(from, "spec.ingress[0].from[0]: Required value: must specify a peer")]);
    check_kind_change(GROUP, "networkpolicies", vec![(json!({}), peer(json!({"podSelector": {}})), "")]);
}

#[test]
fn addresses() {
    let of = |change: Value| {
        let mut reference = json!({"resource": "services", "namespace": "a", "name": "s"});
        merge(&mut reference, change);
        json!({"spec": {"parentRef": reference}})
    };
    let at = |field: &str, why: &str| format!("spec.parentRef.{field}: {why}");
    check_kind(
        GROUP,
        "ipaddresses",
        vec![
            (of(json!({})), ""),
            (of(json!({"group": "a.b"})), ""),
            (json!({}), "spec.parentRef: Required value"),
            (of(json!({"group": "A"})), &at("group", "Invalid value: \"A\": a lowercase RFC 1123 subdomain…")),
            (of(json!({"resource": ""})), &at("resource", "Required value")),
            (of(json!({"name": ""})), &at("name", "Required value")),
            (of(json!({"resource": "a/b"})), &at("resource", "Invalid value: \"a/b\": may not contain '/'")),
            (of(json!({"name": "a/b"})), &at("name", "Invalid value: \"a/b\": may not contain '/'")),
            (of(json!({"namespace": "a%b"})), &at("namespace", "Invalid value: \"a%b\": may not contain '%'")),
        ],
    );
    let other = json!({"resource": "services", "namespace": "a", "name": "t"});
    check_kind_change(GROUP, "ipaddresses", vec![(of(json!({})), of(json!({"name": "t"})), &format!("spec.parentRef: Invalid value: {other}: {IMMUTABLE}"))]);
    assert_eq!([IP_ADDRESS.name_errors("10.0.0.1"), IP_ADDRESS.name_errors("2001:db8::1")].concat(), Vec::<String>::new());
    assert_eq!(
        [IP_ADDRESS.name_errors("2001:DB8::1"), IP_ADDRESS.name_errors("010.0.0.1")].concat(),
        ["must be in canonical form (\"2001:db8::1\")", "must not have leading 0s"]
    );
    assert!(!IP_ADDRESS.name_errors("a.b").is_empty());
}

#[test]
fn ranges_of_addresses() {
    let of = |cidrs: &[&str]| json!({"spec": {"cidrs": cidrs}});
    let (v4, v6) = ("10.0.0.0/24", "2001:db8::/64");
    check_kind(
        GROUP,
        "servicecidrs",
        vec![
            (of(&[v4]), ""),
            (of(&[v6, v4]), ""),
            (json!({}), "spec.cidrs: Required value: at least one CIDR required"),
            (of(&[v4, v6, v4]), &format!("spec.cidrs: Invalid value: {{\"CIDRs\":[\"{v4}\",\"{v6}\",\"{v4}\"]}}: may only hold up to 2 values")),
            (of(&["x"]), "spec.cidrs[0]: Invalid value: \"x\": must be a valid CIDR value…"),
            (of(&[v4, "2001:DB8::/64"]), "spec.cidrs[1]: Invalid value: \"2001:DB8::/64\": must be in canonical form (\"2001:db8::/64\")"),
            (
                of(&[v4, "10.0.1.0/24"]),
                "spec.cidrs: Invalid value: [\"10.0.0.0/24\",\"10.0.1.0/24\"]: may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64",
            ),
        ],
    );
    check_kind_change(
        GROUP,
        "servicecidrs",
        vec![
            (of(&[v4]), of(&[v4]), ""),
            (of(&[v4]), of(&[v4, v6]), ""),
            (of(&[v4]), of(&["10.1.0.0/24"]), &format!("spec.cidrs[0]: Invalid value: \"10.1.0.0/24\": {IMMUTABLE}")),
            (of(&[v4]), of(&[v6, v4]), &format!("spec.cidrs[0]: Invalid value: \"{v6}\": {IMMUTABLE}")),
            (of(&[v4, v6]), of(&[v4]), &format!("spec.cidrs: Invalid value: [\"{v4}\"]: {IMMUTABLE}")),
        ],
    );
    check_kind_status(GROUP, "servicecidrs", vec![(of(&[v4]), json!({"spec": {"cidrs": [v4]}, "status": {"conditions": []}}), "")]);
}

#[test]
fn a_client_sets_no_status() {
    let kinds = builtin();
    for (resource, fresh) in [("ingresses", json!({"loadBalancer": {}})), ("servicecidrs", json!({}))] {
        let strategy = kinds.resource(GROUP, resource).unwrap().strategy;
        let of = |status: Value| Object::from_value(json!({ "status": status })).unwrap();
        let mut new = of(json!({"a": "b"}));
        strategy.prepare_create(&mut new);
        assert_eq!(new, of(fresh), "{resource}");
        let mut changed = of(json!({"a": "c"}));
        strategy.prepare_update(&mut changed, &of(json!({"a": "b"})));
        assert_eq!(changed, of(json!({"a": "b"})), "{resource}");
    }
}
