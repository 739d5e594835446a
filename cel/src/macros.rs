//! Calls that aren't functions: they bind variables, which are names in the text.
use crate::ast::{Comprehension, Expr, Fold, Kind, Name};
use crate::position::Issue;

/// What a macro of this name makes, and how many variables it has at most; with two it may go by another name as well.
fn fold(function: &str, variables: usize) -> Option<Fold> {
    Some(match (function, variables) {
        ("all", 1 | 2) => Fold::All,
        ("exists", 1 | 2) => Fold::Exists,
        ("exists_one", 1 | 2) | ("existsOne", 1 | 2) => Fold::ExistsOne,
        ("map", 1) => Fold::List,
        ("filter", 1) => Fold::Filter,
        ("transformList", 2) => Fold::List,
        ("transformMap", 2) => Fold::Map,
        ("transformMapEntry", 2) => Fold::Entries,
        ("sortBy", 1) => Fold::SortBy,
        _ => return None,
    })
}

fn variable(expr: &Expr) -> Result<Name, Issue> {
    match &expr.kind {
        Kind::Ident(name) if &**name != "__result__" => Ok(name.clone()),
        _ => Err(Issue { offset: expr.offset, message: "argument must be a simple name".to_owned() }),
    }
}

/// What a call on a target is: a macro's node, or a plain call.
pub fn expand(offset: usize, target: Expr, function: Name, mut args: Vec<Expr>) -> Result<Kind, Issue> {
    if args.len() == 2 && matches!(&*function, "optMap" | "optFlatMap") {
        let (step, name) = (args.pop(), args.pop());
        if let (Some(name), Some(step)) = (name, step) {
            return Ok(Kind::OptionalMap(Box::new(target), variable(&name)?, Box::new(step), &*function == "optFlatMap"));
        }
        return Err(Issue { offset, message: "argument must be a simple name".to_owned() });
    }
    let transforms = matches!(&*function, "map" | "transformList" | "transformMap" | "transformMapEntry");
    let variables = match (args.len(), transforms) {
        (2, _) => 1,
        (3, true) if &*function == "map" => 1,
        (3, _) => 2,
        (4, true) if &*function != "map" => 2,
        _ => 0,
    };
    let Some(found) = fold(&function, variables) else { return Ok(Kind::Call(function, Some(Box::new(target)), args)) };
    let first = variable(args.first().unwrap_or(&target))?;
    let second = match variables {
        2 => Some(variable(args.get(1).unwrap_or(&target))?),
        _ => None,
    };
    if second.as_ref() == Some(&first) {
        return Err(Issue { offset, message: format!("duplicate variable name: {first}") });
    }
    let mut rest = args.into_iter().skip(variables);
    let (filter, step) = match (rest.next(), rest.next()) {
        (Some(filter), Some(step)) => (Some(filter), step),
        (Some(step), None) => (None, step),
        _ => return Err(Issue { offset, message: format!("{function} lacks an argument") }),
    };
    Ok(Kind::Comprehension(Box::new(Comprehension { fold: found, range: target, first, second, filter, step })))
}
