//! Removal of a directory with all that is in it, whatever that is: links aren't followed, mounts aren't entered, and no depth is too deep.
use super::{DIRECTORY, Dir, step};
use rustix::fs::{AtFlags, Mode, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Directories that are open at once. What is deeper is moved up before it is removed.
const DEPTH: usize = 64;

/// Entries that are remembered at once.
const AT_ONCE: usize = 1024;

/// Takes a directory away with all that is in it, or a file; what isn't there is fine.
///
/// # Errors
/// `EXDEV` for something that is mounted in there; what the kernel says otherwise.
pub fn remove(parent: &Dir, name: &OsStr) -> io::Result<()> {
    let name = step(name)?;
    match rustix::fs::unlinkat(parent, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    let top = enter(parent, name)?;
    empty(&top, &top, 0, &mut 0)?;
    Ok(rustix::fs::unlinkat(parent, name, AtFlags::REMOVEDIR)?)
}

/// Some after the other, until nothing is left: a directory may have any number, and what is moved up comes to the top one meanwhile.
fn empty(dir: &Dir, top: &Dir, depth: usize, moved: &mut u64) -> io::Result<()> {
    loop {
        let some = dir.some(AT_ONCE)?;
        if some.is_empty() {
            return Ok(());
        }
        for (name, _) in some {
            take(dir, &name, top, depth, moved)?;
        }
    }
}

fn take(dir: &Dir, name: &OsStr, top: &Dir, depth: usize, moved: &mut u64) -> io::Result<()> {
    match rustix::fs::unlinkat(dir, name, AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => return Ok(()),
        Err(Errno::ISDIR | Errno::PERM) => {}
        Err(e) => return Err(e.into()),
    }
    if depth < DEPTH {
        empty(&enter(dir, name)?, top, depth + 1, moved)?;
        return Ok(rustix::fs::unlinkat(dir, name, AtFlags::REMOVEDIR)?);
    }
    *moved += 1;
    Ok(rustix::fs::renameat(dir, name, top, free(top, *moved)?)?)
}

/// A name that nothing has.
fn free(top: &Dir, n: u64) -> io::Result<OsString> {
    for salt in 0_u32.. {
        let name = OsString::from(format!("..{n}-{salt}"));
        match rustix::fs::statat(top, &name, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(name),
            Err(e) => return Err(e.into()),
            Ok(_) => {}
        }
    }
    Err(Errno::EXIST.into())
}

/// Opens a directory of this one, if it is on the same mount.
fn enter(dir: &Dir, name: &OsStr) -> io::Result<Dir> {
    let flags = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
    match rustix::fs::openat2(dir, name, DIRECTORY, Mode::empty(), flags) {
        Ok(fd) => Ok(Dir(fd)),
        Err(Errno::NOSYS | Errno::PERM) => {
            let fd = rustix::fs::openat(dir, name, DIRECTORY, Mode::empty())?;
            if mount(&fd)? == mount(dir)? { Ok(Dir(fd)) } else { Err(Errno::XDEV.into()) }
        }
        Err(e) => Err(e.into()),
    }
}

/// Which mount a descriptor is on, in the kernel's words.
fn mount(fd: &impl AsFd) -> io::Result<String> {
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_fd().as_raw_fd()))?;
    info.lines().find_map(|line| line.strip_prefix("mnt_id:")).map(|id| id.trim().to_owned()).ok_or_else(|| Errno::NOSYS.into())
}

#[cfg(test)]
pub fn same_mount(a: &impl AsFd, b: &impl AsFd) -> bool {
    mount(a).unwrap() == mount(b).unwrap()
}
