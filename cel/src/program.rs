//! A compiled expression.
use crate::ast::{Expr, Kind, Literal};
use crate::budget::Budget;
use crate::checker::{self, Checked};
use crate::environment::Environment;
use crate::error::EvalError;
use crate::eval::{Evaluator, Patterns};
use crate::parser;
use crate::position::{CompileError, report};
use crate::types::Type;
use crate::value::Value;

/// A compiled expression.
#[derive(Debug)]
pub struct Program {
    expr: Expr,
    checked: Checked,
    patterns: Patterns,
}

impl Program {
    /// Compiles an expression.
    ///
    /// # Errors
    /// It can't be read, or its types don't fit.
    pub fn compile(env: &Environment, text: &str) -> Result<Self, CompileError> {
        let (expr, nodes) = parser::parse(text).map_err(|issue| report(text, vec![issue]))?;
        let checked = checker::check(&expr, nodes, env).map_err(|issues| report(text, issues))?;
        let mut patterns = Patterns::new();
        constant_patterns(&expr, &mut patterns);
        Ok(Self { expr, checked, patterns })
    }

    /// The type of its value.
    pub fn result_type(&self) -> &Type {
        self.checked.types.get(self.expr.id).unwrap_or(&Type::Dyn)
    }

    /// Whether it uses a variable.
    pub fn uses(&self, variable: &str) -> bool {
        self.checked.variables.iter().any(|name| &**name == variable)
    }

    /// The most that evaluating it may cost, by how large the variables may be that the environment declares: the one that it was compiled with.
    pub fn estimate(&self, env: &Environment) -> u64 {
        crate::estimate::estimate(&self.expr, &self.checked, env)
    }

    /// Its value with these variables.
    ///
    /// # Errors
    /// What is wrong with the data that it is about, or that the budget is used up.
    pub fn evaluate<'a>(&self, bindings: &[(&str, Value<'a>)], budget: &mut Budget) -> Result<Value<'a>, EvalError> {
        Evaluator::new(&self.patterns, bindings, budget).eval(&self.expr)
    }
}

/// Compiles the patterns that are constants.
fn constant_patterns(expr: &Expr, out: &mut Patterns) {
    let mut each = |inner: &Expr| constant_patterns(inner, out);
    match &expr.kind {
        Kind::Literal(_) | Kind::Ident(_) => {}
        Kind::Select(operand, ..) => each(operand),
        Kind::Call(function, target, args) => {
            target.iter().for_each(|target| each(target));
            args.iter().for_each(each);
            if matches!(&**function, "matches" | "find" | "findAll") {
                let at = usize::from(target.is_none() && args.len() == 2);
                if let Some(Kind::Literal(Literal::String(pattern))) = args.get(at).map(|arg| &arg.kind)
                    && let Ok(compiled) = crate::patterns::compile(pattern)
                {
                    out.insert(pattern.clone(), compiled);
                }
            }
        }
        Kind::List(items) => items.iter().for_each(|(item, _)| each(item)),
        Kind::Map(entries) => entries.iter().for_each(|(key, value, _)| {
            each(key);
            each(value);
        }),
        Kind::Struct(_, fields) => fields.iter().for_each(|(field, _)| each(field)),
        Kind::Comprehension(c) => {
            each(&c.range);
            c.filter.iter().for_each(&mut each);
            each(&c.step);
        }
        Kind::OptionalMap(target, _, step, _) => {
            each(target);
            each(step);
        }
    }
}
