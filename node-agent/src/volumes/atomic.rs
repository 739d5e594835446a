//! Replaces all files of a volume in one step. The files are in a directory of their own, the link `..data` points to it, and each name in the volume points
//! through `..data`. Replacing that one link changes everything.
//!
//! The content of the volume isn't trusted: every access is relative to its directory descriptor and follows no link.
use super::content::{Content, File};
use super::setup::VolumeError;
use crate::beneath::{self, Dir};
use rustix::fs::FileType;
use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::os::unix::fs::{PermissionsExt, fchown};
use std::path::{Component as Step, Path};

const DATA: &str = "..data";
const NEXT: &str = "..data_tmp";
const OPEN: u32 = 0o755;

/// Makes `dir` hold exactly these files. Does nothing when it does already.
pub fn write(dir: &Path, content: &Content, group: Option<u32>) -> Result<(), VolumeError> {
    replace(dir, content, group).map_err(|e| VolumeError::at(dir, &e))
}

fn replace(dir: &Path, content: &Content, group: Option<u32>) -> io::Result<()> {
    std::fs::create_dir_all(dir)?;
    let volume = Dir::open(dir)?;
    rustix::fs::fchmod(&volume, rustix::fs::Mode::from_raw_mode(OPEN))?;
    let old = current(&volume);
    if old.as_deref().and_then(|old| volume.sub(old).ok()).is_some_and(|old| holds(&old, content)) {
        return links(&volume, content);
    }
    let name = format!("..{}", uuid::Uuid::new_v4().simple());
    let placed = place(&volume, &name, content, group);
    if placed.is_err() {
        beneath::remove(&volume, name.as_ref())?;
    }
    placed?;
    links(&volume, content)?;
    // Also what an attempt before left behind.
    leftovers(&volume, &name)
}

/// The directory that `..data` leads to, where that is one of the volume.
fn current(volume: &Dir) -> Option<String> {
    let target = volume.link(DATA).ok()?;
    let name = target.to_str()?;
    (name.starts_with("..") && name.len() > 2 && !name.contains('/')).then(|| name.to_owned())
}

fn place(volume: &Dir, name: &str, content: &Content, group: Option<u32>) -> io::Result<()> {
    let fresh = volume.make(name, OPEN)?;
    for (path, file) in &content.files {
        put(&fresh, path, file, group)?;
    }
    beneath::remove(volume, NEXT.as_ref())?;
    volume.make_link(NEXT, name)?;
    volume.rename(NEXT, DATA)
}

/// The directory that a file's path is in, and its name there.
fn parent<'p>(top: &Dir, path: &'p str, make: bool) -> io::Result<(Option<Dir>, &'p OsStr)> {
    let mut steps: Vec<&OsStr> = Path::new(path).components().filter_map(|s| if let Step::Normal(name) = s { Some(name) } else { None }).collect();
    let last = steps.pop().ok_or(io::ErrorKind::InvalidInput)?;
    let mut at: Option<Dir> = None;
    for name in steps {
        let from = at.as_ref().unwrap_or(top);
        at = Some(if make { from.make(name, OPEN)? } else { from.sub(name)? });
    }
    Ok((at, last))
}

fn put(fresh: &Dir, path: &str, file: &File, group: Option<u32>) -> io::Result<()> {
    let (dir, name) = parent(fresh, path, true)?;
    let mut out = dir.as_ref().unwrap_or(fresh).create(name, file.mode)?;
    out.write_all(&file.bytes)?;
    let mode = if group.is_some() { file.mode | 0o440 } else { file.mode };
    fchown(&out, file.owner, group)?;
    out.set_permissions(std::fs::Permissions::from_mode(mode))
}

/// The first step of each path is a link through `..data`; links whose step is gone go. What isn't a link is somebody's `subPath`, and stays.
fn links(volume: &Dir, content: &Content) -> io::Result<()> {
    let wanted: BTreeSet<&str> = content.files.keys().filter_map(|p| p.split('/').next()).collect();
    let mut there = BTreeSet::new();
    for (name, kind) in volume.entries()? {
        match name.to_str() {
            Some(text) if text.starts_with("..") => {}
            Some(text) if wanted.contains(text) => drop(there.insert(text.to_owned())),
            _ if kind == FileType::Symlink => volume.unlink(&name)?,
            _ => {}
        }
    }
    wanted.into_iter().filter(|name| !there.contains(*name)).try_for_each(|name| volume.make_link(name, format!("{DATA}/{name}")))
}

fn leftovers(volume: &Dir, name: &str) -> io::Result<()> {
    let entries = volume.entries()?;
    let old = entries.iter().map(|(entry, _)| entry).filter(|e| e.to_string_lossy().starts_with("..") && *e != DATA && *e != name);
    old.into_iter().try_for_each(|entry| beneath::remove(volume, entry))
}

fn holds(dir: &Dir, content: &Content) -> bool {
    let same = |(path, file): (&String, &File)| -> io::Result<bool> {
        let (sub, name) = parent(dir, path, false)?;
        Ok(sub.as_ref().unwrap_or(dir).read(name, file.bytes.len() as u64)? == file.bytes)
    };
    count(dir).is_ok_and(|n| n == content.files.len()) && content.files.iter().all(|file| same(file).unwrap_or(false))
}

fn count(dir: &Dir) -> io::Result<usize> {
    let mut n = 0;
    for (name, kind) in dir.entries()? {
        n += if kind == FileType::Directory { count(&dir.sub(&name)?)? } else { 1 };
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

    fn names(dir: &Path) -> Vec<String> {
        let mut list: Vec<String> = dir.read_dir().unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).filter(|n| !n.starts_with("..")).collect();
        list.sort();
        list
    }

    /// What a container can leave in a volume that is written to as well, by all ways that lead out.
    #[test]
    fn nothing_that_is_planted_leads_out() {
        let temp = tempfile::tempdir().unwrap();
        let (dir, outside) = (temp.path().join("v"), temp.path().join("outside"));
        std::fs::create_dir_all(outside.join("a")).unwrap();
        std::fs::write(outside.join("keep"), "host").unwrap();
        for target in [outside.to_str().unwrap(), "../outside", "..", ".", "..x/../../outside"] {
            std::fs::remove_dir_all(&dir).ok();
            std::fs::create_dir(&dir).unwrap();
            for name in [DATA, NEXT, "..old", "a", "d"] {
                std::os::unix::fs::symlink(target, dir.join(name)).unwrap();
            }
            for text in ["1", "2"] {
                write(&dir, &content(&[("a", text), ("d/b", text)]), Some(0)).unwrap();
                assert_eq!(outside.read_dir().unwrap().count(), 2, "{target}");
                assert_eq!(std::fs::read_to_string(outside.join("keep")).unwrap(), "host");
                assert_eq!(std::fs::read_to_string(dir.join(DATA).join("d/b")).unwrap(), text);
            }
            assert_eq!(dir.read_dir().unwrap().filter(|e| e.as_ref().unwrap().file_name().to_str().unwrap().starts_with("..")).count(), 2, "{target}");
        }
        let pipe = dir.join(std::fs::read_link(dir.join(DATA)).unwrap()).join("a");
        std::fs::remove_file(&pipe).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        write(&dir, &content(&[("a", "2"), ("d/b", "2")]), None).unwrap();
        assert_eq!(std::fs::read_to_string(dir.join(DATA).join("a")).unwrap(), "2", "a FIFO is not waited for");
    }

    #[test]
    fn a_directory_for_a_sub_path_stays_and_nothing_is_left_behind() {
        let temp = tempfile::tempdir().unwrap();
        let dir = temp.path().join("v");
        write(&dir, &content(&[("a", "1")]), None).unwrap();
        std::fs::create_dir(dir.join("later")).unwrap();
        write(&dir, &content(&[("a", "2"), ("later", "x")]), None).unwrap();
        assert_eq!((names(&dir), std::fs::read_to_string(dir.join("a")).unwrap()), (vec!["a".into(), "later".into()], "2".to_owned()));
        // A file whose directory is a file can't be placed.
        for _ in 0..3 {
            write(&dir, &content(&[("a", "3"), ("a/b", "3")]), None).unwrap_err();
        }
        assert_eq!(std::fs::read_to_string(dir.join("a")).unwrap(), "2");
        assert_eq!(dir.read_dir().unwrap().count(), 4, "a, later, ..data and its directory");
    }

    #[test]
    fn paths_stay_inside() {
        for path in ["../x", "/etc/passwd", "a/../../b", "", "..x"] {
            assert!(Content::default().add(path, Vec::new(), 0o644).is_err(), "{path}");
        }
    }
}
