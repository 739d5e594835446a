//! **The** table of kinds that are built in. Adding a plain kind is one row here; a kind with rules of its own names its strategy in the row.
pub(crate) mod columns;
mod config;
mod deployment;
mod endpoint_slice;
mod endpoints;
pub mod event;
mod fields;
mod lease;
mod namespace;
mod node;
pub mod pod;
mod pod_template;
pub mod priority_class;
mod rbac;
mod replica_set;
mod revision;
mod row;
pub mod service;
mod workload;

use crate::custom::definition;
use crate::kind::{Bucket, Kinds};
use crate::subresource::Subresource;
use row::{Row, row};
use std::time::Duration;

/// How long events are kept.
const EVENT_TTL: Duration = Duration::from_secs(3600);

/// The table of the kinds that every cluster has.
pub fn builtin() -> Kinds {
    Kinds::new(core().into_iter().chain(events()).chain(apps()).chain(access()).chain(others()).map(Row::build))
}

fn core() -> Vec<Row> {
    vec![
        row("", "v1", "Namespace", "namespaces")
            .columns(columns::namespace())
            .strategy(&namespace::STRATEGY)
            .short(["ns"])
            .cluster()
            .status()
            .with([Subresource::FINALIZE])
            .one_at_a_time()
            .select(&[("status.phase", &["status", "phase"])]),
        row("", "v1", "Node", "nodes")
            .columns(columns::node())
            .strategy(&node::STRATEGY)
            .short(["no"])
            .cluster()
            .status()
            .select(&[("spec.unschedulable", &["spec", "unschedulable"])]),
        row("", "v1", "Pod", "pods")
            .columns(columns::pod())
            .strategy(&pod::STRATEGY)
            .short(["po"])
            .all()
            .status()
            .generation()
            .with([Subresource::BINDING, Subresource::EVICTION, Subresource::LOG, Subresource::EXEC, Subresource::ATTACH, Subresource::PORTFORWARD])
            .select(&[
                ("spec.nodeName", &["spec", "nodeName"]),
                ("spec.restartPolicy", &["spec", "restartPolicy"]),
                ("spec.schedulerName", &["spec", "schedulerName"]),
                ("spec.serviceAccountName", &["spec", "serviceAccountName"]),
                ("spec.hostNetwork", &["spec", "hostNetwork"]),
                ("status.phase", &["status", "phase"]),
                ("status.podIP", &["status", "podIP"]),
                ("status.nominatedNodeName", &["status", "nominatedNodeName"]),
            ]),
        row("", "v1", "PodTemplate", "podtemplates").columns(columns::pod_template()).strategy(&pod_template::STRATEGY).generation(),
        row("", "v1", "Service", "services")
            .columns(columns::service())
            .strategy(&service::STRATEGY)
            .short(["svc"])
            .all()
            .status()
            .select(&[("spec.clusterIP", &["spec", "clusterIP"]), ("spec.type", &["spec", "type"])]),
        row("", "v1", "Endpoints", "endpoints").columns(columns::endpoints()).strategy(&endpoints::STRATEGY).short(["ep"]).singular("endpoints"),
        row("", "v1", "ConfigMap", "configmaps").columns(columns::config_map()).strategy(&config::CONFIG_MAP).short(["cm"]),
        row("", "v1", "Secret", "secrets").columns(columns::secret()).strategy(&config::SECRET).select(&[("type", &["type"])]),
        row("", "v1", "ServiceAccount", "serviceaccounts").columns(columns::service_account()).short(["sa"]).with([Subresource::TOKEN]),
    ]
}

fn events() -> Vec<Row> {
    vec![
        row("", "v1", "Event", "events")
            .columns(columns::event())
            .strategy(&event::STRATEGY)
            .short(["ev"])
            .bucket(Bucket::Ephemeral { ttl: Some(EVENT_TTL) })
            .select(event::CORE_FIELDS),
        row("events.k8s.io", "v1", "Event", "events")
            .columns(columns::event())
            .strategy(&event::STRICT)
            .short(["ev"])
            .bucket(Bucket::Ephemeral { ttl: Some(EVENT_TTL) })
            .stored_as("", "events", event::CONVERSION)
            .select(event::FIELDS),
    ]
}

fn apps() -> Vec<Row> {
    vec![
        row("apps", "v1", "Deployment", "deployments")
            .columns(columns::deployment())
            .strategy(&deployment::STRATEGY)
            .short(["deploy"])
            .all()
            .status()
            .scale()
            .generation(),
        row("apps", "v1", "ReplicaSet", "replicasets")
            .columns(columns::replica_set())
            .strategy(&replica_set::STRATEGY)
            .short(["rs"])
            .all()
            .status()
            .scale()
            .generation()
            .select(&[("status.replicas", &["status", "replicas"])]),
        row("apps", "v1", "ControllerRevision", "controllerrevisions").columns(columns::revision()).strategy(&revision::STRATEGY),
    ]
}

fn access() -> Vec<Row> {
    let rbac = "rbac.authorization.k8s.io";
    let authz = "authorization.k8s.io";
    let authn = "authentication.k8s.io";
    vec![
        row(rbac, "v1", "Role", "roles").columns(columns::role()).strategy(&rbac::ROLE),
        row(rbac, "v1", "ClusterRole", "clusterroles").columns(columns::role()).strategy(&rbac::CLUSTER_ROLE).cluster(),
        row(rbac, "v1", "RoleBinding", "rolebindings").columns(columns::binding()).strategy(&rbac::ROLE_BINDING),
        row(rbac, "v1", "ClusterRoleBinding", "clusterrolebindings").columns(columns::binding()).strategy(&rbac::CLUSTER_ROLE_BINDING).cluster(),
        row(authz, "v1", "SelfSubjectAccessReview", "selfsubjectaccessreviews").cluster().answered(),
        row(authz, "v1", "SubjectAccessReview", "subjectaccessreviews").cluster().answered(),
        row(authz, "v1", "LocalSubjectAccessReview", "localsubjectaccessreviews").answered(),
        row(authz, "v1", "SelfSubjectRulesReview", "selfsubjectrulesreviews").cluster().answered(),
        row(authn, "v1", "TokenReview", "tokenreviews").cluster().answered(),
        row(authn, "v1", "SelfSubjectReview", "selfsubjectreviews").cluster().answered(),
    ]
}

fn others() -> Vec<Row> {
    vec![
        row("discovery.k8s.io", "v1", "EndpointSlice", "endpointslices").columns(columns::endpoint_slice()).strategy(&endpoint_slice::STRATEGY).generation(),
        row("coordination.k8s.io", "v1", "Lease", "leases").columns(columns::lease()).strategy(&lease::STRATEGY).bucket(Bucket::Ephemeral { ttl: None }),
        row("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses").columns(columns::runtime_class()).cluster(),
        row("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses")
            .columns(columns::priority_class())
            .strategy(&priority_class::STRATEGY)
            .short(["pc"])
            .cluster()
            .generation(),
        row("apiextensions.k8s.io", "v1", "CustomResourceDefinition", "customresourcedefinitions")
            .columns(columns::definition())
            .strategy(&definition::STRATEGY)
            .cluster()
            .short(["crd", "crds"])
            .category("api-extensions")
            .status()
            .generation(),
    ]
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod tests;
