//! Starts one run of a container: image, environment, files, create, start, postStart hook.
use super::base::Executor;
use super::files;
use super::mounts::SubPath;
use super::op::{OpContext, OpError, OpOutcome};
use super::parts::Parts;
use super::paths::message_path;
use super::spec::{Built, build};
use super::sub_path::{self, Bound};
use super::{hook, image, start_error, target};
use crate::beneath::{self, Dir};
use crate::pod::TroubleKind;
use crate::runtime::{Container, ContainerSpec, Image, RunState, RuntimeError, Seccomp};
use jiff::Timestamp;
use k8s_openapi::api::core::v1::Container as Spec;
use rustix::fs::OFlags;
use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Starts.
pub async fn start(executor: &Executor, job: &OpContext, name: &str, attempt: u32) -> Result<OpOutcome, OpError> {
    let container = crate::pod::container(&job.pod, name);
    let Some(c) = container.as_deref() else { return Err(OpError(TroubleKind::Failed, format!("the pod has no container {name}"))) };
    let image = image::ensure(executor, job, c).await?;
    for volume in image::volumes(&job.pod, c) {
        image::ensure(executor, job, &volume).await?;
    }
    let failed = |OpError(_, why): &OpError| executor.recorder.container_warning(&job.pod, c, "Failed", &format!("Error: {why}"));
    let (mut spec, bound) = prepare(executor, job, c, attempt, &image).await.inspect_err(failed)?;
    // held until the container has joined it
    let processes = target::processes(executor, job, name).await.inspect_err(failed)?;
    spec.processes = processes.as_ref().map(target::path);
    if job.ending.is_cancelled() {
        return Err(OpError(TroubleKind::Failed, "the pod is ending".to_owned()));
    }
    let id = match executor.runtime.create(&spec).await {
        Ok(id) => id,
        Err(e) => {
            executor.recorder.container_warning(&job.pod, c, "Failed", &format!("Error: {e}"));
            return Err(OpError(TroubleKind::CreateContainerError, e.to_string()));
        }
    };
    executor.recorder.container(&job.pod, c, "Created", &format!("Created container: {name}"));
    let begun = executor.runtime.start(&id).await;
    drop((bound, processes));
    if let Err(e) = begun {
        executor.recorder.container_warning(&job.pod, c, "Failed", &format!("Error: {e}"));
        return not_started(executor, spec, id, e);
    }
    let started = Timestamp::now();
    executor.recorder.container(&job.pod, c, "Started", &format!("Started container {name}"));
    let Some(handler) = c.lifecycle.as_ref().and_then(|l| l.post_start.as_ref()) else {
        return Ok(OpOutcome::Run(as_begun(spec, id, RunState::Running(started))));
    };
    let hooked = tokio::select! {
        hooked = hook::run(executor, job, c, &id, handler) => hooked,
        // A hook that doesn't end is no reason for a pod to stay.
        () = job.ending.cancelled() => return Ok(OpOutcome::Run(executor.runtime.inspect(&id).await?)),
    };
    if let Err(why) = hooked {
        executor.recorder.container_warning(&job.pod, c, "FailedPostStartHook", &format!("PostStartHook failed: {why}"));
        executor.recorder.container(&job.pod, c, "Killing", "FailedPostStartHook");
        let grace = crate::pod::sync::grace(&job.pod, &job.seen);
        executor.runtime.stop(&id, Some(Duration::from_secs(u64::try_from(grace).unwrap_or_default()))).await?;
    }
    Ok(OpOutcome::Run(executor.runtime.inspect(&id).await?))
}

/// A run that could not be started has ended; where the runtime could not be asked, nobody knows yet what became of it.
fn not_started(executor: &Executor, spec: ContainerSpec, id: String, why: RuntimeError) -> Result<OpOutcome, OpError> {
    if let RuntimeError::Unreachable(_) = why {
        return Err(OpError(TroubleKind::CreateContainerError, why.to_string()));
    }
    let exit = start_error::exit(Timestamp::now(), why.to_string());
    if executor.runtime.uses_files() {
        let path = start_error::path(&executor.dir(&spec.pod.uid), &spec.name, spec.attempt);
        if let Err(error) = start_error::keep(&path, &id, &exit) {
            tracing::warn!(path = %path.display(), %error, "that a container could not be started is forgotten when the agent stops");
        }
    }
    Ok(OpOutcome::Run(as_begun(spec, id, RunState::Exited(exit))))
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

/// What the runtime is told, with the files that it needs in place; parts of volumes are bound as long as the second is kept.
async fn prepare(executor: &Executor, job: &OpContext, c: &Spec, attempt: u32, image: &Image) -> Result<(ContainerSpec, Bound), OpError> {
    let config = |why: String| OpError(TroubleKind::CreateContainerConfigError, why);
    let pod = job.pod_ref();
    let dir = executor.dir(&pod.uid);
    let Some(sandbox) = &job.seen.sandbox else { return Err(config("the pod has no sandbox".to_owned())) };
    let env = if executor.runtime.uses_files() { environment(executor, job, c, &pod.uid).await? } else { Vec::new() };
    let parts = Parts { pod: &job.pod, id: pod, container: c, attempt, sandbox, image, env, dir: &dir, memory: executor.node.memory };
    let Built { spec, sub_paths, profile } = build(parts).map_err(|(kind, why)| OpError(kind, why))?;
    if !executor.runtime.uses_files() {
        return Ok((spec, Bound::default()));
    }
    let files = Files {
        hosts: hosts(executor, job, &spec),
        resolver: resolver(executor, job, &spec),
        profiles: executor.node.seccomp.clone(),
        profile,
        sub_paths,
        dir,
        spec,
    };
    // A volume may be on somebody else's disk: only this container waits for it.
    tokio::task::spawn_blocking(move || files.place()).await.map_err(|e| config(e.to_string()))?
}

async fn environment(executor: &Executor, job: &OpContext, c: &Spec, uid: &str) -> Result<Vec<(String, String)>, OpError> {
    let config = |why: String| OpError(TroubleKind::CreateContainerConfigError, why);
    let objects = executor.references.get(uid, crate::env::references(&job.pod, c)).await.map_err(|e| config(e.to_string()))?;
    let mut services = executor.services.clone();
    let known = tokio::time::timeout(Duration::from_secs(10), services.wait_for(Option::is_some)).await;
    let services = match known {
        Ok(Ok(list)) => list.clone().unwrap_or_default(),
        Ok(Err(_)) | Err(_) => return Err(config("services have not yet been read at least once, cannot construct envvars".to_owned())),
    };
    let ips = executor.pod_ips(job);
    crate::env::environment(executor.view(job, &ips), c, &services, &objects).map_err(|e| config(e.0))
}

fn hosts(executor: &Executor, job: &OpContext, spec: &ContainerSpec) -> String {
    let pod_spec = crate::pod::spec(&job.pod);
    if spec.host_uts {
        std::fs::read_to_string("/etc/hosts").unwrap_or_default() + &files::aliases(pod_spec)
    } else {
        files::hosts(&spec.pod.namespace, &spec.hostname, pod_spec, &executor.pod_ips(job), &executor.node)
    }
}

fn resolver(executor: &Executor, job: &OpContext, spec: &ContainerSpec) -> String {
    let node_file = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    files::resolv_conf(&spec.pod.namespace, crate::pod::spec(&job.pod), &executor.node, &node_file)
}

/// What has to be on disk before a container is made.
struct Files {
    hosts: String,
    resolver: String,
    /// The node's directory of seccomp profiles, and which of them is wanted.
    profiles: PathBuf,
    profile: Option<String>,
    sub_paths: Vec<SubPath>,
    dir: PathBuf,
    spec: ContainerSpec,
}

impl Files {
    fn place(self) -> Result<(ContainerSpec, Bound), OpError> {
        self.write().map_err(|e| OpError(TroubleKind::CreateContainerError, format!("{}: {e}", self.dir.display())))?;
        if let (Seccomp::File(copy), Some(name)) = (&self.spec.seccomp, &self.profile) {
            copy_profile(&self.profiles, name, copy)
                .map_err(|e| OpError(TroubleKind::CreateContainerError, format!("cannot load seccomp profile {name:?}: {e}")))?;
        }
        let bound = sub_path::bind(&self.sub_paths).map_err(|why| OpError(TroubleKind::CreateContainerConfigError, why))?;
        Ok((self.spec, bound))
    }

    fn write(&self) -> io::Result<()> {
        write_if_new(&self.dir.join("etc-hosts"), &self.hosts)?;
        write_if_new(&self.dir.join("resolv.conf"), &self.resolver)?;
        if self.spec.namespaces.ipc.is_some() {
            shared_memory(&self.dir.join("shm"))?;
        }
        self.spec.log.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let message = message_path(&self.dir, &self.spec.name, self.spec.attempt);
        message.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        rewrite(&message, "")?.set_permissions(Permissions::from_mode(0o666))
    }
}

/// The longest seccomp profile.
const PROFILE_MAX: u64 = 1 << 20;

/// The runtime reads the copy: the name can't lead it to another file than was looked at here.
fn copy_profile(profiles: &Path, name: &str, copy: &Path) -> io::Result<()> {
    let place = Dir::open_following(profiles)?.resolve(Path::new(name))?;
    crate::disk::note(copy, &beneath::read_place(&place, PROFILE_MAX)?)
}

/// A file that is bind-mounted must stay the same file. What a container made of it is looked at, and no longer than it should be.
fn write_if_new(path: &Path, text: &str) -> io::Result<()> {
    if beneath::read(path, text.len() as u64).is_ok_and(|old| old == text.as_bytes()) { Ok(()) } else { rewrite(path, text).map(drop) }
}

fn rewrite(path: &Path, text: &str) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK).bits().cast_signed();
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).custom_flags(flags).open(path)?;
    file.write_all(text.as_bytes())?;
    Ok(file)
}

/// `/dev/shm`, which the pod's containers share as they share its IPC namespace.
fn shared_memory(path: &Path) -> io::Result<()> {
    use nix::mount::{MsFlags, mount};
    if path.symlink_metadata().is_ok() {
        return Ok(());
    }
    std::fs::create_dir_all(path)?;
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    Ok(mount(Some("shm"), path, Some("tmpfs"), flags, Some("mode=1777,size=64m"))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_a_container_made_long_is_short_again() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("etc-hosts");
        write_if_new(&path, "text").unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        file.set_len(100 << 30).unwrap();
        write_if_new(&path, "text").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "text");
        assert_eq!(file.metadata().unwrap().len(), 4, "it is the same file");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink(dir.path().join("other"), &path).unwrap();
        write_if_new(&path, "text").unwrap_err();
        assert!(!dir.path().join("other").exists());
    }

    #[test]
    fn profiles_are_those_of_their_directory() {
        let dir = tempfile::tempdir().unwrap();
        let (profiles, copy) = (dir.path().join("profiles"), dir.path().join("pod/seccomp/c"));
        std::fs::create_dir_all(profiles.join("sub")).unwrap();
        std::fs::write(profiles.join("sub/p.json"), "{}").unwrap();
        std::fs::write(dir.path().join("secret"), "host").unwrap();
        std::os::unix::fs::symlink("sub/p.json", profiles.join("link")).unwrap();
        std::os::unix::fs::symlink("../secret", profiles.join("out")).unwrap();
        for name in ["sub/p.json", "link", "./sub/../link"] {
            copy_profile(&profiles, name, &copy).unwrap();
            assert_eq!(std::fs::read_to_string(&copy).unwrap(), "{}");
        }
        for name in ["../secret", "out", "/etc/hostname", "sub", "", "none", "../../../../../../dev/zero"] {
            copy_profile(&profiles, name, &copy).unwrap_err();
        }
        assert_eq!(std::fs::read_to_string(&copy).unwrap(), "{}");
    }
}
