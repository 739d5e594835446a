//! A record as a chart: how many times better than Kubernetes each figure is, on a logarithmic scale, with the target's place marked. It is plain
//! SVG, with colours for light and for dark pages.
use super::figure::{Figure, human};
use super::loads::{LOADS, Load};
use super::record::Record;
use std::fmt::Write;

const WIDTH: f64 = 1080.0;
/// Where the bars begin and end.
const LEFT: f64 = 550.0;
const RIGHT: f64 = 970.0;
const TOP: f64 = 64.0;
const ROW: f64 = 22.0;
/// The scale reaches from half to so many times.
const FROM: f64 = 0.5;
const STEPS: [f64; 7] = [0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0];

const STYLE: &str = "text{font:12px system-ui,sans-serif;fill:#24292f}.dim{fill:#57606a}.bar{fill:#2f81f7}.short{fill:#d29922}\
.line{stroke:#8c959f;stroke-width:1}.even{stroke:#24292f;stroke-width:1}.goal{stroke:#1a7f37;stroke-width:3}.spread{stroke:#24292f;stroke-width:1.5}\
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.dim{fill:#9198a1}.line{stroke:#3d444d}.even,.spread{stroke:#e6edf3}.goal{stroke:#3fb950}}";

/// A figure as a bar.
struct Bar {
    label: String,
    value: String,
    /// How many times Kubernetes': the worst run, the median, the best.
    times: [f64; 3],
    goal: Option<f64>,
}

fn bar(load: &Load, figure: &Figure, record: &Record) -> Option<Bar> {
    let spread = record.whalesong.spread(load.name, figure.name)?;
    let kubernetes = record.of_kubernetes(load.name, figure)?;
    let times = |value: f64| figure.times(value, kubernetes);
    let title = if record.quick { load.name } else { load.title };
    let (a, b) = (times(spread.min), times(spread.max));
    Some(Bar {
        label: format!("{title}: {}", figure.name),
        value: format!("{} {}", human(spread.median), figure.unit),
        times: [a.min(b), times(spread.median), a.max(b)],
        // what the target is of the figure that it was set against, not of what this machine gives Kubernetes today
        goal: figure.target.zip(figure.kubernetes).map(|(target, known)| figure.times(target, known)),
    })
}

/// The chart of a record; of its figures those that Kubernetes' are known of.
pub fn render(record: &Record) -> String {
    let figures = LOADS.iter().flat_map(|load| load.figures.iter().map(move |figure| (load, figure)));
    let bars: Vec<Bar> = figures.filter_map(|(load, figure)| bar(load, figure, record)).collect();
    let bottom = ROW.mul_add(bars.len() as f64, TOP);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\"><title>Times Kubernetes</title><style>{STYLE}</style>\n",
        height = bottom + 30.0
    );
    let of = if record.kubernetes.is_some() { "in turn with it" } else { "on such a machine" };
    text(&mut svg, 16.0, 24.0, "start", "", &format!("How many times better than Kubernetes {of} (bar: median, thin line: all runs, green: the target)"));
    let sizes = if record.quick { "; short loads" } else { "" };
    text(&mut svg, 16.0, 42.0, "start", "dim", &format!("{}{sizes}", record.machine));
    for step in STEPS {
        let class = if step == 1.0 { "even" } else { "line" };
        line(&mut svg, class, [x(step), TOP - 4.0], [x(step), bottom]);
        text(&mut svg, x(step), bottom + 16.0, "middle", "dim", &format!("{}×", human(step)));
    }
    for (i, bar) in bars.iter().enumerate() {
        draw(&mut svg, bar, ROW.mul_add(i as f64, TOP));
    }
    svg + "</svg>\n"
}

fn draw(svg: &mut String, bar: &Bar, top: f64) {
    let [worst, median, best] = bar.times.map(x);
    let even = x(1.0);
    let (from, to) = (even.min(median), even.max(median));
    let reached = bar.goal.is_none_or(|goal| bar.times.get(1).is_some_and(|median| *median >= goal));
    text(svg, LEFT - 10.0, top + 15.0, "end", "", &bar.label);
    push(
        svg,
        format_args!(
            "<rect class=\"{}\" x=\"{from:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"14\"/>\n",
            if reached { "bar" } else { "short" },
            top + 4.0,
            to - from
        ),
    );
    line(svg, "spread", [worst, top + 11.0], [best, top + 11.0]);
    if let Some(goal) = bar.goal.map(x) {
        line(svg, "goal", [goal, top + 2.0], [goal, top + 20.0]);
    }
    text(svg, RIGHT + 8.0, top + 15.0, "start", "dim", &bar.value);
}

/// The place of a ratio on the scale, which ends where its steps do.
fn x(times: f64) -> f64 {
    let last = STEPS.last().copied().unwrap_or(FROM);
    let share = (times.clamp(FROM, last) / FROM).ln() / (last / FROM).ln();
    share.mul_add(RIGHT - LEFT, LEFT)
}

fn line(svg: &mut String, class: &str, [x1, y1]: [f64; 2], [x2, y2]: [f64; 2]) {
    push(svg, format_args!("<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"));
}

fn text(svg: &mut String, x: f64, y: f64, anchor: &str, class: &str, words: &str) {
    let safe = words.replace('&', "&amp;").replace('<', "&lt;");
    push(svg, format_args!("<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{safe}</text>\n"));
}

/// Writing to a string doesn't fail.
fn push(svg: &mut String, what: std::fmt::Arguments<'_>) {
    svg.write_fmt(what).unwrap_or_default();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::record::tests::record;

    #[test]
    fn the_scale_is_logarithmic_and_ends() {
        assert_eq!(x(0.1), LEFT);
        assert_eq!(x(1000.0), RIGHT);
        assert!((x(2.0) - x(1.0) - (x(20.0) - x(10.0))).abs() < 1e-9);
    }

    #[test]
    fn a_bar_for_each_figure_that_kubernetes_has() {
        let mut record = record("2026-11-21T06:00:00Z", Some("abc"));
        record.machine.cpu = "a & b".to_owned();
        record.whalesong.add("writes-256", "creates", 12_100.0);
        record.whalesong.add("writes-256", "creates p50", 20.0);
        record.whalesong.add("writes-1", "reads by name p50", 1.0);
        let svg = render(&record);
        assert_eq!(svg.matches("<rect class=\"bar\"").count(), 1, "{svg}");
        assert_eq!(svg.matches("<rect class=\"short\"").count(), 1, "{svg}");
        assert!(svg.contains("a &amp; b") && svg.contains("12,100 /s") && svg.ends_with("</svg>\n"), "{svg}");
    }
}
