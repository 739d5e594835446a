//! What expressions are about. Data stays where it is: lists and maps of JSON are borrowed, and each part becomes a value when it is asked for.
use crate::error::EvalError;
use crate::opaque::Opaque;
use crate::types::{DYN, Declaration, DeclaredShape, Merge, ObjectDeclaration, Type};
use serde_json::Value as Json;
use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

/// Most bytes of a text of which the characters are counted for its cost.
const COUNTED_MAX: usize = 4096;

/// A text.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// Of the data.
    Borrowed(&'a str),
    /// Made by the expression.
    Shared(Arc<str>),
}

/// A list.
#[derive(Clone, Debug)]
pub enum List<'a> {
    /// Of the data: items, what they are, and how they merge.
    Json(&'a [Json], &'a Declaration, &'a Merge),
    /// Made by the expression.
    Owned(Arc<Vec<Value<'a>>>),
}

/// A key of a map; numbers are equal across their types.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key<'a> {
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Number(i128),
    /// A text.
    String(Text<'a>),
}

/// Entries that an expression made: each key as it was written, and its value.
pub type Entries<'a> = BTreeMap<Key<'a>, (Value<'a>, Value<'a>)>;

/// A map or an object.
#[derive(Clone, Debug)]
pub enum Map<'a> {
    /// A map of the data, and what its values are.
    Json(&'a serde_json::Map<String, Json>, &'a Declaration),
    /// An object of the data, and its fields.
    Object(&'a serde_json::Map<String, Json>, &'a ObjectDeclaration),
    /// Made by the expression.
    Owned(Arc<Entries<'a>>),
}

/// A value.
#[derive(Clone, Debug)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// A boolean.
    Bool(bool),
    /// A number with a sign.
    Int(i64),
    /// A number without one.
    Uint(u64),
    /// A number of floating point.
    Double(f64),
    /// A text.
    String(Text<'a>),
    /// Bytes.
    Bytes(Arc<[u8]>),
    /// Nanoseconds.
    Duration(i64),
    /// A point in time.
    Timestamp(jiff::Timestamp),
    /// A list.
    List(List<'a>),
    /// A map or an object.
    Map(Map<'a>),
    /// A type.
    Type(Type),
    /// A value or nothing.
    Optional(Option<Arc<Value<'a>>>),
    /// A value of the libraries.
    Opaque(Opaque<'a>),
}

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        match self {
            Self::Borrowed(text) => text,
            Self::Shared(text) => text,
        }
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Text<'_> {}

impl PartialOrd for Text<'_> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Text<'_> {
    fn cmp(&self, other: &Self) -> Ordering {
        (**self).cmp(&**other)
    }
}

impl From<String> for Value<'_> {
    fn from(text: String) -> Self {
        Self::String(Text::Shared(text.into()))
    }
}

impl<'a> From<Vec<Value<'a>>> for Value<'a> {
    fn from(items: Vec<Value<'a>>) -> Self {
        Self::List(List::Owned(Arc::new(items)))
    }
}

impl<'a> Value<'a> {
    /// A text of the data.
    pub fn borrowed(text: &'a str) -> Self {
        Self::String(Text::Borrowed(text))
    }

    /// One that is there.
    pub fn some(value: Self) -> Self {
        Self::Optional(Some(Arc::new(value)))
    }

    /// Data as its declaration has it.
    ///
    /// # Errors
    /// It isn't of the declared form.
    pub fn from_json(json: &'a Json, declaration: &'a Declaration) -> Result<Self, EvalError> {
        let unexpected = || EvalError::value(format!("invalid data, expected {}", declaration.of_type()));
        Ok(match (&declaration.shape, json) {
            (_, Json::Null) => Self::Null,
            (DeclaredShape::Simple(Type::Dyn), json) => Self::dynamic(json),
            (DeclaredShape::Simple(of), json) => Self::simple(of, json)?.ok_or_else(unexpected)?,
            (DeclaredShape::List(items, merge), Json::Array(list)) => Self::List(List::Json(list, items, merge)),
            (DeclaredShape::Map(values), Json::Object(map)) => Self::Map(Map::Json(map, values)),
            (DeclaredShape::Object(object), Json::Object(map)) => Self::Map(Map::Object(map, object)),
            (DeclaredShape::Optional(inner), json) => Self::some(Self::from_json(json, inner)?),
            _ => return Err(unexpected()),
        })
    }

    fn dynamic(json: &'a Json) -> Self {
        const ATOMIC: &Merge = &Merge::Atomic;
        match json {
            Json::Null => Self::Null,
            Json::Bool(b) => Self::Bool(*b),
            Json::Number(n) => n.as_i64().map_or_else(|| Self::Double(n.as_f64().unwrap_or_default()), Self::Int),
            Json::String(text) => Self::borrowed(text),
            Json::Array(list) => Self::List(List::Json(list, &DYN, ATOMIC)),
            Json::Object(map) => Self::Map(Map::Json(map, &DYN)),
        }
    }

    fn simple(of: &Type, json: &'a Json) -> Result<Option<Self>, EvalError> {
        Ok(match (of, json) {
            (Type::Bool, Json::Bool(b)) => Some(Self::Bool(*b)),
            (Type::Int, Json::Number(n)) => n.as_i64().or_else(|| n.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9e18).map(|f| f as i64)).map(Self::Int),
            (Type::Uint, Json::Number(n)) => n.as_u64().map(Self::Uint),
            (Type::Double, Json::Number(n)) => n.as_f64().map(Self::Double),
            (Type::String, Json::String(text)) => Some(Self::borrowed(text)),
            (Type::Bytes, Json::String(text)) => {
                use base64::Engine as _;
                let bytes = base64::engine::general_purpose::STANDARD.decode(text);
                Some(Self::Bytes(bytes.map_err(|e| EvalError::value(format!("error parsing base64: {e}")))?.into()))
            }
            (Type::Duration, Json::String(text)) => Some(Self::Duration(crate::time::duration(text)?)),
            (Type::Timestamp, Json::String(text)) => Some(Self::Timestamp(crate::time::date_or_time(text)?)),
            _ => None,
        })
    }

    /// Its type, without parameters.
    pub fn type_of(&self) -> Type {
        match self {
            Self::Null => Type::Null,
            Self::Bool(_) => Type::Bool,
            Self::Int(_) => Type::Int,
            Self::Uint(_) => Type::Uint,
            Self::Double(_) => Type::Double,
            Self::String(_) => Type::String,
            Self::Bytes(_) => Type::Bytes,
            Self::Duration(_) => Type::Duration,
            Self::Timestamp(_) => Type::Timestamp,
            Self::List(_) => Type::list(Type::Dyn),
            Self::Map(_) => Type::map(Type::Dyn, Type::Dyn),
            Self::Type(_) => Type::Type(None),
            Self::Optional(_) => Type::optional(Type::Dyn),
            Self::Opaque(opaque) => Type::Opaque(opaque.name()),
        }
    }

    /// The size that costs are in proportion to: characters (bytes of what is long), bytes, items, entries; 1 for what has none.
    pub fn size(&self) -> u64 {
        let size = match self {
            // counting characters takes as long as there are some
            Self::String(text) if text.len() > COUNTED_MAX => text.len(),
            Self::String(text) => text.chars().count(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(list) => list.len(),
            Self::Map(map) => map.len(),
            Self::Optional(Some(inner)) => return inner.size(),
            Self::Opaque(opaque) => opaque.size(),
            _ => 1,
        };
        u64::try_from(size).unwrap_or(u64::MAX)
    }

    /// Whether it is what a type has where nothing was set.
    pub fn is_zero(&self) -> bool {
        match self {
            Self::Null => true,
            Self::Bool(b) => !b,
            Self::Int(n) | Self::Duration(n) => *n == 0,
            Self::Uint(n) => *n == 0,
            Self::Double(n) => *n == 0.0,
            Self::Timestamp(_) | Self::Type(_) | Self::Opaque(_) => false,
            Self::Optional(inner) => inner.is_none(),
            Self::String(_) | Self::Bytes(_) | Self::List(_) | Self::Map(_) => self.size() == 0,
        }
    }

    /// It as a key of a map.
    pub fn key(&self) -> Option<Key<'a>> {
        Some(match self {
            Self::Bool(b) => Key::Bool(*b),
            Self::Int(n) => Key::Number((*n).into()),
            Self::Uint(n) => Key::Number((*n).into()),
            Self::Double(n) if n.fract() == 0.0 && n.abs() < 2e19 => Key::Number(*n as i128),
            Self::String(text) => Key::String(text.clone()),
            _ => return None,
        })
    }
}

impl<'a> List<'a> {
    /// Number of items.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(items, ..) => items.len(),
            Self::Owned(items) => items.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One item.
    ///
    /// # Errors
    /// There is none, or it isn't as declared.
    pub fn get(&self, at: usize) -> Result<Value<'a>, EvalError> {
        let none = || EvalError::value(format!("index out of bounds: {at}"));
        match self {
            Self::Json(items, declaration, _) => Value::from_json(items.get(at).ok_or_else(none)?, declaration),
            Self::Owned(items) => items.get(at).cloned().ok_or_else(none),
        }
    }

    /// All items.
    pub fn iter(&self) -> impl Iterator<Item = Result<Value<'a>, EvalError>> + '_ {
        (0..self.len()).map(|at| self.get(at))
    }
}

impl<'a> Map<'a> {
    /// Number of entries.
    pub fn len(&self) -> usize {
        match self {
            Self::Json(map, _) | Self::Object(map, _) => map.len(),
            Self::Owned(entries) => entries.len(),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key.
    pub fn get(&self, key: &Key<'a>) -> Option<Result<Value<'a>, EvalError>> {
        match (self, key) {
            (Self::Owned(entries), key) => entries.get(key).map(|(_, value)| Ok(value.clone())),
            (_, Key::String(field)) => self.field(field),
            _ => None,
        }
    }

    /// The value of a field.
    pub fn field(&self, field: &str) -> Option<Result<Value<'a>, EvalError>> {
        match self {
            Self::Json(map, values) => map.get(field).map(|json| Value::from_json(json, values)),
            Self::Object(map, object) => {
                let found = object.fields.get(field)?;
                // a field that is null is as one that isn't there
                map.get(&*found.name).filter(|json| !json.is_null()).map(|json| Value::from_json(json, &found.declaration))
            }
            Self::Owned(entries) => entries.get(&Key::String(Text::Shared(field.into()))).map(|(_, value)| Ok(value.clone())),
        }
    }

    /// All keys and values; of an object those that are declared.
    pub fn entries(&self) -> Result<Vec<(Value<'a>, Value<'a>)>, EvalError> {
        match self {
            Self::Json(map, values) => map.iter().map(|(key, json)| Ok((Value::borrowed(key), Value::from_json(json, values)?))).collect(),
            Self::Object(map, object) => {
                let known = object.fields.iter().filter_map(|(name, field)| Some((&**name, map.get(&*field.name)?, &field.declaration)));
                known.map(|(name, json, declaration)| Ok((Value::borrowed(name), Value::from_json(json, declaration)?))).collect()
            }
            Self::Owned(entries) => Ok(entries.values().cloned().collect()),
        }
    }
}
