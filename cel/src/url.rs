//! URLs as `net/url` of Go reads them in `ParseRequestURI`, which is what Kubernetes takes for a URL.
use crate::error::EvalError;
use std::collections::BTreeMap;

/// A URL: absolute, or the path of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `https`.
    pub scheme: Box<str>,
    /// `example.com:80`, without a user.
    pub host: Box<str>,
    /// The path as it was written, with what must be escaped escaped.
    pub path: Box<str>,
    /// What stands behind the question mark.
    pub query: Box<str>,
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'))
}

fn escapes_hold(text: &str) -> bool {
    text.split('%').skip(1).all(|part| part.as_bytes().get(..2).is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit)))
}

impl Url {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, EvalError> {
        let invalid = |why: &str| EvalError::value(format!("URL parse error during conversion from string: parse {text:?}: {why}"));
        if text.is_empty() {
            return Err(invalid("empty url"));
        }
        if text.bytes().any(|b| b < 0x20 || b == 0x7f) {
            return Err(invalid("net/url: invalid control character in URL"));
        }
        let (scheme, rest) = match text.split_once(':') {
            Some((scheme, rest)) if is_scheme(scheme) => (scheme, rest),
            Some(("", _)) => return Err(invalid("missing protocol scheme")),
            _ => ("", text),
        };
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        if !rest.starts_with('/') && scheme.is_empty() {
            return Err(invalid("invalid URI for request"));
        }
        if !rest.starts_with('/') {
            // an opaque one, such as mailto:
            return Err(invalid("invalid URI for request"));
        }
        let (authority, path) = match rest.strip_prefix("//").filter(|_| !scheme.is_empty()) {
            Some(rest) => rest.split_at(rest.find('/').unwrap_or(rest.len())),
            None => ("", rest),
        };
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        if !is_host(host) {
            return Err(invalid("invalid host in URL"));
        }
        if !escapes_hold(path) {
            return Err(invalid("invalid URL escape"));
        }
        Ok(Self { scheme: scheme.to_ascii_lowercase().into(), host: host.into(), path: escaped(path).into(), query: query.into() })
    }

    /// The host without its port and brackets.
    pub fn hostname(&self) -> &str {
        let host = match self.host.rfind(':') {
            Some(at) if !self.host.get(at..).unwrap_or_default().contains(']') => self.host.get(..at).unwrap_or_default(),
            _ => &*self.host,
        };
        host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
    }

    /// The port.
    pub fn port(&self) -> &str {
        let behind = self.host.rsplit_once(':').map_or("", |(_, port)| port);
        if behind.contains(']') { "" } else { behind }
    }

    /// The parameters of the query, each with all its values.
    pub fn parameters(&self) -> BTreeMap<String, Vec<String>> {
        let mut out: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for part in self.query.split('&').filter(|part| !part.is_empty() && !part.contains(';') && escapes_hold(part)) {
            let (key, value) = part.split_once('=').unwrap_or((part, ""));
            out.entry(unescaped(key)).or_default().push(unescaped(value));
        }
        out
    }
}

fn is_host(host: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b >= 0x80 || b"-_.~!$&'()*+,;=%:[]<>\"".contains(&b);
    let behind = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((_, behind)) => behind,
            None => return false,
        },
        None => host.find(':').map_or("", |at| host.get(at..).unwrap_or_default()),
    };
    let port = behind.is_empty() || behind.strip_prefix(':').is_some_and(|port| port.bytes().all(|b| b.is_ascii_digit()));
    host.bytes().all(allowed) && escapes_hold(host) && port
}

fn escaped(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~$&+,/:;=@%!'()*[]".contains(&byte) {
            out.push(byte.into());
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}

fn unescaped(text: &str) -> String {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        match byte {
            b'+' => out.push(b' '),
            b'%' => {
                let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).unwrap_or_default();
                let code = digit(bytes.next()) * 16 + digit(bytes.next());
                out.push(u8::try_from(code).unwrap_or_default());
            }
            other => out.push(other),
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}
