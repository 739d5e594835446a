//! Rules in CEL: `x-kubernetes-validations` of a custom resource's schema.
//!
//! * [`definition::check`]: what is wrong with those of a definition;
//! * [`Rules`]: those of a schema, compiled;
//! * [`evaluate`]: what they refuse of an object, and [`evaluate_part`] of a part of one.
mod compile;
mod declare;
pub mod definition;
mod evaluate;
mod field_path;

use super::custom_schema::CustomSchema;
use crate::error::{Cause, CauseReason};
use crate::object::Object;

pub use compile::Rules;
pub use evaluate::{evaluate, evaluate_part};

/// Errors after which rules aren't evaluated: the object may not be of the form that they are about.
const BLOCKING: [CauseReason; 4] =
    [CauseReason::FieldValueRequired, CauseReason::FieldValueTooLong, CauseReason::FieldValueTooMany, CauseReason::FieldValueTypeInvalid];

/// What the rules of a custom resource refuse of an object, of which `causes` are known already; `old` is what it was before.
pub fn refused(custom: &CustomSchema, new: &Object, old: Option<&Object>, causes: &[Cause]) -> Vec<Cause> {
    let Some(rules) = &custom.rules else { return Vec::new() };
    if causes.iter().any(|cause| BLOCKING.contains(&cause.reason)) {
        let why = "some validation rules were not checked because the object was invalid; correct the existing errors to complete validation";
        return vec![Cause::invalid("<nil>", &serde_json::Value::Null, why)];
    }
    evaluate(rules, &new.0, old.map(|old| &old.0))
}

#[cfg(test)]
mod tests;
