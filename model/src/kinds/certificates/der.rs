//! As much of the binary form of certificates as says what they are. Nothing is verified.

const SEQUENCE: u8 = 0x30;
const INTEGER: u8 = 0x02;
const BITS: u8 = 0x03;
const BOOLEAN: u8 = 0x01;
const OCTETS: u8 = 0x04;
const OBJECT: u8 = 0x06;
const FIRST: u8 = 0xa0;
const EXTENSIONS: u8 = 0xa3;
/// The extension that says whether a certificate may sign others.
const BASIC_CONSTRAINTS: [u8; 3] = [0x55, 0x1d, 0x13];

/// What follows another within a value.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    /// The next value: its tag, and what it holds.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (bytes.iter().fold(0, |length, byte| length << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (content, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, content))
    }
    /// The next value, which has this tag.
    fn tagged(&mut self, wanted: u8) -> Option<&'a [u8]> {
        self.next().filter(|(tag, _)| *tag == wanted).map(|(_, content)| content)
    }
    /// The next value where it has this tag; otherwise nothing is read.
    fn optional(&mut self, wanted: u8) -> Option<&'a [u8]> {
        if self.0.first() == Some(&wanted) { self.tagged(wanted) } else { None }
    }
    /// Whether nothing is left.
    fn ends(&self) -> Option<()> {
        self.0.is_empty().then_some(())
    }
}

/// What is signed, of a value that is signed as a whole.
fn signed(bytes: &[u8]) -> Option<Reader<'_>> {
    let mut all = Reader(bytes);
    let mut parts = Reader(all.tagged(SEQUENCE)?);
    all.ends()?;
    let content = parts.tagged(SEQUENCE)?;
    parts.tagged(SEQUENCE)?;
    parts.tagged(BITS)?;
    parts.ends()?;
    Some(Reader(content))
}

/// Whether a certificate may sign others; `None` where it isn't one.
pub(super) fn is_authority(bytes: &[u8]) -> Option<bool> {
    let mut content = signed(bytes)?;
    content.optional(FIRST);
    content.tagged(INTEGER)?;
    // who signs it and how, when it is valid, whose it is, and the key
    for _ in 0..5 {
        content.tagged(SEQUENCE)?;
    }
    let mut extensions = None;
    while let Some((tag, value)) = content.next() {
        extensions = (tag == EXTENSIONS).then_some(value).or(extensions);
    }
    content.ends()?;
    let Some(extensions) = extensions else { return Some(false) };
    let mut all = Reader(Reader(extensions).tagged(SEQUENCE)?);
    let mut authority = false;
    while let Some((SEQUENCE, extension)) = all.next() {
        let mut extension = Reader(extension);
        let name = extension.tagged(OBJECT)?;
        extension.optional(BOOLEAN);
        let value = extension.tagged(OCTETS)?;
        if name == BASIC_CONSTRAINTS {
            authority = Reader(Reader(value).tagged(SEQUENCE)?).optional(BOOLEAN).is_some_and(|flag| flag != [0]);
        }
    }
    Some(authority)
}

/// Whether it is a request for a certificate.
pub(super) fn is_request(bytes: &[u8]) -> bool {
    let parts = |mut content: Reader<'_>| {
        content.tagged(INTEGER)?;
        content.tagged(SEQUENCE)?;
        content.tagged(SEQUENCE)?;
        content.optional(FIRST);
        content.ends()
    };
    signed(bytes).and_then(parts).is_some()
}

#[cfg(test)]
pub(super) mod made {
    use super::*;

    fn value(tag: u8, parts: &[Vec<u8>]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).unwrap();
        let long = if length < 0x80 { vec![length] } else { vec![0x81, length] };
        [vec![tag], long, content].concat()
    }
    fn raw(tag: u8, content: &[u8]) -> Vec<u8> {
        value(tag, &[content.to_vec()])
    }
    fn whole(content: &[Vec<u8>]) -> Vec<u8> {
        value(SEQUENCE, &[value(SEQUENCE, content), raw(SEQUENCE, &[]), raw(BITS, &[0])])
    }

    /// A certificate without content.
    pub fn certificate(authority: bool) -> Vec<u8> {
        let constraints = value(SEQUENCE, &[if authority { raw(BOOLEAN, &[0xff]) } else { Vec::new() }]);
        let extension = value(SEQUENCE, &[raw(OBJECT, &BASIC_CONSTRAINTS), raw(BOOLEAN, &[0xff]), raw(OCTETS, &constraints)]);
        let mut content = vec![value(FIRST, &[raw(INTEGER, &[2])]), raw(INTEGER, &[1])];
        content.extend((0..5).map(|_| raw(SEQUENCE, &[])));
        content.push(value(EXTENSIONS, &[value(SEQUENCE, &[extension])]));
        whole(&content)
    }
    /// A request without content.
    pub fn request() -> Vec<u8> {
        whole(&[raw(INTEGER, &[0]), raw(SEQUENCE, &[]), raw(SEQUENCE, &[]), raw(FIRST, &[])])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_they_are() {
        assert_eq!([true, false].map(|authority| is_authority(&made::certificate(authority))), [Some(true), Some(false)]);
        assert!(is_request(&made::request()) && !is_request(&made::certificate(true)));
        assert_eq!(is_authority(&made::request()), None);
        let whole = made::certificate(true);
        for cut in 0..whole.len() {
            assert_eq!(is_authority(&whole[..cut]), None);
        }
        assert_eq!(is_authority(&[whole, vec![0]].concat()), None);
        assert_eq!(is_authority(&[0x30, 0x84, 0xff, 0xff, 0xff, 0xff]), None);
    }
}
