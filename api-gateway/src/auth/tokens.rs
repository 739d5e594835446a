//! Bearer tokens: those of a file, and those of service accounts.
use model::ApiError;
use sha2::{Digest, Sha256};
use state_client::User;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Why a file of tokens can't be used.
#[derive(Debug, thiserror::Error)]
pub enum TokenFileError {
    /// It can't be read.
    #[error("cannot read the token file {path}: {source}")]
    Read {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A line isn't `token,user,uid[,"group1,group2"]`.
    #[error("line {line} of the token file {path} is not token,user,uid,\"group1,group2\"")]
    Line {
        /// Which file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
    },
}

type Hash = [u8; 32];

fn hash(token: &str) -> Hash {
    Sha256::digest(token.as_bytes()).into()
}

/// Static tokens by their hash, so that a lookup's time tells nothing about them.
#[derive(Default)]
pub struct StaticTokens(HashMap<Hash, User>);

impl StaticTokens {
    /// Reads Kubernetes' token file: one `token,user,uid,"group1,group2"` a line.
    ///
    /// # Errors
    /// [`TokenFileError`].
    pub fn read(path: &Path) -> Result<Self, TokenFileError> {
        let text = std::fs::read_to_string(path).map_err(|source| TokenFileError::Read { path: path.to_owned(), source })?;
        Self::parse(&text).map_err(|line| TokenFileError::Line { path: path.to_owned(), line })
    }

    fn parse(text: &str) -> Result<Self, usize> {
        let mut all = HashMap::new();
        for (n, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
            let (token, user) = token_line(line).ok_or(n + 1)?;
            all.insert(hash(token), user);
        }
        Ok(Self(all))
    }

    fn get(&self, token: &str) -> Option<&User> {
        self.0.get(&hash(token))
    }
}

fn token_line(line: &str) -> Option<(&str, User)> {
    let mut fields = line.splitn(4, ',').map(str::trim);
    let (token, name, uid) = (fields.next()?, fields.next()?, fields.next()?);
    if token.is_empty() || name.is_empty() {
        return None;
    }
    let groups = fields.next().unwrap_or_default().trim_matches('"').split(',').map(str::trim).filter(|g| !g.is_empty()).map(str::to_owned).collect();
    Some((token, User { name: name.to_owned(), uid: uid.to_owned(), groups, ..User::default() }))
}

/// All that knows bearer tokens.
pub struct Tokens {
    fixed: StaticTokens,
}

impl Tokens {
    /// These static tokens.
    pub fn new(fixed: StaticTokens) -> Self {
        Self { fixed }
    }

    /// Whose token this is.
    ///
    /// # Errors
    /// 401 when it is nobody's, or no longer valid.
    pub async fn user(&self, token: &str) -> Result<User, ApiError> {
        self.fixed.get(token).cloned().ok_or_else(ApiError::unauthorized)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files() {
        let tokens = StaticTokens::parse("# ours\nabc,alice,1,\"dev, ops\"\n\ndef,bob,2\n").unwrap();
        assert_eq!(tokens.get("abc").unwrap().groups, ["dev", "ops"]);
        assert_eq!(tokens.get("def").unwrap().name, "bob");
        assert!(tokens.get("").is_none());
        assert_eq!(StaticTokens::parse("x,y,1\nz\n").err(), Some(2));
    }
}
