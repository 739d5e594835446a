//! Pods whose author wants the node: whatever they say, nothing of the node's own is made, changed, read or shown.
use crate::machine::inside;
use crate::pods::{node_with, pod, ready, sh, stream};
use crate::state::State;
use model::Object;
use node_agent::AgentOptions;
use serde_json::{Value, json};
use state_client::node::{LogOptions, NodeAction};
use std::path::Path;
use std::time::Duration;

fn phase(o: &Object) -> &str {
    o.str_at(&["status", "phase"])
}

fn over(o: &Object) -> bool {
    matches!(phase(o), "Succeeded" | "Failed")
}

async fn log(state: &State, pod: &str, container: &str) -> String {
    stream(state, pod, NodeAction::Logs(LogOptions { container: container.into(), ..LogOptions::default() }), &[]).await.0
}

fn container<'o>(o: &'o Object, name: &str) -> &'o Value {
    o.list_at(&["status", "containerStatuses"]).iter().find(|c| c["name"] == name).unwrap_or(&Value::Null)
}

/// A directory of the node's that pods aim at.
fn victim(dir: &Path) -> std::path::PathBuf {
    let victim = dir.join("victim");
    std::fs::create_dir_all(&victim).unwrap();
    std::fs::write(victim.join("secret"), "of the node\n").unwrap();
    victim
}

fn unharmed(victim: &Path) {
    let names: Vec<_> = victim.read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["secret"], "nothing is made");
    assert_eq!(std::fs::read_to_string(victim.join("secret")).unwrap(), "of the node\n");
}

#[test]
fn settings_are_the_pods_own_or_forbidden() {
    inside("hostile::settings_are_the_pods_own_or_forbidden", |dir| async move {
        let own = AgentOptions {
            allowed_unsafe_sysctls: ["kernel.msg*", "kernel.domainname", "net.core.somaxconn"].map(str::to_owned).into(),
            ..AgentOptions::default()
        };
        let (state, _system) = node_with(&dir, own).await;
        let read = |name: &str| std::fs::read_to_string(Path::new("/proc/sys").join(name)).unwrap();
        let nodes = [
            "vm/stat_interval",
            "kernel/core_pattern",
            "kernel/shm_rmid_forced",
            "kernel/msgmax",
            "kernel/domainname",
            "net/ipv4/tcp_syncookies",
            "net/core/somaxconn",
        ];
        let before = nodes.map(read);
        let with = |name: &str, sysctls: Value, extra: Value| {
            let show = "cd /proc/sys; cat kernel/shm_rmid_forced kernel/msgmax kernel/domainname net/ipv4/tcp_syncookies net/core/somaxconn";
            let mut spec = json!({"restartPolicy": "Never", "securityContext": {"sysctls": sysctls}, "containers": [sh("c", show)]});
            spec.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
            pod(name, spec)
        };
        for (i, (name, extra, why)) in [
            ("vm.stat_interval", json!({}), "\"vm.stat_interval\" not allowlisted"),
            ("kernel.core_pattern", json!({}), "\"kernel.core_pattern\" not allowlisted"),
            ("kernel.msg/../core_pattern", json!({}), "\"kernel.msg/../core_pattern\" not allowlisted"),
            ("kernel.msgmax", json!({"hostIPC": true}), "\"kernel.msgmax\" not allowed with host IPC enabled"),
            ("net/ipv4/tcp_syncookies", json!({"hostNetwork": true}), "\"net.ipv4.tcp_syncookies\" not allowed with host Net enabled"),
        ]
        .into_iter()
        .enumerate()
        {
            let bad = format!("bad{i}");
            state.create("pods", "default", with(&bad, json!([{"name": "net.ipv4.tcp_syncookies", "value": "0"}, {"name": name, "value": "7"}]), extra)).await;
            let failed = state.pod(&bad, "Failed", |o| phase(o) == "Failed").await;
            assert_eq!(failed.object().str_at(&["status", "reason"]), "SysctlForbidden");
            assert!(failed.object().str_at(&["status", "message"]).ends_with(&format!("forbidden sysctl: {why}")) || i == 4, "{:?}", failed.object());
            state.until("events", "default", "", "told", |_| state.reasons(&bad).contains(&"SysctlForbidden".to_owned())).await;
        }
        let fine = json!([{"name": "kernel.shm_rmid_forced", "value": "1"}, {"name": "kernel/msgmax", "value": "12345"}, {"name": "kernel.domainname", "value": "own"},
            {"name": "net.ipv4.tcp_syncookies", "value": "0"}, {"name": "net.core.somaxconn", "value": "99"}]);
        state.create("pods", "default", with("fine", fine, json!({}))).await;
        state.pod("fine", "Succeeded", |o| phase(o) == "Succeeded").await;
        assert_eq!(log(&state, "fine", "c").await, "1\n12345\nown\n0\n99\n");
        assert_eq!(nodes.map(read), before, "the node's are as they were");
    });
}

/// What an init container plants, and a container for each part that it aims at, with the first lines that it shows.
const PARTS: &[(&str, &str, Result<&str, &str>)] = &[
    ("root", "evil", Err("prepare subPath")),
    ("below", "evil/run", Err("prepare subPath")),
    ("rel", "rel", Err("prepare subPath")),
    ("mid", "d/root/run/whalesong-test/victim", Err("prepare subPath")),
    ("file", "file", Err("prepare subPath")),
    ("mk", "d/root/run/whalesong-test/victim/made", Err("prepare subPath")),
    ("mkrel", "rel/made", Err("prepare subPath")),
    ("dangling", "none/made", Err("create subPath directory")),
    ("good", "good/f", Ok("fine\n")),
    ("chain", "d/chain", Ok("f\nsub\n")),
    ("made", "ok/sub/new/dir", Ok("777\n")),
];

fn reader((name, sub_path, _): &(&str, &str, Result<&str, &str>)) -> Value {
    let show = if *name == "made" { "stat -c %a /m" } else { "[ -f /m ] && exec cat /m; ls /m; echo written by the pod > /m/written" };
    let mut c = sh(name, show);
    c["volumeMounts"] = json!([{"name": "e", "mountPath": "/m", "subPath": sub_path}]);
    c
}

#[test]
fn parts_of_volumes_stay_inside() {
    inside("hostile::parts_of_volumes_stay_inside", |dir| async move {
        let (state, _system) = node_with(&dir, AgentOptions::default()).await;
        let victim = victim(&dir);
        let plant = "cd /e; ln -s / evil; ln -s ../../../../../victim rel; mkdir -p d ok/sub; ln -s / d/root; ln -s /etc/hostname file; ln -s missing none; ln -s ok good; ln -s ../good d/chain; echo fine > ok/f";
        let mut init = sh("i", plant);
        init["volumeMounts"] = json!([{"name": "e", "mountPath": "/e"}]);
        init["securityContext"] = json!({"runAsUser": 12345});
        let containers: Vec<Value> = PARTS.iter().map(reader).collect();
        let spec = json!({"restartPolicy": "Never", "volumes": [{"name": "e", "emptyDir": {}}], "initContainers": [init], "containers": containers});
        state.create("pods", "default", pod("esc", spec)).await;
        let settled = |o: &Object| {
            PARTS.iter().all(|(name, _, want)| {
                let state = &container(o, name)["state"];
                if want.is_ok() { state["terminated"].is_object() } else { state["waiting"]["reason"] == "CreateContainerConfigError" }
            })
        };
        let now = state.pod("esc", "settled", settled).await;
        for (name, _, want) in PARTS {
            match want {
                Ok(text) => assert_eq!(log(&state, "esc", name).await, *text, "{name}"),
                Err(what) => {
                    let message = container(now.object(), name)["state"]["waiting"]["message"].as_str().unwrap().to_owned();
                    assert_eq!(message, format!("failed to {what} for volumeMount \"e\" of container \"{name}\""));
                }
            }
        }
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(!mounts.contains("/subpaths/"), "bound no longer than it is needed: {mounts}");
        state.delete_pod("esc", 1).await;
        state.no_pod("esc").await;
        unharmed(&victim);
        assert!(!dir.join("data/pods").read_dir().unwrap().any(|_| true), "nothing is left");
    });
}

fn mount(source: &Path, target: &Path) {
    assert!(std::process::Command::new("mount").arg("--bind").args([source, target]).status().unwrap().success());
}

#[test]
fn what_is_mounted_in_a_volume_is_neither_removed_nor_in_the_way() {
    inside("hostile::what_is_mounted_in_a_volume_is_neither_removed_nor_in_the_way", |dir| async move {
        let (state, _system) = node_with(&dir, AgentOptions::default()).await;
        let victim = victim(&dir);
        let mut c = sh("c", "cat /m/f; until [ -e /m/go ]; do sleep 0.1; done; rm /m/go");
        c["volumeMounts"] = json!([{"name": "e", "mountPath": "/m", "subPath": "d"}, {"name": "e", "mountPath": "/e"}]);
        let mut init = sh("i", "mkdir '/e/a b' /e/d; echo fine > /e/d/f");
        init["volumeMounts"] = json!([{"name": "e", "mountPath": "/e"}]);
        state.create("pods", "default", pod("m", json!({"volumes": [{"name": "e", "emptyDir": {}}], "initContainers": [init], "containers": [c]}))).await;
        let running = state.pod("m", "ready", ready).await;
        let own = dir.join("data/pods").join(running.object().uid());
        mount(&victim, &own.join("volumes/e/a b"));
        // As an agent leaves it that is killed while it makes a container.
        mount(&victim, &own.join("subpaths/c/0"));
        std::fs::write(own.join("volumes/e/d/go"), "").unwrap();
        state.pod("m", "restarted", |o| ready(o) && container(o, "c")["restartCount"] == 1).await;
        let first_line = LogOptions { container: "c".into(), follow: true, limit_bytes: Some(5), ..LogOptions::default() };
        assert_eq!(stream(&state, "m", NodeAction::Logs(first_line), &[]).await.0, "fine\n");
        state.delete_pod("m", 1).await;
        state.no_pod("m").await;
        unharmed(&victim);
        assert!(!dir.join("data/pods").read_dir().unwrap().any(|_| true), "nothing is left");
    });
}

#[test]
fn a_directory_for_a_key_that_is_missing_stays() {
    inside("hostile::a_directory_for_a_key_that_is_missing_stays", |dir| async move {
        let (state, _system) = node_with(&dir, AgentOptions::default()).await;
        state.create("configmaps", "default", json!({"metadata": {"name": "ms"}, "data": {"a": "1"}})).await;
        let mut c = sh("c", "until grep -q 2 /full/a; do sleep 0.1; done; ls -d /m; exec sleep 1000");
        c["volumeMounts"] = json!([{"name": "cm", "mountPath": "/full"}, {"name": "cm", "mountPath": "/m", "subPath": "later"}]);
        c["readinessProbe"] = json!({"exec": {"command": ["grep", "-q", "2", "/full/a"]}, "periodSeconds": 1});
        state.create("pods", "default", pod("ms", json!({"volumes": [{"name": "cm", "configMap": {"name": "ms"}}], "containers": [c]}))).await;
        state.pod("ms", "started", |o| container(o, "c")["started"] == true).await;
        state.client().merge("", "configmaps", "", "default", "ms", &json!({"data": {"a": "2"}})).await.unwrap();
        let running = state.pod("ms", "ready", ready).await;
        assert!(!state.reasons("ms").contains(&"FailedMount".to_owned()));
        let volume = dir.join("data/pods").join(running.object().uid()).join("volumes/cm");
        let count = |of: &Path| of.read_dir().unwrap().count();
        assert_eq!((count(&volume), count(&volume.join("..data"))), (4, 1), "a, later, ..data and one directory");
    });
}

#[test]
fn what_a_container_leaves_is_read_with_care() {
    inside("hostile::what_a_container_leaves_is_read_with_care", |dir| async move {
        let (state, _system) = node_with(&dir, AgentOptions::default()).await;
        let victim = victim(&dir);
        let deep = "i=0; cd /e; while [ $i -lt 400 ]; do mkdir -p a/a/a/a/a/a/a/a; cd a/a/a/a/a/a/a/a; i=$((i+1)); done; ln -s / /e/root; mkfifo /e/fifo; chattr +i /e/fifo 2>/dev/null";
        let mut containers = vec![
            sh("sparse", "truncate -s 100G /dev/termination-log /etc/hosts /etc/resolv.conf; exit 1"),
            sh("long", "yes 0123456789abcde | head -c 1000000 > /dev/termination-log; echo end >> /dev/termination-log; exit 1"),
            sh("gone", "rm -f /dev/termination-log; ln -s /run/whalesong-test/victim/secret /dev/termination-log; exit 1"),
            sh("logged", "head -c 3000000 /dev/zero | tr '\\0' x; echo; seq 1000; exit 1"),
            sh("deep", &format!("{deep}; exit 1")),
        ];
        for c in &mut containers {
            c["terminationMessagePolicy"] = json!("FallbackToLogsOnError");
            c["volumeMounts"] = json!([{"name": "e", "mountPath": "/e"}]);
        }
        // A container that begins after the files were made long finds them as they should be.
        let mut after = sh("after", "until [ -e /e/fifo ]; do sleep 0.1; done; sleep 1; exit 1");
        after["volumeMounts"] = json!([{"name": "e", "mountPath": "/e"}]);
        containers.push(after);
        state
            .create("pods", "default", pod("left", json!({"restartPolicy": "Never", "volumes": [{"name": "e", "emptyDir": {}}], "containers": containers})))
            .await;
        let told = |o: &Object| {
            over(o)
                && container(o, "long")["state"]["terminated"]["message"].is_string()
                && container(o, "logged")["state"]["terminated"]["message"].is_string()
        };
        let failed = state.pod("left", "Failed", told).await;
        let message = |name: &str| container(failed.object(), name)["state"]["terminated"]["message"].as_str().unwrap_or_default().to_owned();
        // Six containers share 12 KiB.
        assert_eq!(message("sparse"), "\0".repeat(2048));
        assert!(message("long").len() == 2048 && message("long").contains("abcde\n01234"));
        assert!(!message("gone").contains("of the node"));
        assert_eq!(message("logged"), (921..=1000).map(|i| format!("{i}\n")).collect::<String>());
        state.delete_pod("left", 1).await;
        state.no_pod("left").await;
        unharmed(&victim);
        assert!(!dir.join("data/pods").read_dir().unwrap().any(|_| true), "nothing is left");
    });
}

#[test]
fn names_never_become_paths() {
    inside("hostile::names_never_become_paths", |dir| async move {
        let (state, _system) = node_with(&dir, AgentOptions::default()).await;
        let victim = victim(&dir);
        let listing = || {
            let mut names: Vec<_> = dir.read_dir().unwrap().map(|e| e.unwrap().file_name()).collect();
            names.extend(dir.join("data").read_dir().unwrap().map(|e| e.unwrap().file_name()));
            names.sort();
            names
        };
        let before = listing();
        for (i, way) in ["../../victim", "../../../victim", "../../../../victim", "/run/whalesong-test/victim", "..", "."].into_iter().enumerate() {
            let mut c = sh("c", "echo it runs; ls /v; echo pwned > /v/secret");
            c["volumeMounts"] = json!([{"name": way, "mountPath": "/v"}]);
            c["env"] = json!([{"name": "X", "valueFrom": {"configMapKeyRef": {"name": way, "key": "x", "optional": true}}}]);
            let secret = json!({"name": "s", "secret": {"secretName": way, "optional": true}});
            let spec = json!({"restartPolicy": "Never", "containers": [c], "volumes": [{"name": way, "emptyDir": {}}, secret]});
            state.create("pods", "default", pod(&format!("p{i}"), spec)).await;
            let ended = state.pod(&format!("p{i}"), "Succeeded", over).await;
            assert_eq!(phase(ended.object()), "Succeeded", "{way}");
            assert_eq!(log(&state, &format!("p{i}"), "c").await, "it runs\n");
            // A UID and a container's name that the runtime doesn't take are no files either.
            let mut named = pod(&format!("q{i}"), json!({"containers": [sh(way, "true")]}));
            named["metadata"]["uid"] = json!(way);
            state.create("pods", "default", named).await;
            let refused = |o: &Object| container(o, way)["state"]["waiting"]["reason"] == "CreateContainerError";
            state.pod(&format!("q{i}"), "refused", refused).await;
        }
        for i in 0..6 {
            for name in [format!("p{i}"), format!("q{i}")] {
                state.delete_pod(&name, 1).await;
                state.no_pod(&name).await;
            }
        }
        unharmed(&victim);
        assert_eq!(listing().iter().filter(|n| *n != "objects").collect::<Vec<_>>(), before.iter().filter(|n| *n != "objects").collect::<Vec<_>>());
        assert!(!dir.join("data/pods").read_dir().unwrap().any(|_| true), "nothing is left");
        tokio::time::timeout(Duration::from_secs(5), async {
            while dir.join("data/objects").read_dir().is_ok_and(|mut d| d.next().is_some()) {
                tokio::task::yield_now().await
            }
        })
        .await
        .unwrap();
    });
}
