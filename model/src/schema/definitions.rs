//! The definitions, decompressed on first use: once as compact nodes without descriptions for checking and patching, and on demand as JSON for documents.
use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::sync::OnceLock;

/// Made by `cargo run -p xtask --features schema -- schema <swagger.json>`.
static FILE: &[u8] = include_bytes!("../../schema/kubernetes.json.gz");

/// The definitions of `metrics.k8s.io`, which isn't in Kubernetes' own document: in a Kubernetes cluster another server has it.
static METRICS: &str = include_str!("../../schema/metrics.json");

/// What Kubernetes' Go types hold of fields that aren't set: structs that are no pointers, and whatever has no `omitempty` (`=`), and
/// of the defaults of list keys (`~`). Each line has a definition and its fields. Read from the types in `k8s.io/api` and the defaults in the OpenAPI v3 documents of Kubernetes 1.37.
static ZEROS: &str = include_str!("../../schema/zeros.txt");

/// The JSON type of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Shape {
    /// A map.
    Object,
    /// A list.
    Array,
    /// A text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Number,
    /// `true` or `false`.
    Boolean,
}

/// How the items of a list belong together: `x-kubernetes-list-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ListType {
    /// The list is one value.
    #[default]
    Atomic,
    /// Each item is there once.
    Set,
    /// Items are told apart by the values of [`Node::list_keys`].
    Map,
}

/// Whether a map's fields are values of their own: `x-kubernetes-map-type`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MapType {
    /// They are.
    #[default]
    Granular,
    /// The map is one value.
    Atomic,
}

/// One node of a structural schema.
#[derive(Debug, Default, Deserialize)]
pub struct Node {
    /// The name of the definition that it refers to.
    #[serde(rename = "$ref")]
    pub reference: Option<Box<str>>,
    /// Its type; `None` where any value is accepted.
    #[serde(rename = "type")]
    pub shape: Option<Shape>,
    /// `int32`, `int64`, `double`, `byte`, `date-time`.
    pub format: Option<Box<str>>,
    /// Known fields of a map.
    #[serde(default)]
    pub properties: BTreeMap<Box<str>, Node>,
    /// Those that an object always has, even where they are empty.
    #[serde(default)]
    pub required: Vec<Box<str>>,
    /// The values of a map with free keys.
    #[serde(rename = "additionalProperties")]
    pub values: Option<Box<Node>>,
    /// The items of a list.
    pub items: Option<Box<Node>>,
    /// The forms that it may have, told apart by their types.
    #[serde(rename = "oneOf", default)]
    pub forms: Vec<Node>,
    /// Whether it is a number or a text.
    #[serde(rename = "x-kubernetes-int-or-string", default)]
    pub int_or_string: bool,
    /// What it is when it isn't given, of custom resources and of the keys of lists.
    #[serde(skip)]
    pub default: Option<Value>,
    /// What Kubernetes' own types hold of a field that isn't set, where they hold anything: `{}`, `null`, `""`.
    #[serde(skip)]
    pub zero: Option<Value>,
    /// Whether a map, or a map below it, keeps fields that aren't known, of custom resources.
    #[serde(skip)]
    pub preserves: bool,
    /// How server-side apply merges a list.
    #[serde(rename = "x-kubernetes-list-type", default)]
    pub list_type: ListType,
    /// Which fields tell the items of a list from each other, where it is a [`ListType::Map`].
    #[serde(rename = "x-kubernetes-list-map-keys", default)]
    pub list_keys: Vec<Box<str>>,
    /// How server-side apply merges a map.
    #[serde(rename = "x-kubernetes-map-type", default)]
    pub map_type: MapType,
    /// How strategic merge patches treat the field: `merge`, `retainKeys` or `merge,retainKeys`.
    #[serde(rename = "x-kubernetes-patch-strategy")]
    pub patch_strategy: Option<Box<str>>,
    /// The field by which strategic merge patches tell items apart; without one they are told apart by themselves.
    #[serde(rename = "x-kubernetes-patch-merge-key")]
    pub patch_key: Option<Box<str>>,
}

impl Node {
    /// The node itself, or the definition that it refers to, with that definition's name.
    pub fn resolve(&self) -> (Option<&str>, &Self) {
        match &self.reference {
            Some(name) => (Some(name), definition(name).unwrap_or(self)),
            None => (None, self),
        }
    }
    /// Whether strategic merge patches merge it, if it is a list.
    pub fn patch_merges(&self) -> bool {
        self.patch_strategy.as_deref().is_some_and(|s| s.starts_with("merge"))
    }
    /// Whether a field is left out where it is an empty list, or an empty map with free keys: Kubernetes' types don't write those that may be absent.
    pub fn leaves_out(&self, field: &str, value: &Value) -> bool {
        let child = self.properties.get(field).map(|child| child.resolve().1);
        let empty = match value {
            Value::Array(items) => items.is_empty(),
            Value::Object(map) => map.is_empty() && child.is_some_and(|child| child.values.is_some()),
            _ => false,
        };
        empty && !self.required.iter().any(|required| &**required == field)
    }
    /// Whether it is a map about whose fields nothing is known.
    pub fn is_free(&self) -> bool {
        self.properties.is_empty() && self.values.is_none()
    }
}

fn decompress() -> Vec<u8> {
    let mut text = Vec::new();
    // a truncated file reads as far as it goes and then fails to parse, which the tests of this module would show
    match GzDecoder::new(FILE).read_to_end(&mut text) {
        Ok(_) => text,
        Err(_) => Vec::new(),
    }
}

fn nodes() -> &'static HashMap<Box<str>, Node> {
    static NODES: OnceLock<HashMap<Box<str>, Node>> = OnceLock::new();
    NODES.get_or_init(|| {
        let mut nodes: HashMap<Box<str>, Node> = serde_json::from_slice(&decompress()).unwrap_or_default();
        nodes.extend(serde_json::from_str::<HashMap<Box<str>, Node>>(METRICS).unwrap_or_default());
        for line in ZEROS.lines() {
            let mut words = line.split(' ');
            let Some(node) = words.next().and_then(|name| nodes.get_mut(name)) else { continue };
            for word in words {
                let Some((name, value)) = word.split_once(['=', '~']) else { continue };
                let Some(field) = node.properties.get_mut(name) else { continue };
                let value = serde_json::from_str(value).ok();
                if word.as_bytes().get(name.len()) == Some(&b'=') { field.zero = value } else { field.default = value }
            }
        }
        nodes
    })
}

/// A definition by its full name: `io.k8s.api.core.v1.PodSpec`.
pub fn definition(name: &str) -> Option<&'static Node> {
    nodes().get(name)
}

/// All definitions by name.
pub fn definitions() -> impl Iterator<Item = (&'static str, &'static Node)> {
    nodes().iter().map(|(name, node)| (&**name, node))
}

/// Changes when the definitions do.
pub(super) fn fingerprint() -> &'static str {
    static FINGERPRINT: OnceLock<String> = OnceLock::new();
    FINGERPRINT.get_or_init(|| crate::hash::content_hash(&Value::from(vec![Value::from(FILE), Value::from(METRICS)])))
}

/// All definitions with their descriptions, parsed anew: some megabytes, so keep what is made of it, not itself.
pub fn raw_definitions() -> Map<String, Value> {
    let mut all: Map<String, Value> = serde_json::from_slice(&decompress()).unwrap_or_default();
    all.extend(serde_json::from_str::<Map<String, Value>>(METRICS).unwrap_or_default());
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn complete() {
        assert!(nodes().len() > 400);
        for (name, node) in nodes() {
            references(node, &mut |target| assert!(definition(target).is_some(), "{name} → {target}"));
        }
        let pod = definition("io.k8s.api.core.v1.Pod").unwrap();
        assert_eq!(pod.properties["spec"].resolve().0, Some("io.k8s.api.core.v1.PodSpec"));
        assert_eq!(nodes().len(), raw_definitions().len());
    }

    #[test]
    fn zeros() {
        let zero = |name: &str, field: &str| definition(name).unwrap().properties.get(field).unwrap().zero.clone();
        assert_eq!(zero("io.k8s.api.apps.v1.DeploymentSpec", "strategy"), Some(serde_json::json!({})));
        assert_eq!(zero("io.k8s.api.core.v1.PodSpec", "containers"), Some(Value::Null));
        assert_eq!(definition("io.k8s.api.core.v1.ContainerPort").unwrap().properties.get("protocol").unwrap().default, Some("TCP".into()));
        assert_eq!(zero("io.k8s.api.apps.v1.DeploymentSpec", "replicas"), None);
        assert!(ZEROS.lines().all(|line| definition(line.split(' ').next().unwrap()).is_some()));
    }

    /// A key that no item has would silently merge nothing.
    #[test]
    fn keys_name_real_fields() {
        fn check(name: &str, node: &Node) {
            for key in node.list_keys.iter().chain(&node.patch_key) {
                let item = node.items.as_ref().unwrap_or_else(|| panic!("{name}")).resolve().1;
                assert!(item.properties.contains_key(key), "{name}[].{key}");
            }
            assert_eq!(node.list_type == ListType::Map, !node.list_keys.is_empty(), "{name}");
            node.properties.iter().for_each(|(field, node)| check(&format!("{name}.{field}"), node));
        }
        nodes().iter().for_each(|(name, node)| check(name, node));
        let field = |name: &str, field: &str| definition(name).unwrap().properties.get(field).unwrap();
        assert_eq!(field("io.k8s.api.core.v1.PodSpec", "containers").list_type, ListType::Map);
        assert!(field("io.k8s.api.core.v1.PodSpec", "volumes").patch_merges());
        assert_eq!(definition("io.k8s.api.core.v1.NodeSelector").unwrap().map_type, MapType::Atomic);
    }

    fn references(node: &Node, check: &mut impl FnMut(&str)) {
        node.reference.iter().for_each(|r| check(r));
        for child in node.properties.values().chain(&node.forms).chain(node.items.as_deref()).chain(node.values.as_deref()) {
            references(child, check);
        }
    }
}
