//! Sets of a Job's indexes, as its status has them: `0,2-4`. A Job may have many, and those that are over mostly lie beside each other.
use std::fmt;

/// Indexes as intervals with both ends, in order and apart from each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Indexes(Vec<(i64, i64)>);

impl Indexes {
    /// What a text names of the indexes below `completions`. What isn't of such a form is left out.
    pub fn parse(text: &str, completions: i64) -> Self {
        let interval = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((from.parse().ok()?, to.parse().ok().map(|to: i64| to.min(completions - 1))?))
        };
        Self::joined(text.split(',').filter_map(interval).filter(|(from, to)| from <= to).collect())
    }

    fn joined(mut intervals: Vec<(i64, i64)>) -> Self {
        intervals.sort_unstable();
        let mut all: Vec<(i64, i64)> = Vec::with_capacity(intervals.len());
        for (from, to) in intervals {
            match all.last_mut().filter(|last| from <= last.1 + 1) {
                Some(last) => last.1 = last.1.max(to),
                None => all.push((from, to)),
            }
        }
        Self(all)
    }

    /// These and others.
    pub fn with(&self, others: impl IntoIterator<Item = i64>) -> Self {
        Self::joined(self.0.iter().copied().chain(others.into_iter().map(|index| (index, index))).collect())
    }

    /// What either has.
    pub fn union(&self, other: &Self) -> Self {
        Self::joined([self.0.as_slice(), &other.0].concat())
    }

    /// How many.
    pub fn total(&self) -> i64 {
        self.0.iter().map(|(from, to)| to - from + 1).sum()
    }

    /// Whether `index` is one of them.
    pub fn has(&self, index: i64) -> bool {
        let at = self.0.partition_point(|(_, to)| *to < index);
        self.0.get(at).is_some_and(|(from, _)| *from <= index)
    }

    /// How many both have.
    pub fn shared(&self, other: &Self) -> i64 {
        let (mut i, mut j, mut count) = (0, 0, 0);
        while let (Some(a), Some(b)) = (self.0.get(i), other.0.get(j)) {
            count += (a.1.min(b.1) - a.0.max(b.0) + 1).max(0);
            if a.1 < b.1 { i += 1 } else { j += 1 }
        }
        count
    }

    /// The first `count` indexes below `completions` that aren't among them.
    pub fn missing(&self, count: usize, completions: i64) -> Vec<i64> {
        let starts = std::iter::once(0).chain(self.0.iter().map(|(_, to)| to + 1));
        let ends = self.0.iter().map(|(from, _)| (*from).min(completions)).chain([completions]);
        starts.zip(ends).flat_map(|(from, to)| from..to).take(count).collect()
    }
}

impl fmt::Display for Indexes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, (from, to)) in self.0.iter().enumerate() {
            let comma = if n > 0 { "," } else { "" };
            match to - from {
                0 => write!(f, "{comma}{from}")?,
                1 => write!(f, "{comma}{from},{to}")?,
                _ => write!(f, "{comma}{from}-{to}")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    #[test]
    fn texts() {
        for (text, completions, expected) in
            [("", 5, ""), ("0,2-4", 5, "0,2-4"), ("0,1,2", 5, "0-2"), ("0,1,3", 5, "0,1,3"), ("0-9", 5, "0-4"), ("3,7-9", 5, "3"), ("1,x,2-y,4", 5, "1,4")]
        {
            assert_eq!(Indexes::parse(text, completions).to_string(), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn they_are_sets(a: BTreeSet<u8>, b: BTreeSet<u8>, count in 0_usize..20, completions in 0_i64..300) {
            let of = |set: &BTreeSet<u8>| Indexes::default().with(set.iter().map(|n| i64::from(*n)));
            let (one, other) = (of(&a), of(&b));
            prop_assert_eq!(one.union(&other), of(&a.union(&b).copied().collect()));
            prop_assert_eq!(one.with(b.iter().map(|n| i64::from(*n))), one.union(&other));
            prop_assert_eq!(one.total() as usize, a.len());
            prop_assert_eq!(one.shared(&other) as usize, a.intersection(&b).count());
            prop_assert!((0..256).all(|n| one.has(n) == a.contains(&(n as u8))));
            prop_assert_eq!(Indexes::parse(&one.to_string(), 256), one.clone());
            let missing: Vec<i64> = (0..completions).filter(|n| !one.has(*n)).take(count).collect();
            prop_assert_eq!(one.missing(count, completions), missing);
        }
    }
}
