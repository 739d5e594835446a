//! A record as a table for people: Markdown, so that it can go into the history as it is.
use super::figure::{Figure, Spread, human};
use super::loads::LOADS;
use super::record::Record;

const HEAD: [&str; 8] = ["load", "figure", "Kubernetes", "target", "Whalesong", "min to max", "of target", "times Kubernetes"];

/// What was measured on what, and each figure with what it is held against.
pub fn render(record: &Record) -> String {
    let versions: Vec<String> = record.versions.iter().map(|(program, version)| format!("{program} {version}")).collect();
    let commit = record.commit.as_deref().unwrap_or("uncommitted");
    let mut text = format!("{}\n{commit}, {}, {}\n\n", record.machine, versions.join(", "), record.date.strftime("%Y-%m-%d %H:%M UTC"));
    let mut rows = vec![HEAD.map(str::to_owned)];
    for load in LOADS {
        // a title tells the sizes of the whole load
        let mut title = if record.quick { load.name } else { load.title };
        for figure in load.figures {
            if let Some(spread) = record.whalesong.spread(load.name, figure.name) {
                rows.push(row(std::mem::take(&mut title), load.name, figure, spread, record));
            }
        }
    }
    text += &markdown(&rows);
    if record.quick {
        text += "\nThese are short loads: targets don't apply to them.\n";
    }
    if record.kubernetes.is_some() {
        text += "\nKubernetes was measured in turn with Whalesong, on this machine; in brackets: what the target is of the figures that it was set against.\n";
    }
    for (of, figures) in [("Whalesong", Some(&record.whalesong)), ("Kubernetes", record.kubernetes.as_ref())] {
        let stolen = figures.into_iter().flat_map(|f| f.stolen.values().flatten().copied()).fold(0.0, f64::max);
        if stolen > 0.01 {
            text += &format!("\nUp to {}% of the processors' time was given to others during a run of {of}.\n", human(stolen * 100.0));
        }
    }
    for (of, notes) in [("", Some(&record.whalesong)), ("Kubernetes, ", record.kubernetes.as_ref())] {
        let notes = notes.into_iter().flat_map(|figures| &figures.trouble);
        notes.for_each(|(load, notes)| notes.iter().for_each(|note| text += &format!("\n{of}{load}: {note}\n")));
    }
    text
}

fn row(title: &str, load: &str, figure: &Figure, spread: Spread, record: &Record) -> [String; 8] {
    let shown = |value: Option<f64>| value.map(human).unwrap_or_default();
    // a short load is comparable with nothing but a short one
    let target = figure.target.filter(|_| !record.quick);
    let kubernetes = record.of_kubernetes(load, figure).filter(|_| !record.quick || record.kubernetes.is_some());
    let reached = target.map(|t| figure.times(spread.median, t)).map(|times| format!("{} {}", human(times), if times >= 1.0 { "✓" } else { "✗" }));
    let wanted = target.zip(figure.kubernetes).map(|(target, known)| format!(" ({})", human(figure.times(target, known))));
    let times = kubernetes.map(|k| human(figure.times(spread.median, k)) + &wanted.unwrap_or_default());
    [
        title.to_owned(),
        figure.name.to_owned(),
        shown(kubernetes),
        shown(target),
        format!("{} {}", human(spread.median), figure.unit),
        format!("{} to {}", human(spread.min), human(spread.max)),
        reached.unwrap_or_default(),
        times.unwrap_or_default(),
    ]
}

/// Rows as a Markdown table; the first is its head.
pub fn markdown<const N: usize>(rows: &[[String; N]]) -> String {
    let width = |column: usize| rows.iter().filter_map(|r| r.get(column)).map(|cell| cell.chars().count()).max().unwrap_or_default();
    let widths: [usize; N] = std::array::from_fn(width);
    let line = |row: &[String; N]| {
        let cells: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let rule: String = widths.iter().map(|width| format!("|{}", "-".repeat(width + 2))).collect::<String>() + "|\n";
    let mut lines = rows.iter().map(line);
    lines.next().unwrap_or_default() + &rule + &lines.collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::record::tests::record;

    #[test]
    fn a_table_has_targets_and_whether_they_are_met() {
        let mut record = record("2026-11-21T06:00:00Z", Some("abc"));
        for (creates, p50) in [(12_000.0, 20.0), (13_000.0, 21.0), (11_000.0, 19.0)] {
            record.whalesong.add("writes-256", "creates", creates);
            record.whalesong.add("writes-256", "creates p50", p50);
        }
        record.whalesong.add_trouble("pods-1000", "2 requests failed".to_owned());
        let text = render(&record);
        let figures: Vec<&str> = text.lines().filter(|l| l.contains("creates")).collect();
        assert_eq!(figures.len(), 2, "{text}");
        assert!(figures[0].contains("| 3,157") && figures[0].contains("12,000 /s | 11,000 to 13,000") && figures[0].contains("1 ✓"), "{text}");
        assert!(figures[1].contains("20 ms") && figures[1].contains("0.9 ✗"), "{text}");
        assert!(text.contains("abc, ") && text.contains("\npods-1000: 2 requests failed\n"), "{text}");
        assert!(figures[0].contains("| 3.8 (3.8)"), "{text}");
        record.kubernetes.get_or_insert_default().add("writes-256", "creates", 1_000.0);
        let text = render(&record);
        assert!(text.contains("| 1,000 ") && text.contains("| 12 (3.8)") && text.contains("in turn with Whalesong"), "{text}");
        (record.quick, record.kubernetes) = (true, None);
        assert!(!render(&record).contains("3,157"));
    }

    #[test]
    fn cells_line_up() {
        let rows = [["a", "bb"], ["✓x", "c"]].map(|r| r.map(str::to_owned));
        assert_eq!(markdown(&rows), "| a  | bb |\n|----|----|\n| ✓x | c  |\n");
    }
}
