//! Any text is compiled or refused, and what is compiled ends within its budget with a value of the type that was found.
use cel::{Budget, DYN, Environment, Program, Type, Value};
use proptest::prelude::*;

const BUDGET: u64 = 5000;

fn holds(text: &str) {
    let env = Environment::new().with_type("self", Type::Dyn).with_type("s", Type::String).with_type("xs", Type::list(Type::Int));
    let Ok(program) = Program::compile(&env, text) else { return };
    let data = serde_json::json!({"a": [1, 2, {"b": "c"}], "n": null});
    let Ok(object) = Value::from_json(&data, &DYN) else { return };
    let mut budget = Budget::new(BUDGET);
    let bindings = [("self", object), ("s", Value::borrowed("text")), ("xs", vec![Value::Int(1), Value::Int(2)].into())];
    let Ok(value) = program.evaluate(&bindings, &mut budget) else { return };
    assert!(budget.used() <= BUDGET, "{text}");
    let of_type = std::mem::discriminant(program.result_type()) == std::mem::discriminant(&value.type_of());
    assert!(of_type || matches!(program.result_type(), Type::Dyn) || matches!(value, Value::Null), "{text}: {:?} {value:?}", program.result_type());
}

const LEAVES: &str = "1 2u 1.5 'a' b'x' true null self s xs x [] {} self.a duration('1s') timestamp('2020-01-01T00:00:00Z') optional.none() int";
const BINARY: &str = "+ - * / % == != < >= && || in";
const METHODS: &str = "startsWith join split indexOf orValue or substring charAt format matches includes flatten slice replace findAll contains lastIndexOf";
const PLAIN: &str = "size() sort() distinct() reverse() sum() min() isSorted() trim() first() hasValue() value() flatten() getHours() unwrapOpt() a ?a join()";
const FUNCTIONS: &str = "size type dyn int uint double string bytes bool optional.of lists.range quantity ip url semver ! - has";
const FOLDS: &str = "all exists exists_one map filter optMap optFlatMap sortBy";
const TWO: &str = "all transformList transformMap transformMapEntry map";

fn one_of(words: &'static str) -> impl Strategy<Value = &'static str> {
    prop::sample::select(words.split(' ').collect::<Vec<_>>())
}

fn expression() -> impl Strategy<Value = String> {
    one_of(LEAVES).prop_map(str::to_owned).prop_recursive(6, 40, 3, |inner| {
        let part = || inner.clone();
        prop_oneof![
            (part(), one_of(BINARY), part()).prop_map(|(a, op, b)| format!("({a} {op} {b})")),
            (part(), one_of(METHODS), part()).prop_map(|(a, m, b)| format!("{a}.{m}({b})")),
            (part(), one_of(PLAIN)).prop_map(|(a, m)| format!("{a}.{m}")),
            (one_of(FUNCTIONS), part()).prop_map(|(f, a)| format!("{f}({a})")),
            (part(), one_of(FOLDS), part()).prop_map(|(a, f, b)| format!("{a}.{f}(x, {b})")),
            (part(), one_of(TWO), part(), part()).prop_map(|(a, f, b, c)| format!("{a}.{f}(x, {b}, {c})")),
            (part(), part()).prop_map(|(a, b)| format!("{a}[{b}]")),
            (part(), part()).prop_map(|(a, b)| format!("[{a}, {b}]")),
            (part(), part()).prop_map(|(a, b)| format!("{{{a}: {b}}}")),
            (part(), part(), part()).prop_map(|(a, b, c)| format!("({a} ? {b} : {c})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn generated_expressions(text in expression()) {
        holds(&text);
    }

    #[test]
    fn any_text(text in ".{0,60}") {
        holds(&text);
    }

    #[test]
    fn any_tokens(tokens in prop::collection::vec(prop::sample::select(vec![
        "(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "+", "-", "!", "&&", "||", "in", "x", "self", "'a'", "1", ".all(", ".map(x,", "has(", "1u", "\"\\n\"", "`a`", "//", "\n",
    ]), 0..30)) {
        holds(&tokens.concat());
    }
}
