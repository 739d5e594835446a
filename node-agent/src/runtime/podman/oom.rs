//! Finds out from the kernel's log whether a container was killed for lack of memory. Podman relies on a marker file of conmon, and some versions of conmon
//! write it to the wrong place.
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

/// A record is a line and its properties; the kernel gives one a read.
const RECORD_MAX: usize = 8 << 10;

/// Whether this record says that a task of the container was killed for the limit of its memory.
fn names(record: &str, container: &str) -> bool {
    let Some(fields) = record.split_once("oom-kill:").map(|(_, fields)| fields) else { return false };
    let field = |name: &str| fields.split(',').find_map(|f| f.strip_prefix(name)?.strip_prefix('='));
    field("constraint") == Some("CONSTRAINT_MEMCG") && field("task_memcg").is_some_and(|path| path.contains(container))
}

fn search(container: &str) -> Result<bool, Errno> {
    let log = rustix::fs::open("/dev/kmsg", OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC, Mode::empty())?;
    let mut record = [0; RECORD_MAX];
    loop {
        match rustix::io::read(&log, &mut record) {
            Ok(0) | Err(Errno::AGAIN) => return Ok(false),
            Ok(n) if names(&String::from_utf8_lossy(record.get(..n).unwrap_or_default()), container) => return Ok(true),
            // Records that were overwritten meanwhile are skipped.
            Ok(_) | Err(Errno::PIPE | Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
}

/// Whether the kernel's log says that this container was killed for its memory; where the log can't be read, nothing says so.
pub async fn killed(container: &str) -> bool {
    let id = container.to_owned();
    let found = tokio::task::spawn_blocking(move || search(&id)).await;
    found.is_ok_and(|found| found.inspect_err(|error| tracing::debug!(%error, "the kernel's log can't be read")).unwrap_or(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_words() {
        let record = |constraint: &str, path: &str| {
            format!(
                "4,1,2,-;oom-kill:constraint={constraint},nodemask=(null),cpuset=libpod-0f,mems_allowed=0,oom_memcg={path},task_memcg={path},task=tail,pid=7,uid=0"
            )
        };
        for (text, want) in [
            (record("CONSTRAINT_MEMCG", "/libpod_parent/libpod-01ab"), true),
            (record("CONSTRAINT_MEMCG", "/machine.slice/libpod-01ab.scope/container"), true),
            (record("CONSTRAINT_MEMCG", "/libpod_parent/libpod-02"), false),
            (record("CONSTRAINT_NONE", "/libpod_parent/libpod-01ab"), false),
            ("6,1,2,-;eth0: 01ab is up".to_owned(), false),
        ] {
            assert_eq!(names(&text, "01ab"), want, "{text}");
        }
    }
}
