//! The schemas of all kinds as one gzipped JSON map, from definition name to schema: the texts and types are k8s-openapi's, and how lists and maps merge
//! are facts of Kubernetes' own document (`api/openapi-spec/swagger.json`). References are written as bare definition names: each user of the file puts
//! its own prefix in front.
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
    flowcontrol::v1 as flowcontrol,
    networking::v1 as networking,
    node::v1 as node,
    policy::v1 as policy,
    rbac::v1 as rbac,
    resource::v1 as resource,
    scheduling::v1 as scheduling,
    storage::v1 as storage,
    storagemigration::v1 as storagemigration,
};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1 as apiextensions;
use k8s_openapi::apimachinery::pkg::apis::meta::v1 as meta;
use k8s_openapi::kube_aggregator::pkg::apis::apiregistration::v1 as apiregistration;
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};
use std::io::{self, Write};
use std::path::Path;

/// What schemars puts before a definition's name.
const PREFIX: &str = "#/$defs/";

/// What Kubernetes' document says of a list or a map beyond its type.
const FACTS: [&str; 5] =
    ["x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type", "x-kubernetes-patch-strategy", "x-kubernetes-patch-merge-key"];

/// Writes the file and returns its size; `swagger` is Kubernetes' document.
pub fn write(path: &Path, swagger: &Path) -> io::Result<usize> {
    let document: Value = serde_json::from_slice(&std::fs::read(swagger)?)?;
    let mut definitions = definitions();
    for (name, schema) in &mut definitions {
        match document.get("definitions").and_then(|all| all.get(name)) {
            Some(facts) => add_facts(schema, facts),
            None => eprintln!("{name} isn't in {}", swagger.display()),
        }
    }
    let text = serde_json::to_vec(&definitions)?;
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

/// Copies the facts of a definition, and of its fields, into its schema.
fn add_facts(schema: &mut Value, facts: &Value) {
    let Some(schema) = schema.as_object_mut() else { return };
    if facts.get("type").is_none() && facts.get("$ref").is_none() && schema.get("type") == Some(&"object".into()) {
        // what Kubernetes gives no type may be anything
        schema.remove("type");
    }
    for fact in FACTS {
        if let Some(value) = facts.get(fact) {
            schema.insert(fact.to_owned(), value.clone());
        }
    }
    for (word, inner) in schema.iter_mut() {
        let Some(facts) = facts.get(word) else { continue };
        match (word.as_str(), inner) {
            ("properties", Value::Object(fields)) => {
                for (field, inner) in fields {
                    facts.get(field).into_iter().for_each(|facts| add_facts(inner, facts));
                }
            }
            ("items" | "additionalProperties", inner) => add_facts(inner, facts),
            _ => {}
        }
    }
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
    roots.extend(workload_roots(g));
    roots.extend(access_roots(g));
    roots.extend(cluster_roots(g));
    roots
}

fn core_roots(g: &mut SchemaGenerator) -> Vec<(String, Value)> {
    roots_of![
        g,
        core::Binding,
        core::ComponentStatus,
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

fn workload_roots(g: &mut SchemaGenerator) -> Vec<(String, Value)> {
    roots_of![
        g,
        apps::ControllerRevision,
        apps::DaemonSet,
        apps::Deployment,
        apps::ReplicaSet,
        apps::StatefulSet,
        autoscaling::HorizontalPodAutoscaler,
        autoscaling::Scale,
        autoscaling_v2::HorizontalPodAutoscaler,
        batch::CronJob,
        batch::Job,
        coordination::Lease,
        discovery::EndpointSlice,
        events::Event,
        policy::Eviction,
        policy::PodDisruptionBudget,
        scheduling::PriorityClass,
    ]
}

fn access_roots(g: &mut SchemaGenerator) -> Vec<(String, Value)> {
    roots_of![
        g,
        admission::MutatingAdmissionPolicy,
        admission::MutatingAdmissionPolicyBinding,
        admission::MutatingWebhookConfiguration,
        admission::ValidatingAdmissionPolicy,
        admission::ValidatingAdmissionPolicyBinding,
        admission::ValidatingWebhookConfiguration,
        authentication::SelfSubjectReview,
        authentication::TokenRequest,
        authentication::TokenReview,
        authorization::LocalSubjectAccessReview,
        authorization::SelfSubjectAccessReview,
        authorization::SelfSubjectRulesReview,
        authorization::SubjectAccessReview,
        certificates::CertificateSigningRequest,
        certificates::ClusterTrustBundle,
        certificates::PodCertificateRequest,
        flowcontrol::FlowSchema,
        flowcontrol::PriorityLevelConfiguration,
        rbac::ClusterRole,
        rbac::ClusterRoleBinding,
        rbac::Role,
        rbac::RoleBinding,
        apiextensions::CustomResourceDefinition,
        apiregistration::APIService,
        meta::Status,
    ]
}

fn cluster_roots(g: &mut SchemaGenerator) -> Vec<(String, Value)> {
    roots_of![
        g,
        networking::Ingress,
        networking::IngressClass,
        networking::IPAddress,
        networking::NetworkPolicy,
        networking::ServiceCIDR,
        node::RuntimeClass,
        resource::DeviceClass,
        resource::DeviceTaintRule,
        resource::ResourceClaim,
        resource::ResourceClaimTemplate,
        resource::ResourceSlice,
        storage::CSIDriver,
        storage::CSINode,
        storage::CSIStorageCapacity,
        storage::StorageClass,
        storage::VolumeAttachment,
        storage::VolumeAttributesClass,
        storagemigration::StorageVersionMigration,
    ]
}
