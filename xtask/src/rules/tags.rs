//! Reads the `+k8s:` tags of a Go file with the types of an API: for each struct, its fields' rules.
use serde_json::{Map, Value, json};
use std::collections::BTreeMap;

/// A struct: rules by field, and the structs whose fields are its own.
#[derive(Default)]
struct Struct {
    rules: Map<String, Value>,
    inlined: Vec<String>,
}

/// The rules of each struct of a source by field.
pub fn rules(source: &str) -> Vec<(String, Value)> {
    let choices = enumerations(source);
    let structs = structs(source, &choices);
    let whole = |name: &str| {
        let mut rules = structs.get(name).map(|s| s.rules.clone()).unwrap_or_default();
        for inlined in structs.get(name).into_iter().flat_map(|s| &s.inlined) {
            rules.extend(structs.get(inlined).map(|s| s.rules.clone()).unwrap_or_default());
        }
        rules
    };
    let named = structs.keys().map(|name| (name.clone(), whole(name)));
    named.filter(|(_, rules)| !rules.is_empty()).map(|(name, rules)| (name, rules.into())).collect()
}

/// The values of types that are enumerations: marked so, with constants of their type.
fn enumerations(source: &str) -> BTreeMap<String, Vec<String>> {
    let mut marked = false;
    let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("//") {
            marked |= bare(comment.trim()) == "+k8s:enum";
            continue;
        }
        if let (true, Some(name)) = (marked, line.strip_prefix("type ").and_then(|l| l.strip_suffix(" string"))) {
            all.insert(name.to_owned(), Vec::new());
        }
        marked = false;
    }
    for (name, value) in source.lines().filter_map(constant) {
        all.get_mut(name).into_iter().for_each(|values| values.push(value.to_owned()));
    }
    all.retain(|_, values| !values.is_empty());
    all
}

/// The type and value of a constant: `Name Type = "value"` or `Name = Type("value")`.
fn constant(line: &str) -> Option<(&str, &str)> {
    let (left, right) = line.trim().split_once(" = ")?;
    let value = right.split('"').nth(1)?;
    let name = left.split_whitespace().nth(1).or_else(|| right.split_once('(').map(|(name, _)| name));
    name.map(|name| (name, value))
}

fn structs(source: &str, choices: &BTreeMap<String, Vec<String>>) -> BTreeMap<String, Struct> {
    let mut all: BTreeMap<String, Struct> = BTreeMap::new();
    let mut current: Option<String> = None;
    let mut tags: Vec<String> = Vec::new();
    for line in source.lines().map(str::trim) {
        if let Some(comment) = line.strip_prefix("//") {
            tags.push(comment.trim().to_owned());
            continue;
        }
        match (&current, line.strip_prefix("type ").and_then(|l| l.strip_suffix(" struct {"))) {
            (None, Some(name)) => current = Some(name.to_owned()),
            (Some(_), _) if line == "}" => current = None,
            (Some(name), _) => {
                let held = all.entry(name.clone()).or_default();
                field(held, line, &tags, choices);
            }
            _ => {}
        }
        tags.clear();
    }
    all
}

/// Adds a field of a struct: `Name Type `json:"name,omitempty"``.
fn field(held: &mut Struct, line: &str, tags: &[String], choices: &BTreeMap<String, Vec<String>>) {
    let Some(json) = line.split("json:\"").nth(1).and_then(|l| l.split('"').next()) else { return };
    let words: Vec<&str> = line.split_whitespace().collect();
    let name = json.split(',').next().unwrap_or_default();
    if name.is_empty() {
        held.inlined.extend(words.first().map(|w| (*w).to_owned()));
        return;
    }
    let go = words.get(1).copied().unwrap_or_default().trim_start_matches('*');
    let mut rule = Map::new();
    for tag in tags.iter().map(|t| bare(t)) {
        add(&mut rule, tag);
        if tag == "+k8s:unionMember" || tag.starts_with("+k8s:unionMember(") && !tag.contains("union:") {
            let whole = held.rules.entry("").or_insert_with(|| json!({"oneOf": []}));
            whole["oneOf"].as_array_mut().into_iter().for_each(|members| members.push(name.into()));
        }
    }
    if let Some(values) = choices.get(go) {
        // Kubernetes names those that are declared by tags in their order
        let mut values = values.clone();
        values.sort_unstable();
        rule.insert("enum".to_owned(), json!(values));
    }
    if !rule.is_empty() {
        held.rules.insert(name.to_owned(), rule.into());
    }
}

/// A tag without the word that says how long it has been checked.
fn bare(tag: &str) -> &str {
    let staged = ["+k8s:alpha(", "+k8s:beta("].iter().any(|p| tag.starts_with(p));
    if staged { tag.split_once(")=").map_or("", |(_, rest)| rest) } else { tag }
}

/// Adds what a tag says to a rule. Tags of features that aren't on are left out.
fn add(rule: &mut Map<String, Value>, tag: &str) {
    let Some(tag) = tag.strip_prefix("+k8s:") else { return };
    let (name, value) = tag.split_once('=').unwrap_or((tag, ""));
    let value = value.trim_matches('"');
    let number = || value.parse::<i64>().ok();
    let (name, argument) = name.split_once('(').map_or((name, ""), |(n, a)| (n, a.trim_end_matches(')').trim_matches('"')));
    let mut inner = |key: &str| {
        let mut each = Map::new();
        add(&mut each, value);
        if !each.is_empty() {
            let held = rule.entry(key).or_insert_with(|| Map::new().into());
            held.as_object_mut().into_iter().for_each(|held| held.extend(each.clone()));
        }
    };
    match name {
        "eachVal" => inner("each"),
        "eachKey" => inner("eachKey"),
        "required" | "immutable" => _ = rule.insert(name.to_owned(), true.into()),
        "minimum" | "maximum" | "maxLength" | "maxBytes" | "maxItems" => {
            if let Some(n) = number() {
                rule.insert(name.to_owned(), n.into());
            }
        }
        "format" => _ = rule.insert("format".to_owned(), value.into()),
        "unique" | "listType" if matches!(value, "set" | "map") => _ = rule.insert("unique".to_owned(), true.into()),
        "update" if value.starts_with("No") && !value.contains("Item") => {
            let held = rule.entry("update").or_insert_with(|| json!([]));
            held.as_array_mut().into_iter().for_each(|held| held.push(value.into()));
        }
        "listMapKey" => {
            let held = rule.entry("uniqueBy").or_insert_with(|| json!([]));
            held.as_array_mut().into_iter().for_each(|held| held.push(value.into()));
        }
        "dependentRequired" => _ = rule.insert("requires".to_owned(), json!([argument])),
        "subfield" => {
            let mut below = Map::new();
            add(&mut below, value);
            if !below.is_empty() {
                let fields = rule.entry("fields").or_insert_with(|| Map::new().into());
                fields.as_object_mut().into_iter().for_each(|fields| _ = fields.insert(argument.to_owned(), below.clone().into()));
            }
        }
        _ => {}
    }
}
