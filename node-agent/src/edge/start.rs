//! Starts one run of a container: image, environment, files, create, start, postStart hook.
use super::files;
use super::spec::{Parts, build};
use super::{Edge, Failed, Job, Outcome, hook, image, message_path};
use crate::pod::TroubleKind;
use crate::runtime::{Container, ContainerSpec, Exit, Image, RunState};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container as Spec;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

/// Exit code of a run that could not be started, as container runtimes give it.
const START_ERROR: i32 = 128;

/// Starts.
pub async fn start(edge: &Edge, job: &Job, name: &str, attempt: u32) -> Result<Outcome, Failed> {
    let Some(c) = crate::pod::container(&job.pod, name) else { return Err(Failed(TroubleKind::Failed, format!("the pod has no container {name}"))) };
    let image = image::ensure(edge, job, c).await?;
    let spec = prepare(edge, job, c, attempt, &image)
        .await
        .inspect_err(|Failed(_, why)| edge.recorder.container_warning(job, c, "Failed", &format!("Error: {why}")))?;
    if job.ending.is_cancelled() {
        return Err(Failed(TroubleKind::Failed, "the pod is ending".to_owned()));
    }
    let id = match edge.runtime.create(&spec).await {
        Ok(id) => id,
        Err(e) => {
            edge.recorder.container_warning(job, c, "Failed", &format!("Error: {e}"));
            return Err(Failed(TroubleKind::CreateContainerError, e.to_string()));
        }
    };
    edge.recorder.container(job, c, "Created", &format!("Created container: {name}"));
    if let Err(e) = edge.runtime.start(&id).await {
        edge.recorder.container_warning(job, c, "Failed", &format!("Error: {e}"));
        let exit = Exit { code: START_ERROR, started: None, finished: Timestamp::now(), oom: false, error: e.to_string() };
        return Ok(Outcome::Run(as_begun(spec, id, RunState::Exited(exit))));
    }
    let started = Timestamp::now();
    edge.recorder.container(job, c, "Started", &format!("Started container {name}"));
    let Some(handler) = c.lifecycle.as_ref().and_then(|l| l.post_start.as_ref()) else {
        return Ok(Outcome::Run(as_begun(spec, id, RunState::Running(started))));
    };
    if let Err(why) = hook::run(edge, job, c, &id, handler).await {
        edge.recorder.container_warning(job, c, "FailedPostStartHook", &format!("PostStartHook failed: {why}"));
        edge.recorder.container(job, c, "Killing", "FailedPostStartHook");
        let grace = crate::pod::sync::grace(&job.pod, &job.seen);
        edge.runtime.stop(&id, Some(Duration::from_secs(u64::try_from(grace).unwrap_or_default()))).await?;
    }
    Ok(Outcome::Run(edge.runtime.inspect(&id).await?))
}

/// A run as it is right after it was asked for; what becomes of it later is told by an event.
fn as_begun(spec: ContainerSpec, id: String, state: RunState) -> Container {
    Container {
        id,
        pod: spec.pod,
        name: spec.name,
        attempt: spec.attempt,
        hash: spec.hash,
        sandbox: spec.sandbox,
        image: spec.image_name,
        image_id: spec.image_reference,
        state,
    }
}

async fn prepare(edge: &Edge, job: &Job, c: &Spec, attempt: u32, image: &Image) -> Result<ContainerSpec, Failed> {
    let config = |why: String| Failed(TroubleKind::CreateContainerConfigError, why);
    let pod = job.pod_ref();
    let dir = edge.dir(&pod.uid);
    let Some(sandbox) = &job.seen.sandbox else { return Err(config("the pod has no sandbox".to_owned())) };
    let env = if edge.real { environment(edge, job, c, &pod.uid).await? } else { Vec::new() };
    let parts = Parts { pod: &job.pod, id: pod, container: c, attempt, sandbox, image, env, dir: &dir, memory: edge.node.memory };
    let spec = build(parts).map_err(|(kind, why)| Failed(kind, why))?;
    if edge.real {
        write_files(edge, job, c, &spec, &dir).map_err(|e| Failed(TroubleKind::CreateContainerError, format!("{}: {e}", dir.display())))?;
    }
    Ok(spec)
}

async fn environment(edge: &Edge, job: &Job, c: &Spec, uid: &str) -> Result<Vec<(String, String)>, Failed> {
    let config = |why: String| Failed(TroubleKind::CreateContainerConfigError, why);
    let objects = edge.references.get(uid, crate::env::references(&job.pod, c)).await.map_err(|e| config(e.to_string()))?;
    let mut services = edge.services.clone();
    let known = tokio::time::timeout(Duration::from_secs(10), services.wait_for(Option::is_some)).await;
    let services = match known {
        Ok(Ok(list)) => list.clone().unwrap_or_default(),
        Ok(Err(_)) | Err(_) => return Err(config("services have not yet been read at least once, cannot construct envvars".to_owned())),
    };
    let ips = edge.pod_ips(job);
    crate::env::environment(edge.view(job, &ips), c, &services, &objects).map_err(|e| config(e.0))
}

fn write_files(edge: &Edge, job: &Job, c: &Spec, spec: &ContainerSpec, dir: &Path) -> std::io::Result<()> {
    let pod_spec = crate::pod::spec(&job.pod);
    let namespace = &spec.pod.namespace;
    let hosts = if spec.host_uts {
        std::fs::read_to_string("/etc/hosts").unwrap_or_default() + &files::aliases(pod_spec)
    } else {
        files::hosts(namespace, &spec.hostname, pod_spec, &edge.pod_ips(job), &edge.node)
    };
    write_if_new(&dir.join("etc-hosts"), &hosts)?;
    let node_file = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    write_if_new(&dir.join("resolv.conf"), &files::resolv_conf(namespace, pod_spec, &edge.node, &node_file))?;
    if spec.namespaces.ipc.is_some() {
        shared_memory(&dir.join("shm"))?;
    }
    spec.log.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let message = message_path(dir, &c.name, spec.attempt);
    message.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    std::fs::write(&message, "")?;
    std::fs::set_permissions(&message, std::fs::Permissions::from_mode(0o666))?;
    for mount in spec.mounts.iter().filter(|m| !m.source.exists()) {
        std::fs::create_dir_all(&mount.source)?;
    }
    Ok(())
}

/// A file that is bind-mounted must stay the same file.
fn write_if_new(path: &Path, text: &str) -> std::io::Result<()> {
    if std::fs::read(path).is_ok_and(|old| old == text.as_bytes()) { Ok(()) } else { std::fs::write(path, text) }
}

/// `/dev/shm`, which the pod's containers share as they share its IPC namespace.
fn shared_memory(path: &Path) -> std::io::Result<()> {
    use nix::mount::{MsFlags, mount};
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some("shm"), path, Some("tmpfs"), flags, Some("mode=1777,size=64m"))?)
}
