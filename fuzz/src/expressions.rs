//! Expressions of CEL.
use crate::input::text;
use cel::{Budget, Environment, Program, Type, Value};

/// What an expression of the input may use.
const BUDGET: u64 = 10_000;

/// An expression: it is compiled, or refused with a message; what is compiled has a value or an error, within its budget.
pub fn expression(bytes: &[u8]) {
    let Some(text) = text(bytes) else { return };
    let env = Environment::new().with_type("self", Type::Dyn).with_type("s", Type::String).with_type("xs", Type::list(Type::Int));
    let Ok(program) = Program::compile(&env, text) else { return };
    let data = serde_json::json!({"a": [1, 2, {"b": "c"}], "n": null, "t": "2020-01-01T00:00:00Z"});
    let Ok(object) = Value::from_json(&data, &cel::DYN) else { return };
    let mut budget = Budget::new(BUDGET);
    let bindings = [("self", object), ("s", Value::borrowed("text")), ("xs", vec![Value::Int(1), Value::Int(2)].into())];
    let value = program.evaluate(&bindings, &mut budget);
    assert!(value.is_err() || budget.used() <= BUDGET, "what has a value is within its budget");
    if let Ok(value) = value {
        assert!(
            matches!(program.result_type(), Type::Dyn | Type::Object(_))
                || std::mem::discriminant(program.result_type()) == std::mem::discriminant(&value.type_of())
                || matches!(value, Value::Null),
            "a value is of the type that was found"
        );
    }
}
