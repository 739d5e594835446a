//! Functions fit on a screen.
use crate::sources::{Repository, Source};
use proc_macro2::Span;
use syn::visit::{self, Visit};
use syn::{Block, ImplItemFn, ItemFn, Signature, TraitItemFn};

/// Lines that a function may have, from its `fn` to its closing brace.
const LINES: usize = 62;

/// Functions that are longer.
pub fn check(repository: &Repository) -> Vec<String> {
    repository.sources.iter().flat_map(|source| longer_than(LINES, source)).collect()
}

fn longer_than(limit: usize, source: &Source) -> Vec<String> {
    let mut functions = Functions::default();
    functions.visit_file(&source.syntax);
    let long = functions.0.into_iter().filter(|(_, _, lines)| *lines > limit);
    long.map(|(name, line, lines)| format!("{}: {name} has {lines} lines", source.at(line))).collect()
}

/// Each function's name, first line and number of lines.
#[derive(Default)]
struct Functions(Vec<(String, usize, usize)>);

impl Functions {
    fn add(&mut self, signature: &Signature, block: &Block) {
        let line = |span: Span| span.start().line;
        let first = line(signature.fn_token.span);
        self.0.push((signature.ident.to_string(), first, line(block.brace_token.span.close()) + 1 - first));
    }
}

impl<'ast> Visit<'ast> for Functions {
    fn visit_item_fn(&mut self, function: &'ast ItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_item_fn(self, function);
    }

    fn visit_impl_item_fn(&mut self, function: &'ast ImplItemFn) {
        self.add(&function.sig, &function.block);
        visit::visit_impl_item_fn(self, function);
    }

    fn visit_trait_item_fn(&mut self, function: &'ast TraitItemFn) {
        if let Some(block) = &function.default {
            self.add(&function.sig, block);
        }
        visit::visit_trait_item_fn(self, function);
    }
}

#[test]
fn measures_functions_methods_and_what_is_in_them() {
    let text = "fn short() {}\nasync fn wrapped(\n    a: u8,\n) -> u8 {\n    fn inner() {\n        1;\n    }\n}\nimpl A {\n    fn m() {\n        1;\n    }\n}
trait B {\n    fn none();\n    fn d() {\n        1;\n    }\n}\nmod tests {\n    #[test]\n    fn t() {\n        1;\n    }\n}";
    let found = longer_than(2, &Source::new("a.rs", text));
    assert_eq!(
        found,
        ["a.rs:2: wrapped has 7 lines", "a.rs:5: inner has 3 lines", "a.rs:10: m has 3 lines", "a.rs:16: d has 3 lines", "a.rs:22: t has 3 lines"]
    );
}
