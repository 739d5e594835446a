//! Replaces a volume's files all at once: they live in a directory of their own, `..data` points to it, and each name in the volume points through
//! `..data`. Moving that one link changes everything.
use super::VolumeError;
use super::content::{Content, File};
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

const DATA: &str = "..data";
const NEXT: &str = "..data_tmp";

/// Makes `dir` hold exactly these files. Does nothing when it does already.
pub fn write(dir: &Path, content: &Content, group: Option<u32>) -> Result<(), VolumeError> {
    replace(dir, content, group).map_err(|e| VolumeError::at(dir, &e))
}

fn replace(dir: &Path, content: &Content, group: Option<u32>) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    std::fs::set_permissions(dir, std::fs::Permissions::from_mode(0o755))?;
    let old = std::fs::read_link(dir.join(DATA)).ok();
    if old.as_ref().is_some_and(|old| holds(&dir.join(old), content)) {
        return Ok(());
    }
    let name = format!("..{}", uuid::Uuid::new_v4().simple());
    let fresh = dir.join(&name);
    std::fs::create_dir(&fresh)?;
    std::fs::set_permissions(&fresh, std::fs::Permissions::from_mode(0o755))?;
    for (path, file) in &content.files {
        put(&fresh.join(path), file, group)?;
    }
    let next = dir.join(NEXT);
    remove(&next)?;
    symlink(&name, &next)?;
    std::fs::rename(&next, dir.join(DATA))?;
    links(dir, content)?;
    old.map_or(Ok(()), |old| std::fs::remove_dir_all(dir.join(old)))
}

fn put(path: &Path, file: &File, group: Option<u32>) -> io::Result<()> {
    path.parent().map_or(Ok(()), std::fs::create_dir_all)?;
    let mut out = std::fs::OpenOptions::new().write(true).create_new(true).mode(file.mode).open(path)?;
    out.write_all(&file.bytes)?;
    let mode = if group.is_some() { file.mode | 0o040 } else { file.mode };
    out.set_permissions(std::fs::Permissions::from_mode(mode))?;
    chown(path, file.owner, group)
}

fn remove(path: &Path) -> io::Result<()> {
    std::fs::remove_file(path).or_else(|e| if e.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// The first step of each path is a link through `..data`; links whose step is gone go.
fn links(dir: &Path, content: &Content) -> io::Result<()> {
    let wanted: BTreeSet<&str> = content.files.keys().filter_map(|p| p.split('/').next()).collect();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let text = name.to_string_lossy();
        if !text.starts_with("..") && !wanted.contains(text.as_ref()) {
            remove(&dir.join(&name))?;
        }
    }
    for name in wanted {
        let link = dir.join(name);
        if link.symlink_metadata().is_err() {
            symlink(PathBuf::from(DATA).join(name), link)?;
        }
    }
    Ok(())
}

fn holds(dir: &Path, content: &Content) -> bool {
    let same = |(path, file): (&String, &File)| std::fs::read(dir.join(path)).is_ok_and(|bytes| bytes == file.bytes);
    count(dir).is_ok_and(|n| n == content.files.len()) && content.files.iter().all(same)
}

fn count(dir: &Path) -> io::Result<usize> {
    let mut n = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        n += if entry.file_type()?.is_dir() { count(&entry.path())? } else { 1 };
    }
    Ok(n)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn content(files: &[(&str, &str)]) -> Content {
        let mut content = Content::default();
        files.iter().for_each(|(path, text)| content.add(path, text.as_bytes().to_vec(), 0o644).unwrap());
        content
    }

    #[test]
    fn files_change_all_at_once_and_old_ones_go() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("v");
        write(&dir, &content(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        let first = std::fs::read_link(dir.join(DATA)).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("d/b")).unwrap(), "2");
        write(&dir, &content(&[("a", "1"), ("d/b", "2")]), None).unwrap();
        assert_eq!(std::fs::read_link(dir.join(DATA)).unwrap(), first, "the same content moves nothing");
        write(&dir, &content(&[("a", "3"), ("c", "4")]), None).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join("a")).unwrap(), "3");
        assert!(!dir.join("d").exists() && dir.join("c").exists() && !dir.join(first).exists());
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["../x", "/etc/passwd", "a/../../b", "", "..x"] {
            assert!(Content::default().add(path, Vec::new(), 0o644).is_err(), "{path}");
        }
    }
}
