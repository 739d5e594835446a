//! A container's environment: pure, from the pod, its services, and the ConfigMaps and Secrets that it refers to.
use crate::downward::{self, DownwardSource};
use crate::objects::{Objects, RefKey};
use k8s_openapi::api::core::v1::{Container as Spec, EnvFromSource, EnvVar, EnvVarSource, Pod, Service};
use model::Stored;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Why there is no environment: the message of `CreateContainerConfigError`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct EnvError(pub String);

/// The most that a container's environment or its command's words are together; the kernel takes less.
const TOGETHER: usize = 8 << 20;

/// How much may still come.
#[derive(Debug)]
pub struct Room(usize);

impl Default for Room {
    fn default() -> Self {
        Self(TOGETHER)
    }
}

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), EnvError> {
        let left = self.0.checked_sub(bytes);
        self.0 = left.ok_or_else(|| EnvError(format!("environment variables, command and arguments are longer than {TOGETHER} bytes")))?;
        Ok(())
    }
}

/// Which objects the environment needs.
pub fn references(pod: &Pod, c: &Spec) -> Vec<RefKey> {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    let mut keys = Vec::new();
    for from in c.env_from.iter().flatten() {
        keys.extend(from.config_map_ref.as_ref().map(|r| RefKey::config_map(namespace, &r.name)));
        keys.extend(from.secret_ref.as_ref().map(|r| RefKey::secret(namespace, &r.name)));
    }
    for source in c.env.iter().flatten().filter_map(|e| e.value_from.as_ref()) {
        keys.extend(source.config_map_key_ref.as_ref().map(|r| RefKey::config_map(namespace, &r.name)));
        keys.extend(source.secret_key_ref.as_ref().map(|r| RefKey::secret(namespace, &r.name)));
    }
    keys
}

/// The environment, in Kubernetes' order of precedence: services, then `envFrom`, then `env`.
///
/// # Errors
/// [`EnvError`] in the kubelet's words, for what is missing and isn't optional.
pub fn environment(view: DownwardSource<'_>, c: &Spec, services: &[Arc<Stored>], objects: &Objects) -> Result<Vec<(String, String)>, EnvError> {
    let mut env: BTreeMap<String, String> = BTreeMap::new();
    let (mut order, mut room): (Vec<String>, Room) = Default::default();
    let mut put = |name: String, value: String, env: &mut BTreeMap<String, String>| {
        if env.insert(name.clone(), value).is_none() {
            order.push(name);
        }
    };
    for (name, value) in service_variables(view.pod, services) {
        put(name, value, &mut env);
    }
    let namespace = view.pod.metadata.namespace.as_deref().unwrap_or_default();
    for from in c.env_from.iter().flatten() {
        for (name, value) in whole(namespace, from, objects)? {
            room.take(value.len())?;
            put(name, value, &mut env);
        }
    }
    for var in c.env.iter().flatten() {
        if let Some(value) = one(view, c, namespace, var, objects, &env, &mut room)? {
            put(var.name.clone(), value, &mut env);
        }
    }
    Ok(order.into_iter().filter_map(|name| env.remove(&name).map(|value| (name, value))).collect())
}

fn whole(namespace: &str, from: &EnvFromSource, objects: &Objects) -> Result<Vec<(String, String)>, EnvError> {
    let prefix = from.prefix.as_deref().unwrap_or_default();
    let (key, optional, what) = match (&from.config_map_ref, &from.secret_ref) {
        (Some(r), _) => (RefKey::config_map(namespace, &r.name), r.optional, "configmap"),
        (_, Some(r)) => (RefKey::secret(namespace, &r.name), r.optional, "secret"),
        _ => return Ok(Vec::new()),
    };
    match objects.data(&key) {
        Some(data) => Ok(data.into_iter().map(|(k, v)| (format!("{prefix}{k}"), String::from_utf8_lossy(&v).into_owned())).collect()),
        None if optional == Some(true) => Ok(Vec::new()),
        None => Err(EnvError(format!("{what} \"{}\" not found", key.name))),
    }
}

type Variables = BTreeMap<String, String>;

fn one(
    view: DownwardSource<'_>,
    c: &Spec,
    namespace: &str,
    var: &EnvVar,
    objects: &Objects,
    so_far: &Variables,
    room: &mut Room,
) -> Result<Option<String>, EnvError> {
    let Some(source) = &var.value_from else {
        return expand(var.value.as_deref().unwrap_or_default(), |name| so_far.get(name).map(String::as_str), room).map(Some);
    };
    let value = from_source(view, c, namespace, source, objects)?;
    room.take(value.as_ref().map_or(0, String::len))?;
    Ok(value)
}

fn from_source(view: DownwardSource<'_>, c: &Spec, namespace: &str, source: &EnvVarSource, objects: &Objects) -> Result<Option<String>, EnvError> {
    if let Some(f) = &source.field_ref {
        return downward::field(view, f).map(Some).map_err(EnvError);
    }
    if let Some(r) = &source.resource_field_ref {
        return downward::resource(view, r, &c.name).map(Some).map_err(EnvError);
    }
    let (key, entry, optional, what, kind) = match (&source.config_map_key_ref, &source.secret_key_ref) {
        (Some(r), _) => (RefKey::config_map(namespace, &r.name), &r.key, r.optional, "configmap", "ConfigMap"),
        (_, Some(r)) => (RefKey::secret(namespace, &r.name), &r.key, r.optional, "secret", "Secret"),
        _ => return Err(EnvError("a variable has no source that this version supports".to_owned())),
    };
    let optional = optional == Some(true);
    match objects.get(&key) {
        None if optional => Ok(None),
        None => Err(EnvError(format!("{what} \"{}\" not found", key.name))),
        Some(_) => match objects.value(&key, entry) {
            Some(value) => Ok(Some(String::from_utf8_lossy(&value).into_owned())),
            None if optional => Ok(None),
            None => Err(EnvError(format!("couldn't find key {entry} in {kind} {namespace}/{}", key.name))),
        },
    }
}

/// Replaces `$(NAME)`; `$$` is a dollar, and what isn't known stays as it is written.
///
/// # Errors
/// When there is no room for it: what variables stand for may have variables in it, and grows with each of them.
pub fn expand<'v>(text: &str, lookup: impl Fn(&str) -> Option<&'v str>, room: &mut Room) -> Result<String, EnvError> {
    let mut out = String::new();
    let mut push = |piece: &str| room.take(piece.len()).map(|()| out.push_str(piece));
    let mut rest = text;
    while let Some(at) = rest.find('$') {
        let (before, after) = rest.split_at(at);
        push(before)?;
        let after = after.get(1..).unwrap_or_default();
        if let Some(tail) = after.strip_prefix('$') {
            push("$")?;
            rest = tail;
        } else if let Some((name, tail)) = after.strip_prefix('(').and_then(|a| a.split_once(')')) {
            match lookup(name) {
                Some(value) => push(value)?,
                None => ["$(", name, ")"].into_iter().try_for_each(&mut push)?,
            }
            rest = tail;
        } else {
            push("$")?;
            rest = after;
        }
    }
    push(rest)?;
    Ok(out)
}

/// `KUBERNETES_*` always; the namespace's other services where `enableServiceLinks` isn't off.
fn service_variables(pod: &Pod, services: &[Arc<Stored>]) -> Vec<(String, String)> {
    let links = crate::pod::spec(pod).enable_service_links.unwrap_or(true);
    let own = pod.metadata.namespace.as_deref().unwrap_or_default();
    let is_master = |s: &Stored| &*s.key.namespace == "default" && &*s.key.name == "kubernetes";
    let shown = services.iter().filter(|s| is_master(s) || (links && &*s.key.namespace == own));
    let mut typed: Vec<Arc<Service>> = shown.filter_map(|s| s.typed::<Service>().ok()).collect();
    // A service of the pod's own namespace wins over the master's.
    typed.sort_by_key(|s| s.metadata.namespace.as_deref() == Some(own));
    typed.iter().flat_map(|s| variables(s)).collect()
}

fn variables(service: &Service) -> Vec<(String, String)> {
    let spec = service.spec.as_ref();
    let Some(ip) = spec.and_then(|s| s.cluster_ip.as_deref()).filter(|ip| !ip.is_empty() && *ip != "None") else { return Vec::new() };
    let prefix = service.metadata.name.as_deref().unwrap_or_default().to_uppercase().replace('-', "_");
    let ports = spec.and_then(|s| s.ports.as_deref()).unwrap_or_default();
    let Some(first) = ports.first() else { return Vec::new() };
    let host = if ip.contains(':') { format!("[{ip}]") } else { ip.to_owned() };
    let mut out = vec![(format!("{prefix}_SERVICE_HOST"), ip.to_owned()), (format!("{prefix}_SERVICE_PORT"), first.port.to_string())];
    for port in ports {
        if let Some(name) = port.name.as_deref().filter(|n| !n.is_empty()) {
            out.push((format!("{prefix}_SERVICE_PORT_{}", name.to_uppercase().replace('-', "_")), port.port.to_string()));
        }
    }
    for (i, port) in ports.iter().enumerate() {
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{host}:{}", protocol.to_lowercase(), port.port);
        if i == 0 {
            out.push((format!("{prefix}_PORT"), url.clone()));
        }
        let stem = format!("{prefix}_PORT_{}_{protocol}", port.port);
        out.push((stem.clone(), url));
        out.push((format!("{stem}_PROTO"), protocol.to_lowercase()));
        out.push((format!("{stem}_PORT"), port.port.to_string()));
        out.push((format!("{stem}_ADDR"), ip.to_owned()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn expansion() {
        let lookup = |name: &str| (name == "A").then_some("x");
        for (text, want) in [("$(A)b", "xb"), ("$$(A)", "$(A)"), ("$(B)", "$(B)"), ("$A", "$A"), ("$(A", "$(A"), ("é$(A)é$", "éxé$"), ("", "")] {
            assert_eq!(expand(text, lookup, &mut Room::default()).as_deref(), Ok(want), "{text}");
        }
    }

    #[test]
    fn what_grows_without_end_is_cut() {
        let twice = |i: u32| json!({"name": format!("V{i}"), "value": format!("$(V{})$(V{})", i - 1, i - 1)});
        let list: Vec<serde_json::Value> = std::iter::once(json!({"name": "V0", "value": "xxxxxxxx"})).chain((1..60).map(twice)).collect();
        assert!(env(json!({"name": "c", "env": list})).unwrap_err().contains("longer than"));
        let many: Vec<serde_json::Value> =
            (0..5).map(|i| json!({"name": format!("X{i}"), "valueFrom": {"configMapKeyRef": {"name": "big", "key": "b"}}})).collect();
        let (pod, mut objects) = fixture();
        objects.put(RefKey::config_map("n", "big"), json!({"metadata": {"name": "big"}, "data": {"b": "x".repeat(2 << 20)}}));
        let view = DownwardSource { pod: &pod, pod_ips: &[], host_ips: &[], allocatable: (0, 0) };
        let c = serde_json::from_value(json!({"name": "c", "env": many})).unwrap();
        assert!(environment(view, &c, &[], &objects).unwrap_err().0.contains("longer than"));
    }

    fn fixture() -> (Pod, Objects) {
        let pod = serde_json::from_value(json!({"metadata": {"name": "p", "namespace": "n"}, "spec": {"containers": []}})).unwrap();
        let mut objects = Objects::default();
        objects.put(RefKey::config_map("n", "cm"), json!({"metadata": {"name": "cm"}, "data": {"K": "v", "L": "w"}}));
        objects.put(RefKey::secret("n", "s"), json!({"metadata": {"name": "s"}, "data": {"P": "aGk="}}));
        (pod, objects)
    }

    fn env(container: serde_json::Value) -> Result<Vec<(String, String)>, String> {
        let (pod, objects) = fixture();
        let view = DownwardSource { pod: &pod, pod_ips: &[], host_ips: &[], allocatable: (0, 0) };
        environment(view, &serde_json::from_value(container).unwrap(), &[], &objects).map_err(|e| e.0)
    }

    #[test]
    fn sources_in_order() {
        let got = env(json!({"name": "c",
            "envFrom": [{"prefix": "X_", "configMapRef": {"name": "cm"}}, {"secretRef": {"name": "s"}}, {"secretRef": {"name": "no", "optional": true}}],
            "env": [{"name": "X_K", "value": "$(P)!"}, {"name": "N", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
                    {"name": "C", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "no", "optional": true}}}]}));
        let want = [("X_K", "hi!"), ("X_L", "w"), ("P", "hi"), ("N", "p")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        assert_eq!(got.unwrap(), want);
    }

    #[test]
    fn what_is_missing_is_said_as_the_kubelet_says_it() {
        for (env_json, want) in [
            (json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "no", "key": "k"}}}]), "configmap \"no\" not found"),
            (json!([{"name": "A", "valueFrom": {"configMapKeyRef": {"name": "cm", "key": "k"}}}]), "couldn't find key k in ConfigMap n/cm"),
            (json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]), "couldn't find key k in Secret n/s"),
        ] {
            assert_eq!(env(json!({"name": "c", "env": env_json})).unwrap_err(), want);
        }
    }

    #[test]
    fn services_as_docker_links() {
        let service: Service = serde_json::from_value(
            json!({"metadata": {"name": "my-db"}, "spec": {"clusterIP": "10.0.0.1", "ports": [{"port": 80, "name": "http"}, {"port": 53, "protocol": "UDP"}]}}),
        )
        .unwrap();
        let got: Vec<String> = variables(&service).into_iter().map(|(k, v)| format!("{k}={v}")).collect();
        assert_eq!(got.first().map(String::as_str), Some("MY_DB_SERVICE_HOST=10.0.0.1"));
        for want in ["MY_DB_SERVICE_PORT=80", "MY_DB_SERVICE_PORT_HTTP=80", "MY_DB_PORT=tcp://10.0.0.1:80", "MY_DB_PORT_53_UDP_ADDR=10.0.0.1"] {
            assert!(got.iter().any(|g| g == want), "{want} in {got:?}");
        }
    }
}
