//! The step against LimitRanges in a map.
use super::*;
use crate::lookup::fixture::MapLookup;
use model::kinds;
use state_client::User;

fn range(name: &str, limits: Value) -> Value {
    json!({"metadata": {"namespace": "default", "name": name}, "spec": {"limits": limits}})
}

fn cluster(limits: Value) -> MapLookup {
    MapLookup::default().with("", "limitranges", range("a", limits)).with(
        "",
        "limitranges",
        json!({"metadata": {"namespace": "other", "name": "b"}, "spec": {"limits": [{"type": "Pod", "max": {"cpu": "1m"}}]}}),
    )
}

/// What the step makes of a write, or why it refuses.
fn write(view: &MapLookup, resource: &str, old: Option<Value>, new: Value) -> Result<Object, String> {
    let (kinds, user) = (kinds::builtin(), User::default());
    let (old, mut new) = (old.map(|o| Object::from_value(o).unwrap()), Object::from_value(new).unwrap());
    let request = Admit { user: &user, kind: kinds.resource("", resource).unwrap(), subresource: None, old: old.as_ref(), view, entropy: 7 };
    let mut held = Effects::default();
    LimitRanger.admit(&request, &mut new, &mut held).and_then(|()| LimitRanger.judge(&request, &new, &mut held)).map_err(|r| r.error.message)?;
    Ok(new)
}

fn pod(spec: Value) -> Value {
    json!({"metadata": {"namespace": "default", "name": "x"}, "spec": spec})
}

fn container(requests: Value, limits: Value) -> Value {
    pod(json!({"containers": [{"name": "c", "resources": {"requests": requests, "limits": limits}}]}))
}

#[test]
fn defaults_are_set_and_noted() {
    let view = cluster(json!([{"type": "Container", "default": {"memory": "2Gi", "cpu": "1"}, "defaultRequest": {"cpu": "100m"}}])).with(
        "",
        "limitranges",
        range("z", json!([{"type": "Container", "default": {"cpu": "7", "ephemeral-storage": "1G"}}, {"type": "Pod", "max": {"cpu": "4"}}])),
    );
    let given = pod(json!({"containers": [{"name": "c"}, {"name": "d", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi"}}}],
        "initContainers": [{"name": "i"}]}));
    let got = write(&view, "pods", None, given).unwrap();
    assert_eq!(
        got.list_at(&["spec", "containers"]),
        [
            json!({"name": "c", "resources": {"requests": {"cpu": "100m"}, "limits": {"cpu": "1", "memory": "2Gi", "ephemeral-storage": "1G"}}}),
            json!({"name": "d", "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2", "memory": "1Gi", "ephemeral-storage": "1G"}}}),
        ]
    );
    // the last one that sets something says what it set
    assert_eq!(
        got.annotation(ANNOTATION),
        Some(
            "LimitRanger plugin set: ephemeral-storage limit for container c; ephemeral-storage limit for container d; ephemeral-storage limit for init container i"
        )
    );
    let view = cluster(json!([{"type": "Container", "default": {"memory": "2Gi", "cpu": "1"}, "defaultRequest": {"memory": "1Gi", "cpu": "100m"}}]));
    let got = write(&view, "pods", None, pod(json!({"containers": [{"name": "c"}]}))).unwrap();
    assert_eq!(got.annotation(ANNOTATION), Some("LimitRanger plugin set: cpu, memory request for container c; cpu, memory limit for container c"));
    let (old, changed) = (pod(json!({"containers": [{"name": "c"}]})), pod(json!({"containers": [{"name": "c", "image": "x"}]})));
    assert_eq!(write(&view, "pods", Some(old), changed.clone()).map(|o| Value::Object(o.0)), Ok(changed), "an update isn't touched");
}

#[test]
fn what_containers_may_ask_for() {
    let cpu = |amount: &str| json!({"cpu": amount});
    let (min, max, ratio) = (json!({"min": {"cpu": "100m"}}), json!({"max": {"cpu": "2"}}), json!({"maxLimitRequestRatio": {"cpu": "1500m"}}));
    let cases = [
        (&min, json!({}), json!({}), "minimum cpu usage per Container is 100m.  No request is specified"),
        (&min, cpu("99m"), json!({}), "minimum cpu usage per Container is 100m, but request is 99m"),
        (&min, cpu("0.1"), cpu("50m"), "minimum cpu usage per Container is 100m, but limit is 50m"),
        (&min, cpu("0.1"), json!({}), ""),
        (&max, cpu("1"), json!({}), "maximum cpu usage per Container is 2.  No limit is specified"),
        (&max, cpu("1"), cpu("2001m"), "maximum cpu usage per Container is 2, but limit is 2001m"),
        (&max, cpu("3"), cpu("2"), "maximum cpu usage per Container is 2, but request is 3"),
        (&max, json!({}), cpu("2000m"), ""),
        (&ratio, json!({}), cpu("1"), "cpu max limit to request ratio per Container is 1500m, but no request is specified or request is 0"),
        (&ratio, cpu("1"), cpu("0"), "cpu max limit to request ratio per Container is 1500m, but no limit is specified or limit is 0"),
        (&ratio, cpu("300m"), cpu("500m"), "cpu max limit to request ratio per Container is 1500m, but provided ratio is 1.666667"),
        (&ratio, cpu("300m"), cpu("450m"), ""),
    ];
    for (item, requests, limits, want) in cases {
        let mut item = item.clone();
        item["type"] = json!("Container");
        let got = write(&cluster(json!([item])), "pods", None, container(requests.clone(), limits.clone())).map(|_| ());
        let want = if want.is_empty() { Ok(()) } else { Err(format!("pods \"x\" is forbidden: {want}")) };
        assert_eq!(got, want, "{item} {requests} {limits}");
    }
}

#[test]
fn what_pods_may_ask_for_together() {
    let sized = |name: &str, cpu: &str| json!({"name": name, "resources": {"requests": {"cpu": cpu}, "limits": {"cpu": cpu}}});
    let mut sidecar = sized("s", "500m");
    sidecar["restartPolicy"] = json!("Always");
    let view = cluster(json!([{"type": "Pod", "max": {"cpu": "2"}, "min": {"cpu": "1"}}]));
    let cases = [
        (json!({"containers": [sized("a", "1"), sized("b", "1")]}), ""),
        (json!({"containers": [sized("a", "1"), sized("b", "1001m")]}), "maximum cpu usage per Pod is 2, but limit is 2001m"),
        (json!({"containers": [sized("a", "1")], "initContainers": [sized("i", "3")]}), "maximum cpu usage per Pod is 2, but limit is 3"),
        (json!({"containers": [sized("a", "1")], "initContainers": [sidecar, sized("i", "1600m")]}), "maximum cpu usage per Pod is 2, but limit is 2100m"),
        (json!({"containers": [sized("a", "100m")], "initContainers": [sidecar]}), "minimum cpu usage per Pod is 1, but request is 600m"),
        (json!({"containers": [sized("a", "3")], "resources": {"requests": {"cpu": "1"}, "limits": {"cpu": "2"}}}), ""),
        (
            json!({"containers": [{"name": "a"}]}),
            "[minimum cpu usage per Pod is 1.  No request is specified, maximum cpu usage per Pod is 2.  No limit is specified]",
        ),
    ];
    for (spec, want) in cases {
        let want = if want.is_empty() { Ok(()) } else { Err(format!("pods \"x\" is forbidden: {want}")) };
        assert_eq!(write(&view, "pods", None, pod(spec.clone())).map(|_| ()), want, "{spec}");
    }
}

#[test]
fn a_reason_is_said_once() {
    let view = cluster(json!([{"type": "Container", "max": {"cpu": "1"}}]));
    let both = pod(json!({"containers": [{"name": "a"}, {"name": "b"}]}));
    let refused = write(&view, "pods", None, both).map(|_| ());
    assert_eq!(refused, Err("pods \"x\" is forbidden: maximum cpu usage per Container is 1.  No limit is specified".to_owned()));
}

#[test]
fn what_claims_may_ask_for() {
    let view = cluster(json!([{"type": "PersistentVolumeClaim", "min": {"storage": "1Gi"}, "max": {"storage": "2Gi"}}]));
    let claim = |size: &str| json!({"metadata": {"namespace": "default", "name": "x"}, "spec": {"resources": {"requests": {"storage": size}}}});
    let mut ending = claim("1Gi");
    ending["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    let cases = [
        (None, claim("1Gi"), ""),
        (None, claim("1Mi"), "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi"),
        (None, claim("3Gi"), "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
        (Some(claim("1Gi")), claim("3Gi"), "maximum storage usage per PersistentVolumeClaim is 2Gi, but request is 3Gi"),
        (Some(ending), claim("3Gi"), ""),
    ];
    for (old, new, want) in cases {
        let want = if want.is_empty() { Ok(()) } else { Err(format!("persistentvolumeclaims \"x\" is forbidden: {want}")) };
        assert_eq!(write(&view, "persistentvolumeclaims", old, new.clone()).map(|_| ()), want, "{new}");
    }
}
