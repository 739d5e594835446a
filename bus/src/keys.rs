//! The nkeys by which processes prove who they are. A seed is a secret: its file is readable by its owner only.
use nkeys::KeyPair;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file can't be read or written.
    #[error("the key file {path} can't be {what}: {source}; check the directory's owner and free space")]
    File {
        /// Which file.
        path: PathBuf,
        /// `read` or `written`.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{path} doesn't hold the seed of a NATS user: {why}; remove it to have a new key made")]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// Why.
        why: String,
    },
}

/// A user's key.
pub struct Key {
    pair: KeyPair,
}

impl Key {
    /// A new one.
    pub fn generate() -> Self {
        Self { pair: KeyPair::new_user() }
    }

    /// From its seed (`SU…`).
    ///
    /// # Errors
    /// The reason in words when it isn't one.
    pub fn from_seed(seed: &str) -> Result<Self, String> {
        let pair = KeyPair::from_seed(seed.trim()).map_err(|e| e.to_string())?;
        if pair.public_key().starts_with('U') { Ok(Self { pair }) } else { Err("it is no user's key".to_owned()) }
    }

    /// The key in this file; made and written there (mode 0600) where there is none.
    ///
    /// # Errors
    /// [`KeyError`] when the file can't be read, written or understood.
    pub fn load_or_create(path: &Path) -> Result<Self, KeyError> {
        match fs::read_to_string(path) {
            Ok(text) => Self::from_seed(&text).map_err(|why| KeyError::Malformed { path: path.to_owned(), why }),
            Err(e) if e.kind() == io::ErrorKind::NotFound => {
                let key = Self::generate();
                let written = key.seed().and_then(|seed| write_private(path, format!("{seed}\n").as_bytes()));
                written.map_err(|source| KeyError::File { path: path.to_owned(), what: "written", source })?;
                Ok(key)
            }
            Err(source) => Err(KeyError::File { path: path.to_owned(), what: "read", source }),
        }
    }

    /// What servers know it by (`U…`).
    pub fn public(&self) -> String {
        self.pair.public_key()
    }

    /// The secret.
    ///
    /// # Errors
    /// When the key holds none.
    pub fn seed(&self) -> io::Result<String> {
        self.pair.seed().map_err(io::Error::other)
    }
}

/// Writes a file that only its owner may read, whole or not at all.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent)?;
    let beside = path.with_extension(format!("{}.tmp", std::process::id()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_is_made_once_and_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("keys/agent.nk");
        let made = Key::load_or_create(&path).unwrap();
        assert_eq!(Key::load_or_create(&path).unwrap().public(), made.public());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(Key::load_or_create(&path), Err(KeyError::Malformed { .. })));
        assert!(matches!(Key::load_or_create(dir.path()), Err(KeyError::File { what: "read", .. })));
    }
}
