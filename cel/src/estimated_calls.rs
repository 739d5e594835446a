//! What a call may cost at most, by the sizes that its arguments may have.
use crate::actual_cost::{CHECK, PATTERN, TRAVERSAL, part, selector};
use crate::types::{Declaration, DeclaredShape, Type, opaque};

/// What is known of a part of an expression.
#[derive(Clone, Debug, Default)]
pub struct Part<'e> {
    /// The most that it costs.
    pub cost: u64,
    /// How small and how large its value may be, where the expression says so.
    pub size: Option<(u64, u64)>,
    /// How large the elements of its value may be, where the expression says so.
    pub element: Option<u64>,
    /// What the schema says of its value.
    pub declared: Option<&'e Declaration>,
    /// Its type.
    pub of: Option<&'e Type>,
    /// Whether it is a constant.
    pub is_constant: bool,
}

impl<'e> Part<'e> {
    /// How large its value may be.
    pub fn most(&self) -> u64 {
        match (self.size, self.declared, self.of) {
            (Some((_, most)), ..) => most,
            (_, Some(declared), _) => declared.max_elements,
            (_, _, Some(Type::Bool | Type::Int | Type::Uint | Type::Double | Type::Duration | Type::Timestamp | Type::Type(_) | Type::Null)) => 1,
            _ => u64::MAX,
        }
    }

    fn least(&self) -> u64 {
        self.size.map_or(0, |(least, _)| least)
    }

    /// What the schema says of its elements or values.
    pub fn inner(&self) -> Option<&'e Declaration> {
        match &self.declared?.shape {
            DeclaredShape::List(inner, _) | DeclaredShape::Map(inner) => Some(inner),
            _ => None,
        }
    }

    fn element_most(&self) -> u64 {
        self.element.or(self.inner().map(|inner| inner.max_elements)).unwrap_or(u64::MAX)
    }

    fn is_list(&self) -> bool {
        matches!(self.of, Some(Type::List(_)))
    }

    /// Whether comparing an element is reading a text.
    fn has_texts(&self) -> bool {
        matches!(self.of, Some(Type::List(of)) if matches!(**of, Type::String | Type::Bytes))
    }
}

/// What sorting so many elements costs.
pub fn sorted(count: u64, key: Option<&Type>) -> u64 {
    let factor = if matches!(key, Some(Type::String | Type::Bytes)) { 2.0 + TRAVERSAL } else { 2.0 };
    part(count.saturating_mul(count), factor).saturating_add(11)
}

fn made<'e>(cost: u64, size: Option<u64>) -> Part<'e> {
    Part { cost, size: size.map(|most| (0, most)), ..Part::default() }
}

/// The cost of the call alone, and the size of what it makes.
pub fn call<'e>(function: &str, args: &[Part<'e>]) -> Part<'e> {
    let most = |at: usize| args.get(at).map_or(0, Part::most);
    let text = |at: usize| part(most(at), TRAVERSAL);
    match (function, args) {
        ("_&&_" | "_||_", _) => made(0, None),
        ("_==_" | "_!=_", [a, b]) => equality(a, b),
        ("_<_" | "_<=_" | "_>_" | "_>=_", [a, b]) if is_text(a) || is_text(b) => made(part(a.most().min(b.most()), TRAVERSAL), None),
        ("_+_", [a, b]) => {
            let both = a.most().saturating_add(b.most());
            let element = if a.is_list() { Some(a.element_most().max(b.element_most())) } else { None };
            let cost = if is_text(a) || is_text(b) || matches!(a.of, Some(Type::Dyn)) { part(both, TRAVERSAL) } else { 1 };
            let sized = a.is_list() || is_text(a) || is_text(b);
            Part { element, ..made(cost.max(1), sized.then_some(both)) }
        }
        ("@in", [_, within]) => made(if matches!(within.of, Some(Type::Map(_))) { 1 } else { within.most() }, None),
        ("startsWith" | "endsWith", [_, _]) => made(text(1), None),
        ("contains", [_, _]) => made(text(0).saturating_mul(text(1)), None),
        ("matches" | "find" | "findAll", [_, pattern, ..]) => {
            let cost = part(most(0).saturating_add(1), TRAVERSAL).saturating_mul(part(pattern.most(), PATTERN));
            made(cost, (function != "matches").then(|| most(0)))
        }
        ("bytes", [from]) if is_text(from) => made(text(0), Some(most(0).saturating_mul(4))),
        ("string", [from]) if matches!(from.of, Some(Type::Bytes)) => made(text(0), Some(most(0))),
        ("strings.quote", _) => made(text(0), Some(most(0).saturating_mul(2).saturating_add(2))),
        ("format", _) => made(text(0), None),
        _ => library(function, args),
    }
}

fn is_text(part: &Part<'_>) -> bool {
    matches!(part.of, Some(Type::String | Type::Bytes))
}

/// Values of the libraries' types are compared in one step, all others by size.
fn equality<'e>(a: &Part<'e>, b: &Part<'e>) -> Part<'e> {
    match (a.of, b.of) {
        (Some(Type::Opaque(opaque::FORMAT)), Some(Type::Opaque(_))) => made(7, None),
        (Some(Type::Opaque(opaque::URL)), Some(Type::Opaque(_))) => made(1, None),
        (Some(Type::Opaque(_)), Some(Type::Opaque(_))) => made(1, None),
        _ => made(part(a.most().min(b.most()), TRAVERSAL), None),
    }
}

fn library<'e>(function: &str, args: &[Part<'e>]) -> Part<'e> {
    let most = |at: usize| args.get(at).map_or(0, Part::most);
    let text = |at: usize| part(most(at), TRAVERSAL);
    match (function, args) {
        ("check", _) => made(CHECK, None),
        ("fieldSelector" | "labelSelector", [_, _]) => made(if most(1) > 1 << 40 { u64::MAX } else { selector(most(1)) }, None),
        ("isSorted" | "sum" | "max" | "min" | "indexOf" | "lastIndexOf" | "includes", [target, ..]) => {
            if !target.is_list() && function != "includes" {
                return made(text(0), None);
            }
            let each = if target.has_texts() { part(target.element_most(), TRAVERSAL).saturating_add(1) } else { 1 };
            made(target.most().saturating_mul(each), None)
        }
        ("url" | "lowerAscii" | "upperAscii" | "substring" | "trim", _) => made(text(0), Some(most(0))),
        ("replace", [target, from, to, ..]) => made(part(target.most(), 2.0 * TRAVERSAL), Some(replaced(target.most(), from, to.most()))),
        ("split", _) => made(part(most(0), 2.0 * TRAVERSAL), Some(most(0))),
        ("join", [list, rest @ ..]) => {
            let between = rest.first().map_or(0, Part::most).saturating_mul(list.most().saturating_sub(1));
            let size = list.most().saturating_mul(list.element_most()).saturating_add(between);
            made(part(size, TRAVERSAL), Some(size))
        }
        ("ip", [from]) if !is_text(from) => made(1, None),
        ("cidr" | "isIP" | "isCIDR" | "ip" | "quantity" | "isQuantity" | "semver" | "isSemver" | "isURL", _) => made(text(0), None),
        ("ip.isCanonical", _) => made(part(most(0), 2.0 * TRAVERSAL), None),
        ("containsIP", [_, other]) => made(if is_text(other) { text(1).saturating_add(4) } else { 4 }, None),
        ("containsCIDR", [_, other]) => made(if is_text(other) { text(1).saturating_add(7) } else { 7 }, None),
        // the longest pattern of a format has 128 characters
        ("validate", [_, _]) => made(part(text(1), 128.0 * PATTERN), None),
        ("sets.contains" | "sets.intersects", _) => made(most(0).saturating_mul(most(1)).saturating_add(1), None),
        ("sets.equivalent", _) => made(most(0).saturating_mul(most(1)).saturating_mul(2).saturating_add(1), None),
        ("sort", [list]) => like(list, sorted(list.most(), if list.has_texts() { Some(&Type::String) } else { None })),
        ("distinct", [list]) => like(list, sorted(list.most(), None)),
        ("slice" | "reverse" | "flatten", [list, ..]) => like(list, list.most().saturating_add(11)),
        ("lists.range", [n]) => made(u64::MAX, n.is_constant.then_some(u64::MAX)),
        _ => made(1, None),
    }
}

/// A list of the same elements.
fn like<'e>(list: &Part<'e>, cost: u64) -> Part<'e> {
    Part { cost, size: Some((0, list.most())), element: Some(list.element_most()), ..Part::default() }
}

/// The longest text that replacing gives.
fn replaced(size: u64, from: &Part<'_>, to: u64) -> u64 {
    match from.least() {
        0 => size.saturating_add(1).saturating_mul(to).saturating_add(size),
        least if to <= least => size,
        least => size.div_ceil(least).saturating_mul(to),
    }
}
