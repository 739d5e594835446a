//! Only finished code is kept.
use crate::sources::{Repository, Source, take};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use std::path::Path;

/// Tests that don't run with the others: their files, and the reason that each gives.
const IGNORED: &[(&str, &str)] = &[("bus/tests/it/server.rs", "started by a_server_goes_with_its_parent"), ("state/tests/store/measure.rs", "a measurement")];

/// Words of unfinished work.
const WORDS: &[&str] = &[concat!("TO", "DO"), concat!("FIX", "ME")];

/// What is left of unfinished work.
pub fn check(repository: &Repository) -> Vec<String> {
    let mut found = Vec::new();
    let mut ignored = IGNORED.to_vec();
    for source in &repository.sources {
        for (line, what) in leftovers(source) {
            if !take(&mut ignored, |(path, reason)| source.path == Path::new(path) && what == format!("#[ignore = \"{reason}\"]")) {
                found.push(format!("{}: {what}", source.at(line)));
            }
        }
    }
    found.extend(ignored.iter().map(|(path, reason)| format!("is not there any more, take it from IGNORED: {path}, {reason}")));
    found
}

fn leftovers(source: &Source) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    scan(source.tokens.clone(), &mut found);
    for (n, line) in source.text.lines().enumerate() {
        found.extend(WORDS.iter().filter(|word| line.contains(*word)).map(|word| (n + 1, (*word).to_owned())));
    }
    found
}

/// Looks through a file's tokens, so that what macros get is seen as well.
fn scan(tokens: TokenStream, found: &mut Vec<(usize, String)>) {
    let tokens: Vec<TokenTree> = tokens.into_iter().collect();
    for (n, token) in tokens.iter().enumerate() {
        let line = token.span().start().line;
        let punct = |at: usize, c: char| matches!(tokens.get(at), Some(TokenTree::Punct(p)) if p.as_char() == c);
        match token {
            TokenTree::Ident(name) if (name == "todo" || name == "unimplemented") && punct(n + 1, '!') => found.push((line, format!("{name}!"))),
            TokenTree::Group(group) => {
                let of_file = n > 1 && punct(n - 1, '!') && punct(n - 2, '#');
                if group.delimiter() == Delimiter::Bracket && (of_file || n > 0 && punct(n - 1, '#')) {
                    found.extend(attribute(group.stream()).map(|what| (line, what)));
                }
                scan(group.stream(), found);
            }
            _ => {}
        }
    }
}

/// An attribute, if it hides what isn't used or isn't run.
fn attribute(tokens: TokenStream) -> Option<String> {
    let names = names(tokens.clone());
    let hides = names.iter().any(|n| n == "allow" || n == "expect") && names.iter().any(|n| n == "dead_code" || n.starts_with("unused"));
    (hides || names.iter().any(|n| n == "ignore")).then(|| format!("#[{tokens}]"))
}

fn names(tokens: TokenStream) -> Vec<String> {
    let names = tokens.into_iter().map(|token| match token {
        TokenTree::Ident(name) => vec![name.to_string()],
        TokenTree::Group(group) => names(group.stream()),
        _ => Vec::new(),
    });
    names.flatten().collect()
}

#[test]
fn finds_what_is_unfinished() {
    let text = "#![allow(dead_code)]\n#[ignore]\nfn a() { vec![todo!()]; }\n#[ignore = \"slow\"]\nfn b() { unimplemented!(); }\n#[allow(unused_variables)]
fn c() { assert!(x.expect(unused), \"todo!\"); }\n#[cfg_attr(test, expect(dead_code, reason = \"\"))]\nfn d() {} // FIX";
    let found = leftovers(&Source::new("a.rs", &format!("{text}ME")));
    let found: Vec<String> = found.into_iter().map(|(line, what)| format!("{line} {}", what.replace(' ', ""))).collect();
    let attributes = ["1 #[allow(dead_code)]", "2 #[ignore]", "3 todo!", "4 #[ignore=\"slow\"]", "5 unimplemented!", "6 #[allow(unused_variables)]"];
    assert_eq!(found[..6], attributes);
    assert_eq!(found[6..], ["8 #[cfg_attr(test,expect(dead_code,reason=\"\"))]", concat!("9 FIX", "ME")]);
}
