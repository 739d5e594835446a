//! The results that are kept: what came of each conformance test when it was last run. A run writes them; nobody else does.
use crate::failure::Failure;
use crate::report::{Outcome, Verdict};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::Path;

/// What the names of conformance tests end with, or have in them.
const CONFORMANCE: &str = "[Conformance]";

/// All that is kept.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Results {
    /// The version of Kubernetes whose tests these are.
    release: String,
    /// How many there are of each verdict; counted when they are written.
    #[serde(default)]
    summary: BTreeMap<Word, usize>,
    /// By the tests' full names.
    tests: BTreeMap<String, Entry>,
}

/// What came of one test.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Entry {
    result: Word,
    /// Why it did not pass.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    why: String,
    /// It passes on simulated nodes: it needs no container.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    hollow: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
enum Word {
    #[serde(rename = "passed")]
    Passed,
    #[serde(rename = "failed")]
    Failed,
    #[serde(rename = "not possible here")]
    NotPossible,
    /// It has run on simulated nodes only.
    #[serde(rename = "not run")]
    NotRun,
}

impl Results {
    /// Those of this file; none where there is no such file, or it has those of another version.
    ///
    /// # Errors
    /// When the file can't be read or isn't what a run has written.
    pub fn read(path: &Path, release: &str) -> Result<Self, Failure> {
        let none = Self { release: release.to_owned(), ..Self::default() };
        let text = match std::fs::read(path) {
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(none),
            other => other.map_err(Failure::file(path))?,
        };
        let kept: Self = serde_json::from_slice(&text).map_err(|source| Failure::Content { path: path.to_owned(), source })?;
        Ok(if kept.release == release { kept } else { none })
    }

    /// Writes them, in one step.
    ///
    /// # Errors
    /// When the file can't be written.
    pub fn write(&mut self, path: &Path) -> Result<(), Failure> {
        self.summary.clear();
        for entry in self.tests.values() {
            *self.summary.entry(entry.result).or_default() += 1;
        }
        let mut text = serde_json::to_string_pretty(self).map_err(|source| Failure::Content { path: path.to_owned(), source })?;
        text.push('\n');
        let new = path.with_extension("json.new");
        std::fs::write(&new, text).map_err(Failure::file(&new))?;
        std::fs::rename(&new, path).map_err(Failure::file(path))
    }

    /// Takes over what a run on real nodes has brought about; of tests outside of the conformance tests nothing is kept.
    pub fn record(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes.iter().filter(|o| o.name.contains(CONFORMANCE)) {
            let (result, why) = match &outcome.verdict {
                Verdict::Passed => (Word::Passed, ""),
                Verdict::Failed(why) => (Word::Failed, why.as_str()),
                Verdict::NotPossible(why) => (Word::NotPossible, why.as_str()),
            };
            let hollow = self.tests.get(&outcome.name).is_some_and(|e| e.hollow);
            self.tests.insert(outcome.name.clone(), Entry { result, why: why.to_owned(), hollow });
        }
    }

    /// Takes over which tests pass on simulated nodes. One that did and doesn't stays on the list: it is complained of until it passes.
    pub fn record_hollow(&mut self, outcomes: &[Outcome]) {
        for outcome in outcomes.iter().filter(|o| o.name.contains(CONFORMANCE) && o.verdict == Verdict::Passed) {
            let unknown = Entry { result: Word::NotRun, why: String::new(), hollow: true };
            self.tests.entry(outcome.name.clone()).or_insert(unknown).hollow = true;
        }
    }

    /// The tests that have passed.
    pub fn passed(&self) -> Vec<String> {
        self.tests.iter().filter(|(_, e)| e.result == Word::Passed).map(|(name, _)| name.clone()).collect()
    }

    /// The tests that have passed on simulated nodes.
    pub fn hollow(&self) -> Vec<String> {
        self.tests.iter().filter(|(_, e)| e.hollow).map(|(name, _)| name.clone()).collect()
    }
}

/// So many of these names, or all of them; the same for the same seed, which is printed.
pub fn at_random(names: &[String], number: Option<usize>, seed: Option<u64>) -> Vec<String> {
    let Some(number) = number else { return names.to_vec() };
    let seed = seed.unwrap_or_else(|| rand::rng().random_range(0..1_000_000));
    eprintln!("  {} of {} tests that have passed, chosen with SEED={seed}", number.min(names.len()), names.len());
    names.choose_multiple(&mut StdRng::seed_from_u64(seed), number).cloned().collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn outcome(name: &str, verdict: Verdict) -> Outcome {
        Outcome { name: name.to_owned(), verdict, span: None, log: String::new() }
    }

    fn some() -> Results {
        let mut results = Results { release: "v1".into(), ..Results::default() };
        results.record(&[
            outcome("a [Conformance]", Verdict::Passed),
            outcome("b [Conformance]", Verdict::Failed("no pod".into())),
            outcome("c [Conformance]", Verdict::NotPossible("no image".into())),
            outcome("d", Verdict::Passed),
        ]);
        results
    }

    #[test]
    fn what_is_written_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results.json");
        let mut results = some();
        results.write(&path).unwrap();
        assert_eq!(Results::read(&path, "v1").unwrap(), results);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains("\"summary\": {\n    \"passed\": 1,\n    \"failed\": 1,\n    \"not possible here\": 1"), "{text}");
        assert_eq!(Results::read(&path, "v2").unwrap().tests.len(), 0, "another version's results say nothing");
        assert!(matches!(Results::read(folder.path(), "v1"), Err(Failure::File { .. })));
    }

    #[test]
    fn conformance_tests_alone_are_kept_and_the_last_run_counts() {
        let mut results = some();
        assert_eq!(results.passed(), ["a [Conformance]"]);
        results.record(&[outcome("a [Conformance]", Verdict::Failed("x".into())), outcome("b [Conformance]", Verdict::Passed)]);
        assert_eq!(results.passed(), ["b [Conformance]"]);
    }

    #[test]
    fn simulated_nodes_say_nothing_of_real_ones() {
        let mut results = some();
        results.record_hollow(&[outcome("b [Conformance]", Verdict::Passed), outcome("e [Conformance]", Verdict::Passed)]);
        assert_eq!(results.passed(), ["a [Conformance]"]);
        assert_eq!(results.hollow(), ["b [Conformance]", "e [Conformance]"]);
        results.record_hollow(&[outcome("b [Conformance]", Verdict::Failed("x".into()))]);
        results.record(&[outcome("e [Conformance]", Verdict::Passed)]);
        assert_eq!(results.hollow(), ["b [Conformance]", "e [Conformance]"]);
    }

    #[test]
    fn a_seed_chooses_the_same_again() {
        let names: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        assert_eq!(at_random(&names, None, None), names);
        assert_eq!(at_random(&names, Some(100), Some(1)).len(), 50);
        assert_eq!(at_random(&names, Some(5), Some(7)), at_random(&names, Some(5), Some(7)));
        assert_ne!(at_random(&names, Some(5), Some(7)), at_random(&names, Some(5), Some(8)));
    }
}
