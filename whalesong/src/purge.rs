//! Removes a cluster's data: only what is known for it, and never through a link.
use crate::data::{MARK, PARTS, is_marked};
use crate::failure::Failure;
use std::io;
use std::path::{Path, PathBuf};

/// The directory that `root` really is, if it holds a cluster's data.
///
/// # Errors
/// When it carries none of the marks that `up` and `agent` leave.
pub fn known(root: &Path) -> Result<PathBuf, Failure> {
    let real = root.canonicalize().map_err(|e| Failure::new(format!("{} can't be looked at ({e})", root.display()), ""))?;
    let parts = ["node", "gateway", "scheduler", "controllers"];
    if is_marked(&real) || parts.iter().any(|part| is_marked(&real.join(part))) {
        return Ok(real);
    }
    let remedy = "give the directory that `up` had with --data; anything else is yours to remove";
    Err(Failure::new(format!("{} holds no data of a whalesong cluster", real.display()), remedy))
}

/// Removes the parts of the data in `root`, which is one of [`known`], and `root` itself when nothing else is in it. What was left comes back.
///
/// # Errors
/// When something is mounted there, or can't be removed.
pub fn purge(root: &Path) -> Result<Vec<String>, Failure> {
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    if let Some(place) = mounted_below(&mounts, root) {
        return Err(Failure::new(format!("{place} is a mount: what it shows would be removed with the data"), "unmount it, and try again"));
    }
    for name in PARTS.iter().chain(&[MARK]) {
        let part = root.join(name);
        remove(&part).map_err(|e| Failure::new(format!("{} can't be removed ({e})", part.display()), "remove it by hand"))?;
    }
    let left: Vec<String> = std::fs::read_dir(root).into_iter().flatten().flatten().map(|e| e.file_name().to_string_lossy().into_owned()).collect();
    if left.is_empty() {
        std::fs::remove_dir(root).map_err(|e| Failure::new(format!("{} can't be removed ({e})", root.display()), "remove it by hand"))?;
    }
    Ok(left)
}

/// Removes a file, a link as itself, or a directory with what is in it, in which links are removed as themselves, too.
fn remove(path: &Path) -> io::Result<()> {
    let removed = match std::fs::symlink_metadata(path) {
        Ok(found) if found.is_dir() => std::fs::remove_dir_all(path),
        Ok(_) => std::fs::remove_file(path),
        Err(e) => Err(e),
    };
    match removed {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(e),
        _ => Ok(()),
    }
}

/// The first mount below a directory in a table as `/proc/self/mountinfo` has it: the fifth word is the place, with octal escapes.
fn mounted_below(table: &str, root: &Path) -> Option<String> {
    let places = table.lines().filter_map(|line| line.split(' ').nth(4)).map(|place| place.replace("\\040", " ").replace("\\134", "\\"));
    places.into_iter().find(|place| Path::new(place) != root && Path::new(place).starts_with(root))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;
    use std::os::unix::fs::symlink;

    #[test]
    fn only_what_is_ours_goes() {
        let dir = tempfile::tempdir().unwrap();
        let (root, theirs) = (dir.path().join("data"), dir.path().join("theirs"));
        std::fs::create_dir(&theirs).unwrap();
        std::fs::write(theirs.join("letter"), "dear").unwrap();
        drop(Data::hold(&root).unwrap());
        std::fs::create_dir_all(root.join("node/pods")).unwrap();
        symlink(&theirs, root.join("node/pods/away")).unwrap();
        symlink(&theirs, root.join("nats")).unwrap();
        std::fs::write(root.join("notes"), "mine").unwrap();
        let link = dir.path().join("link");
        symlink(&root, &link).unwrap();
        let real = known(&link).unwrap();
        assert_eq!(purge(&real).unwrap(), ["notes"]);
        assert_eq!((theirs.join("letter").exists(), root.join("notes").exists(), root.join("node").exists()), (true, true, false));
        std::fs::remove_file(root.join("notes")).unwrap();
        drop(Data::hold(&root).unwrap());
        assert_eq!(purge(&root).unwrap(), Vec::<String>::new());
        assert!(!root.exists());
        for stranger in [theirs.as_path(), dir.path(), Path::new("/")] {
            assert!(known(stranger).unwrap_err().to_string().contains("holds no data of a whalesong cluster"));
        }
    }

    #[test]
    fn mounts_are_seen() {
        let table = "21 1 0:20 / / rw - ext4 /dev/a rw\n22 21 0:21 / /data/node/pods/a\\040b rw - tmpfs none rw\n23 21 0:22 / /data rw - tmpfs none rw\n";
        assert_eq!(mounted_below(table, Path::new("/data")).as_deref(), Some("/data/node/pods/a b"));
        assert_eq!(mounted_below(table, Path::new("/dat")), None);
    }
}
