//! The schemas of all kinds as one gzipped JSON map, from definition name to schema. References are written as bare definition names:
//! each user of the file puts its own prefix in front.
use flate2::{Compression, write::GzEncoder};
use k8s_openapi::Resource;
use k8s_openapi::api::{
    admissionregistration::v1 as admission,
    apps::v1 as apps,
    authentication::v1 as authentication,
    authorization::v1 as authorization,
    autoscaling::{v1 as autoscaling, v2 as autoscaling_v2},
    batch::v1 as batch,
    certificates::v1 as certificates,
    coordination::v1 as coordination,
    core::v1 as core,
    discovery::v1 as discovery,
    events::v1 as events,
    networking::v1 as networking,
    node::v1 as node,
    policy::v1 as policy,
    rbac::v1 as rbac,
    scheduling::v1 as scheduling,
    storage::v1 as storage,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::Path;

/// What schemars puts before a definition's name.
const PREFIX: &str = "#/$defs/";

/// Writes the file and returns its size.
pub fn write(path: &Path) -> io::Result<usize> {
    let text = serde_json::to_vec(&definitions())?;
    let mut gz = GzEncoder::new(Vec::new(), Compression::best());
    gz.write_all(&text)?;
    let bytes = gz.finish()?;
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    std::fs::write(path, &bytes)?;
    Ok(bytes.len())
}

fn definitions() -> Map<String, Value> {
    let mut generator = SchemaSettings::draft2020_12().into_generator();
    let kinds = roots(&mut generator);
    generator.subschema_for::<meta::DeleteOptions>();
    generator.subschema_for::<meta::ListMeta>();
    let mut definitions = generator.take_definitions(true);
    for schema in definitions.values_mut() {
        shorten(schema);
    }
    for (name, gvk) in kinds {
        if let Some(Value::Object(schema)) = definitions.get_mut(&name) {
            schema.insert("x-kubernetes-group-version-kind".to_owned(), json!([gvk]));
        }
    }
    definitions
}

/// Makes references bare names.
fn shorten(value: &mut Value) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(target)) = map.get_mut("$ref")
                && let Some(name) = target.strip_prefix(PREFIX)
            {
                *target = name.to_owned();
            }
            map.values_mut().for_each(shorten);
        }
        Value::Array(items) => items.iter_mut().for_each(shorten),
        _ => {}
    }
}

fn root<T: JsonSchema + Resource>(generator: &mut SchemaGenerator) -> (String, Value) {
    generator.subschema_for::<T>();
    (T::schema_name().into_owned(), json!({"group": T::GROUP, "version": T::VERSION, "kind": T::KIND}))
}

macro_rules! roots_of { ($g:expr, $($t:ty),* $(,)?) => { vec![$(root::<$t>($g)),*] } }

/// Every kind that is stable, whether the table of kinds has it already or not: a new row finds its schema here.
fn roots(g: &mut SchemaGenerator) -> Vec<(String, Value)> {
    let mut roots = core_roots(g);
    roots.extend(group_roots(g));
    roots
}

fn core_roots(g: &mut SchemaGenerator) -> Vec<(String, Value)> {
    roots_of![
        g,
        core::Binding,
        core::ConfigMap,
        core::Endpoints,
        core::Event,
        core::LimitRange,
        core::Namespace,
        core::Node,
        core::PersistentVolume,
        core::PersistentVolumeClaim,
        core::Pod,
        core::PodTemplate,
        core::ReplicationController,
        core::ResourceQuota,
        core::Secret,
        core::Service,
        core::ServiceAccount,
    ]
}

fn group_roots(g: &mut SchemaGenerator) -> Vec<(String, Value)> {
    roots_of![
        g,
        admission::MutatingAdmissionPolicy,
        admission::MutatingAdmissionPolicyBinding,
        admission::MutatingWebhookConfiguration,
        admission::ValidatingAdmissionPolicy,
        admission::ValidatingAdmissionPolicyBinding,
        admission::ValidatingWebhookConfiguration,
        apps::ControllerRevision,
        apps::DaemonSet,
        apps::Deployment,
        apps::ReplicaSet,
        apps::StatefulSet,
        authentication::SelfSubjectReview,
        authentication::TokenRequest,
        authentication::TokenReview,
        authorization::LocalSubjectAccessReview,
        authorization::SelfSubjectAccessReview,
        authorization::SelfSubjectRulesReview,
        authorization::SubjectAccessReview,
        autoscaling::HorizontalPodAutoscaler,
        autoscaling::Scale,
        autoscaling_v2::HorizontalPodAutoscaler,
        batch::CronJob,
        batch::Job,
        certificates::CertificateSigningRequest,
        coordination::Lease,
        discovery::EndpointSlice,
        events::Event,
        networking::Ingress,
        networking::IngressClass,
        networking::IPAddress,
        networking::NetworkPolicy,
        networking::ServiceCIDR,
        node::RuntimeClass,
        policy::Eviction,
        policy::PodDisruptionBudget,
        rbac::ClusterRole,
        rbac::ClusterRoleBinding,
        rbac::Role,
        rbac::RoleBinding,
        scheduling::PriorityClass,
        storage::CSIDriver,
        storage::CSINode,
        storage::CSIStorageCapacity,
        storage::StorageClass,
        storage::VolumeAttachment,
        storage::VolumeAttributesClass,
        apiextensions::CustomResourceDefinition,
        meta::Status,
    ]
}
