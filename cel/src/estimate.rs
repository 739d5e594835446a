//! What an expression may cost at most, by how large its variables may be: `checker/cost.go` of cel-go with the libraries' part of
//! `k8s.io/apiserver/pkg/cel/library/cost.go`. Macros cost what their expansions do.
use crate::ast::{Comprehension, Expr, Fold, Kind, Literal, Name};
use crate::checker::Checked;
use crate::environment::Environment;
use crate::estimated_calls::{Part, call, sorted};
use crate::types::{Declaration, DeclaredShape, Type};

/// The cost of a new list.
const LIST: u64 = 10;
/// The cost of a new map.
const MAP: u64 = 30;

/// The most that an expression may cost.
pub fn estimate(expr: &Expr, checked: &Checked, env: &Environment) -> u64 {
    Estimator { checked, env, scopes: Vec::new() }.part(expr).cost
}

struct Estimator<'e> {
    checked: &'e Checked,
    env: &'e Environment,
    scopes: Vec<(Name, Part<'e>)>,
}

fn field<'e>(of: Option<&'e Declaration>, name: &str) -> Option<&'e Declaration> {
    match &of?.shape {
        DeclaredShape::Object(object) => object.fields.get(name).map(|field| &field.declaration),
        DeclaredShape::Map(values) => Some(values),
        DeclaredShape::Optional(inner) => field(Some(inner), name),
        _ => None,
    }
}

impl<'e> Estimator<'e> {
    fn type_of(&self, expr: &Expr) -> &'e Type {
        self.checked.types.get(expr.id).unwrap_or(&Type::Dyn)
    }

    /// What is known of an expression.
    fn part(&mut self, expr: &Expr) -> Part<'e> {
        let mut part = match &expr.kind {
            Kind::Literal(literal) => Part { size: literal_size(literal), is_constant: true, ..Part::default() },
            Kind::Ident(name) => self.ident(name),
            Kind::Select(operand, name, test) => {
                let target = self.part(operand);
                let counts = matches!(self.type_of(operand), Type::Map(_) | Type::Object(_));
                let cost = target.cost.saturating_add(u64::from(counts && !test));
                Part { cost, declared: if *test { None } else { field(target.declared, name) }, ..Part::default() }
            }
            Kind::Call(function, target, args) => self.call(function, target.as_deref(), args),
            Kind::List(items) => {
                let parts: Vec<Part<'e>> = items.iter().map(|(item, _)| self.part(item)).collect();
                let cost = parts.iter().map(|part| part.cost).fold(LIST, u64::saturating_add);
                let largest = parts.iter().map(Part::most).max().unwrap_or_default();
                Part { cost, size: Some(size(parts.len())), element: Some(largest), ..Part::default() }
            }
            Kind::Map(entries) => {
                let parts: Vec<(Part<'e>, Part<'e>)> = entries.iter().map(|(key, value, _)| (self.part(key), self.part(value))).collect();
                let cost = parts.iter().flat_map(|(key, value)| [key.cost, value.cost]).fold(MAP, u64::saturating_add);
                let largest = parts.iter().map(|(_, value)| value.most()).max().unwrap_or_default();
                Part { cost, size: Some(size(parts.len())), element: Some(largest), ..Part::default() }
            }
            Kind::Struct(..) => Part::default(),
            Kind::Comprehension(comprehension) => self.comprehension(comprehension),
            Kind::OptionalMap(target, name, step, _) => {
                let target = self.part(target);
                self.scopes.push((name.clone(), Part { cost: 1, ..Part::default() }));
                let step = self.part(step);
                self.scopes.pop();
                Part { cost: target.cost.saturating_add(step.cost).saturating_add(3 + LIST), ..Part::default() }
            }
        };
        part.of = Some(self.type_of(expr));
        part
    }

    fn ident(&self, name: &Name) -> Part<'e> {
        match self.scopes.iter().rev().find(|(known, _)| known == name) {
            Some((_, part)) => Part { cost: 1, ..part.clone() },
            None => Part { cost: 1, declared: self.env.variable(name), ..Part::default() },
        }
    }

    fn call(&mut self, function: &str, target: Option<&Expr>, args: &[Expr]) -> Part<'e> {
        let parts: Vec<Part<'e>> = target.into_iter().chain(args).map(|arg| self.part(arg)).collect();
        match (function, parts.as_slice()) {
            ("_?_:_", [condition, yes, no]) => Part {
                cost: condition.cost.saturating_add(yes.cost.max(no.cost)),
                size: Some((0, yes.most().max(no.most()))),
                element: yes.element.max(no.element),
                ..Part::default()
            },
            ("_[_]", [operand, index]) => {
                let cost = operand.cost.saturating_add(index.cost).saturating_add(1);
                Part { cost, size: operand.element.map(|most| (0, most)), declared: operand.inner(), ..Part::default() }
            }
            ("dyn", [inner]) => Part { cost: inner.cost.saturating_add(1), ..inner.clone() },
            _ => {
                let args = parts.iter().map(|part| part.cost).fold(0, u64::saturating_add);
                let made = call(function, &parts);
                Part { cost: made.cost.saturating_add(args), ..made }
            }
        }
    }

    fn comprehension(&mut self, comprehension: &Comprehension) -> Part<'e> {
        let range = self.part(&comprehension.range);
        let is_map = matches!(self.type_of(&comprehension.range), Type::Map(_));
        let element = Part { cost: 1, size: range.element.map(|most| (0, most)), declared: range.inner(), ..Part::default() };
        // keys of a declared map are texts of any length
        let key = Part { cost: 1, size: (!is_map).then_some((1, 1)), ..Part::default() };
        let depth = self.scopes.len();
        match &comprehension.second {
            Some(second) => self.scopes.extend([(comprehension.first.clone(), key), (second.clone(), element)]),
            None => self.scopes.push((comprehension.first.clone(), if is_map { key } else { element })),
        }
        let filter = comprehension.filter.as_ref().map_or(0, |filter| self.part(filter).cost);
        let step = self.part(&comprehension.step);
        self.scopes.truncate(depth);
        let (start, each, result) = match comprehension.fold {
            Fold::All => (0, 3, 1),
            Fold::Exists => (0, 4, 1),
            Fold::ExistsOne => (0, 2, 2),
            Fold::List | Fold::SortBy => (LIST, 2 + LIST, 1),
            Fold::Filter => (LIST, 3 + LIST, 1),
            Fold::Map => (MAP, 3, 1),
            Fold::Entries => (MAP, 2, 1),
        };
        let count = range.most();
        let each = step.cost.saturating_add(filter).saturating_add(each);
        let cost = range.cost.saturating_add(start + result).saturating_add(count.saturating_mul(each));
        let gathers = !matches!(comprehension.fold, Fold::All | Fold::Exists | Fold::ExistsOne);
        let kept = matches!(comprehension.fold, Fold::Filter | Fold::SortBy);
        let extra = if comprehension.fold == Fold::SortBy { sorted(count, step.of) } else { 0 };
        Part {
            cost: cost.saturating_add(extra),
            size: gathers.then_some((0, count)),
            element: if kept { range.element.or(range.inner().map(|inner| inner.max_elements)) } else { gathers.then(|| step.most()) },
            ..Part::default()
        }
    }
}

fn size(count: usize) -> (u64, u64) {
    let count = u64::try_from(count).unwrap_or(u64::MAX);
    (count, count)
}

fn literal_size(literal: &Literal) -> Option<(u64, u64)> {
    Some(match literal {
        Literal::String(text) => size(text.chars().count()),
        Literal::Bytes(bytes) => size(bytes.len()),
        Literal::Type(_) => return None,
        _ => (1, 1),
    })
}
