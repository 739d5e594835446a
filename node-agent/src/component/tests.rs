use super::*;
use proptest::prelude::*;
use std::path::{Component as Step, PathBuf};

/// One normal step below a directory, whatever the name was.
fn stays(component: &Component) -> bool {
    let path = Path::new("/d").join(component);
    let steps: Vec<Step<'_>> = path.components().collect();
    matches!(steps.as_slice(), [Step::RootDir, Step::Normal(d), Step::Normal(_)] if *d == "d") && component.as_str().len() <= 255 - 16
}

#[test]
fn names_of_kubernetes_stay_as_they_are() {
    for name in ["c", "my-config.v1", "0b5c9d1e-2f34-4a6b-8c7d-9e0f1a2b3c4d", &"a".repeat(200)] {
        assert_eq!(Component::of(name).as_str(), name);
        assert_eq!(Component::name(name.as_ref()).as_deref(), Some(name));
    }
    assert_eq!(Component::joined(&["secrets", "default", "db"]).with(".json").as_str(), "secrets_default_db.json");
}

#[test]
fn no_name_leaves_its_directory() {
    for (name, want) in [
        ("", "%"),
        (".", "%2E"),
        ("..", "%2E."),
        ("../../etc", "%2E.%2F..%2Fetc"),
        ("/etc/passwd", "%2Fetc%2Fpasswd"),
        ("a\0b", "a%00b"),
        ("%", "%25"),
        ("a_b", "a%5Fb"),
    ] {
        let got = Component::of(name);
        assert_eq!(got.as_str(), want);
        assert!(stays(&got));
        assert_eq!(Component::name(want.as_ref()).as_deref(), Some(name));
    }
    let long = "../".repeat(5000);
    assert!(stays(&Component::of(&long)) && stays(&Component::joined(&["secrets", &long, &long]).with(".json")));
    assert_eq!(Component::name(Component::of(&long).as_str().as_ref()), None);
    for foreign in ["%2e", "..", "a/b", "%zz", "%4", "%41"] {
        assert_eq!(Component::name(foreign.as_ref()), None, "{foreign} is no step of ours");
    }
}

proptest! {
    #[test]
    fn any_string_is_one_step_and_another_string_is_another(a in ".{0,300}", b in ".{0,300}") {
        let (one, other) = (Component::of(&a), Component::of(&b));
        prop_assert!(stays(&one) && stays(&other));
        prop_assert_eq!(one == other, a == b);
        if !one.as_str().starts_with(HASHED) {
            prop_assert_eq!(Component::name(one.as_str().as_ref()), Some(a));
        }
    }

    #[test]
    fn the_borders_between_names_count(names in proptest::collection::vec("[a_%./]{0,80}", 1..4), others in proptest::collection::vec("[a_%./]{0,80}", 1..4)) {
        let refs = |list: &[String]| -> Component { Component::joined(&list.iter().map(String::as_str).collect::<Vec<_>>()) };
        prop_assert!(stays(&refs(&names)));
        prop_assert_eq!(refs(&names) == refs(&others), names == others);
    }
}

fn sources(dir: PathBuf, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(path, found);
        } else if path.extension().is_some_and(|e| e == "rs") && !path.ends_with("tests.rs") {
            let text = std::fs::read_to_string(&path).unwrap();
            let code = text.split("#[cfg(test)]\nmod").next().unwrap().to_owned();
            found.push((path.strip_prefix(concat!(env!("CARGO_MANIFEST_DIR"), "/src")).unwrap().display().to_string(), code));
        }
    }
}

/// What is in the parentheses that open before `rest`.
fn argument(rest: &str) -> &str {
    let mut depth = 1;
    let end = rest.char_indices().find(|(_, c)| {
        depth += match c {
            '(' => 1,
            ')' => -1,
            _ => 0,
        };
        depth == 0
    });
    &rest[..end.map_or(rest.len(), |(at, _)| at)]
}

#[test]
fn no_foreign_string_meets_a_path_without_this_type() {
    let (mut files, mut wrong) = (Vec::new(), Vec::new());
    sources(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/src")), &mut files);
    assert!(files.len() > 50);
    for (file, code) in &files {
        for (at, _) in code.match_indices(".join(") {
            let arg = argument(&code[at + ".join(".len()..]);
            let constant = arg.is_empty() || arg.starts_with('"') || arg.starts_with("&b\"") || arg.chars().all(|c| c.is_ascii_uppercase() || c == '_');
            let encoded = arg.starts_with("Component::of(") || arg.starts_with("Component::joined(") || arg.starts_with("&Component::");
            if !constant && !encoded {
                wrong.push(format!("{file}: .join({arg})"));
            }
        }
    }
    assert!(wrong.is_empty(), "a string that may be foreign becomes a path without Component:\n  {}", wrong.join("\n  "));
}
