//! Which tests are run.
use clap::Args;

/// Which tests.
#[derive(Args)]
pub struct Choice {
    /// Regular expression of tests to run, or a test's full name; otherwise the conformance tests
    #[arg(long, env = "FOCUS")]
    pub focus: Option<String>,
    /// Regular expression of tests to leave out
    #[arg(long, env = "SKIP")]
    pub skip: Option<String>,
}

impl Choice {
    /// Nothing is said. An empty variable of the environment says nothing.
    pub fn is_default(&self) -> bool {
        [&self.focus, &self.skip].into_iter().all(|said| said.as_deref().unwrap_or_default().is_empty())
    }
}
