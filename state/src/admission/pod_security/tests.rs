use super::*;
use proptest::prelude::*;
use serde_json::json;

/// Puts `change` over `value`: maps are merged, all else is replaced.
fn merge(value: &mut Value, change: Value) {
    match (value, change) {
        (Value::Object(into), Value::Object(from)) => from.into_iter().for_each(|(key, inner)| merge(into.entry(key).or_insert(Value::Null), inner)),
        (value, change) => *value = change,
    }
}

/// What `restricted` asks for, in one container.
fn hardened() -> Value {
    json!({
        "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [container("c", json!({}))],
    })
}

fn container(name: &str, change: Value) -> Value {
    let mut container = json!({"name": name, "image": "i", "securityContext": {"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}}});
    merge(&mut container, change);
    container
}

/// A hardened pod, changed.
fn pod(change: Value) -> Value {
    let mut spec = hardened();
    merge(&mut spec, change);
    spec
}

/// A hardened pod with two changed containers beside its own, one to initialise and one to debug.
fn with_containers(change: Value) -> Value {
    let of = |name: &str| json!([container(name, change.clone())]);
    pod(json!({"initContainers": of("i"), "ephemeralContainers": of("e")}))
}

fn standard(text: &str) -> Standard {
    let (level, version) = text.split_once(':').unwrap();
    Standard { level: Level::parse(level).unwrap(), version: Version::parse(version).unwrap() }
}

fn found(at: &str, metadata: Value, spec: &Value) -> String {
    details(&check(standard(at), &metadata, spec))
}

/// Each pod, as which standard it is judged, and what is found.
fn expect(rows: Vec<(&str, Value, &str)>) {
    for (at, spec, expected) in rows {
        assert_eq!(found(at, json!({}), &spec), expected, "{at} {spec}");
    }
}

const BOTH: [&str; 2] = ["baseline:latest", "restricted:latest"];

#[test]
fn what_all_may_do() {
    for at in ["baseline:v1.0", "baseline:latest", "restricted:v1.0", "restricted:v1.19", "restricted:v1.25", "restricted:latest"] {
        assert_eq!(found(at, json!({}), &hardened()), "", "{at}");
    }
    let anything = with_containers(json!({"securityContext": {"privileged": true}}));
    assert_eq!(found("privileged:latest", json!({}), &anything), "");
}

#[test]
fn privileges_of_the_node() {
    let context = |context: Value| with_containers(json!({ "securityContext": context }));
    for at in BOTH {
        expect(vec![
            (at, context(json!({"privileged": true})), r#"privileged (containers "i", "e" must not set securityContext.privileged=true)"#),
            (at, context(json!({"privileged": false})), ""),
            (at, pod(json!({"hostNetwork": true, "hostPID": true, "hostIPC": true})), "host namespaces (hostNetwork=true, hostPID=true, hostIPC=true)"),
            (at, pod(json!({"hostPID": false, "hostIPC": true})), "host namespaces (hostIPC=true)"),
            (
                at,
                with_containers(
                    json!({"ports": [{"containerPort": 1, "hostPort": 80}, {"containerPort": 2, "hostPort": 0}, {"containerPort": 3, "hostPort": 443}]}),
                ),
                r#"hostPort (containers "i", "e" use hostPorts 443, 80)"#,
            ),
            (at, pod(json!({"containers": [container("c", json!({"ports": [{"hostPort": 80}]}))]})), r#"hostPort (container "c" uses hostPort 80)"#),
            (at, context(json!({"procMount": "Unmasked"})), r#"procMount (containers "i", "e" must not set securityContext.procMount to "Unmasked")"#),
            (at, context(json!({"procMount": "Default"})), ""),
            (
                at,
                pod(
                    json!({"securityContext": {"windowsOptions": {"hostProcess": true}}, "containers": [container("c", json!({"securityContext": {"windowsOptions": {"hostProcess": true}}}))]}),
                ),
                r#"hostProcess (pod and container "c" must not set securityContext.windowsOptions.hostProcess=true)"#,
            ),
        ]);
    }
}

#[test]
fn volumes() {
    let with = |volumes: Value| pod(json!({ "volumes": volumes }));
    let host = with(json!([{"name": "a", "hostPath": {"path": "/"}}, {"name": "b", "hostPath": {"path": "/"}}, {"name": "c", "emptyDir": {}}]));
    let safe = ["configMap", "csi", "downwardAPI", "emptyDir", "ephemeral", "image", "persistentVolumeClaim", "projected", "secret"];
    let safe = with(json!(safe.map(|kind| json!({"name": kind.to_lowercase(), kind: {}}))));
    expect(vec![
        ("baseline:latest", host.clone(), r#"hostPath volumes (volumes "a", "b")"#),
        ("restricted:latest", host, r#"restricted volume types (volumes "a", "b" use restricted volume type "hostPath")"#),
        ("restricted:latest", safe, ""),
        ("baseline:latest", with(json!([{"name": "n", "nfs": {}}])), ""),
        (
            "restricted:v1.0",
            with(json!([{"name": "n", "nfs": {}}, {"name": "r", "rbd": {}}, {"name": "u", "other": {}}])),
            r#"restricted volume types (volumes "n", "r", "u" use restricted volume types "nfs", "rbd", "unknown")"#,
        ),
        (
            "restricted:latest",
            with(json!([{"name": "x", "emptyDir": {}, "hostPath": {}}])),
            r#"restricted volume types (volume "x" uses restricted volume type "hostPath")"#,
        ),
    ]);
}

#[test]
fn capabilities() {
    let add = |names: &[&str]| with_containers(json!({"securityContext": {"capabilities": {"add": names}}}));
    let bare = with_containers(json!({"securityContext": {"capabilities": null}}));
    let more = r#"containers "i", "e" must not include "CHOWN", "NET_RAW" in securityContext.capabilities.add"#;
    expect(vec![
        ("baseline:latest", add(&["CHOWN", "NET_BIND_SERVICE", "SYS_CHROOT"]), ""),
        (
            "baseline:latest",
            add(&["SYS_ADMIN", "CHOWN", "NET_RAW"]),
            r#"non-default capabilities (containers "i", "e" must not include "NET_RAW", "SYS_ADMIN" in securityContext.capabilities.add)"#,
        ),
        ("restricted:v1.21", add(&["CHOWN"]), ""),
        ("restricted:v1.21", bare.clone(), ""),
        ("restricted:v1.22", add(&["NET_BIND_SERVICE"]), ""),
        ("restricted:v1.22", add(&["NET_RAW", "CHOWN"]), &format!("unrestricted capabilities ({more})")),
        ("restricted:latest", bare, r#"unrestricted capabilities (containers "i", "e" must set securityContext.capabilities.drop=["ALL"])"#),
        (
            "restricted:latest",
            with_containers(json!({"securityContext": {"capabilities": {"drop": ["NET_RAW"], "add": ["X"]}}})),
            r#"unrestricted capabilities (containers "i", "e" must set securityContext.capabilities.drop=["ALL"]; containers "i", "e" must not include "X" in securityContext.capabilities.add)"#,
        ),
    ]);
}

#[test]
fn users() {
    let context = |context: Value| with_containers(json!({ "securityContext": context }));
    let loose = |change: Value| {
        let mut spec = pod(json!({"securityContext": {"runAsNonRoot": null}}));
        merge(&mut spec, change);
        spec
    };
    let root = pod(json!({"securityContext": {"runAsUser": 0}}));
    expect(vec![
        ("restricted:v1.7", context(json!({"allowPrivilegeEscalation": true})), ""),
        (
            "restricted:v1.8",
            context(json!({"allowPrivilegeEscalation": null})),
            r#"allowPrivilegeEscalation != false (containers "i", "e" must set securityContext.allowPrivilegeEscalation=false)"#,
        ),
        ("restricted:v1.0", loose(json!({})), r#"runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)"#),
        ("restricted:latest", loose(json!({"containers": [container("c", json!({"securityContext": {"runAsNonRoot": true}}))]})), ""),
        (
            "restricted:latest",
            context(json!({"runAsNonRoot": false})),
            r#"runAsNonRoot != true (containers "i", "e" must not set securityContext.runAsNonRoot=false)"#,
        ),
        (
            "restricted:latest",
            loose(json!({"securityContext": {"runAsNonRoot": false}})),
            "runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false)",
        ),
        ("restricted:v1.22", root.clone(), ""),
        ("restricted:v1.23", root, "runAsUser=0 (pod must not set runAsUser=0)"),
        ("restricted:latest", context(json!({"runAsUser": 0})), r#"runAsUser=0 (containers "i", "e" must not set runAsUser=0)"#),
        ("restricted:latest", context(json!({"runAsUser": 1})), ""),
        ("baseline:latest", loose(json!({"securityContext": {"runAsUser": 0}})), ""),
    ]);
}

/// Who is root among users of its own isn't the node's.
#[test]
fn own_users() {
    let own = pod(
        json!({"hostUsers": false, "securityContext": {"runAsNonRoot": false, "runAsUser": 0}, "containers": [container("c", json!({"securityContext": {"procMount": "Unmasked"}}))]}),
    );
    let mount = r#"procMount (container "c" must not set securityContext.procMount to "Unmasked")"#;
    expect(vec![
        ("baseline:v1.34", own.clone(), mount),
        ("baseline:v1.35", own.clone(), ""),
        ("restricted:latest", own.clone(), mount),
        (
            "restricted:v1.34",
            own,
            &format!("{mount}, runAsNonRoot != true (pod must not set securityContext.runAsNonRoot=false), runAsUser=0 (pod must not set runAsUser=0)"),
        ),
    ]);
}

#[test]
fn seccomp() {
    let unset = |change: Value| {
        let mut spec = pod(json!({"securityContext": {"seccompProfile": null}}));
        merge(&mut spec, change);
        spec
    };
    let profile = |kind: &str| json!({"securityContext": {"seccompProfile": {"type": kind}}});
    let both = unset(json!({"securityContext": {"seccompProfile": {"type": "Unconfined"}}, "initContainers": [container("i", profile("x"))]}));
    let bad = r#"seccompProfile (pod and container "i" must not set securityContext.seccompProfile.type to "Unconfined", "x")"#;
    expect(vec![
        ("baseline:latest", unset(json!({})), ""),
        ("baseline:v1.19", both.clone(), bad),
        ("baseline:v1.18", both.clone(), ""),
        ("restricted:v1.19", both, bad),
        ("restricted:v1.18", unset(json!({})), ""),
        (
            "restricted:v1.19",
            unset(json!({})),
            r#"seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#,
        ),
        ("restricted:latest", unset(json!({"containers": [container("c", profile("Localhost"))]})), ""),
    ]);
    let annotated = |value: &str| json!({"annotations": {"seccomp.security.alpha.kubernetes.io/pod": value, "container.seccomp.security.alpha.kubernetes.io/c": "localhost/x"}});
    assert_eq!(
        found("baseline:v1.18", annotated("unconfined"), &hardened()),
        r#"seccompProfile (forbidden annotation seccomp.security.alpha.kubernetes.io/pod="unconfined")"#
    );
    assert_eq!(found("restricted:v1.18", annotated("docker/default"), &hardened()), "");
    assert_eq!(found("baseline:v1.19", annotated("unconfined"), &hardened()), "");
}

#[test]
fn mandatory_access_control() {
    let armor = |kind: &str| json!({"securityContext": {"appArmorProfile": {"type": kind}}});
    let linux = |options: Value| pod(json!({"securityContext": {"seLinuxOptions": options}}));
    for at in BOTH {
        expect(vec![
            (at, pod(armor("Localhost")), ""),
            (
                at,
                pod(json!({"securityContext": {"appArmorProfile": {"type": "Unconfined"}}, "containers": [container("c", armor("Unconfined"))]})),
                r#"forbidden AppArmor profile (pod and container "c" must not set AppArmor profile type to "Unconfined")"#,
            ),
            (at, linux(json!({"type": "container_t", "level": "s0"})), ""),
            (at, linux(json!({"type": "container_engine_t"})), ""),
            (
                at,
                linux(json!({"type": "spc_t", "user": "u", "role": "r"})),
                r#"seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "spc_t"; user may not be set; role may not be set)"#,
            ),
        ]);
    }
    expect(vec![(
        "baseline:v1.30",
        linux(json!({"type": "container_engine_t"})),
        r#"seLinuxOptions (pod set forbidden securityContext.seLinuxOptions: type "container_engine_t")"#,
    )]);
    let annotated = json!({"annotations": {
        "container.apparmor.security.beta.kubernetes.io/c": "unconfined", "container.apparmor.security.beta.kubernetes.io/d": "localhost/x", "other": "unconfined"}});
    assert_eq!(
        found("baseline:latest", annotated, &hardened()),
        r#"forbidden AppArmor profile (annotation must not set AppArmor profile type to "container.apparmor.security.beta.kubernetes.io/c="unconfined"")"#
    );
}

#[test]
fn sysctls() {
    let with = |names: &[&str]| pod(json!({"securityContext": {"sysctls": names.iter().map(|n| json!({"name": n, "value": "1"})).collect::<Vec<_>>()}}));
    for (name, since) in [
        ("kernel.shm_rmid_forced", 0),
        ("net.ipv4.ip_local_reserved_ports", 27),
        ("net.ipv4.tcp_keepalive_time", 29),
        ("net.ipv4.tcp_rmem", 32),
        ("net.ipv4.tcp_notsent_lowat", 37),
    ] {
        for minor in 0..40 {
            let at = format!("restricted:v1.{minor}");
            let expected = if minor < since { format!("forbidden sysctls ({name})") } else { String::new() };
            assert_eq!(found(&at, json!({}), &with(&[name])), expected, "{at}");
        }
    }
    expect(vec![("baseline:latest", with(&["vm.stat_interval", "net.ipv4.tcp_syncookies", "kernel.sem"]), "forbidden sysctls (vm.stat_interval, kernel.sem)")]);
}

#[test]
fn hosts_of_probes() {
    let http = json!({"httpGet": {"port": 1, "host": "10.0.0.1"}});
    let tcp = json!({"tcpSocket": {"port": 1, "host": "b"}});
    let spec = with_containers(json!({"livenessProbe": http, "lifecycle": {"preStop": tcp, "postStart": {"httpGet": {"port": 1, "host": ""}}}}));
    let one = pod(json!({"containers": [container("c", json!({"readinessProbe": tcp}))]}));
    for level in ["baseline", "restricted"] {
        expect(vec![
            (&format!("{level}:v1.33"), spec.clone(), ""),
            (&format!("{level}:v1.34"), spec.clone(), r#"probe or lifecycle host (containers "e", "i" use probe or lifecycle hosts "10.0.0.1", "b")"#),
            (&format!("{level}:latest"), one.clone(), r#"probe or lifecycle host (container "c" uses probe or lifecycle host "b")"#),
        ]);
    }
}

#[test]
fn windows() {
    let bare = json!({"os": {"name": "windows"}, "securityContext": {"runAsNonRoot": true}, "containers": [{"name": "c"}]});
    assert_eq!(found("restricted:v1.25", json!({}), &bare), "");
    assert_eq!(check(standard("restricted:v1.24"), &Value::Null, &bare).len(), 3);
}

/// A plain pod, as people see it refused.
#[test]
fn all_at_once() {
    let bare = json!({"containers": [{"name": "c", "image": "i"}]});
    assert_eq!(
        found("restricted:latest", json!({}), &bare),
        r#"allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#
    );
    assert_eq!(found("restricted:v1.999", json!({}), &bare), found("restricted:latest", json!({}), &bare));
}

/// Anything, in the places at which checks look.
fn any_spec() -> impl Strategy<Value = Value> {
    let texts = prop::sample::select(vec![
        "",
        "RuntimeDefault",
        "Unconfined",
        "Unmasked",
        "ALL",
        "NET_RAW",
        "NET_BIND_SERVICE",
        "CHOWN",
        "kernel.sem",
        "net.ipv4.tcp_rmem",
        "spc_t",
        "c",
    ]);
    let leaf = prop_oneof![Just(Value::Null), any::<bool>().prop_map(Value::from), (-1_i64..3).prop_map(Value::from), texts.prop_map(Value::from)];
    let keys = prop::sample::select(vec![
        "containers",
        "initContainers",
        "ephemeralContainers",
        "securityContext",
        "privileged",
        "capabilities",
        "add",
        "drop",
        "procMount",
        "seccompProfile",
        "appArmorProfile",
        "seLinuxOptions",
        "type",
        "user",
        "runAsUser",
        "runAsNonRoot",
        "allowPrivilegeEscalation",
        "hostUsers",
        "hostPID",
        "volumes",
        "hostPath",
        "emptyDir",
        "nfs",
        "ports",
        "hostPort",
        "sysctls",
        "name",
        "livenessProbe",
        "httpGet",
        "host",
        "windowsOptions",
        "hostProcess",
        "annotations",
    ]);
    leaf.prop_recursive(5, 60, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::hash_map(keys.clone(), inner, 0..8).prop_map(|m| json!(m))
        ]
    })
}

/// A hardened pod with something else in one place.
fn changed_spec() -> impl Strategy<Value = Value> {
    prop::collection::hash_map(
        prop::sample::select(vec!["volumes", "hostUsers", "hostPID", "securityContext", "initContainers", "ephemeralContainers"]),
        any_spec(),
        0..3,
    )
    .prop_map(|changes| pod(json!(changes)))
}

proptest! {
    /// What a level allows, each lower one allows, as every release; and no pod is such that judging it fails. Pods of Windows are another matter:
    /// `restricted` doesn't look at what no such pod can have, and that it hasn't is checked elsewhere.
    #[test]
    fn levels_are_in_order(spec in prop_oneof![any_spec(), changed_spec()], metadata in any_spec(), minor in 0_u32..40) {
        let at = |level| check(Standard { level, version: Version::Minor(minor) }, &metadata, &spec);
        prop_assert!(at(Level::Privileged).is_empty());
        prop_assert!(!at(Level::Restricted).is_empty() || at(Level::Baseline).is_empty(), "{:?}", at(Level::Baseline));
        prop_assert!(at(Level::Restricted).iter().chain(&at(Level::Baseline)).all(|v| !v.reason.is_empty()));
    }
}
