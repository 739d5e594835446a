//! What is refused of Services, in Kubernetes' words: one table a subject.
use super::*;
use crate::kinds::fixture::{check, check_change, check_status, merge};

const BASE: &str = r#"{"ports": [{"port": 80}]}"#;

/// A Service whose spec is the base with `change` over it.
fn with(change: Value) -> Value {
    let mut spec: Value = serde_json::from_str(BASE).unwrap();
    merge(&mut spec, change);
    json!({"metadata": {"name": "a", "namespace": "b"}, "spec": spec})
}

fn rows(rows: Vec<(Value, &str)>) {
    check(&STRATEGY, rows.into_iter().map(|(change, expected)| (with(change), expected)).collect());
}

#[test]
fn names() {
    assert_eq!(["a", "1a"].map(|n| STRATEGY.name_errors(n).len()), [0, 0]);
    assert_eq!(["a.b", "-a", ""].map(|n| STRATEGY.name_errors(n).len()), [1, 1, 1]);
}

#[test]
fn types() {
    rows(vec![
        (json!({}), ""),
        (json!({"type": "NodePort"}), ""),
        (json!({"type": "LoadBalancer"}), ""),
        (json!({"type": "ExternalName", "externalName": "a.b."}), ""),
        (json!({"type": "ExternalName", "externalName": "a.b", "ports": null}), ""),
        (json!({"clusterIP": "None", "ports": null}), ""),
        (json!({"type": "X"}), "spec.type: Unsupported value: \"X\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \"NodePort\""),
        (json!({"ports": []}), "spec.ports: Required value"),
        (json!({"type": "ExternalName"}), "spec.externalName: Required value"),
        (json!({"type": "ExternalName", "externalName": "."}), "spec.externalName: Required value"),
        (json!({"type": "ExternalName", "externalName": "a_b"}), "spec.externalName: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain must…"),
        (json!({"type": "ExternalName", "externalName": "a", "clusterIP": "10.0.0.1"}), "spec.clusterIPs: Forbidden: may not be set for ExternalName services"),
        (json!({"type": "ExternalName", "externalName": "a", "ipFamilies": ["IPv4"]}), "spec.ipFamilies: Forbidden: may not be set for ExternalName services"),
        (
            json!({"type": "ExternalName", "externalName": "a", "ipFamilyPolicy": "SingleStack"}),
            "spec.ipFamilyPolicy: Forbidden: may not be set for ExternalName services",
        ),
        (json!({"type": "NodePort", "clusterIP": "None"}), "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for NodePort services"),
        (
            json!({"type": "LoadBalancer", "clusterIP": "None"}),
            "spec.clusterIPs[0]: Invalid value: \"None\": may not be set to 'None' for LoadBalancer services",
        ),
        (json!({"selector": {"a": "b c"}}), "spec.selector: Invalid value: \"b c\": a valid label must be…"),
    ]);
}

#[test]
fn cluster_ips() {
    let families = "supported values: \"IPv4\", \"IPv6\"";
    let two = json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "10.0.0.2"], "ipFamilyPolicy": "PreferDualStack"});
    rows(vec![
        (json!({"clusterIP": "10.0.0.1"}), ""),
        (json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"]}), ""),
        (json!({"ipFamilyPolicy": "PreferDualStack"}), ""),
        (json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.2"]}), "spec.clusterIPs: Invalid value: [\"10.0.0.2\"]: first value must match `clusterIP`"),
        (json!({"clusterIPs": ["10.0.0.2"]}), "spec.clusterIPs: Invalid value: [\"10.0.0.2\"]: must be empty when `clusterIP` is not specified"),
        (json!({"clusterIP": "x"}), "spec.clusterIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        (json!({"clusterIP": "010.0.0.1"}), "spec.clusterIPs[0]: Invalid value: \"010.0.0.1\": must not have leading 0s"),
        (
            json!({"clusterIP": "None", "clusterIPs": ["None", "10.0.0.1"]}),
            "spec.clusterIPs: Invalid value: [\"None\",\"10.0.0.1\"]: 'None' must be the first and only value",
        ),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "None"]}),
            "spec.clusterIPs[1]: Invalid value: \"None\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)",
        ),
        (two, "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"10.0.0.2\"]: may specify no more than one IP for each IP family"),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "::1", "::2"]}),
            "spec.clusterIPs: Invalid value: [\"10.0.0.1\",\"::1\",\"::2\"]: may only hold up to 2 values",
        ),
        (
            json!({"clusterIP": "::1", "ipFamilies": ["IPv4"]}),
            "spec.clusterIPs[0]: Invalid value: \"::1\": expected an IPv4 value as indicated by `ipFamilies[0]`",
        ),
        (
            json!({"clusterIP": "10.0.0.1", "ipFamilies": ["IPv6"]}),
            "spec.clusterIPs[0]: Invalid value: \"10.0.0.1\": expected an IPv6 value as indicated by `ipFamilies[0]`",
        ),
        (json!({"ipFamilies": ["IPv5"]}), &format!("spec.ipFamilies[0]: Unsupported value: \"IPv5\": {families}")),
        (json!({"ipFamilies": ["IPv4", "IPv4"], "ipFamilyPolicy": "PreferDualStack"}), "spec.ipFamilies[1]: Duplicate value: \"IPv4\""),
        (
            json!({"ipFamilyPolicy": "X"}),
            "spec.ipFamilyPolicy: Unsupported value: \"X\": supported values: \"PreferDualStack\", \"RequireDualStack\", \"SingleStack\"",
        ),
    ]);
}

#[test]
fn only_one_family_is_configured() {
    rows(vec![
        (json!({"ipFamilies": ["IPv6"]}), "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"),
        (json!({"clusterIP": "None", "ipFamilies": ["IPv6"]}), "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"),
        (json!({"clusterIP": "::1"}), "spec.clusterIPs[0]: Invalid value: [\"::1\"]: IPv6 is not configured on this cluster"),
        (
            json!({"ipFamilyPolicy": "RequireDualStack"}),
            "spec.ipFamilyPolicy: Invalid value: \"RequireDualStack\": this cluster is not configured for dual-stack services",
        ),
        (
            json!({"ipFamilies": ["IPv4", "IPv6"]}),
            "spec.ipFamilyPolicy: Invalid value: \"SingleStack\": must be 'RequireDualStack' or 'PreferDualStack' when multiple IP families are specified",
        ),
        (
            json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1", "2001:db8::1"], "ipFamilies": ["IPv4", "IPv6"], "ipFamilyPolicy": "PreferDualStack"}),
            "spec.ipFamilies[1]: Invalid value: \"IPv6\": not configured on this cluster",
        ),
    ]);
}

#[test]
fn ports_of_a_service() {
    let one = |port: Value| json!({"ports": [port]});
    rows(vec![
        (one(json!({"port": 1, "name": "http", "protocol": "SCTP", "targetPort": "web", "appProtocol": "kubernetes.io/h2c"})), ""),
        (json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b", "protocol": "UDP"}]}), ""),
        (
            json!({"type": "NodePort", "ports": [{"port": 1, "name": "a", "nodePort": 30001}, {"port": 1, "name": "b", "nodePort": 30001, "protocol": "UDP"}]}),
            "",
        ),
        (
            one(json!({"port": 0})),
            "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive | spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
        ),
        (one(json!({"port": 1, "targetPort": 65_536})), "spec.ports[0].targetPort: Invalid value: 65536: must be between 1 and 65535, inclusive"),
        (one(json!({"port": 1, "targetPort": "a--b"})), "spec.ports[0].targetPort: Invalid value: \"a--b\": must not contain consecutive hyphens"),
        (one(json!({"port": 1, "protocol": "QUIC"})), "spec.ports[0].protocol: Unsupported value: \"QUIC\": supported values: \"SCTP\", \"TCP\", \"UDP\""),
        (one(json!({"port": 1, "name": "A"})), "spec.ports[0].name: Invalid value: \"A\": a lowercase RFC 1123 label must…"),
        (one(json!({"port": 1, "appProtocol": "a b"})), "spec.ports[0].appProtocol: Invalid value: \"a b\": name part must consist…"),
        (one(json!({"port": 1, "nodePort": 30000})), "spec.ports[0].nodePort: Forbidden: may not be used when `type` is 'ClusterIP'"),
        (json!({"ports": [{"port": 1, "name": "a"}, {"port": 2}]}), "spec.ports[1].name: Required value"),
        (json!({"ports": [{"port": 1, "name": "a"}, {"port": 2, "name": "a"}]}), "spec.ports[1].name: Duplicate value: \"a\""),
        (
            json!({"ports": [{"port": 1, "name": "a"}, {"port": 1, "name": "b"}]}),
            r#"spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":1,"TargetPort":0,"NodePort":0}"#,
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 1, "name": "a", "nodePort": 30001}, {"port": 2, "name": "b", "nodePort": 30001}]}),
            "spec.ports[1].nodePort: Duplicate value: 30001",
        ),
    ]);
}

#[test]
fn affinity() {
    let timeout = |seconds: i64| json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": seconds}}});
    let refused = |n: i64| format!("spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: {n}: must be greater than 0 and less than 86400");
    rows(vec![
        (json!({"sessionAffinity": "ClientIP"}), ""),
        (json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {}}), ""),
        (timeout(1), ""),
        (timeout(86_400), ""),
        (timeout(0), &refused(0)),
        (timeout(-5), &refused(-5)),
        (timeout(86_401), &refused(86_401)),
        (json!({"sessionAffinity": "X"}), "spec.sessionAffinity: Unsupported value: \"X\": supported values: \"ClientIP\", \"None\""),
    ]);
    let mut service = Object::from_value(with(json!({"sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 9}}}))).unwrap();
    STRATEGY.default(&mut service);
    assert_eq!(service.at(&["spec", "sessionAffinityConfig"]), None, "nothing has a timeout where there is no affinity");
}

#[test]
fn outside() {
    let only = "may only be used when `type` is 'LoadBalancer'";
    let balanced = |more: Value| {
        let mut spec = json!({"type": "LoadBalancer"});
        merge(&mut spec, more);
        spec
    };
    rows(vec![
        (json!({"externalIPs": ["192.0.2.1", "2001:db8::1"], "externalTrafficPolicy": "Local"}), ""),
        (json!({"externalIPs": ["x"]}), "spec.externalIPs[0]: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"),
        (json!({"externalIPs": ["127.0.0.1"]}), "spec.externalIPs[0]: Invalid value: \"127.0.0.1\": may not be in the loopback range (127.0.0.0/8, ::1/128)"),
        (
            json!({"externalIPs": ["1.2.3.4", "169.254.1.1"]}),
            "spec.externalIPs[1]: Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, fe80::/10)",
        ),
        (json!({"externalIPs": ["0.0.0.0"]}), "spec.externalIPs[0]: Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)"),
        (json!({"externalTrafficPolicy": "Local"}), "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services"),
        (
            json!({"type": "NodePort", "externalTrafficPolicy": "X"}),
            "spec.externalTrafficPolicy: Unsupported value: \"X\": supported values: \"Cluster\", \"Local\"",
        ),
        (json!({"internalTrafficPolicy": "Local"}), ""),
        (json!({"internalTrafficPolicy": "X"}), "spec.internalTrafficPolicy: Unsupported value: \"X\": supported values: \"Cluster\", \"Local\""),
        (json!({"trafficDistribution": "PreferSameNode"}), ""),
        (
            json!({"trafficDistribution": "X"}),
            "spec.trafficDistribution: Unsupported value: \"X\": supported values: \"PreferClose\", \"PreferSameZone\", \"PreferSameNode\"",
        ),
        (balanced(json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 30_000})), ""),
        (balanced(json!({"externalTrafficPolicy": "Local"})), "spec.healthCheckNodePort: Required value"),
        (
            balanced(json!({"externalTrafficPolicy": "Local", "healthCheckNodePort": 65_536})),
            "spec.healthCheckNodePort: Invalid value: 65536: must be between 1 and 65535, inclusive",
        ),
        (
            json!({"healthCheckNodePort": 30_123}),
            "spec.healthCheckNodePort: Invalid value: 30123: may only be set when `type` is 'LoadBalancer' and `externalTrafficPolicy` is 'Local'",
        ),
        (balanced(json!({"loadBalancerClass": "a.b/c", "allocateLoadBalancerNodePorts": false})), ""),
        (balanced(json!({"loadBalancerClass": "-"})), "spec.loadBalancerClass: Invalid value: \"-\": name part must consist…"),
        (json!({"loadBalancerClass": "a/b"}), &format!("spec.loadBalancerClass: Forbidden: {only}")),
        (json!({"allocateLoadBalancerNodePorts": true}), &format!("spec.allocateLoadBalancerNodePorts: Forbidden: {only}")),
        (balanced(json!({"loadBalancerSourceRanges": [" 10.0.0.0/8 ", "::/0"]})), ""),
        (
            balanced(json!({"loadBalancerSourceRanges": ["10.0.0.1/8"]})),
            "spec.LoadBalancerSourceRanges[0]: Invalid value: \"10.0.0.1/8\": must not have bits set beyond the prefix length",
        ),
        (json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}), &format!("spec.LoadBalancerSourceRanges: Forbidden: {only}")),
    ]);
}

#[test]
fn annotations() {
    let with = |kind: &str, annotations: Value| {
        let mut service = with(json!({ "type": kind }));
        service["metadata"]["annotations"] = annotations;
        service
    };
    let ranges = |text: &str| json!({"service.beta.kubernetes.io/load-balancer-source-ranges": text});
    let topology = |mode: &str| json!({"service.kubernetes.io/topology-mode": mode, "service.kubernetes.io/topology-aware-hints": "Auto"});
    let path = "metadata.annotations[service.beta.kubernetes.io/load-balancer-source-ranges]";
    check(
        &STRATEGY,
        vec![
            (with("LoadBalancer", ranges("10.0.0.0/8, 1.2.3.0/24")), ""),
            (with("LoadBalancer", ranges("  ")), ""),
            (with("LoadBalancer", ranges("x")), &format!("{path}: Invalid value: \"x\": must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)")),
            (with("ClusterIP", ranges("")), &format!("{path}: Forbidden: may only be used when `type` is 'LoadBalancer'")),
            (with("ClusterIP", topology("Auto")), ""),
            (
                with("ClusterIP", topology("Disabled")),
                "metadata.annotations[service.kubernetes.io/topology-mode]: Invalid value: \"Disabled\": must match annotations[service.kubernetes.io/topology-aware-hints] when both are specified",
            ),
        ],
    );
}

#[test]
fn changes() {
    let ip = |ip: &str| json!({ "clusterIP": ip });
    let class = |class: Value| json!({"type": "LoadBalancer", "loadBalancerClass": class});
    let health = |port: i64| json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port});
    let outside = || json!({"type": "ExternalName", "externalName": "a"});
    let rows = vec![
        (ip("10.0.0.1"), ip("10.0.0.1"), ""),
        (ip("10.0.0.1"), ip(""), ""),
        (ip("10.0.0.1"), ip("10.0.0.2"), "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set"),
        (
            ip("10.0.0.1"),
            json!({"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.1"]}),
            "spec.clusterIPs[0]: Invalid value: [\"10.0.0.2\"]: may not change once set",
        ),
        (ip("10.0.0.1"), ip("None"), "spec.clusterIPs[0]: Invalid value: [\"None\"]: may not change once set"),
        (ip("10.0.0.1"), outside(), ""),
        (outside(), ip("10.0.0.2"), ""),
        (ip("None"), ip("None"), ""),
        (class(json!("a/b")), class(json!("a/b")), ""),
        (class(json!("a/b")), class(json!("a/c")), "spec.loadBalancerClass: Invalid value: \"a/c\": may not change once set"),
        (class(Value::Null), class(json!("a/b")), "spec.loadBalancerClass: Invalid value: \"a/b\": may not change once set"),
        (class(json!("a/b")), json!({"type": "NodePort"}), ""),
        (json!({}), class(json!("a/b")), ""),
        (health(30_001), health(30_001), ""),
        (health(30_001), health(30_002), "spec.healthCheckNodePort: Forbidden: field is immutable"),
        (json!({"ipFamilies": ["IPv6"]}), json!({"ipFamilies": ["IPv4"]}), "spec.ipFamilies[0]: Invalid value: [\"IPv4\"]: may not change once set"),
    ];
    check_change(&STRATEGY, rows.into_iter().map(|(old, new, expected)| (with(old), with(new), expected)).collect());
}

#[test]
fn a_service_that_leaves_the_cluster_gives_its_addresses_back() {
    let inside = json!({"clusterIP": "10.0.0.1", "clusterIPs": ["10.0.0.1"], "ipFamilies": ["IPv4"], "ipFamilyPolicy": "SingleStack"});
    let left = |change: Value| {
        let mut new = with(inside.clone());
        merge(&mut new["spec"], json!({"type": "ExternalName", "externalName": "a", "internalTrafficPolicy": "Cluster"}));
        merge(&mut new["spec"], change);
        let [mut old, mut new] = [with(inside.clone()), new].map(|v| Object::from_value(v).unwrap());
        [&mut old, &mut new].into_iter().for_each(|service| STRATEGY.default(service));
        STRATEGY.prepare_update(&mut new, &old);
        (new.at(&["spec"]).cloned().unwrap(), STRATEGY.validate(&new).into_iter().map(|c| c.field).collect::<Vec<_>>())
    };
    let (spec, causes) = left(json!({}));
    assert_eq!(causes, Vec::<String>::new());
    assert!(["clusterIP", "clusterIPs", "ipFamilies", "ipFamilyPolicy", "internalTrafficPolicy"].iter().all(|key| spec.get(*key).is_none()), "{spec}");
    assert_eq!(left(json!({"clusterIP": "10.0.0.2", "clusterIPs": ["10.0.0.2"]})).1, ["spec.clusterIPs"], "what the client changed isn't dropped");
    assert_eq!(left(json!({"ipFamilyPolicy": "PreferDualStack"})).1, ["spec.ipFamilyPolicy"]);
}

#[test]
fn statuses() {
    let of = |kind: &str, ingress: Value| {
        let mut service = with(json!({ "type": kind }));
        service["status"] = json!({"loadBalancer": {"ingress": ingress}});
        service
    };
    let path = "status.loadBalancer.ingress[0]";
    let rows: Vec<(&str, Value, String)> = vec![
        ("LoadBalancer", json!([{"ip": "1.2.3.4"}, {"hostname": "a.b"}, {"ip": "::1", "ipMode": "Proxy"}]), String::new()),
        ("LoadBalancer", json!([{"ip": "old"}]), String::new()),
        ("ClusterIP", json!([]), String::new()),
        ("ClusterIP", json!([{"ip": "1.2.3.4"}]), "status.loadBalancer.ingress: Forbidden: may only be used when `spec.type` is 'LoadBalancer'".into()),
        ("LoadBalancer", json!([{"ip": "x"}]), format!("{path}.ip: Invalid value: \"x\": must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)")),
        ("LoadBalancer", json!([{"ip": "1.2.3.4", "ipMode": "X"}]), format!("{path}.ipMode: Unsupported value: \"X\": supported values: \"Proxy\", \"VIP\"")),
        ("LoadBalancer", json!([{"hostname": "a", "ipMode": "VIP"}]), format!("{path}.ipMode: Forbidden: may not be specified when `ip` is not set")),
        ("LoadBalancer", json!([{"hostname": "a_b"}]), format!("{path}.hostname: Invalid value: \"a_b\": a lowercase RFC 1123 subdomain…")),
        ("LoadBalancer", json!([{"hostname": "1.2.3.4"}]), format!("{path}.hostname: Invalid value: \"1.2.3.4\": must be a DNS name, not an IP address")),
    ];
    let old = of("LoadBalancer", json!([{"ip": "old", "ipMode": "VIP"}]));
    check_status(&STRATEGY, rows.iter().map(|(kind, ingress, expected)| (old.clone(), of(kind, ingress.clone()), expected.as_str())).collect());
    let bare = Object::from_value(of("LoadBalancer", json!([{"ip": "1.2.3.4"}]))).unwrap();
    assert_eq!(STRATEGY.validate_status(&bare, &bare)[0].field, format!("{path}.ipMode"), "it is filled in before");
}
