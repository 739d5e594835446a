//! The repository's packages and Rust files. Each file is read and parsed once.
use crate::modules::Modules;
use cargo_metadata::{Metadata, MetadataCommand, Package, Target, TargetKind};
use proc_macro2::{LexError, TokenStream};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;

/// A Rust file.
pub struct Source {
    /// Where it is, from the repository's root.
    pub path: PathBuf,
    pub text: String,
    pub tokens: TokenStream,
    pub syntax: syn::File,
}

impl Source {
    /// A file's source, parsed.
    pub fn new(path: impl Into<PathBuf>, text: &str) -> Self {
        let path = path.into();
        let fail = |line: usize, e: &dyn std::fmt::Display| -> ! { panic!("{}:{line}: {e}", path.display()) };
        let tokens: TokenStream = text.parse().unwrap_or_else(|e: LexError| fail(e.span().start().line, &e));
        let syntax = syn::parse2(tokens.clone()).unwrap_or_else(|e| fail(e.span().start().line, &e));
        Self { path, text: text.to_owned(), tokens, syntax }
    }

    /// How findings name a line of it.
    pub fn at(&self, line: usize) -> String {
        format!("{}:{line}", self.path.display())
    }
}

/// What rules look at.
pub struct Repository {
    /// With their paths from the repository's root.
    pub packages: Vec<Package>,
    /// The workspace's Cargo.toml.
    pub manifest: String,
    pub sources: Vec<Source>,
}

impl Repository {
    /// The repository that this file is part of.
    pub fn read() -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap();
        let Metadata { mut packages, .. } = MetadataCommand::new().manifest_path(root.join("Cargo.toml")).no_deps().exec().unwrap();
        for package in &mut packages {
            package.manifest_path = package.manifest_path.strip_prefix(&root).unwrap().into();
            for target in &mut package.targets {
                target.src_path = target.src_path.strip_prefix(&root).unwrap().into();
            }
        }
        let hidden = |name: &str| name.starts_with('.') || name.starts_with("target");
        let files = WalkDir::new(&root).sort_by_file_name().into_iter();
        let sources = files
            .filter_entry(|e| e.depth() == 0 || !e.file_type().is_dir() || !hidden(e.file_name().to_str().unwrap()))
            .map(|e| e.unwrap().into_path())
            .filter(|path| path.extension().is_some_and(|e| e == "rs"))
            .map(|path| Source::new(path.strip_prefix(&root).unwrap(), &std::fs::read_to_string(&path).unwrap()))
            .collect();
        Self { packages, manifest: std::fs::read_to_string(root.join("Cargo.toml")).unwrap(), sources }
    }

    /// The modules of each library and program, with the root's file.
    pub fn crates(&self) -> Vec<Crate<'_>> {
        let is_code = |t: &&Target| t.kind.iter().any(|k| matches!(k, TargetKind::Lib | TargetKind::Bin));
        let targets = self.packages.iter().flat_map(|package| package.targets.iter().filter(is_code).map(move |target| (package, target)));
        targets
            .map(|(package, target)| {
                let root = target.src_path.as_std_path();
                Crate { package, root, modules: Modules::of(root, &self.sources) }
            })
            .collect()
    }

    /// The package whose folder a file is in.
    pub fn package_of(&self, path: &Path) -> Option<&Package> {
        let folder = |package: &&Package| package.manifest_path.parent().map(|folder| folder.as_std_path().to_owned()).unwrap();
        self.packages.iter().filter(|package| path.starts_with(folder(package))).max_by_key(|package| folder(package).components().count())
    }
}

/// A library or a program, without its tests.
pub struct Crate<'a> {
    pub package: &'a Package,
    pub root: &'a Path,
    pub modules: Modules<'a>,
}

/// Takes the one that fits from a list of exceptions, and says whether there was one. What is left of the list excuses nothing.
pub fn take<T>(exceptions: &mut Vec<T>, fits: impl Fn(&T) -> bool) -> bool {
    let found = exceptions.iter().position(fits);
    found.map(|at| exceptions.remove(at)).is_some()
}
