//! Makes sure that a container's image is there, by its pull policy, in the kubelet's words.
use super::base::Executor;
use super::op::{OpContext, OpError};
use crate::objects::RefKey;
use crate::pod::TroubleKind;
use crate::runtime::{Image, PullSecret, RuntimeError, image_name};
use base64::Engine;
use k8s_openapi::api::core::v1::{Container as Spec, ImageVolumeSource, Pod, PodSpec};
use serde_json::Value;
use std::time::Instant;

/// The image.
pub async fn ensure(executor: &Executor, job: &OpContext, c: &Spec) -> Result<Image, OpError> {
    let name = c.image.as_deref().unwrap_or_default();
    image_name::check(name).map_err(|why| {
        let message = format!("Failed to apply default image tag \"{name}\": couldn't parse image name \"{name}\": {why}");
        executor.recorder.container_warning(&job.pod, c, "InspectFailed", &message);
        executor.recorder.container_warning(&job.pod, c, "Failed", "Error: InvalidImageName");
        OpError(TroubleKind::InvalidImageName, message)
    })?;
    let policy = policy(c);
    let present = if policy == "Always" { None } else { executor.images.find(executor.runtime.as_ref(), name).await? };
    match present {
        Some(image) => {
            executor.recorder.container(&job.pod, c, "Pulled", &format!("Container image \"{name}\" already present on machine"));
            Ok(image)
        }
        None if policy == "Never" => {
            let message = format!("Container image \"{name}\" is not present with pull policy of Never");
            executor.recorder.container_warning(&job.pod, c, "ErrImageNeverPull", &message);
            executor.recorder.container_warning(&job.pod, c, "Failed", "Error: ErrImageNeverPull");
            Err(OpError(TroubleKind::ErrImageNeverPull, message))
        }
        None => pull(executor, job, c, name).await,
    }
}

/// The images that a container mounts, each as if it ran the container: they are pulled by the same rules.
pub fn volumes(pod: &Pod, c: &Spec) -> Vec<Spec> {
    let volumes = crate::pod::spec(pod).volumes.iter().flatten();
    let mounted = volumes.filter(|volume| c.volume_mounts.iter().flatten().any(|mount| mount.name == volume.name));
    let of = |source: &ImageVolumeSource| Spec { image: source.reference.clone(), image_pull_policy: source.pull_policy.clone(), ..c.clone() };
    mounted.filter_map(|volume| volume.image.as_ref().map(of)).collect()
}

/// Asks, while the sandbox is being made, what the containers that start first will ask. Whatever is wrong shows when they do.
pub async fn look_ahead(executor: &Executor, spec: &PodSpec) {
    let first =
        spec.init_containers.as_deref().filter(|inits| !inits.is_empty()).map_or(spec.containers.as_slice(), |inits| inits.get(..1).unwrap_or_default());
    let names = first.iter().filter(|c| policy(c) != "Always").filter_map(|c| c.image.as_deref()).filter(|name| image_name::check(name).is_ok());
    for name in names {
        if let Err(error) = executor.images.find(executor.runtime.as_ref(), name).await {
            tracing::debug!(name, %error, "an image could not be looked for");
        }
    }
}

fn policy(c: &Spec) -> &str {
    c.image_pull_policy.as_deref().unwrap_or_else(|| default_policy(c.image.as_deref().unwrap_or_default()))
}

async fn pull(executor: &Executor, job: &OpContext, c: &Spec, name: &str) -> Result<Image, OpError> {
    executor.recorder.container(&job.pod, c, "Pulling", &format!("Pulling image \"{name}\""));
    let began = Instant::now();
    let secrets = secrets(executor, job, name).await?;
    let pulled = tokio::select! {
        pulled = try_each(executor, name, &secrets) => pulled,
        () = job.ending.cancelled() => return Err(OpError(TroubleKind::ErrImagePull, "the pod is ending".to_owned())),
    };
    match pulled {
        Ok(image) => {
            let took = began.elapsed().as_millis();
            let message = format!("Successfully pulled image \"{name}\" in {took}ms ({took}ms including waiting). Image size: {} bytes.", image.size);
            executor.recorder.container(&job.pod, c, "Pulled", &message);
            Ok(image)
        }
        Err(e) => {
            let message = e.to_string();
            executor.recorder.container_warning(&job.pod, c, "Failed", &format!("Failed to pull image \"{name}\": {message}"));
            executor.recorder.container_warning(&job.pod, c, "Failed", "Error: ErrImagePull");
            Err(OpError(TroubleKind::ErrImagePull, message))
        }
    }
}

/// With each of the credentials until one is let in; without any where there are none.
async fn try_each(executor: &Executor, name: &str, secrets: &[PullSecret]) -> Result<Image, RuntimeError> {
    let Some((last, others)) = secrets.split_last() else { return executor.runtime.pull(name, None).await };
    for secret in others {
        match executor.runtime.pull(name, Some(secret)).await {
            Ok(image) => return Ok(image),
            Err(error) => tracing::debug!(image = name, %error, "the next credentials are tried"),
        }
    }
    executor.runtime.pull(name, Some(last)).await
}

/// `Always` for `:latest` or no tag, `IfNotPresent` otherwise. The API server has decided already; this is for objects that it never saw.
fn default_policy(image: &str) -> &'static str {
    let last = image.rsplit('/').next().unwrap_or(image);
    if !last.contains('@') && (!last.contains(':') || last.ends_with(":latest")) { "Always" } else { "IfNotPresent" }
}

/// Credentials from the pod's `imagePullSecrets` (the API server has added its service account's).
async fn secrets(executor: &Executor, job: &OpContext, image: &str) -> Result<Vec<PullSecret>, OpError> {
    let pod = job.pod_ref();
    let names = crate::pod::spec(&job.pod).image_pull_secrets.iter().flatten().map(|s| RefKey::secret(&pod.namespace, &s.name));
    let keys: Vec<RefKey> = names.collect();
    let objects = executor.references.get(&pod.uid, keys.iter().cloned()).await.map_err(|e| OpError(TroubleKind::ErrImagePull, e.to_string()))?;
    let host = image_name::registry(image);
    Ok(keys.iter().filter_map(|k| objects.data(k)).filter_map(|data| credentials(&data, host)).collect())
}

fn credentials(data: &std::collections::BTreeMap<String, Vec<u8>>, host: &str) -> Option<PullSecret> {
    let new = data.get(".dockerconfigjson").and_then(|j| serde_json::from_slice::<Value>(j).ok());
    let auths = match new {
        Some(config) => config.get("auths")?.clone(),
        None => serde_json::from_slice(data.get(".dockercfg")?).ok()?,
    };
    let bare = |key: &str| {
        key.trim_start_matches("https://").trim_start_matches("http://").split('/').next().unwrap_or_default().replace("index.docker.io", "docker.io")
    };
    let entry = auths.as_object()?.iter().find(|(key, _)| bare(key) == host)?.1;
    let text = |name: &str| entry.get(name).and_then(Value::as_str).map(str::to_owned);
    if let (Some(username), Some(password)) = (text("username"), text("password")) {
        return Some(PullSecret { username, password });
    }
    let decoded = base64::engine::general_purpose::STANDARD.decode(text("auth")?).ok()?;
    let (username, password) = std::str::from_utf8(&decoded).ok()?.split_once(':')?;
    Some(PullSecret { username: username.to_owned(), password: password.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        for (image, want) in [("a", "Always"), ("a:latest", "Always"), ("a:1", "IfNotPresent"), ("r:5000/a", "Always"), ("a@sha256:1", "IfNotPresent")] {
            assert_eq!(default_policy(image), want, "{image}");
        }
    }

    #[test]
    fn docker_configs() {
        let config = br#"{"auths": {"https://index.docker.io/v1/": {"auth": "dTpwOnE="}, "r:5000": {"username": "a", "password": "b"}}}"#;
        let data = [(".dockerconfigjson".to_owned(), config.to_vec())].into();
        assert_eq!(credentials(&data, "docker.io"), Some(PullSecret { username: "u".into(), password: "p:q".into() }));
        assert_eq!(credentials(&data, "r:5000"), Some(PullSecret { username: "a".into(), password: "b".into() }));
        assert_eq!(credentials(&data, "other"), None);
    }
}
