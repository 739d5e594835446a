//! What came of a run, as a table by area. An area is what the suite's tests have in brackets in front: the group of Kubernetes' people behind it.
use crate::report::{Outcome, Verdict};
use std::collections::BTreeMap;
use std::fmt::Write;

const ALL: &str = "all";

/// The table, and what isn't possible here with its reason.
pub fn render(outcomes: &[Outcome]) -> String {
    let mut areas: BTreeMap<&str, [usize; 3]> = BTreeMap::new();
    let mut all = [0; 3];
    for outcome in outcomes {
        let column = match outcome.verdict {
            Verdict::Passed => 0,
            Verdict::Failed(_) => 1,
            Verdict::NotPossible(_) => 2,
        };
        areas.entry(area(&outcome.name)).or_default()[column] += 1;
        all[column] += 1;
    }
    let width = areas.keys().map(|a| a.len()).chain([ALL.len()]).max().unwrap_or_default();
    let mut text = format!("\n{:width$}  passed  failed  not possible here\n", "area");
    for (area, [passed, failed, not]) in areas.into_iter().chain([(ALL, all)]) {
        // writing into a String can't fail
        let _written = writeln!(text, "{area:width$}  {passed:6}  {failed:6}  {not:17}");
    }
    for outcome in outcomes {
        if let Verdict::NotPossible(why) = &outcome.verdict {
            let _written = writeln!(text, "\nnot possible here: {}\n  {why}", outcome.name);
        }
    }
    text
}

fn area(test: &str) -> &str {
    test.strip_prefix('[').and_then(|rest| rest.split(']').next()).unwrap_or("other")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn areas_are_counted_and_what_is_impossible_is_said() {
        let outcome = |name: &str, verdict| Outcome { name: name.to_owned(), verdict, span: None, log: String::new() };
        let outcomes = [
            outcome("[sig-node] a", Verdict::Passed),
            outcome("[sig-node] b", Verdict::Failed("x".into())),
            outcome("[sig-apps] c", Verdict::NotPossible("no image".into())),
            outcome("d", Verdict::Passed),
        ];
        let want = "
area      passed  failed  not possible here
other          1       0                  0
sig-apps       0       0                  1
sig-node       1       1                  0
all            2       1                  1

not possible here: [sig-apps] c
  no image
";
        assert_eq!(render(&outcomes), want);
    }
}
