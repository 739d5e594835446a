//! The packets of streams: one byte of kind, eight bytes of number (little-endian), a body.
use bytes::Bytes;

const ALIVE: u8 = 0;
const CREDIT: u8 = 1;
const STOP: u8 = 2;
const END: u8 = 3;
const CUT: u8 = 4;
const DATA: u8 = 8;
const FIRST: u8 = 1;
const LAST: u8 = 2;
const HEAD: usize = 9;

/// What one end of a stream tells the other. Data, end and cut are numbered from 0, so that a loss is noticed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Packet {
    /// The sender is there; the number that its next packet will have, or had meanwhile.
    Alive {
        /// That number.
        next: u64,
    },
    /// So many packets and bytes were consumed since the beginning.
    Credit {
        /// Packets.
        packets: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// The sender no longer receives.
    Stop,
    /// Nothing more comes.
    End {
        /// The packet's number.
        number: u64,
    },
    /// Nothing more comes, though there should.
    Cut {
        /// The packet's number.
        number: u64,
        /// Why.
        why: String,
    },
    /// A part of a frame.
    Data {
        /// The packet's number.
        number: u64,
        /// Whether the frame begins here.
        first: bool,
        /// Whether it ends here.
        last: bool,
        /// The part.
        body: Bytes,
    },
}

impl Packet {
    /// As it stands on the wire.
    pub fn encode(&self) -> Bytes {
        let head = |kind: u8, number: u64, body: &[u8]| {
            let mut bytes = Vec::with_capacity(HEAD + body.len());
            bytes.push(kind);
            bytes.extend_from_slice(&number.to_le_bytes());
            bytes.extend_from_slice(body);
            Bytes::from(bytes)
        };
        match self {
            Self::Alive { next } => head(ALIVE, *next, &[]),
            Self::Credit { packets, bytes } => head(CREDIT, *packets, &bytes.to_le_bytes()),
            Self::Stop => head(STOP, 0, &[]),
            Self::End { number } => head(END, *number, &[]),
            Self::Cut { number, why } => head(CUT, *number, why.as_bytes()),
            Self::Data { number, first, last, body } => head(DATA | if *first { FIRST } else { 0 } | if *last { LAST } else { 0 }, *number, body),
        }
    }

    /// From the wire; `None` for what is no packet.
    pub fn decode(bytes: &Bytes) -> Option<Self> {
        let (kind, rest) = bytes.split_first()?;
        let (number, _) = rest.split_first_chunk::<8>()?;
        let (number, body) = (u64::from_le_bytes(*number), bytes.slice(HEAD..));
        Some(match *kind {
            ALIVE => Self::Alive { next: number },
            CREDIT => Self::Credit { packets: number, bytes: u64::from_le_bytes(body.as_ref().try_into().ok()?) },
            STOP => Self::Stop,
            END => Self::End { number },
            CUT => Self::Cut { number, why: String::from_utf8_lossy(&body).into_owned() },
            data if data & !(FIRST | LAST) == DATA => Self::Data { number, first: data & FIRST != 0, last: data & LAST != 0, body },
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packets() -> impl Strategy<Value = Packet> {
        prop_oneof![
            any::<u64>().prop_map(|next| Packet::Alive { next }),
            any::<(u64, u64)>().prop_map(|(packets, bytes)| Packet::Credit { packets, bytes }),
            Just(Packet::Stop),
            any::<u64>().prop_map(|number| Packet::End { number }),
            (any::<u64>(), ".*").prop_map(|(number, why)| Packet::Cut { number, why }),
            any::<(u64, bool, bool, Vec<u8>)>().prop_map(|(number, first, last, body)| Packet::Data { number, first, last, body: body.into() }),
        ]
    }

    proptest! {
        #[test]
        fn packets_come_back(packet in packets()) {
            prop_assert_eq!(Packet::decode(&packet.encode()), Some(packet));
        }

        #[test]
        fn whatever_comes_is_decoded_or_refused(bytes: Vec<u8>) {
            if let Some(packet) = Packet::decode(&Bytes::from(bytes)) {
                prop_assert_eq!(Packet::decode(&packet.encode()), Some(packet));
            }
        }
    }
}
