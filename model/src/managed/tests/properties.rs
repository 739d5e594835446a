//! What holds for all configurations.
use super::*;
use proptest::prelude::*;

/// What a client may write for `fieldsV1`: mostly what could be, of a deployment or not.
fn any_fields() -> impl Strategy<Value = Value> {
    let key = prop_oneof![
        prop::sample::select(vec![
            "f:spec",
            "f:template",
            "f:containers",
            "f:metadata",
            "f:labels",
            "f:replicas",
            "f:name",
            "f:status",
            "k:{\"name\":\"a\"}",
            "k:{\"name\":1.0}",
            "k:{}",
            "v:1",
            "v:\"a\"",
            "i:0",
            ".",
            "q:x",
            "f:",
            "k:",
            "v:",
            "i:",
            "",
        ])
        .prop_map(str::to_owned),
        "[fkvi]:[\"{}:a-c0-9]{0,5}",
    ];
    let leaf = prop_oneof![4 => Just(json!({})), 1 => Just(Value::Null), 1 => Just(json!([1]))];
    leaf.prop_recursive(6, 40, 4, move |inner| prop::collection::hash_map(key.clone(), inner, 0..4).prop_map(|map| json!(map)))
}

/// Configurations of a deployment, small enough to meet.
fn configuration() -> impl Strategy<Value = Object> {
    let containers = prop::collection::btree_map("[a-c]", ("[x-z]", any::<bool>()), 0..3);
    let labels = prop::collection::btree_map("[a-c]", "[x-z]", 0..3);
    (prop::option::of(0..3_i64), containers, labels, prop::option::of("[p-q]")).prop_map(|(replicas, containers, labels, policy)| {
        let containers: Vec<Value> = containers
            .into_iter()
            .map(|(name, (image, port))| if port { json!({"name": name, "image": image, "ports": [{"containerPort": 80}]}) } else { container(&name, &image) })
            .collect();
        let mut spec = json!({});
        replicas.into_iter().for_each(|n: i64| spec["replicas"] = n.into());
        policy.into_iter().for_each(|p: String| spec["template"]["spec"]["restartPolicy"] = p.into());
        if !containers.is_empty() {
            spec["template"]["spec"]["containers"] = containers.into();
        }
        let mut object = deployment(spec);
        if !labels.is_empty() {
            object.set(&["metadata", "labels"], json!(labels));
        }
        object
    })
}

fn forced(live: Option<&Object>, configuration: &Object, manager: &str) -> Object {
    applied(live, configuration, node(), &writer(manager), true).unwrap()
}
/// Without the fields that `other` has: two managers of these don't meet.
fn disjoint(mut object: Object, labels: bool) -> Object {
    if labels {
        object.remove(&["spec"]);
    } else {
        object.remove(&["metadata", "labels"]);
    }
    object
}

proptest! {
    /// Applying twice is applying once.
    #[test]
    fn applying_is_idempotent(a in configuration(), b in configuration()) {
        let live = forced(Some(&forced(None, &a, "one")), &b, "two");
        let later = Writer { time: "2027-01-01T00:00:00Z", ..writer("two") };
        prop_assert_eq!(applied(Some(&live), &b, node(), &later, true).unwrap(), live);
    }

    /// Managers of different fields don't depend on who comes first.
    #[test]
    fn managers_of_disjoint_fields_commute(a in configuration(), b in configuration()) {
        let (a, b) = (disjoint(a, true), disjoint(b, false));
        let first = apply(Some(&apply(None, &a, "one")), &b, "two");
        let second = apply(Some(&apply(None, &b, "two")), &a, "one");
        prop_assert_eq!(first, second);
    }

    /// What nobody owns stays, whatever is applied and left out.
    #[test]
    fn what_nobody_owns_stays(a in configuration(), b in configuration()) {
        let mut live = forced(None, &a, "one");
        live.set(&["spec", "paused"], true);
        live.set(&["metadata", "annotations", "x"], "y");
        let next = forced(Some(&live), &b, "one");
        prop_assert_eq!(next.at(&["spec", "paused"]), Some(&json!(true)));
        prop_assert_eq!(next.str_at(&["metadata", "annotations", "x"]), "y");
    }

    /// A sole applier gets what it applies, and nothing else.
    #[test]
    fn a_sole_applier_gets_what_it_applies(a in configuration(), b in configuration()) {
        let mut next = forced(Some(&forced(None, &a, "one")), &b, "one");
        let mut want = forced(None, &b, "one");
        for object in [&mut next, &mut want] {
            // an empty spec is left of what went
            if object.at(&["spec"]) == Some(&json!({})) {
                object.remove(&["spec"]);
            }
        }
        prop_assert_eq!(next, want);
    }

    /// No field has an owner that isn't there.
    #[test]
    fn owned_fields_exist(a in configuration(), b in configuration(), c in configuration()) {
        let mut object = forced(Some(&forced(None, &a, "one")), &b, "two");
        let live = object.clone();
        object.0.insert("spec".into(), c.at(&["spec"]).cloned().unwrap_or_default());
        let present = before(&mut object, Some(&live), false);
        updated(&mut object, Some(&live), present, node(), &writer("three"));
        let all = super::of_object::of_object(&object.0, node());
        for entry in Entries::of(&object).0 {
            let strays: Vec<String> = entry.fields.clone().difference(&all).paths();
            // maps are members where their maker says so, which the set of an object doesn't
            prop_assert!(strays.iter().all(|p| p.ends_with("labels") || p.ends_with(']') || p.ends_with("spec") || p.ends_with("template") || p.ends_with("ports") || p.ends_with("resources")), "{strays:?}");
        }
    }

    /// Whatever fields a client says that somebody owns: no panic, and an object that can be applied to again.
    #[test]
    fn hostile_fields(fields in any_fields(), config in configuration(), operation in prop::sample::select(vec!["Apply", "Update", "x"])) {
        let mut live = forced(None, &config, "one");
        live.set(&["metadata", "managedFields"], json!([{"manager": "one", "operation": operation, "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": fields}]));
        let mut new = live.clone();
        let present = before(&mut new, None, false);
        updated(&mut new, Some(&live), present, node(), &writer("one"));
        for live in [&live, &new] {
            let next = forced(Some(live), &config, "one");
            prop_assert_eq!(forced(Some(&next), &config, "one"), next);
        }
    }

    /// Whatever a client calls its entries: no panic.
    #[test]
    fn hostile_entries(text in "[fkvi:.{}\"a-c]{0,8}", config in configuration()) {
        let mut live = forced(None, &config, "one");
        live.set(&["metadata", "managedFields"], json!([{"manager": text, "operation": "Apply", "apiVersion": "apps/v1", "fieldsType": "FieldsV1", "fieldsV1": {text: {}}}]));
        forced(Some(&live), &config, "one");
        before(&mut live, None, false);
    }
}
