//! The table of messages, decompressed on first use.
use flate2::read::GzDecoder;
use serde::Deserialize;
use std::collections::HashMap;
use std::sync::OnceLock;

/// Made by `cargo run -p xtask -- protobuf`.
static FILE: &[u8] = include_bytes!("../../schema/protobuf.json.gz");

/// All messages.
#[derive(Debug, Default, Deserialize)]
pub struct Table {
    /// `apps/v1/Deployment` → message; kinds that are in every version, such as `DeleteOptions`, without one.
    kinds: HashMap<Box<str>, Box<str>>,
    messages: HashMap<Box<str>, Message>,
}

/// One message.
#[derive(Debug, Deserialize)]
#[serde(from = "Listed")]
pub struct Message {
    /// JSON has the value of the field with the highest number among those that are set, instead of a map.
    pub wrapper: bool,
    fields: Vec<Field>,
    /// Where each field is, by their JSON names.
    names: Box<[u16]>,
}

/// A message as the file has it.
#[derive(Deserialize)]
struct Listed {
    #[serde(default)]
    wrapper: bool,
    fields: Vec<Field>,
}

/// One field.
#[derive(Debug, Deserialize)]
pub struct Field {
    /// Its number.
    pub tag: u32,
    /// Its JSON name. Empty where the fields of its message are fields of the message around it.
    pub name: Box<str>,
    /// Its type.
    pub shape: Shape,
    /// Whether a zero means something else than nothing.
    pub keep_zero: bool,
}

/// The type of a field.
#[derive(Debug, Deserialize)]
#[serde(from = "Box<str>")]
pub struct Shape {
    /// How often.
    pub many: Many,
    /// What.
    pub item: Item,
}

/// How often a field occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Many {
    /// Once.
    One,
    /// As a list.
    List,
    /// As a map with texts as keys.
    Map,
}

/// What a field, item or value is.
#[derive(Debug, PartialEq, Eq)]
pub enum Item {
    /// A text.
    String,
    /// A number of 32 bits.
    Int32,
    /// A number of 64 bits.
    Int64,
    /// `true` or `false`.
    Bool,
    /// A floating-point number.
    Double,
    /// Bytes, base64 in JSON.
    Bytes,
    /// JSON, embedded.
    Json,
    /// `metav1.Time`.
    Time,
    /// `metav1.MicroTime`.
    MicroTime,
    /// `intstr.IntOrString`.
    IntOrString,
    /// Another message of the table.
    Message(Box<str>),
}

impl From<Box<str>> for Shape {
    fn from(text: Box<str>) -> Self {
        let list = text.strip_prefix("list ").map(|item| (Many::List, item));
        let (many, item) = list.or_else(|| text.strip_prefix("map ").map(|item| (Many::Map, item))).unwrap_or((Many::One, &text));
        let item = match item {
            "string" => Item::String,
            "int32" => Item::Int32,
            "int64" => Item::Int64,
            "bool" => Item::Bool,
            "double" => Item::Double,
            "bytes" => Item::Bytes,
            "json" => Item::Json,
            "time" => Item::Time,
            "microTime" => Item::MicroTime,
            "intOrString" => Item::IntOrString,
            message => Item::Message(message.into()),
        };
        Self { many, item }
    }
}

impl From<Listed> for Message {
    fn from(Listed { wrapper, fields }: Listed) -> Self {
        let mut names: Vec<(&str, u16)> = fields.iter().map(|f| &*f.name).zip(0..).collect();
        names.sort_unstable();
        let names = names.into_iter().map(|(_, at)| at).collect();
        Self { wrapper, fields, names }
    }
}

impl Message {
    /// A field by its number.
    pub fn field(&self, tag: u32) -> Option<&Field> {
        self.fields.iter().find(|f| f.tag == tag)
    }

    /// A field by its JSON name.
    pub fn named(&self, name: &str) -> Option<&Field> {
        let at = |at: &u16| self.fields.get(usize::from(*at));
        let found = self.names.binary_search_by(|n| at(n).map_or("", |f| &f.name).cmp(name)).ok()?;
        self.names.get(found).and_then(at)
    }

    /// The fields whose own fields are, in JSON, this message's.
    pub fn embedded(&self) -> impl Iterator<Item = &Field> {
        // the empty name is before all others
        self.names.iter().map_while(|at| self.fields.get(usize::from(*at)).filter(|f| f.name.is_empty()))
    }

    /// The first field of which something is true.
    pub fn find(&self, is: impl Fn(&Shape) -> bool) -> Option<&Field> {
        self.fields.iter().find(|f| is(&f.shape))
    }

    /// The fields, those with the highest numbers first.
    pub fn last_first(&self) -> impl Iterator<Item = &Field> {
        let mut fields: Vec<_> = self.fields.iter().collect();
        fields.sort_by_key(|f| std::cmp::Reverse(f.tag));
        fields.into_iter()
    }
}

impl Table {
    /// The one table.
    pub fn get() -> &'static Self {
        static TABLE: OnceLock<Table> = OnceLock::new();
        // the file is part of the program: the tests of this module would show if it were broken
        TABLE.get_or_init(|| serde_json::from_reader(GzDecoder::new(FILE)).unwrap_or_default())
    }

    /// A message by its name.
    pub fn message(&self, name: &str) -> Option<&Message> {
        self.messages.get(name)
    }

    /// Whether a kind of this very version has a message.
    pub fn has(&self, api_version: &str, kind: &str) -> bool {
        self.kinds.contains_key(format!("{api_version}/{kind}").as_str())
    }

    /// The message of a kind.
    pub fn kind(&self, api_version: &str, kind: &str) -> Option<&Message> {
        let name = self.kinds.get(format!("{api_version}/{kind}").as_str()).or_else(|| self.kinds.get(kind))?;
        self.message(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete() {
        let table = Table::get();
        assert!(table.messages.len() > 300);
        for name in table.kinds.values() {
            assert!(table.message(name).is_some(), "{name}");
        }
        for (name, message) in &table.messages {
            for field in &message.fields {
                if let Item::Message(target) = &field.shape.item {
                    assert!(table.message(target).is_some(), "{name}.{} → {target}", field.name);
                }
            }
        }
    }

    /// Whatever kind the cluster serves, typed clients can send it and ask for it and for its list.
    #[test]
    fn kinds_are_there() {
        let kinds = crate::kinds::builtin();
        // what is measured is JSON only, as what others define
        for kind in kinds.rows().iter().filter(|kind| kind.derived_from.is_none()) {
            assert!(Table::get().message(kind.schema.name()).is_some(), "{}", kind.kind);
            let listed = kind.verbs.contains(&"list").then(|| kind.list_kind());
            for name in std::iter::once(kind.kind.to_string()).chain(listed) {
                assert!(Table::get().kind(&kind.api_version(), &name).is_some(), "{} {name}", kind.api_version());
            }
        }
    }

    #[test]
    fn wrappers_keep_zeros() {
        for (name, message) in &Table::get().messages {
            assert!(!message.wrapper || message.fields.iter().all(|f| f.keep_zero), "{name}");
        }
    }
}
