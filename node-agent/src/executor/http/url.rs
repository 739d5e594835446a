//! Where a request goes, as Go's net/url reads and writes it: what Kubernetes sends for a path is what servers expect.
use percent_encoding::{AsciiSet, CONTROLS, NON_ALPHANUMERIC, percent_encode, utf8_percent_encode};
use std::fmt;

/// Where a request goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Url {
    /// `https`, otherwise `http`.
    pub tls: bool,
    /// Host and, where it is given, port; an IPv6 address is in brackets.
    pub authority: String,
    /// The path, encoded; it begins with `/`.
    path: String,
    /// The query without its `?`, encoded.
    query: Option<String>,
}

/// A reference as it is written, cut into its parts; the fragment is dropped.
struct Reference {
    scheme: Option<String>,
    /// Without user and password.
    authority: Option<String>,
    /// Encoded.
    path: String,
    query: Option<String>,
    /// Whether a scheme is followed by something else than a path.
    opaque: bool,
}

impl Url {
    /// Of an action's fields. A path that is none of a URL is taken literally.
    pub fn of_action(tls: bool, host: &str, port: u16, path: &str) -> Self {
        let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        let (path, query) = match Reference::parse(path) {
            Ok(reference) if !reference.opaque => (reference.path, reference.query),
            _ => (escape(path.as_bytes()), None),
        };
        Self { tls, authority, path: rooted(path), query: query.map(|q| sendable(&q)) }
    }

    /// Where a `Location` leads from here.
    ///
    /// # Errors
    /// In the words of Go's client.
    pub fn resolve(&self, location: &str) -> Result<Self, String> {
        let to = Reference::parse(location).map_err(|e| format!("failed to parse Location header {location:?}: {e}"))?;
        let tls = match to.scheme.as_deref() {
            None => self.tls,
            Some("http") => false,
            Some("https") => true,
            Some(other) => return Err(format!("unsupported protocol scheme {other:?}")),
        };
        let away = to.scheme.is_some() || to.authority.is_some();
        let authority = if away { to.authority.unwrap_or_default() } else { self.authority.clone() };
        if authority.is_empty() {
            return Err("http: no Host in request URL".to_owned());
        }
        let (path, query) = match to.path.as_str() {
            "" if !away => (self.path.clone(), to.query.or_else(|| self.query.clone())),
            path if away || path.starts_with('/') => (without_dots(path), to.query),
            path => (without_dots(&format!("{}/{path}", self.path.rsplit_once('/').map_or("", |(before, _)| before))), to.query),
        };
        Ok(Self { tls, authority, path: rooted(path), query: query.map(|q| sendable(&q)) })
    }

    /// The host without port and brackets.
    pub fn host(&self) -> &str {
        let (host, _) = split_port(&self.authority);
        host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host)
    }

    /// The port, by default that of the scheme.
    ///
    /// # Errors
    /// When it is no number of a port.
    pub fn port(&self) -> Result<u16, String> {
        match split_port(&self.authority).1 {
            None | Some("") => Ok(if self.tls { 443 } else { 80 }),
            Some(port) => port.parse().map_err(|_| format!("invalid port {port:?}")),
        }
    }

    /// What is asked of the server: path and query.
    pub fn target(&self) -> String {
        self.query.as_ref().map_or_else(|| self.path.clone(), |query| format!("{}?{query}", self.path))
    }
}

impl fmt::Display for Url {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}{}", if self.tls { "https" } else { "http" }, self.authority, self.target())
    }
}

fn split_port(authority: &str) -> (&str, Option<&str>) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    }
}

fn rooted(path: String) -> String {
    if path.starts_with('/') { path } else { format!("/{path}") }
}

impl Reference {
    fn parse(text: &str) -> Result<Self, &'static str> {
        if text.bytes().any(|b| b.is_ascii_control()) {
            return Err("net/url: invalid control character in URL");
        }
        let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
        unescape(fragment)?;
        let (scheme, rest) = scheme(text)?;
        let (rest, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query.to_owned())));
        let opaque = scheme.is_some() && !rest.starts_with('/');
        if scheme.is_none() && rest.split('/').next().is_some_and(|first| first.contains(':')) {
            return Err("first path segment in URL cannot contain colon");
        }
        let named = if rest.starts_with("///") && scheme.is_none() { None } else { rest.strip_prefix("//") };
        let (authority, path) = match named {
            Some(named) => named.find('/').map_or((Some(named), ""), |at| (named.get(..at), named.get(at..).unwrap_or_default())),
            None => (None, rest),
        };
        let authority = authority.map(|a| a.rsplit_once('@').map_or(a, |(_, host)| host).to_owned());
        Ok(Self { scheme, authority, path: if opaque { String::new() } else { encoded(path)? }, query, opaque })
    }
}

/// The scheme in lower case, and what follows it.
fn scheme(text: &str) -> Result<(Option<String>, &str), &'static str> {
    match text.split_once(':') {
        Some(("", _)) => Err("missing protocol scheme"),
        Some((name, rest)) if name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"+-.".contains(&b)) => {
            Ok((Some(name.to_ascii_lowercase()), rest))
        }
        _ => Ok((None, text)),
    }
}

/// What Go's `net/url` encodes of a path.
const IN_PATH: AsciiSet = NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$')
    .remove(b'&')
    .remove(b'+')
    .remove(b',')
    .remove(b'/')
    .remove(b':')
    .remove(b';')
    .remove(b'=')
    .remove(b'@');
/// What no request line can hold.
const IN_QUERY: AsciiSet = CONTROLS.add(b' ').add(b'"').add(b'<').add(b'>');

/// A path as it is sent: as it is written where that is a valid encoding, otherwise encoded anew.
fn encoded(path: &str) -> Result<String, &'static str> {
    let plain = unescape(path)?;
    let valid = path.bytes().all(|b| b"!$&'()*+,;=:@[]%/-_.~".contains(&b) || b.is_ascii_alphanumeric());
    Ok(if valid { path.to_owned() } else { escape(&plain) })
}

fn unescape(text: &str) -> Result<Vec<u8>, &'static str> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    let digit = |b: Option<u8>| b.and_then(|b| char::from(b).to_digit(16)).and_then(|n| u8::try_from(n).ok());
    while let Some(byte) = bytes.next() {
        if byte != b'%' {
            out.push(byte);
            continue;
        }
        let (high, low) = (digit(bytes.next()), digit(bytes.next()));
        out.push(high.zip(low).map(|(high, low)| high << 4 | low).ok_or("invalid URL escape")?);
    }
    Ok(out)
}

fn escape(path: &[u8]) -> String {
    percent_encode(path, &IN_PATH).to_string()
}

/// A query is sent as it is written but for what no request line can hold.
fn sendable(query: &str) -> String {
    utf8_percent_encode(query, &IN_QUERY).to_string()
}

/// A path without the steps `.` and `..`.
fn without_dots(path: &str) -> String {
    let mut out: Vec<&str> = Vec::new();
    for step in path.split('/').skip(usize::from(path.starts_with('/'))) {
        match step {
            "." => {}
            ".." => drop(out.pop()),
            step => out.push(step),
        }
    }
    let directory = path.ends_with("/.") || path.ends_with("/..") || matches!(path, "." | "..");
    format!("/{}{}", out.join("/"), if directory && !out.is_empty() { "/" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_sent_as_go_writes_them() {
        let rows = [
            ("", "/"),
            ("healthz", "/healthz"),
            ("/a b", "/a%20b"),
            ("/{x}|\"<é>", "/%7Bx%7D%7C%22%3C%C3%A9%3E"),
            ("/a%20b", "/a%20b"),
            ("/a%2Fb", "/a%2Fb"),
            ("/a%2Fb c", "/a/b%20c"),
            ("/it's(1)!*[x]", "/it's(1)!*[x]"),
            ("/it's b", "/it%27s%20b"),
            ("/50%", "/50%25"),
            ("/50%?x=1", "/50%25%3Fx=1"),
            ("/x?a=b&c={d}#top", "/x?a=b&c={d}"),
            ("/x?a=b c", "/x?a=b%20c"),
            ("/x?", "/x?"),
            ("http://other:99/y?z", "/y?z"),
            ("//other/y", "/y"),
            ("///y", "///y"),
            ("1a:b?", "/1a:b%3F"),
            ("/a\tb", "/a%09b"),
            ("/a/../b", "/a/../b"),
        ];
        for (path, want) in rows {
            assert_eq!(Url::of_action(false, "10.0.0.1", 80, path).target(), want, "{path:?}");
        }
        assert_eq!(Url::of_action(true, "fd00::1", 443, "/x").to_string(), "https://[fd00::1]:443/x");
    }

    #[test]
    fn where_a_location_leads() {
        let from = Url::of_action(false, "10.0.0.1", 8080, "/a/b?q=1");
        let rows = [
            ("/fail", "http://10.0.0.1:8080/fail"),
            ("c", "http://10.0.0.1:8080/a/c"),
            ("../c/", "http://10.0.0.1:8080/c/"),
            ("../../../c", "http://10.0.0.1:8080/c"),
            ("./", "http://10.0.0.1:8080/a/"),
            ("..", "http://10.0.0.1:8080/"),
            ("?r=2", "http://10.0.0.1:8080/a/b?r=2"),
            ("", "http://10.0.0.1:8080/a/b?q=1"),
            ("HTTPS://10.0.0.1/x", "https://10.0.0.1/x"),
            ("http://u:p@other", "http://other/"),
            ("//other:1/x y", "http://other:1/x%20y"),
            ("http://[fd00::1]/", "http://[fd00::1]/"),
        ];
        for (location, want) in rows {
            assert_eq!(from.resolve(location).unwrap().to_string(), want, "{location:?}");
        }
        for bad in ["ftp://10.0.0.1/", "mailto:x", "http:///x", "/%zz", "a:b\n", ":x"] {
            assert!(from.resolve(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn hosts_and_ports() {
        let from = Url::of_action(false, "h", 1, "/");
        for (location, host, port) in [
            ("http://a", "a", Ok(80)),
            ("https://a", "a", Ok(443)),
            ("http://[fd00::1]:81", "fd00::1", Ok(81)),
            ("http://[fd00::1]", "fd00::1", Ok(80)),
            ("http://a:x", "a", Err(())),
        ] {
            let url = from.resolve(location).unwrap();
            assert_eq!((url.host(), url.port().map_err(drop)), (host, port), "{location}");
        }
    }
}
