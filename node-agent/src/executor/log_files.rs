//! The files of a run's log: the one that is written, and beside it those that were put aside when they had become too long (`0.log.1`, `0.log.2`, …).
use std::io;
use std::path::{Path, PathBuf};

/// The files of the log that is written to `live`, oldest first.
pub fn log_files(live: &Path) -> Vec<PathBuf> {
    let mut list: Vec<PathBuf> = aside(live).into_iter().map(|(_, path)| path).collect();
    if live.exists() {
        list.push(live.to_owned());
    }
    list
}

/// Those that were put aside, with their numbers.
fn aside(live: &Path) -> Vec<(u64, PathBuf)> {
    let entries = live.parent().and_then(|dir| std::fs::read_dir(dir).ok()).into_iter().flatten().flatten();
    let mut list: Vec<(u64, PathBuf)> = entries.filter_map(|e| Some((number(live, &e.path())?, e.path()))).collect();
    list.sort_unstable();
    list
}

fn number(live: &Path, path: &Path) -> Option<u64> {
    path.file_name()?.to_str()?.strip_prefix(live.file_name()?.to_str()?)?.strip_prefix('.')?.parse().ok()
}

/// Where the file that is written now goes next.
pub fn next(live: &Path) -> PathBuf {
    let last = aside(live).last().map_or(0, |(n, _)| *n);
    let mut name = live.as_os_str().to_owned();
    name.push(format!(".{}", last.saturating_add(1)));
    name.into()
}

/// Removes the oldest files, so that with the one that is written there are at most so many.
pub fn prune(live: &Path, most: usize) -> io::Result<()> {
    let list = aside(live);
    let over = list.len().saturating_sub(most.saturating_sub(1));
    list.iter().take(over).try_for_each(|(_, path)| std::fs::remove_file(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_in_the_order_in_which_they_were_written_and_the_oldest_go() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let live = at("1.log");
        assert!(log_files(&live).is_empty());
        for name in ["1.log", "1.log.9", "1.log.10", "1.log.x", "11.log", "1.log.2"] {
            std::fs::write(at(name), "").unwrap();
        }
        assert_eq!(log_files(&live), [at("1.log.2"), at("1.log.9"), at("1.log.10"), at("1.log")]);
        assert_eq!(next(&live), at("1.log.11"));
        prune(&live, 3).unwrap();
        assert_eq!(log_files(&live), [at("1.log.9"), at("1.log.10"), at("1.log")]);
        std::fs::remove_file(&live).unwrap();
        assert_eq!(log_files(&live), [at("1.log.9"), at("1.log.10")]);
    }
}
