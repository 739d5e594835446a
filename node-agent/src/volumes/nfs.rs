//! `nfs`: a file system of another machine, mounted by the node's NFS client.
use super::setup::VolumeError;
use std::path::Path;
use std::time::Duration;
use tokio::process::Command;

/// How long a server is waited for.
const LONGEST: Duration = Duration::from_secs(120);
/// Where the client is.
const CLIENTS: [&str; 4] = ["/sbin/mount.nfs", "/usr/sbin/mount.nfs", "/bin/mount.nfs", "/usr/bin/mount.nfs"];

/// What is mounted.
pub struct Export<'a> {
    /// Whose.
    pub server: &'a str,
    /// Which directory.
    pub path: &'a str,
    /// With which options.
    pub options: Vec<&'a str>,
}

/// Mounts it, unless it is mounted.
///
/// # Errors
/// Also where the node has no NFS client, with what to do about that.
pub async fn mount(export: &Export<'_>, place: &Path) -> Result<(), VolumeError> {
    let io = |e: std::io::Error| VolumeError::at(place, &e);
    let source = source(export)?;
    std::fs::create_dir_all(place).map_err(io)?;
    let real = place.canonicalize().map_err(io)?;
    if crate::mounts::targets(&std::fs::read("/proc/self/mountinfo").map_err(io)?).any(|mounted| mounted == real) {
        return Ok(());
    }
    if !CLIENTS.iter().any(|client| Path::new(client).exists()) {
        return Err(VolumeError(format!("mount of {source} failed: this node has no NFS client: install nfs-common or nfs-utils")));
    }
    let mut command = Command::new("mount");
    command.args(["-t", "nfs"]);
    if !export.options.is_empty() {
        command.arg("-o").arg(export.options.join(","));
    }
    command.arg("--").arg(&source).arg(&real).kill_on_drop(true).stdin(std::process::Stdio::null());
    match tokio::time::timeout(LONGEST, command.output()).await {
        Ok(Ok(done)) if done.status.success() => Ok(()),
        Ok(Ok(done)) => Err(VolumeError(format!("mount of {source} failed: {}", String::from_utf8_lossy(&done.stderr).trim()))),
        Ok(Err(e)) => Err(VolumeError(format!("mount of {source} failed: {e}"))),
        Err(_) => Err(VolumeError(format!("mount of {source} failed: no answer within {LONGEST:?}"))),
    }
}

fn odd(text: &str) -> bool {
    text.chars().any(|c| c.is_whitespace() || c.is_control())
}

/// As `mount` names it.
fn source(export: &Export<'_>) -> Result<String, VolumeError> {
    let Export { server, path, options } = export;
    let host = !server.is_empty() && !server.starts_with('-') && !odd(server);
    let single = options.iter().all(|option| !option.contains(',') && !odd(option));
    if !host || !single || !path.starts_with('/') || path.contains('\0') {
        return Err(VolumeError(format!("{server}:{path} is no NFS export")));
    }
    Ok(if server.contains(':') && !server.starts_with('[') { format!("[{server}]:{path}") } else { format!("{server}:{path}") })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exports() {
        let of = |server, path, option| source(&Export { server, path, options: vec![option] }).ok();
        assert_eq!(of("a.example", "/b", "ro").as_deref(), Some("a.example:/b"));
        assert_eq!(of("fd00::1", "/b", "ro").as_deref(), Some("[fd00::1]:/b"));
        for (server, path, option) in [("-o", "/b", "ro"), ("", "/b", "ro"), ("a b", "/b", "ro"), ("a", "b", "ro"), ("a", "/b", "ro,suid")] {
            assert_eq!(of(server, path, option), None, "{server} {path} {option}");
        }
    }
}
