//! Streams into a pod (`log`, `exec`, `attach`, `portforward`): what must hold before the node is asked.
use model::{ApiError, Object, Subresource};
use serde::{Deserialize, Serialize};
use serde_json::Value;

const DEFAULT_CONTAINER: &str = "kubectl.kubernetes.io/default-container";

/// The part of a Connect request's body that is read here; the rest is the node's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Target {
    /// The container asked for; `""`: the default one.
    pub container: String,
}

/// Checks that `pod` can be streamed from or to. `container` is the one asked for, `""` for the default.
/// Returns the container that is meant; `""` for a port-forward, which means the whole pod.
///
/// # Errors
/// 400 in Kubernetes' words: no node yet, no such container, several to choose from.
pub fn check(sub: Subresource, pod: &Object, container: &str) -> Result<String, ApiError> {
    let name = pod.name();
    if pod.str_at(&["spec", "nodeName"]).is_empty() {
        return Err(ApiError::bad_request(format!("pod {name} does not have a host assigned")));
    }
    let phase = pod.str_at(&["status", "phase"]);
    if sub != Subresource::LOG && matches!(phase, "Succeeded" | "Failed") {
        return Err(ApiError::bad_request(format!("cannot exec into a container in a completed pod; current phase is {phase}")));
    }
    if sub == Subresource::PORTFORWARD { Ok(String::new()) } else { chosen(pod, container) }
}

fn names<'a>(pod: &'a Object, list: &str) -> Vec<&'a str> {
    pod.list_at(&["spec", list]).iter().filter_map(|c| c.get("name").and_then(Value::as_str)).collect()
}

fn chosen(pod: &Object, container: &str) -> Result<String, ApiError> {
    let (main, init, ephemeral) = (names(pod, "containers"), names(pod, "initContainers"), names(pod, "ephemeralContainers"));
    let exists = |c: &&str| main.contains(c) || init.contains(c) || ephemeral.contains(c);
    if !container.is_empty() {
        return match Some(container).filter(exists) {
            Some(c) => Ok(c.to_owned()),
            None => Err(ApiError::bad_request(format!("container {container} is not valid for pod {}", pod.name()))),
        };
    }
    if let Some(default) = pod.annotation(DEFAULT_CONTAINER).filter(exists) {
        return Ok(default.to_owned());
    }
    match main.as_slice() {
        [one] => Ok((*one).to_owned()),
        [] => Err(ApiError::bad_request(format!("a container name must be specified for pod {}", pod.name()))),
        many => {
            let init = if init.is_empty() { String::new() } else { format!(" or one of the init containers: [{}]", init.join(" ")) };
            Err(ApiError::bad_request(format!("a container name must be specified for pod {}, choose one of: [{}]{init}", pod.name(), many.join(" "))))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn containers() {
        let pod = |spec: Value, annotations: Value, phase: &str| {
            Object::from_value(json!({"metadata": {"name": "p", "annotations": annotations}, "spec": spec, "status": {"phase": phase}})).unwrap()
        };
        let one = json!({"nodeName": "n", "containers": [{"name": "a"}]});
        let two = json!({"nodeName": "n", "containers": [{"name": "a"}, {"name": "b"}], "initContainers": [{"name": "i"}]});
        let cases = [
            (Subresource::EXEC, one.clone(), json!({}), "Running", "", Ok("a")),
            (Subresource::EXEC, one.clone(), json!({}), "Running", "x", Err("container x is not valid for pod p")),
            (Subresource::EXEC, one.clone(), json!({}), "Succeeded", "", Err("cannot exec into a container in a completed pod; current phase is Succeeded")),
            (Subresource::LOG, one, json!({}), "Succeeded", "", Ok("a")),
            (
                Subresource::LOG,
                two.clone(),
                json!({}),
                "Running",
                "",
                Err("a container name must be specified for pod p, choose one of: [a b] or one of the init containers: [i]"),
            ),
            (Subresource::LOG, two.clone(), json!({DEFAULT_CONTAINER: "b"}), "Running", "", Ok("b")),
            (Subresource::LOG, two.clone(), json!({}), "Running", "i", Ok("i")),
            (Subresource::PORTFORWARD, two, json!({}), "Running", "", Ok("")),
            (Subresource::LOG, json!({"containers": [{"name": "a"}]}), json!({}), "Pending", "", Err("pod p does not have a host assigned")),
        ];
        for (sub, spec, annotations, phase, container, want) in cases {
            let got = check(sub, &pod(spec, annotations, phase), container).map_err(|e| e.message);
            assert_eq!(got, want.map(str::to_owned).map_err(str::to_owned));
        }
    }
}
