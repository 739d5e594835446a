//! The wire format: numbered fields, one after the other.

/// Why a body can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// It doesn't begin as Kubernetes' protobuf does.
    #[error("provided data does not appear to be a protobuf message, expected prefix 6b 38 73 00")]
    Prefix,
    /// It ends within a field.
    #[error("proto: unexpected EOF")]
    Truncated,
    /// A number of more than 64 bits.
    #[error("proto: integer overflow")]
    Overflow,
    /// A field's number is 0 or too large, or its encoding isn't one.
    #[error("proto: illegal tag {0}")]
    Tag(u64),
    /// A field is of another type than the message says.
    #[error("proto: wrong wireType for field {0}")]
    Type(Box<str>),
    /// A text isn't UTF-8.
    #[error("proto: field {0} contains invalid UTF-8")]
    Utf8(Box<str>),
    /// JSON within a field isn't JSON.
    #[error("proto: field {0} contains invalid JSON")]
    Json(Box<str>),
    /// A time beyond all calendars.
    #[error("proto: field {0} contains no valid time")]
    Time(Box<str>),
    /// More messages within messages than any kind has.
    #[error("proto: exceeded max depth")]
    Depth,
    /// The content of the envelope is something else than protobuf.
    #[error("the body's content encoding {encoding:?} and type {media:?} are not supported within protobuf")]
    Content {
        /// `contentEncoding`.
        encoding: Box<str>,
        /// `contentType`.
        media: Box<str>,
    },
    /// An object isn't as its message has it.
    #[error("the object has no form in protobuf: {0}")]
    Object(Box<str>),
    /// There is no message for a kind.
    #[error("no kind {kind:?} is registered for version {version:?} in protobuf")]
    Kind {
        /// Its `apiVersion`.
        version: Box<str>,
        /// Its `kind`.
        kind: Box<str>,
    },
}

impl From<Error> for crate::ApiError {
    fn from(error: Error) -> Self {
        Self::bad_request(error.to_string())
    }
}

/// A field as it is encoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wire<'a> {
    /// A number with as many bytes as it needs.
    Varint(u64),
    /// Eight bytes.
    Fixed64(u64),
    /// Four bytes, which no type of Kubernetes' has.
    Fixed32,
    /// A text, bytes, a message or packed numbers.
    Bytes(&'a [u8]),
}

/// The fields of a message; ends at the first error.
pub struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of an encoded message.
    pub fn new(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn take(&mut self, length: u64) -> Result<&'a [u8], Error> {
        let split = usize::try_from(length).ok().and_then(|n| self.rest.split_at_checked(n));
        let (taken, rest) = split.ok_or(Error::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn varint(&mut self) -> Result<u64, Error> {
        let mut number = 0u64;
        for shift in (0..64).step_by(7) {
            let (byte, rest) = self.rest.split_first().ok_or(Error::Truncated)?;
            self.rest = rest;
            // the tenth byte has room for one bit
            if shift == 63 && *byte > 1 {
                return Err(Error::Overflow);
            }
            number |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(number);
            }
        }
        Err(Error::Overflow)
    }

    fn field(&mut self) -> Result<(u32, Wire<'a>), Error> {
        let key = self.varint()?;
        let tag = u32::try_from(key >> 3).ok().filter(|tag| (1..1 << 29).contains(tag)).ok_or(Error::Tag(key >> 3))?;
        let wire = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(self.take(8)?.iter().rev().fold(0, |n, b| n << 8 | u64::from(*b))),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => {
                self.take(4)?;
                Wire::Fixed32
            }
            _ => return Err(Error::Tag(key >> 3)),
        };
        Ok((tag, wire))
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<(u32, Wire<'a>), Error>;
    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.field();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Packed numbers.
pub fn packed(bytes: &[u8]) -> Result<Vec<u64>, Error> {
    let mut numbers = Fields::new(bytes);
    let mut all = Vec::new();
    while !numbers.rest.is_empty() {
        all.push(numbers.varint()?);
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<(u32, Wire<'_>)>, Error> {
        Fields::new(bytes).collect()
    }

    #[test]
    fn fields() {
        assert_eq!(all(&[0x08, 0x96, 0x01]), Ok(vec![(1, Wire::Varint(150))]));
        assert_eq!(all(&[0x12, 2, b'h', b'i', 0x1d, 0, 0, 0, 0]), Ok(vec![(2, Wire::Bytes(b"hi")), (3, Wire::Fixed32)]));
        assert_eq!(all(&[0x09, 1, 2, 0, 0, 0, 0, 0, 0]), Ok(vec![(1, Wire::Fixed64(0x0201))]));
        assert_eq!(all(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1]), Ok(vec![(1, Wire::Varint(u64::MAX))]));
        assert_eq!(all(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]), Err(Error::Overflow));
        assert_eq!(all(&[0x12, 3, b'h']), Err(Error::Truncated));
        assert_eq!(all(&[0x08]), Err(Error::Truncated));
        assert_eq!(all(&[0x00, 0]), Err(Error::Tag(0)));
        assert_eq!(all(&[0x0b]), Err(Error::Tag(1)));
        assert_eq!(packed(&[1, 0x96, 0x01]), Ok(vec![1, 150]));
    }
}
