//! Finds Podman's socket, or starts `podman system service` with what this machine needs.
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command;

/// Where the Podman to use is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Socket {
    /// `CONTAINER_HOST` if it names one; otherwise a service of the agent's own.
    #[default]
    Auto,
    /// This socket; it must answer.
    Path(PathBuf),
    /// A service of the agent's own with its own storage: several nodes on one machine.
    Own {
        /// `--root`.
        root: PathBuf,
        /// `--runroot`.
        runroot: PathBuf,
    },
}

/// Why there is no Podman.
#[derive(Debug, thiserror::Error)]
pub enum ServiceError {
    /// The socket that was named doesn't answer.
    #[error("no Podman answers at {0}: start it with `podman system service -t 0 unix://{0}`, or use --podman auto")]
    NotThere(PathBuf),
    /// Podman isn't installed.
    #[error("podman cannot be started ({0}): install it (Debian, Ubuntu: apt-get install podman crun conmon)")]
    NotInstalled(std::io::Error),
    /// It was started and didn't come up.
    #[error("podman system service did not answer within {0:?}; its log is {1}")]
    Silent(Duration, PathBuf),
    /// It was started and ended.
    #[error("podman system service ended at once; its log is {0}")]
    Ended(PathBuf),
    /// Files of the service could not be written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// How long a service may take to say that it is there, and a program its version.
const PING: Duration = Duration::from_secs(5);
const START: Duration = Duration::from_secs(15);

/// What this machine lacks, so that Podman must be told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// Raising resource limits is refused: Podman's default ulimits can't be set.
    pub no_sys_resource: bool,
    /// cgroup v1 with v2 mounted beside it, which crun refuses to work on.
    pub hybrid_cgroups: bool,
    /// No systemd: cgroups are made directly.
    pub no_systemd: bool,
}

/// `CAP_SYS_RESOURCE`, see capabilities(7).
const CAP_SYS_RESOURCE: u32 = 24;

impl Machine {
    /// Looks.
    pub fn detect() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        Self {
            no_sys_resource: !has_capability(&status, CAP_SYS_RESOURCE),
            hybrid_cgroups: Path::new("/sys/fs/cgroup/unified/cgroup.controllers").exists(),
            no_systemd: !Path::new("/run/systemd/system").exists(),
        }
    }
}

fn has_capability(status: &str, number: u32) -> bool {
    let line = status.lines().find_map(|l| l.strip_prefix("CapEff:"));
    let set = line.and_then(|l| u64::from_str_radix(l.trim(), 16).ok()).unwrap_or(u64::MAX);
    set & (1 << number) != 0
}

/// How many seconds Podman keeps an exec session after its command's end. Whoever asks for the exit code later doesn't get it; a busy machine may take a
/// few seconds to ask. A conmon waits for so long for each command, which is why it isn't Podman's own 300.
const EXEC_KEPT: u32 = 10;

/// `containers.conf` for a service on such a machine.
fn containers_conf(machine: Machine, conmon: Option<&Path>) -> String {
    let mut out = String::from("[containers]\n");
    if machine.no_sys_resource {
        out.push_str("default_ulimits = []\n");
    }
    out.push_str(&format!("[engine]\nevents_logger = \"file\"\nexit_command_delay = {EXEC_KEPT}\n"));
    if machine.no_systemd {
        out.push_str("cgroup_manager = \"cgroupfs\"\n");
    }
    if let Some(path) = conmon {
        out.push_str(&format!("conmon_path = [\"{}\"]\n", path.display()));
    }
    out
}

/// Stands before conmon and mends two things. Versions before 2.1.8 leave their out-of-memory marker in their working directory, while Podman looks for
/// it in the bundle (`-b`). And Podman has no way to say that a container's stdin outlives who attaches to it: the annotation does.
const CONMON: &str = "#!/bin/sh
bundle= previous= stdin=
for argument; do
  [ \"$argument\" = -i ] && stdin=1
  [ \"$previous\" = -b ] && bundle=$argument
  previous=$argument
done
IN_BUNDLE
[ \"$stdin\" ] && grep -qs STDIN_STAYS \"$bundle/config.json\" && set -- --leave-stdin-open \"$@\"
exec CONMON \"$@\"
";

fn write(path: &Path, text: &str, mode: u32) -> Result<(), ServiceError> {
    let file = |source| ServiceError::File { path: path.to_owned(), source };
    std::fs::write(path, text).map_err(file)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).map_err(file)
}

fn old_conmon(version: &str) -> bool {
    let number = version.split_whitespace().nth(2).unwrap_or_default();
    let mut parts = number.split('.').map(|p| p.parse::<u32>().unwrap_or(u32::MAX));
    let triple = (parts.next(), parts.next(), parts.next());
    matches!(triple, (Some(major), Some(minor), Some(patch)) if (major, minor, patch) < (2, 1, 8))
}

/// The script for a conmon of this version.
fn wrapper(conmon: &str, version: &str) -> String {
    let in_bundle = if old_conmon(version) { "cd \"$bundle\" || exit 1" } else { ":" };
    CONMON.replace("IN_BUNDLE", in_bundle).replace("STDIN_STAYS", super::spec::STDIN_STAYS).replace("CONMON", conmon)
}

/// Writes the wrapper, if conmon is where distributions have it.
async fn conmon_wrapper(data: &Path) -> Result<Option<PathBuf>, ServiceError> {
    let candidates = ["/usr/bin/conmon", "/usr/libexec/podman/conmon", "/usr/local/bin/conmon"];
    let Some(conmon) = candidates.into_iter().find(|p| Path::new(p).exists()) else { return Ok(None) };
    let asked = tokio::time::timeout(PING, Command::new(conmon).arg("--version").kill_on_drop(true).output()).await;
    let version = asked.unwrap_or_else(|late| Err(late.into())).map_err(ServiceError::NotInstalled)?;
    let path = data.join("conmon");
    write(&path, &wrapper(conmon, &String::from_utf8_lossy(&version.stdout)), 0o755)?;
    Ok(Some(path))
}

async fn answers(socket: &Path) -> bool {
    super::http::Http::new(socket).within(PING).call(http::Method::GET, "/_ping", None).await.is_ok()
}

/// The socket to use, with a service behind it that answers.
///
/// A service that the agent started outlives it, as the containers do, and is found again; [`stop`] ends it.
///
/// # Errors
/// [`ServiceError`] with the remedy.
pub async fn find(wanted: &Socket, data: &Path) -> Result<PathBuf, ServiceError> {
    if let Socket::Path(path) = wanted {
        return if answers(path).await { Ok(path.clone()) } else { Err(ServiceError::NotThere(path.clone())) };
    }
    let named = std::env::var("CONTAINER_HOST").ok().and_then(|h| h.strip_prefix("unix://").map(PathBuf::from));
    if let (Socket::Auto, Some(path)) = (wanted, named) {
        return if answers(&path).await { Ok(path) } else { Err(ServiceError::NotThere(path)) };
    }
    // the socket's address is a URL, and what is relative would be taken for its host
    let data = std::path::absolute(data).map_err(|source| ServiceError::File { path: data.to_owned(), source })?;
    let own = data.join("podman.sock");
    if !answers(&own).await {
        start(wanted, &data, &own).await?;
    }
    Ok(own)
}

/// The command line: in a mount namespace of its own, without the second cgroup hierarchy, where crun needs that.
fn command(machine: Machine, wanted: &Socket, data: &Path, socket: &Path) -> Command {
    let mut arguments: Vec<std::ffi::OsString> = Vec::new();
    if let Socket::Own { root, runroot } = wanted {
        arguments.extend(["--root".into(), root.into(), "--runroot".into(), runroot.into(), "--tmpdir".into(), runroot.join("tmp").into()]);
    }
    arguments.extend(["system", "service", "-t", "0"].map(Into::into));
    arguments.push(format!("unix://{}", socket.display()).into());
    let mut command = if machine.hybrid_cgroups {
        let mut c = Command::new("unshare");
        c.args(["--mount", "--propagation", "slave", "sh", "-c", "umount /sys/fs/cgroup/unified && exec podman \"$@\"", "podman"]);
        c
    } else {
        Command::new("podman")
    };
    command.args(arguments).env("CONTAINERS_CONF", data.join("containers.conf")).stdin(Stdio::null()).process_group(0);
    command
}

async fn start(wanted: &Socket, data: &Path, socket: &Path) -> Result<(), ServiceError> {
    let machine = Machine::detect();
    let file = |path: &Path| {
        let path = path.to_owned();
        move |source| ServiceError::File { path, source }
    };
    std::fs::create_dir_all(data).map_err(file(data))?;
    let conmon = conmon_wrapper(data).await?;
    write(&data.join("containers.conf"), &containers_conf(machine, conmon.as_deref()), 0o644)?;
    if socket.exists() {
        std::fs::remove_file(socket).map_err(file(socket))?;
    }
    let log = data.join("podman.log");
    let out = std::fs::File::create(&log).map_err(file(&log))?;
    let err = out.try_clone().map_err(file(&log))?;
    let mut child = command(machine, wanted, data, socket).stdout(out).stderr(err).spawn().map_err(ServiceError::NotInstalled)?;
    let pid_file = data.join("podman.pid");
    write(&pid_file, &child.id().unwrap_or_default().to_string(), 0o644)?;
    let up = tokio::time::timeout(START, async {
        // Podman has no way to say that it listens; its socket appears.
        while !answers(socket).await {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    });
    tokio::select! {
        up = up => up.map_err(|_| ServiceError::Silent(START, log.clone()))?,
        _ = child.wait() => return Err(ServiceError::Ended(log)),
    }
    tokio::spawn(async move {
        match child.wait().await {
            Ok(status) => tracing::warn!(%status, "podman system service ended"),
            Err(error) => tracing::warn!(%error, "podman system service was lost"),
        }
    });
    Ok(())
}

/// Ends the service that an agent with this data directory started, if it did. Containers go on.
pub fn stop(data: &Path) {
    let pid = std::fs::read_to_string(data.join("podman.pid")).ok().and_then(|text| text.trim().parse::<i32>().ok());
    let Some(pid) = pid.filter(|pid| *pid > 1) else { return };
    // The number may have been given to another process since.
    let command_line = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    if !command_line.contains("podman") || !command_line.contains(&data.join("podman.sock").display().to_string()) {
        return;
    }
    if let Err(error) = kill(Pid::from_raw(pid), Signal::SIGTERM) {
        tracing::debug!(%error, "podman system service was gone");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_machine_needs_is_configured() {
        let plain = containers_conf(Machine::default(), None);
        assert!(plain.contains("[engine]\n") && plain.contains("\nexit_command_delay = 10\n"), "{plain}");
        assert!(!plain.contains("ulimits") && !plain.contains("cgroup_manager") && !plain.contains("conmon_path"), "{plain}");
        let bare = containers_conf(Machine { no_sys_resource: true, hybrid_cgroups: true, no_systemd: true }, Some(Path::new("/x")));
        assert!(bare.contains("default_ulimits = []") && bare.contains("cgroupfs") && bare.contains("conmon_path = [\"/x\"]"), "{bare}");
    }

    #[test]
    fn capabilities_are_read_from_the_mask() {
        assert!(!has_capability("CapEff:\t000001fffeffffff\n", CAP_SYS_RESOURCE));
        assert!(has_capability("CapEff:\t000001ffffffffff\n", CAP_SYS_RESOURCE));
    }

    #[test]
    fn conmon_versions() {
        for (text, old) in [("conmon version 2.1.6", true), ("conmon version 2.1.8\ncommit: x", false), ("conmon version 2.1.12", false), ("what", false)] {
            assert_eq!(old_conmon(text), old, "{text}");
            assert_eq!(wrapper("/x/conmon", text).contains("cd \"$bundle\""), old, "{text}");
        }
    }
}
