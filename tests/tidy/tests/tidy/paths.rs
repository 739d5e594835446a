//! The paths that code names: in types, expressions, patterns, macros and attributes.
use proc_macro2::{TokenStream, TokenTree};
use syn::visit::{self, Visit};
use syn::{Attribute, ImplItem, Item, ItemUse, Meta, UseTree, Visibility};

/// A path that code names, `a::b::C`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Named {
    pub path: Vec<String>,
    pub line: usize,
}

/// A name that a `use` brings into its module.
#[derive(Debug, Clone)]
pub struct Import {
    pub path: Vec<String>,
    /// `*` for all of a module's.
    pub name: String,
    /// Only handed on: `pub use`.
    pub again: bool,
    pub line: usize,
}

/// The paths of a file or item.
#[derive(Default)]
pub struct Paths {
    pub named: Vec<Named>,
    pub imports: Vec<Import>,
    without_tests: bool,
    in_attribute: bool,
}

impl Paths {
    /// All paths of a file, those of tests inside it if `tests`.
    pub fn of_file(file: &syn::File, tests: bool) -> Self {
        let mut paths = Self { without_tests: !tests, ..Self::default() };
        paths.visit_file(file);
        paths
    }

    /// The paths of an item and everything in it, except for tests.
    pub fn of_item(item: &Item) -> Self {
        let mut paths = Self { without_tests: true, ..Self::default() };
        paths.visit_item(item);
        paths
    }

    /// Paths that are named and paths that are imported.
    pub fn all(&self) -> impl Iterator<Item = (&[String], usize)> {
        self.named.iter().map(|n| (&n.path[..], n.line)).chain(self.imports.iter().map(|i| (&i.path[..], i.line)))
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item(&mut self, item: &'ast Item) {
        if !(self.without_tests && is_test(attributes(item))) {
            visit::visit_item(self, item);
        }
    }

    fn visit_impl_item(&mut self, item: &'ast ImplItem) {
        if !(self.without_tests && matches!(item, ImplItem::Fn(f) if is_test(&f.attrs))) {
            visit::visit_impl_item(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast ItemUse) {
        self.imports.extend(imports(item));
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if let Some(first) = path.segments.first() {
            let line = first.ident.span().start().line;
            self.named.push(Named { path: path.segments.iter().map(|s| s.ident.to_string()).collect(), line });
        }
        visit::visit_path(self, path);
    }

    // restricted visibility is a path that takes nothing
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, attribute: &'ast Attribute) {
        self.in_attribute = true;
        visit::visit_attribute(self, attribute);
        self.in_attribute = false;
    }

    fn visit_token_stream(&mut self, tokens: &'ast TokenStream) {
        self.scan(tokens.clone());
    }
}

impl Paths {
    /// What a macro or attribute gets isn't syntax yet: names with `::` between them are taken for paths.
    fn scan(&mut self, tokens: TokenStream) {
        let mut path = Named { path: Vec::new(), line: 0 };
        // what stands before the next token: one or two colons, a dot, or something else
        let mut before = String::new();
        for token in tokens {
            match token {
                TokenTree::Ident(ident) if before != "." => {
                    if before != "::" {
                        self.push(&mut path);
                        path.line = ident.span().start().line;
                    }
                    path.path.push(ident.to_string());
                    before.clear();
                    continue;
                }
                TokenTree::Punct(p) if p.as_char() == ':' => {
                    before.push(':');
                    continue;
                }
                TokenTree::Punct(p) if p.as_char() == '.' => before = ".".to_owned(),
                TokenTree::Group(group) => {
                    self.scan(group.stream());
                    before.clear();
                }
                TokenTree::Literal(literal) => {
                    self.literal(&literal);
                    before.clear();
                }
                _ => before.clear(),
            }
            self.push(&mut path);
        }
        self.push(&mut path);
    }

    fn push(&mut self, path: &mut Named) {
        let path = std::mem::replace(path, Named { path: Vec::new(), line: 0 });
        if !path.path.is_empty() {
            self.named.push(path);
        }
    }

    /// An attribute can hold a path in a string, `#[serde(default = "crate::port")]`.
    fn literal(&mut self, literal: &proc_macro2::Literal) {
        if self.in_attribute
            && let Ok(text) = syn::parse_str::<syn::LitStr>(&literal.to_string())
            && let Ok(path) = text.parse::<syn::Path>()
        {
            let line = literal.span().start().line;
            self.named.push(Named { path: path.segments.iter().map(|s| s.ident.to_string()).collect(), line });
        }
    }
}

/// The names that a `use` brings.
pub fn imports(item: &ItemUse) -> Vec<Import> {
    let mut found = Vec::new();
    let import = Import { path: Vec::new(), name: String::new(), again: !matches!(item.vis, Visibility::Inherited), line: item.use_token.span.start().line };
    flatten(&item.tree, import, &mut found);
    found
}

fn flatten(tree: &UseTree, mut import: Import, found: &mut Vec<Import>) {
    match tree {
        UseTree::Path(path) => {
            import.path.push(path.ident.to_string());
            flatten(&path.tree, import, found);
        }
        UseTree::Name(name) if name.ident == "self" => {
            import.name = import.path.last().unwrap().clone();
            found.push(import);
        }
        UseTree::Name(name) => {
            import.name = name.ident.to_string();
            import.path.push(name.ident.to_string());
            found.push(import);
        }
        UseTree::Rename(rename) => {
            import.name = rename.rename.to_string();
            if rename.ident != "self" {
                import.path.push(rename.ident.to_string());
            }
            found.push(import);
        }
        UseTree::Glob(_) => {
            import.name = "*".to_owned();
            found.push(import);
        }
        UseTree::Group(group) => group.items.iter().for_each(|tree| flatten(tree, import.clone(), found)),
    }
}

/// The attributes of an item.
pub fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(i) => &i.attrs,
        Item::Enum(i) => &i.attrs,
        Item::Fn(i) => &i.attrs,
        Item::Impl(i) => &i.attrs,
        Item::Macro(i) => &i.attrs,
        Item::Mod(i) => &i.attrs,
        Item::Static(i) => &i.attrs,
        Item::Struct(i) => &i.attrs,
        Item::Trait(i) => &i.attrs,
        Item::Type(i) => &i.attrs,
        Item::Use(i) => &i.attrs,
        _ => &[],
    }
}

/// Whether something is there for tests only: `#[cfg(test)]`, `#[cfg(all(test, …))]`, `#[test]`, `#[tokio::test]`.
pub fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            let mut tokens = list.tokens.clone().into_iter().map(|t| t.to_string());
            match tokens.next().as_deref() {
                Some("test") => true,
                Some("all") => tokens.next().is_some_and(|of| of.trim_start_matches('(').trim_start().starts_with("test")),
                _ => false,
            }
        }
        meta => meta.path().segments.last().is_some_and(|s| s.ident == "test"),
    })
}
