//! **The** table of kinds that are built in. Adding a plain kind is one row here; a kind with rules of its own names its strategy in the row.
mod admission_rule;
mod amounts;
mod autoscaler;
mod certificates;
pub(crate) mod columns;
mod conditions;
mod config;
mod cron_job;
mod daemon_set;
mod deployment;
mod devices;
pub mod disruption_budget;
mod endpoint_slice;
mod endpoints;
pub mod event;
pub(crate) mod fields;
mod flow_schema;
mod job;
mod lease;
mod limit_range;
mod namespace;
mod networking;
mod node;
pub mod pod;
mod pod_template;
mod policies;
pub mod priority_class;
mod priority_level;
mod quotas;
mod rbac;
mod replica_set;
mod replication_controller;
mod revision;
mod row;
mod runtime_class;
pub mod service;
mod stateful_set;
mod storage;
mod storage_migration;
mod volume;
pub(crate) mod webhooks;
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
    let tables = [
        core(),
        volumes(),
        events(),
        apps(),
        batch(),
        scaling(),
        networking(),
        storage(),
        access(),
        admission(),
        certificates(),
        flow_control(),
        resource(),
        others(),
        metrics(),
    ];
    Kinds::new(tables.into_iter().flatten().map(Row::build))
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
            .with([Subresource::NODE_PROXY])
            .select(&[("spec.unschedulable", &["spec", "unschedulable"])]),
        row("", "v1", "Pod", "pods")
            .columns(columns::pod())
            .strategy(&pod::STRATEGY)
            .short(["po"])
            .all()
            .status()
            .generation()
            .with([Subresource::BINDING, Subresource::EVICTION, Subresource::EPHEMERAL_CONTAINERS, Subresource::RESIZE])
            .with([Subresource::LOG, Subresource::EXEC, Subresource::ATTACH, Subresource::PORTFORWARD, Subresource::POD_PROXY])
            .select(&[
                ("spec.nodeName", &["spec", "nodeName"]),
                // its name in the first versions
                ("spec.host", &["spec", "nodeName"]),
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
            .with([Subresource::SERVICE_PROXY])
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
        row("apps", "v1", "StatefulSet", "statefulsets")
            .columns(columns::stateful_set())
            .strategy(&stateful_set::STRATEGY)
            .short(["sts"])
            .all()
            .status()
            .scale()
            .generation(),
        row("apps", "v1", "DaemonSet", "daemonsets").columns(columns::daemon_set()).strategy(&daemon_set::STRATEGY).short(["ds"]).all().status().generation(),
        row("", "v1", "ReplicationController", "replicationcontrollers")
            .columns(columns::replication_controller())
            .strategy(&replication_controller::STRATEGY)
            .short(["rc"])
            .all()
            .status()
            .scale()
            .generation()
            .select(&[("status.replicas", &["status", "replicas"])]),
        row("apps", "v1", "ControllerRevision", "controllerrevisions").columns(columns::revision()).strategy(&revision::STRATEGY),
    ]
}

fn volumes() -> Vec<Row> {
    vec![
        row("", "v1", "PersistentVolume", "persistentvolumes").columns(columns::persistent_volume()).strategy(&volume::VOLUME).short(["pv"]).cluster().status(),
        row("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims")
            .columns(columns::persistent_volume_claim())
            .strategy(&volume::CLAIM)
            .short(["pvc"])
            .status(),
        row("", "v1", "ResourceQuota", "resourcequotas").columns(columns::quota()).strategy(&quotas::QUOTA).short(["quota"]).status(),
        row("", "v1", "LimitRange", "limitranges").columns(columns::limits()).strategy(&limit_range::LIMITS).short(["limits"]),
    ]
}

fn batch() -> Vec<Row> {
    vec![
        row("batch", "v1", "Job", "jobs")
            .columns(columns::job())
            .strategy(&job::STRATEGY)
            .all()
            .status()
            .generation()
            .select(&[("status.successful", &["status", "succeeded"])]),
        row("batch", "v1", "CronJob", "cronjobs").columns(columns::cron_job()).strategy(&cron_job::STRATEGY).short(["cj"]).all().status().generation(),
    ]
}

fn scaling() -> Vec<Row> {
    let (group, resource) = ("autoscaling", "horizontalpodautoscalers");
    let scaler =
        |version: &str| row(group, version, "HorizontalPodAutoscaler", resource).strategy(&autoscaler::STRATEGY).short(["hpa"]).all().status().generation();
    vec![
        scaler("v2").columns(columns::autoscaler()),
        scaler("v1").columns(columns::autoscaler_v1()).stored_as(group, resource, autoscaler::CONVERSION),
        row("policy", "v1", "PodDisruptionBudget", "poddisruptionbudgets")
            .columns(columns::disruption_budget())
            .strategy(&disruption_budget::STRATEGY)
            .short(["pdb"])
            .status()
            .generation(),
    ]
}

fn networking() -> Vec<Row> {
    let group = "networking.k8s.io";
    vec![
        row(group, "v1", "Ingress", "ingresses").columns(columns::ingress()).strategy(&networking::INGRESS).short(["ing"]).status().generation(),
        row(group, "v1", "IngressClass", "ingressclasses").columns(columns::ingress_class()).strategy(&networking::INGRESS_CLASS).cluster().generation(),
        row(group, "v1", "NetworkPolicy", "networkpolicies")
            .columns(columns::network_policy())
            .strategy(&networking::NETWORK_POLICY)
            .short(["netpol"])
            .generation(),
        row(group, "v1", "IPAddress", "ipaddresses").columns(columns::ip_address()).strategy(&networking::IP_ADDRESS).short(["ip"]).cluster(),
        row(group, "v1", "ServiceCIDR", "servicecidrs").columns(columns::service_cidr()).strategy(&networking::SERVICE_CIDR).cluster().status(),
    ]
}

fn storage() -> Vec<Row> {
    let group = "storage.k8s.io";
    let migration = row("storagemigration.k8s.io", "v1", "StorageVersionMigration", "storageversionmigrations");
    vec![
        row(group, "v1", "StorageClass", "storageclasses").columns(columns::storage_class()).strategy(&storage::CLASS).short(["sc"]).cluster(),
        row(group, "v1", "VolumeAttributesClass", "volumeattributesclasses")
            .columns(columns::volume_attributes_class())
            .strategy(&storage::ATTRIBUTES_CLASS)
            .short(["vac"])
            .cluster(),
        row(group, "v1", "VolumeAttachment", "volumeattachments").columns(columns::volume_attachment()).strategy(&storage::ATTACHMENT).cluster().status(),
        row(group, "v1", "CSIDriver", "csidrivers").columns(columns::csi_driver()).strategy(&storage::DRIVER).cluster().generation(),
        row(group, "v1", "CSINode", "csinodes").columns(columns::csi_node()).strategy(&storage::NODE).cluster().status(),
        row(group, "v1", "CSIStorageCapacity", "csistoragecapacities").columns(columns::csi_storage_capacity()).strategy(&storage::CAPACITY),
        migration.columns(columns::storage_version_migration()).strategy(&storage_migration::STRATEGY).cluster().status(),
    ]
}

fn admission() -> Vec<Row> {
    let group = "admissionregistration.k8s.io";
    vec![
        row(group, "v1", "ValidatingWebhookConfiguration", "validatingwebhookconfigurations")
            .columns(columns::webhooks())
            .strategy(&webhooks::STRATEGY)
            .category("api-extensions")
            .cluster()
            .generation(),
        row(group, "v1", "MutatingWebhookConfiguration", "mutatingwebhookconfigurations")
            .columns(columns::webhooks())
            .strategy(&webhooks::STRATEGY)
            .category("api-extensions")
            .cluster()
            .generation(),
        row(group, "v1", "ValidatingAdmissionPolicy", "validatingadmissionpolicies")
            .columns(columns::policy())
            .strategy(&policies::VALIDATING)
            .status()
            .category("api-extensions")
            .cluster()
            .generation(),
        row(group, "v1", "ValidatingAdmissionPolicyBinding", "validatingadmissionpolicybindings")
            .columns(columns::policy_binding())
            .strategy(&policies::VALIDATING_BINDING)
            .category("api-extensions")
            .cluster()
            .generation(),
        row(group, "v1", "MutatingAdmissionPolicy", "mutatingadmissionpolicies")
            .columns(columns::mutating_policy())
            .strategy(&policies::MUTATING)
            .category("api-extensions")
            .cluster()
            .generation(),
        row(group, "v1", "MutatingAdmissionPolicyBinding", "mutatingadmissionpolicybindings")
            .columns(columns::policy_binding())
            .strategy(&policies::MUTATING_BINDING)
            .category("api-extensions")
            .cluster()
            .generation(),
    ]
}

fn certificates() -> Vec<Row> {
    let group = "certificates.k8s.io";
    vec![
        row(group, "v1", "CertificateSigningRequest", "certificatesigningrequests")
            .columns(columns::signing_request())
            .strategy(&certificates::REQUEST)
            .short(["csr"])
            .cluster()
            .status()
            .with([Subresource::APPROVAL])
            .select(&[("spec.signerName", &["spec", "signerName"])]),
        row(group, "v1", "ClusterTrustBundle", "clustertrustbundles")
            .columns(columns::trust_bundle())
            .strategy(&certificates::BUNDLE)
            .cluster()
            .select(&[("spec.signerName", &["spec", "signerName"])]),
        row(group, "v1", "PodCertificateRequest", "podcertificaterequests")
            .columns(columns::pod_certificate())
            .strategy(&certificates::POD)
            .status()
            .select(&[("spec.signerName", &["spec", "signerName"]), ("spec.podName", &["spec", "podName"]), ("spec.nodeName", &["spec", "nodeName"])]),
    ]
}

fn flow_control() -> Vec<Row> {
    let group = "flowcontrol.apiserver.k8s.io";
    vec![
        row(group, "v1", "FlowSchema", "flowschemas").columns(columns::flow_schema()).strategy(&flow_schema::STRATEGY).status().cluster().generation(),
        row(group, "v1", "PriorityLevelConfiguration", "prioritylevelconfigurations")
            .columns(columns::priority_level())
            .strategy(&priority_level::STRATEGY)
            .status()
            .cluster()
            .generation(),
    ]
}

fn resource() -> Vec<Row> {
    let group = "resource.k8s.io";
    vec![
        row(group, "v1", "DeviceClass", "deviceclasses").strategy(&devices::CLASS).cluster().generation(),
        row(group, "v1", "DeviceTaintRule", "devicetaintrules").strategy(&devices::TAINT_RULE).status().cluster().generation(),
        row(group, "v1", "ResourceClaim", "resourceclaims").columns(columns::resource_claim()).strategy(&devices::CLAIM).status(),
        row(group, "v1", "ResourceClaimTemplate", "resourceclaimtemplates").strategy(&devices::TEMPLATE),
        row(group, "v1", "ResourceSlice", "resourceslices").columns(columns::resource_slice()).strategy(&devices::SLICE).cluster().generation().select(&[
            ("spec.nodeName", &["spec", "nodeName"]),
            ("spec.driver", &["spec", "driver"]),
            ("spec.pool.name", &["spec", "pool", "name"]),
        ]),
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
        row("node.k8s.io", "v1", "RuntimeClass", "runtimeclasses").columns(columns::runtime_class()).strategy(&runtime_class::STRATEGY).cluster(),
        row("scheduling.k8s.io", "v1", "PriorityClass", "priorityclasses")
            .columns(columns::priority_class())
            .strategy(&priority_class::STRATEGY)
            .short(["pc"])
            .cluster()
            .generation(),
        row("apiregistration.k8s.io", "v1", "APIService", "apiservices").columns(columns::api_service()).observed().category("api-extensions").cluster(),
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

fn metrics() -> Vec<Row> {
    let group = "metrics.k8s.io";
    vec![
        row(group, "v1beta1", "NodeMetrics", "nodes").singular("").columns(columns::node_metrics()).cluster().derived_from("", "nodes"),
        row(group, "v1beta1", "PodMetrics", "pods").singular("").columns(columns::pod_metrics()).derived_from("", "pods"),
    ]
}

#[cfg(test)]
mod fixture;
#[cfg(test)]
mod kinds_tests;
#[cfg(test)]
mod policies_tests;
#[cfg(test)]
mod tests;
