//! File access below a directory that an untrusted process may write. No symbolic link, `..` or mount in it can lead outside, because each step is opened
//! relative to a directory descriptor.
mod remove;
mod walk;

pub use remove::remove;

use rustix::fs::{AtFlags, FileType, Mode, OFlags, ResolveFlags};
use rustix::io::Errno;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// How a directory is opened that must be one.
const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// The most entries of a directory that is listed as a whole.
const ENTRIES_MAX: usize = 200_000;
/// How often a way is looked for again that somebody changes meanwhile.
const TRIES: usize = 16;

/// A directory. Names are single steps; links are never followed, but by [`Dir::resolve`].
#[derive(Debug)]
pub struct Dir(OwnedFd);

impl AsFd for Dir {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A name that is one step.
fn step(name: &OsStr) -> io::Result<&OsStr> {
    let mut steps = Path::new(name).components();
    match (steps.next(), steps.next()) {
        (Some(std::path::Component::Normal(only)), None) if only == name => Ok(name),
        _ => Err(Errno::INVAL.into()),
    }
}

impl Dir {
    /// A directory of the agent's own, which nobody else can put a link in the place of.
    pub fn open(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, DIRECTORY, Mode::empty())?))
    }

    /// The same where its path may be a link of the node's.
    pub fn open_following(path: &Path) -> io::Result<Self> {
        Ok(Self(rustix::fs::open(path, DIRECTORY.difference(OFlags::NOFOLLOW), Mode::empty())?))
    }

    /// A directory in this one.
    pub fn sub(&self, name: impl AsRef<OsStr>) -> io::Result<Self> {
        Ok(Self(rustix::fs::openat(self, step(name.as_ref())?, DIRECTORY, Mode::empty())?))
    }

    /// The same, made with these permissions where it is missing.
    pub fn make(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<Self> {
        let name = step(name.as_ref())?;
        match rustix::fs::mkdirat(self, name, Mode::from_raw_mode(mode)) {
            Ok(()) => {
                let made = self.sub(name)?;
                // The process' mask counts when it is made.
                rustix::fs::fchmod(&made, Mode::from_raw_mode(mode))?;
                Ok(made)
            }
            Err(Errno::EXIST) => self.sub(name),
            Err(e) => Err(e.into()),
        }
    }

    /// A new file; nothing may be there.
    pub fn create(&self, name: impl AsRef<OsStr>, mode: u32) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(self, step(name.as_ref())?, flags, Mode::from_raw_mode(mode))?.into())
    }

    /// What a regular file holds, as long as it is no longer than `most`.
    pub fn read(&self, name: impl AsRef<OsStr>, most: u64) -> io::Result<Vec<u8>> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        whole(&rustix::fs::openat(self, step(name.as_ref())?, flags, Mode::empty())?.into(), most)
    }

    /// Where a link leads, as it is written.
    pub fn link(&self, name: impl AsRef<OsStr>) -> io::Result<PathBuf> {
        use std::os::unix::ffi::OsStringExt;
        let target = rustix::fs::readlinkat(self, step(name.as_ref())?, Vec::new())?;
        Ok(OsString::from_vec(target.into_bytes()).into())
    }

    /// Makes a link.
    pub fn make_link(&self, name: impl AsRef<OsStr>, target: impl AsRef<Path>) -> io::Result<()> {
        Ok(rustix::fs::symlinkat(target.as_ref(), self, step(name.as_ref())?)?)
    }

    /// Gives something another name, in place of what has that.
    pub fn rename(&self, from: impl AsRef<OsStr>, to: impl AsRef<OsStr>) -> io::Result<()> {
        Ok(rustix::fs::renameat(self, step(from.as_ref())?, self, step(to.as_ref())?)?)
    }

    /// Takes away what isn't a directory; what isn't there is fine.
    pub fn unlink(&self, name: impl AsRef<OsStr>) -> io::Result<()> {
        match rustix::fs::unlinkat(self, step(name.as_ref())?, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    /// Its permissions, with the bits for set-user-id and the like.
    pub fn mode(&self) -> io::Result<u32> {
        Ok(rustix::fs::fstat(self)?.st_mode & 0o7777)
    }

    /// What is in it, with what each entry says it is.
    ///
    /// # Errors
    /// When there is more than one would believe.
    pub fn entries(&self) -> io::Result<Vec<(OsString, FileType)>> {
        let list = self.some(ENTRIES_MAX + 1)?;
        if list.len() > ENTRIES_MAX { Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("there are more than {ENTRIES_MAX} files"))) } else { Ok(list) }
    }

    /// At most so much of what is in it.
    fn some(&self, most: usize) -> io::Result<Vec<(OsString, FileType)>> {
        use std::os::unix::ffi::OsStrExt;
        let mut list = Vec::new();
        for entry in rustix::fs::Dir::read_from(self)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());
            if name != "." && name != ".." {
                list.push((name.to_owned(), entry.file_type()));
            }
            if list.len() == most {
                break;
            }
        }
        Ok(list)
    }

    /// What a path in this directory leads to; links are followed as far as they stay in it.
    ///
    /// # Errors
    /// `EXDEV` where the way leaves the directory; what the kernel says otherwise.
    pub fn resolve(&self, path: &Path) -> io::Result<OwnedFd> {
        let flags = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS;
        for _ in 0..TRIES {
            match rustix::fs::openat2(self, path, walk::PLACE, Mode::empty(), flags) {
                Ok(fd) => return Ok(fd),
                // Somebody renames what is on the way.
                Err(Errno::AGAIN | Errno::INTR) => {}
                // An older kernel, or a filter that doesn't know the call.
                Err(Errno::NOSYS | Errno::PERM) => return walk::resolve(self, path),
                Err(e) => return Err(e.into()),
            }
        }
        Err(Errno::AGAIN.into())
    }

    /// The same; directories that are missing are made on the way, with these permissions.
    ///
    /// # Errors
    /// As [`Dir::resolve`].
    pub fn resolve_or_make(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        match self.resolve(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.make_all(path, mode),
            other => other,
        }
    }

    fn make_all(&self, path: &Path, mode: u32) -> io::Result<OwnedFd> {
        let mut done = PathBuf::new();
        let mut parent = self.resolve(Path::new("."))?;
        for part in path.components() {
            let std::path::Component::Normal(name) = part else { continue };
            done.push(name);
            parent = match self.resolve(&done) {
                Err(e) if e.kind() == io::ErrorKind::NotFound => Self(parent).make(name, mode)?.0,
                other => other?,
            };
        }
        Ok(parent)
    }
}

/// A path to what a descriptor is open on, for calls that take no descriptor.
pub fn path_of(fd: &impl AsFd) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", fd.as_fd().as_raw_fd()))
}

fn regular(file: &File) -> io::Result<u64> {
    let meta = file.metadata()?;
    if meta.is_file() { Ok(meta.len()) } else { Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file")) }
}

fn open(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    Ok(rustix::fs::open(path, flags, Mode::empty())?.into())
}

fn whole(file: &File, most: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if regular(file)? > most || file.take(most.saturating_add(1)).read_to_end(&mut bytes)? as u64 > most {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("it is longer than {most} bytes")));
    }
    Ok(bytes)
}

/// The same of what was resolved before.
pub fn read_place(place: &impl AsFd, most: u64) -> io::Result<Vec<u8>> {
    let kind = FileType::from_raw_mode(rustix::fs::fstat(place)?.st_mode);
    if kind != FileType::RegularFile {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no regular file"));
    }
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    whole(&rustix::fs::open(path_of(place), flags, Mode::empty())?.into(), most)
}

/// What a regular file holds, as long as it is no longer than `most`. Its name is no link, its directory the agent's own.
pub fn read(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    whole(&open(path)?, most)
}

/// The last bytes of a regular file, and whether there are more before them.
pub fn read_end(path: &Path, most: u64) -> io::Result<(Vec<u8>, bool)> {
    let mut file = open(path)?;
    let from = regular(&file)?.saturating_sub(most);
    file.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    file.take(most).read_to_end(&mut bytes)?;
    Ok((bytes, from > 0))
}

#[cfg(test)]
mod tests;
