//! The data directory: what lies where, and who holds it.
use crate::failure::Failure;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

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
    fn a_second_holder_is_told_who_holds_it() {
        let dir = tempfile::tempdir().unwrap();
        let first = Data::hold(dir.path()).unwrap();
        let e = Data::hold(dir.path()).err().unwrap().to_string();
        assert!(e.contains(&std::process::id().to_string()) && e.contains("--data"), "{e}");
        drop(first);
        Data::hold(dir.path()).unwrap();
    }
}
