//! What is left of each failed test: one folder named by it, with what the suite logged and what the cluster logged at that time.
use crate::cluster;
use crate::failure::Failure;
use crate::report::{Outcome, Verdict};
use jiff::Timestamp;
use std::collections::BTreeSet;
use std::path::Path;
use testbed::Cluster;

/// The cluster's log begins so long before the test.
const BEFORE: jiff::SignedDuration = jiff::SignedDuration::from_secs(1);
/// A folder's name is no longer than this; the suite has longer ones.
const NAME: usize = 120;

/// Copies the cluster's logs out of it: they go with its machines.
///
/// # Errors
/// When they can't be copied.
pub fn keep_logs(cluster: &Cluster, out: &Path) -> Result<(), Failure> {
    let folder = out.join("cluster");
    std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
    for (name, from) in cluster::logs(cluster) {
        std::fs::copy(&from, folder.join(name + ".log")).map_err(Failure::file(from))?;
    }
    Ok(())
}

/// Writes the folders of those that failed.
///
/// # Errors
/// When they can't be written.
pub fn of_failures(outcomes: &[Outcome], out: &Path) -> Result<(), Failure> {
    let logs = read_logs(&out.join("cluster"))?;
    let mut taken = BTreeSet::new();
    for outcome in outcomes.iter().filter(|o| matches!(o.verdict, Verdict::Failed(_))) {
        let folder = out.join("failed").join(folder_name(&outcome.name, &mut taken));
        std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        let suite = folder.join("suite.log");
        std::fs::write(&suite, format!("{}\n\n{}", outcome.name, outcome.log)).map_err(Failure::file(suite))?;
        for (name, log) in outcome.span.map(|span| (span, &logs)).into_iter().flat_map(|(span, logs)| logs.iter().map(move |(n, l)| (n, l.of(span)))) {
            let path = folder.join(name);
            std::fs::write(&path, log).map_err(Failure::file(path))?;
        }
    }
    Ok(())
}

fn read_logs(folder: &Path) -> Result<Vec<(String, Log)>, Failure> {
    let mut logs = Vec::new();
    if !folder.exists() {
        return Ok(logs);
    }
    for entry in std::fs::read_dir(folder).map_err(Failure::file(folder))? {
        let path = entry.map_err(Failure::file(folder))?.path();
        let text = std::fs::read(&path).map_err(Failure::file(&path))?;
        let name = path.file_name().and_then(|n| n.to_str()).unwrap_or_default().to_owned();
        logs.push((name, Log::of_text(String::from_utf8_lossy(&text).into_owned())));
    }
    Ok(logs)
}

/// A log whose lines begin with the time, and where each of them begins; lines without a time belong to the one before.
struct Log {
    text: String,
    lines: Vec<(Timestamp, usize)>,
}

impl Log {
    fn of_text(text: String) -> Self {
        let mut lines = Vec::new();
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let plain = line.trim_start_matches("\u{1b}[2m");
            if let Some(time) = plain.split([' ', '\u{1b}']).next().and_then(|word| word.parse().ok()) {
                lines.push((time, at));
            }
            at += line.len();
        }
        Self { text, lines }
    }

    /// What was logged while a test ran.
    fn of(&self, (start, end): (Timestamp, Timestamp)) -> &str {
        let place = |i: usize| self.lines.get(i).map_or(self.text.len(), |(_, at)| *at);
        let from = self.lines.partition_point(|(time, _)| *time < start.saturating_sub(BEFORE).unwrap_or(start));
        let to = self.lines.partition_point(|(time, _)| *time <= end);
        self.text.get(place(from)..place(to)).unwrap_or_default()
    }
}

/// A test's name as a folder's: words and hyphens, short, and nobody else's.
fn folder_name(test: &str, taken: &mut BTreeSet<String>) -> String {
    let words = test.split(|c: char| !c.is_ascii_alphanumeric()).filter(|w| !w.is_empty()).collect::<Vec<_>>().join("-");
    let short = words.trim_end_matches("-Conformance").chars().take(NAME).collect::<String>();
    let mut name = short.clone();
    let mut number = 1;
    while !taken.insert(name.clone()) {
        number += 1;
        name = format!("{short}-{number}");
    }
    name
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_are_words_short_and_different() {
        let mut taken = BTreeSet::new();
        let rows = [
            ("[sig-node] Pods should /be..$(ok) [Conformance]", "sig-node-Pods-should-be-ok"),
            ("[sig-node] Pods should be ok [Conformance]", "sig-node-Pods-should-be-ok-2"),
        ];
        for (test, want) in rows {
            assert_eq!(folder_name(test, &mut taken), want);
        }
        assert_eq!(folder_name(&"x".repeat(500), &mut taken).len(), NAME);
    }

    #[test]
    fn a_log_is_cut_to_the_time_of_a_test() {
        let line = |second: u32, text: &str| format!("\u{1b}[2m2026-11-26T10:00:{second:02}.000000Z\u{1b}[0m INFO {text}\n");
        let log = Log::of_text(line(1, "before") + &line(5, "first") + "more of it\n" + &line(9, "last") + &line(10, "after"));
        let at = |second: u32| format!("2026-11-26T10:00:{second:02}Z").parse::<Timestamp>().unwrap();
        let part = log.of((at(6), at(9)));
        assert!(part.starts_with("\u{1b}[2m2026-11-26T10:00:05") && part.contains("more of it") && part.contains("last") && !part.contains("after"), "{part}");
        assert_eq!(log.of((at(20), at(30))), "");
        assert_eq!(Log::of_text("no time\n".into()).of((at(1), at(2))), "");
    }

    #[test]
    fn each_failed_test_has_a_folder() {
        let out = tempfile::tempdir().unwrap();
        let at = |second: u32| format!("2026-11-26T10:00:{second:02}Z").parse::<Timestamp>().unwrap();
        std::fs::create_dir(out.path().join("cluster")).unwrap();
        std::fs::write(out.path().join("cluster/node2.log"), "2026-11-26T10:00:02Z INFO a pod\n").unwrap();
        let outcome = |name: &str, verdict| Outcome { name: name.into(), verdict, span: Some((at(1), at(3))), log: "why\n".into() };
        of_failures(&[outcome("a b [Conformance]", Verdict::Failed("x".into())), outcome("c", Verdict::Passed)], out.path()).unwrap();
        assert_eq!(std::fs::read_dir(out.path().join("failed")).unwrap().count(), 1);
        assert_eq!(std::fs::read_to_string(out.path().join("failed/a-b/suite.log")).unwrap(), "a b [Conformance]\n\nwhy\n");
        assert!(std::fs::read_to_string(out.path().join("failed/a-b/node2.log")).unwrap().contains("a pod"));
    }
}
