//! Sizes, as messages show them.
use crate::quantity::Quantity;
use serde_json::Value;

/// A quantity in whole units.
pub(super) fn whole(amount: &Quantity) -> Value {
    i64::try_from(amount.value()).unwrap_or(i64::MIN).into()
}
