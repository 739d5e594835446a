//! The syntax tree of an expression. Macros aren't expanded: each has a node of its own, of which the cost is that of its expansion.
use crate::types::Type;
use std::sync::Arc;

/// A name, shared by all that mention it.
pub type Name = Arc<str>;

/// An expression, and where it is.
#[derive(Clone, Debug)]
pub struct Expr {
    /// Counts the expressions of a program, from 0.
    pub id: usize,
    /// The byte of the text at which errors are reported.
    pub offset: usize,
    /// The longest way down to a leaf.
    pub height: usize,
    /// What it is.
    pub kind: Kind,
}

/// A constant.
#[derive(Clone, Debug, PartialEq)]
pub enum Literal {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A signed number.
    Int(i64),
    /// An unsigned number.
    Uint(u64),
    /// A floating-point number.
    Double(f64),
    /// A text.
    String(Name),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// A type with a name of several parts.
    Type(Type),
}

/// What a macro makes of the elements of a range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fold {
    /// Whether something holds for all of them.
    All,
    /// Whether it holds for one at least.
    Exists,
    /// Whether it holds for exactly one.
    ExistsOne,
    /// A list of what comes of each.
    List,
    /// A list of those for which something holds.
    Filter,
    /// A map with their keys and what comes of each.
    Map,
    /// A map of the entries that come of each.
    Entries,
    /// The list in the order of the keys that come of each.
    SortBy,
}

/// A macro that goes through a list or map.
#[derive(Clone, Debug)]
pub struct Comprehension {
    /// What comes of the elements.
    pub fold: Fold,
    /// What it goes through.
    pub range: Expr,
    /// The variable of the element; of the index or key where there are two.
    pub first: Name,
    /// The variable of the value where there are two.
    pub second: Option<Name>,
    /// What must hold for an element to count.
    pub filter: Option<Expr>,
    /// What is evaluated for each.
    pub step: Expr,
}

/// What an expression is.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A constant.
    Literal(Literal),
    /// A variable or the name of a type.
    Ident(Name),
    /// `operand.field`, or `has(operand.field)`.
    Select(Box<Expr>, Name, bool),
    /// A call; operators have names such as `_+_`.
    Call(Name, Option<Box<Expr>>, Vec<Expr>),
    /// A list; an element may be optional.
    List(Vec<(Expr, bool)>),
    /// A map; an entry may be optional.
    Map(Vec<(Expr, Expr, bool)>),
    /// A message; none can be made, but the checker says so.
    Struct(Name, Vec<(Expr, bool)>),
    /// A macro over a range.
    Comprehension(Box<Comprehension>),
    /// `target.optMap(name, step)`, or `optFlatMap` where the flag is set.
    OptionalMap(Box<Expr>, Name, Box<Expr>, bool),
}

impl Kind {
    /// The longest way down to a leaf. A macro counts as the nodes that it stands for.
    pub fn height(&self) -> usize {
        let most = |all: &mut dyn Iterator<Item = &Expr>| all.map(|e| e.height).max().unwrap_or_default();
        1 + match self {
            Self::Literal(_) | Self::Ident(_) => 0,
            Self::Select(operand, ..) => operand.height,
            Self::Call(_, target, args) => most(&mut target.as_deref().into_iter().chain(args)),
            Self::List(items) => most(&mut items.iter().map(|(e, _)| e)),
            Self::Map(entries) => most(&mut entries.iter().flat_map(|(k, v, _)| [k, v])),
            Self::Struct(_, fields) => most(&mut fields.iter().map(|(e, _)| e)),
            Self::Comprehension(c) => 2 + most(&mut [&c.range, &c.step].into_iter().chain(&c.filter)),
            Self::OptionalMap(target, _, step, _) => 2 + target.height.max(step.height),
        }
    }
}

impl Expr {
    /// The dotted name that it is, such as `a.b.c`.
    pub fn dotted(&self) -> Option<String> {
        match &self.kind {
            Kind::Ident(name) => Some(name.to_string()),
            Kind::Select(operand, field, false) => Some(format!("{}.{field}", operand.dotted()?)),
            _ => None,
        }
    }
}
