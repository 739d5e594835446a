//! What is wrong with the rules of a definition (`ValidateCustomResourceDefinitionOpenAPISchema` of `k8s.io/apiextensions-apiserver`).
use super::compile::{Compiled, Rules};
use super::declare::REQUEST_MAX;
use super::field_path;
use crate::custom::schema::{Rule, Schema, Values};
use crate::error::{Cause, CauseReason};
use crate::schema::{ListType, Shape};
use serde_json::Value;

/// Most cost of an expression (`StaticEstimatedCostLimit`).
const COST_MAX: u64 = 10_000_000;
/// Most cost of all rules of a schema (`StaticEstimatedCRDCostLimit`).
const TOTAL_MAX: u64 = 100_000_000;
/// The reasons that an error may have.
const REASONS: [&str; 4] = ["FieldValueDuplicate", "FieldValueForbidden", "FieldValueInvalid", "FieldValueRequired"];
/// How many of the costly rules are named.
const NAMED: usize = 4;

/// What is wrong with the rules of a schema at `path`. They are only compiled where the schema itself is right.
pub fn check(schema: &Schema, path: &str, compile: bool) -> Vec<Cause> {
    let mut causes = Vec::new();
    forms(schema, path, &mut causes);
    if !causes.is_empty() || !compile {
        return causes;
    }
    let Some(rules) = Rules::of(schema) else { return causes };
    let mut check = Check { causes, total: 0, costly: Vec::new() };
    check.rules(&rules, schema, path, Some(1), None);
    check.sum(path);
    check.causes
}

/// Whether texts of rules are given where they must be, in one line where they must be.
fn forms(schema: &Schema, path: &str, causes: &mut Vec<Cause>) {
    for (i, rule) in schema.rules.iter().enumerate() {
        form(rule, schema, &format!("{path}.x-kubernetes-validations[{i}]"), causes);
    }
    schema.properties.iter().for_each(|(field, inner)| forms(inner, &format!("{path}.properties[{field}]"), causes));
    if let Some(Values::Schema(inner)) = &schema.values {
        forms(inner, &format!("{path}.additionalProperties"), causes);
    }
    schema.items.iter().for_each(|inner| forms(inner, &format!("{path}.items"), causes));
    let limits = &schema.limits;
    limits.not.iter().for_each(|inner| forms(inner, &format!("{path}.not"), causes));
    for (key, list) in [("allOf", &limits.all_of), ("oneOf", &limits.one_of), ("anyOf", &limits.any_of)] {
        list.iter().enumerate().for_each(|(i, inner)| forms(inner, &format!("{path}.{key}[{i}]"), causes));
    }
}

fn form(rule: &Rule, schema: &Schema, path: &str, causes: &mut Vec<Cause>) {
    let several = |text: &str| text.trim().contains(['\n', '\r']);
    let invalid = |key: &str, text: &str, why: &str| Cause::invalid(format!("{path}.{key}"), &text.into(), why);
    if rule.rule.trim().is_empty() {
        causes.push(Cause::required(format!("{path}.rule"), "rule is not specified"));
    } else if !rule.message.is_empty() && rule.message.trim().is_empty() {
        causes.push(invalid("message", &rule.message, "must be non-empty if specified"));
    } else if several(&rule.message) {
        causes.push(invalid("message", &rule.message, "must not contain line breaks"));
    } else if several(&rule.rule) && rule.message.trim().is_empty() {
        causes.push(Cause::required(format!("{path}.message"), "message must be specified if rule contains line breaks"));
    }
    if !rule.message_expression.is_empty() && rule.message_expression.trim().is_empty() {
        causes.push(Cause::required(format!("{path}.messageExpression"), "messageExpression must be non-empty if specified"));
    }
    if let Some(reason) = rule.reason.as_deref().filter(|reason| !REASONS.contains(reason)) {
        causes.push(Cause::not_supported(format!("{path}.reason"), &reason.into(), &REASONS));
    }
    if rule.field_path.is_empty() {
        return;
    }
    if rule.field_path.trim().is_empty() {
        causes.push(invalid("fieldPath", &rule.field_path, "must be non-empty if specified"));
    }
    if rule.field_path.contains(['\n', '\r']) {
        causes.push(invalid("fieldPath", &rule.field_path, "must not contain line breaks"));
    }
    if field_path::normalized(&rule.field_path, schema).is_none() {
        causes.push(invalid("fieldPath", &rule.field_path, "must be a valid path"));
    }
}

struct Check {
    causes: Vec<Cause>,
    total: u64,
    costly: Vec<(u64, String)>,
}

/// How often the schemas in one are applied for each time that it is; none where nothing says so.
fn multiplicity(schema: &Schema) -> Option<u64> {
    match schema.shape {
        Some(Shape::Object) if schema.values.is_some() => schema.limits.fields.1,
        Some(Shape::Array) => schema.limits.items.1,
        _ => Some(1),
    }
}

impl Check {
    /// `times` is how often a rule may be applied to one object, where it is bounded; `unrelated` is the path of what can't be compared with what was before.
    fn rules(&mut self, rules: &Rules, schema: &Schema, path: &str, times: Option<u64>, unrelated: Option<&str>) {
        let applied = times.unwrap_or(REQUEST_MAX / (rules.min_size + 1));
        for (i, compiled) in rules.here.iter().enumerate() {
            self.rule(compiled, &format!("{path}.x-kubernetes-validations[{i}]"), applied, unrelated);
        }
        let inside = times.and_then(|times| Some(times.saturating_mul(multiplicity(schema)?)));
        for (field, inner) in &rules.fields {
            if let Some(schema) = schema.properties.get(field) {
                self.rules(inner, schema, &format!("{path}.properties[{field}]"), inside, unrelated);
            }
        }
        if let (Some(inner), Some(Values::Schema(schema))) = (&rules.values, &schema.values) {
            self.rules(inner, schema, &format!("{path}.additionalProperties"), inside, unrelated);
        }
        if let (Some(inner), Some(items)) = (&rules.items, &schema.items) {
            let unrelated = if schema.list_type == ListType::Map { unrelated } else { unrelated.or(Some(path)) };
            self.rules(inner, items, &format!("{path}.items"), inside, unrelated);
        }
    }

    fn rule(&mut self, compiled: &Compiled, path: &str, applied: u64, unrelated: Option<&str>) {
        let rule = &compiled.rule;
        match &compiled.program {
            Some(Ok((_, cost))) => self.cost("rule", "estimated rule cost", path, cost.saturating_mul(applied)),
            Some(Err(why)) => self.causes.push(of_rule(format!("{path}.rule"), rule, why)),
            None => {}
        }
        match &compiled.message {
            Some(Ok((_, cost))) => self.cost("messageExpression", "estimated messageExpression cost", path, *cost),
            Some(Err(why)) => self.causes.push(of_rule(format!("{path}.messageExpression"), rule, why)),
            None => {}
        }
        match (compiled.uses_old(), unrelated) {
            (true, Some(unrelated)) => {
                let why = format!("oldSelf cannot be used on the uncorrelatable portion of the schema within {unrelated}");
                self.causes.push(Cause::invalid(format!("{path}.rule"), &(*rule.rule).into(), why));
            }
            (false, _) => {
                if let Some(set) = rule.optional_old_self {
                    self.causes.push(Cause::invalid(format!("{path}.optionalOldSelf"), &set.into(), "may not be set if oldSelf is not used in rule"));
                }
            }
            _ => {}
        }
    }

    fn cost(&mut self, key: &str, what: &str, path: &str, cost: u64) {
        if cost > COST_MAX {
            self.causes.push(Cause::forbidden(format!("{path}.{key}"), exceeded(what, cost, COST_MAX)));
        }
        self.total = self.total.saturating_add(cost);
        if cost >= TOTAL_MAX / 100 {
            self.costly.push((cost, format!("{path}.{key}")));
        }
    }

    fn sum(&mut self, path: &str) {
        if self.total <= TOTAL_MAX {
            return;
        }
        self.costly.sort_by_key(|(cost, _)| std::cmp::Reverse(*cost));
        let why = "contributed to estimated rule cost total exceeding cost limit for entire OpenAPIv3 schema";
        self.causes.extend(self.costly.iter().take(NAMED).map(|(_, place)| Cause::forbidden(place, why)));
        self.causes
            .push(Cause::forbidden(path, exceeded("x-kubernetes-validations estimated rule cost total for entire OpenAPIv3 schema", self.total, TOTAL_MAX)));
    }
}

fn exceeded(what: &str, cost: u64, limit: u64) -> String {
    let factor = cost as f64 / limit as f64;
    let factor = match factor {
        f if f > 100.0 => "more than 100x".to_owned(),
        f if f < 1.5 => format!("{f:.6}x"),
        f => format!("{f:.1}x"),
    };
    format!(
        "{what} exceeds budget by factor of {factor} (try simplifying the rule, or adding maxItems, maxProperties, and maxLength where arrays, maps, and strings are declared)"
    )
}

/// An error that has all of the rule as its value, as Go prints it.
fn of_rule(field: String, rule: &Rule, why: &str) -> Cause {
    let text = |text: &str| Value::from(text).to_string();
    let reason = rule.reason.as_ref().map_or("nil", |_| "0x0");
    let optional = rule.optional_old_self.map_or("nil", |_| "0x0");
    let shown = format!(
        "apiextensions.ValidationRule{{Rule:{}, Message:{}, MessageExpression:{}, Reason:(*apiextensions.FieldValueErrorReason)({reason}), FieldPath:{}, OptionalOldSelf:(*bool)({optional})}}",
        text(&rule.rule),
        text(&rule.message),
        text(&rule.message_expression),
        text(&rule.field_path),
    );
    Cause { reason: CauseReason::FieldValueInvalid, field, message: format!("Invalid value: {shown}: {why}") }
}
