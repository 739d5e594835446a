//! `scale`: the replicas of whatever has replicas, as `autoscaling/v1` Scale.
use model::scale::{self, steps};
use model::{ApiError, Cause, Kind, Object};
use serde_json::{Map, Value, json};

/// The Scale of an object.
pub fn of(kind: &Kind, object: &Object) -> Object {
    let mut metadata = Map::new();
    for field in ["name", "namespace", "uid", "resourceVersion", "creationTimestamp"] {
        if let Some(value) = object.at(&["metadata", field]) {
            metadata.insert(field.to_owned(), value.clone());
        }
    }
    let scaled = scale::read(&kind.scale, object);
    let mut status = json!({"replicas": scaled.current});
    if let Some(selector) = scaled.selector {
        status["selector"] = json!(selector);
    }
    let mut scale = Object::default();
    scale.set(&["apiVersion"], "autoscaling/v1");
    scale.set(&["kind"], "Scale");
    scale.set(&["metadata"], metadata);
    scale.set(&["spec"], json!({"replicas": scaled.desired}));
    scale.set(&["status"], status);
    scale
}

/// The configuration of an object that an applied Scale is.
///
/// # Errors
/// As [`apply`].
pub fn configuration(kind: &Kind, scale: &Object) -> Result<Object, ApiError> {
    let mut object = Object::default();
    if scale.at(&["spec", "replicas"]).is_some() {
        let replicas = replicas(scale)?;
        object.set(&steps(&kind.scale.desired), replicas);
    }
    Ok(object)
}

/// The object with the replicas that `scale` asks for. A `resourceVersion` or `uid` in `scale` must be the object's.
///
/// # Errors
/// 409 for a stale Scale, 422 for a negative number.
pub fn apply(kind: &Kind, scale: &Object, object: &Object) -> Result<Object, ApiError> {
    if !scale.resource_version().is_empty() && scale.resource_version() != object.resource_version() {
        return Err(ApiError::modified(&kind.group, &kind.resource, object.name()));
    }
    if !scale.uid().is_empty() && scale.uid() != object.uid() {
        let why = format!("Precondition failed: UID in precondition: {}, UID in object meta: {}", scale.uid(), object.uid());
        return Err(ApiError::conflict(&kind.group, &kind.resource, object.name(), why));
    }
    let replicas = replicas(scale)?;
    let mut next = object.clone();
    next.set(&steps(&kind.scale.desired), replicas);
    Ok(next)
}

/// The replicas that a Scale asks for.
fn replicas(scale: &Object) -> Result<i64, ApiError> {
    let replicas = match scale.at(&["spec", "replicas"]) {
        None | Some(Value::Null) => 0,
        Some(value) => {
            value.as_i64().ok_or_else(|| ApiError::bad_request("Scale in version \"v1\" cannot be handled as a Scale: spec.replicas is not an integer"))?
        }
    };
    if !(0..=i64::from(i32::MAX)).contains(&replicas) {
        let cause = Cause::invalid("spec.replicas", &json!(replicas), "must be greater than or equal to 0");
        return Err(ApiError::invalid("autoscaling", "Scale", scale.name(), vec![cause]));
    }
    Ok(replicas)
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kinds;

    fn deployment() -> Object {
        Object::from_value(json!({
            "metadata": {"name": "web", "namespace": "default", "uid": "u", "resourceVersion": "7"},
            "spec": {"replicas": 2, "selector": {"matchLabels": {"app": "web", "tier": "front"}}}, "status": {"replicas": 1},
        }))
        .unwrap()
    }

    #[test]
    fn read() {
        let scale = of(kinds::builtin().resource("apps", "deployments").unwrap(), &deployment());
        assert_eq!((scale.int_at(&["spec", "replicas"]), scale.int_at(&["status", "replicas"])), (Some(2), Some(1)));
        assert_eq!((scale.str_at(&["status", "selector"]), scale.resource_version()), ("app=web,tier=front", "7"));
    }

    #[test]
    fn written() {
        let kinds = kinds::builtin();
        let kind = kinds.resource("apps", "deployments").unwrap();
        let attempt =
            |scale: Value| apply(kind, &Object::from_value(scale).unwrap(), &deployment()).map(|o| o.int_at(&["spec", "replicas"])).map_err(|e| e.code());
        assert_eq!(attempt(json!({"spec": {"replicas": 5}})), Ok(Some(5)));
        assert_eq!(attempt(json!({"metadata": {"resourceVersion": "7"}, "spec": {"replicas": 5}})), Ok(Some(5)));
        assert_eq!(attempt(json!({"metadata": {"resourceVersion": "6"}, "spec": {"replicas": 5}})), Err(409));
        assert_eq!(attempt(json!({"spec": {"replicas": -1}})), Err(422));
        assert_eq!(attempt(json!({"spec": {"replicas": "x"}})), Err(400));
        assert_eq!(attempt(json!({"spec": {}})), Ok(Some(0)));
    }
}
