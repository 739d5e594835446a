//! Writing the wire format.

/// The encodings of fields that are written.
#[derive(Debug, Clone, Copy)]
enum Kind {
    Varint = 0,
    Fixed64 = 1,
    Bytes = 2,
}

fn key(out: &mut Vec<u8>, tag: u32, kind: Kind) {
    varint(out, u64::from(tag) << 3 | kind as u64);
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A field with a number.
pub fn number(out: &mut Vec<u8>, tag: u32, number: i64) {
    key(out, tag, Kind::Varint);
    varint(out, number.cast_unsigned());
}

/// A field with a floating-point number.
pub fn double(out: &mut Vec<u8>, tag: u32, number: f64) {
    key(out, tag, Kind::Fixed64);
    out.extend_from_slice(&number.to_bits().to_le_bytes());
}

/// A field with bytes or a text.
pub fn bytes(out: &mut Vec<u8>, tag: u32, content: &[u8]) {
    key(out, tag, Kind::Bytes);
    varint(out, content.len() as u64);
    out.extend_from_slice(content);
}

/// A field whose content `write` appends. Its length is known afterwards only, and most lengths take one byte: there is room for that, and what follows is
/// moved where it takes more.
pub fn nested<R>(out: &mut Vec<u8>, tag: u32, write: impl FnOnce(&mut Vec<u8>) -> R) -> R {
    key(out, tag, Kind::Bytes);
    let at = out.len();
    out.push(0);
    let result = write(out);
    let length = out.len() - at - 1;
    match out.get_mut(at) {
        Some(byte) if length < 0x80 => *byte = length as u8,
        _ => {
            let mut head = Vec::with_capacity(5);
            varint(&mut head, length as u64);
            out.splice(at..=at, head);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::super::wire::{Fields, Wire};
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_written_is_read(a in any::<i64>(), b in any::<u64>(), c in proptest::collection::vec(any::<u8>(), 0..300), tag in 1u32..1 << 29) {
            let mut out = Vec::new();
            number(&mut out, tag, a);
            double(&mut out, 2, f64::from_bits(b));
            bytes(&mut out, 3, &c);
            nested(&mut out, 4, |out| out.extend_from_slice(&c));
            let read: Result<Vec<_>, _> = Fields::new(&out).collect();
            let want = vec![(tag, Wire::Varint(a.cast_unsigned())), (2, Wire::Fixed64(b)), (3, Wire::Bytes(&c)), (4, Wire::Bytes(&c))];
            prop_assert_eq!(read, Ok(want));
        }
    }
}
