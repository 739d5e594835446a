//! Checks what a client sends against the schema of its kind, and brings it into the form in which objects are stored.
//!
//! Unknown fields are taken out, `null` means absent, quantities and times get their canonical form. Where a map's fields aren't
//! known (`managedFields[].fieldsV1`, a revision's `data`) nothing is touched.
use super::definitions::{Node, Shape, definition};
use super::kind_schema::KindSchema;
use crate::custom::{self, CustomSchema};
use crate::error::{ApiError, Cause};
use crate::kind::Kind;
use crate::object::Object;
use crate::quantity::Quantity;
use crate::time;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// What happens on unknown fields: the query parameter `fieldValidation`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FieldValidation {
    /// They are dropped silently.
    Ignore,
    /// They are dropped with a warning.
    #[default]
    Warn,
    /// The request is refused.
    Strict,
}

impl FieldValidation {
    /// From the query parameter; the empty one is `Warn`.
    ///
    /// # Errors
    /// 422 for any other text than `Ignore`, `Warn` and `Strict`.
    pub fn parse(text: &str) -> Result<Self, ApiError> {
        match text {
            "" | "Warn" => Ok(Self::Warn),
            "Ignore" => Ok(Self::Ignore),
            "Strict" => Ok(Self::Strict),
            other => {
                let cause = Cause::not_supported("fieldValidation", &other.into(), &["Ignore", "Strict", "Warn"]);
                Err(ApiError::invalid("meta.k8s.io", "CreateOptions", "", vec![cause]))
            }
        }
    }
}

/// The definition of every object's metadata.
const METADATA: &str = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";
/// Most unknown fields that are reported.
const MAX_UNKNOWN: usize = 100;

/// Checks `object` against the schema of `kind`, removes what the schema doesn't know, and returns a sentence about each of it.
/// A kind without a schema is left as it is.
///
/// # Errors
/// 400 when a field has the wrong type or form.
pub fn validate_and_prune(kind: &Kind, object: &mut Object) -> Result<Vec<String>, ApiError> {
    let name = match &kind.schema {
        KindSchema::Builtin(name) => name,
        KindSchema::Custom(custom) => return custom_object(kind, custom, object),
    };
    let Some(node) = definition(name) else { return Ok(Vec::new()) };
    let mut walk = Walk { unknown: Vec::new() };
    walk.map(&mut object.0, node, &Place { owner: name, parent: None, step: Step::Top }).map_err(|e| refuse(kind, &e))?;
    Ok(walk.unknown)
}

/// The same for a custom object: the types of its own fields are checked later, as Kubernetes does.
fn custom_object(kind: &Kind, custom: &CustomSchema, object: &mut Object) -> Result<Vec<String>, ApiError> {
    let mut unknown = custom::prune(&mut object.0, &custom.schema);
    if let Some(Value::Object(metadata)) = object.0.get_mut("metadata") {
        unknown.extend(prune_metadata(metadata).map_err(|why| refuse(kind, &why))?);
    }
    Ok(unknown)
}

fn prune_metadata(metadata: &mut Map<String, Value>) -> Result<Vec<String>, String> {
    let Some(node) = definition(METADATA) else { return Ok(Vec::new()) };
    let mut walk = Walk { unknown: Vec::new() };
    let top = Place { owner: METADATA, parent: None, step: Step::Top };
    walk.map(metadata, node, &top.below(METADATA, Step::Field("metadata")))?;
    Ok(walk.unknown)
}

/// 400 as Kubernetes words what doesn't decode: `Pod in version "v1" cannot be handled as a Pod: why`.
pub fn refuse(kind: &Kind, why: &str) -> ApiError {
    let version = &kind.version;
    ApiError::bad_request(format!("{0} in version \"{version}\" cannot be handled as a {0}: {why}", kind.kind))
}

/// Where a value is: the definition that holds it and the steps from the object's top. Written out only when something is wrong there.
struct Place<'a> {
    owner: &'a str,
    parent: Option<&'a Place<'a>>,
    step: Step<'a>,
}

#[derive(Clone, Copy)]
enum Step<'a> {
    Top,
    Field(&'a str),
    Index(usize),
}

impl<'a> Place<'a> {
    fn below(&'a self, owner: &'a str, step: Step<'a>) -> Self {
        Self { owner, parent: Some(self), step }
    }
    /// `spec.containers[0].name`, or without the indices.
    fn path(&self, indices: bool) -> String {
        let mut path = self.parent.map(|p| p.path(indices)).unwrap_or_default();
        match self.step {
            Step::Field(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(name);
            }
            Step::Index(i) if indices => path.push_str(&format!("[{i}]")),
            Step::Index(_) | Step::Top => {}
        }
        path
    }
}

struct Walk {
    unknown: Vec<String>,
}

/// The sentence for a value of the wrong type. Indices aren't part of the path.
fn mismatch(value: &Value, wanted: &str, place: &Place<'_>) -> String {
    let found = match value {
        Value::Null => "null".to_owned(),
        Value::Bool(_) => "bool".to_owned(),
        Value::Number(n) if wanted.starts_with("int") || wanted.starts_with("float") => format!("number {n}"),
        Value::Number(_) => "number".to_owned(),
        Value::String(_) => "string".to_owned(),
        Value::Array(_) => "array".to_owned(),
        Value::Object(_) => "object".to_owned(),
    };
    let owner = place.owner.rsplit('.').next().unwrap_or(place.owner);
    let path = place.path(false);
    format!("json: cannot unmarshal {found} into Go struct field {owner}.{path} of type {wanted}")
}

/// What a node accepts, in the words of the error.
fn wanted(node: &Node) -> String {
    let (name, node) = node.resolve();
    match (name, node.shape) {
        (Some(name), Some(Shape::Object)) => name.rsplit('.').take(2).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("."),
        (_, Some(Shape::Object)) => format!("map[string]{}", node.values.as_deref().map_or_else(|| "interface {}".to_owned(), wanted)),
        (_, Some(Shape::Array)) => format!("[]{}", node.items.as_deref().map_or_else(|| "interface {}".to_owned(), wanted)),
        (_, Some(Shape::Integer)) => node.format.as_deref().unwrap_or("int64").to_owned(),
        (_, Some(Shape::Number)) => "float64".to_owned(),
        (_, Some(Shape::Boolean)) => "bool".to_owned(),
        _ => "string".to_owned(),
    }
}

impl Walk {
    fn value(&mut self, value: &mut Value, node: &Node, place: &Place<'_>) -> Result<(), String> {
        let (name, resolved) = node.resolve();
        if resolved.int_or_string {
            return number_or_text(value, name.unwrap_or_default(), place);
        }
        if let Some(form) = resolved.forms.iter().find(|form| form.resolve().1.shape == Some(shape_of(value))) {
            return self.value(value, form, place);
        }
        let Some(shape) = resolved.shape else { return Ok(()) };
        let inner = Place { owner: name.unwrap_or(place.owner), ..*place };
        match (shape, value) {
            (Shape::Object, Value::Object(map)) => self.map(map, resolved, &inner),
            (Shape::Array, Value::Array(items)) => self.items(items, resolved, &inner),
            (Shape::String, Value::String(text)) => string(text, name.unwrap_or_default(), resolved),
            (Shape::Boolean, Value::Bool(_)) | (Shape::Number, Value::Number(_)) => Ok(()),
            (Shape::Integer, value @ Value::Number(_)) if fits(value, resolved) => Ok(()),
            (_, value) => Err(mismatch(value, &wanted(node), place)),
        }
    }

    fn items(&mut self, items: &mut [Value], node: &Node, place: &Place<'_>) -> Result<(), String> {
        let Some(node) = &node.items else { return Ok(()) };
        for (i, item) in items.iter_mut().enumerate() {
            self.value(item, node, &place.below(place.owner, Step::Index(i)))?;
        }
        Ok(())
    }

    fn map(&mut self, map: &mut Map<String, Value>, node: &Node, place: &Place<'_>) -> Result<(), String> {
        if node.is_free() {
            return Ok(());
        }
        if let Some(values) = &node.values {
            return self.free_keys(map, values, place);
        }
        map.retain(|key, value| {
            let known = node.properties.contains_key(key.as_str());
            if !known && self.unknown.len() < MAX_UNKNOWN {
                self.unknown.push(format!("unknown field \"{}\"", place.below(place.owner, Step::Field(key)).path(true)));
            }
            known && !value.is_null() && !node.leaves_out(key, value)
        });
        for (key, value) in map.iter_mut() {
            if let Some(child) = node.properties.get(key.as_str()) {
                self.value(value, child, &place.below(place.owner, Step::Field(key)))?;
            }
        }
        Ok(())
    }

    fn free_keys(&mut self, map: &mut Map<String, Value>, node: &Node, place: &Place<'_>) -> Result<(), String> {
        let text = node.resolve().1;
        // a time that is null is none
        let text = text.shape == Some(Shape::String) && text.format.as_deref() != Some("date-time");
        map.retain(|_, value| text || !value.is_null());
        for (key, value) in map.iter_mut() {
            if value.is_null() {
                *value = "".into();
            }
            self.value(value, node, &place.below(place.owner, Step::Field(key)))?;
        }
        Ok(())
    }
}

/// The type of a value.
fn shape_of(value: &Value) -> Shape {
    match value {
        Value::Object(_) => Shape::Object,
        Value::Array(_) => Shape::Array,
        Value::Bool(_) => Shape::Boolean,
        Value::Number(_) => Shape::Number,
        Value::String(_) | Value::Null => Shape::String,
    }
}

fn fits(value: &Value, node: &Node) -> bool {
    match (value.as_i64(), node.format.as_deref()) {
        (Some(n), Some("int32")) => i32::try_from(n).is_ok(),
        (n, _) => n.is_some(),
    }
}

/// Quantities become canonical text; ports and the like stay what they are.
fn number_or_text(value: &mut Value, name: &str, place: &Place<'_>) -> Result<(), String> {
    if name.ends_with(".Quantity") {
        match value {
            Value::String(_) | Value::Number(_) => *value = Quantity::from_json(value).map_err(|e| e.to_string())?.to_string().into(),
            other => return Err(mismatch(other, "resource.Quantity", place)),
        }
        return Ok(());
    }
    match value {
        Value::String(_) => Ok(()),
        Value::Number(n) if n.as_i64().is_some_and(|n| i32::try_from(n).is_ok()) => Ok(()),
        other => Err(mismatch(other, "intstr.IntOrString", place)),
    }
}

/// Checks the forms of texts; times are written with the precision that their type has.
fn string(text: &mut String, name: &str, node: &Node) -> Result<(), String> {
    match node.format.as_deref() {
        Some("byte") => STANDARD.decode(text.as_bytes()).map(drop).map_err(|e| match e {
            base64::DecodeError::InvalidByte(at, _) | base64::DecodeError::InvalidLastSymbol(at, _) => format!("illegal base64 data at input byte {at}"),
            base64::DecodeError::InvalidLength(at) => format!("illegal base64 data at input byte {at}"),
            base64::DecodeError::InvalidPadding => format!("illegal base64 data at input byte {}", text.len()),
        }),
        Some("date-time") => {
            let layout = if name.ends_with(".MicroTime") { "2006-01-02T15:04:05.000000Z07:00" } else { "2006-01-02T15:04:05Z07:00" };
            let parsed = time::parse(text).ok_or_else(|| format!("parsing time {text:?} as \"{layout}\": cannot parse {text:?} as \"2006\""))?;
            *text = if name.ends_with(".MicroTime") { time::format_micro(parsed) } else { time::format(parsed) };
            Ok(())
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;
    use std::sync::Arc;

    fn kind(group: &str, resource: &str) -> Arc<Kind> {
        crate::kinds::builtin().resource(group, resource).cloned().unwrap()
    }
    fn check(resource: (&str, &str), object: Value) -> (Value, Result<Vec<String>, String>) {
        let mut object = Object::from_value(object).unwrap();
        let result = validate_and_prune(&kind(resource.0, resource.1), &mut object);
        (Value::Object(object.0), result.map_err(|e| e.message))
    }
    const POD: (&str, &str) = ("", "pods");

    #[test]
    fn unknown_fields() {
        let pod =
            json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p", "extra": 1}, "spec": {"containers": [{"name": "c", "imag": "x"}], "foo": {}}});
        let pruned = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}});
        let names = [r#"unknown field "metadata.extra""#, r#"unknown field "spec.foo""#, r#"unknown field "spec.containers[0].imag""#];
        assert_eq!(check(POD, pod), (pruned, Ok(names.map(str::to_owned).to_vec())));
    }

    #[test]
    fn wrong_types() {
        let deployment = ("apps", "deployments");
        for (resource, object, why) in [
            (deployment, json!({"spec": {"replicas": "x"}}), "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32"),
            (
                deployment,
                json!({"spec": {"replicas": 3_000_000_000_u32}}),
                "json: cannot unmarshal number 3000000000 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (
                deployment,
                json!({"spec": {"replicas": 1.5}}),
                "json: cannot unmarshal number 1.5 into Go struct field DeploymentSpec.spec.replicas of type int32",
            ),
            (deployment, json!({"spec": []}), "json: cannot unmarshal array into Go struct field Deployment.spec of type v1.DeploymentSpec"),
            (POD, json!({"spec": {"containers": {}}}), "json: cannot unmarshal object into Go struct field PodSpec.spec.containers of type []v1.Container"),
            (
                POD,
                json!({"spec": {"containers": [{"image": 1}]}}),
                "json: cannot unmarshal number into Go struct field Container.spec.containers.image of type string",
            ),
            (POD, json!({"metadata": {"labels": {"a": 1}}}), "json: cannot unmarshal number into Go struct field ObjectMeta.metadata.labels.a of type string"),
            (POD, json!({"spec": {"containers": [{"resources": {"limits": {"cpu": "1x"}}}]}}), "unable to parse quantity's suffix"),
            (POD, json!({"metadata": {"creationTimestamp": "soon"}}), r#"parsing time "soon" as "2006-01-02T15:04:05Z07:00": cannot parse "soon" as "2006""#),
            (("", "secrets"), json!({"data": {"a": "*"}}), "illegal base64 data at input byte 0"),
        ] {
            let kind = kind(resource.0, resource.1);
            assert_eq!(check(resource, object).1, Err(refuse(&kind, why).message));
        }
    }

    #[test]
    fn canonical_forms() {
        let pod = json!({"metadata": {"creationTimestamp": null, "deletionTimestamp": "2026-01-01T01:00:00.5+01:00", "labels": {"a": null}, "managedFields": [{"fieldsV1": {"f:a": {}}}]},
            "spec": {"containers": [{"resources": {"limits": {"cpu": 0.5, "memory": "1024Mi"}}}], "nodeName": null}});
        let stored = json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z", "labels": {"a": ""}, "managedFields": [{"fieldsV1": {"f:a": {}}}]},
            "spec": {"containers": [{"resources": {"limits": {"cpu": "500m", "memory": "1Gi"}}}]}});
        assert_eq!(check(POD, pod), (stored, Ok(vec![])));
        let lease = check(("coordination.k8s.io", "leases"), json!({"spec": {"renewTime": "2026-01-01T00:00:00.5Z"}})).0;
        assert_eq!(lease["spec"]["renewTime"], "2026-01-01T00:00:00.500000Z");
    }

    #[test]
    fn what_is_empty_and_may_be_absent_is_left_out() {
        let map = json!({"metadata": {"labels": {}, "annotations": {}, "finalizers": [], "ownerReferences": []}, "data": {}});
        assert_eq!(check(("", "configmaps"), map), (json!({"metadata": {}}), Ok(vec![])));
        let pod = json!({"metadata": {}, "spec": {"containers": [], "securityContext": {}, "volumes": [{"name": "v", "emptyDir": {}}], "tolerations": []}});
        let want = json!({"metadata": {}, "spec": {"containers": [], "securityContext": {}, "volumes": [{"name": "v", "emptyDir": {}}]}});
        assert_eq!(check(POD, pod), (want, Ok(vec![])));
        let role = json!({"metadata": {}, "rules": [{"verbs": [], "apiGroups": [], "resources": []}]});
        assert_eq!(check(("rbac.authorization.k8s.io", "roles"), role).0, json!({"metadata": {}, "rules": [{"verbs": []}]}));
    }

    #[test]
    fn what_passes_is_typed() {
        let pod = json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c", "ports": [{"containerPort": 80}], "livenessProbe": {"httpGet": {"port": "http"}}}]}});
        let (pod, result) = check(POD, pod);
        assert_eq!(result, Ok(vec![]));
        let typed: k8s_openapi::api::core::v1::Pod = Object::from_value(pod).unwrap().to_typed().unwrap();
        assert_eq!(typed.spec.unwrap().containers.len(), 1);
    }

    proptest! {
        /// Whatever arrives: no panic, and what passes once passes again unchanged.
        #[test]
        fn stable(value in any_json()) {
            for row in crate::kinds::builtin().rows() {
                let Ok(mut object) = Object::from_value(json!({"metadata": value, "spec": value, "status": value, "data": value, "rules": value})) else { continue };
                if validate_and_prune(row, &mut object).is_ok() {
                    let mut again = object.clone();
                    prop_assert_eq!(validate_and_prune(row, &mut again), Ok(vec![]));
                    prop_assert_eq!(again, object);
                }
            }
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i32>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z0-9:%.]{0,4}".prop_map(Value::from)
        ];
        let keys = prop::sample::select(vec![
            "containers",
            "name",
            "labels",
            "resources",
            "limits",
            "cpu",
            "replicas",
            "template",
            "spec",
            "x",
            "ports",
            "port",
            "conditions",
            "creationTimestamp",
        ]);
        leaf.prop_recursive(5, 40, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
                prop::collection::hash_map(keys.clone(), inner, 0..5).prop_map(|m| json!(m))
            ]
        })
    }
}
