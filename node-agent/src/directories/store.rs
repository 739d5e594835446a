//! The directories on the disk, and the records of them.
use crate::beneath::{self, Dir};
use crate::component::Component;
use crate::disk;
use rustix::fs::Mode;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

/// The first of the file system's projects that directories get.
const FIRST_PROJECT: u32 = 1_500_000;
/// The longest record.
const RECORD_MAX: u64 = 64 << 10;
/// Everybody may write: who may reach the directory at all, its claim says.
const OPEN: u32 = 0o777;

/// What is remembered of a directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The volume's UID.
    pub uid: String,
    /// Whether the directory was made; before that it may be half made.
    pub made: bool,
    /// The file system's project that counts what is in it.
    pub project: u32,
}

/// Why a directory isn't there, or stays.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Its data is lost.
    #[error("the directory {0} is gone, and what was in it is lost")]
    Gone(PathBuf),
    /// Somebody else's.
    #[error("the directory {0} was not made for this volume, and is left alone")]
    Foreign(PathBuf),
    /// The disk's words.
    #[error("{0}: {1}")]
    Disk(PathBuf, io::Error),
}

/// Where directories and records are.
#[derive(Clone, Debug)]
pub struct Store {
    root: PathBuf,
    records: PathBuf,
}

impl Store {
    /// Directories below `root`, and records beside it.
    pub fn new(root: PathBuf) -> Self {
        Self { records: root.with_file_name("volume-records"), root }
    }

    /// Where a volume's directory is.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(Component::of(name))
    }

    fn record_path(&self, name: &str) -> PathBuf {
        self.records.join(Component::of(name).with(".json"))
    }

    /// What is remembered of a volume's directory.
    pub fn record(&self, name: &str) -> Option<Record> {
        serde_json::from_slice(&beneath::read(&self.record_path(name), RECORD_MAX).ok()?).ok()
    }

    fn keep(&self, name: &str, record: &Record) -> Result<(), StoreError> {
        let path = self.record_path(name);
        let kept = serde_json::to_vec(record).map_err(io::Error::other).and_then(|bytes| disk::keep(&path, &bytes));
        kept.map_err(|e| StoreError::Disk(path, e))
    }

    /// Makes a volume's directory, once.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn make(&self, name: &str, uid: &str) -> Result<Record, StoreError> {
        let path = self.path(name);
        let there = path.symlink_metadata().is_ok();
        let begun = match self.record(name) {
            Some(record) if record.uid != uid => return Err(StoreError::Foreign(path)),
            Some(record) if record.made && there => return Ok(record),
            Some(record) if record.made => return Err(StoreError::Gone(path)),
            Some(record) => record,
            None if there => return Err(StoreError::Foreign(path)),
            None => Record { uid: uid.to_owned(), made: false, project: self.free_project() },
        };
        self.keep(name, &begun)?;
        self.place(name).map_err(|e| StoreError::Disk(path, e))?;
        let made = Record { made: true, ..begun };
        self.keep(name, &made)?;
        Ok(made)
    }

    fn place(&self, name: &str) -> io::Result<()> {
        std::fs::create_dir_all(&self.root)?;
        let root = Dir::open(&self.root)?;
        let dir = root.make(Component::of(name).as_str(), OPEN)?;
        rustix::fs::fchmod(&dir, Mode::from_raw_mode(OPEN))?;
        Ok(rustix::fs::fsync(&root)?)
    }

    /// Removes a volume's directory with all that is in it. One that this agent didn't make for the volume is left alone.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn remove(&self, name: &str, uid: &str) -> Result<(), StoreError> {
        let path = self.path(name);
        match self.record(name) {
            Some(record) if record.uid == uid => {}
            _ if path.symlink_metadata().is_err() => return Ok(()),
            _ => return Err(StoreError::Foreign(path)),
        }
        let removed = match Dir::open(&self.root) {
            Ok(root) => beneath::remove(&root, Component::of(name).as_str().as_ref()),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        };
        removed.map_err(|e| StoreError::Disk(path, e))?;
        let record = self.record_path(name);
        disk::forget(&record).map_err(|e| StoreError::Disk(record, e))
    }

    fn free_project(&self) -> u32 {
        let read = |entry: std::fs::DirEntry| serde_json::from_slice::<Record>(&beneath::read(&entry.path(), RECORD_MAX).ok()?).ok();
        let records = std::fs::read_dir(&self.records).into_iter().flatten().flatten();
        let taken: BTreeSet<u32> = records.filter_map(read).map(|record| record.project).collect();
        (FIRST_PROJECT..).find(|project| !taken.contains(project)).unwrap_or(FIRST_PROJECT)
    }

    /// Where the directories are.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_made_once_and_removed_by_its_maker() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::new(temp.path().join("volumes"));
        let record = store.make("pvc-1", "u1").unwrap();
        assert_eq!(store.make("pvc-1", "u1").unwrap(), record);
        assert_ne!(store.make("pvc-2", "u2").unwrap().project, record.project);
        std::fs::create_dir_all(store.path("pvc-1").join("a/b")).unwrap();
        // a namesake has nothing to do with it
        assert!(matches!(store.make("pvc-1", "other"), Err(StoreError::Foreign(_))));
        assert!(matches!(store.remove("pvc-1", "other"), Err(StoreError::Foreign(_))));
        assert!(store.path("pvc-1").join("a/b").exists());
        store.remove("pvc-1", "u1").unwrap();
        store.remove("pvc-1", "u1").unwrap();
        assert_eq!((store.path("pvc-1").exists(), store.record("pvc-1")), (false, None));
        // what is gone stays gone
        std::fs::remove_dir_all(store.path("pvc-2")).unwrap();
        assert!(matches!(store.make("pvc-2", "u2"), Err(StoreError::Gone(_))));
    }

    #[test]
    fn what_was_there_before_is_left_alone() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::new(temp.path().join("volumes"));
        std::fs::create_dir_all(store.path("v")).unwrap();
        assert!(matches!(store.make("v", "u"), Err(StoreError::Foreign(_))));
        assert!(matches!(store.remove("v", "u"), Err(StoreError::Foreign(_))));
        for name in ["..", "../x", "a/b", ""] {
            store.make(name, "u").unwrap();
            assert!(store.path(name).starts_with(store.root()) && store.path(name).exists());
            store.remove(name, "u").unwrap();
        }
        assert_eq!(temp.path().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn a_maker_that_was_killed_goes_on() {
        let temp = tempfile::tempdir().unwrap();
        let store = Store::new(temp.path().join("volumes"));
        store.keep("v", &Record { uid: "u".into(), made: false, project: 5 }).unwrap();
        assert_eq!(store.make("v", "u").unwrap(), Record { uid: "u".into(), made: true, project: 5 });
        assert!(store.path("v").exists());
    }
}
