//! Finds the type of every part of an expression, as the CEL specification has it ("Gradual Type Checking").
use crate::ast::{Comprehension, Expr, Fold, Kind, Literal, Name};
use crate::environment::Environment;
use crate::position::Issue;
use crate::signatures::{self, Overload};
use crate::types::{Type, opaque};
use crate::unify::Substitution;

/// Most issues that are kept.
const ISSUES_MAX: usize = 100;

/// What is known of an expression once it has been checked.
#[derive(Debug, Default)]
pub struct Checked {
    /// The type of each part, by its id.
    pub types: Vec<Type>,
    /// The ways in which each call may be meant.
    pub overloads: Vec<Vec<&'static Overload>>,
    /// The variables that it uses.
    pub variables: Vec<Name>,
}

/// Checks an expression of so many parts.
pub fn check(expr: &Expr, nodes: usize, env: &Environment) -> Result<Checked, Vec<Issue>> {
    let checked = Checked { types: vec![Type::Dyn; nodes], overloads: vec![Vec::new(); nodes], variables: Vec::new() };
    let mut checker = Checker { env, checked, substitution: Substitution::default(), scopes: Vec::new(), issues: Vec::new() };
    checker.expr(expr);
    if !checker.issues.is_empty() {
        return Err(checker.issues);
    }
    let Checker { mut checked, substitution, .. } = checker;
    checked.types.iter_mut().for_each(|t| *t = substitution.resolve(t, true));
    Ok(checked)
}

struct Checker<'e> {
    env: &'e Environment,
    checked: Checked,
    substitution: Substitution,
    scopes: Vec<(Name, Type)>,
    issues: Vec<Issue>,
}

impl Checker<'_> {
    fn issue(&mut self, expr: &Expr, message: String) -> Type {
        if self.issues.len() < ISSUES_MAX {
            self.issues.push(Issue { offset: expr.offset, message });
        }
        Type::Error
    }

    fn mismatch(&mut self, expr: &Expr, wanted: &Type, found: &Type) -> Type {
        let (wanted, found) = (self.shown(wanted), self.shown(found));
        self.issue(expr, format!("expected type '{wanted}' but found '{found}'"))
    }

    fn shown(&self, of: &Type) -> Type {
        self.substitution.resolve(of, true)
    }

    fn expr(&mut self, expr: &Expr) -> Type {
        let found = match &expr.kind {
            Kind::Literal(literal) => literal_type(literal),
            Kind::Ident(name) => self.ident(expr, name),
            Kind::Select(operand, field, test) => {
                let operand = self.expr(operand);
                let selected = self.select(expr, &operand, field);
                if *test { Type::Bool } else { selected }
            }
            Kind::Call(function, target, args) if &**function == "_?._" && target.is_none() => self.optional_select(expr, args),
            Kind::Call(function, target, args) => {
                let mut types: Vec<Type> = target.iter().map(|target| self.expr(target)).collect();
                types.extend(args.iter().map(|arg| self.expr(arg)).collect::<Vec<_>>());
                self.literals(function, args);
                self.call(expr, function, target.is_some(), &types)
            }
            Kind::List(items) => self.list(items),
            Kind::Map(entries) => self.map(entries),
            Kind::Struct(name, fields) => {
                fields.iter().for_each(|(field, _)| _ = self.expr(field));
                self.issue(expr, format!("undeclared reference to '{name}' (in container '')"))
            }
            Kind::Comprehension(comprehension) => self.comprehension(expr, comprehension),
            Kind::OptionalMap(target, name, step, flat) => self.optional_map(expr, target, name, step, *flat),
        };
        let found = self.substitution.resolve(&found, false);
        if let Some(slot) = self.checked.types.get_mut(expr.id) {
            *slot = found.clone();
        }
        found
    }

    fn ident(&mut self, expr: &Expr, name: &Name) -> Type {
        if let Some((_, found)) = self.scopes.iter().rev().find(|(known, _)| known == name) {
            return found.clone();
        }
        if let Some(declaration) = self.env.variable(name) {
            if !self.checked.variables.contains(name) {
                self.checked.variables.push(name.clone());
            }
            return declaration.of_type();
        }
        match Type::named(name) {
            Some(named) => Type::Type(Some(named.into())),
            None => self.issue(expr, format!("undeclared reference to '{name}' (in container '')")),
        }
    }

    fn select(&mut self, expr: &Expr, operand: &Type, field: &str) -> Type {
        match self.substitution.resolve(operand, false) {
            Type::Map(of) => of.1.clone(),
            Type::Object(object) => match object.fields.get(field) {
                Some(found) => found.declaration.of_type(),
                None => self.issue(expr, format!("undefined field '{field}'")),
            },
            Type::Optional(inner) => match self.select(expr, &inner, field) {
                already @ Type::Optional(_) => already,
                other => Type::optional(other),
            },
            Type::Opaque(opaque::AUTHORIZER) if field == opaque::REQUEST_RESOURCE => Type::Opaque(opaque::RESOURCE_CHECK),
            Type::Dyn => Type::Dyn,
            Type::Error => Type::Error,
            unbound @ Type::Param(_) => {
                self.substitution.assign(&[Type::Dyn], &[unbound]);
                Type::Dyn
            }
            other => self.issue(expr, format!("type '{other}' does not support field selection")),
        }
    }

    fn optional_select(&mut self, expr: &Expr, args: &[Expr]) -> Type {
        let types: Vec<Type> = args.iter().map(|arg| self.expr(arg)).collect();
        let (Some(operand), Some(Kind::Literal(Literal::String(field)))) = (types.first(), args.get(1).map(|arg| &arg.kind)) else { return Type::Error };
        match self.select(expr, operand, field) {
            already @ Type::Optional(_) if matches!(self.substitution.resolve(operand, false), Type::Optional(_)) => already,
            other => Type::optional(other),
        }
    }

    /// A call's type is that of the ways in which it may be meant, and `dyn` where these differ.
    fn call(&mut self, expr: &Expr, function: &str, member: bool, args: &[Type]) -> Type {
        let overloads = signatures::overloads(function);
        if overloads.is_empty() {
            return self.issue(expr, format!("undeclared reference to '{function}' (in container '')"));
        }
        let mut result: Option<Type> = None;
        let mut fitting = Vec::new();
        for overload in overloads.iter().filter(|overload| overload.member == member) {
            let mut formal: Vec<Type> = overload.args.clone();
            formal.push(overload.result.clone());
            let mut formal = self.substitution.instantiate(&formal);
            let Some(out) = formal.pop() else { continue };
            if !self.substitution.assign(args, &formal) {
                continue;
            }
            fitting.push(overload);
            let out = self.substitution.resolve(&out, false);
            result = Some(match result {
                Some(before) if before != out => Type::Dyn,
                _ => out,
            });
        }
        if let Some(slot) = self.checked.overloads.get_mut(expr.id) {
            *slot = fitting;
        }
        match result {
            Some(result) => result,
            None => {
                let shown: Vec<String> = args.iter().map(|arg| self.shown(arg).to_string()).collect();
                let signature = match (member, shown.split_first()) {
                    (true, Some((target, rest))) => format!("{target}.({})", rest.join(", ")),
                    _ => format!("({})", shown.join(", ")),
                };
                self.issue(expr, format!("found no matching overload for '{function}' applied to '{signature}'"))
            }
        }
    }

    /// Constants that can't be what the function makes of them.
    fn literals(&mut self, function: &str, args: &[Expr]) {
        let Some((arg, Kind::Literal(Literal::String(text)))) = args.last().map(|arg| (arg, &arg.kind)) else { return };
        let invalid = match function {
            "duration" => crate::time::duration(text).is_err(),
            "timestamp" => crate::time::timestamp(text).is_err(),
            "matches" => crate::patterns::compile(text).is_err(),
            _ => false,
        };
        if invalid {
            self.issue(arg, format!("invalid {function} argument"));
        }
    }

    /// The type of both; elements of a list and entries of a map must have one.
    fn join(&mut self, expr: &Expr, before: Option<Type>, now: Type) -> Option<Type> {
        let Some(before) = before else { return Some(now) };
        if self.substitution.assign(std::slice::from_ref(&now), std::slice::from_ref(&before)) {
            return Some(if matches!(now, Type::Dyn) { now } else { before });
        }
        if self.substitution.assign(std::slice::from_ref(&before), std::slice::from_ref(&now)) {
            return Some(now);
        }
        Some(self.mismatch(expr, &before, &now))
    }

    fn element(&mut self, expr: &Expr, optional: bool) -> Type {
        let found = self.expr(expr);
        match self.substitution.resolve(&found, false) {
            Type::Optional(inner) if optional => (*inner).clone(),
            other @ (Type::Dyn | Type::Error) if optional => other,
            other if optional => self.mismatch(expr, &Type::optional(other.clone()), &other),
            other => other,
        }
    }

    fn list(&mut self, items: &[(Expr, bool)]) -> Type {
        let mut of = None;
        for (item, optional) in items {
            let found = self.element(item, *optional);
            of = self.join(item, of, found);
        }
        Type::list(of.unwrap_or_else(|| self.substitution.fresh()))
    }

    fn map(&mut self, entries: &[(Expr, Expr, bool)]) -> Type {
        let (mut keys, mut values) = (None, None);
        for (key, value, optional) in entries {
            let found = self.expr(key);
            keys = self.join(key, keys, found);
            let found = self.element(value, *optional);
            values = self.join(value, values, found);
        }
        let keys = keys.unwrap_or_else(|| self.substitution.fresh());
        Type::map(keys, values.unwrap_or_else(|| self.substitution.fresh()))
    }

    fn comprehension(&mut self, expr: &Expr, comprehension: &Comprehension) -> Type {
        let range = self.expr(&comprehension.range);
        let range = self.substitution.resolve(&range, false);
        let two = comprehension.second.is_some();
        let (first, second) = match &range {
            Type::List(of) if two => (Type::Int, (**of).clone()),
            Type::List(of) => ((**of).clone(), Type::Dyn),
            Type::Map(of) => (of.0.clone(), of.1.clone()),
            Type::Dyn | Type::Error | Type::Param(_) => (Type::Dyn, Type::Dyn),
            other => {
                let why = format!("expression of type '{other}' cannot be range of a comprehension (must be list, map, or dynamic)");
                (self.issue(&comprehension.range, why), Type::Error)
            }
        };
        let depth = self.scopes.len();
        self.scopes.push((comprehension.first.clone(), first.clone()));
        self.scopes.extend(comprehension.second.clone().map(|name| (name, second)));
        if let Some(filter) = &comprehension.filter {
            let found = self.expr(filter);
            self.call(expr, "_?_:_", false, &[found, Type::Dyn, Type::Dyn]);
        }
        let step = self.expr(&comprehension.step);
        self.scopes.truncate(depth);
        match comprehension.fold {
            Fold::All => self.call(expr, "_&&_", false, &[Type::Bool, step]),
            Fold::Exists => self.call(expr, "_||_", false, &[Type::Bool, step]),
            Fold::ExistsOne => {
                self.call(expr, "_?_:_", false, &[step, Type::Int, Type::Int]);
                Type::Bool
            }
            Fold::Filter => {
                let kept = Type::list(first);
                self.call(expr, "_?_:_", false, &[step, kept.clone(), kept.clone()]);
                kept
            }
            Fold::List => Type::list(step),
            Fold::Map => Type::map(if matches!(range, Type::List(_)) { Type::Int } else { first }, step),
            Fold::Entries => match step {
                map @ (Type::Map(_) | Type::Dyn | Type::Error) => map,
                other => {
                    let any = Type::map(Type::Dyn, Type::Dyn);
                    self.mismatch(&comprehension.step, &any, &other)
                }
            },
            Fold::SortBy => {
                self.call(expr, "@sortKey", false, &[step]);
                Type::list(first)
            }
        }
    }

    fn optional_map(&mut self, expr: &Expr, target: &Expr, name: &Name, step: &Expr, flat: bool) -> Type {
        let found = self.expr(target);
        let inner = match self.substitution.resolve(&found, false) {
            Type::Optional(inner) => (*inner).clone(),
            Type::Dyn => Type::Dyn,
            Type::Error => Type::Error,
            other => self.issue(expr, format!("found no matching overload for 'hasValue' applied to '{other}.()'")),
        };
        self.scopes.push((name.clone(), inner));
        let step_type = self.expr(step);
        self.scopes.pop();
        match self.substitution.resolve(&step_type, false) {
            other if !flat => Type::optional(other),
            already @ (Type::Optional(_) | Type::Dyn | Type::Error) => already,
            other => self.issue(expr, format!("found no matching overload for '_?_:_' applied to '(bool, {other}, optional_type({other}))'")),
        }
    }
}

fn literal_type(literal: &Literal) -> Type {
    match literal {
        Literal::Null => Type::Null,
        Literal::Bool(_) => Type::Bool,
        Literal::Int(_) => Type::Int,
        Literal::Uint(_) => Type::Uint,
        Literal::Double(_) => Type::Double,
        Literal::String(_) => Type::String,
        Literal::Bytes(_) => Type::Bytes,
        Literal::Type(of) => Type::Type(Some(of.clone().into())),
    }
}
