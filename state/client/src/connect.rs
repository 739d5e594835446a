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

/// What a request that is passed on names: `[SCHEME:]NAME[:PORT]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProxyName {
    /// The object's name.
    pub name: String,
    /// A port's number or name; `""` for the one that is meant where none is named.
    pub port: String,
    /// Whether the scheme is `https`.
    pub tls: bool,
}

impl ProxyName {
    /// Reads it; nothing where it is of no such form.
    pub fn parse(text: &str) -> Option<Self> {
        let (scheme, name, port) = match text.split(':').collect::<Vec<_>>().as_slice() {
            [name] => ("", *name, ""),
            [name, port] if !port.is_empty() => ("", *name, *port),
            [scheme @ ("http" | "https" | ""), name, port] => (*scheme, *name, *port),
            _ => return None,
        };
        (!name.is_empty()).then(|| Self { name: name.to_owned(), port: port.to_owned(), tls: scheme == "https" })
    }
}

/// Where a request that is passed on goes: a port of a pod's own network, on the pod's node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProxyTarget {
    /// The pod's node.
    pub node: String,
    /// The pod's namespace.
    pub namespace: String,
    /// The pod's name.
    pub pod: String,
    /// The pod's UID.
    pub uid: String,
    /// The pod's address.
    pub address: String,
    /// The port.
    pub port: u16,
    /// Whether it speaks TLS.
    pub tls: bool,
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
    fn names_of_what_is_passed_on() {
        let of = |text: &str| ProxyName::parse(text).map(|n| (n.name, n.port, n.tls));
        let want = |name: &str, port: &str, tls| Some((name.to_owned(), port.to_owned(), tls));
        let rows = [
            ("a", want("a", "", false)),
            ("a:80", want("a", "80", false)),
            ("a:web", want("a", "web", false)),
            ("http:a:80", want("a", "80", false)),
            ("https:a:", want("a", "", true)),
            ("https:a:web", want("a", "web", true)),
            ("ftp:a:80", None),
            ("a:", None),
            ("", None),
            (":80", None),
            ("https:a:80:1", None),
        ];
        rows.into_iter().for_each(|(text, parsed)| assert_eq!(of(text), parsed, "{text}"));
    }

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
