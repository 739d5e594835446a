//! Writes files that must survive the loss of power, or (without a sync) the death of the agent.
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Puts a file in place, wholly or not at all, and on the disk before it returns. Its directory is made where it is missing; only its owner may read it.
///
/// # Errors
/// What the disk says.
pub fn keep(path: &Path, bytes: &[u8]) -> io::Result<()> {
    place(path, bytes, File::sync_all)?;
    File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// The same for what may be lost with the machine's power, but not with the agent.
///
/// # Errors
/// What the disk says.
pub fn note(path: &Path, bytes: &[u8]) -> io::Result<()> {
    place(path, bytes, |_| Ok(()))
}

fn place(path: &Path, bytes: &[u8], settle: impl FnOnce(&File) -> io::Result<()>) -> io::Result<()> {
    std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
    let mut next = path.as_os_str().to_owned();
    next.push(".new");
    let mut file = std::fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(bytes)?;
    settle(&file)?;
    std::fs::rename(&next, path)
}

/// Takes a file away; one that isn't there is fine.
///
/// # Errors
/// What the disk says.
pub fn forget(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_replaced_and_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b");
        for text in ["one", "two"] {
            for put in [keep, note] {
                put(&path, text.as_bytes()).unwrap();
                assert_eq!(std::fs::read_to_string(&path).unwrap(), text);
            }
        }
        forget(&path).unwrap();
        forget(&path).unwrap();
        assert_eq!(dir.path().join("a").read_dir().unwrap().count(), 0);
    }
}
