//! Links of a page that a pod answers with: those to its root lead to what is passed on. The page is changed as it passes; what isn't a link stays as it is.
use super::location::within;
use crate::body::text;
use http::{HeaderMap, header};

/// The longest tag that is looked into.
const TAG: usize = 64 << 10;

/// Elements whose content is no markup.
const RAW: [&[u8]; 4] = [b"script", b"style", b"textarea", b"title"];

/// Attributes that hold an address, by their element.
const LINKS: [(&[u8], &[&[u8]]); 27] = [
    (b"a", &[b"href"]),
    (b"applet", &[b"codebase"]),
    (b"area", &[b"href"]),
    (b"audio", &[b"src"]),
    (b"base", &[b"href"]),
    (b"blockquote", &[b"cite"]),
    (b"body", &[b"background"]),
    (b"button", &[b"formaction"]),
    (b"command", &[b"icon"]),
    (b"del", &[b"cite"]),
    (b"embed", &[b"src"]),
    (b"form", &[b"action"]),
    (b"frame", &[b"longdesc", b"src"]),
    (b"head", &[b"profile"]),
    (b"html", &[b"manifest"]),
    (b"iframe", &[b"longdesc", b"src"]),
    (b"img", &[b"longdesc", b"src", b"usemap"]),
    (b"input", &[b"src", b"usemap", b"formaction"]),
    (b"ins", &[b"cite"]),
    (b"link", &[b"href"]),
    (b"object", &[b"classid", b"codebase", b"data", b"usemap"]),
    (b"q", &[b"cite"]),
    (b"script", &[b"src"]),
    (b"source", &[b"src"]),
    (b"track", &[b"src"]),
    (b"video", &[b"poster", b"src"]),
    (b"use", &[b"href"]),
];

/// Whether a response is a page whose links can be changed: an HTML document that isn't compressed.
pub(super) fn is(headers: &HeaderMap) -> bool {
    let kind = text(headers, header::CONTENT_TYPE).unwrap_or_default().split(';').next().unwrap_or_default().trim();
    kind.eq_ignore_ascii_case("text/html") && matches!(text(headers, header::CONTENT_ENCODING).unwrap_or_default(), "" | "identity")
}

/// A page that passes.
pub(super) struct Links {
    prefix: String,
    /// The beginning of what can't be told yet.
    held: Vec<u8>,
    /// The element within whose content there is no markup.
    raw: Option<&'static [u8]>,
}

/// What begins at a `<`.
enum Begun {
    /// Text.
    Nothing,
    /// A comment or a tag with this many bytes.
    Ends(usize),
    /// More must come.
    Unknown,
}

impl Links {
    /// Of a page whose root is below this prefix.
    pub fn new(prefix: String) -> Self {
        Self { prefix, held: Vec::new(), raw: None }
    }

    /// What passes of the page with its next piece.
    pub fn pass(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut bytes = std::mem::take(&mut self.held);
        bytes.extend_from_slice(piece);
        let mut out = Vec::with_capacity(bytes.len() + 64);
        let mut rest = bytes.as_slice();
        while let Some(at) = memchr::memchr(b'<', rest) {
            let (before, tag) = rest.split_at(at);
            out.extend_from_slice(before);
            match self.begun(tag) {
                Begun::Nothing => {
                    out.push(b'<');
                    rest = tag.get(1..).unwrap_or_default();
                }
                Begun::Ends(length) => {
                    let (tag, after) = tag.split_at(length);
                    self.tag(tag, &mut out);
                    rest = after;
                }
                Begun::Unknown if tag.len() > TAG => {
                    out.extend_from_slice(tag);
                    return out;
                }
                Begun::Unknown => {
                    self.held = tag.to_vec();
                    return out;
                }
            }
        }
        out.extend_from_slice(rest);
        out
    }

    /// What is left at the page's end.
    pub fn end(self) -> Vec<u8> {
        self.held
    }

    fn begun(&self, text: &[u8]) -> Begun {
        if let Some(name) = self.raw {
            // of a raw element only its end is markup
            let end = text.get(2..2 + name.len());
            return match (text.get(1), end) {
                (Some(b'/'), Some(end)) if end.eq_ignore_ascii_case(name) => tag_end(text),
                (None | Some(b'/'), None) => Begun::Unknown,
                _ => Begun::Nothing,
            };
        }
        match text.get(1) {
            None => Begun::Unknown,
            Some(b'!') if text.starts_with(b"<!--") => memchr::memmem::find(text, b"-->").map_or(Begun::Unknown, |at| Begun::Ends(at + 3)),
            Some(b'!') if text.len() < 4 => Begun::Unknown,
            Some(byte) if byte.is_ascii_alphabetic() || matches!(byte, b'/' | b'!') => tag_end(text),
            Some(_) => Begun::Nothing,
        }
    }

    /// A whole tag, with its links changed.
    fn tag(&mut self, tag: &[u8], out: &mut Vec<u8>) {
        let name: Vec<u8> = tag.iter().skip(1).take_while(|b| b.is_ascii_alphanumeric()).map(u8::to_ascii_lowercase).collect();
        self.raw = RAW.into_iter().find(|raw| *raw == name);
        let links = LINKS.iter().find(|(element, _)| *element == name).map(|(_, links)| *links).unwrap_or_default();
        let mut from = 0;
        for attribute in attributes(tag, 1 + name.len()) {
            let value = tag.get(attribute.value.clone()).unwrap_or_default();
            let is_link = links.iter().any(|link| tag.get(attribute.name.clone()).is_some_and(|n| n.eq_ignore_ascii_case(link)));
            let path = std::str::from_utf8(value).ok().filter(|v| is_link && v.starts_with('/') && !v.starts_with("//"));
            if let Some(path) = path {
                out.extend_from_slice(tag.get(from..attribute.value.start).unwrap_or_default());
                out.extend_from_slice(within(&self.prefix, path).as_bytes());
                from = attribute.value.end;
            }
        }
        out.extend_from_slice(tag.get(from..).unwrap_or_default());
    }
}

/// Where a tag ends: at the first `>` that isn't within quotes.
fn tag_end(text: &[u8]) -> Begun {
    let mut quote = None;
    for (at, byte) in text.iter().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Begun::Ends(at + 1),
            (None, b'"' | b'\'') => quote = Some(*byte),
            (Some(open), byte) if open == *byte => quote = None,
            _ => {}
        }
    }
    Begun::Unknown
}

struct Attribute {
    name: std::ops::Range<usize>,
    value: std::ops::Range<usize>,
}

/// The attributes of a tag from `at` on.
fn attributes(tag: &[u8], mut at: usize) -> Vec<Attribute> {
    let mut found = Vec::new();
    let is_space = |at: usize| tag.get(at).is_some_and(u8::is_ascii_whitespace);
    let span = |from: usize, ends: &dyn Fn(u8) -> bool| tag.iter().skip(from).position(|b| ends(*b)).map_or(tag.len(), |n| from + n);
    while at < tag.len() {
        let start = span(at, &|b| !b.is_ascii_whitespace() && b != b'/');
        let end = span(start, &|b| b.is_ascii_whitespace() || matches!(b, b'=' | b'>' | b'/'));
        if end == start {
            at = start + 1;
            continue;
        }
        at = end;
        while is_space(at) {
            at += 1;
        }
        if tag.get(at) != Some(&b'=') {
            continue;
        }
        at += 1;
        while is_space(at) {
            at += 1;
        }
        let value = match tag.get(at) {
            Some(quote @ (b'"' | b'\'')) => at + 1..span(at + 1, &|b| b == *quote),
            _ => at..span(at, &|b| b.is_ascii_whitespace() || b == b'>'),
        };
        at = value.end + 1;
        found.push(Attribute { name: start..end, value });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(page: &str) -> String {
        let mut links = Links::new("/p".to_owned());
        let mut out = links.pass(page.as_bytes());
        out.extend(links.end());
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn links_to_the_root_lead_below_the_prefix() {
        let rows = [
            ("<a href=\"/x\">test</a>", "<a href=\"/p/x\">test</a>"),
            ("<A class='b' HREF = '/x?y' >", "<A class='b' HREF = '/p/x?y' >"),
            ("<img src=/i.png alt=/no>", "<img src=/p/i.png alt=/no>"),
            ("<img src=\"/i\" longdesc='/l'/>", "<img src=\"/p/i\" longdesc='/p/l'/>"),
            ("<a href=\"/p/x\">", "<a href=\"/p/x\">"),
            ("<a href=\"//other/x\"><a href=\"x\"><a href=\"http://h/x\">", "<a href=\"//other/x\"><a href=\"x\"><a href=\"http://h/x\">"),
            ("<p href=\"/x\" title='a > <a href=/y>'>", "<p href=\"/x\" title='a > <a href=/y>'>"),
            ("<!-- <a href=\"/x\"> --><a href=\"/x\">", "<!-- <a href=\"/x\"> --><a href=\"/p/x\">"),
            ("<script src='/s'>if (a<b) { '<a href=\"/x\">' }</script><a href=/x>", "<script src='/p/s'>if (a<b) { '<a href=\"/x\">' }</script><a href=/p/x>"),
            ("1 < 2 <", "1 < 2 <"),
            ("<!DOCTYPE html><form action=\"/f\">", "<!DOCTYPE html><form action=\"/p/f\">"),
            ("<a href=\"/unfinished", "<a href=\"/unfinished"),
        ];
        for (page, want) in rows {
            assert_eq!(whole(page), want);
        }
    }

    #[test]
    fn what_is_a_page() {
        let of = |kind: &str, encoding: &str| {
            is(&HeaderMap::from_iter([(header::CONTENT_TYPE, kind.parse().unwrap()), (header::CONTENT_ENCODING, encoding.parse().unwrap())]))
        };
        assert!(of("text/html; charset=utf-8", "") && of("Text/HTML", "identity"));
        assert!(!of("text/html", "gzip") && !of("application/json", ""));
    }

    proptest! {
        #[test]
        fn pieces_make_no_difference(page in "(<(a|script|/script|!--|p)( href=\"/x\"| src='/y'|)>?|-->|/x|\"|[ <>a'=])*", cut in 0usize..80) {
            let mut links = Links::new("/p".to_owned());
            let (one, two) = page.split_at(cut.min(page.len()));
            let mut out = links.pass(one.as_bytes());
            out.extend(links.pass(two.as_bytes()));
            out.extend(links.end());
            prop_assert_eq!(String::from_utf8(out).unwrap(), whole(&page));
        }
        #[test]
        fn bytes_of_any_kind_pass(page in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut links = Links::new(String::new());
            let mut out = links.pass(&page);
            out.extend(links.end());
            prop_assert_eq!(out, page);
        }
    }
}
