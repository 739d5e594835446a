//! What the processes of a container use, as its control group says: version 1 or 2, or both side by side.
use std::path::PathBuf;

/// Where control groups are.
const ROOT: &str = "/sys/fs/cgroup";

/// Nanoseconds of processors so far, and bytes of memory now; `None` where the process is gone or in no group of the container of this id.
pub(super) fn used(pid: u32, id: &str) -> Option<(u64, u64)> {
    let groups = std::fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
    let read = |path: PathBuf| std::fs::read_to_string(path).ok();
    Some((cpu_nanos(&groups, id, &read)?, memory(&groups, id, &read)?))
}

type Read<'a> = &'a dyn Fn(PathBuf) -> Option<String>;

/// A file of the container's group in the hierarchy of a controller; `""` is that of version 2. The kernel says which group that is. A process may have gone
/// further down, into a group that the container made for itself.
fn file(groups: &str, controller: &str, id: &str, name: &str) -> Option<PathBuf> {
    Some(PathBuf::from([ROOT, controller, &group(groups, controller, id)?, name].iter().filter(|part| !part.is_empty()).copied().collect::<Vec<_>>().join("/")))
}

fn group(groups: &str, controller: &str, id: &str) -> Option<String> {
    let of = groups.lines().find_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (controllers, path) = (parts.next()?, parts.next()?);
        controllers.split(',').any(|c| c == controller).then_some(path)
    })?;
    let mut own: Vec<&str> = Vec::new();
    for step in of.split('/').filter(|step| !step.is_empty()) {
        if step == ".." {
            return None;
        }
        own.push(step);
        if step.contains(id) {
            return Some(own.join("/"));
        }
    }
    None
}

fn number(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok())
}

fn cpu_nanos(groups: &str, id: &str, read: Read<'_>) -> Option<u64> {
    if let Some(text) = file(groups, "cpuacct", id, "cpuacct.usage").and_then(read) {
        return text.trim().parse().ok();
    }
    let text = read(file(groups, "", id, "cpu.stat")?)?;
    number(&text, "usage_usec ").map(|micros| micros.saturating_mul(1000))
}

/// What is used, without files that nobody has read for a while.
fn memory(groups: &str, id: &str, read: Read<'_>) -> Option<u64> {
    let first = group(groups, "memory", id).is_some();
    let (controller, usage, idle) = if first { ("memory", "memory.usage_in_bytes", "total_inactive_file ") } else { ("", "memory.current", "inactive_file ") };
    let used: u64 = read(file(groups, controller, id, usage)?)?.trim().parse().ok()?;
    let idle = file(groups, controller, id, "memory.stat").and_then(read).and_then(|text| number(&text, idle)).unwrap_or_default();
    Some(used.saturating_sub(idle))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    fn reads(files: &[(&str, &str)]) -> impl Fn(PathBuf) -> Option<String> {
        move |path| files.iter().find(|(name, _)| Path::new(ROOT).join(name) == path).map(|(_, text)| (*text).to_owned())
    }

    #[test]
    fn both_versions() {
        let one = "4:memory:/libpod_parent/libpod-ab\n2:cpu,cpuacct:/libpod_parent/libpod-ab/inner\n0::/\n";
        let files = [
            ("cpuacct/libpod_parent/libpod-ab/cpuacct.usage", "123\n"),
            ("memory/libpod_parent/libpod-ab/memory.usage_in_bytes", "1000\n"),
            ("memory/libpod_parent/libpod-ab/memory.stat", "inactive_file 1\ntotal_inactive_file 400\n"),
        ];
        let read = reads(&files);
        assert_eq!((cpu_nanos(one, "ab", &read), memory(one, "ab", &read)), (Some(123), Some(600)));
        let two = "0::/machine.slice/libpod-ab.scope/container\n";
        let files = [
            ("machine.slice/libpod-ab.scope/cpu.stat", "usage_usec 7\nuser_usec 3\n"),
            ("machine.slice/libpod-ab.scope/memory.current", "1000\n"),
            ("machine.slice/libpod-ab.scope/memory.stat", "anon 5\ninactive_file 100\n"),
        ];
        let read = reads(&files);
        assert_eq!((cpu_nanos(two, "ab", &read), memory(two, "ab", &read)), (Some(7000), Some(900)));
        assert_eq!((cpu_nanos(two, "cd", &read), memory("", "ab", &read)), (None, None), "another's process");
        assert_eq!(group("0::/../libpod-ab", "", "ab"), None);
    }
}
