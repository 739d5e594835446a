//! What the schema says of a value, as the rules of owners read it.
use crate::schema::{ListType, MapType, Node, Shape};
use serde_json::Value;

/// A definition whose values are opaque.
const RAW: &str = "io.k8s.apimachinery.pkg.runtime.RawExtension";
/// A definition whose values are numbers or texts.
const QUANTITY: &str = "io.k8s.apimachinery.pkg.api.resource.Quantity";

/// What the schema says of a value.
#[derive(Clone, Copy, Debug)]
pub enum Type<'n> {
    /// That it may not be there.
    Undeclared,
    /// Nothing: maps are granular, and lists are one value.
    Deduced,
    /// That it is one value, whatever it is.
    Opaque,
    /// This.
    Known(Known<'n>),
}

/// What the schema says of a value that it knows.
#[derive(Clone, Copy, Debug)]
pub struct Known<'n> {
    /// The definition.
    pub node: &'n Node,
    /// Whether a map is one value.
    atomic: bool,
    /// Whether a map has fields that aren't known.
    preserves: bool,
    /// Whether it is a quantity.
    quantity: bool,
}

/// How a value is taken apart.
#[derive(Clone, Copy, Debug)]
pub enum Grain<'n> {
    /// It is one value.
    Leaf,
    /// A map whose fields have owners.
    Map,
    /// A list whose items have owners.
    List(&'n Node),
}

impl<'n> Type<'n> {
    /// What a node says.
    pub fn of(node: &'n Node) -> Self {
        Self::below(node, false)
    }

    /// The same, below a node that keeps fields that aren't known: definitions that are referred to say it themselves.
    fn below(node: &'n Node, preserves: bool) -> Self {
        let (name, resolved) = node.resolve();
        match name {
            Some(RAW) => return Self::Opaque,
            Some(QUANTITY) => {}
            _ if resolved.shape.is_none() && !resolved.int_or_string && resolved.is_free() && resolved.items.is_none() => return Self::Deduced,
            _ => {}
        }
        // how a map merges stands beside the reference or with the definition
        let atomic = node.map_type == MapType::Atomic || resolved.map_type == MapType::Atomic;
        Self::Known(Known { node: resolved, atomic, preserves: resolved.preserves || (preserves && name.is_none()), quantity: name == Some(QUANTITY) })
    }

    /// What it says of a field, and whether the field has a name in the schema.
    pub fn field(self, field: &str) -> (Self, bool) {
        let known = match self {
            Self::Known(known) => known,
            Self::Deduced => return (Self::Deduced, false),
            other => return (other, false),
        };
        if let Some(node) = known.node.properties.get(field) {
            return (Self::below(node, known.preserves), true);
        }
        let values = match &known.node.values {
            Some(values) => Self::below(values, known.preserves),
            None if known.preserves || known.node.properties.is_empty() => Self::Deduced,
            None => Self::Undeclared,
        };
        (values, false)
    }

    /// What it says of the items of a list.
    pub fn items(self) -> Self {
        match self {
            Self::Known(Known { node, preserves, .. }) => node.items.as_deref().map_or(Self::Opaque, |items| Self::below(items, preserves)),
            _ => Self::Opaque,
        }
    }

    /// What the types of Kubernetes hold of a field that isn't set.
    pub fn zero(self, field: &str) -> Option<&'n Value> {
        match self {
            Self::Known(known) => known.node.properties.get(field).and_then(|node| node.zero.as_ref()),
            _ => None,
        }
    }

    /// The fields that the types of Kubernetes always hold.
    pub fn zeros(self) -> impl Iterator<Item = &'n str> {
        let known = if let Self::Known(known) = self { Some(known.node) } else { None };
        known.into_iter().flat_map(|node| &node.properties).filter(|(_, node)| node.zero.is_some()).map(|(field, _)| &**field)
    }

    /// How a value is taken apart. `null` is taken apart as its type says.
    pub fn grain(self, value: &Value) -> Grain<'n> {
        match (self, value) {
            (Self::Opaque | Self::Undeclared, _) => Grain::Leaf,
            (Self::Deduced, Value::Object(_) | Value::Null) => Grain::Map,
            (Self::Deduced, _) => Grain::Leaf,
            (Self::Known(known), Value::Object(_)) => known.map(),
            (Self::Known(known), Value::Array(_)) => known.list(),
            (Self::Known(known), Value::Null) => known.grain(),
            (Self::Known(_), _) => Grain::Leaf,
        }
    }

    /// Whether nothing is known about the fields of maps.
    pub fn is_free(self) -> bool {
        match self {
            Self::Known(known) => known.is_free(),
            Self::Deduced => true,
            _ => false,
        }
    }

    /// How values of this type are taken apart, whichever there are.
    pub fn declared(self) -> Grain<'n> {
        self.grain(&Value::Null)
    }
}

impl<'n> Known<'n> {
    fn is_free(self) -> bool {
        let values = self.node.values.as_deref().map(|values| Type::below(values, self.preserves));
        self.node.properties.is_empty() && values.is_none_or(|values| matches!(values, Type::Deduced))
    }

    /// Whether a value that is neither a text nor a number is none of it.
    pub fn is_quantity(self) -> bool {
        self.quantity
    }

    fn grain(self) -> Grain<'n> {
        match self.node.shape {
            Some(Shape::Object) => self.map(),
            Some(Shape::Array) => self.list(),
            Some(_) => Grain::Leaf,
            None if self.node.int_or_string => Grain::Leaf,
            None => self.map(),
        }
    }

    fn map(self) -> Grain<'n> {
        if self.atomic { Grain::Leaf } else { Grain::Map }
    }

    fn list(self) -> Grain<'n> {
        if self.node.list_type == ListType::Atomic { Grain::Leaf } else { Grain::List(self.node) }
    }

    /// Whether maps or lists, whichever values of it are, are one value. Maps about whose fields nothing is known don't count.
    pub fn is_whole(self) -> bool {
        match self.node.shape {
            Some(Shape::Object) | None if self.is_free() => false,
            Some(Shape::Object) => self.atomic,
            Some(Shape::Array) => self.node.list_type == ListType::Atomic,
            Some(_) => false,
            None => self.atomic && !self.node.int_or_string,
        }
    }
}
