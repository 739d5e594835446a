//! `whalesong hollow`: what is the matter with simulated nodes, while they run.
use crate::cli::HollowArgs;
use crate::failure::Failure;
use crate::join;
use bus::{Role, To};
use node_agent::hollow::{FleetOrder, Mode, Report};
use std::fmt::Write;
use std::time::Duration;

/// How long their process may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// How much later a slow node does everything.
const DELAY: Duration = Duration::from_secs(2);
/// How long a flapping node is silent: a little longer than others take it for well.
const EVERY: Duration = Duration::from_secs(50);

/// A span of time as people write it: `100ms`, `30s`, `2m`.
///
/// # Errors
/// When it isn't one.
pub fn duration(text: &str) -> Result<Duration, Failure> {
    let parsed = text.parse::<jiff::SignedDuration>().ok().and_then(|d| Duration::try_from(d).ok());
    parsed.ok_or_else(|| Failure::new(format!("{text:?} is no span of time"), "write it as 100ms, 30s or 2m"))
}

fn order(args: &HollowArgs) -> Result<FleetOrder, Failure> {
    let or = |text: &Option<String>, default| text.as_deref().map_or(Ok(default), duration);
    let mode = match args.mode.as_deref() {
        None => None,
        Some("silent") => Some(Mode::Silent),
        Some("flapping") => Some(Mode::Flapping(or(&args.every, EVERY)?)),
        Some("slow") => Some(Mode::Slow(or(&args.delay, DELAY)?)),
        Some("cut") => Some(Mode::Cut),
        Some(_) => Some(Mode::Well),
    };
    let lasts = args.lasts.as_deref().map(duration).transpose()?;
    Ok(FleetOrder { mode, nodes: args.nodes.clone(), count: args.count, lasts })
}

fn render(report: &Report, mode: Option<Mode>) -> String {
    let mut text = String::new();
    let now = report.modes.iter().map(|(mode, n)| format!("{n} {mode}")).collect::<Vec<_>>().join(", ");
    let changed = mode.map(|mode| match report.changed.as_slice() {
        [] => format!("No node becomes {mode}; "),
        [one] => format!("{one} is now {mode}; "),
        [first, .., last] => format!("{} nodes are now {mode}, {first} to {last}; ", report.changed.len()),
    });
    // writing to a string can't fail
    _ = writeln!(text, "{}of all: {now}", changed.unwrap_or_default()).is_ok();
    text
}

/// Gives the order, and says what came of it.
///
/// # Errors
/// When no process has simulated nodes, or an option can't be read.
pub async fn hollow(args: HollowArgs) -> Result<String, Failure> {
    let order = order(&args)?;
    let (bus, mode) = (join::as_role(&args.role, Role::Admin, "admin").await?, order.mode);
    let to = args.prefix.as_deref().map_or(To::Any, |prefix| To::Instance(prefix.into()));
    let answer = bus.call(&to, order, PATIENCE).await;
    let answer = answer.map_err(|e| Failure::new(e.to_string(), "simulated nodes are run by `up --hollow-nodes N` or `agent --hollow N`"))?;
    answer.map(|report| render(&report, mode)).map_err(|why| Failure::new(why, "`kubectl get nodes` shows their names"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_answers_in_words() {
        let args = HollowArgs { mode: Some("slow".into()), delay: Some("100ms".into()), lasts: Some("2m".into()), count: Some(3), ..HollowArgs::default() };
        let got = order(&args).unwrap();
        assert_eq!((got.mode, got.lasts, got.count), (Some(Mode::Slow(Duration::from_millis(100))), Some(Duration::from_secs(120)), Some(3)));
        assert!(order(&HollowArgs { lasts: Some("soon".into()), ..HollowArgs::default() }).is_err());
        let report = Report { changed: vec!["a0".into(), "a1".into()], modes: [("slow".to_owned(), 2), ("well".to_owned(), 1)].into() };
        assert_eq!(render(&report, got.mode), "2 nodes are now slow, a0 to a1; of all: 2 slow, 1 well\n");
        assert_eq!(render(&report, None), "of all: 2 slow, 1 well\n");
    }
}
