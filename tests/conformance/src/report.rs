//! What came of each test, out of the suite's report.
use crate::failure::Failure;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Tests that can't be run on these machines whatever the cluster does, each with the reason.
const IMPOSSIBLE: &str = include_str!("../impossible.json");

/// What came of a test.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It passed.
    Passed,
    /// It failed, with the first line of why.
    Failed(String),
    /// It can't be run here, with the reason.
    NotPossible(String),
}

/// One test that was run, or could not be.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its full name, as the suite's list has it.
    pub name: String,
    /// What came of it.
    pub verdict: Verdict,
    /// From when to when it ran; none where it didn't.
    pub span: Option<(jiff::Timestamp, jiff::Timestamp)>,
    /// What it logged, and what it complained of, at full length.
    pub log: String,
}

/// The suite's report, as far as it is looked at. Its fields are those of Ginkgo's `types.Report`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Report {
    #[serde(default)]
    spec_reports: Option<Vec<Spec>>,
    #[serde(default)]
    special_suite_failure_reasons: Option<Vec<String>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Spec {
    #[serde(default)]
    container_hierarchy_texts: Option<Vec<String>>,
    leaf_node_type: String,
    #[serde(default)]
    leaf_node_text: String,
    state: String,
    start_time: jiff::Timestamp,
    end_time: jiff::Timestamp,
    #[serde(default)]
    failure: Cause,
    #[serde(default)]
    captured_ginkgo_writer_output: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Cause {
    #[serde(default)]
    message: String,
    #[serde(default)]
    location: Location,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Location {
    #[serde(default)]
    file_name: String,
    #[serde(default)]
    line_number: u32,
}

impl Spec {
    fn name(&self) -> String {
        let texts = self.container_hierarchy_texts.iter().flatten().chain([&self.leaf_node_text]);
        texts.filter(|t| !t.is_empty()).map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// What came of it; none where it wasn't chosen.
    fn verdict(&self) -> Option<Verdict> {
        match self.state.as_str() {
            "passed" => Some(Verdict::Passed),
            "pending" => None,
            "skipped" if self.failure.message.is_empty() => None,
            "skipped" => Some(Verdict::NotPossible(format!("the suite leaves it out: {}", first_line(&self.failure.message)))),
            state => Some(Verdict::Failed(Some(first_line(&self.failure.message)).filter(|l| !l.is_empty()).unwrap_or_else(|| state.to_owned()))),
        }
    }

    fn outcome(self) -> Option<Outcome> {
        let Location { file_name, line_number } = &self.failure.location;
        let complaint = if self.failure.message.is_empty() { String::new() } else { format!("\n{}\n  at {file_name}:{line_number}\n", self.failure.message) };
        Some(Outcome {
            name: self.name(),
            verdict: self.verdict()?,
            span: Some((self.start_time, self.end_time)),
            log: self.captured_ginkgo_writer_output + &complaint,
        })
    }
}

/// The tests of a report that were chosen.
///
/// # Errors
/// When there is no report, or the suite ended before its tests.
pub fn read(path: &Path) -> Result<Vec<Outcome>, Failure> {
    let text = std::fs::read(path).map_err(|e| Failure::Suite(format!("it has left no report ({}: {e})", path.display())))?;
    parse(&text).map_err(|source| Failure::Content { path: path.to_owned(), source })?
}

fn parse(text: &[u8]) -> Result<Result<Vec<Outcome>, Failure>, serde_json::Error> {
    let mut outcomes = Vec::new();
    let mut broken = Vec::new();
    for report in serde_json::from_slice::<Vec<Report>>(text)? {
        broken.extend(report.special_suite_failure_reasons.unwrap_or_default());
        let (specs, others): (Vec<Spec>, Vec<Spec>) = report.spec_reports.unwrap_or_default().into_iter().partition(|s| s.leaf_node_type == "It");
        // what is to be done before the first test and after the last isn't one, and decides whether there was a run
        let failed = others.iter().filter(|s| matches!(s.verdict(), Some(Verdict::Failed(_)))).map(|s| format!("{}: {}", s.leaf_node_type, s.failure.message));
        broken.extend(failed);
        outcomes.extend(specs.into_iter().filter_map(Spec::outcome));
    }
    Ok(if outcomes.is_empty() && !broken.is_empty() { Err(Failure::Suite(broken.join("; "))) } else { Ok(outcomes) })
}

/// Splits names into those that can be run and the outcomes of those that can't.
///
/// # Errors
/// When the list of those that can't isn't JSON.
pub fn possible(names: Vec<String>) -> Result<(Vec<String>, Vec<Outcome>), Failure> {
    let impossible: BTreeMap<String, String> =
        serde_json::from_str(IMPOSSIBLE).map_err(|source| Failure::Content { path: PathBuf::from("impossible.json"), source })?;
    let (not, can): (Vec<String>, Vec<String>) = names.into_iter().partition(|n| impossible.contains_key(n));
    let outcome = |name: String| {
        let why = impossible.get(&name).cloned().unwrap_or_default();
        Outcome { name, verdict: Verdict::NotPossible(why), span: None, log: String::new() }
    };
    Ok((can, not.into_iter().map(outcome).collect()))
}

/// What changes from run to run, and what stands for it: a line that says the same is the same line.
const CHANGING: &[(&str, &str)] = &[
    (r"0x[0-9a-f]{4,}", "0x…"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"\b10\.[0-9]+\.[0-9]+\.[0-9]+(:[0-9]+)?", "ADDRESS"),
    (r"\b[0-9]+\.[0-9]+m?s\b", "TIME"),
    (r"-[0-9]{2,}\b", "-N"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-XXXXX"),
];

/// The first line of a complaint that says something, no longer than 240 characters, without what changes from run to run.
fn first_line(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    let mut line: String = line.chars().take(240).collect();
    for (pattern, stands) in CHANGING {
        if let Ok(pattern) = regex_lite::Regex::new(pattern) {
            line = pattern.replace_all(&line, *stands).into_owned();
        }
    }
    line
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    fn spec(kind: &str, text: &str, state: &str, message: &str) -> String {
        let times = r#""StartTime":"2026-11-26T10:00:00.5Z","EndTime":"2026-11-26T10:00:02Z""#;
        format!(
            r#"{{"ContainerHierarchyTexts":["[sig-node] Pods",""],"LeafNodeType":"{kind}","LeafNodeText":"{text}","State":"{state}",{times},
               "Failure":{{"Message":{message:?},"Location":{{"FileName":"pods.go","LineNumber":7}}}},"CapturedGinkgoWriterOutput":"STEP: one\n"}}"#
        )
    }

    fn of(specs: &[String]) -> Result<Vec<Outcome>, Failure> {
        parse(format!(r#"[{{"SpecReports":[{}]}}]"#, specs.join(",")).as_bytes()).unwrap()
    }

    #[test]
    fn tests_that_were_not_chosen_are_none() {
        let outcomes = of(&[spec("It", "a", "passed", ""), spec("It", "b", "skipped", ""), spec("It", "c", "pending", "")]).unwrap();
        assert_eq!(outcomes.iter().map(|o| o.name.as_str()).collect::<Vec<_>>(), ["[sig-node] Pods a"]);
    }

    #[test]
    fn each_state_has_its_verdict() {
        let rows = [
            ("passed", "", Verdict::Passed),
            ("failed", "\n  no pod\nmore", Verdict::Failed("no pod".into())),
            ("timedout", "", Verdict::Failed("timedout".into())),
            ("panicked", "boom", Verdict::Failed("boom".into())),
            ("skipped", "needs three nodes", Verdict::NotPossible("the suite leaves it out: needs three nodes".into())),
        ];
        for (state, message, want) in rows {
            assert_eq!(of(&[spec("It", "a", state, message)]).unwrap()[0].verdict, want, "{state}");
        }
    }

    #[test]
    fn a_failure_has_its_place_in_the_log() {
        let outcomes = of(&[spec("It", "a", "failed", "no pod")]).unwrap();
        assert_eq!(outcomes[0].log, "STEP: one\n\nno pod\n  at pods.go:7\n");
    }

    #[test]
    fn a_suite_that_cannot_begin_is_no_result() {
        let complaint = of(&[spec("SynchronizedBeforeSuite", "", "failed", "no node is ready")]).unwrap_err().to_string();
        assert!(complaint.contains("no node is ready"), "{complaint}");
        // what fails after the last test takes nothing back
        assert_eq!(of(&[spec("It", "a", "passed", ""), spec("AfterSuite", "", "failed", "x")]).unwrap().len(), 1);
    }

    #[test]
    fn lines_that_say_the_same_are_the_same() {
        let rows = [
            ("pod \"agnhost-4821\" in pods-91 on 10.244.2.7:80: 0xc0001234", "pod \"agnhost-N\" in pods-N on ADDRESS: 0x…"),
            ("Timed out after 300.001s", "Timed out after TIME"),
            ("rs-7d4b9 of 9f0e4a52-1c8f-4f3e-a6a1-0d8fd3b2c1aa", "rs-XXXXX of UID"),
            ("the server-side of pods", "the server-side of pods"),
            ("test-deployment-x8k2w is v1alpha1", "test-deployment-XXXXX is v1alpha1"),
        ];
        for (line, want) in rows {
            assert_eq!(first_line(line), want);
        }
    }

    #[test]
    fn what_is_impossible_says_why() {
        let list: BTreeMap<String, String> = serde_json::from_str(IMPOSSIBLE).unwrap();
        assert!(list.iter().all(|(name, why)| name.contains("[Conformance]") && !why.is_empty()));
    }
}
