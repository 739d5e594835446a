//! What figures were measured on.
use crate::report::rounded;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::time::Instant;

/// A machine as far as figures depend on it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Machine {
    /// The processor's model.
    pub cpu: String,
    /// Its cores.
    pub cores: usize,
    /// Memory.
    pub memory_gib: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The file system that the log is on.
    pub file_system: String,
    /// What it costs to bring 4 KiB to the disk, in the middle of 200 times.
    pub sync_ms: f64,
    /// What a word from memory takes, in nanoseconds, when all processors ask for one at once: on a shared machine it differs from hour to hour,
    /// and most figures with it.
    pub memory_ns: f64,
    /// The load average when the runs began: what else was going on.
    pub busy: f64,
}

impl Machine {
    /// This machine, with the log below `directory`.
    ///
    /// # Errors
    /// When nothing can be written there.
    pub fn here(directory: &Path) -> io::Result<Self> {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let field = |text: &str, name: &str| text.lines().find(|l| l.starts_with(name)).and_then(|l| l.split(':').nth(1)).unwrap_or_default().trim().to_owned();
        let memory = field(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            cpu: field(&read("/proc/cpuinfo"), "model name"),
            cores,
            memory_gib: (kib + (1 << 19)) >> 20,
            kernel: read("/proc/sys/kernel/osrelease").trim().to_owned(),
            file_system: file_system(&read("/proc/self/mountinfo"), &directory.canonicalize()?),
            sync_ms: rounded(sync_ms(directory)?, 3),
            memory_ns: rounded(memory_ns(cores), 1),
            busy: read("/proc/loadavg").split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or_default(),
        })
    }

    /// Whether figures of both can be compared.
    pub fn is_like(&self, other: &Self) -> bool {
        let parts = |m: &Self| (m.cpu.clone(), m.cores, m.memory_gib, m.file_system.clone());
        parts(self) == parts(other)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_gib, kernel, file_system, sync_ms, memory_ns, busy } = self;
        write!(f, "{cpu}, {cores} cores, {memory_gib} GiB (a word in {memory_ns} ns), Linux {kernel}, ")?;
        write!(f, "{file_system} (4 KiB to the disk in {sync_ms} ms), load average {busy} at the start")
    }
}

/// What the processors' time went into since the start, in ticks: all of it, and what a hypervisor gave to others while somebody here wanted to run.
#[derive(Clone, Copy, Debug)]
pub struct Ticks {
    all: u64,
    stolen: u64,
}

impl Ticks {
    /// Up to now; zeros where there is no `/proc/stat`.
    pub fn now() -> Self {
        Self::of(&fs::read_to_string("/proc/stat").unwrap_or_default())
    }

    /// From the line of all processors: user, nice, system, idle, iowait, irq, softirq, steal (`man 5 proc_stat`); guests are part of user.
    fn of(stat: &str) -> Self {
        let ticks = stat.lines().next().unwrap_or_default().split_whitespace().skip(1).take(8);
        let ticks: Vec<u64> = ticks.filter_map(|n| n.parse().ok()).collect();
        Self { all: ticks.iter().sum(), stolen: ticks.get(7).copied().unwrap_or_default() }
    }

    /// The share that was stolen since `before`.
    pub fn stolen_since(self, before: Self) -> f64 {
        let (all, stolen) = (self.all.saturating_sub(before.all), self.stolen.saturating_sub(before.stolen));
        if all == 0 { 0.0 } else { stolen as f64 / all as f64 }
    }
}

/// The type of the file system that holds a path, from `mountinfo`: that of the longest mount point before it.
fn file_system(mountinfo: &str, path: &Path) -> String {
    let mounts = mountinfo.lines().filter_map(|line| {
        let (mount, rest) = line.split_once(" - ")?;
        Some((mount.split_whitespace().nth(4)?, rest.split_whitespace().next()?))
    });
    let above = mounts.filter(|(point, _)| path.starts_with(point));
    above.max_by_key(|(point, _)| point.len()).map_or_else(String::new, |(_, kind)| kind.to_owned())
}

/// Follows a chain of words through memory that no cache holds, in as many threads as there are processors; the slowest counts.
fn memory_ns(threads: usize) -> f64 {
    let chase = || {
        // a step that shares no factor with the number of words visits each of them, far from the one before
        const WORDS: usize = 1 << 24;
        const STEP: usize = 7_368_787;
        const TIMES: usize = 1 << 20;
        let mut next = vec![0_u32; WORDS];
        for (at, word) in next.iter_mut().enumerate() {
            *word = u32::try_from((at + STEP) % WORDS).unwrap_or_default();
        }
        let (mut at, start) = (0_usize, Instant::now());
        for _ in 0..TIMES {
            at = next.get(at).copied().unwrap_or_default() as usize;
        }
        std::hint::black_box(at);
        start.elapsed().as_secs_f64() * 1e9 / TIMES as f64
    };
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(chase)).collect();
        running.into_iter().filter_map(|thread| thread.join().ok()).fold(0.0, f64::max)
    })
}

fn sync_ms(directory: &Path) -> io::Result<f64> {
    const TIMES: usize = 200;
    let path = directory.join("sync");
    let mut file = File::create(&path)?;
    let mut took = Vec::with_capacity(TIMES);
    for _ in 0..TIMES {
        let start = Instant::now();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        took.push(start.elapsed().as_secs_f64() * 1e3);
    }
    fs::remove_file(path)?;
    Ok(super::figure::Spread::of(&took).map_or(0.0, |s| s.median))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_mount_point_holds_the_path() {
        let mounts = "21 1 8:1 / / rw - ext4 /dev/a rw\n22 21 0:5 / /tmp rw shared:1 - tmpfs tmpfs rw\n23 21 8:2 / /home rw - xfs /dev/b rw\n";
        for (path, kind) in [("/tmp/x", "tmpfs"), ("/tmpx", "ext4"), ("/home/a/b", "xfs")] {
            assert_eq!(file_system(mounts, Path::new(path)), kind);
        }
    }

    #[test]
    fn what_is_stolen_is_a_share_of_all_time() {
        let before = Ticks::of("cpu  100 0 50 800 10 0 0 40 7 0\ncpu0 1 2 3\n");
        let after = Ticks::of("cpu  150 0 60 830 10 0 0 50 9 0\n");
        assert_eq!(after.stolen_since(before), 0.1);
        assert_eq!(before.stolen_since(before), 0.0);
        assert_eq!(Ticks::of("").stolen_since(before), 0.0);
    }

    #[test]
    fn this_machine_has_all_of_it_and_is_like_itself() {
        let directory = tempfile::tempdir().expect("a directory");
        let here = Machine::here(directory.path()).expect("a machine");
        assert!(here.cores > 0 && here.sync_ms > 0.0 && here.memory_ns > 0.0 && !here.kernel.is_empty() && !here.file_system.is_empty(), "{here}");
        assert!(here.is_like(&Machine { kernel: "0".to_owned(), busy: 9.0, sync_ms: 1.0, ..here.clone() }));
        assert!(!here.is_like(&Machine { cores: here.cores + 1, ..here.clone() }));
        assert_eq!(fs::read_dir(directory.path()).expect("readable").count(), 0);
    }
}
