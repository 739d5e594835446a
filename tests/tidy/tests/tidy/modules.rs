//! The modules of a crate, and which file defines what a path names.
use crate::paths::{Import, Named, Paths, attributes, imports, is_test};
use crate::sources::Source;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use syn::{Item, ItemMod, Lit, Meta};

/// A crate's modules without its tests; the root is the first.
#[derive(Default)]
pub struct Modules<'a>(Vec<Module<'a>>);

struct Module<'a> {
    parent: usize,
    file: &'a Path,
    children: BTreeMap<String, usize>,
    /// Values, and types with the variants of those that are enums.
    items: BTreeMap<String, Option<BTreeSet<String>>>,
    imports: Vec<Import>,
    named: Vec<Named>,
}

/// What a path can mean. A name can be a module, a type and a function at once.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    Module(usize),
    Item(usize, String),
}

/// Which names of other files a file uses: its name, the other's, the item's.
pub type Uses<'a> = BTreeMap<&'a Path, BTreeMap<&'a Path, BTreeSet<String>>>;

impl<'a> Modules<'a> {
    /// The modules that hang on a root file.
    pub fn of(root: &Path, sources: &'a [Source]) -> Self {
        let mut modules = Self::default();
        let root = find(sources, root).unwrap_or_else(|| panic!("{} is not there", root.display()));
        modules.add(0, &root.path, &root.syntax.items, root.path.parent().unwrap().to_owned(), sources);
        modules
    }

    /// Its files.
    pub fn files(&self) -> BTreeSet<&'a Path> {
        self.0.iter().map(|m| m.file).collect()
    }

    /// Adds a module with its children; theirs are in `folder`.
    fn add(&mut self, parent: usize, file: &'a Path, content: &'a [Item], folder: PathBuf, sources: &'a [Source]) -> usize {
        let id = self.0.len();
        self.0.push(Module { parent, file, children: BTreeMap::new(), items: BTreeMap::new(), imports: Vec::new(), named: Vec::new() });
        for item in content.iter().filter(|item| !is_test(attributes(item))) {
            match item {
                Item::Mod(child) => {
                    let name = child.ident.to_string();
                    let child = match &child.content {
                        Some((_, content)) => self.add(id, file, content, folder.join(&name), sources),
                        None => {
                            let source = source_of(child, file, &folder, sources);
                            let is_mod = source.path.file_name().unwrap() == "mod.rs";
                            let folder = if is_mod { source.path.parent().unwrap().to_owned() } else { source.path.with_extension("") };
                            self.add(id, &source.path, &source.syntax.items, folder, sources)
                        }
                    };
                    self.0[id].children.insert(name, child);
                }
                Item::Use(item) => self.0[id].imports.extend(imports(item)),
                item => self.0[id].define(item),
            }
        }
        id
    }

    /// Which file uses which items that another one defines. Handing on (`pub use`) isn't a use, and naming a module isn't one either.
    pub fn uses(&self) -> Uses<'a> {
        let mut uses = Uses::new();
        for (id, module) in self.0.iter().enumerate() {
            let imports = module.imports.iter().filter(|i| !i.again && i.name != "*").map(|i| &i.path);
            for path in module.named.iter().map(|n| &n.path).chain(imports) {
                for meaning in self.resolve(id, path, &mut HashSet::new()) {
                    if let Meaning::Item(owner, name) = meaning
                        && self.0[owner].file != module.file
                    {
                        uses.entry(module.file).or_default().entry(self.0[owner].file).or_default().insert(name);
                    }
                }
            }
        }
        uses
    }

    fn resolve(&self, from: usize, path: &[String], seen: &mut HashSet<(usize, String)>) -> Vec<Meaning> {
        let Some((first, rest)) = path.split_first() else { return Vec::new() };
        let mut meanings = self.step(from, first, seen);
        for name in rest {
            meanings = meanings
                .into_iter()
                .flat_map(|meaning| match meaning {
                    Meaning::Module(id) => self.step(id, name, seen),
                    // a type's variant, constant or function; there is nothing in a value of the same name
                    Meaning::Item(id, of) => self.0[id].items[&of].is_some().then_some(Meaning::Item(id, of)).into_iter().collect(),
                })
                .collect();
        }
        meanings
    }

    fn step(&self, from: usize, name: &str, seen: &mut HashSet<(usize, String)>) -> Vec<Meaning> {
        match name {
            "crate" => vec![Meaning::Module(0)],
            "self" => vec![Meaning::Module(from)],
            "super" => vec![Meaning::Module(self.0[from].parent)],
            name => self.look_up(from, name, seen),
        }
    }

    /// What a name means in a module: what it defines, what it imports by name, what it imports with all of another.
    fn look_up(&self, from: usize, name: &str, seen: &mut HashSet<(usize, String)>) -> Vec<Meaning> {
        let module = &self.0[from];
        let mut meanings: Vec<Meaning> = module.children.get(name).map(|id| Meaning::Module(*id)).into_iter().collect();
        meanings.extend(module.items.contains_key(name).then(|| Meaning::Item(from, name.to_owned())));
        if !seen.insert((from, name.to_owned())) {
            return meanings;
        }
        for import in module.imports.iter().filter(|i| i.name == name) {
            meanings.extend(self.resolve(from, &import.path, seen));
        }
        if meanings.is_empty() {
            for import in module.imports.iter().filter(|i| i.name == "*") {
                for all in self.resolve(from, &import.path, seen) {
                    match all {
                        Meaning::Module(id) => meanings.extend(self.look_up(id, name, seen)),
                        Meaning::Item(id, of) if self.0[id].items[&of].as_ref().is_some_and(|variants| variants.contains(name)) => {
                            meanings.push(Meaning::Item(id, of))
                        }
                        Meaning::Item(..) => {}
                    }
                }
            }
        }
        seen.remove(&(from, name.to_owned()));
        meanings.sort();
        meanings.dedup();
        meanings
    }
}

impl Module<'_> {
    /// Takes in an item that is neither a module nor a `use`.
    fn define(&mut self, item: &Item) {
        let paths = Paths::of_item(item);
        self.named.extend(paths.named);
        // what a function imports for itself is looked up as if its module did
        self.imports.extend(paths.imports);
        let variants = if let Item::Enum(of) = item { of.variants.iter().map(|v| v.ident.to_string()).collect() } else { BTreeSet::new() };
        let (name, members) = match item {
            Item::Const(i) => (&i.ident, None),
            Item::Fn(i) => (&i.sig.ident, None),
            Item::Static(i) => (&i.ident, None),
            Item::Enum(i) => (&i.ident, Some(variants)),
            Item::Struct(i) => (&i.ident, Some(variants)),
            Item::Trait(i) => (&i.ident, Some(variants)),
            Item::Type(i) => (&i.ident, Some(variants)),
            Item::Union(i) => (&i.ident, Some(variants)),
            _ => return,
        };
        let known = self.items.entry(name.to_string()).or_default();
        *known = known.take().or(members);
    }
}

/// The file of a module that a file declares.
fn source_of<'a>(module: &ItemMod, file: &Path, folder: &Path, sources: &'a [Source]) -> &'a Source {
    let given = module.attrs.iter().find_map(|attribute| match &attribute.meta {
        Meta::NameValue(pair) if pair.path.is_ident("path") => match &pair.value {
            syn::Expr::Lit(syn::ExprLit { lit: Lit::Str(path), .. }) => Some(file.parent().unwrap().join(path.value())),
            _ => None,
        },
        _ => None,
    });
    let name = module.ident.to_string();
    let places = given.map_or_else(|| vec![folder.join(format!("{name}.rs")), folder.join(&name).join("mod.rs")], |given| vec![given]);
    places.iter().find_map(|place| find(sources, place)).unwrap_or_else(|| panic!("{} declares {name}, which has no file", file.display()))
}

fn find<'a>(sources: &'a [Source], path: &Path) -> Option<&'a Source> {
    sources.iter().find(|s| s.path == path)
}
