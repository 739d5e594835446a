//! Encodes untrusted strings as path components. Names from the API, the runtime or the node's disk are never used as a path directly.
use sha2::{Digest, Sha256};
use std::ffi::OsStr;
use std::fmt::{self, Write};
use std::path::Path;

/// The longest step that is written out; the kernel takes 255 bytes, and a suffix may follow.
const LONGEST: usize = 200;
/// Begins a step that stands for a string that is too long; no encoded string begins so.
const HASHED: &str = "%-";
/// Stands for the empty string; no encoded string is so short.
const EMPTY: &str = "%";

/// One step of a path, made of any string: never empty, never `.` or `..`, without a slash, and short enough for a file's name. Different strings are
/// different steps. Kubernetes' names stay as they are; other bytes are written as `%XX`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Component(String);

impl Component {
    /// Of a name.
    pub fn of(name: &str) -> Self {
        let encoded = encode(name);
        Self(if encoded.len() > LONGEST { hashed(&[name]) } else { encoded })
    }

    /// Of several names, with `_` between them.
    pub fn joined(names: &[&str]) -> Self {
        let encoded: Vec<String> = names.iter().map(|name| encode(name)).collect();
        let text = encoded.join("_");
        Self(if text.len() > LONGEST { hashed(names) } else { text })
    }

    /// The same with an ending of the agent's own: `.json`.
    #[must_use]
    pub fn with(mut self, ending: &'static str) -> Self {
        self.0.push_str(ending);
        self
    }

    /// The name that a file or directory of the agent's was made for; `None` for what isn't one, or was too long to be told.
    pub fn name(file: &OsStr) -> Option<String> {
        let text = file.to_str()?;
        let name = decode(text)?;
        (encode(&name) == text).then_some(name)
    }

    /// As text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl AsRef<Path> for Component {
    fn as_ref(&self) -> &Path {
        self.0.as_ref()
    }
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes that stand for themselves. `_` joins names and `%` begins an encoded byte; a dot at the beginning would hide a file, or be `.` or `..`.
fn plain(byte: u8, first: bool) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || (byte == b'.' && !first)
}

fn encode(name: &str) -> String {
    if name.is_empty() {
        return EMPTY.to_owned();
    }
    let mut out = String::with_capacity(name.len());
    for (i, byte) in name.bytes().enumerate() {
        if plain(byte, i == 0) {
            out.push(char::from(byte));
        } else {
            push_hex(&mut out, byte);
        }
    }
    out
}

fn push_hex(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).map_or('0', |d| char::from(*d));
    out.push('%');
    out.push(digit(byte >> 4));
    out.push(digit(byte & 15));
}

fn decode(text: &str) -> Option<String> {
    if text == EMPTY {
        return Some(String::new());
    }
    let (mut bytes, mut rest) = (Vec::with_capacity(text.len()), text);
    while let Some(at) = rest.find('%') {
        bytes.extend_from_slice(rest.get(..at)?.as_bytes());
        bytes.push(u8::from_str_radix(rest.get(at + 1..at + 3)?, 16).ok()?);
        rest = rest.get(at + 3..)?;
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8(bytes).ok()
}

/// Lengths are part of what is hashed: the borders between names count.
fn hashed(names: &[&str]) -> String {
    let mut hash = Sha256::new();
    for name in names {
        hash.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_le_bytes());
        hash.update(name.as_bytes());
    }
    hash.finalize().iter().fold(HASHED.to_owned(), |mut out, byte| {
        // Writing to a String can't fail.
        if write!(out, "{byte:02x}").is_err() {
            out.clear();
        }
        out
    })
}

#[cfg(test)]
mod tests;
