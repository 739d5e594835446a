//! `hostPath`, with its types.
use super::setup::VolumeError;
use k8s_openapi::api::core::v1::HostPathVolumeSource;
use std::fs::FileType;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Component, Path};

/// Checks or makes what its type says.
pub fn set_up(source: &HostPathVolumeSource) -> Result<(), VolumeError> {
    let path = Path::new(&source.path);
    if !path.is_absolute() || path.components().any(|c| matches!(c, Component::ParentDir)) {
        return Err(VolumeError(format!("hostPath {:?}: must be absolute and must not contain '..'", source.path)));
    }
    let kind = source.type_.as_deref().unwrap_or_default();
    let io = |e: std::io::Error| VolumeError::at(path, &e);
    match kind {
        "DirectoryOrCreate" if !path.exists() => {
            std::fs::create_dir_all(path).map_err(io)?;
            return std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).map_err(io);
        }
        "FileOrCreate" if !path.exists() => return std::fs::File::create(path).map(drop).map_err(io),
        _ => {}
    }
    type Check = (&'static str, fn(&FileType) -> bool);
    let wanted: Option<Check> = match kind {
        "Directory" | "DirectoryOrCreate" => Some(("directory", FileType::is_dir)),
        "File" | "FileOrCreate" => Some(("file", FileType::is_file)),
        "Socket" => Some(("socket", FileTypeExt::is_socket)),
        "CharDevice" => Some(("character device", FileTypeExt::is_char_device)),
        "BlockDevice" => Some(("block device", FileTypeExt::is_block_device)),
        _ => None,
    };
    let Some((name, is)) = wanted else {
        // Without a type nothing is checked; what isn't there becomes a directory, as container runtimes do.
        return if path.exists() { Ok(()) } else { std::fs::create_dir_all(path).map_err(io) };
    };
    let is_it = std::fs::metadata(path).is_ok_and(|m| is(&m.file_type()));
    if is_it { Ok(()) } else { Err(VolumeError(format!("hostPath type check failed: {} is not a {name}", source.path))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str, type_: &str| set_up(&HostPathVolumeSource { path: dir.path().join(name).display().to_string(), type_: Some(type_.into()) });
        assert!(at("a", "Directory").unwrap_err().0.ends_with("/a is not a directory"));
        assert_eq!(at("a", "DirectoryOrCreate"), Ok(()));
        assert_eq!(at("a", "Directory"), Ok(()));
        assert!(at("a", "File").is_err());
        assert_eq!(at("f", "FileOrCreate"), Ok(()));
        assert_eq!(at("f", "File"), Ok(()));
        assert!(at("f", "Socket").is_err());
        assert_eq!(at("anything", ""), Ok(()));
        for path in ["", "relative", "../x", "/a/../b"] {
            assert!(set_up(&HostPathVolumeSource { path: path.into(), type_: Some("DirectoryOrCreate".into()) }).is_err(), "{path}");
        }
    }
}
