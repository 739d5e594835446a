//! The data directory: what lies where, who holds it, and by what it is known for one.
use crate::failure::Failure;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The file by which a data directory is known.
pub const MARK: &str = ".whalesong";
/// What the mark says to whoever finds it.
const MARK_TEXT: &str = "This directory holds the data of a whalesong cluster. `whalesong down --purge` removes it.\n";
/// What a data directory has, beside its mark.
pub const PARTS: [&str; 12] = ["lock", "id", "nats", "nats.url", "nats.ca", "pki", "keys", "node", "gateway", "scheduler", "controllers", "kubeconfig"];

/// What a file system has of its own in its topmost directory, which may be one for data.
const LOST: &str = "lost+found";

/// Whether a directory is known for data of ours: by its mark, or, where an earlier release made it, by its lock and its identity.
pub fn is_marked(root: &Path) -> bool {
    is_file(&root.join(MARK)) || (was_held(root) && is_identity(&root.join("id")))
}

fn is_file(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|found| found.is_file())
}

/// Whether there is a lock as a holder leaves it: the number of its process.
fn was_held(root: &Path) -> bool {
    let lock = root.join("lock");
    is_file(&lock) && std::fs::read_to_string(lock).is_ok_and(|holder| holder.trim().bytes().all(|b| b.is_ascii_digit()))
}

fn is_identity(path: &Path) -> bool {
    is_file(path) && std::fs::read_to_string(path).is_ok_and(|id| id.trim().len() == 32 && id.trim().bytes().all(|b| b.is_ascii_hexdigit()))
}

/// Whether everything in a directory may be ours.
fn is_for_data(root: &Path) -> bool {
    let known = |name: &std::ffi::OsStr| [MARK, LOST].iter().chain(&PARTS).any(|part| name == *part);
    is_marked(root) || was_held(root) || std::fs::read_dir(root).is_ok_and(|found| found.flatten().all(|entry| known(&entry.file_name())))
}

/// How long the directory's last holder may take to be gone: a killed process still has its files for a moment.
const DYING: Duration = Duration::from_secs(1);

/// A data directory, held by this process until it is dropped.
pub struct Data {
    root: PathBuf,
    _lock: File,
}

/// Where data is kept when nobody says: `/var/lib/whalesong` for root, `~/.whalesong` for others.
pub fn default_root() -> PathBuf {
    if rustix::process::geteuid().is_root() {
        return PathBuf::from("/var/lib/whalesong");
    }
    std::env::var_os("HOME").map_or_else(|| PathBuf::from("."), PathBuf::from).join(".whalesong")
}

impl Data {
    /// Makes the directory (0700) where it is missing and takes hold of it.
    ///
    /// # Errors
    /// When it can't be written, or another process holds it.
    pub fn hold(root: &Path) -> Result<Self, Failure> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(root).map_err(|e| unwritable(root, &e))?;
        if !is_for_data(root) {
            return Err(Failure::new(format!("{} holds something else than a cluster's data", root.display()), "choose a directory of its own with --data"));
        }
        let path = root.join("lock");
        let mut lock = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(&path).map_err(|e| unwritable(root, &e))?;
        if !locked(&lock, root)? {
            let mut holder = String::new();
            let holder = match lock.read_to_string(&mut holder) {
                Ok(_) if !holder.trim().is_empty() => format!(" (process {})", holder.trim()),
                _ => String::new(),
            };
            return Err(Failure::new(
                format!("another whalesong{holder} runs on {}", root.display()),
                "stop it first, or give this one a directory of its own with --data",
            ));
        }
        if !root.join(MARK).exists() {
            std::fs::write(root.join(MARK), MARK_TEXT).map_err(|e| unwritable(root, &e))?;
        }
        lock.set_len(0).and_then(|()| lock.rewind()).and_then(|()| write!(lock, "{}", std::process::id())).map_err(|e| unwritable(root, &e))?;
        Ok(Self { root: root.to_owned(), _lock: lock })
    }

    /// A path below it.
    pub fn join(&self, part: &str) -> PathBuf {
        self.root.join(part)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

/// Takes the lock; `false` when it isn't free in time.
fn locked(file: &File, root: &Path) -> Result<bool, Failure> {
    use rustix::fs::{FlockOperation, flock};
    if flock(file, FlockOperation::NonBlockingLockExclusive).is_ok() {
        return Ok(true);
    }
    let waiting = file.try_clone().map_err(|e| unwritable(root, &e))?;
    let (taken, outcome) = std::sync::mpsc::channel();
    // when nobody waits any more, what it takes late it gives back at once
    std::thread::spawn(move || taken.send(flock(&waiting, FlockOperation::LockExclusive).is_ok()).is_ok());
    Ok(outcome.recv_timeout(DYING).unwrap_or(false))
}

/// Under which name a process holds leases.
pub struct Identity {
    /// Host and run, as Kubernetes names holders.
    pub name: String,
    /// No other process has the name while this one lives, and the next one on the same data has it, too.
    pub unique: bool,
    _hold: Option<Data>,
}

impl Identity {
    /// That of the process that holds `data`.
    ///
    /// # Errors
    /// When the directory can't be written.
    pub fn of(data: &Data, host: &str) -> Result<Self, Failure> {
        let path = data.join("id");
        let id = match std::fs::read_to_string(&path) {
            Ok(id) if !id.trim().is_empty() => id.trim().to_owned(),
            _ => {
                let id = random();
                std::fs::write(&path, &id).map_err(|e| unwritable(&data.root, &e))?;
                id
            }
        };
        Ok(Self { name: format!("{host}_{id}"), unique: true, _hold: None })
    }

    /// That of a process that needs no data: of a directory where it can have one for itself, one for this run otherwise.
    pub fn at(directory: &Path, host: &str) -> Self {
        let held = Data::hold(directory).and_then(|data| Ok(Self { _hold: None, ..Self::of(&data, host)? }).map(|own| (own, data)));
        match held {
            Ok((own, data)) => Self { _hold: Some(data), ..own },
            Err(_) => Self { name: format!("{host}_{}", random()), unique: false, _hold: None },
        }
    }
}

fn random() -> String {
    uuid::Uuid::new_v4().simple().to_string()
}

fn unwritable(root: &Path, e: &std::io::Error) -> Failure {
    let remedy = match e.kind() {
        ErrorKind::PermissionDenied => "run as a user who may, or choose another directory with --data",
        ErrorKind::StorageFull => "free some space, or choose another directory with --data",
        _ => "choose another directory with --data",
    };
    Failure::new(format!("the data directory {} can't be written ({e})", root.display()), remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_identity_outlives_its_process_and_is_had_by_one_at_a_time() {
        let dir = tempfile::tempdir().unwrap();
        let first = Identity::at(dir.path(), "h");
        let second = Identity::at(dir.path(), "h");
        assert!(first.unique && !second.unique && first.name != second.name);
        let name = first.name.clone();
        drop(first);
        assert_eq!(Identity::at(dir.path(), "h").name, name);
    }

    #[test]
    fn only_an_empty_directory_becomes_one_for_data() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!is_marked(dir.path()));
        std::fs::create_dir(dir.path().join("keys")).unwrap();
        std::fs::create_dir(dir.path().join("lost+found")).unwrap();
        drop(Data::hold(dir.path()).unwrap());
        assert!(is_marked(dir.path()));
        std::fs::write(dir.path().join("notes"), "").unwrap();
        drop(Data::hold(dir.path()).unwrap());
        let other = tempfile::tempdir().unwrap();
        std::fs::write(other.path().join("thesis.tex"), "").unwrap();
        let refusal = Data::hold(other.path()).err().unwrap().to_string();
        assert!(refusal.contains("holds something else"), "{refusal}");
        assert_eq!(std::fs::read_dir(other.path()).unwrap().count(), 1, "nothing was written there");
        for (lock, id, known) in [("12", "0123456789abcdef0123456789abcdef", true), ("12", "mine", false), ("apt", "0123456789abcdef0123456789abcdef", false)] {
            let earlier = tempfile::tempdir().unwrap();
            std::fs::write(earlier.path().join("lock"), lock).unwrap();
            std::fs::write(earlier.path().join("id"), id).unwrap();
            assert_eq!(is_marked(earlier.path()), known, "{lock} {id}");
        }
    }

    #[test]
    fn a_second_holder_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Data::hold(dir.path()).unwrap();
        let e = Data::hold(dir.path()).err().unwrap().to_string();
        assert!(e.contains(&std::process::id().to_string()) && e.contains("--data"), "{e}");
        drop(first);
        Data::hold(dir.path()).unwrap();
    }
}
