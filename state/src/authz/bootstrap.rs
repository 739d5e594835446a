//! The roles and bindings that every cluster has. At each start those are made that are absent, and of the others what they lack is added, as
//! Kubernetes does: what an administrator added stays, and all of an object whose `autoupdate` annotation isn't `true` does.
use model::Object;
use serde_json::{Map, Value, json};
use state_client::identity::{AUTHENTICATED, MASTERS, UNAUTHENTICATED};

const READ: &[&str] = &["get", "list", "watch"];
const WRITE: &[&str] = &["create", "delete", "deletecollection", "patch", "update"];
const EDIT: &[&str] = &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// Verbs, groups, resources.
type Row = (&'static [&'static str], &'static [&'static str], &'static [&'static str]);

const VIEW: &[Row] = &[
    (
        READ,
        &[""],
        &[
            "bindings",
            "configmaps",
            "endpoints",
            "events",
            "limitranges",
            "namespaces",
            "namespaces/status",
            "persistentvolumeclaims",
            "persistentvolumeclaims/status",
            "pods",
            "pods/log",
            "pods/status",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "replicationcontrollers/status",
            "resourcequotas",
            "resourcequotas/status",
            "serviceaccounts",
            "services",
            "services/status",
        ],
    ),
    (READ, &["discovery.k8s.io"], &["endpointslices"]),
    (
        READ,
        &["apps"],
        &[
            "controllerrevisions",
            "daemonsets",
            "daemonsets/status",
            "deployments",
            "deployments/scale",
            "deployments/status",
            "replicasets",
            "replicasets/scale",
            "replicasets/status",
            "statefulsets",
            "statefulsets/scale",
            "statefulsets/status",
        ],
    ),
    (READ, &["autoscaling"], &["horizontalpodautoscalers", "horizontalpodautoscalers/status"]),
    (READ, &["batch"], &["cronjobs", "cronjobs/status", "jobs", "jobs/status"]),
    (READ, &["policy"], &["poddisruptionbudgets", "poddisruptionbudgets/status"]),
    (READ, &["networking.k8s.io"], &["ingresses", "ingresses/status", "networkpolicies"]),
];

const EDITOR: &[Row] = &[
    (READ, &[""], &["pods/attach", "pods/exec", "pods/portforward", "pods/proxy", "secrets", "services/proxy"]),
    (&["impersonate"], &[""], &["serviceaccounts"]),
    (WRITE, &[""], &["pods", "pods/attach", "pods/exec", "pods/portforward", "pods/proxy"]),
    (&["create"], &[""], &["pods/eviction", "serviceaccounts/token"]),
    (
        WRITE,
        &[""],
        &[
            "configmaps",
            "events",
            "persistentvolumeclaims",
            "replicationcontrollers",
            "replicationcontrollers/scale",
            "secrets",
            "serviceaccounts",
            "services",
            "services/proxy",
        ],
    ),
    (
        WRITE,
        &["apps"],
        &["daemonsets", "deployments", "deployments/rollback", "deployments/scale", "replicasets", "replicasets/scale", "statefulsets", "statefulsets/scale"],
    ),
    (WRITE, &["autoscaling"], &["horizontalpodautoscalers"]),
    (WRITE, &["batch"], &["cronjobs", "jobs"]),
    (WRITE, &["policy"], &["poddisruptionbudgets"]),
    (WRITE, &["networking.k8s.io"], &["ingresses", "networkpolicies"]),
    (EDIT, &["coordination.k8s.io"], &["leases"]),
];

const ADMIN: &[Row] =
    &[(&["create"], &["authorization.k8s.io"], &["localsubjectaccessreviews"]), (EDIT, &["rbac.authorization.k8s.io"], &["rolebindings", "roles"])];

const SCHEDULER: &[Row] = &[
    (&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
    (READ, &[""], &["namespaces", "nodes", "persistentvolumeclaims", "persistentvolumes", "replicationcontrollers", "services"]),
    (&["delete", "get", "list", "watch"], &[""], &["pods"]),
    (&["create"], &[""], &["bindings", "pods/binding"]),
    (&["patch", "update"], &[""], &["pods/status"]),
    (READ, &["apps"], &["replicasets", "statefulsets"]),
    (READ, &["policy"], &["poddisruptionbudgets"]),
    (READ, &["scheduling.k8s.io"], &["priorityclasses"]),
    (READ, &["storage.k8s.io"], &["csidrivers", "csinodes", "csistoragecapacities", "storageclasses", "volumeattachments"]),
    (&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
    (&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"]),
    (EDIT, &["coordination.k8s.io"], &["leases"]),
];

const VOLUME_SCHEDULER: &[Row] = &[
    (&["get", "list", "patch", "update", "watch"], &[""], &["persistentvolumeclaims", "persistentvolumes"]),
    (READ, &["storage.k8s.io"], &["storageclasses"]),
];

// garbage collection and the end of a namespace reach every kind, those of CRDs too
const CONTROLLERS: &[Row] = &[(EDIT, &["*"], &["*"]), (&["escalate"], &["rbac.authorization.k8s.io"], &["clusterroles"])];

// what pods and nodes use: as the server that has it in a Kubernetes cluster lets it be read
const METRICS: &[Row] = &[(READ, &["metrics.k8s.io"], &["nodes", "pods"])];

const AUTH_DELEGATOR: &[Row] =
    &[(&["create"], &["authentication.k8s.io"], &["tokenreviews"]), (&["create"], &["authorization.k8s.io"], &["subjectaccessreviews"])];

// what the node authorizer allows, written down for readers of `kubectl get clusterrole system:node`
const NODE: &[Row] = &[
    (&["create"], &["authentication.k8s.io"], &["tokenreviews"]),
    (&["create"], &["authorization.k8s.io"], &["localsubjectaccessreviews", "subjectaccessreviews"]),
    (READ, &[""], &["services"]),
    (&["get"], &[""], &["endpoints"]),
    (&["create", "get", "list", "watch"], &[""], &["nodes"]),
    (&["patch", "update"], &[""], &["nodes", "nodes/status"]),
    (&["create", "patch", "update"], &["", "events.k8s.io"], &["events"]),
    (&["create", "delete", "get", "list", "watch"], &[""], &["pods"]),
    (&["patch", "update"], &[""], &["pods/status"]),
    (&["create"], &[""], &["pods/eviction", "serviceaccounts/token"]),
    (READ, &[""], &["configmaps", "persistentvolumeclaims", "persistentvolumes", "secrets"]),
    (&["patch"], &[""], &["persistentvolumes"]),
    (&["get"], &[""], &["serviceaccounts"]),
    (&["list", "watch"], &["discovery.k8s.io"], &["endpointslices"]),
    (&["create", "delete", "get", "patch", "update"], &["coordination.k8s.io"], &["leases"]),
];

const BASIC_USER: &[Row] = &[
    (&["create"], &["authorization.k8s.io"], &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
    (&["create"], &["authentication.k8s.io"], &["selfsubjectreviews"]),
];

const PUBLIC_PATHS: &[&str] = &["/healthz", "/livez", "/readyz", "/version", "/version/"];
const DISCOVERY_PATHS: &[&str] = &["/api", "/api/*", "/apis", "/apis/*", "/healthz", "/livez", "/openapi", "/openapi/*", "/readyz", "/version", "/version/"];
const MONITORING_PATHS: &[&str] = &["/healthz", "/healthz/*", "/livez", "/livez/*", "/metrics", "/metrics/slis", "/readyz", "/readyz/*"];

const AUTOUPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

fn rules(rows: &[Row]) -> Vec<Value> {
    rows.iter().map(|(verbs, groups, resources)| json!({"apiGroups": groups, "resources": resources, "verbs": verbs})).collect()
}

fn paths(urls: &[&str]) -> Vec<Value> {
    vec![json!({"nonResourceURLs": urls, "verbs": ["get"]})]
}

fn metadata(name: &str, labels: &[&str]) -> Value {
    let mut all = Map::from_iter([("kubernetes.io/bootstrapping".to_owned(), json!("rbac-defaults"))]);
    all.extend(labels.iter().map(|l| (format!("rbac.authorization.k8s.io/aggregate-to-{l}"), json!("true"))));
    json!({"name": name, "labels": all, "annotations": {AUTOUPDATE: "true"}})
}

fn role(name: &str, labels: &[&str], rules: Vec<Value>) -> Value {
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": metadata(name, labels), "rules": rules})
}

/// A role made up of those that carry its label. Its `rules` are what that is at the start, and a controller keeps them so; whoever is asked whether
/// something is allowed looks at the parts themselves.
fn aggregate(name: &str, labels: &[&str], parts: &[&[Row]]) -> Value {
    let mut role = role(name, labels, parts.iter().flat_map(|rows| rules(rows)).collect());
    let label = format!("rbac.authorization.k8s.io/aggregate-to-{name}");
    role["aggregationRule"] = json!({"clusterRoleSelectors": [{"matchLabels": {label: "true"}}]});
    role
}

fn binding(role: &str, subjects: &[(&str, &str)]) -> Value {
    let subjects: Vec<Value> = subjects.iter().map(|(kind, name)| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name})).collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": metadata(role, &[]),
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}, "subjects": subjects,
    })
}

/// The cluster roles.
pub fn cluster_roles() -> Vec<Object> {
    let all = json!({"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]});
    let values = vec![
        role("cluster-admin", &[], vec![all, json!({"nonResourceURLs": ["*"], "verbs": ["*"]})]),
        aggregate("admin", &[], &[ADMIN, EDITOR, VIEW]),
        aggregate("edit", &["admin"], &[EDITOR, VIEW]),
        aggregate("view", &["edit"], &[VIEW]),
        role("system:aggregate-to-admin", &["admin"], rules(ADMIN)),
        role("system:aggregate-to-edit", &["edit"], rules(EDITOR)),
        role("system:aggregate-to-view", &["view"], rules(VIEW)),
        role("system:discovery", &[], paths(DISCOVERY_PATHS)),
        role("system:public-info-viewer", &[], paths(PUBLIC_PATHS)),
        role("system:monitoring", &[], paths(MONITORING_PATHS)),
        role("system:basic-user", &[], rules(BASIC_USER)),
        role("system:auth-delegator", &[], rules(AUTH_DELEGATOR)),
        role("system:aggregated-metrics-reader", &["admin", "edit", "view"], rules(METRICS)),
        role("system:node", &[], rules(NODE)),
        role("system:kube-scheduler", &[], rules(SCHEDULER)),
        role("system:volume-scheduler", &[], rules(VOLUME_SCHEDULER)),
        role("system:kube-controller-manager", &[], rules(CONTROLLERS)),
    ];
    values.into_iter().filter_map(|v| Object::from_value(v).ok()).collect()
}

/// The roles in `kube-system`.
pub fn roles() -> Vec<Object> {
    let rule = json!({"apiGroups": [""], "resources": ["configmaps"], "resourceNames": ["extension-apiserver-authentication"], "verbs": READ});
    let mut role = role("extension-apiserver-authentication-reader", &[], vec![rule]);
    role["kind"] = json!("Role");
    role["metadata"]["namespace"] = json!("kube-system");
    Object::from_value(role).into_iter().collect()
}

/// `present` with the rules and subjects of `wanted` that it lacks; `None` where it lacks none or isn't to be changed. The rules of a role that
/// aggregates are its controller's.
pub fn updated(present: &Object, wanted: &Object) -> Option<Object> {
    if present.annotation(AUTOUPDATE) != Some("true") {
        return None;
    }
    let fields = if wanted.at(&["aggregationRule"]).is_some() { &["subjects"][..] } else { &["rules", "subjects"] };
    let mut new = present.clone();
    for field in fields {
        let mut items = present.list_at(&[field]).to_vec();
        let missing: Vec<Value> = wanted.list_at(&[field]).iter().filter(|item| !items.contains(item)).cloned().collect();
        if !missing.is_empty() {
            items.extend(missing);
            new.set(&[field], items);
        }
    }
    (new != *present).then_some(new)
}

/// The cluster role bindings.
pub fn cluster_role_bindings() -> Vec<Object> {
    let (authenticated, unauthenticated) = (("Group", AUTHENTICATED), ("Group", UNAUTHENTICATED));
    let values = vec![
        binding("cluster-admin", &[("Group", MASTERS)]),
        binding("system:discovery", &[authenticated]),
        binding("system:basic-user", &[authenticated]),
        binding("system:public-info-viewer", &[authenticated, unauthenticated]),
        binding("system:monitoring", &[("Group", "system:monitoring")]),
        binding("system:kube-scheduler", &[("User", "system:kube-scheduler")]),
        binding("system:volume-scheduler", &[("User", "system:kube-scheduler")]),
        binding("system:kube-controller-manager", &[("User", "system:kube-controller-manager")]),
    ];
    values.into_iter().filter_map(|v| Object::from_value(v).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_added() {
        let made = |kind: &str, rules: &[&str], update: &str| {
            let rules: Vec<Value> = rules.iter().map(|r| json!({"resources": [r], "verbs": ["get"]})).collect();
            Object::from_value(json!({"kind": kind, "metadata": {"name": "r", "annotations": {AUTOUPDATE: update}}, "rules": rules})).unwrap()
        };
        let wanted = made("ClusterRole", &["a", "b"], "true");
        let cases = [
            (made("ClusterRole", &["own", "a"], "true"), Some(made("ClusterRole", &["own", "a", "b"], "true"))),
            (made("ClusterRole", &["b", "a"], "true"), None),
            (made("ClusterRole", &[], "false"), None),
            (made("ClusterRole", &[], "true"), Some(made("ClusterRole", &["a", "b"], "true"))),
        ];
        for (present, want) in cases {
            assert_eq!(updated(&present, &wanted), want, "{present:?}");
        }
        let view = cluster_roles().into_iter().find(|role| role.name() == "view").unwrap();
        let mut without = view.clone();
        without.set(&["rules"], json!([]));
        assert_eq!(updated(&without, &view), None, "an aggregated role's rules are its controller's");
    }
}
