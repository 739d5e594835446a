//! The faults that a simulated node can have, and how each affects its connection over time. Pure functions.
use bus::ImpairmentMode;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// What is the matter with a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Nothing.
    #[default]
    Well,
    /// It neither speaks nor hears, as a machine that hangs; what it was saying is said when it is well again.
    Silent,
    /// Silent for so long, then well for so long, and so on.
    Flapping(Duration),
    /// All that it says and hears takes so much longer.
    Slow(Duration),
    /// Its connection is gone and can't be made again; its pods run on, and it knows that nobody hears it.
    Cut,
}

impl Mode {
    /// Its name, as the command line has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Silent => "silent",
            Self::Flapping(_) => "flapping",
            Self::Slow(_) => "slow",
            Self::Cut => "cut",
        }
    }

    /// What the matter is with a node's connection after so long in this mode, and after how long, counted from the same start, that changes.
    pub fn impairment(self, elapsed: Duration) -> (ImpairmentMode, Option<Duration>) {
        match self {
            Self::Well => (ImpairmentMode::None, None),
            Self::Silent => (ImpairmentMode::Blackholed, None),
            Self::Slow(delay) => (ImpairmentMode::Delayed(delay), None),
            Self::Cut => (ImpairmentMode::Disconnected, None),
            Self::Flapping(each) => {
                let each = each.max(Duration::from_millis(1));
                let turns = u32::try_from(elapsed.as_nanos() / each.as_nanos()).unwrap_or(u32::MAX - 1);
                let mode = if turns % 2 == 0 { ImpairmentMode::Blackholed } else { ImpairmentMode::None };
                (mode, Some(each.saturating_mul(turns + 1)))
            }
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flapping_node_is_silent_and_well_in_turn() {
        let at = |seconds| Mode::Flapping(Duration::from_secs(50)).impairment(Duration::from_secs(seconds));
        assert_eq!(at(0), (ImpairmentMode::Blackholed, Some(Duration::from_secs(50))));
        assert_eq!(at(49), (ImpairmentMode::Blackholed, Some(Duration::from_secs(50))));
        assert_eq!(at(50), (ImpairmentMode::None, Some(Duration::from_secs(100))));
        assert_eq!(at(120), (ImpairmentMode::Blackholed, Some(Duration::from_secs(150))));
        assert_eq!(Mode::Silent.impairment(Duration::from_secs(9)), (ImpairmentMode::Blackholed, None));
    }
}
