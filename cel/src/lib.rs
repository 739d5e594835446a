//! The Common Expression Language as Kubernetes 1.37 has it: read ([`Program::compile`]), checked against the types of what it speaks about
//! ([`Environment`], [`Declaration`]), judged for what it may cost ([`Program::estimate`]), and evaluated over JSON within a [`Budget`].
//!
//! The language is that of <https://github.com/google/cel-spec>; the libraries and the model of costs are those of
//! `k8s.io/apiserver/pkg/cel`. Whoever writes an expression may be hostile: its length, its depth, the size of its types, what it computes and
//! what it allocates are bounded.
mod actual_cost;
mod ast;
pub mod authorizer;
mod budget;
mod checker;
mod compare;
mod environment;
mod error;
mod estimate;
mod estimated_calls;
mod eval;
mod formats;
mod functions;
mod lexer;
mod macros;
mod net;
mod opaque;
mod parser;
mod patterns;
mod position;
mod program;
mod quantity;
mod semver;
mod signatures;
mod time;
mod types;
mod unify;
mod url;
mod value;

pub use budget::{Budget, MATCH_CONDITIONS, PER_CALL, PER_OBJECT};
pub use environment::Environment;
pub use error::EvalError;
pub use opaque::Opaque;
pub use position::CompileError;
pub use program::Program;
pub use types::{DYN, Declaration, DeclaredShape, Field, Merge, ObjectDeclaration, Type, opaque as opaque_types};
pub use value::{Key, List, Map, Text, Value};

/// Whether a name is one of the language's words, literals included: nothing else can be called so.
pub fn is_reserved(name: &str) -> bool {
    matches!(name, "true" | "false" | "null") || parser::RESERVED.contains(&name)
}
