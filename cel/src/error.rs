//! What goes wrong while an expression is evaluated.

/// Why an expression has no value.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvalError {
    /// An error of the expression, such as a field that isn't there: `&&` and `||` may not need the side that has it.
    #[error("{0}")]
    Value(String),
    /// The budget is used up.
    #[error("operation cancelled: actual cost limit exceeded")]
    CostLimit,
    /// It would need more memory or time than an expression may have.
    #[error("operation cancelled: memory limit exceeded")]
    Memory,
}

impl EvalError {
    /// An error of the expression.
    pub fn value(message: impl Into<String>) -> Self {
        Self::Value(message.into())
    }

    /// Whether evaluation can't go on after it.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Value(_))
    }
}
