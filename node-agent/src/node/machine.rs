//! Reads what the machine has: processors, memory, disk, addresses, kernel.
use std::net::IpAddr;
use std::path::Path;

/// Facts about the machine that don't change while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Machine {
    /// CPUs.
    pub cpus: u32,
    /// Bytes of memory.
    pub memory: i64,
    /// Bytes of disk where pods are.
    pub disk: i64,
    /// `6.1.0-18-amd64`.
    pub kernel: String,
    /// `Debian GNU/Linux 12 (bookworm)`.
    pub os_image: String,
    /// `/etc/machine-id`.
    pub machine_id: String,
    /// The kernel's boot id.
    pub boot_id: String,
    /// Whether its pressures are measured; simulated nodes have none.
    pub measured: bool,
}

/// What runs short.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pressures {
    /// Memory.
    pub memory: bool,
    /// Disk.
    pub disk: bool,
    /// Process ids.
    pub pids: bool,
}

/// The kubelet's threshold `memory.available<100Mi`.
const MEMORY_LEAST: i64 = 100 << 20;

fn text(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default().trim().to_owned()
}

/// A line of /proc/meminfo, in bytes.
fn meminfo(table: &str, name: &str) -> Option<i64> {
    let line = table.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(':'))?;
    line.split_whitespace().next()?.parse::<i64>().ok().map(|kib| kib.saturating_mul(1024))
}

fn os_image(release: &str) -> String {
    let line = release.lines().find_map(|l| l.strip_prefix("PRETTY_NAME="));
    line.unwrap_or("Linux").trim_matches('"').to_owned()
}

fn disk(path: &Path) -> Option<(i64, i64)> {
    let s = nix::sys::statvfs::statvfs(path).ok()?;
    let bytes = |blocks: u64| i64::try_from(blocks.saturating_mul(s.fragment_size())).unwrap_or(i64::MAX);
    Some((bytes(s.blocks()), bytes(s.blocks_available())))
}

impl Machine {
    /// This machine, with its pods in `pods`.
    pub fn here(pods: &Path) -> Self {
        Self {
            cpus: std::thread::available_parallelism().map_or(1, |n| u32::try_from(n.get()).unwrap_or(1)),
            memory: meminfo(&text("/proc/meminfo"), "MemTotal").unwrap_or_default(),
            disk: disk(pods).map_or(0, |(total, _)| total),
            kernel: text("/proc/sys/kernel/osrelease"),
            os_image: os_image(&text("/etc/os-release")),
            machine_id: text("/etc/machine-id"),
            boot_id: text("/proc/sys/kernel/random/boot_id"),
            measured: true,
        }
    }

    /// A simulated one.
    pub fn simulated() -> Self {
        Self { cpus: 32, memory: 256 << 30, disk: 1 << 40, kernel: "0".into(), os_image: "hollow".into(), ..Self::default() }
    }

    /// What runs short now.
    pub fn pressures(&self, pods: &Path) -> Pressures {
        if !self.measured {
            return Pressures::default();
        }
        let available = meminfo(&text("/proc/meminfo"), "MemAvailable").unwrap_or(i64::MAX);
        let disk_short = disk(pods).is_some_and(|(total, free)| free < total / 10);
        let pids = text("/proc/loadavg").split_whitespace().nth(3).and_then(|p| p.split('/').nth(1)?.parse::<u64>().ok()).unwrap_or_default();
        let most = text("/proc/sys/kernel/pid_max").parse::<u64>().unwrap_or(u64::MAX);
        Pressures { memory: available < MEMORY_LEAST, disk: disk_short, pids: pids > most / 10 * 9 }
    }
}

/// The address that this machine reaches others by: what the kernel would use, without sending anything.
pub fn own_address() -> Option<IpAddr> {
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").ok()?;
    socket.connect("192.0.2.1:9").ok()?;
    socket.local_addr().ok().map(|a| a.ip()).filter(|ip| !ip.is_unspecified())
}

/// Go's name of this architecture.
pub fn arch() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        assert_eq!(meminfo("MemTotal:       24 kB\nMemAvailable: 7 kB\n", "MemAvailable"), Some(7 << 10));
        assert_eq!(os_image("NAME=x\nPRETTY_NAME=\"Debian 12\"\n"), "Debian 12");
        assert!(Machine::here(Path::new("/")).memory > 0);
    }
}
