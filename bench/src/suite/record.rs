//! What a run of the suite found, as it is kept.
use super::figure::{Figure, Spread};
use super::machine::Machine;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::{fs, io};

/// The figures of a run of the suite, and what they are figures of.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// When it began.
    pub date: jiff::Timestamp,
    /// The commit that was measured; none when the files weren't those of a commit, or the binary was given.
    pub commit: Option<String>,
    /// Whether the loads were the short ones.
    pub quick: bool,
    /// On what.
    pub machine: Machine,
    /// By program.
    pub versions: BTreeMap<String, String>,
    /// What is measured.
    pub whalesong: Figures,
    /// What was measured beside it, in turn, where it was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<Figures>,
}

/// The figures of a software.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// By load and figure, in the order of the runs; memory also by process, as `figure: process`.
    pub figures: BTreeMap<String, BTreeMap<String, Vec<f64>>>,
    /// The share of the processors' time that was given to others during each run, by load.
    #[serde(default)]
    pub stolen: BTreeMap<String, Vec<f64>>,
    /// Requests that failed, by load; and why a load could not be run.
    pub trouble: BTreeMap<String, Vec<String>>,
}

/// Why records can't be kept or read.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {source}", path = .path.display())]
pub struct RecordError {
    path: PathBuf,
    source: io::Error,
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> RecordError {
    let path = path.to_owned();
    move |source| RecordError { path, source }
}

impl Figures {
    /// The spread of one figure over the runs; `None` when it wasn't measured.
    pub fn spread(&self, load: &str, figure: &str) -> Option<Spread> {
        Spread::of(self.figures.get(load)?.get(figure)?)
    }

    /// Adds a value.
    pub fn add(&mut self, load: &str, figure: &str, value: f64) {
        self.figures.entry(load.to_owned()).or_default().entry(figure.to_owned()).or_default().push(value);
    }

    /// Adds what is wrong with a load.
    pub fn add_trouble(&mut self, load: &str, what: String) {
        self.trouble.entry(load.to_owned()).or_default().push(what);
    }
}

impl Record {
    /// Kubernetes' figure: as it was measured beside this one, otherwise as it is known of such a machine.
    pub fn of_kubernetes(&self, load: &str, figure: &Figure) -> Option<f64> {
        let measured = self.kubernetes.as_ref().and_then(|k| k.spread(load, figure.name));
        measured.map(|spread| spread.median).or(figure.kubernetes)
    }

    /// What it is called: `2026-11-21-0123456789`.
    pub fn name(&self) -> String {
        format!("{}-{}", self.date.strftime("%Y-%m-%d"), self.commit.as_deref().unwrap_or("uncommitted"))
    }

    /// Writes it to a file.
    ///
    /// # Errors
    /// When that can't be written.
    pub fn save(&self, path: &Path) -> Result<(), RecordError> {
        let text = serde_json::to_string_pretty(self).map_err(|e| at(path)(e.into()))?;
        fs::write(path, text + "\n").map_err(at(path))
    }

    fn load(path: &Path) -> Result<Self, RecordError> {
        let text = fs::read(path).map_err(at(path))?;
        serde_json::from_slice(&text).map_err(|e| at(path)(e.into()))
    }
}

/// The newest whole record of a machine like this one, in a directory of records.
///
/// # Errors
/// When the directory or a record can't be read.
pub fn last(directory: &Path, machine: &Machine) -> Result<Option<Record>, RecordError> {
    let mut newest: Option<Record> = None;
    for entry in fs::read_dir(directory).map_err(at(directory))? {
        let path = entry.map_err(at(directory))?.path();
        if path.extension().is_none_or(|e| e != "json") {
            continue;
        }
        let record = Record::load(&path)?;
        let fits = record.commit.is_some() && !record.quick && record.machine.is_like(machine);
        if fits && newest.as_ref().is_none_or(|n| n.date < record.date) {
            newest = Some(record);
        }
    }
    Ok(newest)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    pub fn machine() -> Machine {
        Machine { cpu: "c".into(), cores: 2, memory_gib: 24, kernel: "6".into(), file_system: "ext4".into(), sync_ms: 0.1, memory_ns: 90.0, busy: 0.0 }
    }

    pub fn record(date: &str, commit: Option<&str>) -> Record {
        let (date, commit) = (date.parse().expect("a time"), commit.map(str::to_owned));
        let (versions, whalesong, kubernetes) = Default::default();
        Record { date, commit, quick: false, machine: machine(), versions, whalesong, kubernetes }
    }

    #[test]
    fn the_newest_record_of_a_like_machine_is_found() {
        let directory = tempfile::tempdir().expect("a directory");
        assert_eq!(last(directory.path(), &machine()).expect("readable"), None);
        let elsewhere = Record { machine: Machine { cores: 64, ..machine() }, ..record("2026-11-24T00:00:00Z", Some("d")) };
        let quick = Record { quick: true, ..record("2026-11-25T00:00:00Z", Some("e")) };
        let mut all = vec![record("2026-11-22T00:00:00Z", Some("b")), record("2026-11-21T00:00:00Z", Some("a")), record("2026-11-23T00:00:00Z", None)];
        all.extend([elsewhere, quick]);
        all[0].whalesong.add("writes", "creates", 5.0);
        for record in &all {
            record.save(&directory.path().join(record.name() + ".json")).expect("written");
        }
        let found = last(directory.path(), &machine()).expect("readable").expect("one");
        assert_eq!(found, all[0]);
        let creates = found.whalesong.spread("writes", "creates").map(|s| s.median);
        assert_eq!((found.name().as_str(), creates), ("2026-11-22-b", Some(5.0)));
    }

    #[test]
    fn kubernetes_is_what_was_measured_beside_it() {
        let figure = Figure::more("creates", "", "/s").against(3_000.0, 12_000.0);
        let mut record = record("2026-11-21T06:00:00Z", None);
        assert_eq!(record.of_kubernetes("writes", &figure), Some(3_000.0));
        [1_400.0, 1_500.0, 1_600.0].into_iter().for_each(|value| record.kubernetes.get_or_insert_default().add("writes", "creates", value));
        assert_eq!(record.of_kubernetes("writes", &figure), Some(1_500.0));
        assert_eq!(record.of_kubernetes("others", &figure), Some(3_000.0));
    }
}
