//! What a pod's author tries who wants more than a pod: asked for with `kubectl`, on a real node.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use e2e::{Cluster, eventually, output};
use std::time::Duration;

const MINUTE: Duration = Duration::from_secs(60);

fn pod(name: &str, more: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}}}, spec: {{terminationGracePeriodSeconds: 0, restartPolicy: Never, {more}, \
         containers: [{{name: c, image: 'localhost/busybox:1', command: [sleep, '100000']}}]}}}}"
    )
}

/// What `kubectl apply` says of a manifest, whether it takes it or not.
fn said(cluster: &Cluster, namespace: &str, manifest: &str) -> (bool, String) {
    let file = cluster.lab.path().join("hostile.yaml");
    std::fs::write(&file, format!("---\n{manifest}")).unwrap();
    let out = output(&mut cluster.kubectl(&["apply", "-n", namespace, "-f", file.to_str().unwrap()]));
    (out.status.success(), String::from_utf8_lossy(&out.stderr).trim().to_owned())
}

fn namespaces_say_how_much_pods_may_do(cluster: &Cluster) {
    cluster.k(&["create", "namespace", "strict"]);
    cluster.k(&["label", "namespace", "strict", "pod-security.kubernetes.io/enforce=baseline", "pod-security.kubernetes.io/warn=restricted"]);
    let (taken, why) = said(cluster, "strict", &pod("net", "hostNetwork: true"));
    assert!(!taken && why.contains("pods \"net\" is forbidden: violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"), "{why}");
    let (taken, why) = said(cluster, "strict", &pod("plain", "enableServiceLinks: false"));
    assert!(taken && why.contains("Warning: would violate PodSecurity \"restricted:latest\": allowPrivilegeEscalation != false"), "{why}");
    let deployment = "{apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {replicas: 0, selector: {matchLabels: {a: b}}, template: \
         {metadata: {labels: {a: b}}, spec: {containers: [{name: c, image: i, securityContext: {privileged: true}}]}}}}";
    let (taken, why) = said(cluster, "strict", deployment);
    assert!(taken && why.contains("Warning: would violate PodSecurity \"restricted:latest\": privileged (container \"c\" must not set"), "{why}");
    let out = output(&mut cluster.kubectl(&["label", "namespace", "strict", "--overwrite", "pod-security.kubernetes.io/enforce=none"]));
    assert!(String::from_utf8_lossy(&out.stderr).contains("must be one of privileged, baseline, restricted"), "{}", String::from_utf8_lossy(&out.stderr));
}

fn settings_of_the_kernel_are_the_nodes(cluster: &Cluster) {
    let before = std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap();
    let core = "securityContext: {sysctls: [{name: kernel.core_pattern, value: '|/bin/sh'}]}";
    assert!(said(cluster, "default", &pod("core", core)).0, "the API doesn't know what nodes allow");
    eventually("the node refuses it", MINUTE, || {
        let reason = cluster.k(&["get", "pod", "core", "-o", "jsonpath={.status.phase} {.status.reason}"]);
        if reason == "Failed SysctlForbidden" { Ok(()) } else { Err(reason) }
    });
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/core_pattern").unwrap(), before);
    for (name, value) in [("../../../etc/x", "1"), ("kernel..x", "1"), ("UPPER", "1")] {
        let (taken, why) = said(cluster, "default", &pod("wrong", &format!("securityContext: {{sysctls: [{{name: '{name}', value: '{value}'}}]}}")));
        assert!(!taken && why.contains("spec.securityContext.sysctls[0].name: Invalid value"), "{name}: {why}");
    }
    let (taken, why) = said(cluster, "default", &pod("wrong", "hostNetwork: true, securityContext: {sysctls: [{name: net.ipv4.ip_forward, value: '1'}]}"));
    assert!(!taken && why.contains("spec.securityContext.sysctls[0].name: Invalid value"), "{why}");
}

/// A volume in which a container has planted a link, and a mount of what the link leads to.
fn parts_of_volumes_stay_in_them(cluster: &Cluster) {
    let escape = "{apiVersion: v1, kind: Pod, metadata: {name: escape}, spec: {terminationGracePeriodSeconds: 0, restartPolicy: Never, volumes: [{name: v, \
         emptyDir: {}}], initContainers: [{name: i, image: 'localhost/busybox:1', command: [ln, -s, /, /v/root], volumeMounts: [{name: v, mountPath: /v}]}], \
         containers: [{name: c, image: 'localhost/busybox:1', command: [touch, /x/planted-by-a-pod], volumeMounts: [{name: v, mountPath: /x, subPath: root/tmp/made-by-a-pod}]}]}}";
    cluster.apply(escape);
    eventually("the node refuses the part", MINUTE, || {
        let waiting = cluster.k(&["get", "pod", "escape", "-o", "jsonpath={.status.containerStatuses[0].state.waiting.reason}"]);
        if waiting == "CreateContainerConfigError" { Ok(()) } else { Err(waiting) }
    });
    assert!(!std::path::Path::new("/tmp/made-by-a-pod").exists());
}

#[test]
fn a_pods_author_gets_no_further_than_the_pod() {
    let cluster = Cluster::start(&[]);
    cluster.node_ready("node1");
    namespaces_say_how_much_pods_may_do(&cluster);
    settings_of_the_kernel_are_the_nodes(&cluster);
    parts_of_volumes_stay_in_them(&cluster);
    cluster.k(&["delete", "pod", "--all", "-A", "--wait=true", "--timeout=60s"]);
}
