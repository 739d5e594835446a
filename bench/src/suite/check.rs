//! `bench check`: what is here against the recorded commit, in one run, pair by pair.
use super::compare::Comparison;
use super::figure::{Spread, human};
use super::loads::{Cluster, Load};
use super::machine::Machine;
use super::places::{Places, SuiteError, files};
use super::runner::{Programs, RunError};
use super::table::markdown;
use super::{base, record, stop_asked};
use clap::Args;
use serde_json::Value;
use std::path::PathBuf;

/// Against what, and how often.
#[derive(Args, Debug)]
pub struct Options {
    /// Loads to compare; all that are made for it where none is named
    loads: Vec<String>,
    /// The commit to compare with [default: that of the last record of a machine like this one]
    #[arg(long)]
    against: Option<String>,
    /// Pairs of runs of each load; as many again where a figure seems to have fallen
    #[arg(long, default_value_t = 5)]
    pairs: usize,
    /// The binary that is compared [default: the one built beside this program]
    #[arg(long, value_name = "PATH")]
    whalesong: Option<PathBuf>,
}

/// Both binaries, and what was measured of them.
struct Duel {
    before: Programs,
    now: Programs,
}

/// The lines of a load, of both; or why there are none.
struct Fought {
    load: &'static Load,
    pairs: Vec<(Value, Value)>,
    /// The commit doesn't have this load yet, or fails at it.
    before: Option<RunError>,
    now: Option<RunError>,
}

impl Duel {
    /// Adds so many pairs; who begins alternates.
    async fn fight(&self, fought: &mut Fought, pairs: usize) {
        for n in 0..pairs {
            eprint!("{}, pair {} … ", fought.load.name, fought.pairs.len() + 1);
            let (mut before, mut now) = (None, None);
            for first in [n % 2 == 0, n % 2 != 0] {
                let (programs, place) = if first { (&self.before, &mut before) } else { (&self.now, &mut now) };
                *place = Some(programs.run(fought.load, fought.load.check.unwrap_or_default()).await);
            }
            match (before, now) {
                (Some(Ok(before)), Some(Ok(now))) => {
                    eprintln!("{}", first_ratio(fought.load, &before, &now));
                    fought.pairs.push((before, now));
                }
                (before, now) => {
                    fought.before = before.and_then(Result::err);
                    fought.now = now.and_then(Result::err);
                    eprintln!("not measured");
                    return;
                }
            }
        }
    }
}

fn first_ratio(load: &Load, before: &Value, now: &Value) -> String {
    let ratio = load.figures.first().and_then(|f| Some(format!("{}: {} times", f.name, human(f.times(f.read(now)?, f.read(before)?)))));
    ratio.unwrap_or_default()
}

impl Fought {
    fn comparisons(&self) -> impl Iterator<Item = (&'static str, Option<Comparison>)> + use<'_> {
        self.load.figures.iter().filter(|f| f.kept).map(|figure| {
            let pairs: Vec<(f64, f64)> = self.pairs.iter().filter_map(|(before, now)| Some((figure.read(before)?, figure.read(now)?))).collect();
            (figure.name, Comparison::of(figure, &pairs))
        })
    }

    /// What has fallen.
    fn fallen(&self) -> Vec<String> {
        self.comparisons().filter(|(_, c)| c.is_some_and(|c| c.fell())).map(|(name, _)| format!("{}: {name}", self.load.name)).collect()
    }

    fn rows(&self) -> Vec<[String; 6]> {
        let range = |s: Spread| format!("{} ({} to {})", human(s.median), human(s.min), human(s.max));
        let row = |(name, compared): (&str, Option<Comparison>)| {
            let compared = compared?;
            let verdict = if compared.fell() { "fell" } else { "" };
            Some([self.load.name, name, &range(compared.before), &range(compared.now), &range(compared.times), verdict].map(str::to_owned))
        };
        self.comparisons().filter_map(row).collect()
    }
}

/// Compares, and says what has fallen.
///
/// # Errors
/// [`SuiteError::Fell`] when something has; otherwise what stood in the way.
pub async fn run(options: &Options) -> Result<(), SuiteError> {
    let places = Places::find()?;
    let chosen: Vec<&'static Load> = super::loads::chosen(&options.loads).map_err(SuiteError::Unknown)?;
    let commit = match &options.against {
        Some(commit) => commit.clone(),
        None => recorded(&places)?,
    };
    // in a thread of its own, and waited for: a work tree is taken away again whatever comes
    let (at, of) = (places.clone(), commit.clone());
    let building = tokio::task::spawn_blocking(move || base::build(&at, &of));
    let built = tokio::select! {
        built = building => built.map_err(|e| SuiteError::Trouble(e.to_string()))??,
        () = stop_asked() => return Err(SuiteError::Interrupted),
    };
    let before = Programs { whalesong: built.join("whalesong"), bench: built.join("bench"), ..places.own.clone() };
    let whalesong = options.whalesong.clone().unwrap_or_else(|| places.own.whalesong.clone());
    let duel = Duel { before, now: Programs { whalesong, ..places.own.clone() } };
    let mut fought: Vec<Fought> =
        chosen.into_iter().filter(|l| l.check.is_some()).map(|load| Fought { load, pairs: Vec::new(), before: None, now: None }).collect();
    tokio::select! {
        () = all(&duel, &mut fought, options.pairs.max(1)) => {}
        () = stop_asked() => return Err(SuiteError::Interrupted),
    }
    report(&fought, &commit)
}

/// What seems to have fallen is measured once more before it is said.
async fn all(duel: &Duel, fought: &mut [Fought], pairs: usize) {
    for one in fought {
        // a server is measured by one and the same client
        let client = if one.load.cluster == Cluster::Nothing { &duel.before.bench } else { &duel.now.bench };
        let duel = Duel { before: Programs { bench: client.clone(), ..duel.before.clone() }, now: duel.now.clone() };
        duel.fight(one, pairs).await;
        if !one.fallen().is_empty() {
            eprintln!("{} seems to have fallen: once more", one.fallen().join(", "));
            duel.fight(one, pairs).await;
        }
    }
}

fn recorded(places: &Places) -> Result<String, SuiteError> {
    let history = places.root.join("bench/history");
    let machine = Machine::here(&places.scratch).map_err(files(places.scratch.display().to_string()))?;
    let record = if history.exists() { record::last(&history, &machine)? } else { None };
    record.and_then(|r| r.commit).ok_or(SuiteError::NoRecord)
}

fn report(fought: &[Fought], commit: &str) -> Result<(), SuiteError> {
    let mut rows = vec![["load", "figure", commit, "now", "times better", ""].map(str::to_owned)];
    rows.extend(fought.iter().flat_map(Fought::rows));
    println!("{}", markdown(&rows));
    for one in fought {
        if let Some(error) = &one.before {
            println!("{} is not compared, because at {commit} {error}", one.load.name);
        }
        if let Some(error) = &one.now {
            println!("{} failed: {error}", one.load.name);
        }
    }
    let broken: Vec<&str> = fought.iter().filter(|f| f.now.is_some()).map(|f| f.load.name).collect();
    let fallen: Vec<String> = fought.iter().flat_map(Fought::fallen).collect();
    match (broken.is_empty(), fallen.is_empty()) {
        (false, _) => Err(SuiteError::Trouble(broken.join(", "))),
        (true, false) => Err(SuiteError::Fell(fallen.join(", "))),
        (true, true) => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::suite::loads::LOADS;
    use serde_json::json;

    fn fought(creates: &[(f64, f64)]) -> Fought {
        let load = LOADS.iter().find(|l| l.name == "writes-256").expect("a row");
        let line = |per_s: f64| json!({"create": {"per_s": per_s, "latency": {"p99_ms": 1e9 / per_s}}});
        Fought { load, pairs: creates.iter().map(|(a, b)| (line(*a), line(*b))).collect(), before: None, now: None }
    }

    #[test]
    fn what_fell_is_named_and_fails() {
        let kept = fought(&[(100.0, 99.0), (100.0, 101.0), (100.0, 102.0)]);
        assert!(kept.fallen().is_empty() && report(&[kept], "abc").is_ok());
        let fell = fought(&[(100.0, 70.0), (100.0, 71.0), (100.0, 72.0)]);
        // the percentile far out fell too, and isn't compared
        assert_eq!(fell.fallen(), ["writes-256: creates"]);
        assert_eq!(fell.rows().iter().map(|r| r[5].as_str()).collect::<Vec<_>>(), ["fell"]);
        assert!(matches!(report(&[fell], "abc"), Err(SuiteError::Fell(what)) if what == "writes-256: creates"));
    }

    #[test]
    fn a_load_that_the_commit_doesnt_have_is_left_out_and_one_that_fails_now_is_trouble() {
        let new = Fought { before: Some(RunError::Cluster("no".into())), ..fought(&[]) };
        assert!(report(&[new], "abc").is_ok());
        let broken = Fought { now: Some(RunError::Cluster("no".into())), ..fought(&[]) };
        assert!(matches!(report(&[broken], "abc"), Err(SuiteError::Trouble(_))));
    }
}
