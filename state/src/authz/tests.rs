//! The authorizers together: masters, nodes, roles and bindings, and reviews of all of these.
use super::policy::{GROUP, Verdict};
use super::*;
use crate::lookup::fixture::MapLookup;
use model::Object;
use serde_json::{Value, json};
use state_client::User;

fn user(name: &str, groups: &[&str]) -> User {
    User { name: name.into(), groups: groups.iter().map(|g| (*g).to_owned()).collect(), ..User::default() }
}

fn role(namespace: &str, name: &str, rules: Value) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "rules": rules})
}

fn bind(namespace: &str, name: &str, role_kind: &str, role: &str, subject: Value) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "roleRef": {"kind": role_kind, "name": role}, "subjects": [subject]})
}

fn cluster() -> MapLookup {
    let pods = json!([{"apiGroups": [""], "resources": ["pods", "pods/log"], "verbs": ["get", "list"]}]);
    let mut view = MapLookup::default()
        .with(GROUP, "roles", role("default", "reader", pods.clone()))
        .with(GROUP, "clusterroles", role("", "pods", pods))
        .with(GROUP, "rolebindings", bind("default", "alice-reads", "Role", "reader", json!({"kind": "User", "name": "alice"})))
        .with(GROUP, "rolebindings", bind("web", "sa", "ClusterRole", "pods", json!({"kind": "ServiceAccount", "name": "app"})))
        .with(GROUP, "rolebindings", bind("web", "nothing", "Role", "gone", json!({"kind": "User", "name": "bob"})))
        .with(GROUP, "rolebindings", bind("web", "dev", "ClusterRole", "edit", json!({"kind": "User", "name": "dev"})))
        .with(GROUP, "clusterrolebindings", bind("", "ops", "ClusterRole", "pods", json!({"kind": "Group", "name": "ops"})));
    for object in bootstrap::cluster_roles() {
        view = view.with(GROUP, "clusterroles", Value::Object(object.0));
    }
    for object in bootstrap::cluster_role_bindings() {
        view = view.with(GROUP, "clusterrolebindings", Value::Object(object.0));
    }
    let pod = json!({"metadata": {"namespace": "web", "name": "p1"}, "spec": {
        "nodeName": "n1", "serviceAccountName": "app",
        "volumes": [{"name": "l", "persistentVolumeClaim": {"claimName": "claim"}}, {"name": "e", "ephemeral": {}}, {"name": "a", "secret": {"secretName": "vol"}}, {"name": "b", "projected": {"sources": [{"configMap": {"name": "proj"}}]}}],
        "containers": [{"env": [{"name": "X", "valueFrom": {"secretKeyRef": {"name": "envsecret"}}}], "envFrom": [{"configMapRef": {"name": "from"}}]}],
        "imagePullSecrets": [{"name": "pull"}]}});
    let mirror = json!({"metadata": {"namespace": "web", "name": "m", "annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {
        "nodeName": "n1", "imagePullSecrets": [{"name": "mirrored"}]}});
    let claim = json!({"metadata": {"namespace": "web", "name": "claim"}, "spec": {"volumeName": "late"}});
    let volume = |name: &str, of: &str, node: &str| json!({"metadata": {"name": name, "labels": {"whalesong.dev/node": node}}, "spec": {"claimRef": {"namespace": "web", "name": of}}});
    let volumes = [volume("claimed", "p1-e", "n2"), volume("directory", "other", "n1"), volume("foreign", "other", "n2")];
    let view = volumes.into_iter().fold(view.with("", "persistentvolumeclaims", claim), |view, volume| view.with("", "persistentvolumes", volume));
    view.with("", "pods", pod).with("", "pods", mirror).with("", "pods", json!({"metadata": {"namespace": "web", "name": "p2"}, "spec": {"nodeName": "n2"}}))
}

fn authorizer() -> Authorizer {
    Authorizer::new(Arc::new(cluster()))
}

/// `verb group/resource/subresource namespace/name`
fn ask<'a>(user: &'a User, what: &'a str) -> Attributes<'a> {
    let words: Vec<&str> = what.split(' ').collect();
    let resource: Vec<&str> = words[1].split('/').collect();
    let (namespace, name) = words[2].split_once('/').unwrap();
    let subresource = resource.get(2).copied().unwrap_or("");
    Attributes { user, verb: words[0], target: Target::Resource { group: resource[0], resource: resource[1], subresource, namespace, name }, bound_to: None }
}

#[test]
fn who_may_what() {
    let authorizer = authorizer();
    let alice = user("alice", &["system:authenticated"]);
    let ops = user("olga", &["ops", "system:authenticated"]);
    let app = user("system:serviceaccount:web:app", &["system:serviceaccounts", "system:authenticated"]);
    let dev = user("dev", &["system:authenticated"]);
    let root = user("root", &["system:masters"]);
    let controllers = user("system:kube-controller-manager", &["system:authenticated"]);
    let scheduler = user("system:kube-scheduler", &["system:authenticated"]);
    let cases = [
        (&alice, "get /pods default/a", true),
        (&alice, "list /pods default/", true),
        (&alice, "get /pods/log default/a", true),
        (&alice, "delete /pods default/a", false),
        (&alice, "list /pods web/", false),
        (&alice, "list /pods /", false),
        (&alice, "create authorization.k8s.io/selfsubjectaccessreviews /", true),
        (&ops, "list /pods /", true),
        (&ops, "list /pods web/", true),
        (&ops, "list /secrets web/", false),
        (&app, "get /pods web/x", true),
        (&app, "get /pods default/x", false),
        (&dev, "delete apps/deployments web/x", true),
        (&dev, "list /secrets web/", true),
        (&dev, "get /pods web/x", true),
        (&dev, "create rbac.authorization.k8s.io/roles web/", false),
        (&dev, "get apps/deployments default/x", false),
        (&root, "delete /nodes /x", true),
        (&controllers, "delete example.com/widgets a/b", true),
        (&controllers, "escalate rbac.authorization.k8s.io/roles a/b", false),
        (&scheduler, "create /pods/binding a/b", true),
        (&scheduler, "update /pods a/b", false),
        (&scheduler, "patch /persistentvolumeclaims a/b", true),
        (&scheduler, "patch storage.k8s.io/storageclasses /b", false),
    ];
    for (user, what, want) in cases {
        assert_eq!(authorizer.allows(&ask(user, what)), want, "{} {what}", user.name);
    }
}

#[test]
fn nodes_may_what_their_pods_need() {
    let no_relation = "no relationship found between node 'n1' and this object";
    let cases = [
        ("get /nodes /n1", Ok(())),
        ("get /nodes /n2", Err("node 'n1' cannot read 'n2', only its own Node object")),
        ("list /nodes /", Err("node 'n1' cannot read all nodes, only its own Node object")),
        ("get /nodes/status /n1", Err("")),
        ("patch /nodes/status /n1", Ok(())),
        ("delete /nodes /n1", Err("")),
        ("update /pods/status web/p1", Ok(())),
        ("get /pods/status web/p1", Err("")),
        ("get /pods web/p1", Ok(())),
        ("get /pods web/p2", Err(no_relation)),
        ("get /pods web/unknown", Err(no_relation)),
        ("watch /pods web/p1", Ok(())),
        ("list /pods /p1", Err(no_relation)),
        ("list /pods web/", Err("can only list/watch pods with spec.nodeName field selector")),
        ("deletecollection /pods web/", Err("")),
        ("delete /pods web/p1", Ok(())),
        ("update /pods web/p1", Err("")),
        ("create /pods/exec web/p1", Err("")),
        ("get /secrets web/vol", Ok(())),
        ("get /secrets web/envsecret", Ok(())),
        ("watch /secrets web/pull", Ok(())),
        ("get /secrets web/other", Err(no_relation)),
        ("get /secrets default/vol", Err(no_relation)),
        ("get /secrets web/mirrored", Err(no_relation)),
        ("list /secrets web/", Err("No Object name found")),
        ("list /secrets /vol", Err("can only read namespaced object of this type")),
        ("get /secrets/status web/vol", Err("cannot read subresource")),
        ("update /secrets web/vol", Err("can only read resources of this type")),
        ("get /configmaps web/proj", Ok(())),
        ("get /configmaps web/from", Ok(())),
        ("get /configmaps web/vol", Err(no_relation)),
        ("get /serviceaccounts web/app", Ok(())),
        ("list /serviceaccounts web/app", Err("can only create tokens for individual service accounts")),
        ("create /serviceaccounts web/app", Err("can only create token subresource of serviceaccount")),
        ("create /serviceaccounts/token web/app", Ok(())),
        ("create /serviceaccounts/token web/other", Err(no_relation)),
        ("update coordination.k8s.io/leases kube-node-lease/n1", Ok(())),
        ("update coordination.k8s.io/leases kube-node-lease/n2", Err("can only access node lease with the same name as the requesting node")),
        ("update coordination.k8s.io/leases default/n1", Err("can only access leases in the \"kube-node-lease\" system namespace")),
        ("list coordination.k8s.io/leases kube-node-lease/n1", Err("can only get, create, update, patch, or delete a node lease")),
        ("watch /services /", Ok(())),
        ("get /endpoints web/x", Ok(())),
        ("list /endpoints web/", Err("")),
        ("list /namespaces /", Err("")),
        ("get /events web/x", Err("")),
        ("update /services web/x", Err("")),
        ("watch discovery.k8s.io/endpointslices /", Ok(())),
        ("create /events web/", Ok(())),
    ];
    node_may(&cases);
}

fn node_may(cases: &[(&str, Result<(), &str>)]) {
    let authorizer = authorizer();
    let n1 = user("system:node:n1", &["system:nodes", "system:authenticated"]);
    for (what, want) in cases.iter().copied() {
        let got = authorizer.verdict(&ask(&n1, what));
        assert_eq!(authorizer.allows(&ask(&n1, what)), want.is_ok(), "{what}");
        assert!(matches!((&got, want), (Verdict::Allowed(_), Ok(()))) || matches!((&got, want), (Verdict::Denied(why), Err(want)) if why == want), "{what}");
    }
}

#[test]
fn nodes_read_the_claims_and_volumes_of_their_pods() {
    let no_relation = "no relationship found between node 'n1' and this object";
    node_may(&[
        ("watch /persistentvolumeclaims web/claim", Ok(())),
        ("get /persistentvolumeclaims web/p1-e", Ok(())),
        ("get /persistentvolumeclaims web/other", Err(no_relation)),
        ("patch /persistentvolumeclaims web/claim", Err("can only read resources of this type")),
        ("watch /persistentvolumes /claimed", Ok(())),
        ("get /persistentvolumes /directory", Ok(())),
        ("get /persistentvolumes /late", Ok(())),
        ("get /persistentvolumes /foreign", Err(no_relation)),
        ("get /persistentvolumes /none", Err(no_relation)),
        ("list /persistentvolumes /", Err("No Object name found")),
        ("patch /persistentvolumes /foreign", Ok(())),
        ("delete /persistentvolumes /directory", Err("")),
    ]);
}

#[test]
fn refusals_in_kubernetes_words() {
    let authorizer = authorizer();
    let (alice, bob) = (user("alice", &[]), user("bob", &[]));
    let message = |a: Attributes<'_>| authorizer.require(&a).unwrap_err().message;
    assert_eq!(
        message(ask(&alice, "list /pods web/")),
        r#"pods is forbidden: User "alice" cannot list resource "pods" in API group "" in the namespace "web""#
    );
    assert_eq!(
        message(ask(&alice, "get apps/deployments/scale web/x")),
        r#"deployments.apps "x" is forbidden: User "alice" cannot get resource "deployments/scale" in API group "apps" in the namespace "web""#
    );
    assert_eq!(message(ask(&alice, "list /nodes /")), r#"nodes is forbidden: User "alice" cannot list resource "nodes" in API group "" at the cluster scope"#);
    assert_eq!(
        message(ask(&bob, "list /pods web/")),
        r#"pods is forbidden: User "bob" cannot list resource "pods" in API group "" in the namespace "web": RBAC: role.rbac.authorization.k8s.io "gone" not found"#
    );
    let path = Attributes { user: &alice, verb: "get", target: Target::Path("/metrics"), bound_to: None };
    assert_eq!(message(path), r#"forbidden: User "alice" cannot get path "/metrics""#);
}

#[test]
fn grants_are_explained() {
    let authorizer = authorizer();
    let app = user("system:serviceaccount:web:app", &[]);
    let why = r#"RBAC: allowed by RoleBinding "sa/web" of ClusterRole "pods" to ServiceAccount "app/web""#;
    assert_eq!(authorizer.verdict(&ask(&app, "get /pods web/x")), Verdict::Allowed(why.to_owned()));
}

#[test]
fn a_policy_follows_its_objects() {
    let mut policy = policy::Policy::default();
    let alice = user("alice", &[]);
    let get = ask(&alice, "get /pods default/a");
    let object = |v: Value| Object::from_value(v).unwrap();
    let role = object(role("default", "reader", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}])));
    let binding = object(bind("default", "b", "Role", "reader", json!({"kind": "User", "name": "alice"})));
    let allowed = |p: &policy::Policy| {
        assert_eq!(p.allows(&get), matches!(p.verdict(&get), Verdict::Allowed(_)));
        p.allows(&get)
    };
    policy.apply("rolebindings", "default", "b", Some(&binding));
    assert!(!allowed(&policy));
    policy.apply("roles", "default", "reader", Some(&role));
    assert!(allowed(&policy));
    let other = object(bind("default", "b", "Role", "reader", json!({"kind": "User", "name": "carol"})));
    policy.apply("rolebindings", "default", "b", Some(&other));
    assert!(!allowed(&policy));
    policy.apply("rolebindings", "default", "b", Some(&binding));
    policy.apply("rolebindings", "default", "b", None);
    assert!(!allowed(&policy));
}

#[test]
fn nobody_grants_more_than_they_hold() {
    let authorizer = authorizer();
    let alice = user("alice", &["system:authenticated"]);
    let attempt = |resource: &str, new: Value| {
        let new = Object::from_value(new).unwrap();
        escalation::check(&authorizer, &escalation::Grant { user: &alice, resource, namespace: "default", name: new.name(), old: None, new: &new })
    };
    let held = role("default", "r", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get"]}]));
    assert_eq!(attempt("roles", held), Ok(()));
    let more = role("default", "r", json!([{"apiGroups": [""], "resources": ["pods"], "verbs": ["get", "delete"]}]));
    assert_eq!(
        attempt("roles", more).unwrap_err().message,
        "roles.rbac.authorization.k8s.io \"r\" is forbidden: user \"alice\" (groups=[\"system:authenticated\"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[\"\"], Resources:[\"pods\"], Verbs:[\"delete\"]}"
    );
    let subject = json!({"kind": "User", "name": "mallory"});
    assert_eq!(attempt("rolebindings", bind("default", "b", "Role", "reader", subject.clone())), Ok(()));
    assert_eq!(attempt("rolebindings", bind("default", "b", "ClusterRole", "cluster-admin", subject.clone())).unwrap_err().code(), 403);
    assert_eq!(attempt("rolebindings", bind("default", "b", "Role", "none", subject)).unwrap_err().code(), 404);
}

#[test]
fn reviews() {
    let authorizer = authorizer();
    let alice = user("alice", &["system:authenticated"]);
    let review = |v: Value| Object::from_value(v).unwrap();
    let own = review(json!({"spec": {"resourceAttributes": {"namespace": "default", "verb": "get", "resource": "pods"}}}));
    assert_eq!(review::own_access(&authorizer, &alice, &own).unwrap()["status"]["allowed"], json!(true));
    let path = review(json!({"spec": {"user": "x", "groups": ["system:unauthenticated"], "nonResourceAttributes": {"path": "/version", "verb": "get"}}}));
    assert_eq!(review::access_of(&authorizer, None, &path).unwrap()["status"]["allowed"], json!(true));
    assert_eq!(review::own_access(&authorizer, &alice, &review(json!({"spec": {}}))).unwrap_err().code(), 422);
    assert_eq!(review::access_of(&authorizer, None, &own).unwrap_err().code(), 422);
    let n1 = user("system:node:n1", &["system:nodes"]);
    for (requirement, allowed) in [
        (json!({"key": "spec.nodeName", "operator": "In", "values": ["n1"]}), true),
        (json!({"key": "spec.nodeName", "operator": "In", "values": ["n2"]}), false),
        (json!({"key": "spec.nodeName", "operator": "In", "values": ["n1", "n2"]}), false),
        (json!({"key": "spec.nodeName", "operator": "NotIn", "values": ["n1"]}), false),
    ] {
        let attributes = json!({"verb": "list", "resource": "pods", "fieldSelector": {"requirements": [requirement]}});
        let asked = review(json!({"spec": {"resourceAttributes": attributes}}));
        assert_eq!(review::own_access(&authorizer, &n1, &asked).unwrap()["status"]["allowed"], json!(allowed), "{attributes}");
    }
    let of_a_node = review::own_rules(&authorizer, &n1, &review(json!({"spec": {"namespace": "default"}}))).unwrap();
    assert_eq!(of_a_node["status"]["incomplete"], json!(true));
    let rules = review::own_rules(&authorizer, &alice, &review(json!({"spec": {"namespace": "default"}}))).unwrap();
    let resources: Vec<&Value> = rules["status"]["resourceRules"].as_array().unwrap().iter().map(|r| &r["resources"]).collect();
    assert!(resources.contains(&&json!(["pods", "pods/log"])), "{rules}");
}
