//! How far the suite has come, read from what it prints, and shown: on a terminal in one line, elsewhere in a line every half a minute.
use crate::report::plain;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

/// Where nobody looks on, a line comes so often.
const EVERY: Duration = Duration::from_secs(30);

/// What is known of a run under way.
pub struct Progress {
    counts: Counts,
    chosen: usize,
    began: Instant,
    shown: Instant,
    terminal: bool,
}

/// What has ended, by what came of it.
#[derive(Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: usize,
    failed: usize,
    left_out: usize,
    /// The line before told of a failure; this one has its name.
    name_follows: bool,
}

impl Counts {
    /// Takes note of a line of the suite's; a failed test's name where this is one.
    fn line(&mut self, line: &str) -> Option<String> {
        if std::mem::take(&mut self.name_follows) {
            return Some(plain(line));
        }
        // "• [1.234 seconds]", "• [FAILED] [1.234 seconds]", "S [SKIPPED] [0.001 seconds]": Ginkgo's header of one test's report
        if !line.ends_with(" seconds]") {
            return None;
        }
        if line.starts_with("S [SKIPPED] [") {
            self.left_out += 1;
        } else if let Some(rest) = line.strip_prefix("• [") {
            self.name_follows = rest.starts_with(|c: char| c.is_ascii_uppercase());
            if self.name_follows { self.failed += 1 } else { self.passed += 1 }
        }
        None
    }

    fn done(&self) -> usize {
        self.passed + self.failed + self.left_out
    }
}

impl Progress {
    /// At the beginning of a run of so many tests.
    pub fn begin(chosen: usize) -> Self {
        let now = Instant::now();
        let progress = Self { counts: Counts::default(), chosen, began: now, shown: now, terminal: std::io::stderr().is_terminal() };
        progress.show();
        progress
    }

    /// The suite has printed this line.
    pub fn line(&mut self, line: &str) {
        let before = self.counts.done();
        let failed = self.counts.line(line);
        if let Some(name) = failed {
            let clear = if self.terminal { "\r\x1b[K" } else { "" };
            eprintln!("{clear}  failed: {name}");
        }
        if self.counts.done() != before && (self.terminal || self.shown.elapsed() > EVERY) {
            self.shown = Instant::now();
            self.show();
        }
    }

    fn show(&self) {
        let Counts { failed, left_out, .. } = self.counts;
        let (done, seconds) = (self.counts.done(), self.began.elapsed().as_secs());
        let note = if left_out == 0 { String::new() } else { format!(" ({left_out} left out by the suite)") };
        let text = format!("  {done} done{note}, {failed} failed, {} left; {} min {} s", self.chosen.saturating_sub(done), seconds / 60, seconds % 60);
        let mut out = std::io::stderr().lock();
        let shown = if self.terminal { write!(out, "\r\x1b[K{text}").and_then(|()| out.flush()) } else { writeln!(out, "{text}") };
        // who closes the terminal doesn't end the run
        drop(shown);
    }

    /// At the end of the run.
    pub fn end(&self) {
        self.show();
        eprintln!();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_reports_are_counted() {
        let mut counts = Counts::default();
        let lines = [
            ("Will run 4 of 7523 specs", None),
            ("• [1.234 seconds]", None),
            ("[sig-node] Pods a [Conformance]", None),
            ("• [FAILED] [60.100 seconds]", None),
            ("[sig-node] Pods [It] b [Conformance] [sig-node, Conformance]", Some("[sig-node] Pods b [Conformance]")),
            ("  STEP: waited [1.0 seconds]", None),
            ("S [SKIPPED] [0.002 seconds]", None),
            ("• [PANICKED] [0.1 seconds]", None),
            ("  [sig-apps] c", Some("[sig-apps] c")),
        ];
        for (line, name) in lines {
            assert_eq!(counts.line(line).as_deref(), name, "{line}");
        }
        assert_eq!(counts, Counts { passed: 1, failed: 2, left_out: 1, name_follows: false });
    }
}
