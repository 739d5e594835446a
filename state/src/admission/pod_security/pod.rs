//! How the checks read a pod, or a template of pods.
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// A pod to be judged. It may be of any form: it is judged before it is checked.
pub(super) struct Pod<'a> {
    annotations: Option<&'a Map<String, Value>>,
    spec: &'a Value,
}

/// The value at `path` below `value`.
pub(super) fn at<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |v, step| v.get(step)).filter(|v| !v.is_null())
}
/// The text there; `""` when there is none.
pub(super) fn text<'a>(value: &'a Value, path: &[&str]) -> &'a str {
    at(value, path).and_then(Value::as_str).unwrap_or_default()
}
/// The truth value there.
pub(super) fn flag(value: &Value, path: &[&str]) -> Option<bool> {
    at(value, path).and_then(Value::as_bool)
}
/// The list there.
pub(super) fn list<'a>(value: &'a Value, path: &[&str]) -> &'a [Value] {
    at(value, path).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

impl<'a> Pod<'a> {
    pub(super) fn new(metadata: &'a Value, spec: &'a Value) -> Self {
        Self { annotations: at(metadata, &["annotations"]).and_then(Value::as_object), spec }
    }
    pub(super) fn spec(&self) -> &'a Value {
        self.spec
    }
    /// All containers, in the order in which Kubernetes names them.
    pub(super) fn containers(&self) -> impl Iterator<Item = &'a Value> + use<'a> {
        let spec = self.spec;
        ["initContainers", "containers", "ephemeralContainers"].into_iter().flat_map(move |kind| list(spec, &[kind]))
    }
    /// The names of the containers that `bad` finds.
    pub(super) fn named(&self, mut bad: impl FnMut(&'a Value) -> bool) -> Vec<&'a str> {
        self.containers().filter(|c| bad(c)).map(|c| text(c, &["name"])).collect()
    }
    /// The annotation of this name.
    pub(super) fn annotation(&self, name: &str) -> Option<&'a str> {
        self.annotations?.get(name).and_then(Value::as_str)
    }
    /// All annotations.
    pub(super) fn annotations(&self) -> impl Iterator<Item = (&'a str, &'a str)> + use<'a> {
        self.annotations.into_iter().flatten().filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
    }
    /// Whether it says that it is of Windows.
    pub(super) fn is_windows(&self) -> bool {
        text(self.spec, &["os", "name"]) == "windows"
    }
    /// Whether its users are others than its node's.
    pub(super) fn has_own_users(&self) -> bool {
        flag(self.spec, &["hostUsers"]) == Some(false)
    }
    /// The pod's security context and those of containers, with whose they are.
    pub(super) fn setters(&self, field: &[&str], mut bad: impl FnMut(&'a Value) -> bool) -> Vec<String> {
        let path = [&["securityContext"], field].concat();
        let mut is_bad = |owner: &'a Value| at(owner, &path).is_some_and(&mut bad);
        let pod = is_bad(self.spec).then(|| "pod".to_owned());
        let containers = self.named(is_bad);
        pod.into_iter().chain((!containers.is_empty()).then(|| counted("container", &containers))).collect()
    }
}

/// `"a", "b"`.
pub(super) fn quoted<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    items.into_iter().map(|i| format!("\"{}\"", i.as_ref())).collect::<Vec<_>>().join(", ")
}
/// `container "a"` or `containers "a", "b"`.
pub(super) fn counted(what: &str, names: &[&str]) -> String {
    format!("{} {}", plural(what, names.len()), quoted(names))
}
/// The noun for so many.
pub(super) fn plural(what: &str, count: usize) -> String {
    if count == 1 { what.to_owned() } else { format!("{what}s") }
}
/// The verb of so many.
pub(super) fn uses(count: usize) -> &'static str {
    if count == 1 { "uses" } else { "use" }
}
/// Collects distinct texts in order.
pub(super) type Texts<'a> = BTreeSet<&'a str>;
