//! What prost generated, read as text: structs, and the attribute and type of each field. Its layout is regular, so lines are enough.
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// Messages by their normalised full names.
pub type Messages = BTreeMap<String, Message>;
/// The fields of a message.
pub type Message = Vec<Field>;

/// One field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its number.
    pub tag: u32,
    /// Its name in Rust.
    pub name: String,
    /// `""`, `"list "` or `"map "`: of what comes in `prost`.
    pub modifier: &'static str,
    /// Its type, its items' or its values'.
    pub prost: Prost,
}

/// A type.
#[derive(Clone, Debug)]
pub enum Prost {
    /// By its name in protobuf.
    Scalar(&'static str),
    /// By its full name: `io.k8s.api.core.v1.Pod`, in Rust's spelling.
    Message(String),
}

/// Reads all `mod.rs` below a directory.
pub fn read(root: &Path) -> io::Result<Messages> {
    let mut messages = Messages::new();
    directory(root, &mut Vec::new(), &mut messages)?;
    Ok(messages)
}

fn directory(path: &Path, module: &mut Vec<String>, messages: &mut Messages) -> io::Result<()> {
    for entry in std::fs::read_dir(path)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            module.push(entry.file_name().to_string_lossy().into_owned());
            directory(&entry.path(), module, messages)?;
            module.pop();
        } else if entry.file_name() == "mod.rs" {
            file(&std::fs::read_to_string(entry.path())?, module, messages)?;
        }
    }
    Ok(())
}

/// Structs of which every field has a `#[prost(…)]` are messages; others have no such fields, and stay empty.
fn file(text: &str, module: &[String], messages: &mut Messages) -> io::Result<()> {
    let mut lines = text.lines().map(str::trim);
    let mut current: Option<(String, Message)> = None;
    while let Some(line) = lines.next() {
        if let Some(name) = line.strip_prefix("pub struct ").and_then(|l| l.split_whitespace().next()) {
            let name = format!("{}.{name}", package(module));
            current = Some((normal(&name), Vec::new()));
            if line.ends_with("{}") {
                messages.extend(current.take());
            }
        } else if line == "}" {
            messages.extend(current.take());
        } else if let (Some(attribute), Some((_, fields))) = (line.strip_prefix("#[prost("), &mut current) {
            let mut declaration = String::new();
            while !declaration.ends_with(',') || declaration.matches('<').count() != declaration.matches('>').count() {
                declaration.push_str(lines.next().ok_or_else(|| io::Error::other(format!("{attribute}: no field")))?);
            }
            let field = field(attribute.trim_end_matches(")]"), declaration.trim_end_matches(','), module);
            fields.push(field.ok_or_else(|| io::Error::other(format!("{module:?}: {attribute}: not understood")))?);
        }
    }
    Ok(())
}

fn package(module: &[String]) -> String {
    format!("io.k8s.{}", module.join("."))
}

fn field(attribute: &str, declaration: &str, module: &[String]) -> Option<Field> {
    let (name, ty) = declaration.strip_prefix("pub ")?.split_once(':')?;
    let tag = attribute.rsplit_once("tag = \"")?.1.trim_end_matches('"').parse().ok()?;
    let (kind, modifier) = match attribute.split_once("map = \"string, ") {
        Some((_, rest)) => (rest.split('"').next()?, "map "),
        None => (attribute.split([',', ' ']).next()?, if attribute.contains(", repeated") { "list " } else { "" }),
    };
    let prost = match kind {
        "message" => Prost::Message(full_name(innermost(ty.trim()), module)?),
        scalar => Prost::Scalar(["string", "int32", "int64", "bool", "bytes", "double"].into_iter().find(|s| *s == scalar)?),
    };
    Some(Field { tag, name: name.to_owned(), modifier, prost })
}

/// `Option<Box<super::Pod>>` → `super::Pod`; `BTreeMap<String, Pod>` → `Pod`.
fn innermost(ty: &str) -> &str {
    let inner = ty.rsplit('<').next().unwrap_or(ty).trim_end_matches(['>', ',']);
    inner.rsplit(',').next().unwrap_or(inner).trim()
}

/// A path as seen from a module.
fn full_name(path: &str, module: &[String]) -> Option<String> {
    let up = path.matches("super::").count();
    let mut parts: Vec<&str> = module.get(..module.len().checked_sub(up)?)?.iter().map(String::as_str).collect();
    parts.extend(path.split("::").filter(|p| *p != "super"));
    Some(format!("io.k8s.{}", parts.join(".")))
}

/// `clusterIP`, `cluster_ip` and `ClusterIp` are the same name, and so are `$ref` and `r#ref`.
pub(super) fn normal(name: &str) -> String {
    name.trim_start_matches("r#").chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}
