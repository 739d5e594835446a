//! Decides which files of the node a container sees, as a pure function. A `subPath` is only named here; `sub_path` opens it.
use super::parts::Parts;
use super::paths::message_path;
use crate::component::Component;
use crate::env::{Room, expand};
use crate::runtime::{ImageMount, Mount};
use k8s_openapi::api::core::v1::{Volume, VolumeMount};
use std::path::{Component as Step, Path, PathBuf};

/// A part of a volume, to be bound to a place of the agent's own before the container is made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubPath {
    /// The volume's directory.
    pub volume: PathBuf,
    /// Whether the agent made that directory; the administrator's may be behind a link.
    pub ours: bool,
    /// Which part.
    pub path: PathBuf,
    /// Where it is bound: what the container mounts.
    pub place: PathBuf,
    /// The volume's and the container's names, for messages.
    pub names: (String, String),
}

type Mounts = (Vec<Mount>, Vec<SubPath>);

/// All mounts of a container, and what has to be bound for them.
///
/// # Errors
/// The message of `CreateContainerConfigError`.
pub fn mounts<'v>(parts: &Parts<'_>, lookup: impl Fn(&str) -> Option<&'v str> + Copy) -> Result<Mounts, String> {
    let c = parts.container;
    let (mut out, mut sub_paths) = (Vec::new(), Vec::new());
    for (i, m) in c.volume_mounts.iter().flatten().enumerate() {
        if image(parts, m).is_some() {
            continue;
        }
        let (mount, sub_path) = volume_mount(parts, i, m, lookup)?;
        out.push(mount);
        sub_paths.extend(sub_path);
    }
    let own = |source: PathBuf, target: String| Mount { source, target, read_only: false, propagation: "rprivate" };
    let taken = |target: &str, list: &[Mount]| list.iter().any(|m| m.target == target);
    for (file, target) in [("etc-hosts", "/etc/hosts"), ("resolv.conf", "/etc/resolv.conf")] {
        if !taken(target, &out) {
            out.push(own(parts.dir.join(Component::of(file)), target.to_owned()));
        }
    }
    if parts.sandbox.namespaces.ipc.is_some() && !taken("/dev/shm", &out) {
        out.push(own(parts.dir.join("shm"), "/dev/shm".to_owned()));
    }
    let message = c.termination_message_path.as_deref().filter(|p| !p.is_empty()).unwrap_or("/dev/termination-log");
    out.push(own(message_path(parts.dir, &c.name, parts.attempt), target(message)?));
    Ok((out, sub_paths))
}

/// The images that a container mounts, which the runtime finds and mounts itself.
///
/// # Errors
/// The message of `CreateContainerConfigError`.
pub fn images(parts: &Parts<'_>) -> Result<Vec<ImageMount>, String> {
    let mounts = parts.container.volume_mounts.iter().flatten().filter_map(|m| Some((m, image(parts, m)?)));
    let part = |m: &VolumeMount| [&m.sub_path, &m.sub_path_expr].into_iter().flatten().any(|path| !path.is_empty());
    let mount = |(m, reference): (&VolumeMount, &str)| {
        if part(m) {
            return Err(format!("image volume \"{}\" cannot be mounted with a subPath by this version", m.name));
        }
        Ok(ImageMount { image: reference.to_owned(), target: target(&m.mount_path)? })
    };
    mounts.map(mount).collect()
}

/// The image that a mount shows.
fn image<'p>(parts: &Parts<'p>, m: &VolumeMount) -> Option<&'p str> {
    let volume = crate::pod::spec(parts.pod).volumes.iter().flatten().find(|v| v.name == m.name)?;
    Some(volume.image.as_ref()?.reference.as_deref().unwrap_or_default())
}

/// What of `/proc` may be mounted over: files that show a container its own share of the machine.
const IN_PROC: &[&str] = &["cpuinfo", "diskstats", "loadavg", "meminfo", "net/dev", "slabinfo", "stat", "swaps", "uptime"];

/// Whether mounting there would take the kernel's own view from whoever confines the container.
fn hides_proc(target: &Path) -> bool {
    target.strip_prefix("/proc").is_ok_and(|inside| !IN_PROC.iter().any(|file| inside == Path::new(file)))
}

/// A path in a container: absolute, without `.` and `..`, not its root, and not the kernel's.
fn target(path: &str) -> Result<String, String> {
    let mut out = PathBuf::from("/");
    for step in Path::new(path).components() {
        match step {
            Step::Normal(name) => out.push(name),
            Step::ParentDir => drop(out.pop()),
            Step::CurDir | Step::RootDir | Step::Prefix(_) => {}
        }
    }
    if hides_proc(&out) {
        return Err(format!("{path:?} cannot be mounted because it is inside /proc"));
    }
    let text = out.to_str().filter(|text| *text != "/" && !text.contains('\0'));
    text.map(str::to_owned).ok_or_else(|| format!("invalid mount path {path:?}"))
}

/// Which part of the volume is asked for.
fn sub_path<'v>(m: &VolumeMount, lookup: impl Fn(&str) -> Option<&'v str>) -> Result<Option<PathBuf>, String> {
    let path = match (m.sub_path.as_deref(), m.sub_path_expr.as_deref()) {
        (Some(path), _) if !path.is_empty() => path.to_owned(),
        (_, Some(expression)) if !expression.is_empty() => expand(expression, lookup, &mut Room::default()).map_err(|e| e.0)?,
        _ => return Ok(None),
    };
    let path = PathBuf::from(path);
    if path.is_absolute() {
        return Err(format!("error SubPath `{}` must not be an absolute path", path.display()));
    }
    if path.components().any(|s| s == Step::ParentDir) {
        return Err(format!("unable to provision SubPath `{}`: must not contain '..'", path.display()));
    }
    Ok(Some(path).filter(|p| !p.as_os_str().is_empty()))
}

fn propagation(parts: &Parts<'_>, m: &VolumeMount) -> Result<&'static str, String> {
    let privileged = parts.container.security_context.as_ref().and_then(|s| s.privileged) == Some(true);
    match m.mount_propagation.as_deref() {
        Some("HostToContainer") => Ok("rslave"),
        Some("Bidirectional") if privileged => Ok("rshared"),
        Some("Bidirectional") => Err("Bidirectional mount propagation is available only to privileged containers".to_owned()),
        _ => Ok("rprivate"),
    }
}

/// Content that the agent keeps up to date can't be written by containers.
fn is_kept(volume: &Volume) -> bool {
    volume.config_map.is_some() || volume.secret.is_some() || volume.downward_api.is_some() || volume.projected.is_some()
}

/// Whether a volume's place is a link to where its files are.
fn is_claimed(volume: &Volume) -> bool {
    volume.persistent_volume_claim.is_some() || volume.ephemeral.is_some()
}

/// Whether the pod says that none of its containers writes to a volume.
fn is_read_only(volume: &Volume) -> bool {
    let claim = volume.persistent_volume_claim.as_ref().and_then(|claim| claim.read_only);
    claim.or(volume.nfs.as_ref().and_then(|nfs| nfs.read_only)) == Some(true)
}

fn volume_mount<'v>(parts: &Parts<'_>, i: usize, m: &VolumeMount, lookup: impl Fn(&str) -> Option<&'v str>) -> Result<(Mount, Option<SubPath>), String> {
    let container = &parts.container.name;
    let volumes = crate::pod::spec(parts.pod).volumes.as_deref().unwrap_or_default();
    let volume =
        volumes.iter().find(|v| v.name == m.name).ok_or_else(|| format!("cannot find volume \"{}\" to mount into container \"{container}\"", m.name))?;
    let source = crate::volumes::path_of(parts.dir, volume);
    let part = sub_path(m, lookup)?.map(|path| SubPath {
        volume: source.clone(),
        ours: volume.host_path.is_none() && !is_claimed(volume),
        path,
        place: parts.dir.join("subpaths").join(Component::of(container)).join(Component::of(&i.to_string())),
        names: (m.name.clone(), container.clone()),
    });
    let mount = Mount {
        source: part.as_ref().map_or(source, |part| part.place.clone()),
        target: target(&m.mount_path)?,
        read_only: is_kept(volume) || m.read_only == Some(true) || is_read_only(volume),
        propagation: propagation(parts, m)?,
    };
    Ok((mount, part))
}

#[cfg(test)]
mod tests;
