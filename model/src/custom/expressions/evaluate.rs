//! Applies the rules of a schema to an object (`k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go`).
use super::compile::{Compiled, Rules};
use crate::error::{Cause, CauseReason};
use crate::schema::Shape;
use cel::{Budget, EvalError, Map as CelMap, PER_CALL, PER_OBJECT, Value as CelValue};
use cel::{DeclaredShape, Program};
use serde_json::{Map, Value};

/// Longest message that an expression makes.
const MESSAGE_MAX: usize = 5 * 1024;
const OUT_OF_BUDGET: &str = "validation failed due to running out of cost budget, no further validation rules will be run";

/// What of an object its rules refuse. Rules that compare with what was before hold for what was there before; others aren't held against values that
/// are the same as before.
pub fn evaluate(rules: &Rules, new: &Map<String, Value>, old: Option<&Map<String, Value>>) -> Vec<Cause> {
    let mut left = PER_OBJECT;
    of_node(rules, &Pair { new: Node::Root(new), old: old.map(Node::Root) }, "", &mut left)
}

/// The same of a value at `path`, with rules that are of it alone. What they cost is taken from what is `left`.
pub fn evaluate_part(rules: &Rules, new: &Value, old: Option<&Value>, path: &str, left: &mut u64) -> Vec<Cause> {
    of_node(rules, &Pair { new: Node::Value(new), old: old.map(Node::Value) }, path, left)
}

fn of_node(rules: &Rules, pair: &Pair<'_>, path: &str, left: &mut u64) -> Vec<Cause> {
    let mut run = Run { causes: Vec::new(), left: *left, budget: Budget::new(PER_CALL) };
    let parent = Pair { new: pair.new, old: None };
    // once the budget is used up nothing more is said
    _ = run.node(rules, pair, &parent, path);
    *left = run.left;
    run.causes
}

/// A value, or the object as a whole.
#[derive(Clone, Copy, PartialEq)]
enum Node<'a> {
    Root(&'a Map<String, Value>),
    Value(&'a Value),
}

/// A value and what it was before.
struct Pair<'a> {
    new: Node<'a>,
    old: Option<Node<'a>>,
}

impl<'a> Node<'a> {
    fn map(self) -> Option<&'a Map<String, Value>> {
        match self {
            Self::Root(map) => Some(map),
            Self::Value(value) => value.as_object(),
        }
    }

    fn list(self) -> Option<&'a Vec<Value>> {
        match self {
            Self::Root(_) => None,
            Self::Value(value) => value.as_array(),
        }
    }

    fn cel(self, rules: &'a Rules) -> Result<CelValue<'a>, EvalError> {
        match (self, &rules.declaration.shape) {
            (Self::Root(map), DeclaredShape::Object(object)) => Ok(CelValue::Map(CelMap::Object(map, object))),
            (Self::Root(map), _) => Ok(CelValue::Map(CelMap::Json(map, &cel::DYN))),
            (Self::Value(value), _) => CelValue::from_json(value, &rules.declaration),
        }
    }
}

struct Run {
    causes: Vec<Cause>,
    left: u64,
    budget: Budget,
}

/// That nothing more is to be evaluated.
struct Stop;

fn shape_name(shape: Option<Shape>) -> &'static str {
    match shape {
        Some(Shape::Object) => "object",
        Some(Shape::Array) => "array",
        Some(Shape::String) => "string",
        Some(Shape::Integer) => "integer",
        Some(Shape::Number) => "number",
        Some(Shape::Boolean) => "boolean",
        None => "",
    }
}

/// The root has no path, and this is how Go prints it.
fn shown(path: &str) -> &str {
    if path.is_empty() { "<nil>" } else { path }
}

impl Run {
    /// `parent` is the nearest value above that can be compared with what was before.
    fn node(&mut self, rules: &Rules, pair: &Pair<'_>, parent: &Pair<'_>, path: &str) -> Result<(), Stop> {
        if matches!(pair.new, Node::Value(Value::Null)) {
            return Ok(());
        }
        if !rules.here.is_empty() {
            self.here(rules, pair, parent, path)?;
        }
        let above = if pair.old.is_some() { pair } else { parent };
        let below = |field: &str| if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") };
        if let Some(map) = pair.new.map() {
            let old = pair.old.and_then(Node::map);
            let before = |field: &str| old.and_then(|old| old.get(field)).map(Node::Value);
            if let Some(values) = &rules.values {
                for (field, value) in map {
                    self.node(values, &Pair { new: Node::Value(value), old: before(field) }, above, &format!("{path}[{field}]"))?;
                }
            }
            for (field, inner) in &rules.fields {
                if let Some(value) = map.get(&**field) {
                    self.node(inner, &Pair { new: Node::Value(value), old: before(field) }, above, &below(field))?;
                }
            }
        }
        if let (Some(items), Some(list)) = (&rules.items, pair.new.list()) {
            let old = pair.old.and_then(Node::list);
            for (i, item) in list.iter().enumerate() {
                let before = match (&rules.keys, old) {
                    (Some(keys), Some(old)) => old.iter().find(|other| keys.iter().all(|key| other.get(&**key) == item.get(&**key))),
                    _ => None,
                };
                self.node(items, &Pair { new: Node::Value(item), old: before.map(Node::Value) }, above, &format!("{path}[{i}]"))?;
            }
        }
        Ok(())
    }

    fn invalid(&mut self, rules: &Rules, path: &str, why: String) {
        self.causes.push(Cause::invalid(shown(path), &shape_name(rules.shape).into(), why));
    }

    fn here(&mut self, rules: &Rules, pair: &Pair<'_>, parent: &Pair<'_>, path: &str) -> Result<(), Stop> {
        if self.left == 0 {
            self.invalid(rules, path, OUT_OF_BUDGET.to_owned());
            return Err(Stop);
        }
        let value = match pair.new.cel(rules) {
            Ok(value) => value,
            Err(e) => {
                self.invalid(rules, path, e.to_string());
                return Ok(());
            }
        };
        let old = pair.old.filter(|old| !matches!(old, Node::Value(Value::Null))).and_then(|old| old.cel(rules).ok());
        for compiled in &rules.here {
            let optional = compiled.rule.optional_old_self == Some(true);
            let mut bindings = vec![("self", value.clone())];
            match (&old, optional) {
                (Some(old), false) => bindings.push(("oldSelf", old.clone())),
                (Some(old), true) => bindings.push(("oldSelf", CelValue::some(old.clone()))),
                (None, true) => bindings.push(("oldSelf", CelValue::Optional(None))),
                (None, false) if compiled.uses_old() => continue,
                (None, false) => {}
            }
            if self.holds(rules, compiled, &bindings, path)? {
                continue;
            }
            let message = self.message(rules, compiled, &bindings, path)?;
            let same = match pair.old {
                Some(old) => pair.new == old,
                None => parent.old == Some(parent.new),
            };
            if compiled.uses_old() || !same {
                self.causes.push(failed(rules, compiled, pair.new, path, &message));
            }
        }
        Ok(())
    }

    /// Evaluates within what is left.
    fn run<'a>(&mut self, program: &Program, bindings: &[(&str, CelValue<'a>)]) -> (Result<CelValue<'a>, EvalError>, bool) {
        self.budget = self.budget.next(PER_CALL);
        let out = program.evaluate(bindings, &mut self.budget);
        let enough = self.budget.used() <= self.left;
        self.left = self.left.saturating_sub(self.budget.used());
        (out, enough)
    }

    fn holds(&mut self, rules: &Rules, compiled: &Compiled, bindings: &[(&str, CelValue<'_>)], path: &str) -> Result<bool, Stop> {
        let program = match &compiled.program {
            Some(Ok((program, _))) => program,
            Some(Err(why)) => {
                self.invalid(rules, path, format!("rule compile error: {why}"));
                return Ok(true);
            }
            None => return Ok(true),
        };
        let (out, enough) = self.run(program, bindings);
        let named = named(compiled);
        match out {
            _ if !enough => {
                self.invalid(rules, path, OUT_OF_BUDGET.to_owned());
                Err(Stop)
            }
            Ok(value) => Ok(matches!(value, CelValue::Bool(true))),
            Err(e) if e.is_final() => {
                self.invalid(rules, path, format!("'{e}': no further validation rules will be run due to call cost exceeds limit for rule: {named}"));
                Err(Stop)
            }
            Err(e) => {
                let text = e.to_string();
                let why = if text.starts_with("no such overload") {
                    format!("'{text}': call arguments did not match a supported operator, function or macro signature for rule: {named}")
                } else {
                    format!("{text} evaluating rule: {named}")
                };
                self.invalid(rules, path, why);
                Ok(true)
            }
        }
    }

    /// What is said of a rule that doesn't hold.
    fn message(&mut self, rules: &Rules, compiled: &Compiled, bindings: &[(&str, CelValue<'_>)], path: &str) -> Result<String, Stop> {
        let default = if compiled.rule.message.is_empty() { format!("failed rule: {}", named(compiled)) } else { named(compiled).to_owned() };
        let Some(Ok((program, _))) = &compiled.message else { return Ok(default) };
        let (out, enough) = self.run(program, bindings);
        let stops = if !enough {
            Some("messageExpression evaluation failed due to running out of cost budget, no further validation rules will be run".to_owned())
        } else if matches!(&out, Err(e) if e.is_final()) {
            let text = Value::from(&*compiled.rule.message_expression);
            Some(format!("no further validation rules will be run due to call cost exceeds limit for messageExpression: {text}"))
        } else {
            None
        };
        if let Some(why) = stops {
            self.invalid(rules, path, why);
            return Err(Stop);
        }
        Ok(match out {
            Ok(CelValue::String(text)) => {
                let text = text.trim();
                let fits = !text.is_empty() && text.len() <= MESSAGE_MAX && !text.contains('\n');
                if fits { text.to_owned() } else { default }
            }
            _ => default,
        })
    }
}

/// How a rule is named in errors: by its message, or by what it says.
fn named(compiled: &Compiled) -> &str {
    let rule = &compiled.rule;
    if rule.message.is_empty() { rule.rule.trim() } else { rule.message.trim() }
}

fn failed(rules: &Rules, compiled: &Compiled, value: Node<'_>, path: &str, message: &str) -> Cause {
    let field = match compiled.field_path.as_deref() {
        Some(inner) if path.is_empty() => inner.to_owned(),
        Some(inner) if inner.starts_with('[') => format!("{path}{inner}"),
        Some(inner) => format!("{path}.{inner}"),
        None => shown(path).to_owned(),
    };
    // objects and lists aren't shown
    let shown = match value {
        Node::Value(value) if !matches!(rules.shape, Some(Shape::Object | Shape::Array)) => Some(value),
        _ => None,
    };
    match (compiled.rule.reason.as_deref(), shown) {
        (Some("FieldValueForbidden"), _) => Cause::forbidden(field, message),
        (Some("FieldValueRequired"), _) => Cause::required(field, message),
        (Some("FieldValueDuplicate"), Some(value)) => Cause::duplicate(field, value),
        (Some("FieldValueDuplicate"), None) => Cause { reason: CauseReason::FieldValueDuplicate, field, message: "Duplicate value".to_owned() },
        (_, Some(value)) => Cause::invalid(field, value, message),
        (_, None) => Cause { reason: CauseReason::FieldValueInvalid, field, message: format!("Invalid value: {message}") },
    }
}
