//! What every cluster has from the start: namespaces, roles and bindings, the system's priority classes, made through the pipeline where they are absent.
use crate::admission::lifecycle;
use crate::authz::{bootstrap as roles, policy};
use crate::identity;
use crate::pipeline::Pipeline;
use bus::{Caller, Role};
use futures::future::join_all;
use model::kinds::priority_class;
use model::{ApiError, Key, Object};
use serde_json::json;
use state_client::{Body, Reply, Request, Verb};

/// The classes of pods that the cluster can't do without.
fn priority_classes() -> Result<Vec<Object>, ApiError> {
    let described = |name: &str| match name {
        "system-node-critical" => "Used for system critical pods that must not be moved from their current node.",
        _ => "Used for system critical pods that must run in the cluster, but can be moved to another node if necessary.",
    };
    let class = |(name, value): (&str, i64)| Object::from_value(json!({"metadata": {"name": name}, "value": value, "description": described(name)}));
    priority_class::SYSTEM.into_iter().map(class).collect()
}

/// Makes the namespaces, roles, bindings and classes that every cluster has, where they are absent, and adds what they lack.
pub(crate) async fn ensure(pipeline: &Pipeline) -> Result<(), ApiError> {
    let namespace = |name: &&str| Object::from_value(json!({"metadata": {"name": name}}));
    let namespaces = lifecycle::ENSURED.iter().map(namespace).collect::<Result<Vec<_>, _>>()?;
    let wanted = [
        ("", "namespaces", namespaces),
        ("scheduling.k8s.io", "priorityclasses", priority_classes()?),
        (policy::GROUP, "clusterroles", roles::cluster_roles()),
        (policy::GROUP, "clusterrolebindings", roles::cluster_role_bindings()),
        (policy::GROUP, "roles", roles::roles()),
    ];
    for (group, resource, objects) in wanted {
        pipeline.store().barrier(group, resource).await?;
        let writes = objects.into_iter().filter_map(|object| ensured(pipeline, group, resource, object));
        let failed = join_all(writes).await.into_iter().filter_map(Result::err).find(|e| !e.is_already_exists() && !e.is_conflict());
        failed.map_or(Ok(()), Err)?;
    }
    tracing::debug!(user = %identity::own().name, "the first objects are there");
    Ok(())
}

/// The write that brings a first object about, where one is needed.
fn ensured(pipeline: &Pipeline, group: &str, resource: &str, wanted: Object) -> Option<impl Future<Output = Result<Reply, ApiError>>> {
    let caller = Caller::new(Role::State, "bootstrap");
    let (namespace, name) = (wanted.namespace().to_owned(), wanted.name().to_owned());
    let present = pipeline.store().get(&Key::new(group, resource, namespace.as_str(), name.as_str()));
    let request = match present {
        None => Request::new(Verb::Create, group, resource, &namespace, "").body(Body::Object(Box::new(wanted))),
        Some(present) => {
            let new = roles::updated(present.object(), &wanted)?;
            Request::new(Verb::Update, group, resource, &namespace, &name).body(Body::Object(Box::new(new)))
        }
    };
    let pipeline = pipeline.clone();
    Some(async move { pipeline.handle(&caller, Box::new(request)).await })
}
