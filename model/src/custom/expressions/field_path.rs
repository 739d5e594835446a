//! The field that a rule's error names: `.spec.replicas` or `['my-key'].name`.
use crate::custom::schema::{Schema, Values};

/// The path as errors have it, without a dot in front; none where there is none or it is no path of the schema.
pub fn normalized(path: &str, schema: &Schema) -> Option<String> {
    let mut out = String::new();
    let mut rest = path;
    let mut at = schema;
    while !rest.is_empty() {
        let (name, behind) = step(rest)?;
        rest = behind;
        if at.properties.is_empty() {
            let Some(Values::Schema(values)) = &at.values else { return None };
            out.push_str(&format!("[{name}]"));
            at = values;
        } else {
            at = at.properties.get(&*name)?;
            if !out.is_empty() {
                out.push('.');
            }
            out.push_str(&name);
        }
    }
    (!out.is_empty()).then_some(out)
}

/// The first step of a path, and what is behind it.
fn step(path: &str) -> Option<(String, &str)> {
    if let Some(rest) = path.strip_prefix('.') {
        let end = rest.find(['.', '[', ']']).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        return (!name.is_empty()).then(|| (name.to_owned(), behind));
    }
    let mut characters = path.strip_prefix("['")?.char_indices();
    let rest = path.get(2..)?;
    let mut name = String::new();
    loop {
        match characters.next()? {
            (at, '\'') => return rest.get(at + 1..)?.strip_prefix(']').map(|behind| (name, behind)),
            (_, '\\') => name.push(match characters.next()?.1 {
                'a' => '\u{7}',
                'b' => '\u{8}',
                'f' => '\u{c}',
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'v' => '\u{b}',
                same @ ('\'' | '\\') => same,
                _ => return None,
            }),
            (_, c) => name.push(c),
        }
    }
}
