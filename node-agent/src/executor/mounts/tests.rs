use super::*;
use crate::runtime::{Image, PodRef, Sandbox};
use k8s_openapi::api::core::v1::Pod;
use proptest::prelude::*;
use serde_json::{Value, json};

fn with(container: &Value, volumes: &Value, dir: &Path) -> Result<Mounts, String> {
    let pod: Pod = serde_json::from_value(json!({"metadata": {}, "spec": {"containers": [container], "volumes": volumes}})).unwrap();
    let (image, sandbox) = (Image::default(), Sandbox::default());
    let parts = Parts {
        pod: &pod,
        id: PodRef::default(),
        container: &crate::pod::spec(&pod).containers[0],
        attempt: 2,
        sandbox: &sandbox,
        image: &image,
        env: Vec::new(),
        dir,
        memory: 1 << 30,
    };
    mounts(&parts, |name| (name == "A").then_some("1"))
}

fn built(container: Value) -> Result<Mounts, String> {
    with(
        &container,
        &json!([{"name": "v", "emptyDir": {}}, {"name": "c", "configMap": {"name": "x"}}, {"name": "h", "hostPath": {"path": "/srv"}}]),
        Path::new("/d"),
    )
}

#[test]
fn volumes_are_mounted() {
    let mounted = json!([{"name": "v", "mountPath": "/a", "subPathExpr": "x-$(A)"}, {"name": "c", "mountPath": "etc//hosts"}, {"name": "h", "mountPath": "/h", "subPath": "s"}]);
    let (list, parts) = built(json!({"name": "c", "volumeMounts": mounted})).unwrap();
    let list: Vec<String> = list.iter().map(|m| format!("{}:{}:{}", m.source.display(), m.target, m.read_only)).collect();
    assert_eq!(
        list,
        [
            "/d/subpaths/c/0:/a:false",
            "/d/volumes/c:/etc/hosts:true",
            "/d/subpaths/c/2:/h:false",
            "/d/resolv.conf:/etc/resolv.conf:false",
            "/d/messages/c/2:/dev/termination-log:false"
        ]
    );
    let names = |volume: &str| (volume.to_owned(), "c".to_owned());
    let part = |volume: &str, ours, path: &str, i: &str, name| SubPath {
        volume: volume.into(),
        ours,
        path: path.into(),
        place: Path::new("/d/subpaths/c").join(i),
        names: names(name),
    };
    assert_eq!(parts, [part("/d/volumes/v", true, "x-1", "0", "v"), part("/srv", false, "s", "2", "h")]);
}

#[test]
fn what_is_refused_is_said_as_the_kubelet_says_it() {
    let one = |mount: Value| built(json!({"name": "c", "volumeMounts": [mount]})).map(drop).unwrap_err();
    assert_eq!(one(json!({"name": "z", "mountPath": "/a"})), "cannot find volume \"z\" to mount into container \"c\"");
    assert_eq!(one(json!({"name": "v", "mountPath": "/a", "subPath": "/x"})), "error SubPath `/x` must not be an absolute path");
    assert_eq!(one(json!({"name": "v", "mountPath": "/a", "subPath": "a/../x"})), "unable to provision SubPath `a/../x`: must not contain '..'");
    assert_eq!(one(json!({"name": "v", "mountPath": "/a/.."})), "invalid mount path \"/a/..\"");
    for path in ["/proc", "/proc/sys/kernel", "/x/../proc/self", "proc/1/attr", "/proc/cpuinfo/x"] {
        assert!(one(json!({"name": "v", "mountPath": path})).ends_with("cannot be mounted because it is inside /proc"), "{path}");
    }
    assert!(built(json!({"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/proc/cpuinfo"}, {"name": "v", "mountPath": "/process"}]})).is_ok());
    assert!(one(json!({"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"})).contains("only to privileged"));
    let shared =
        json!({"name": "c", "securityContext": {"privileged": true}, "volumeMounts": [{"name": "v", "mountPath": "/a", "mountPropagation": "Bidirectional"}]});
    assert_eq!(built(shared).unwrap().0[0].propagation, "rshared");
    assert!(built(json!({"name": "c", "terminationMessagePath": "/"})).is_err());
}

proptest! {
    /// Whatever a pod says, what is mounted is of the pod's own directory, but where it names a path of the node's.
    #[test]
    fn sources_are_the_pods_own(
        names in proptest::collection::vec("(\\.\\.|/|[a-z]|%|\u{0}){0,6}|.{0,300}", 3),
        sub in "(\\.\\./|/|[a-z]){0,6}|.{0,20}",
        path in "(\\.\\./|/|[a-z]){0,6}|.{0,20}",
    ) {
        let [container, volume, message] = names.as_slice() else { unreachable!() };
        let spec = json!({"name": container, "terminationMessagePath": message, "volumeMounts": [{"name": volume, "mountPath": path, "subPath": sub}]});
        let dir = Path::new("/pods/uid");
        if let Ok((list, parts)) = with(&spec, &json!([{"name": volume, "emptyDir": {}}]), dir) {
            let inside = |p: &Path| p.starts_with(dir) && p != dir && p.components().all(|s| matches!(s, Step::Normal(_) | Step::RootDir));
            for mount in &list {
                prop_assert!(inside(&mount.source), "{:?}", mount);
                let steps: Vec<_> = Path::new(&mount.target).components().collect();
                prop_assert!(steps.len() > 1 && steps[0] == Step::RootDir && steps[1..].iter().all(|s| matches!(s, Step::Normal(_))), "{:?}", mount);
            }
            for part in &parts {
                prop_assert!(inside(&part.volume) && inside(&part.place), "{:?}", part);
                prop_assert!(part.path.components().all(|s| matches!(s, Step::Normal(_) | Step::CurDir)), "{:?}", part);
            }
        }
    }
}
