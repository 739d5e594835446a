//! The nkeys by which processes prove who they are. A seed is a secret: its file is readable by its owner only.
use crate::nats::Pin;
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
pub struct NatsKey {
    pair: KeyPair,
}

impl NatsKey {
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

/// What a key file's line begins with that says by which CA the server is known.
const AUTHORITY: &str = "ca-sha256:";

/// What a key file holds: the seed of a caller's key; on lines of their own, for `state` that of the key by which it answers, and the digest of the CA by
/// which the server is known.
pub struct KeyFile {
    /// The caller's key.
    pub own: NatsKey,
    /// The key of the connection on which replies leave, which may publish to inboxes and streams only.
    pub replies: Option<NatsKey>,
    /// The SHA-256 digest of the CA's certificate, where the server speaks TLS.
    pub authority: Option<[u8; 32]>,
}

impl KeyFile {
    /// New keys.
    pub fn generate(replies: bool) -> Self {
        Self { own: NatsKey::generate(), replies: replies.then(NatsKey::generate), authority: None }
    }

    /// From a file's text.
    ///
    /// # Errors
    /// The reason in words when it holds something else.
    pub fn parse(text: &str) -> Result<Self, String> {
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let (authorities, seeds): (Vec<&str>, Vec<&str>) = lines.partition(|line| line.starts_with(AUTHORITY));
        let digest = |line: &&str| Pin::from_hex(line.trim_start_matches(AUTHORITY)).ok_or("what it says of the CA is no digest");
        let authority = authorities.first().map(digest).transpose()?;
        let mut seeds = seeds.into_iter().map(NatsKey::from_seed);
        let own = seeds.next().ok_or("it is empty")??;
        let replies = seeds.next().transpose()?;
        if seeds.next().is_some() { Err("it holds more than two seeds".to_owned()) } else { Ok(Self { own, replies, authority }) }
    }

    /// As it stands in the file.
    ///
    /// # Errors
    /// When a key holds no seed.
    pub fn text(&self) -> io::Result<String> {
        let replies = self.replies.as_ref().map(NatsKey::seed).transpose()?;
        let authority = self.authority.map(|digest| format!("{AUTHORITY}{}", Pin::hex(&digest)));
        Ok([Some(self.own.seed()?), replies, authority].into_iter().flatten().fold(String::new(), |text, seed| text + &seed + "\n"))
    }

    /// The keys in this file.
    ///
    /// # Errors
    /// [`KeyError`] when the file can't be read or understood.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = fs::read_to_string(path).map_err(|source| KeyError::File { path: path.to_owned(), what: "read", source })?;
        Self::parse(&text).map_err(|why| KeyError::Malformed { path: path.to_owned(), why })
    }

    /// The keys in this file; what is missing of them is made and written there (mode 0600).
    ///
    /// # Errors
    /// [`KeyError`] when the file can't be read, written or understood.
    pub fn load_or_create(path: &Path, replies: bool) -> Result<Self, KeyError> {
        let mut keys = match Self::load(path) {
            Err(KeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Self::generate(replies),
            Ok(keys) if keys.replies.is_some() || !replies => return Ok(keys),
            loaded => loaded?,
        };
        if replies && keys.replies.is_none() {
            keys.replies = Some(NatsKey::generate());
        }
        keys.write(path)?;
        Ok(keys)
    }

    /// Writes the file, readable by its owner only.
    ///
    /// # Errors
    /// [`KeyError::File`].
    pub fn write(&self, path: &Path) -> Result<(), KeyError> {
        let written = self.text().and_then(|text| write_private(path, text.as_bytes()));
        written.map_err(|source| KeyError::File { path: path.to_owned(), what: "written", source })
    }
}

/// Whether a text is the public half of a user's key.
pub fn is_public(text: &str) -> bool {
    text.starts_with('U') && KeyPair::from_public_key(text).is_ok()
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// What the file system says.
pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let parent = path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut directories = fs::DirBuilder::new();
    directories.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut directories, 0o700);
    directories.create(parent)?;
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
        let made = KeyFile::load_or_create(&path, false).unwrap();
        assert_eq!(KeyFile::load_or_create(&path, false).unwrap().own.public(), made.own.public());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(KeyFile::load_or_create(&path, false), Err(KeyError::Malformed { .. })));
        assert!(matches!(KeyFile::load_or_create(dir.path(), false), Err(KeyError::File { what: "read", .. })));
    }

    #[test]
    fn the_key_of_replies_is_added_to_a_file_that_lacks_it() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.nk");
        let before = KeyFile::load_or_create(&path, false).unwrap();
        let after = KeyFile::load_or_create(&path, true).unwrap();
        assert!(before.replies.is_none());
        let replies = after.replies.as_ref().map(NatsKey::public).unwrap();
        let again = KeyFile::load_or_create(&path, false).unwrap();
        assert_eq!((again.own.public(), again.replies.map(|k| k.public())), (before.own.public(), Some(replies.clone())));
        assert_ne!(replies, before.own.public());
    }

    #[test]
    fn a_file_says_by_which_authority_the_server_is_known() {
        let keys = KeyFile { authority: Some([0xa7; 32]), ..KeyFile::generate(true) };
        let text = keys.text().unwrap();
        let back = KeyFile::parse(&text).unwrap();
        assert_eq!((back.own.public(), back.authority), (keys.own.public(), keys.authority));
        assert!(KeyFile::parse(&text.replace("a7a7", "xx")).is_err());
    }

    #[test]
    fn public_keys_are_told_from_others() {
        let key = NatsKey::generate();
        assert!(is_public(&key.public()) && !is_public(&key.seed().unwrap()) && !is_public("U") && !is_public("") && !is_public("../U"));
    }
}
