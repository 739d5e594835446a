//! Makes namespaces that are held by files, and runs code inside them. Each use gets a thread of its own, because a thread that entered a namespace can't be
//! shared.
use super::error::{NetError, kernel};
use crate::runtime::NamespacePaths;
use crate::sysctl::{Namespace, Setting};
use nix::mount::{MntFlags, MsFlags, mount, umount2};
use nix::sched::{CloneFlags, setns, unshare};
use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;
use tokio::net::TcpStream;

/// `NSFS_MAGIC` of linux/magic.h.
const NSFS: i64 = 0x6e73_6673;

const NONE: Option<&Path> = None;

/// How long a loopback may take to answer.
const DIAL: std::time::Duration = std::time::Duration::from_secs(10);

/// Makes `dir` a mount whose later mounts appear in other mount namespaces too (Podman's may be another one).
pub fn share(dir: &Path) -> Result<(), NetError> {
    let dir = dir.canonicalize().map_err(kernel("finding the pods' directory"))?;
    let table = std::fs::read("/proc/self/mountinfo").map_err(kernel("reading the mounts"))?;
    if is_shared(&String::from_utf8_lossy(&table), &dir) {
        return Ok(());
    }
    mount(Some(&dir), &dir, NONE, MsFlags::MS_BIND, NONE).map_err(|e| kernel("binding the pods' directory")(e.into()))?;
    mount(NONE, &dir, NONE, MsFlags::MS_SHARED, NONE).map_err(|e| kernel("sharing the pods' directory")(e.into()))
}

/// Takes away what was mounted on and below `dir`.
pub fn unmount_all(dir: &Path) -> Result<(), NetError> {
    if !dir.exists() {
        return Ok(());
    }
    crate::mounts::unmount_below(dir, true).map_err(kernel("unmounting the pods' directory"))
}

/// Whether the mount that `dir` is in propagates.
fn is_shared(mountinfo: &str, dir: &Path) -> bool {
    let mounts = mountinfo.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(4);
        let target = Path::new(fields.next()?);
        dir.starts_with(target).then(|| (target.as_os_str().len(), fields.any(|f| f.starts_with("shared:"))))
    });
    // Of mounts on the same place the last one counts, and max_by_key gives the last.
    mounts.max_by_key(|(length, _)| *length).is_some_and(|(_, shared)| shared)
}

fn on_a_thread<T: Send>(work: impl FnOnce() -> Result<T, NetError> + Send) -> Result<T, NetError> {
    std::thread::scope(|scope| scope.spawn(work).join()).unwrap_or_else(|_| Err(kernel("a thread for a namespace")(std::io::Error::other("panicked"))))
}

/// Makes new namespaces, sets `sysctls` in them and leaves them held by the files.
pub fn hold(paths: &NamespacePaths, sysctls: &[(String, String)]) -> Result<(), NetError> {
    on_a_thread(|| {
        let mut flags = CloneFlags::empty();
        flags.set(CloneFlags::CLONE_NEWNET, paths.net.is_some());
        flags.set(CloneFlags::CLONE_NEWIPC, paths.ipc.is_some());
        unshare(flags).map_err(|e| kernel("making namespaces")(e.into()))?;
        if paths.net.is_some() {
            // Pods reach each other through the node; its hints of shorter ways are not for them.
            for scope in ["all", "default"] {
                std::fs::write(format!("/proc/sys/net/ipv4/conf/{scope}/accept_redirects"), "0").map_err(kernel("silencing redirects"))?;
            }
        }
        sysctls.iter().try_for_each(|(name, value)| set(name, value, paths))?;
        // last, so that what fails before leaves nothing behind; and what an attempt before has left is in the way
        release(paths)?;
        for (kind, path) in [("net", &paths.net), ("ipc", &paths.ipc)] {
            let Some(path) = path else { continue };
            File::create(path).map_err(kernel("making a namespace's file"))?;
            let source = format!("/proc/thread-self/ns/{kind}");
            mount(Some(source.as_str()), path, NONE, MsFlags::MS_BIND, NONE).map_err(|e| kernel("holding a namespace")(e.into()))?;
        }
        Ok(())
    })
}

/// Sets one of a pod's settings, if it is one of a namespace that was just made. Those of a container's own namespace are the runtime's to set.
fn set(name: &str, value: &str, made: &NamespacePaths) -> Result<(), NetError> {
    let nobodys = || kernel("setting a sysctl")(std::io::Error::other(format!("{name:?} is none of the pod's own")));
    let setting = Setting::find(name).ok_or_else(nobodys)?;
    match setting.namespace {
        Namespace::Net if made.net.is_some() => {}
        Namespace::Ipc if made.ipc.is_some() => {}
        Namespace::Uts => return Ok(()),
        _ => return Err(nobodys()),
    }
    setting.write(value).map_err(|e| kernel("setting a sysctl")(std::io::Error::new(e.kind(), format!("{name:?}: {e}"))))
}

/// Whether the file holds a namespace.
pub fn is_held(path: &Path) -> bool {
    nix::sys::statfs::statfs(path).is_ok_and(|s| s.filesystem_type().0 == NSFS)
}

/// Lets the namespaces go.
pub fn release(paths: &NamespacePaths) -> Result<(), NetError> {
    for path in [&paths.net, &paths.ipc].into_iter().flatten() {
        if is_held(path) {
            umount2(path, MntFlags::MNT_DETACH).map_err(|e| kernel("releasing a namespace")(e.into()))?;
        }
        if path.exists() {
            std::fs::remove_file(path).map_err(kernel("removing a namespace's file"))?;
        }
    }
    Ok(())
}

/// Runs `work` in the network namespace that `path` holds.
pub fn inside<T: Send>(path: &Path, work: impl FnOnce() -> Result<T, NetError> + Send) -> Result<T, NetError> {
    let file = File::open(path).map_err(kernel("opening a network namespace"))?;
    on_a_thread(move || {
        setns(file, CloneFlags::CLONE_NEWNET).map_err(|e| kernel("entering a network namespace")(e.into()))?;
        work()
    })
}

/// Connects to an address within a network namespace (`None`: the node's), or to its loopback where none is given.
pub async fn connect(path: Option<std::path::PathBuf>, address: Option<IpAddr>, port: u16) -> Result<TcpStream, NetError> {
    let dial = move || {
        let to = |address: IpAddr| std::net::TcpStream::connect_timeout(&SocketAddr::new(address, port), DIAL);
        let connected = match address {
            Some(address) => to(address),
            None => to(Ipv4Addr::LOCALHOST.into()).or_else(|_| to(Ipv6Addr::LOCALHOST.into())),
        };
        connected.map_err(kernel("connecting to the pod's port"))
    };
    let work = move || match &path {
        Some(path) => inside(path, dial),
        None => dial(),
    };
    let stream = tokio::task::spawn_blocking(work).await.map_err(|e| kernel("connecting to the pod's port")(std::io::Error::other(e)))??;
    stream.set_nonblocking(true).map_err(kernel("connecting to the pod's port"))?;
    TcpStream::from_std(stream).map_err(kernel("connecting to the pod's port"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_mount_decides() {
        let table = "21 1 0:1 / / rw - ext4 x rw\n22 21 0:2 / /data rw shared:5 - tmpfs x rw\n23 22 0:2 / /data/pods rw - tmpfs x rw\n";
        assert!(is_shared(table, Path::new("/data/other")));
        assert!(!is_shared(table, Path::new("/data/pods")));
        assert!(!is_shared(table, Path::new("/var")));
    }
}
