//! Match conditions: expressions in CEL that say of a request whether a webhook is asked about it
//! (`k8s.io/apiserver/pkg/admission/plugin/webhook/matchconditions`).
use cel::authorizer::Authorizing;
use cel::{
    Budget, DYN, Declaration, DeclaredShape, Environment, Field, MATCH_CONDITIONS, Map as CelMap, Merge, ObjectDeclaration, Opaque, PER_CALL, Program, Type,
    Value as CelValue, opaque_types,
};
use serde_json::{Map, Value};
use std::sync::{Arc, LazyLock};

pub use cel::authorizer::{Authorizer, Check, Decision};

/// What conditions are about.
pub struct Input<'a> {
    /// The object as it would be; none where it is deleted.
    pub object: Option<&'a Map<String, Value>>,
    /// The object as it is; none where it is new.
    pub old_object: Option<&'a Map<String, Value>>,
    /// The request, as an `AdmissionRequest` has it.
    pub request: &'a Value,
    /// Who may do what.
    pub authorizer: &'a dyn Authorizer,
    /// The resource of the request, for `authorizer.requestResource`.
    pub resource: Check,
}

/// Conditions that have no value: the failure policy decides.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ConditionError(pub String);

/// The conditions of a webhook, compiled.
#[derive(Debug, Default)]
pub struct MatchConditions {
    conditions: Vec<(Box<str>, Result<Program, String>)>,
}

/// The type of a request in expressions.
static REQUEST: LazyLock<Declaration> = LazyLock::new(|| {
    let text = || Declaration::simple(Type::String);
    let texts = || unbounded(DeclaredShape::List(Arc::new(Declaration::simple(Type::String)), Merge::Atomic));
    let kind = || object("kubernetes.GroupVersionKind", [("group", text()), ("version", text()), ("kind", text())]);
    let resource = || object("kubernetes.GroupVersionResource", [("group", text()), ("version", text()), ("resource", text())]);
    let extra = unbounded(DeclaredShape::Map(Arc::new(texts())));
    let user = object("kubernetes.UserInfo", [("username", text()), ("uid", text()), ("groups", texts()), ("extra", extra)]);
    let fields = [
        ("kind", kind()),
        ("resource", resource()),
        ("subResource", text()),
        ("requestKind", kind()),
        ("requestResource", resource()),
        ("requestSubResource", text()),
        ("name", text()),
        ("namespace", text()),
        ("operation", text()),
        ("userInfo", user),
        ("dryRun", Declaration::simple(Type::Bool)),
        ("options", Declaration::simple(Type::Dyn)),
    ];
    object("kubernetes.AdmissionRequest", fields)
});

static ENVIRONMENT: LazyLock<Environment> = LazyLock::new(|| {
    Environment::new()
        .with_type("object", Type::Dyn)
        .with_type("oldObject", Type::Dyn)
        .with_type("namespaceObject", Type::Dyn)
        .with("request", REQUEST.clone())
        .with_type("authorizer", Type::Opaque(opaque_types::AUTHORIZER))
});

fn unbounded(shape: DeclaredShape) -> Declaration {
    Declaration { shape, max_elements: u64::MAX }
}

fn object<const N: usize>(name: &str, fields: [(&str, Declaration); N]) -> Declaration {
    let fields = fields.into_iter().map(|(name, declaration)| (name.into(), Field { name: name.into(), declaration })).collect();
    unbounded(DeclaredShape::Object(Arc::new(ObjectDeclaration { name: name.into(), fields })))
}

fn compile(expression: &str) -> Result<Program, String> {
    match Program::compile(&ENVIRONMENT, expression) {
        Err(e) => Err(format!("compilation failed: {e}")),
        Ok(program) if *program.result_type() != Type::Bool => Err(format!("must evaluate to bool but got {}", program.result_type())),
        Ok(program) => Ok(program),
    }
}

/// What is wrong with an expression as a match condition; an empty one is refused elsewhere.
pub fn wrong(expression: &str) -> Option<String> {
    (!expression.is_empty()).then(|| compile(expression).err()).flatten()
}

fn value(map: Option<&Map<String, Value>>) -> CelValue<'_> {
    map.map_or(CelValue::Null, |map| CelValue::Map(CelMap::Json(map, &DYN)))
}

impl MatchConditions {
    /// Those of a webhook; compiling takes far longer than evaluating, so that they are worth keeping.
    pub fn of(webhook: &Value) -> Self {
        let text = |condition: &Value, key: &str| condition[key].as_str().unwrap_or_default().to_owned();
        let all = webhook["matchConditions"].as_array().into_iter().flatten();
        let conditions = all.map(|condition| (text(condition, "name").into(), compile(text(condition, "expression").trim())));
        Self { conditions: conditions.collect() }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// Whether a webhook is asked: unless a condition is false.
    ///
    /// # Errors
    /// No condition is false, and some have errors: by the failure policy the request is refused, or the webhook isn't asked.
    pub fn matches(&self, input: &Input<'_>) -> Result<bool, ConditionError> {
        if self.conditions.is_empty() {
            return Ok(true);
        }
        let who = Authorizing { authorizer: input.authorizer, service_account: None, request: Some(Arc::new(input.resource.clone())) };
        let request = CelValue::from_json(input.request, &REQUEST).map_err(|e| ConditionError(e.to_string()))?;
        let bindings = [
            ("object", value(input.object)),
            ("oldObject", value(input.old_object)),
            ("namespaceObject", CelValue::Null),
            ("request", request),
            ("authorizer", CelValue::Opaque(Opaque::Authorizer(who))),
        ];
        let (mut left, mut budget) = (MATCH_CONDITIONS, Budget::new(PER_CALL));
        let mut errors = Vec::new();
        for (name, program) in &self.conditions {
            let program = match program {
                Ok(program) => program,
                Err(why) => {
                    errors.push(format!("condition '{name}': {why}"));
                    continue;
                }
            };
            budget = budget.next(PER_CALL.min(left));
            let out = program.evaluate(&bindings, &mut budget);
            left = left.saturating_sub(budget.used());
            match out {
                Ok(CelValue::Bool(false)) => return Ok(false),
                Ok(CelValue::Bool(true)) => {}
                Ok(other) => errors.push(format!("condition '{name}' has a value of type {}", other.type_of())),
                Err(_) if left == 0 => {
                    errors.push("validation failed due to running out of cost budget, no further validation rules will be run".to_owned());
                    break;
                }
                Err(e) => errors.push(format!("expression '{name}' resulted in error: {e}")),
            }
        }
        if errors.is_empty() { Ok(true) } else { Err(ConditionError(errors.join(", "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cel::authorizer::Decision;
    use serde_json::json;

    struct Nobody;

    impl Authorizer for Nobody {
        fn decide(&self, check: &Check) -> Decision {
            Decision { allowed: &*check.verb == "breakglass" && &*check.resource == "pods", ..Decision::default() }
        }
    }

    fn matches(expressions: &[&str]) -> Result<bool, String> {
        let conditions: Vec<Value> = expressions.iter().enumerate().map(|(i, e)| json!({"name": format!("c{i}"), "expression": e})).collect();
        let conditions = MatchConditions::of(&json!({"matchConditions": conditions}));
        let object = json!({"metadata": {"name": "x", "labels": {"a": "b"}}});
        let request =
            json!({"operation": "CREATE", "resource": {"group": "", "version": "v1", "resource": "pods"}, "userInfo": {"username": "u", "groups": ["g"]}});
        let resource = Check { resource: "pods".into(), ..Check::default() };
        let input = Input { object: object.as_object(), old_object: None, request: &request, authorizer: &Nobody, resource };
        conditions.matches(&input).map_err(|e| e.0)
    }

    #[test]
    fn one_false_condition_is_enough() {
        assert_eq!(matches(&[]), Ok(true));
        assert_eq!(matches(&["request.operation == 'CREATE'", "object.metadata.labels.a == 'b' && oldObject == null"]), Ok(true));
        assert_eq!(matches(&["request.resource.resource != 'pods'"]), Ok(false));
        assert_eq!(matches(&["'g' in request.userInfo.groups", "!('nodes' in request.userInfo.groups)"]), Ok(true));
        assert_eq!(matches(&["object.none == 1", "false"]), Ok(false));
        assert_eq!(matches(&["object.none == 1", "true"]), Err("expression 'c0' resulted in error: no such key: none".to_owned()));
        assert_eq!(matches(&["!authorizer.requestResource.check('breakglass').allowed()"]), Ok(false));
        assert_eq!(matches(&["authorizer.group('').resource('secrets').namespace('n').check('get').allowed()"]), Ok(false));
        assert_eq!(matches(&["authorizer.serviceAccount('n', 's').path('/x').check('get').reason() == ''"]), Ok(true));
    }

    #[test]
    fn expressions_that_cant_be_compiled_are_refused() {
        assert_eq!(wrong("true"), None);
        assert_eq!(wrong("object.x"), Some("must evaluate to bool but got dyn".to_owned()));
        let unknown = "compilation failed: ERROR: <input>:1:1: undeclared reference to 'obj' (in container '')\n | obj == 1\n | ^";
        assert_eq!(wrong("obj == 1"), Some(unknown.to_owned()));
        assert!(wrong("request.none == 1").is_some_and(|why| why.contains("undefined field 'none'")));
    }
}
