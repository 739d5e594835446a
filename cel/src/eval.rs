//! Evaluates an expression. What each step costs is what cel-go counts for it (`interpreter/runtimecost.go`), with macros expanded.
use crate::actual_cost;
use crate::ast::{Comprehension, Expr, Fold, Kind, Literal, Name};
use crate::budget::Budget;
use crate::error::EvalError;
use crate::functions::{self, Context};
use crate::opaque::Opaque;
use crate::types::Type;
use crate::types::opaque::REQUEST_RESOURCE;
use crate::value::{Entries, List, Map, Text, Value};
use std::collections::BTreeMap;
use std::mem::size_of;
use std::sync::Arc;

pub use crate::functions::Patterns;

/// The cost of a variable, a selection or an index.
const SELECT: u64 = 1;
/// The cost of a new list.
const LIST: u64 = 10;
/// The cost of a new map.
const MAP: u64 = 30;

type Evaluated<'a> = Result<Value<'a>, EvalError>;

/// An evaluation.
pub struct Evaluator<'p, 'a> {
    patterns: &'p Patterns,
    bindings: &'p [(&'p str, Value<'a>)],
    locals: Vec<(Name, Value<'a>)>,
    budget: &'p mut Budget,
}

/// What a macro goes through, and whether it has two variables.
enum Range<'a> {
    /// The items of a list; two variables are an index and an item.
    Items(List<'a>, bool),
    /// The entries of a map; one variable is a key.
    Entries(Vec<(Value<'a>, Value<'a>)>, bool),
}

impl<'a> Range<'a> {
    fn len(&self) -> usize {
        match self {
            Self::Items(list, _) => list.len(),
            Self::Entries(entries, _) => entries.len(),
        }
    }

    /// What the variables hold.
    fn get(&self, at: usize) -> Result<(Value<'a>, Option<Value<'a>>), EvalError> {
        match self {
            Self::Items(list, false) => Ok((list.get(at)?, None)),
            Self::Items(list, true) => Ok((Value::Int(i64::try_from(at).unwrap_or(i64::MAX)), Some(list.get(at)?))),
            Self::Entries(entries, two) => {
                let (key, value) = entries.get(at).cloned().ok_or_else(no_overload)?;
                Ok((key, two.then_some(value)))
            }
        }
    }
}

fn no_overload() -> EvalError {
    EvalError::value("no such overload")
}

fn is_attribute(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Ident(_) | Kind::Select(_, _, false) => true,
        Kind::Call(function, None, _) => matches!(&**function, "_[_]" | "_?._" | "_[?_]"),
        _ => false,
    }
}

fn literal<'a>(literal: &Literal) -> Value<'a> {
    match literal {
        Literal::Null => Value::Null,
        Literal::Bool(b) => Value::Bool(*b),
        Literal::Int(n) => Value::Int(*n),
        Literal::Uint(n) => Value::Uint(*n),
        Literal::Double(n) => Value::Double(*n),
        Literal::String(text) => Value::String(Text::Shared(text.clone())),
        Literal::Bytes(bytes) => Value::Bytes(bytes.clone()),
        Literal::Type(of) => Value::Type(of.clone()),
    }
}

impl<'p, 'a> Evaluator<'p, 'a> {
    /// One with these variables.
    pub fn new(patterns: &'p Patterns, bindings: &'p [(&'p str, Value<'a>)], budget: &'p mut Budget) -> Self {
        Self { patterns, bindings, locals: Vec::new(), budget }
    }

    /// The value of an expression.
    ///
    /// # Errors
    /// What is wrong with the data that it is about, or that the budget is used up.
    pub fn eval(&mut self, expr: &Expr) -> Evaluated<'a> {
        match &expr.kind {
            Kind::Literal(constant) => Ok(literal(constant)),
            Kind::Ident(name) => {
                self.budget.spend(SELECT)?;
                self.ident(name)
            }
            Kind::Select(operand, field, false) => {
                let operand = self.root(operand)?;
                self.budget.spend(SELECT)?;
                select(&operand, field)
            }
            Kind::Select(operand, field, true) => {
                let operand = self.root(operand)?;
                has(&operand, field)
            }
            Kind::Call(function, target, args) => self.call(function, target.as_deref(), args),
            Kind::List(items) => self.list(items),
            Kind::Map(entries) => self.map(entries),
            Kind::Struct(name, _) => Err(EvalError::value(format!("unknown type: {name}"))),
            Kind::Comprehension(comprehension) => self.comprehension(comprehension),
            Kind::OptionalMap(target, name, step, flat) => self.optional_map(target, name, step, *flat),
        }
    }

    fn ident(&self, name: &Name) -> Evaluated<'a> {
        if let Some((_, value)) = self.locals.iter().rev().find(|(known, _)| known == name) {
            return Ok(value.clone());
        }
        if let Some((_, value)) = self.bindings.iter().find(|(known, _)| *known == &**name) {
            return Ok(value.clone());
        }
        Type::named(name).map(Value::Type).ok_or_else(|| EvalError::value(format!("no such attribute(s): {name}")))
    }

    /// What selections start at: a variable, or what another expression gives, which costs as much as one.
    fn root(&mut self, expr: &Expr) -> Evaluated<'a> {
        let value = self.eval(expr)?;
        if !is_attribute(expr) {
            self.budget.spend(SELECT)?;
        }
        Ok(value)
    }

    fn call(&mut self, function: &str, target: Option<&Expr>, args: &[Expr]) -> Evaluated<'a> {
        match (function, args) {
            ("_&&_", [left, right]) => self.logical(left, right, false),
            ("_||_", [left, right]) => self.logical(left, right, true),
            ("_?_:_", [condition, yes, no]) => match self.eval(condition)? {
                Value::Bool(true) => self.branch(yes),
                Value::Bool(false) => self.branch(no),
                _ => Err(no_overload()),
            },
            ("_?._" | "_[?_]", [operand, index]) => {
                let (operand, index) = (self.root(operand)?, self.eval(index)?);
                self.budget.spend(SELECT)?;
                optional_index(&operand, &index)
            }
            ("_[_]", [operand, index]) => {
                let (operand, index) = (self.root(operand)?, self.eval(index)?);
                self.budget.spend(SELECT)?;
                match operand {
                    Value::Optional(_) => optional_index(&operand, &index),
                    other => lookup(&other, &index),
                }
            }
            ("or" | "orValue", [other]) if target.is_some() => {
                let found = target.map(|target| self.eval(target)).transpose()?;
                self.budget.spend(1)?;
                match (found, function) {
                    (Some(found @ Value::Optional(Some(_))), "or") => Ok(found),
                    (Some(Value::Optional(Some(inner))), _) => Ok((*inner).clone()),
                    (Some(Value::Optional(None)), _) => self.eval(other),
                    _ => Err(no_overload()),
                }
            }
            _ => {
                let mut values = Vec::with_capacity(args.len() + 1);
                for arg in target.into_iter().chain(args) {
                    values.push(self.eval(arg)?);
                }
                self.budget.spend(actual_cost::of(function, &values, self.budget.left()))?;
                functions::call(function, &values, &mut Context { patterns: self.patterns, budget: self.budget })
            }
        }
    }

    /// A branch of a condition: where it is an attribute its first variable costs nothing.
    fn branch(&mut self, expr: &Expr) -> Evaluated<'a> {
        if is_attribute(expr) {
            self.budget.refund(SELECT);
        }
        self.eval(expr)
    }

    /// `&&` and `||`: one side that decides is enough, even where the other has an error.
    fn logical(&mut self, left: &Expr, right: &Expr, decides: bool) -> Evaluated<'a> {
        let side = |value: Evaluated<'a>| match value {
            Ok(Value::Bool(b)) => Ok(b),
            Ok(_) => Err(no_overload()),
            Err(e) => Err(e),
        };
        match side(self.eval(left)) {
            Ok(b) if b == decides => Ok(Value::Bool(decides)),
            Ok(_) => side(self.eval(right)).map(Value::Bool),
            Err(e) if e.is_final() => Err(e),
            Err(first) => match side(self.eval(right)) {
                Ok(b) if b == decides => Ok(Value::Bool(decides)),
                Err(e) if e.is_final() => Err(e),
                _ => Err(first),
            },
        }
    }

    fn list(&mut self, items: &[(Expr, bool)]) -> Evaluated<'a> {
        self.budget.take(items.len() * size_of::<Value<'a>>())?;
        let mut out = Vec::with_capacity(items.len());
        for (item, optional) in items {
            match (self.eval(item)?, optional) {
                (Value::Optional(inner), true) => out.extend(inner.map(|inner| (*inner).clone())),
                (_, true) => return Err(no_overload()),
                (value, false) => out.push(value),
            }
        }
        self.budget.spend(LIST)?;
        Ok(out.into())
    }

    fn map(&mut self, entries: &[(Expr, Expr, bool)]) -> Evaluated<'a> {
        let mut out: Entries<'a> = BTreeMap::new();
        for (key, value, optional) in entries {
            let key = self.eval(key)?;
            let value = match (self.eval(value)?, optional) {
                (Value::Optional(Some(inner)), true) => (*inner).clone(),
                (Value::Optional(None), true) => continue,
                (_, true) => return Err(no_overload()),
                (value, false) => value,
            };
            self.insert(&mut out, key, value)?;
        }
        self.budget.spend(MAP)?;
        Ok(Value::Map(Map::Owned(Arc::new(out))))
    }

    fn insert(&mut self, into: &mut Entries<'a>, key: Value<'a>, value: Value<'a>) -> Result<(), EvalError> {
        self.budget.take(3 * size_of::<Value<'a>>())?;
        let index = match &key {
            Value::Double(_) => None,
            other => other.key(),
        };
        let index = index.ok_or_else(|| EvalError::value("unsupported key type"))?;
        if into.insert(index, (key, value)).is_some() {
            return Err(EvalError::value("insert failed: key already exists"));
        }
        Ok(())
    }

    fn optional_map(&mut self, target: &Expr, name: &Name, step: &Expr, flat: bool) -> Evaluated<'a> {
        let target = self.eval(target)?;
        self.budget.spend(1)?;
        match target {
            Value::Optional(None) => Ok(target),
            Value::Optional(Some(inner)) => {
                self.budget.spend(2 + LIST)?;
                self.locals.push((name.clone(), (*inner).clone()));
                let out = self.eval(step);
                self.locals.pop();
                match out? {
                    out @ Value::Optional(_) if flat => Ok(out),
                    _ if flat => Err(no_overload()),
                    out => Ok(Value::some(out)),
                }
            }
            _ => Err(no_overload()),
        }
    }

    /// What a macro goes through.
    fn range(&mut self, comprehension: &Comprehension) -> Result<Range<'a>, EvalError> {
        let two = comprehension.second.is_some();
        match self.eval(&comprehension.range)? {
            Value::List(list) => Ok(Range::Items(list, two)),
            Value::Map(map) => {
                self.budget.take(2 * map.len() * size_of::<Value<'a>>())?;
                Ok(Range::Entries(map.entries()?, two))
            }
            _ => Err(no_overload()),
        }
    }

    fn comprehension(&mut self, comprehension: &Comprehension) -> Evaluated<'a> {
        let range = self.range(comprehension)?;
        let depth = self.locals.len();
        let out = match comprehension.fold {
            Fold::All => self.quantify(comprehension, &range, false),
            Fold::Exists => self.quantify(comprehension, &range, true),
            Fold::ExistsOne => self.exactly_one(comprehension, &range),
            Fold::List | Fold::Filter | Fold::SortBy => self.gather(comprehension, &range),
            Fold::Map | Fold::Entries => self.gather_map(comprehension, &range),
        };
        self.locals.truncate(depth);
        out
    }

    fn bound(&mut self, comprehension: &Comprehension, first: Value<'a>, second: Option<Value<'a>>, step: &Expr) -> Evaluated<'a> {
        let (depth, before) = (self.locals.len(), self.budget.used());
        self.locals.push((comprehension.first.clone(), first));
        if let (Some(name), Some(value)) = (&comprehension.second, second) {
            self.locals.push((name.clone(), value));
        }
        let out = self.eval(step);
        self.locals.truncate(depth);
        // a step that costs nothing, such as a constant, takes time as well
        if self.budget.used() <= before {
            self.budget.spend(1)?;
        }
        out
    }

    /// `all` and `exists`: an element that decides is enough, even where others have errors.
    fn quantify(&mut self, comprehension: &Comprehension, range: &Range<'a>, decides: bool) -> Evaluated<'a> {
        let mut error = None;
        for at in 0..range.len() {
            let (first, second) = range.get(at)?;
            // the condition of the loop and the accumulator
            self.budget.spend(if decides { 4 } else { 3 })?;
            match self.bound(comprehension, first, second, &comprehension.step) {
                Ok(Value::Bool(b)) if b == decides => {
                    self.budget.spend(SELECT)?;
                    return Ok(Value::Bool(decides));
                }
                Ok(Value::Bool(_)) => {}
                Ok(_) => error = error.or(Some(no_overload())),
                Err(e) if e.is_final() => return Err(e),
                Err(e) => error = error.or(Some(e)),
            }
        }
        self.budget.spend(SELECT)?;
        error.map_or(Ok(Value::Bool(!decides)), Err)
    }

    fn exactly_one(&mut self, comprehension: &Comprehension, range: &Range<'a>) -> Evaluated<'a> {
        let mut count = 0_usize;
        for at in 0..range.len() {
            let (first, second) = range.get(at)?;
            match self.bound(comprehension, first, second, &comprehension.step)? {
                Value::Bool(true) => {
                    self.budget.spend(2)?;
                    count += 1;
                }
                Value::Bool(false) => {}
                _ => return Err(no_overload()),
            }
        }
        self.budget.spend(2)?;
        Ok(Value::Bool(count == 1))
    }

    fn passes(&mut self, comprehension: &Comprehension, first: &Value<'a>, second: Option<&Value<'a>>) -> Result<bool, EvalError> {
        let Some(filter) = &comprehension.filter else { return Ok(true) };
        match self.bound(comprehension, first.clone(), second.cloned(), filter)? {
            Value::Bool(passes) => Ok(passes),
            _ => Err(no_overload()),
        }
    }

    fn gather(&mut self, comprehension: &Comprehension, range: &Range<'a>) -> Evaluated<'a> {
        self.budget.spend(LIST)?;
        let mut out = Vec::new();
        let mut keys = Vec::new();
        for at in 0..range.len() {
            let (first, second) = range.get(at)?;
            self.budget.take(size_of::<Value<'a>>())?;
            if !self.passes(comprehension, &first, second.as_ref())? {
                continue;
            }
            let kept = (comprehension.fold != Fold::List).then(|| first.clone());
            let made = self.bound(comprehension, first, second, &comprehension.step)?;
            match (comprehension.fold, made, kept) {
                (Fold::Filter, Value::Bool(false), _) => continue,
                (Fold::Filter, Value::Bool(true), Some(first)) => out.push(first),
                (Fold::Filter, ..) => return Err(no_overload()),
                (Fold::SortBy, key, Some(first)) => {
                    keys.push(key);
                    out.push(first);
                }
                (_, made, _) => out.push(made),
            }
            self.budget.spend(2 + LIST + u64::from(comprehension.fold == Fold::Filter))?;
        }
        self.budget.spend(SELECT)?;
        if comprehension.fold == Fold::SortBy {
            self.budget.spend(actual_cost::self_compared(&keys))?;
            return functions::sorted_by(out, &keys, self.budget).map(Into::into);
        }
        Ok(out.into())
    }

    fn gather_map(&mut self, comprehension: &Comprehension, range: &Range<'a>) -> Evaluated<'a> {
        self.budget.spend(MAP)?;
        let mut out: Entries<'a> = BTreeMap::new();
        for at in 0..range.len() {
            let (first, second) = range.get(at)?;
            if !self.passes(comprehension, &first, second.as_ref())? {
                continue;
            }
            let key = first.clone();
            let made = self.bound(comprehension, first, second, &comprehension.step)?;
            match (comprehension.fold, made) {
                (Fold::Map, value) => {
                    self.budget.spend(3)?;
                    self.insert(&mut out, key, value)?;
                }
                (_, Value::Map(entries)) => {
                    self.budget.spend(2)?;
                    for (key, value) in entries.entries()? {
                        self.insert(&mut out, key, value)?;
                    }
                }
                _ => return Err(no_overload()),
            }
        }
        self.budget.spend(SELECT)?;
        Ok(Value::Map(Map::Owned(Arc::new(out))))
    }
}

fn has<'a>(operand: &Value<'a>, field: &str) -> Evaluated<'a> {
    match operand {
        Value::Map(map) => Ok(Value::Bool(map.field(field).is_some())),
        Value::Optional(Some(inner)) => has(inner, field),
        Value::Optional(None) => Ok(Value::Bool(false)),
        _ => Err(no_overload()),
    }
}

fn select<'a>(operand: &Value<'a>, field: &str) -> Evaluated<'a> {
    match operand {
        Value::Map(map) => map.field(field).unwrap_or_else(|| Err(EvalError::value(format!("no such key: {field}")))),
        Value::Optional(_) => optional_index(operand, &Value::String(Text::Shared(field.into()))),
        Value::Opaque(Opaque::Authorizer(who)) => match &who.request {
            Some(request) if field == REQUEST_RESOURCE => Ok(Value::Opaque(Opaque::ResourceCheck(who.clone(), request.clone()))),
            _ => Err(EvalError::value(format!("no such key: {field}"))),
        },
        _ => Err(EvalError::value(format!("no such key: {field}"))),
    }
}

fn place(list: &List<'_>, index: &Value<'_>) -> Result<Option<usize>, EvalError> {
    let at = match index {
        Value::Int(n) => usize::try_from(*n).ok(),
        Value::Uint(n) => usize::try_from(*n).ok(),
        Value::Double(n) if n.fract() == 0.0 && *n >= 0.0 && *n < 1e15 => Some(*n as usize),
        Value::Double(_) => None,
        other => return Err(EvalError::value(format!("unsupported index type '{}' in list", other.type_of()))),
    };
    Ok(at.filter(|at| *at < list.len()))
}

fn lookup<'a>(operand: &Value<'a>, index: &Value<'a>) -> Evaluated<'a> {
    match operand {
        Value::List(list) => match place(list, index)? {
            Some(at) => list.get(at),
            None => Err(EvalError::value(format!("index out of bounds: {}", functions::shown(index)))),
        },
        Value::Map(map) => {
            let found = index.key().and_then(|key| map.get(&key));
            found.unwrap_or_else(|| Err(EvalError::value(format!("no such key: {}", functions::shown(index)))))
        }
        _ => Err(no_overload()),
    }
}

fn optional_index<'a>(operand: &Value<'a>, index: &Value<'a>) -> Evaluated<'a> {
    let found = match operand {
        Value::Optional(None) => None,
        Value::Optional(Some(inner)) => return optional_index(inner, index),
        Value::List(list) => place(list, index)?.map(|at| list.get(at)),
        Value::Map(map) => index.key().and_then(|key| map.get(&key)),
        _ => return Err(no_overload()),
    };
    found.map_or(Ok(Value::Optional(None)), |found| found.map(|found| if matches!(found, Value::Optional(_)) { found } else { Value::some(found) }))
}
