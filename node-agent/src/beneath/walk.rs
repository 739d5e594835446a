//! What `openat2` does with `RESOLVE_BENEATH`, step by step, for kernels that don't have it.
use rustix::fs::{FileType, Mode, OFlags};
use rustix::io::Errno;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// How what may be anything is opened: nothing happens to it, and a FIFO isn't waited for.
pub const PLACE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);
/// Links that one way may have, as the kernel's own limit.
const LINKS: usize = 40;
/// Directories that one way may be deep; each is a descriptor.
const DEPTH: usize = 256;

/// What is still to be walked, the next step last.
fn push(steps: &mut Vec<OsString>, path: &Path) -> io::Result<()> {
    let mut parts = Vec::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => parts.push(name.to_owned()),
            Component::ParentDir => parts.push("..".into()),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return Err(Errno::XDEV.into()),
        }
    }
    steps.extend(parts.into_iter().rev());
    Ok(())
}

/// What a path in the directory `root` leads to. The way is held open: going back is to where it came from, whatever somebody renames meanwhile.
pub fn resolve(root: &impl AsFd, path: &Path) -> io::Result<OwnedFd> {
    let mut way = vec![rustix::fs::openat(root, ".", PLACE, Mode::empty())?];
    let (mut steps, mut links) = (Vec::new(), 0);
    push(&mut steps, path)?;
    while let Some(name) = steps.pop() {
        if name == ".." {
            way.pop();
            if way.is_empty() {
                return Err(Errno::XDEV.into());
            }
            continue;
        }
        let here = way.last().ok_or(Errno::XDEV)?;
        let next = rustix::fs::openat(here, &name, PLACE | OFlags::NOFOLLOW, Mode::empty())?;
        if FileType::from_raw_mode(rustix::fs::fstat(&next)?.st_mode) == FileType::Symlink {
            links += 1;
            if links > LINKS {
                return Err(Errno::LOOP.into());
            }
            push(&mut steps, &target(&next)?)?;
        } else {
            way.push(next);
            if way.len() > DEPTH {
                return Err(Errno::NAMETOOLONG.into());
            }
        }
    }
    way.pop().ok_or_else(|| Errno::XDEV.into())
}

/// Of the link that the descriptor is open on.
fn target(link: &impl AsFd) -> io::Result<PathBuf> {
    Ok(OsString::from_vec(rustix::fs::readlinkat(link, "", Vec::new())?.into_bytes()).into())
}
