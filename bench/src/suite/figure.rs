//! A figure: where it is in what a load prints, which way it is better, and what it is held against.
use crate::report::rounded;
use serde_json::Value;
use std::collections::BTreeMap;

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Better {
    /// The more of it: a rate.
    More,
    /// The less of it: a time, memory, work.
    Less,
}

/// One figure of a load.
#[derive(Clone, Copy, Debug)]
pub struct Figure {
    /// What it says; with the load's name it is what a record knows it by.
    pub name: &'static str,
    /// Its place in the load's line, as a JSON pointer. Of a map of numbers it is the sum.
    pub at: &'static str,
    /// Its unit.
    pub unit: &'static str,
    /// Which way it is better.
    pub better: Better,
    /// What it is to reach.
    pub target: Option<f64>,
    /// What Kubernetes reaches on a two-core machine, everything on it: the median, or the better end of a range.
    pub kubernetes: Option<f64>,
    /// Whether `bench check` compares it: a percentile far out needs longer runs than that has.
    pub kept: bool,
}

impl Figure {
    /// A figure of which more is better.
    pub const fn more(name: &'static str, at: &'static str, unit: &'static str) -> Self {
        Self { name, at, unit, better: Better::More, target: None, kubernetes: None, kept: true }
    }
    /// A figure of which less is better.
    pub const fn less(name: &'static str, at: &'static str, unit: &'static str) -> Self {
        Self { better: Better::Less, ..Self::more(name, at, unit) }
    }
    /// With its target.
    pub const fn target(self, target: f64) -> Self {
        Self { target: Some(target), ..self }
    }
    /// With Kubernetes' figure and its target.
    pub const fn against(self, kubernetes: f64, target: f64) -> Self {
        Self { kubernetes: Some(kubernetes), target: Some(target), ..self }
    }
    /// Not compared by `bench check`.
    pub const fn loose(self) -> Self {
        Self { kept: false, ..self }
    }

    /// The figure in a load's line.
    pub fn read(&self, line: &Value) -> Option<f64> {
        match line.pointer(self.at)? {
            Value::Object(parts) => Some(parts.values().filter_map(Value::as_f64).sum()),
            one => one.as_f64(),
        }
    }

    /// What a figure that is a map of processes consists of, by the process' name; nothing of others.
    pub fn parts(&self, line: &Value) -> BTreeMap<String, f64> {
        let mut parts = BTreeMap::new();
        for (process, value) in line.pointer(self.at).and_then(Value::as_object).into_iter().flatten() {
            let name = process.split(':').next().unwrap_or_default();
            *parts.entry(name.to_owned()).or_default() += value.as_f64().unwrap_or_default();
        }
        parts
    }

    /// How many times better `value` is than `than`.
    pub fn times(&self, value: f64, than: f64) -> f64 {
        match self.better {
            Better::More => value / than,
            Better::Less => than / value,
        }
    }
}

/// The value in the middle, and both ends.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// The value in the middle.
    pub median: f64,
    /// The smallest.
    pub min: f64,
    /// The largest.
    pub max: f64,
}

impl Spread {
    /// Of these values; `None` without any.
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let half = sorted.len() / 2;
        let upper = *sorted.get(half)?;
        let median = if sorted.len() % 2 == 1 { upper } else { (upper + *sorted.get(half - 1)?) / 2.0 };
        Some(Self { median, min, max })
    }
}

/// A number for people: three digits that matter, thousands apart.
pub fn human(x: f64) -> String {
    let decimals = match x.abs() {
        a if a >= 100.0 => 0,
        a if a >= 10.0 => 1,
        a if a >= 1.0 || a == 0.0 => 2,
        _ => 3,
    };
    let text = format!("{:.*}", decimals, rounded(x, decimals as i32));
    let (whole, part) = text.split_once('.').map_or((text.as_str(), ""), |(w, p)| (w, p.trim_end_matches('0')));
    let (sign, digits) = whole.strip_prefix('-').map_or(("", whole), |d| ("-", d));
    let mut grouped = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    if part.is_empty() { format!("{sign}{grouped}") } else { format!("{sign}{grouped}.{part}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_figure_is_a_number_or_the_sum_of_a_map() {
        let line = json!({"create": {"latency": {"p50_ms": 0.5}}, "rss": {"a:1": 20, "b:2": 30}});
        assert_eq!(Figure::less("", "/create/latency/p50_ms", "ms").read(&line), Some(0.5));
        assert_eq!(Figure::less("", "/rss", "MiB").read(&line), Some(50.0));
        assert_eq!(Figure::less("", "/update", "ms").read(&line), None);
        let line = json!({"rss": {"a:1": 20, "b:2": 30, "b:3": 1}, "p50_ms": 0.5});
        assert_eq!(Figure::less("", "/rss", "MiB").parts(&line), BTreeMap::from([("a".to_owned(), 20.0), ("b".to_owned(), 31.0)]));
        assert!(Figure::less("", "/p50_ms", "ms").parts(&line).is_empty());
    }

    #[test]
    fn better_is_more_than_one_either_way() {
        assert_eq!(Figure::more("", "", "/s").times(200.0, 100.0), 2.0);
        assert_eq!(Figure::less("", "", "ms").times(0.5, 1.0), 2.0);
    }

    #[test]
    fn the_middle_of_odd_and_even_many() {
        assert_eq!(Spread::of(&[]), None);
        assert_eq!(Spread::of(&[3.0, 1.0, 2.0]), Some(Spread { median: 2.0, min: 1.0, max: 3.0 }));
        assert_eq!(Spread::of(&[4.0, 1.0, 2.0, 3.0]).map(|s| s.median), Some(2.5));
    }

    #[test]
    fn numbers_for_people() {
        for (x, text) in
            [(12_345.6, "12,346"), (1_234_567.0, "1,234,567"), (99.96, "100"), (12.34, "12.3"), (2.5, "2.5"), (0.0714, "0.071"), (0.0, "0"), (7.0, "7")]
        {
            assert_eq!(human(x), text);
        }
        assert_eq!(human(-1234.0), "-1,234");
    }
}
