//! Gives a volume's files to the pod's group (`fsGroup`). What is in the volume isn't trusted: no link is followed.
use crate::beneath::{self, Dir};
use rustix::fs::{AtFlags, FileType, Gid, Mode, OFlags};
use std::ffi::OsStr;
use std::io;

/// Directories deeper than this are somebody's trap.
const DEPTH: usize = 128;
/// What the group may do with a file, and with a directory beside that.
const FILE: u32 = 0o660;
const DIRECTORY: u32 = 0o2770;

/// Gives all that is in a directory to a group; with `on_mismatch` only where the directory itself isn't the group's yet.
///
/// # Errors
/// What the kernel says.
pub fn give(dir: &Dir, group: u32, on_mismatch: bool) -> io::Result<()> {
    let now = rustix::fs::fstat(dir)?;
    if on_mismatch && now.st_gid == group && now.st_mode & DIRECTORY == DIRECTORY {
        return Ok(());
    }
    // the root last: as long as something is left to do, it shows that
    inside(dir, group, 0)?;
    own(dir, group)
}

fn own(dir: &Dir, group: u32) -> io::Result<()> {
    let mode = rustix::fs::fstat(dir)?.st_mode & 0o7777;
    rustix::fs::fchown(dir, None, Some(Gid::from_raw(group)))?;
    Ok(rustix::fs::fchmod(dir, Mode::from_raw_mode(mode | DIRECTORY))?)
}

fn inside(dir: &Dir, group: u32, depth: usize) -> io::Result<()> {
    if depth > DEPTH {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("directories are deeper than {DEPTH}")));
    }
    for (name, kind) in dir.entries()? {
        if kind == FileType::Directory {
            let sub = dir.sub(&name)?;
            inside(&sub, group, depth + 1)?;
            own(&sub, group)?;
        } else {
            file(dir, &name, group)?;
        }
    }
    Ok(())
}

fn file(dir: &Dir, name: &OsStr, group: u32) -> io::Result<()> {
    let place = match rustix::fs::openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(()),
        other => other?,
    };
    let mode = rustix::fs::fstat(&place)?.st_mode;
    rustix::fs::chownat(&place, "", None, Some(Gid::from_raw(group)), AtFlags::EMPTY_PATH)?;
    if FileType::from_raw_mode(mode) == FileType::RegularFile {
        rustix::fs::chmod(beneath::path_of(&place), Mode::from_raw_mode((mode & 0o7777) | FILE))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn all_within_is_the_groups_and_nothing_else() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, outside) = (temp.path().join("v"), temp.path().join("outside"));
        std::fs::create_dir_all(dir.join("d")).unwrap();
        for path in [dir.join("f"), dir.join("d/g"), outside.clone()] {
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        std::os::unix::fs::symlink(&outside, dir.join("link")).unwrap();
        // tests may not run as root: their own group can be given
        let own = std::fs::metadata(&dir).unwrap().gid();
        give(&Dir::open(&dir).unwrap(), own, false).unwrap();
        let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().mode() & 0o7777;
        assert_eq!((mode(&dir.join("f")), mode(&dir.join("d/g")), mode(&outside)), (0o660, 0o660, 0o600));
        assert_eq!((mode(&dir) & DIRECTORY, mode(&dir.join("d")) & DIRECTORY), (DIRECTORY, DIRECTORY));
        std::fs::write(dir.join("late"), "").unwrap();
        std::fs::set_permissions(dir.join("late"), std::fs::Permissions::from_mode(0o600)).unwrap();
        give(&Dir::open(&dir).unwrap(), own, true).unwrap();
        assert_eq!(mode(&dir.join("late")), 0o600, "a root that is the group's is enough");
    }
}
