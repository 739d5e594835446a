//! Each step of admission on its own, against a cluster in a map.
use super::*;
use crate::lookup::fixture::MapLookup;
use crate::subresource::token::TokenKeys;
use base64::Engine;
use model::{ApiError, Subresource, kinds};
use serde_json::{Value, json};
use state_client::User;

fn object(v: Value) -> Object {
    Object::from_value(v).unwrap()
}

fn root() -> User {
    User { name: "root".into(), groups: vec!["system:masters".into()], ..User::default() }
}

fn cluster() -> MapLookup {
    MapLookup::default()
        .with("", "namespaces", json!({"metadata": {"name": "default"}}))
        .with("", "namespaces", json!({"metadata": {"name": "ending", "deletionTimestamp": "2026-01-01T00:00:00Z"}, "status": {"phase": "Terminating"}}))
        .with("", "serviceaccounts", json!({"metadata": {"namespace": "default", "name": "default"}}))
        .with("", "serviceaccounts", json!({"metadata": {"namespace": "default", "name": "quiet"}, "automountServiceAccountToken": false, "imagePullSecrets": [{"name": "pull"}]}))
        .with("", "serviceaccounts", json!({"metadata": {"namespace": "default", "name": "robot", "uid": "robot-1"}}))
        .with("scheduling.k8s.io", "priorityclasses", json!({"metadata": {"name": "high"}, "value": 1000, "preemptionPolicy": "Never"}))
        .with("", "services", json!({"metadata": {"namespace": "default", "name": "other"}, "spec": {"type": "NodePort", "clusterIP": "10.96.0.9", "ports": [{"port": 80, "nodePort": 30_001}]}}))
}

struct Case<'a> {
    user: User,
    resource: &'a str,
    subresource: Option<Subresource>,
    old: Option<Value>,
    new: Value,
}

impl<'a> Case<'a> {
    fn create(resource: &'a str, new: Value) -> Self {
        Self { user: root(), resource, subresource: None, old: None, new }
    }

    fn run(self, step: &dyn Step) -> Result<(Object, Effects), ApiError> {
        let (kinds, view, old) = (kinds::builtin(), cluster(), self.old.map(object));
        let kind = kinds.rows().iter().find(|k| &*k.resource == self.resource).unwrap();
        let request = Admit { user: &self.user, kind, subresource: self.subresource, old: old.as_ref(), view: &view, entropy: 7 };
        let (mut object, mut held) = (object(self.new), Effects::default());
        step.admit(&request, &mut object, &mut held).map_err(|r| r.error)?;
        Ok((object, held))
    }
}

fn pod(namespace: &str, spec: Value) -> Value {
    json!({"metadata": {"namespace": namespace, "name": "x"}, "spec": spec})
}

#[test]
fn content_needs_a_living_namespace() {
    let step = lifecycle::NamespaceLifecycle;
    let message = |ns: &str| Case::create("pods", pod(ns, json!({}))).run(&step).map(|_| ()).map_err(|e| (e.code(), e.message));
    assert_eq!(message("default"), Ok(()));
    assert_eq!(message("none"), Err((404, "namespaces \"none\" not found".into())));
    let why = "pods \"x\" is forbidden: unable to create new content in namespace ending because it is being terminated";
    assert_eq!(message("ending"), Err((403, why.into())));
    let update = Case { old: Some(pod("ending", json!({}))), ..Case::create("pods", pod("ending", json!({}))) };
    assert!(update.run(&step).is_ok());
}

#[test]
fn some_namespaces_stay() {
    let (kinds, view, user) = (kinds::builtin(), cluster(), root());
    let kind = kinds.resource("", "namespaces").unwrap();
    let request = Admit { user: &user, kind, subresource: None, old: None, view: &view, entropy: 0 };
    for (name, goes) in [("default", false), ("kube-system", false), ("kube-public", false), ("mine", true)] {
        let o = object(json!({"metadata": {"name": name}}));
        assert_eq!(lifecycle::NamespaceLifecycle.admit_delete(&request, &o).is_ok(), goes, "{name}");
    }
}

#[test]
fn pods_get_an_account_and_its_token() {
    let step = service_account::ServiceAccount { patience: Duration::ZERO };
    let spec =
        json!({"containers": [{"name": "a"}, {"name": "b", "volumeMounts": [{"name": "own", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]}]});
    let (got, _) = Case::create("pods", pod("default", spec.clone())).run(&step).unwrap();
    assert_eq!(got.str_at(&["spec", "serviceAccountName"]), "default");
    assert_eq!(got.str_at(&["spec", "serviceAccount"]), "default");
    let volume = &got.list_at(&["spec", "volumes"])[0];
    assert_eq!(volume["projected"]["sources"][0]["serviceAccountToken"]["expirationSeconds"], json!(3607));
    let containers = got.list_at(&["spec", "containers"]);
    assert_eq!((containers[0]["volumeMounts"][0]["name"].clone(), containers[1]["volumeMounts"][0]["name"].clone()), (volume["name"].clone(), json!("own")));

    let quiet = json!({"serviceAccountName": "quiet", "containers": [{"name": "a"}]});
    let (got, _) = Case::create("pods", pod("default", quiet)).run(&step).unwrap();
    assert_eq!((got.list_at(&["spec", "volumes"]).len(), got.list_at(&["spec", "imagePullSecrets"]).len()), (0, 1));

    let gone = Case::create("pods", pod("other", spec)).run(&step).map(|_| ()).unwrap_err();
    assert_eq!(gone.message, "pods \"x\" is forbidden: error looking up service account other/default: serviceaccount \"default\" not found");
}

#[test]
fn priorities() {
    let cases = [
        (json!({}), Ok((0, "PreemptLowerPriority"))),
        (json!({"priorityClassName": "high"}), Ok((1000, "Never"))),
        (json!({"priorityClassName": "high", "priority": 1000}), Ok((1000, "Never"))),
        (json!({"priorityClassName": "system-node-critical"}), Ok((2_000_001_000, "PreemptLowerPriority"))),
        (json!({"priorityClassName": "none"}), Err("pods \"x\" is forbidden: no PriorityClass with name none was found")),
    ];
    for (spec, want) in cases {
        let got = Case::create("pods", pod("default", spec)).run(&priority::Priority);
        let got = got.map(|(o, _)| (o.int_at(&["spec", "priority"]).unwrap(), o.str_at(&["spec", "preemptionPolicy"]).to_owned())).map_err(|e| e.message);
        assert_eq!(got, want.map(|(n, p)| (n, p.to_owned())).map_err(str::to_owned));
    }
    let kept = Case { old: Some(pod("default", json!({"priority": 7, "preemptionPolicy": "Never"}))), ..Case::create("pods", pod("default", json!({}))) };
    let (kept, _) = kept.run(&priority::Priority).unwrap();
    assert_eq!((kept.int_at(&["spec", "priority"]), kept.str_at(&["spec", "preemptionPolicy"])), (Some(7), "Never"));
    let given = Case::create("pods", pod("default", json!({"priority": 5}))).run(&priority::Priority);
    assert!(given.is_err_and(|e| e.code() == 403));
}

#[test]
fn a_token_comes_with_the_accounts_uid() {
    let pair = rcgen::KeyPair::generate().unwrap();
    let keys = TokenKeys { private_pem: pair.serialize_pem(), public_pem: pair.public_key_pem() };
    let step = token_secret::TokenSecret(Some(Tokens::new(&keys).unwrap()));
    let metadata = |uid: &str| {
        json!({"namespace": "default", "name": "t", "uid": "s-1", "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"kubernetes.io/service-account.name": "robot", "kubernetes.io/service-account.uid": uid}})
    };
    let secret = |uid: &str, kind: &str| json!({"metadata": metadata(uid), "type": kind});
    const TYPE: &str = "kubernetes.io/service-account-token";
    let run = |new: Value, old: Option<Value>| {
        let (got, _) = Case { old, ..Case::create("secrets", new) }.run(&step).unwrap();
        base64::prelude::BASE64_STANDARD.decode(got.str_at(&["data", "token"])).map(|token| String::from_utf8(token).unwrap()).unwrap()
    };
    for (new, old) in [
        (secret("robot-1", TYPE), None),
        (secret("robot-2", TYPE), Some(secret("", TYPE))),
        (secret("", TYPE), Some(secret("", TYPE))),
        (secret("robot-1", "Opaque"), Some(secret("", "Opaque"))),
    ] {
        assert_eq!(run(new.clone(), old), "", "{new}");
    }
    let token = run(secret("robot-1", TYPE), Some(secret("", TYPE)));
    let verifier = state_client::token::Verifier::new(&keys.public_pem).unwrap();
    let claims = verifier.verify(&token, &[], "2126-01-01T00:00:00Z".parse().unwrap()).unwrap();
    assert_eq!((claims.user().name.as_str(), claims.bound.secret.unwrap().uid.as_str()), ("system:serviceaccount:default:robot", "s-1"));
}

#[test]
fn no_runtime_class_exists() {
    let run = |spec: Value| Case::create("pods", pod("default", spec)).run(&runtime_class::RuntimeClass).map(|_| ()).map_err(|e| (e.code(), e.message));
    assert_eq!(run(json!({})), Ok(()));
    assert_eq!(run(json!({"runtimeClassName": "kata"})), Err((403, "pods \"x\" is forbidden: pod rejected: RuntimeClass \"kata\" not found".into())));
}

#[test]
fn tolerations_by_default() {
    let cases = [
        (json!({}), 2),
        (json!({"tolerations": [{"operator": "Exists"}]}), 1),
        (json!({"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 5}]}), 2),
        (json!({"tolerations": [{"key": "x", "operator": "Exists", "effect": "NoSchedule"}]}), 3),
    ];
    for (spec, want) in cases {
        let (got, _) = Case::create("pods", pod("default", spec)).run(&tolerations::DefaultTolerationSeconds).unwrap();
        assert_eq!(got.list_at(&["spec", "tolerations"]).len(), want);
        let update = Case { old: Some(pod("default", json!({}))), ..Case::create("pods", pod("default", spec_again(&got))) };
        assert_eq!(update.run(&tolerations::DefaultTolerationSeconds).unwrap().0.list_at(&["spec", "tolerations"]).len(), want, "once more");
    }
    let update = Case { old: Some(pod("default", json!({}))), ..Case::create("pods", pod("default", json!({}))) };
    assert_eq!(update.run(&tolerations::DefaultTolerationSeconds).unwrap().0.list_at(&["spec", "tolerations"]).len(), 2);
}

fn spec_again(pod: &Object) -> Value {
    pod.at(&["spec"]).cloned().unwrap()
}

fn service(spec: Value) -> Value {
    json!({"metadata": {"namespace": "default", "name": "x"}, "spec": spec})
}

#[test]
fn services_get_addresses_and_ports() {
    let step = service::Allocation::new(service::Ranges::default());
    let run = |spec: Value| Case::create("services", service(spec)).run(&step);
    let (got, held) = run(json!({"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]})).unwrap();
    let ip: std::net::Ipv4Addr = got.str_at(&["spec", "clusterIP"]).parse().unwrap();
    assert!(service::Ranges::default().services.contains(&ip));
    let ports: Vec<u64> = got.list_at(&["spec", "ports"]).iter().map(|p| p["nodePort"].as_u64().unwrap()).collect();
    assert_ne!(ports[0], ports[1]);
    // a write on its way keeps its address from others
    let (other, _) = run(json!({"type": "ClusterIP"})).unwrap();
    assert_ne!(other.str_at(&["spec", "clusterIP"]), ip.to_string());
    drop(held);
    let (again, _) = run(json!({"type": "ClusterIP"})).unwrap();
    assert_eq!(again.str_at(&["spec", "clusterIP"]), ip.to_string());

    let (headless, _) = run(json!({"type": "ClusterIP", "clusterIP": "None"})).unwrap();
    assert_eq!(headless.str_at(&["spec", "clusterIP"]), "None");
    let (fixed, _) = run(json!({"type": "ClusterIP", "clusterIP": "10.96.0.1"})).unwrap();
    assert_eq!(fixed.list_at(&["spec", "clusterIPs"]), [json!("10.96.0.1")]);
}

#[test]
fn services_are_refused_what_is_taken() {
    let step = service::Allocation::new(service::Ranges::default());
    let cases = [
        (
            json!({"type": "ClusterIP", "clusterIP": "10.96.0.9"}),
            "spec.clusterIPs: Invalid value: [\"10.96.0.9\"]: failed to allocate IP 10.96.0.9: provided IP is already allocated",
        ),
        (
            json!({"type": "ClusterIP", "clusterIP": "10.0.0.1"}),
            "spec.clusterIPs: Invalid value: [\"10.0.0.1\"]: failed to allocate IP 10.0.0.1: the provided IP (10.0.0.1) is not in the valid range. The range of valid IPs is 10.96.0.0/16",
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 30_001}]}),
            "spec.ports[0].nodePort: Invalid value: 30001: provided port is already allocated",
        ),
        (
            json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 80}]}),
            "spec.ports[0].nodePort: Invalid value: 80: provided port is not in the valid range. The range of valid ports is 30000-32767",
        ),
    ];
    for (spec, want) in cases {
        let e = Case::create("services", service(spec)).run(&step).map(|_| ()).unwrap_err();
        assert_eq!(e.message, format!("Service \"x\" is invalid: {want}"));
    }
}

#[test]
fn services_keep_what_they_have() {
    let step = service::Allocation::new(service::Ranges::default());
    let old = service(json!({"type": "NodePort", "clusterIP": "10.96.3.4", "clusterIPs": ["10.96.3.4"], "ports": [{"port": 80, "nodePort": 31_000}]}));
    let new = service(json!({"type": "NodePort", "ports": [{"port": 80}, {"port": 81}]}));
    let (got, _) = Case { old: Some(old), ..Case::create("services", new) }.run(&step).unwrap();
    assert_eq!(got.str_at(&["spec", "clusterIP"]), "10.96.3.4");
    assert_eq!(got.list_at(&["spec", "ports"])[0]["nodePort"], json!(31_000));
}

#[test]
fn addresses_that_disagree_are_not_written_over() {
    let step = service::Allocation::new(service::Ranges::default());
    let run = |old: Option<Value>, spec: Value| Case { old: old.map(service), ..Case::create("services", service(spec)) }.run(&step);
    for (spec, expected) in [
        (
            json!({"clusterIP": "10.96.0.77", "clusterIPs": ["10.96.0.78"]}),
            "spec.clusterIPs: Invalid value: [\"10.96.0.78\"]: first value must match `clusterIP`",
        ),
        (json!({"ipFamilies": ["IPv6"]}), "spec.ipFamilies[0]: Invalid value: \"IPv6\": not configured on this cluster"),
        (
            json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": -1}]}),
            "spec.ports[0].nodePort: Invalid value: -1: provided port is not in the valid range",
        ),
        (json!({"type": "NodePort", "ports": [{"port": 1, "nodePort": 70_000}]}), "spec.ports[0].nodePort: Invalid value: 70000: provided port is not in"),
    ] {
        let refused = run(None, spec.clone()).map(|_| ()).unwrap_err();
        assert!(refused.message.starts_with(&format!("Service \"x\" is invalid: {expected}")), "{spec}: {}", refused.message);
    }
    let old = json!({"type": "ClusterIP", "ipFamilies": ["IPv6"], "clusterIP": "10.96.0.77", "clusterIPs": ["10.96.0.77"]});
    assert!(run(Some(old.clone()), old.clone()).is_ok(), "what was stored before can be changed elsewhere");
    let mut leaving = old.clone();
    leaving["type"] = json!("ExternalName");
    assert!(run(Some(old), leaving).is_ok(), "its addresses are given back later");
}

/// Earlier releases let two ports have one number for different protocols.
#[test]
fn a_number_that_two_ports_share_already_is_kept() {
    let step = service::Allocation::new(service::Ranges::default());
    let shared = json!({"type": "NodePort", "clusterIP": "10.96.0.77", "clusterIPs": ["10.96.0.77"], "ports": [
        {"name": "a", "port": 53, "protocol": "TCP", "nodePort": 30_053}, {"name": "b", "port": 54, "protocol": "UDP", "nodePort": 30_053}]});
    let run = |old: Option<Value>| Case { old: old.map(service), ..Case::create("services", service(shared.clone())) }.run(&step).map(|_| ());
    assert!(run(None).unwrap_err().message.contains("spec.ports[1].nodePort: Invalid value: 30053: provided port is already allocated"));
    assert_eq!(run(Some(shared.clone())).map_err(|e| e.message), Ok(()));
}

#[test]
fn balanced_services_get_a_port_for_health_checks() {
    let step = service::Allocation::new(service::Ranges::default());
    let local = |port: i64| json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local", "healthCheckNodePort": port, "ports": [{"port": 80}]});
    let run = |old: Option<Value>, spec: Value| Case { old: old.map(service), ..Case::create("services", service(spec)) }.run(&step);
    let (got, held) = run(None, local(0)).unwrap();
    let port = got.int_at(&["spec", "healthCheckNodePort"]).unwrap();
    assert!((30_000..=32_767).contains(&port) && got.list_at(&["spec", "ports"])[0]["nodePort"] != json!(port));
    assert!(service::claims(&got).contains(&service::Claim::Port(u16::try_from(port).unwrap())));
    assert!(run(None, local(port)).is_err(), "it is reserved");
    drop(held);
    assert!(run(None, local(port)).is_ok());
    assert!(run(None, local(30_001)).is_err(), "another Service has it");
    let (kept, _) = run(Some(local(31_234)), local(0)).unwrap();
    assert_eq!(kept.int_at(&["spec", "healthCheckNodePort"]), Some(31_234));
    let (cluster, _) = run(None, json!({"type": "LoadBalancer", "externalTrafficPolicy": "Cluster", "ports": [{"port": 80}]})).unwrap();
    assert_eq!(cluster.at(&["spec", "healthCheckNodePort"]), None);
}
