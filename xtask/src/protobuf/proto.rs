//! Kubernetes' `generated.proto` files, whose layout is regular: a line is a message's beginning or end, a field, or nothing of interest.
use std::collections::BTreeMap;
use std::io;

/// Messages by their full names: `k8s.io.api.core.v1.Pod`.
pub type Messages = BTreeMap<String, Vec<Field>>;

/// One field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its number.
    pub tag: u32,
    /// Its name in protobuf.
    pub name: String,
    /// `""`, `"list "` or `"map "`: of what comes in `ty`.
    pub modifier: &'static str,
    /// Its type, its items' or its values': a scalar's name, or a message's full name.
    pub ty: String,
}

/// Types that are no messages.
const SCALARS: [&str; 6] = ["string", "int32", "int64", "bool", "bytes", "double"];

/// Whether a type is no message.
pub fn is_scalar(ty: &str) -> bool {
    SCALARS.contains(&ty)
}

/// Reads one file; returns its package.
///
/// # Errors
/// When it has a line that isn't understood.
pub fn read(text: &str, messages: &mut Messages) -> io::Result<String> {
    let mut package = String::new();
    let mut current: Option<(String, Vec<Field>)> = None;
    for line in text.lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("package ") {
            package = name.trim_end_matches(';').to_owned();
        } else if let Some(name) = line.strip_prefix("message ") {
            current = Some((format!("{package}.{}", name.trim_end_matches('{').trim()), Vec::new()));
        } else if line == "}" {
            messages.extend(current.take());
        } else if let Some((name, fields)) = &mut current
            && !line.is_empty()
            && !line.starts_with("//")
        {
            fields.push(field(line, &package).ok_or_else(|| io::Error::other(format!("{name}: {line}: not understood")))?);
        }
    }
    Ok(package)
}

/// `repeated Container containers = 2;`, `map<string, string> data = 2;`
fn field(line: &str, package: &str) -> Option<Field> {
    let (declaration, tag) = line.strip_suffix(';')?.rsplit_once('=')?;
    let (ty, name) = declaration.trim().rsplit_once(' ')?;
    let (modifier, ty) = match ty.strip_prefix("map<string, ").and_then(|rest| rest.strip_suffix('>')) {
        Some(value) => ("map ", value),
        None => match ty.split_once(' ')? {
            ("optional", ty) => ("", ty),
            ("repeated", ty) => ("list ", ty),
            _ => return None,
        },
    };
    let ty = if is_scalar(ty) { ty.to_owned() } else { full_name(ty, package) };
    Some(Field { tag: tag.trim().parse().ok()?, name: name.to_owned(), modifier, ty })
}

/// A message's name as seen from a package.
fn full_name(name: &str, package: &str) -> String {
    match name.strip_prefix('.') {
        Some(absolute) => absolute.to_owned(),
        None if name.contains('.') => name.to_owned(),
        None => format!("{package}.{name}"),
    }
}
