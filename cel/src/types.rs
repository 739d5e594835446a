//! Types, and what a schema declares of data.
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// A type.
#[derive(Clone, Debug)]
pub enum Type {
    /// Any; checked when it is evaluated.
    Dyn,
    /// What an error left behind; it causes no others.
    Error,
    /// `null`.
    Null,
    /// `true` and `false`.
    Bool,
    /// 64 bits with a sign.
    Int,
    /// 64 bits without one.
    Uint,
    /// 64 bits of floating point.
    Double,
    /// Unicode text.
    String,
    /// Bytes.
    Bytes,
    /// A span of time.
    Duration,
    /// A point in time.
    Timestamp,
    /// A list.
    List(Arc<Type>),
    /// A map.
    Map(Arc<(Type, Type)>),
    /// A value that may be absent.
    Optional(Arc<Type>),
    /// A type of that type.
    Type(Option<Arc<Type>>),
    /// An object with declared fields.
    Object(Arc<ObjectDeclaration>),
    /// A type of the libraries.
    Opaque(&'static str),
    /// A type that stands for others.
    Param(usize),
}

/// The types of the libraries.
pub mod opaque {
    /// An address.
    pub const IP: &str = "net.IP";
    /// A block of addresses.
    pub const CIDR: &str = "net.CIDR";
    /// A URL.
    pub const URL: &str = "kubernetes.URL";
    /// A quantity such as `100Mi`.
    pub const QUANTITY: &str = "kubernetes.Quantity";
    /// A semantic version.
    pub const SEMVER: &str = "kubernetes.Semver";
    /// A format of names and the like.
    pub const FORMAT: &str = "kubernetes.NamedFormat";
    /// Who may do what.
    pub const AUTHORIZER: &str = "kubernetes.authorization.Authorizer";
    /// A check of a path that is no resource's.
    pub const PATH_CHECK: &str = "kubernetes.authorization.PathCheck";
    /// The start of a check of a resource.
    pub const GROUP_CHECK: &str = "kubernetes.authorization.GroupCheck";
    /// A check of a resource.
    pub const RESOURCE_CHECK: &str = "kubernetes.authorization.ResourceCheck";
    /// What a check said.
    pub const DECISION: &str = "kubernetes.authorization.Decision";
    /// What of the authorizer is a check of the request's resource.
    pub const REQUEST_RESOURCE: &str = "requestResource";
    /// All of them.
    pub const ALL: [&str; 11] = [IP, CIDR, URL, QUANTITY, SEMVER, FORMAT, AUTHORIZER, PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK, DECISION];
}

/// How two lists of a schema are compared and added.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Merge {
    /// In order.
    #[default]
    Atomic,
    /// Without order; a value is there once.
    Set,
    /// Without order; an item of the same keys takes the other's place.
    Map(Vec<Box<str>>),
}

/// The fields of an object.
#[derive(Debug)]
pub struct ObjectDeclaration {
    /// Its name in messages.
    pub name: Box<str>,
    /// The fields by the names that expressions use.
    pub fields: BTreeMap<Box<str>, Field>,
}

/// A field of an object.
#[derive(Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: Box<str>,
    /// What it holds.
    pub declaration: Declaration,
}

/// What data may be.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// Of which form.
    pub shape: DeclaredShape,
    /// Most characters, bytes, items or fields.
    pub max_elements: u64,
}

/// The form of data.
#[derive(Clone, Debug)]
pub enum DeclaredShape {
    /// A value of a type.
    Simple(Type),
    /// A list.
    List(Arc<Declaration>, Merge),
    /// A map from texts.
    Map(Arc<Declaration>),
    /// An object.
    Object(Arc<ObjectDeclaration>),
    /// One that may be absent.
    Optional(Arc<Declaration>),
}

/// Anything.
pub static DYN: Declaration = Declaration { shape: DeclaredShape::Simple(Type::Dyn), max_elements: u64::MAX };

impl Declaration {
    /// A value of a type, without a limit of its size.
    pub fn simple(of: Type) -> Self {
        Self { shape: DeclaredShape::Simple(of), max_elements: u64::MAX }
    }

    /// The type in expressions.
    pub fn of_type(&self) -> Type {
        match &self.shape {
            DeclaredShape::Simple(simple) => simple.clone(),
            DeclaredShape::List(items, _) => Type::list(items.of_type()),
            DeclaredShape::Map(values) => Type::map(Type::String, values.of_type()),
            DeclaredShape::Object(object) => Type::Object(object.clone()),
            DeclaredShape::Optional(inner) => Type::optional(inner.of_type()),
        }
    }
}

impl Type {
    /// A list of this.
    pub fn list(of: Self) -> Self {
        Self::List(Arc::new(of))
    }

    /// A map.
    pub fn map(key: Self, value: Self) -> Self {
        Self::Map(Arc::new((key, value)))
    }

    /// This or nothing.
    pub fn optional(of: Self) -> Self {
        Self::Optional(Arc::new(of))
    }

    /// The type that a name means in an expression.
    pub fn named(name: &str) -> Option<Self> {
        Some(match name {
            "dyn" => Self::Dyn,
            "null_type" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "uint" => Self::Uint,
            "double" => Self::Double,
            "string" => Self::String,
            "bytes" => Self::Bytes,
            "google.protobuf.Duration" => Self::Duration,
            "google.protobuf.Timestamp" => Self::Timestamp,
            "list" => Self::list(Self::Dyn),
            "map" => Self::map(Self::Dyn, Self::Dyn),
            "type" => Self::Type(None),
            "optional_type" => Self::optional(Self::Dyn),
            other => Self::Opaque(opaque::ALL.iter().find(|known| **known == other)?),
        })
    }

    /// Its name when it is evaluated, without parameters.
    pub fn runtime_name(&self) -> &str {
        match self {
            Self::Dyn => "dyn",
            Self::Error => "!error!",
            Self::Null => "null_type",
            Self::Bool => "bool",
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Double => "double",
            Self::String => "string",
            Self::Bytes => "bytes",
            Self::Duration => "google.protobuf.Duration",
            Self::Timestamp => "google.protobuf.Timestamp",
            Self::List(_) => "list",
            Self::Map(_) => "map",
            Self::Optional(_) => "optional_type",
            Self::Type(_) => "type",
            Self::Object(object) => &object.name,
            Self::Opaque(name) => name,
            Self::Param(_) => "param",
        }
    }
}

impl PartialEq for Type {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::List(a), Self::List(b)) | (Self::Optional(a), Self::Optional(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            (Self::Type(a), Self::Type(b)) => a == b,
            (Self::Object(a), Self::Object(b)) => a.name == b.name,
            (Self::Opaque(a), Self::Opaque(b)) => a == b,
            (Self::Param(a), Self::Param(b)) => a == b,
            _ => std::mem::discriminant(self) == std::mem::discriminant(other),
        }
    }
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(of) => write!(f, "map({}, {})", of.0, of.1),
            Self::Optional(of) => write!(f, "optional_type({of})"),
            Self::Type(Some(of)) => write!(f, "type({of})"),
            Self::Null => f.write_str("null"),
            Self::Duration => f.write_str("duration"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Param(n) => write!(f, "%T{n}"),
            other => f.write_str(other.runtime_name()),
        }
    }
}
