//! Kubernetes' end-to-end suite, as a program: which tests it has, and what comes of them.
use crate::choice::Choice;
use crate::failure::Failure;
use crate::progress::Progress;
use crate::report::{self, Outcome};
use crate::{interrupt, list};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use testbed::Cluster;

/// What chooses the conformance tests.
const CONFORMANCE: &str = r"\[Conformance\]";
/// What a run leaves in its folder.
const LEFT: [&str; 6] = ["suite.log", "suite.err", "list.json", "tmp", "cluster", "failed"];
/// After so long a run is ended by the suite, which then reports what it has.
const LIMIT: &str = "--timeout=4h";

/// The suite's programs of one version of Kubernetes, and where their output goes.
pub struct Suite {
    release: PathBuf,
    out: PathBuf,
}

impl Suite {
    /// The suite that `build` has made in `release`.
    ///
    /// # Errors
    /// When it isn't there, or `out` can't be made.
    pub fn of(release: &Path, out: &Path) -> Result<Self, Failure> {
        std::fs::create_dir_all(out).map_err(Failure::file(out))?;
        let out = out.canonicalize().map_err(Failure::file(out))?;
        let suite = Self { release: release.to_owned(), out };
        for program in ["e2e.test", "ginkgo", "kubectl"] {
            if !suite.program(program).is_file() {
                return Err(Failure::NotBuilt(release.to_owned()));
            }
        }
        Ok(suite)
    }

    /// Removes what an earlier run has left, and nothing else: the folder may be anybody's.
    ///
    /// # Errors
    /// When it can't be removed.
    pub fn clear(&self) -> Result<(), Failure> {
        for name in LEFT {
            let path = self.out.join(name);
            let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
            match removed {
                Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(Failure::file(path)(e)),
                _ => {}
            }
        }
        Ok(())
    }

    /// Which version of Kubernetes it is of: `v1.37.2`.
    pub fn version(&self) -> &str {
        self.release.file_name().and_then(|n| n.to_str()).unwrap_or_default()
    }

    /// The store with the images that it asks for.
    pub fn images(&self) -> PathBuf {
        self.release.join("images")
    }

    fn program(&self, name: &str) -> PathBuf {
        self.release.join("bin").join(name)
    }

    /// The full names of the tests that are chosen, in the order of the alphabet. What matches nothing as an expression is taken as it stands:
    /// names are full of brackets.
    ///
    /// # Errors
    /// When an expression is none, or the suite can't be asked.
    pub fn choose(&self, choice: &Choice) -> Result<Vec<String>, Failure> {
        let focus = choice.focus.as_deref().filter(|f| !f.is_empty()).unwrap_or(CONFORMANCE);
        let skip = choice.skip.as_deref().filter(|s| !s.is_empty());
        for expression in [Some(focus), skip].into_iter().flatten() {
            regex_lite::Regex::new(expression).map_err(|e| Failure::Expression(expression.to_owned(), e))?;
        }
        let chosen = self.list(focus, skip)?;
        if chosen.is_empty() { self.list(&regex_lite::escape(focus), skip) } else { Ok(chosen) }
    }

    fn list(&self, focus: &str, skip: Option<&str>) -> Result<Vec<String>, Failure> {
        let (program, found) = (self.program("e2e.test"), self.out.join("list.json"));
        let mut command = Command::new(&program);
        command.args(["--ginkgo.dry-run", "--ginkgo.silence-skips", "--provider=skeleton"]).arg(format!("--ginkgo.json-report={}", found.display()));
        command.arg(format!("--ginkgo.focus={focus}")).args(skip.map(|s| format!("--ginkgo.skip={s}")));
        let ended = command.output().map_err(|source| Failure::Start { program, source })?;
        if !ended.status.success() {
            let output = String::from_utf8_lossy(&[ended.stdout, ended.stderr].concat()).into_owned();
            return Err(Failure::Program { what: "listing the suite's tests", output });
        }
        let names = list::names(&found)?;
        std::fs::remove_file(&found).map_err(Failure::file(&found))?;
        Ok(names)
    }

    /// Runs these tests, so many at a time; shows how far it has come. What the suite prints is in `suite.log`.
    ///
    /// # Errors
    /// When the suite can't be run, fails before its first test, or somebody asks to stop.
    pub fn run(&self, cluster: &Cluster, names: &[String], procs: usize) -> Result<Vec<Outcome>, Failure> {
        let (program, log) = (self.program("ginkgo"), self.log());
        let mut command = Command::new(&program);
        command.args(["-v", "--no-color", "--silence-skips", LIMIT]).arg(format!("--procs={}", procs.clamp(1, names.len())));
        command.args(names.iter().map(|name| format!("--focus= {}$", regex_lite::escape(name))));
        command.arg(self.program("e2e.test")).arg("--").args(self.arguments(cluster));
        command.env("TMPDIR", self.scratch()?).env("TZ", "UTC").current_dir(&self.out).stdin(Stdio::null()).stdout(Stdio::piped());
        let errors = File::create(self.out.join("suite.err")).map_err(Failure::file(self.out.join("suite.err")))?;
        let mut child = command.stderr(errors).spawn().map_err(|source| Failure::Start { program: program.clone(), source })?;
        let mut copy = File::create(&log).map_err(Failure::file(&log))?;
        let mut progress = Progress::begin(names.len());
        for line in child.stdout.take().map(BufReader::new).into_iter().flat_map(|out| out.split(b'\n')) {
            let line = line.map_err(Failure::file(&log))?;
            copy.write_all(&line).and_then(|()| copy.write_all(b"\n")).map_err(Failure::file(&log))?;
            progress.line(&String::from_utf8_lossy(&line));
        }
        child.wait().map_err(|source| Failure::Start { program, source })?;
        progress.end();
        if interrupt::asked() { Err(Failure::Interrupted) } else { self.outcomes(names) }
    }

    fn log(&self) -> PathBuf {
        self.out.join("suite.log")
    }

    /// What came of these tests in the run whose output is there.
    ///
    /// # Errors
    /// When there is none, or the suite failed before its first test.
    pub fn outcomes(&self, names: &[String]) -> Result<Vec<Outcome>, Failure> {
        let output = std::fs::read(self.log()).map_err(Failure::file(self.log()))?;
        report::parse(&String::from_utf8_lossy(&output), names).map_err(Failure::Suite)
    }

    fn arguments(&self, cluster: &Cluster) -> Vec<String> {
        vec![
            format!("--kubeconfig={}", cluster.data().join("kubeconfig").display()),
            format!("--kubectl-path={}", self.program("kubectl").display()),
            format!("--num-nodes={}", NODES),
            "--provider=skeleton".to_owned(),
            "--disable-log-dump".to_owned(),
        ]
    }

    /// Where the suite leaves what it forgets to remove.
    fn scratch(&self) -> Result<PathBuf, Failure> {
        let folder = self.out.join("tmp");
        std::fs::create_dir_all(&folder).map_err(Failure::file(&folder))?;
        Ok(folder)
    }
}

/// How many nodes there are; the suite is told so.
pub const NODES: u8 = 2;
