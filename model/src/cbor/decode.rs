//! From CBOR to JSON. The document is walked once and its JSON appended as it comes; lengths that it announces are only counted down.
use super::{DEPTH, Error};
use crate::time;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use cbor4ii::core::dec::{self, Decode, Read};
use cbor4ii::core::types::{Array, Bytes, F16, Map, Negative, Simple, Tag, UncheckedStr};
use jiff::Timestamp;
use std::borrow::Cow;
use std::collections::HashSet;
use std::convert::Infallible;

/// The bytes of a document that are left.
struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Read<'a> for Reader<'a> {
    type Error = Infallible;
    fn fill<'b>(&'b mut self, want: usize) -> Result<dec::Reference<'a, 'b>, Infallible> {
        Ok(dec::Reference::Long(self.rest.get(..want).unwrap_or(self.rest)))
    }
    fn advance(&mut self, n: usize) {
        self.rest = self.rest.get(n..).unwrap_or_default();
    }
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Result<u8, Error> {
        self.rest.first().copied().ok_or_else(|| Error::Malformed("unexpected EOF".into()))
    }

    fn read<T: Decode<'a>>(&mut self) -> Result<T, Error> {
        T::decode(self).map_err(malformed)
    }

    /// Whether a list or map of this length, of which so many have been read, goes on.
    fn goes_on(&mut self, length: Option<usize>, read: usize) -> Result<bool, Error> {
        match length {
            Some(length) => Ok(read < length),
            None => dec::is_break(self).map(|end| !end).map_err(malformed),
        }
    }
}

fn malformed(e: dec::Error<Infallible>) -> Error {
    Error::Malformed(e.to_string().into())
}

/// How byte strings look as texts.
#[derive(Clone, Copy, PartialEq)]
enum Look {
    /// As they are.
    Text,
    Base64Url,
    Base64,
    Base16,
}

/// Reads a document as JSON.
///
/// # Errors
/// When it isn't CBOR, or has what JSON can't have.
pub fn decode(document: &[u8]) -> Result<Vec<u8>, Error> {
    let mut decoder = Decoder { reader: Reader { rest: document }, out: Vec::with_capacity(document.len() + document.len() / 4) };
    decoder.item(Look::Text, DEPTH)?;
    match decoder.reader.rest.len() {
        0 => Ok(decoder.out),
        left => Err(Error::Trailing(left)),
    }
}

struct Decoder<'a> {
    reader: Reader<'a>,
    out: Vec<u8>,
}

impl<'a> Decoder<'a> {
    fn item(&mut self, look: Look, depth: usize) -> Result<(), Error> {
        let byte = self.reader.peek()?;
        match byte >> 5 {
            0 => {
                let number = i64::try_from(self.reader.read::<u64>()?).map_err(|_| Error::Overflow)?;
                self.put(number.to_string());
            }
            1 => {
                let Negative(below) = self.reader.read::<Negative<u64>>()?;
                let number = i64::try_from(below).map_err(|_| Error::Overflow)?;
                self.put((-1 - number).to_string());
            }
            2 => {
                let bytes = self.bytes()?;
                self.looking(&bytes, look)?;
            }
            3 => {
                let text = self.text()?;
                self.string(&text);
            }
            4 => self.list(look, depth.checked_sub(1).ok_or(Error::Depth)?)?,
            5 => self.map(look, depth.checked_sub(1).ok_or(Error::Depth)?)?,
            6 => self.tagged(look, depth.checked_sub(1).ok_or(Error::Depth)?)?,
            _ => self.simple(byte)?,
        }
        Ok(())
    }

    fn put(&mut self, json: impl AsRef<[u8]>) {
        self.out.extend_from_slice(json.as_ref());
    }

    fn string(&mut self, text: &str) {
        // a text is always JSON, and a vector takes all
        serde_json::to_writer(&mut self.out, text).ok();
    }

    fn bytes(&mut self) -> Result<Cow<'a, [u8]>, Error> {
        self.reader.read::<Bytes<Cow<'a, [u8]>>>().map(|Bytes(bytes)| bytes)
    }

    fn text(&mut self) -> Result<Cow<'a, str>, Error> {
        let UncheckedStr(bytes) = self.reader.read::<UncheckedStr<Cow<'a, [u8]>>>()?;
        utf8(bytes)
    }

    fn looking(&mut self, bytes: &[u8], look: Look) -> Result<(), Error> {
        match look {
            Look::Text => self.string(std::str::from_utf8(bytes).map_err(|_| Error::Utf8)?),
            Look::Base64Url => self.string(&URL_SAFE_NO_PAD.encode(bytes)),
            Look::Base64 => self.string(&STANDARD.encode(bytes)),
            Look::Base16 => self.string(&bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()),
        }
        Ok(())
    }

    fn list(&mut self, look: Look, depth: usize) -> Result<(), Error> {
        let length = Array::len(&mut self.reader).map_err(malformed)?;
        self.put("[");
        for n in 0.. {
            if !self.reader.goes_on(length, n)? {
                break;
            }
            if n > 0 {
                self.put(",");
            }
            self.item(look, depth)?;
        }
        self.put("]");
        Ok(())
    }

    fn map(&mut self, look: Look, depth: usize) -> Result<(), Error> {
        let length = Map::len(&mut self.reader).map_err(malformed)?;
        self.put("{");
        let mut keys = HashSet::new();
        while self.reader.goes_on(length, keys.len())? {
            let key = match self.reader.peek()? >> 5 {
                2 => utf8(self.bytes()?)?,
                3 => self.text()?,
                _ => return Err(Error::Key),
            };
            if !keys.is_empty() {
                self.put(",");
            }
            self.string(&key);
            self.put(":");
            if let Some(twice) = keys.replace(key) {
                return Err(Error::Duplicate(twice.into()));
            }
            self.item(look, depth)?;
        }
        self.put("}");
        Ok(())
    }

    fn tagged(&mut self, look: Look, depth: usize) -> Result<(), Error> {
        let tag = Tag::tag(&mut self.reader).map_err(malformed)?;
        let content = self.reader.peek()? >> 5;
        let start = self.out.len();
        match (tag, content) {
            (0, 3) => {
                let text = self.text()?;
                time::parse(&text).ok_or(Error::Tag(0))?;
                self.string(&text);
                Ok(())
            }
            (1, 0 | 1 | 7) => {
                self.item(look, depth)?;
                let time = epoch(self.out.get(start..).unwrap_or_default()).ok_or(Error::Tag(1))?;
                self.out.truncate(start);
                self.string(&time.to_string());
                Ok(())
            }
            (0..=3, _) => Err(Error::Tag(tag)),
            (21, _) => self.item(Look::Base64Url, depth),
            (22, _) => self.item(Look::Base64, depth),
            (23, _) => self.item(Look::Base16, depth),
            _ => self.item(look, depth),
        }
    }

    fn simple(&mut self, byte: u8) -> Result<(), Error> {
        let number = match byte {
            0xf4..=0xf6 => {
                self.reader.advance(1);
                self.put(match byte {
                    0xf4 => "false",
                    0xf5 => "true",
                    _ => "null",
                });
                return Ok(());
            }
            0xf9 => half(self.reader.read::<F16>()?.0),
            0xfa => f64::from(self.reader.read::<f32>()?),
            0xfb => self.reader.read::<f64>()?,
            _ => {
                let Simple(value) = self.reader.read::<Simple>()?;
                return Err(Error::Simple(value));
            }
        };
        if !number.is_finite() {
            return Err(Error::NotFinite);
        }
        serde_json::to_writer(&mut self.out, &number).map_err(|e| Error::Json(e.to_string().into()))
    }
}

fn utf8(bytes: Cow<'_, [u8]>) -> Result<Cow<'_, str>, Error> {
    match bytes {
        Cow::Borrowed(bytes) => std::str::from_utf8(bytes).map(Cow::Borrowed).map_err(|_| Error::Utf8),
        Cow::Owned(bytes) => String::from_utf8(bytes).map(Cow::Owned).map_err(|_| Error::Utf8),
    }
}

/// Seconds since 1970, as JSON writes them.
fn epoch(json: &[u8]) -> Option<Timestamp> {
    let text = std::str::from_utf8(json).ok()?;
    match text.parse::<i64>() {
        Ok(seconds) => Timestamp::from_second(seconds).ok(),
        Err(_) => {
            let seconds: f64 = text.parse().ok()?;
            // years beyond 9999 are none that timestamps have
            let whole = Some(seconds.floor()).filter(|s| s.abs() < 3e11)?;
            Timestamp::new(whole as i64, ((seconds - whole) * 1e9) as i32).ok()
        }
    }
}

/// A floating-point number of 16 bits: a sign, 5 bits of exponent, 10 of mantissa.
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let mantissa = f64::from(bits & 0x3ff);
    sign * match bits >> 10 & 0x1f {
        0 => mantissa * 2f64.powi(-24),
        0x1f if mantissa == 0.0 => f64::INFINITY,
        0x1f => f64::NAN,
        exponent => (1024.0 + mantissa) * 2f64.powi(i32::from(exponent) - 25),
    }
}
