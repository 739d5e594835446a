//! Whether a figure has fallen: decided from pairs of runs, one of each binary, that were made next to each other.
//!
//! Two runs of the same binary differ by a tenth easily, and what a machine does besides falls on both of a pair alike. So a figure has
//! fallen when the ratio in the middle says so by more than a tenth, and nearly all pairs agree that it is worse.
use super::figure::{Figure, Spread};

/// A figure that falls by more has fallen.
const TOLERATED: f64 = 0.9;
/// So many of the pairs have to be worse.
const AGREEING: f64 = 0.8;
/// With fewer pairs nothing is decided.
const PAIRS: usize = 3;

/// A figure of two binaries, by pairs of runs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Comparison {
    /// Of the recorded commit.
    pub before: Spread,
    /// Of what is here.
    pub now: Spread,
    /// How many times better than before it is, over the pairs.
    pub times: Spread,
    /// In how many pairs it is worse.
    pub worse: usize,
    /// Pairs.
    pub pairs: usize,
}

impl Comparison {
    /// Of pairs of (before, now); `None` without any that have a ratio.
    pub fn of(figure: &Figure, pairs: &[(f64, f64)]) -> Option<Self> {
        let whole: Vec<(f64, f64)> = pairs.iter().filter(|(before, now)| *before > 0.0 && *now > 0.0).copied().collect();
        let times: Vec<f64> = whole.iter().map(|(before, now)| figure.times(*now, *before)).collect();
        let (before, now): (Vec<f64>, Vec<f64>) = whole.into_iter().unzip();
        Some(Self {
            before: Spread::of(&before)?,
            now: Spread::of(&now)?,
            times: Spread::of(&times)?,
            worse: times.iter().filter(|t| **t < 1.0).count(),
            pairs: times.len(),
        })
    }

    /// Whether it has fallen.
    pub fn fell(&self) -> bool {
        self.pairs >= PAIRS && self.times.median < TOLERATED && self.worse as f64 >= AGREEING * self.pairs as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pairs whose second is so many times the first.
    fn pairs(times: &[f64]) -> Vec<(f64, f64)> {
        times.iter().enumerate().map(|(i, t)| (100.0 + i as f64, (100.0 + i as f64) * t)).collect()
    }

    #[test]
    fn a_figure_falls_when_the_middle_does_and_nearly_all_agree() {
        let cases: [(&str, &[f64], bool); 9] = [
            ("the same", &[1.0, 1.0, 1.0, 1.0, 1.0], false),
            ("better", &[1.4, 1.5, 1.3, 1.4, 1.6], false),
            ("worse by less than a tenth", &[0.93, 0.94, 0.92, 0.95, 0.91], false),
            ("worse by a fifth", &[0.8, 0.82, 0.79, 0.8, 0.81], true),
            ("worse by a fifth, but for one pair", &[0.8, 0.82, 1.1, 0.8, 0.81], true),
            ("one bad pair", &[1.0, 0.3, 1.01, 0.99, 1.0], false),
            ("noise around the same", &[0.7, 1.3, 0.85, 1.2, 0.8], false),
            ("too few pairs", &[0.5, 0.5], false),
            ("nothing measured", &[], false),
        ];
        for (what, times, fell) in cases {
            let more = Comparison::of(&Figure::more("", "", ""), &pairs(times));
            assert_eq!(more.is_some_and(|c| c.fell()), fell, "{what}");
            // of a time, more is worse
            let inverse: Vec<f64> = times.iter().map(|t| 1.0 / t).collect();
            let less = Comparison::of(&Figure::less("", "", ""), &pairs(&inverse));
            assert_eq!(less.is_some_and(|c| c.fell()), fell, "{what}, as a time");
        }
    }

    #[test]
    fn pairs_without_a_ratio_are_left_out() {
        let compared = Comparison::of(&Figure::less("", "", ""), &[(0.0, 1.0), (1.0, 0.0), (2.0, 1.0)]);
        assert_eq!(compared.map(|c| (c.pairs, c.worse, c.times.median)), Some((1, 0, 2.0)));
    }
}
