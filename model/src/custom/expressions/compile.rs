//! The rules of a schema, compiled.
use super::declare::{declare, min_size};
use super::field_path;
use crate::custom::schema::{Rule, Schema, Values};
use crate::schema::{ListType, MapType, Shape};
use cel::{Declaration, DeclaredShape, Environment, Program, Type};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A rule, compiled.
#[derive(Debug)]
pub struct Compiled {
    /// As it was written.
    pub rule: Rule,
    /// What must be true, and what it may cost; or why it can't be compiled. Nothing where it is empty.
    pub program: Option<Result<(Program, u64), String>>,
    /// What is said where it isn't, and what that may cost.
    pub message: Option<Result<(Program, u64), String>>,
    /// The field that an error names, as it is written behind the field with the rule.
    pub field_path: Option<String>,
}

/// The rules of a schema and of the schemas in it; what has none isn't there.
#[derive(Debug)]
pub struct Rules {
    /// The rules of this schema.
    pub here: Vec<Compiled>,
    /// What it declares.
    pub declaration: Declaration,
    /// Its type in errors.
    pub shape: Option<Shape>,
    /// The fewest bytes that a value has.
    pub min_size: u64,
    /// Of fields.
    pub fields: BTreeMap<Box<str>, Rules>,
    /// Of the values of a map.
    pub values: Option<Box<Rules>>,
    /// Of the items of a list.
    pub items: Option<Box<Rules>>,
    /// The fields that tell the items of a list apart, where there are such.
    pub keys: Option<Vec<Box<str>>>,
    /// Whether a map is one value.
    pub atomic_map: bool,
}

impl Compiled {
    /// Whether it compares with what was before.
    pub fn uses_old(&self) -> bool {
        matches!(&self.program, Some(Ok((program, _))) if program.uses("oldSelf"))
    }
}

impl Rules {
    /// The rules of a resource's schema; none where there are none.
    pub fn of(schema: &Schema) -> Option<Self> {
        Self::whole(schema, true)
    }

    /// The rules of a part of a resource's schema, for a value of its own.
    pub fn of_part(schema: &Schema) -> Option<Self> {
        Self::whole(schema, schema.embedded)
    }

    fn whole(schema: &Schema, is_resource: bool) -> Option<Self> {
        let name = "selfType";
        has_rules(schema).then(|| Self::at(schema, declare(schema, is_resource, name), name)).flatten()
    }

    fn at(schema: &Schema, declaration: Option<Declaration>, name: &str) -> Option<Self> {
        let here = match &declaration {
            Some(declaration) if !schema.rules.is_empty() => compile(schema, declaration),
            _ => Vec::new(),
        };
        let declaration = declaration.unwrap_or_else(|| Declaration::simple(Type::Dyn));
        // a field is beneath its parent's declaration, so that what a rule says of it is of the same type
        let below = |inner: &Schema, field: &str| {
            let known = match &declaration.shape {
                DeclaredShape::Object(object) => object.fields.values().find(|known| &*known.name == field).map(|known| known.declaration.clone()),
                DeclaredShape::List(of, _) | DeclaredShape::Map(of) => Some((**of).clone()),
                _ => None,
            };
            let name = format!("{name}.{field}");
            let found = known.or_else(|| declare(inner, inner.embedded, &name));
            has_rules(inner).then(|| Self::at(inner, found, &name)).flatten()
        };
        let fields: BTreeMap<Box<str>, Self> = schema.properties.iter().filter_map(|(field, inner)| Some((field.clone(), below(inner, field)?))).collect();
        let values = match &schema.values {
            Some(Values::Schema(inner)) => below(inner, "@elem").map(Box::new),
            _ => None,
        };
        let items = schema.items.as_ref().and_then(|inner| below(inner, "@idx")).map(Box::new);
        let any = !here.is_empty() || !fields.is_empty() || values.is_some() || items.is_some();
        any.then(|| Self {
            here,
            shape: schema.shape,
            min_size: min_size(schema),
            fields,
            values,
            items,
            keys: (schema.list_type == ListType::Map).then(|| schema.list_keys.clone()),
            atomic_map: schema.map_type == MapType::Atomic,
            declaration,
        })
    }
}

fn has_rules(schema: &Schema) -> bool {
    let values = match &schema.values {
        Some(Values::Schema(inner)) => has_rules(inner),
        _ => false,
    };
    values || !schema.rules.is_empty() || schema.properties.values().any(has_rules) || schema.items.as_deref().is_some_and(has_rules)
}

fn compile(schema: &Schema, declaration: &Declaration) -> Vec<Compiled> {
    let plain = Environment::new().with("self", declaration.clone()).with("oldSelf", declaration.clone());
    let before = Declaration { shape: DeclaredShape::Optional(Arc::new(declaration.clone())), max_elements: u64::MAX };
    let optional = Environment::new().with("self", declaration.clone()).with("oldSelf", before);
    let one = |rule: &Rule| {
        let env = if rule.optional_old_self == Some(true) { &optional } else { &plain };
        let program = (!rule.rule.trim().is_empty()).then(|| match Program::compile(env, &rule.rule) {
            Err(e) => Err(format!("compilation failed: {e}")),
            Ok(program) if *program.result_type() != Type::Bool => Err("cel expression must evaluate to a bool".to_owned()),
            Ok(program) => Ok(with_cost(program, env)),
        });
        let with_message = matches!(program, Some(Ok(_))) && !rule.message_expression.is_empty();
        let message = with_message.then(|| match Program::compile(env, &rule.message_expression) {
            Err(e) => Err(format!("messageExpression compilation failed: {e}")),
            Ok(program) if *program.result_type() != Type::String => Err("messageExpression must evaluate to a string".to_owned()),
            Ok(program) => Ok(with_cost(program, env)),
        });
        Compiled { program, message, field_path: field_path::normalized(&rule.field_path, schema), rule: rule.clone() }
    };
    schema.rules.iter().map(one).collect()
}

fn with_cost(program: Program, env: &Environment) -> (Program, u64) {
    let cost = program.estimate(env);
    (program, cost)
}
