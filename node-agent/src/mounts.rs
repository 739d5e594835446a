//! Finds the mounts below one of the agent's directories in the kernel's mount table, and unmounts them.
use nix::errno::Errno;
use nix::mount::{MntFlags, umount2};
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

const DETACH: MntFlags = MntFlags::MNT_DETACH.union(MntFlags::UMOUNT_NOFOLLOW);

/// Unmounts what is mounted below a directory, and on it where `itself`; the last mounted first. Links are not followed.
///
/// # Errors
/// What the kernel says.
pub fn unmount_below(dir: &Path, itself: bool) -> io::Result<()> {
    let dir = dir.canonicalize()?;
    let table = std::fs::read("/proc/self/mountinfo")?;
    let below: Vec<PathBuf> = targets(&table).filter(|p| p.starts_with(&dir) && (itself || *p != dir)).collect();
    below.iter().rev().try_for_each(|mounted| Ok(umount2(mounted, DETACH)?))
}

/// Unmounts all that is mounted on just this place; nothing, or no such place, is fine.
///
/// # Errors
/// What the kernel says.
pub fn unmount(place: &Path) -> io::Result<()> {
    loop {
        match umount2(place, DETACH) {
            Ok(()) => {}
            Err(Errno::EINVAL | Errno::ENOENT) => return Ok(()),
            Err(e) => return Err(e.into()),
        }
    }
}

/// The mount points, in the order in which they were mounted.
pub fn targets(table: &[u8]) -> impl Iterator<Item = PathBuf> {
    table.split(|b| *b == b'\n').filter_map(|line| line.split(|b| *b == b' ').nth(4)).map(unescaped)
}

/// Spaces and the like stand in the table as `\040`.
fn unescaped(text: &[u8]) -> PathBuf {
    let (mut out, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some((first, after)) = rest.split_first() {
        let code = after.first_chunk::<3>().filter(|_| *first == b'\\').and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(byte) => {
                out.push(byte);
                rest = after.get(3..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    OsString::from_vec(out).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_read_as_they_are() {
        let table = b"21 1 0:1 / / rw - ext4 x rw\n22 21 0:2 / /a\\040b\\134\\012/\xff rw shared:5 - tmpfs x rw\nnonsense\n";
        let want = [PathBuf::from("/"), OsString::from_vec(b"/a b\\\n/\xff".to_vec()).into()];
        assert_eq!(targets(table).collect::<Vec<_>>(), want);
    }
}
