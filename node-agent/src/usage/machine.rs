//! What a whole node uses.
use crate::runtime::ContainerUse;
use std::collections::HashMap;

/// Nanoseconds of a tick of `/proc/stat`, of which a second has a hundred.
const TICK: u64 = 10_000_000;
/// Bytes that a simulated node uses beside its pods.
const SIMULATED: u64 = 512 << 20;

/// Counts what a node uses: what the kernel says, or of a simulated node what its containers add up to.
pub(super) struct NodeCounters {
    measured: bool,
    cpu_nanos: u64,
    seen: HashMap<String, u64>,
}

impl NodeCounters {
    /// Of a real node where `measured`.
    pub(super) fn new(measured: bool) -> Self {
        Self { measured, cpu_nanos: 0, seen: HashMap::new() }
    }

    /// Nanoseconds of processors so far, and bytes of memory now.
    pub(super) fn read(&mut self, used: &[ContainerUse]) -> (u64, u64) {
        if self.measured {
            let text = |path| std::fs::read_to_string(path).unwrap_or_default();
            return (busy(&text("/proc/stat")), working_set(&text("/proc/meminfo")));
        }
        let now: HashMap<String, u64> = used.iter().map(|used| (used.sample.run.clone(), used.sample.cpu_nanos)).collect();
        let grown = now.iter().map(|(run, cpu)| cpu.saturating_sub(self.seen.get(run).copied().unwrap_or_default()));
        self.cpu_nanos = self.cpu_nanos.saturating_add(grown.sum());
        self.seen = now;
        (self.cpu_nanos, SIMULATED + used.iter().map(|used| used.sample.memory).sum::<u64>())
    }
}

/// What all processors did but wait: user, nice, system, irq, softirq and steal.
fn busy(stat: &str) -> u64 {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu ")).unwrap_or_default();
    let ticks: Vec<u64> = line.split_whitespace().filter_map(|n| n.parse().ok()).collect();
    let idle = [3, 4];
    let of = ticks.iter().take(8).enumerate().filter(|(i, _)| !idle.contains(i));
    of.map(|(_, n)| n).sum::<u64>().saturating_mul(TICK)
}

/// Memory that is in use, without files that nobody has read for a while: what the kubelet calls the working set.
fn working_set(meminfo: &str) -> u64 {
    let kib = |name: &str| {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    kib("MemTotal").saturating_sub(kib("MemFree")).saturating_sub(kib("Inactive(file)")).saturating_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_tables() {
        assert_eq!(busy("cpu  1 2 3 1000 1000 4 5 6 7 8\ncpu0 9 9 9"), 21 * TICK);
        assert_eq!(working_set("MemTotal: 100 kB\nMemFree: 30 kB\nInactive(file): 20 kB\n"), 50 << 10);
        assert!(NodeCounters::new(true).read(&[]).0 > 0);
    }
}
