//! What is refused, in Kubernetes' words: one table a subject.
use super::*;
use crate::kinds::builtin;
use crate::names;
use serde_json::json;

/// Puts `change` over `value`: maps are merged, all else is replaced.
fn merge(value: &mut Value, change: Value) {
    match (value, change) {
        (Value::Object(into), Value::Object(from)) => from.into_iter().for_each(|(key, inner)| merge(into.entry(key).or_insert(Value::Null), inner)),
        (value, change) => *value = change,
    }
}

fn spec(change: Value) -> Value {
    let mut spec = json!({"containers": [{"name": "a", "image": "i"}]});
    merge(&mut spec, change);
    spec
}

fn causes(spec: Value) -> Vec<String> {
    let mut pod = Object::from_value(json!({ "spec": spec })).unwrap();
    STRATEGY.default(&mut pod);
    STRATEGY.validate(&pod).into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
}

/// Each pod's spec, and the one thing that is wrong with it; nothing when that is empty.
fn check(rows: Vec<(Value, &str)>) {
    for (change, expected) in rows {
        let expected: Vec<&str> = Some(expected).filter(|e| !e.is_empty()).into_iter().collect();
        assert_eq!(causes(spec(change.clone())), expected, "{change}");
    }
}

/// The same of a container.
fn check_container(rows: Vec<(Value, &str)>) {
    let whole = |change: Value| {
        let mut container = json!({"name": "a", "image": "i"});
        merge(&mut container, change);
        json!({"containers": [container], "volumes": [{"name": "e", "emptyDir": {}}]})
    };
    check(rows.into_iter().map(|(change, expected)| (whole(change), expected)).collect());
}

#[test]
fn identities() {
    let context = |context: Value| json!({ "securityContext": context });
    let range = "must be between 0 and 2147483647, inclusive";
    check(vec![
        (context(json!({"runAsUser": 0, "runAsGroup": 2_147_483_647, "fsGroup": 0, "supplementalGroups": [0, 7]})), ""),
        (context(json!({"runAsUser": -1})), &format!("spec.securityContext.runAsUser: Invalid value: -1: {range}")),
        (context(json!({"runAsGroup": 4_294_967_296_i64})), &format!("spec.securityContext.runAsGroup: Invalid value: 4294967296: {range}")),
        (context(json!({"fsGroup": -5})), &format!("spec.securityContext.fsGroup: Invalid value: -5: {range}")),
        (context(json!({"supplementalGroups": [1, -7]})), &format!("spec.securityContext.supplementalGroups[1]: Invalid value: -7: {range}")),
        (
            context(json!({"fsGroupChangePolicy": "Sometimes"})),
            "spec.securityContext.fsGroupChangePolicy: Unsupported value: \"Sometimes\": supported values: \"Always\", \"OnRootMismatch\"",
        ),
    ]);
    check_container(vec![(
        context(json!({"runAsUser": 4_294_967_296_i64})),
        &format!("spec.containers[0].securityContext.runAsUser: Invalid value: 4294967296: {range}"),
    )]);
}

#[test]
fn profiles() {
    let pod = |profile: Value| json!({"securityContext": {"seccompProfile": profile}});
    let armor = |profile: Value| json!({"securityContext": {"appArmorProfile": profile}});
    let types = "supported values: \"Localhost\", \"RuntimeDefault\", \"Unconfined\"";
    check(vec![
        (pod(json!({"type": "RuntimeDefault"})), ""),
        (pod(json!({"type": "Localhost", "localhostProfile": "a/b.json"})), ""),
        (pod(json!({"type": "runtimeDefault"})), &format!("spec.securityContext.seccompProfile.type: Unsupported value: \"runtimeDefault\": {types}")),
        (pod(json!({})), "spec.securityContext.seccompProfile.type: Required value: type is required when seccompProfile is set"),
        (pod(json!({"type": "Localhost"})), "spec.securityContext.seccompProfile.localhostProfile: Required value: must be set when seccomp type is Localhost"),
        (
            pod(json!({"type": "Localhost", "localhostProfile": "../x"})),
            "spec.securityContext.seccompProfile.localhostProfile: Invalid value: \"../x\": must not contain '..'",
        ),
        (
            pod(json!({"type": "RuntimeDefault", "localhostProfile": "x"})),
            r#"spec.securityContext.seccompProfile.localhostProfile: Invalid value: {"Type":"RuntimeDefault","LocalhostProfile":"x"}: can only be set when seccomp type is Localhost"#,
        ),
        (
            pod(json!({"type": "Localhost", "localhostProfile": "/x"})),
            "spec.securityContext.seccompProfile.localhostProfile: Invalid value: \"/x\": must be a relative path",
        ),
        (armor(json!({"type": "Unconfined"})), ""),
        (armor(json!({"type": "unconfined"})), &format!("spec.securityContext.appArmorProfile.type: Unsupported value: \"unconfined\": {types}")),
        (
            armor(json!({"type": "Localhost"})),
            "spec.securityContext.appArmorProfile.localhostProfile: Required value: must be set when AppArmor type is Localhost",
        ),
    ]);
    check_container(vec![(
        pod(json!({"type": "Foo"})),
        &format!("spec.containers[0].securityContext.seccompProfile.type: Unsupported value: \"Foo\": {types}"),
    )]);
}

#[test]
fn privileges() {
    let context = |context: Value| json!({ "securityContext": context });
    check_container(vec![
        (context(json!({"capabilities": {"add": ["SYS_ADMIN"]}, "allowPrivilegeEscalation": false})), ""),
        (
            context(json!({"capabilities": {"add": ["CAP_SYS_ADMIN", "CAP_SYS_ADMIN"]}, "allowPrivilegeEscalation": false})),
            r#"spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"capabilities":{"add":["CAP_SYS_ADMIN","CAP_SYS_ADMIN"]}}: cannot set `allowPrivilegeEscalation` to false and `capabilities.Add` CAP_SYS_ADMIN"#,
        ),
        (
            context(json!({"privileged": true, "allowPrivilegeEscalation": false})),
            r#"spec.containers[0].securityContext: Invalid value: {"allowPrivilegeEscalation":false,"privileged":true}: cannot set `allowPrivilegeEscalation` to false and `privileged` to true"#,
        ),
        (context(json!({"procMount": "Default"})), ""),
    ]);
    let bad = causes(json!({"containers": [{"name": "a", "image": "i", "securityContext": {"procMount": "Unmasked"}}]}));
    assert_eq!(bad[0], "spec.containers[0].securityContext.procMount: Invalid value: \"Unmasked\": `hostUsers` must be false to use `Unmasked`");
}

#[test]
fn sysctls() {
    let names = |names: &[&str]| json!(names.iter().map(|n| json!({"name": n, "value": "1"})).collect::<Vec<_>>());
    let pod = |all: &[&str]| json!({"securityContext": {"sysctls": names(all)}});
    let host = |all: &[&str]| json!({"hostNetwork": true, "hostIPC": true, "securityContext": {"sysctls": names(all)}});
    let form = "must have at most 253 characters and match regex ^([a-z0-9]([-_a-z0-9]*[a-z0-9])?[\\./])*[a-z0-9]([-_a-z0-9]*[a-z0-9])?$";
    let long = "a".repeat(254);
    check(vec![
        (pod(&["net.ipv4.tcp_syncookies", "net/core/somaxconn", "kernel.sem", "vm.stat_interval"]), ""),
        (pod(&[""]), "spec.securityContext.sysctls[0].name: Required value"),
        (pod(&["a b"]), &format!("spec.securityContext.sysctls[0].name: Invalid value: \"a b\": {form}")),
        (pod(&["../../etc"]), &format!("spec.securityContext.sysctls[0].name: Invalid value: \"../../etc\": {form}")),
        (pod(&["a..b"]), &format!("spec.securityContext.sysctls[0].name: Invalid value: \"a..b\": {form}")),
        (pod(&["Net.x"]), &format!("spec.securityContext.sysctls[0].name: Invalid value: \"Net.x\": {form}")),
        (pod(&[&long]), &format!("spec.securityContext.sysctls[0].name: Invalid value: \"{long}\": {form}")),
        (pod(&["a.b", "a.b"]), "spec.securityContext.sysctls[1].name: Duplicate value: \"a.b\""),
        (
            host(&["vm.swappiness", "kernel.shmall", "nets.a", "kernel.shmish", "kernel.domainname"]),
            "spec.securityContext.sysctls[1].name: Invalid value: \"kernel.shmall\": may not be specified when 'hostIPC' is true",
        ),
        (
            host(&["net.core.somaxconn"]),
            "spec.securityContext.sysctls[0].name: Invalid value: \"net.core.somaxconn\": may not be specified when 'hostNetwork' is true",
        ),
        (
            host(&["net/ipv4/conf/eth0.1/x"]),
            "spec.securityContext.sysctls[0].name: Invalid value: \"net/ipv4/conf/eth0.1/x\": may not be specified when 'hostNetwork' is true",
        ),
        (
            host(&["fs.mqueue.msg_max"]),
            "spec.securityContext.sysctls[0].name: Invalid value: \"fs.mqueue.msg_max\": may not be specified when 'hostIPC' is true",
        ),
    ]);
}

#[test]
fn references_and_environment() {
    let env = |from: Value| json!({"env": [{"name": "A", "valueFrom": from}]});
    let subdomain = names::dns_subdomain("../../x").remove(0);
    check_container(vec![
        (
            env(json!({"secretKeyRef": {"name": "../../x", "key": "k"}})),
            &format!("spec.containers[0].env[0].valueFrom.secretKeyRef.name: Invalid value: \"../../x\": {subdomain}"),
        ),
        (
            env(json!({"configMapKeyRef": {"name": "", "key": "k"}})),
            &format!("spec.containers[0].env[0].valueFrom.configMapKeyRef.name: Invalid value: \"\": {subdomain}"),
        ),
        (env(json!({"secretKeyRef": {"name": "x", "key": ""}})), "spec.containers[0].env[0].valueFrom.secretKeyRef.key: Required value"),
        (env(json!({"fieldRef": {"fieldPath": "metadata.labels['a']"}})), ""),
        (
            env(json!({"fieldRef": {"apiVersion": "v9", "fieldPath": "metadata.name"}})),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name\": error converting fieldPath: unsupported pod version: v9",
        ),
        (
            env(json!({"fieldRef": {"fieldPath": "spec.what"}})),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"spec.what\": error converting fieldPath: field label not supported: spec.what",
        ),
        (
            env(json!({"fieldRef": {"fieldPath": "metadata.name['a']"}})),
            "spec.containers[0].env[0].valueFrom.fieldRef.fieldPath: Invalid value: \"metadata.name['a']\": error converting fieldPath: field label does not support subscript: metadata.name['a']",
        ),
        (env(json!({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1m"}})), ""),
        (env(json!({"resourceFieldRef": {"resource": "limits.memory", "divisor": "1Mi"}})), ""),
        (
            env(json!({"resourceFieldRef": {"resource": "limits.cpu", "divisor": "1Mi"}})),
            "spec.containers[0].env[0].valueFrom.resourceFieldRef.divisor: Invalid value: \"limits.cpu\": only divisor's values 1m and 1 are supported with the cpu resource",
        ),
        (json!({"envFrom": [{}]}), "spec.containers[0].envFrom: Invalid value: \"\": must specify one of: `configMapRef` or `secretRef`"),
        (
            json!({"envFrom": [{"secretRef": {"name": "../../x"}}]}),
            &format!("spec.containers[0].envFrom[0].secretRef.name: Invalid value: \"../../x\": {subdomain}"),
        ),
    ]);
}

#[test]
fn volumes_and_mounts() {
    let volume = |source: Value| {
        let mut volume = json!({"name": "v"});
        merge(&mut volume, source);
        json!({"serviceAccountName": "a", "volumes": [volume]})
    };
    let item = |path: &str| volume(json!({"configMap": {"name": "x", "items": [{"key": "a", "path": path}]}}));
    check(vec![
        (item("a..b/...c"), ""),
        (item("..data/x"), "spec.volumes[0].configMap.items[0].path: Invalid value: \"..data/x\": must not start with '..'"),
        (item("../x"), "spec.volumes[0].configMap.items[0].path: Invalid value: \"../x\": must not contain '..'"),
        (volume(json!({"secret": {"secretName": "../../../.."}})), ""),
        (volume(json!({"secret": {}})), "spec.volumes[0].secret.secretName: Required value"),
        (volume(json!({"nfs": {"server": "a", "path": "x"}})), "spec.volumes[0].nfs.path: Invalid value: \"x\": must be an absolute path"),
        (volume(json!({"cinder": {"volumeID": "a"}})), "spec.volumes[0].cinder: Forbidden: not supported by this version"),
        (volume(json!({"persistentVolumeClaim": {"claimName": ""}})), "spec.volumes[0].persistentVolumeClaim.claimName: Required value"),
        (volume(json!({"ephemeral": {}})), "spec.volumes[0].ephemeral.volumeClaimTemplate: Required value"),
        (volume(json!({"image": {"pullPolicy": "Always"}})), "spec.volumes[0].image.reference: Required value"),
        (volume(json!({"emptyDir": {"medium": "HugePages"}})), "spec.volumes[0].emptyDir.medium: Forbidden: not supported by this version"),
        (
            volume(json!({"hostPath": {"path": "/", "type": "X"}})),
            "spec.volumes[0].hostPath.type: Unsupported value: \"X\": supported values: \"\", \"BlockDevice\", \"CharDevice\", \"Directory\", \"DirectoryOrCreate\", \"File\", \"FileOrCreate\", \"Socket\"",
        ),
        (
            volume(
                json!({"projected": {"sources": [{"configMap": {"name": "x", "items": [{"key": "a", "path": "p"}]}}, {"secret": {"name": "y", "items": [{"key": "a", "path": "p"}]}}]}}),
            ),
            "spec.volumes[0].projected: Invalid value: \"y\": conflicting duplicate paths",
        ),
        (
            volume(json!({"projected": {"sources": [{"serviceAccountToken": {"path": "../t"}}]}})),
            "spec.volumes[0].projected.path: Invalid value: \"../t\": must not contain '..'",
        ),
        (json!({"volumes": [{"name": "a", "emptyDir": {}}, {"name": "a", "emptyDir": {}}]}), "spec.volumes[1].name: Duplicate value: \"a\""),
    ]);
    let mount = |rest: Value| {
        let mut mount = json!({"name": "e", "mountPath": "/a"});
        merge(&mut mount, rest);
        json!({ "volumeMounts": [mount] })
    };
    check_container(vec![
        (mount(json!({"subPath": "a/../../b"})), "spec.containers[0].volumeMounts.subPath: Invalid value: \"a/../../b\": must not contain '..'"),
        (mount(json!({"mountPath": "/a:b"})), "spec.containers[0].volumeMounts[0].mountPath: Invalid value: \"/a:b\": must not contain ':'"),
        (
            mount(json!({"mountPropagation": "Bidirectional"})),
            "spec.containers[0].volumeMounts.mountPropagation: Forbidden: Bidirectional mount propagation is available only to privileged containers",
        ),
        (
            mount(json!({"mountPropagation": "Foo"})),
            "spec.containers[0].volumeMounts.mountPropagation: Unsupported value: \"Foo\": supported values: \"Bidirectional\", \"HostToContainer\", \"None\"",
        ),
        (
            mount(json!({"recursiveReadOnly": "IfPossible"})),
            "spec.containers[0].volumeMounts.recursiveReadOnly: Forbidden: may only be specified when readOnly is true",
        ),
    ]);
}

#[test]
fn placement_and_gates() {
    let spread = json!({"maxSkew": 1, "topologyKey": "a", "whenUnsatisfiable": "DoNotSchedule"});
    let toleration = |t: Value| json!({ "tolerations": [t] });
    check(vec![
        (
            json!({"topologySpreadConstraints": [spread, spread]}),
            "spec.topologySpreadConstraints[0].{topologyKey, whenUnsatisfiable}: Duplicate value: \"{a, DoNotSchedule}\"",
        ),
        (json!({"schedulingGates": [{"name": "a"}, {"name": "a"}]}), "spec.schedulingGates[1]: Duplicate value: \"a\""),
        (json!({"schedulingGates": [{"name": "a"}], "nodeName": "n"}), "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared"),
        (json!({"preemptionPolicy": "X"}), "spec.preemptionPolicy: Unsupported value: \"X\": supported values: \"PreemptLowerPriority\", \"Never\""),
        (
            toleration(json!({"key": "a", "operator": "Exists", "effect": "NoSchedule", "tolerationSeconds": 5})),
            "spec.tolerations[0].effect: Invalid value: \"NoSchedule\": effect must be 'NoExecute' when `tolerationSeconds` is set",
        ),
        (
            toleration(json!({"key": "a", "operator": "Gt", "value": "1"})),
            "spec.tolerations[0].operator: Unsupported value: \"Gt\": supported values: \"Equal\", \"Exists\", \"Lt\", \"Gt\"",
        ),
        (json!({"os": {"name": "plan9"}}), "spec.os: Unsupported value: \"plan9\": supported values: \"linux\", \"windows\""),
        (json!({"os": {"name": "windows"}, "hostPID": true}), "spec.hostPID: Forbidden: cannot be set for a windows pod"),
        (json!({"os": {"name": "windows"}, "securityContext": {"fsGroup": 1}}), "spec.securityContext.fsGroup: Forbidden: cannot be set for a windows pod"),
    ]);
}

#[test]
fn network_and_resources() {
    check(vec![
        (json!({"hostAliases": [{"ip": "01.2.3.4"}]}), "spec.hostAliases[0].ip: Invalid value: \"01.2.3.4\": must not have leading 0s"),
        (json!({"dnsConfig": {"searches": ["a_b.c.", "."]}}), ""),
        (json!({"dnsConfig": {"options": [{"value": "1"}]}}), "spec.dnsConfig.options[0]: Required value: must not be empty"),
        (
            json!({"dnsPolicy": "None", "dnsConfig": {}}),
            "spec.dnsConfig.nameservers: Required value: must provide at least one DNS nameserver when `dnsPolicy` is None",
        ),
        (
            json!({"hostNetwork": true, "containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80, "hostPort": 81}]}]}),
            "spec.containers[0].ports[0].hostPort: Invalid value: 81: must match `containerPort` when `hostNetwork` is true",
        ),
    ]);
    let limits = |limits: Value| json!({"resources": {"limits": limits}});
    check_container(vec![
        (limits(json!({"example.com/gpu": "2"})), ""),
        (limits(json!({"hugepages-2Mi": "4Mi"})), "spec.containers[0].resources: Forbidden: HugePages require cpu or memory"),
        (
            json!({"resources": {"requests": {"example.com/gpu": "1"}}}),
            "spec.containers[0].resources.limits: Required value: Limit must be set for non overcommitable resources",
        ),
        (
            json!({"livenessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "a b", "value": ""}]}}}),
            "spec.containers[0].livenessProbe.httpGet.httpHeaders: Invalid value: \"a b\": a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', regex used for validation is '[-A-Za-z0-9]+')",
        ),
        (
            json!({"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}}),
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: must be non-negative and less than terminationGracePeriodSeconds (30)",
        ),
    ]);
}

/// What is limited is asked for as well, and as wrong there.
#[test]
fn amounts_that_can_not_be_divided() {
    for (name, amount, why) in [
        ("example.com/gpu", "500m", "must be an integer"),
        ("hugepages-2Mi", "3Mi", "3Mi is not positive integer multiple of hugepages-2Mi"),
        ("memory", "-1", "must be greater than or equal to 0"),
    ] {
        let found = causes(json!({"containers": [{"name": "a", "image": "i", "resources": {"limits": {"cpu": "1", name: amount}}}]}));
        for (found, list) in found.iter().zip(["limits", "requests"]) {
            assert!(found.starts_with(&format!("spec.containers[0].resources.{list}[{name}]: Invalid value: \"{amount}\": {why}")), "{found}");
        }
        assert!(found.len() >= 2, "{found:?}");
    }
}

#[test]
fn annotations() {
    for (key, value, expected) in [
        ("controller.kubernetes.io/pod-deletion-cost", "-10", ""),
        (
            "controller.kubernetes.io/pod-deletion-cost",
            "+10",
            "metadata.annotations[controller.kubernetes.io/pod-deletion-cost]: Invalid value: \"+10\": must be a 32bit integer",
        ),
        (
            "kubernetes.io/config.mirror",
            "x",
            "metadata.annotations[kubernetes.io/config.mirror]: Invalid value: \"x\": must set spec.nodeName if mirror pod annotation is set",
        ),
        ("seccomp.security.alpha.kubernetes.io/pod", "localhost/a/b", ""),
        (
            "seccomp.security.alpha.kubernetes.io/pod",
            "localhost/../b",
            "metadata.annotations.seccomp.security.alpha.kubernetes.io/pod: Invalid value: \"../b\": must not contain '..'",
        ),
        (
            "container.seccomp.security.alpha.kubernetes.io/a",
            "none",
            "metadata.annotations.container.seccomp.security.alpha.kubernetes.io/a: Invalid value: \"none\": must be a valid seccomp profile",
        ),
        ("container.apparmor.security.beta.kubernetes.io/a", "localhost/x", ""),
        (
            "container.apparmor.security.beta.kubernetes.io/b",
            "unconfined",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/b]: Invalid value: \"b\": container not found",
        ),
        (
            "container.apparmor.security.beta.kubernetes.io/a",
            "bad",
            "metadata.annotations[container.apparmor.security.beta.kubernetes.io/a]: Invalid value: \"bad\": invalid AppArmor profile name: \"bad\"",
        ),
    ] {
        let mut pod = Object::from_value(json!({"metadata": {"annotations": {key: value}}, "spec": spec(json!({}))})).unwrap();
        STRATEGY.default(&mut pod);
        let found: Vec<String> = STRATEGY.validate(&pod).into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect();
        assert_eq!(found.concat(), expected, "{key}");
    }
}

/// A template has a pod's rules, but for those that Kubernetes leaves for the pod.
#[test]
fn templates() {
    let deployment = |pod: Value| {
        let mut d =
            Object::from_value(json!({"spec": {"selector": {"matchLabels": {"a": "b"}}, "template": {"metadata": {"labels": {"a": "b"}}, "spec": spec(pod)}}}))
                .unwrap();
        let kinds = builtin();
        let strategy = kinds.resource("apps", "deployments").unwrap().strategy;
        strategy.default(&mut d);
        strategy.validate(&d).into_iter().map(|c| format!("{}: {}", c.field, c.message)).collect::<Vec<_>>()
    };
    assert_eq!(deployment(json!({"terminationGracePeriodSeconds": -1})), Vec::<String>::new());
    assert_eq!(deployment(json!({"containers": [{"name": "a", "image": " i"}]})), Vec::<String>::new());
    for (pod, expected) in [
        (
            json!({"securityContext": {"fsGroup": -1}}),
            "spec.template.spec.securityContext.fsGroup: Invalid value: -1: must be between 0 and 2147483647, inclusive",
        ),
        (
            json!({"ephemeralContainers": [{"name": "../.."}]}),
            "spec.template.spec.ephemeralContainers: Forbidden: ephemeral containers not allowed in pod template",
        ),
        (json!({"securityContext": {"sysctls": [{"name": ""}]}}), "spec.template.spec.securityContext.sysctls[0].name: Required value"),
    ] {
        assert_eq!(deployment(pod), [expected]);
    }
}

/// An answer that tells of much more than was sent.
#[test]
fn refusals_have_a_bound() {
    let many = |of: fn(usize) -> Value| (0..20_000).map(of).collect::<Vec<_>>();
    let wrong = causes(json!({"containers": many(|_| json!({})), "initContainers": many(|_| json!({"env": [{}], "ports": [{}]}))}));
    assert!(wrong.len() <= 1_000, "{}", wrong.len());
    let capabilities = json!({"add": vec!["CAP_SYS_ADMIN"; 50_000]});
    let context = json!({"allowPrivilegeEscalation": false, "capabilities": capabilities});
    assert_eq!(causes(json!({"containers": [{"name": "a", "image": "i", "securityContext": context}]})).len(), 1);
}

#[test]
fn what_a_gated_pod_asks_of_its_node_may_be_narrowed() {
    let pod = |gates: Value, more: Value| {
        let mut spec = json!({"containers": [{"name": "c", "image": "i"}], "schedulingGates": gates});
        for (key, value) in more.as_object().unwrap() {
            spec[key] = value.clone();
        }
        spec
    };
    let gates = json!([{"name": "a"}, {"name": "b"}]);
    let needs = |terms: Value| json!({"nodeSelector": {"a": "b"}, "affinity": {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}}});
    let term = |keys: &[&str]| json!({"matchExpressions": keys.iter().map(|k| json!({"key": k, "operator": "Exists"})).collect::<Vec<_>>()});
    let terms = "spec.affinity.nodeAffinity.requiredDuringSchedulingIgnoredDuringExecution.nodeSelectorTerms";
    let rows = [
        (json!({"nodeSelector": {"a": "b"}}), json!({"nodeSelector": {"a": "b", "c": "d"}}), String::new()),
        (json!({}), needs(json!([term(&["x"])])), String::new()),
        (needs(json!([term(&["x"])])), needs(json!([term(&["x", "y"])])), String::new()),
        (json!({"affinity": {"podAffinity": {}}}), json!({"affinity": {"podAffinity": {}, "nodeAffinity": {}}}), String::new()),
        (json!({"nodeSelector": {"a": "b"}}), json!({"nodeSelector": {"a": "c"}}), "spec.nodeSelector: only additions to spec.nodeSelector".to_owned()),
        (json!({"nodeSelector": {"a": "b"}}), json!({}), "spec.nodeSelector: only additions to spec.nodeSelector".to_owned()),
        (needs(json!([term(&["x"])])), needs(json!([term(&["x"]), term(&["y"])])), format!("{terms}: no additions/deletions to non-empty")),
        (needs(json!([term(&["x", "y"])])), needs(json!([term(&["x"])])), format!("{terms}[0]: only additions are allowed")),
        (needs(json!([{}])), needs(json!([term(&["x"])])), format!("{terms}[0]: only additions are allowed")),
        (json!({}), json!({"affinity": {"podAffinity": {}}}), "spec: pod updates may not change".to_owned()),
    ];
    for (before, after, want) in rows {
        let causes = super::update::validate(&pod(gates.clone(), after.clone()), &pod(gates.clone(), before.clone()));
        let (field, why) = want.split_once(": ").unwrap_or_default();
        let right = |c: &crate::error::Cause| c.field == field && c.message.contains(why);
        assert!(causes.len() == usize::from(!want.is_empty()) && causes.iter().all(right), "{before} to {after}: {causes:?} instead of {want:?}");
    }
    let causes = super::update::validate(&pod(json!([]), json!({"nodeSelector": {"a": "b"}})), &pod(json!([]), json!({})));
    assert_eq!(causes.len(), 1, "a pod without gates keeps what it asks for");
}
