//! Steps about classes, against a cluster in a map.
use super::*;
use crate::lookup::fixture::MapLookup;
use model::kinds;
use serde_json::{Value, json};
use state_client::User;

fn object(v: &Value) -> Object {
    Object::from_value(v.clone()).unwrap()
}

/// A class that was made in this second of a minute.
fn class(name: &str, mark: &str, second: u32, change: Value) -> Value {
    let mut class = json!({"metadata": {"name": name, "creationTimestamp": format!("2026-01-01T00:00:{second:02}Z"), "annotations": {mark: "true"}}});
    class.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
    class
}

/// What a step makes of a write of this kind, or why it refuses.
fn write(step: &dyn Step, view: &MapLookup, (group, resource): (&str, &str), old: Option<&Value>, new: &Value) -> Result<Object, String> {
    let (kinds, user, old) = (kinds::builtin(), User::default(), old.map(object));
    let request = Admit { user: &user, kind: kinds.resource(group, resource).unwrap(), subresource: None, old: old.as_ref(), view, entropy: 7 };
    let (mut new, mut held) = (object(new), Effects::default());
    step.admit(&request, &mut new, &mut held).and_then(|()| step.judge(&request, &new, &mut held)).map_err(|refusal| refusal.error.message)?;
    Ok(new)
}

#[test]
fn what_names_no_class_gets_the_default() {
    let (ingress_mark, mark, old_mark) =
        ("ingressclass.kubernetes.io/is-default-class", "storageclass.kubernetes.io/is-default-class", "storageclass.beta.kubernetes.io/is-default-class");
    let networking = "networking.k8s.io";
    let view = MapLookup::default()
        .with(networking, "ingressclasses", class("old", ingress_mark, 1, json!({})))
        .with(networking, "ingressclasses", class("b", ingress_mark, 2, json!({})))
        .with(networking, "ingressclasses", class("a", ingress_mark, 2, json!({})))
        .with(networking, "ingressclasses", class("other", "x", 3, json!({})))
        .with("storage.k8s.io", "storageclasses", class("first", mark, 1, json!({})))
        .with("storage.k8s.io", "storageclasses", class("second", old_mark, 2, json!({})));
    let (ingresses, claims) = ((networking, "ingresses"), ("", "persistentvolumeclaims"));
    let annotated = |annotation: &str| json!({"metadata": {"annotations": {annotation: "x"}}});
    let empty = MapLookup::default();
    for (view, of, field, new, want) in [
        (&view, ingresses, "ingressClassName", json!({}), "a"),
        (&view, ingresses, "ingressClassName", json!({"spec": {"ingressClassName": "own"}}), "own"),
        (&view, ingresses, "ingressClassName", annotated("kubernetes.io/ingress.class"), ""),
        (&empty, ingresses, "ingressClassName", json!({}), ""),
        (&view, claims, "storageClassName", json!({}), "second"),
        (&view, claims, "storageClassName", json!({"spec": {"storageClassName": ""}}), ""),
        (&view, claims, "storageClassName", annotated("volume.beta.kubernetes.io/storage-class"), ""),
        (&empty, claims, "storageClassName", json!({}), ""),
        (&view, ("", "configmaps"), "storageClassName", json!({}), ""),
    ] {
        let made = write(&default_class::DefaultClass, view, of, None, &new).unwrap();
        assert_eq!(made.str_at(&["spec", field]), want, "{} {new}", of.1);
    }
    let changed = write(&default_class::DefaultClass, &view, claims, Some(&json!({})), &json!({})).unwrap();
    assert_eq!(changed.at(&["spec"]), None, "only new ones");
}

#[test]
fn a_claim_grows_where_its_class_lets_it() {
    let classes = "storageclasses";
    let view = MapLookup::default().with("storage.k8s.io", classes, class("grows", "x", 1, json!({"allowVolumeExpansion": true}))).with(
        "storage.k8s.io",
        classes,
        class("stays", "x", 1, json!({"allowVolumeExpansion": false})),
    );
    let claim = |phase: &str, class: &str, size: &str| json!({"metadata": {"name": "c"}, "spec": {"storageClassName": class, "resources": {"requests": {"storage": size}}}, "status": {"phase": phase}});
    let refused = |why: &str| format!("persistentvolumeclaims \"c\" is forbidden: {why}");
    let unbound = refused("Only bound persistent volume claims can be expanded");
    let fixed = refused("only dynamically provisioned pvc can be resized and the storageclass that provisions the pvc must support resize");
    for (phase, class, size, want) in [
        ("Bound", "grows", "2Gi", ""),
        ("Bound", "stays", "1024Mi", ""),
        ("Bound", "stays", "1Mi", ""),
        ("Pending", "grows", "2Gi", &unbound),
        ("Bound", "stays", "2Gi", &fixed),
        ("Bound", "gone", "2Gi", &fixed),
        ("Bound", "", "2Gi", &fixed),
    ] {
        let (old, new) = (claim(phase, class, "1Gi"), claim(phase, class, size));
        let found = write(&claim_resize::ClaimResize, &view, ("", "persistentvolumeclaims"), Some(&old), &new).map_or_else(|why| why, |_| String::new());
        assert_eq!(found, want, "{phase} {class} {size}");
    }
    assert!(write(&claim_resize::ClaimResize, &view, ("", "persistentvolumeclaims"), None, &claim("", "", "1Gi")).is_ok());
}

#[test]
fn one_priority_class_is_the_default() {
    let classes = ("scheduling.k8s.io", "priorityclasses");
    let class = |name: &str, default: bool| json!({"metadata": {"name": name}, "value": 5, "globalDefault": default});
    let view = MapLookup::default().with(classes.0, classes.1, class("a", true)).with(classes.0, classes.1, class("b", false));
    let other =
        Err("priorityclasses.scheduling.k8s.io \"b\" is forbidden: PriorityClass a is already marked as default. Only one default can exist".to_owned());
    for (view, old, new, want) in [
        (&view, None, class("b", false), Ok(())),
        (&view, None, class("b", true), other.clone()),
        (&view, Some(class("b", false)), class("b", true), other),
        (&view, Some(class("a", true)), class("a", true), Ok(())),
        (&MapLookup::default(), None, class("b", true), Ok(())),
    ] {
        assert_eq!(write(&priority::Priority, view, classes, old.as_ref(), &new).map(|_| ()), want, "{new}");
    }
}
