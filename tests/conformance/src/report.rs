//! What came of each test, out of what the suite prints while it runs. Its report in a file comes at its end only, and not at all where one of its
//! processes breaks down.
use regex_lite::Regex;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

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
    /// All that the suite printed of it.
    pub log: String,
}

/// What stands above and below what is printed of one test.
const RULE: &str = "------------------------------";

/// The outcomes of these tests, in the suite's output; and what kept the suite from running, where nothing came of any.
///
/// # Errors
/// Why the suite did not come to its first test.
pub fn parse(output: &str, names: &[String]) -> Result<Vec<Outcome>, String> {
    let known: BTreeMap<String, &String> = names.iter().map(|name| (plain(name), name)).collect();
    let mut outcomes: BTreeMap<&String, Outcome> = BTreeMap::new();
    let mut broken = String::new();
    for block in blocks(output) {
        let Some(block) = Block::of(&block) else { continue };
        // a single label can't be told from the end of a name
        let shorter = || block.name.rsplit_once(" [").and_then(|(name, _)| known.get(&plain(name)));
        match known.get(&plain(block.name)).or_else(shorter) {
            Some(name) => _ = outcomes.insert(*name, block.outcome(name)),
            None if block.state.is_some_and(|s| s != "SKIPPED") => broken += &format!("{}: {}; ", block.name, block.complaint()),
            None => {}
        }
    }
    if outcomes.is_empty() && !broken.is_empty() {
        return Err(broken);
    }
    // a process of the suite that broke down takes its test with it, without a word
    let lost = || Verdict::Failed("the suite's process ended before the test did".to_owned());
    let of = |name: &String| outcomes.remove(name).unwrap_or_else(|| Outcome { name: name.clone(), verdict: lost(), span: None, log: String::new() });
    Ok(names.iter().map(of).collect())
}

fn blocks(output: &str) -> Vec<String> {
    static COLOURS: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new("\u{1b}\\[[0-9;]*m").ok());
    let plain = COLOURS.as_ref().map_or_else(|| output.into(), |colours| colours.replace_all(output, ""));
    let mut blocks = vec![String::new()];
    for line in plain.lines() {
        match blocks.last_mut() {
            Some(block) if line != RULE => *block += &format!("{line}\n"),
            _ => blocks.push(String::new()),
        }
    }
    blocks
}

/// What stands in front of a complaint.
const TAGS: [&str; 5] = ["[FAILED] ", "[PANICKED] ", "[TIMEDOUT] ", "[SKIPPED] ", "[INTERRUPTED] "];

/// What is printed of one test, taken apart.
struct Block<'a> {
    /// `FAILED`, `SKIPPED` and others; none where it passed.
    state: Option<&'a str>,
    seconds: f64,
    name: &'a str,
    /// All of it.
    text: &'a str,
}

impl<'a> Block<'a> {
    fn of(text: &'a str) -> Option<Self> {
        let (head, rest) = text.trim_start_matches('\n').split_once('\n')?;
        let (head, seconds) = head.strip_suffix(" seconds]")?.rsplit_once('[')?;
        let head = head.trim();
        // "• [1.2 seconds]", "• [FAILED] [1.2 seconds]", "[SynchronizedBeforeSuite] [FAILED] [1.2 seconds]"
        let state = head.rsplit_once(' ').map(|(_, state)| state.trim_matches(['[', ']'])).filter(|s| *s != "PASSED");
        Some(Self { state, seconds: seconds.parse().ok()?, name: rest.lines().next().unwrap_or_default(), text })
    }

    fn outcome(&self, name: &str) -> Outcome {
        let verdict = match self.state {
            None => Verdict::Passed,
            Some("SKIPPED") => Verdict::NotPossible(format!("the suite leaves it out: {}", first_line(&self.complaint()))),
            Some(_) => Verdict::Failed(first_line(&self.complaint())),
        };
        Outcome { name: name.to_owned(), verdict, span: self.span(), log: self.text.to_owned() }
    }

    /// What it says of its failure: below what it logged, up to where in the source that is. Of a panic, that it was one, and what it said.
    fn complaint(&self) -> String {
        let below = self.text.rsplit_once("<< Timeline\n").map_or(self.text, |(_, below)| below);
        let mut parts = below.splitn(2, "\n  In [");
        let tagged = parts.next().unwrap_or_default();
        let told = TAGS.iter().find_map(|tag| tagged.split_once(tag)).map_or(tagged, |(_, told)| told).trim();
        let panic = parts.next().and_then(|more| more.split_once('\n')).map(|(_, more)| more.split("Full Stack Trace").next().unwrap_or_default().trim());
        match panic.filter(|p| !p.is_empty() && self.state == Some("PANICKED")) {
            Some(panic) => format!("{told}: {panic}"),
            None if told.is_empty() => self.state.unwrap_or_default().to_lowercase(),
            None => told.to_owned(),
        }
    }

    /// It ended with its last line that has a time.
    fn span(&self) -> Option<(jiff::Timestamp, jiff::Timestamp)> {
        let stamp = |line: &str| {
            let (_, time) = line.rsplit_once(" @ ")?;
            let time = jiff::civil::DateTime::strptime("%m/%d/%y %H:%M:%S%.f", time.trim()).ok()?;
            Some(time.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp())
        };
        let end = self.text.lines().rev().find_map(stamp)?;
        let start = end.checked_sub(jiff::SignedDuration::try_from_secs_f64(self.seconds).ok()?).ok()?;
        Some((start, end))
    }
}

/// A test's name without what its header has beside it: in front of the part that failed its kind, and at the end the labels.
pub fn plain(name: &str) -> String {
    const KINDS: [&str; 6] = ["[It] ", "[BeforeEach] ", "[AfterEach] ", "[JustBeforeEach] ", "[JustAfterEach] ", "[DeferCleanup (Each)] "];
    let mut name = name.trim().to_owned();
    if let Some((rest, labels)) = name.rsplit_once(" [")
        && labels.contains(", ")
    {
        name = rest.to_owned();
    }
    KINDS.iter().fold(name, |name, kind| name.replacen(kind, "", 1))
}

/// What changes from run to run, and what stands for it: a line that says the same is the same line.
const CHANGING: &[(&str, &str)] = &[
    (r"0x[0-9a-f]{4,}", "0x…"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "UID"),
    (r"\b10\.[0-9]+\.[0-9]+\.[0-9]+(:[0-9]+)?", "ADDRESS"),
    (r"\b[0-9]+\.[0-9]+m?s\b", "TIME"),
    (r"/tmp/whalesong-lab-[^/]+", "LAB"),
    (r"-[0-9]{2,}\b", "-N"),
    (r"-[bcdfghjklmnpqrstvwxz2456789]{5}\b", "-XXXXX"),
];

/// The first line of a complaint that says something, no longer than 240 characters, without what changes from run to run.
fn first_line(message: &str) -> String {
    let line = message.lines().map(str::trim).find(|l| !l.is_empty()).unwrap_or_default();
    let mut line: String = line.chars().take(240).collect();
    for (pattern, stands) in CHANGING {
        if let Ok(pattern) = Regex::new(pattern) {
            line = pattern.replace_all(&line, *stands).into_owned();
        }
    }
    line
}

/// Splits names into those that can be run and the outcomes of those that can't, by a list of the latter with their reasons.
pub fn possible(names: Vec<String>, impossible: &BTreeMap<String, String>) -> (Vec<String>, Vec<Outcome>) {
    let (not, can): (BTreeSet<String>, BTreeSet<String>) = names.into_iter().partition(|n| impossible.contains_key(n));
    let outcome = |name: String| {
        let why = impossible.get(&name).cloned().unwrap_or_default();
        Outcome { name, verdict: Verdict::NotPossible(why), span: None, log: String::new() }
    };
    (can.into_iter().collect(), not.into_iter().map(outcome).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    const OUTPUT: &str = include_str!("../testdata/suite.txt");

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|n| (*n).to_owned()).collect()
    }

    fn outcomes() -> BTreeMap<String, Outcome> {
        let names = names(&[
            "[sig-node] Pods should run [Conformance] [NodeConformance]",
            "[sig-apps] Sets [Serial] should grow [Conformance]",
            "[sig-apps] Sets should panic [Conformance]",
            "[sig-network] Lists should be left out [Conformance]",
            "[sig-network] Lists should end [Conformance]",
            "[sig-network] Lists should have one label",
        ]);
        parse(OUTPUT, &names).unwrap().into_iter().map(|o| (o.name.clone(), o)).collect()
    }

    #[test]
    fn each_state_has_its_verdict() {
        let got: Vec<(String, Verdict)> = outcomes().into_iter().map(|(name, o)| (name, o.verdict)).collect();
        let failed = |why: &str| Verdict::Failed(why.to_owned());
        let want = [
            ("[sig-apps] Sets [Serial] should grow [Conformance]", failed("Timed out after TIME.")),
            ("[sig-apps] Sets should panic [Conformance]", failed("Test Panicked: runtime error: invalid memory address or nil pointer dereference")),
            ("[sig-network] Lists should be left out [Conformance]", Verdict::NotPossible("the suite leaves it out: Requires at least 3 nodes (not 2)".into())),
            ("[sig-network] Lists should end [Conformance]", failed("the suite's process ended before the test did")),
            ("[sig-network] Lists should have one label", Verdict::Passed),
            ("[sig-node] Pods should run [Conformance] [NodeConformance]", Verdict::Passed),
        ];
        assert_eq!(got, want.map(|(name, verdict)| (name.to_owned(), verdict)));
    }

    #[test]
    fn a_test_ran_until_its_last_line() {
        let all = outcomes();
        let (start, end) = all["[sig-apps] Sets [Serial] should grow [Conformance]"].span.unwrap();
        assert_eq!((start.to_string().as_str(), end.to_string().as_str()), ("2026-11-26T10:12:31.352Z", "2026-11-26T10:17:33.352Z"));
        let log = &all["[sig-apps] Sets [Serial] should grow [Conformance]"].log;
        assert!(log.contains("STEP: Scaling up") && log.contains("Expected"), "{log}");
    }

    #[test]
    fn a_suite_that_cannot_begin_is_no_result() {
        let output = format!(
            "{RULE}\n[SynchronizedBeforeSuite] [FAILED] [1.000 seconds]\n[SynchronizedBeforeSuite] \n/x.go:1\n\n  [FAILED] no node is ready\n  In [x] at: /x.go:1\n{RULE}\n"
        );
        let complaint = parse(&output, &names(&["a"])).unwrap_err();
        assert!(complaint.contains("no node is ready"), "{complaint}");
    }

    #[test]
    fn headers_have_more_than_names() {
        let rows = [
            (
                "[sig-node] Pods [It] should run [Conformance] [NodeConformance] [sig-node, NodeConformance, Conformance]",
                "[sig-node] Pods should run [Conformance] [NodeConformance]",
            ),
            ("[sig-auth] [FeatureGate:X] [BeforeEach] a [Conformance] [sig-auth, FeatureGate:X, Conformance]", "[sig-auth] [FeatureGate:X] a [Conformance]"),
            ("[sig-node] Pods should run [Conformance]", "[sig-node] Pods should run [Conformance]"),
        ];
        for (header, name) in rows {
            assert_eq!(plain(header), name);
        }
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
    fn what_is_impossible_is_not_run_and_says_why() {
        let list = BTreeMap::from([("b".to_owned(), "no image".to_owned())]);
        let (can, not) = possible(names(&["a", "b", "a"]), &list);
        assert_eq!((can, not.len()), (names(&["a"]), 1));
        assert_eq!(not[0].verdict, Verdict::NotPossible("no image".into()));
    }
}
