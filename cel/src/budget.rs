//! What an expression may cost, in Kubernetes' units, and how much it may allocate.
use crate::error::EvalError;

/// Most cost of one evaluation (`k8s.io/apiserver/pkg/apis/cel`: `PerCallLimit`).
pub const PER_CALL: u64 = 1_000_000;
/// Most cost of all rules of an object (`RuntimeCELCostBudget`).
pub const PER_OBJECT: u64 = 10_000_000;
/// Most cost of all match conditions of a webhook (`RuntimeCELCostBudgetMatchConditions`).
pub const MATCH_CONDITIONS: u64 = 2_500_000;
/// Most bytes and steps that aren't counted as cost: lists and texts may share parts, and so be far larger than what it cost to make them.
const WORK_MAX: u64 = 128 << 20;

/// What is left for an evaluation.
#[derive(Clone, Debug)]
pub struct Budget {
    limit: u64,
    used: u64,
    work: u64,
}

impl Budget {
    /// One of so many units.
    pub fn new(limit: u64) -> Self {
        Self { limit, used: 0, work: WORK_MAX }
    }

    /// One of so many units for the next evaluation about the same object: what has been allocated stays counted.
    #[must_use]
    pub fn next(&self, limit: u64) -> Self {
        Self { limit, used: 0, work: self.work }
    }

    /// How many units have been used.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// How many are left.
    pub fn left(&self) -> u64 {
        self.limit.saturating_sub(self.used)
    }

    /// Uses some.
    ///
    /// # Errors
    /// They aren't left.
    pub fn spend(&mut self, cost: u64) -> Result<(), EvalError> {
        self.used = self.used.saturating_add(cost);
        if self.used > self.limit { Err(EvalError::CostLimit) } else { Ok(()) }
    }

    /// Gives some back.
    pub fn refund(&mut self, cost: u64) {
        self.used = self.used.saturating_sub(cost);
    }

    /// Takes bytes, or steps that take about as long as a byte.
    ///
    /// # Errors
    /// They aren't left.
    pub fn take(&mut self, work: usize) -> Result<(), EvalError> {
        self.work = self.work.checked_sub(u64::try_from(work).unwrap_or(u64::MAX)).ok_or(EvalError::Memory)?;
        Ok(())
    }
}
