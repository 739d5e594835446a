//! Seeded mutations of inputs: what the smoke tests try beside the seeds. A seed gives the same inputs for ever.

/// SplitMix64: small, seeded, the same everywhere.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }
    /// The next number.
    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    /// A number below `n`; 0 for 0.
    pub fn below(&mut self, n: usize) -> usize {
        usize::try_from(self.number() % (n.max(1) as u64)).unwrap_or_default()
    }
}

/// What decoders look for: numbers at their limits, brackets, separators.
const WORDS: &[&[u8]] = &[
    b"\0",
    b"\xff",
    b"\xff\xff\xff\xff",
    b"\x80",
    b"{}",
    b"[]",
    b"null",
    b"-1",
    b"9223372036854775807",
    b"1e999",
    b"\"\"",
    b":",
    b",",
    b"/",
    b".",
    b"=",
    b"%",
    b"\\",
    b"$patch",
    b"~1",
    b"\xc3",
    b"\xe2\x82\xac",
    b"\xdd\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"  ",
    b"\n",
];

/// The longest input that is made.
const LONGEST: usize = 4_096;

/// One of `seeds`, changed in a few places.
pub fn mutate(seeds: &[Vec<u8>], random: &mut Random) -> Vec<u8> {
    let pick = |random: &mut Random| seeds.get(random.below(seeds.len())).cloned().unwrap_or_default();
    let mut bytes = pick(random);
    for _ in 0..=random.below(4) {
        let (a, b) = (random.below(bytes.len() + 1), random.below(bytes.len() + 1));
        let (start, end) = (a.min(b), a.max(b));
        match random.below(7) {
            0 => bytes.iter_mut().skip(start).take(1).for_each(|byte| *byte ^= 1 << (a % 8)),
            1 => bytes.iter_mut().skip(start).take(1).for_each(|byte| *byte = b.to_le_bytes().first().copied().unwrap_or_default()),
            2 => drop(bytes.drain(start..end.min(start + 16))),
            3 => drop(bytes.splice(start..start, WORDS.get(random.below(WORDS.len())).copied().unwrap_or_default().iter().copied())),
            4 => {
                let again = bytes.get(start..end).unwrap_or_default().to_vec();
                drop(bytes.splice(start..start, again));
            }
            5 => bytes.truncate(end),
            _ => {
                let other = pick(random);
                bytes.truncate(start);
                bytes.extend(other.iter().skip(random.below(other.len())));
            }
        }
        bytes.truncate(LONGEST);
    }
    bytes
}
