//! The fields of Go's structs as far as their tags say how JSON and protobuf have them. `gofmt` makes their layout regular, so lines are enough.
use std::collections::BTreeMap;
use std::io;
use std::path::Path;

/// What a package declares.
#[derive(Debug, Default)]
pub struct Package {
    /// `GroupName`.
    pub group: String,
    /// Structs by their names.
    pub structs: BTreeMap<String, Struct>,
}

/// One struct.
#[derive(Debug, Default)]
pub struct Struct {
    /// Whether it names its kind and version: it is a kind.
    pub has_type_meta: bool,
    /// Fields that protobuf has, by their numbers.
    pub fields: BTreeMap<u32, Field>,
}

/// How JSON has a field.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name; empty where its own fields are written instead of it.
    pub json: String,
    /// Whether JSON has its zero: it is a pointer, or written always.
    pub keep_zero: bool,
}

/// Reads the files of a package that people wrote.
///
/// # Errors
/// When they can't be read.
pub fn read(directory: &Path) -> io::Result<Package> {
    let mut package = Package::default();
    for entry in std::fs::read_dir(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.ends_with(".go") && !name.ends_with("_test.go") && !name.starts_with("zz_") && name != "generated.pb.go" {
            file(&std::fs::read_to_string(entry.path())?, &mut package);
        }
    }
    Ok(package)
}

fn file(text: &str, package: &mut Package) {
    let mut current: Option<(String, Struct)> = None;
    for line in text.lines() {
        if let Some(name) = line.strip_prefix("type ").and_then(|l| l.strip_suffix(" struct {")) {
            current = Some((name.to_owned(), Struct::default()));
        } else if line == "}" {
            package.structs.extend(current.take());
        } else if let Some((_, declared)) = &mut current {
            member(line.trim(), declared);
        } else if let Some(group) = line.strip_prefix("const GroupName = ") {
            package.group = group.trim_matches('"').to_owned();
        }
    }
}

/// `Replicas *int32 `json:"replicas,omitempty" protobuf:"varint,1,opt,name=replicas"``
fn member(line: &str, declared: &mut Struct) {
    let mut parts = line.splitn(3, '`');
    let (Some(declaration), Some(tags)) = (parts.next(), parts.next()) else { return };
    let mut words = declaration.split_whitespace();
    let (first, ty) = (words.next().unwrap_or_default(), words.next());
    if ty.is_none() && first.ends_with("TypeMeta") {
        declared.has_type_meta = true;
    }
    let json = tag(tags, "json").unwrap_or_default();
    let number = tag(tags, "protobuf").and_then(|t| t.split(',').nth(1)).and_then(|n| n.parse().ok());
    if let Some(number) = number {
        let mut options = json.split(',');
        let name = options.next().unwrap_or_default();
        let omitted = options.any(|o| matches!(o, "omitempty" | "omitzero"));
        let keep_zero = !omitted || ty.unwrap_or(first).starts_with('*');
        declared.fields.insert(number, Field { json: name.to_owned(), keep_zero });
    }
}

fn tag<'a>(tags: &'a str, name: &str) -> Option<&'a str> {
    tags.split_once(&format!("{name}:\""))?.1.split('"').next()
}
