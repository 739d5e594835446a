//! Files that a volume is to hold.
use super::owner::Access;
use super::setup::VolumeError;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::KeyToPath;
use std::collections::BTreeMap;
use std::path::{Component, Path};

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct File {
    /// What is in it.
    pub bytes: Vec<u8>,
    /// Its permissions.
    pub mode: u32,
    /// Its owner, where it isn't root.
    pub owner: Option<u32>,
}

/// All files of a volume, by path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Content {
    /// By path relative to the volume.
    pub files: BTreeMap<String, File>,
    /// When to make it again.
    pub refresh: Option<Timestamp>,
    /// How much was added.
    bytes: usize,
}

/// The most that a volume's files hold together: items may show one key many times.
const BYTES_MAX: usize = 64 << 20;
/// The most files of a volume.
const FILES_MAX: usize = 50_000;

/// The longest path of a file, as the kernel's limit.
const PATH_MAX: usize = 4095;
/// The most steps of a path.
const DEPTH_MAX: usize = 128;

/// `0644` where a volume doesn't say another.
pub const MODE: i32 = 0o644;

/// Whether a path is one below the volume. Names that begin with two dots are the writer's own.
pub fn is_inside(path: &str) -> bool {
    let normal = || Path::new(path).components().all(|c| matches!(c, Component::Normal(_))) && Path::new(path).components().count() <= DEPTH_MAX;
    !path.is_empty() && path.len() <= PATH_MAX && !path.starts_with("..") && !path.contains('\0') && normal()
}

impl Content {
    /// Adds a file.
    ///
    /// # Errors
    /// When the path leaves the volume.
    pub fn add(&mut self, path: &str, bytes: Vec<u8>, mode: i32) -> Result<(), VolumeError> {
        self.add_for(path, bytes, Access { mode, owner: None })
    }

    /// Adds a file with an owner.
    ///
    /// # Errors
    /// When the path leaves the volume.
    pub fn add_for(&mut self, path: &str, bytes: Vec<u8>, access: Access) -> Result<(), VolumeError> {
        if !is_inside(path) {
            return Err(VolumeError(format!("invalid path {path:?}: must be relative and must not contain '..'")));
        }
        self.bytes = self.bytes.saturating_add(bytes.len());
        if self.bytes > BYTES_MAX || self.files.len() >= FILES_MAX {
            return Err(VolumeError(format!("the volume's files are more than {FILES_MAX}, or more than {BYTES_MAX} bytes")));
        }
        self.files.insert(path.to_owned(), File { bytes, mode: u32::try_from(access.mode & 0o777).unwrap_or(0o644), owner: access.owner });
        Ok(())
    }

    /// Adds an object's entries, or those that `items` chooses. `data` is `None` when the object doesn't exist.
    ///
    /// # Errors
    /// In the kubelet's words, for what is missing and isn't optional.
    pub fn add_data(
        &mut self,
        what: (&str, &str, &str),
        data: Option<BTreeMap<String, Vec<u8>>>,
        items: Option<&[KeyToPath]>,
        optional: bool,
        mode: i32,
    ) -> Result<(), VolumeError> {
        let (kind, namespace, name) = what;
        let Some(data) = data else {
            return if optional { Ok(()) } else { Err(VolumeError(format!("{kind} \"{name}\" not found"))) };
        };
        let Some(items) = items.filter(|i| !i.is_empty()) else {
            return data.into_iter().try_for_each(|(key, bytes)| self.add(&key, bytes, mode));
        };
        for item in items {
            match data.get(&item.key) {
                Some(bytes) => self.add(&item.path, bytes.clone(), item.mode.unwrap_or(mode))?,
                None if optional => {}
                None => return Err(VolumeError(format!("{kind} {namespace}/{name} references non-existent {kind} key: {}", item.key))),
            }
        }
        Ok(())
    }
}
