use super::*;
use crate::testing::Sim;

fn sim() -> Sim {
    Sim::new(vec![Box::new(EndpointSlices), Box::new(LegacyEndpoints)])
}

fn service(sim: &mut Sim, spec: Value) {
    sim.create(json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "a", "labels": {"team": "x"}}, "spec": spec}));
}

fn web() -> Value {
    json!({"selector": {"app": "web"}, "clusterIP": "10.96.0.9", "ipFamilies": ["IPv4"], "ports": [{"name": "http", "port": 80, "targetPort": "web"}]})
}

fn pod(sim: &mut Sim, name: &str, ip: &str, ready: bool) {
    let ports = json!([{"name": "web", "containerPort": 8080}]);
    let ready = json!({"type": "Ready", "status": if ready { "True" } else { "False" }});
    sim.create(json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "a", "labels": {"app": "web"}},
        "spec": {"nodeName": "n1", "containers": [{"name": "c", "ports": ports}]},
        "status": {"phase": "Running", "podIP": ip, "conditions": [ready]},
    }));
}

fn slices(sim: &Sim) -> Vec<model::Object> {
    sim.all(&Resource::ENDPOINT_SLICES).iter().map(|s| s.object().clone()).collect()
}

fn conditions(slice: &model::Object) -> Vec<String> {
    let of = |e: &Value| format!("{} {} {} {}", e["addresses"][0], e["conditions"]["ready"], e["conditions"]["serving"], e["conditions"]["terminating"]);
    slice.list_at(&["endpoints"]).iter().map(|e| of(e).replace('"', "")).collect()
}

#[test]
fn ready_serving_and_terminating() {
    let mut sim = sim();
    service(&mut sim, web());
    pod(&mut sim, "p1", "10.0.0.1", true);
    pod(&mut sim, "p2", "10.0.0.2", false);
    pod(&mut sim, "p3", "10.0.0.3", true);
    pod(&mut sim, "p4", "", true);
    // addresses that a slice would be refused for
    pod(&mut sim, "p5", "foo\" } ; flush ruleset", true);
    pod(&mut sim, "p6", "127.0.0.1", true);
    sim.settle();
    sim.delete(&Resource::PODS, "p3", None);
    sim.settle();
    let slice = slices(&sim).pop().unwrap();
    assert_eq!(conditions(&slice), ["10.0.0.1 true true false", "10.0.0.2 false false false", "10.0.0.3 false true true"]);
    assert_eq!(slice.list_at(&["ports"]), [json!({"name": "http", "protocol": "TCP", "port": 8080})]);
    let label = |l| slice.label(l).unwrap();
    assert_eq!(
        [label("kubernetes.io/service-name"), label("endpointslice.kubernetes.io/managed-by"), label("team")],
        ["web", "endpointslice-controller.k8s.io", "x"]
    );
    assert_eq!((slice.str_at(&["addressType"]), slice.controller().unwrap().name.as_str()), ("IPv4", "web"));
    let endpoints = sim.get(&Resource::ENDPOINTS, "web").unwrap();
    let subset = &endpoints.list_at(&["subsets"])[0];
    assert_eq!(
        (&subset["addresses"][0]["ip"], &subset["notReadyAddresses"][0]["ip"], &subset["addresses"][1]),
        (&json!("10.0.0.1"), &json!("10.0.0.2"), &Value::Null)
    );
    assert_eq!(subset["ports"], json!([{"name": "http", "protocol": "TCP", "port": 8080}]));
}

#[test]
fn unready_addresses_are_published_where_asked_for() {
    let mut sim = sim();
    let mut spec = web();
    spec["publishNotReadyAddresses"] = json!(true);
    spec["clusterIP"] = json!("None");
    service(&mut sim, spec);
    pod(&mut sim, "p1", "10.0.0.1", false);
    sim.settle();
    let slice = slices(&sim).pop().unwrap();
    assert_eq!(conditions(&slice), ["10.0.0.1 true false false"]);
    assert_eq!(slice.label(HEADLESS), Some(""));
}

#[test]
fn a_hundred_endpoints_a_slice_and_few_changes() {
    let mut sim = sim();
    service(&mut sim, web());
    for i in 0..150 {
        pod(&mut sim, &format!("p{i:03}"), &format!("10.0.1.{i}"), true);
    }
    sim.settle();
    let sizes = |sim: &Sim| slices(sim).iter().map(|s| s.list_at(&["endpoints"]).len()).collect::<Vec<_>>();
    assert_eq!(sizes(&sim), [100, 50]);
    sim.delete(&Resource::PODS, "p000", None);
    sim.world.forget(&Resource::PODS.key("a", "p000"));
    pod(&mut sim, "p999", "10.0.2.1", true);
    sim.settle();
    assert_eq!(sizes(&sim).iter().sum::<usize>(), 150);
    assert_eq!(sizes(&sim).len(), 2);
}

#[test]
fn without_pods_an_empty_slice_without_a_selector_nothing() {
    let mut sim = sim();
    service(&mut sim, web());
    sim.settle();
    assert_eq!(slices(&sim).iter().map(|s| s.list_at(&["endpoints"]).len()).collect::<Vec<_>>(), [0]);
    let mut other = self::sim();
    service(&mut other, json!({"ports": [{"port": 80}]}));
    other.settle();
    assert!(slices(&other).is_empty() && other.names(&Resource::ENDPOINTS).is_empty());
}

#[test]
fn a_deleted_service_takes_its_endpoints_along() {
    let mut sim = sim();
    service(&mut sim, web());
    sim.settle();
    assert_eq!(sim.names(&Resource::ENDPOINTS), ["web"]);
    sim.delete(&Resource::SERVICES, "web", None);
    sim.settle();
    assert!(sim.names(&Resource::ENDPOINTS).is_empty());
}

fn mirrored(sim: &Sim) -> Vec<(String, Vec<String>, Vec<Value>)> {
    let of = |s: &model::Object| {
        let endpoints: Vec<String> =
            s.list_at(&["endpoints"]).iter().map(|e| format!("{} {}", e["addresses"][0], e["conditions"]["ready"]).replace('"', "")).collect();
        (s.str_at(&["addressType"]).to_owned(), endpoints, s.list_at(&["ports"]).to_vec())
    };
    let mut all: Vec<_> = slices(sim).iter().map(of).collect();
    all.sort_by_key(|(family, endpoints, _)| (family.clone(), endpoints.clone()));
    all
}

#[test]
fn endpoints_that_somebody_else_writes_are_mirrored() {
    let garbage = crate::garbage::GarbageCollector::new(&model::kinds::builtin());
    let mut sim = Sim::new(vec![Box::new(EndpointSlices), Box::new(LegacyEndpoints), Box::new(MirroredEndpoints), Box::new(garbage)]);
    service(&mut sim, json!({"clusterIP": "10.96.0.9", "ports": [{"port": 80}]}));
    let subsets = json!([{
        "addresses": [{"ip": "10.1.2.3", "hostname": "h"}, {"ip": "fd00::1"}, {"ip": "10.1.2.3"}],
        "notReadyAddresses": [{"ip": "10.1.2.4"}], "ports": [{"port": 80, "protocol": "TCP"}],
    }]);
    let metadata = json!({"name": "web", "namespace": "a", "labels": {"x": "y"}, "annotations": {"k": "v", OWN_ANNOTATION: "gone"}});
    sim.create(json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": metadata, "subsets": subsets}));
    sim.settle();
    let ports = vec![json!({"name": "", "port": 80, "protocol": "TCP"})];
    let v4 = ("IPv4".to_owned(), vec!["10.1.2.3 true".to_owned(), "10.1.2.4 false".to_owned()], ports.clone());
    assert_eq!(mirrored(&sim), [v4.clone(), ("IPv6".to_owned(), vec!["fd00::1 true".to_owned()], ports.clone())]);
    let slice = slices(&sim).pop().unwrap();
    assert_eq!(slice.at(&["metadata", "annotations"]), Some(&json!({"k": "v"})));
    assert_eq!((slice.label("x"), slice.label("kubernetes.io/service-name"), slice.controller().unwrap().kind), (Some("y"), Some("web"), "Endpoints".into()));
    // an update changes the slice that is there, and takes away what is no longer wanted
    sim.patch(
        &Resource::ENDPOINTS,
        "web",
        "",
        json!({"metadata": {"labels": {"x": null}}, "subsets": [{"addresses": [{"ip": "10.2.3.4"}], "ports": [{"port": 80}]}]}),
    );
    sim.settle();
    assert_eq!(mirrored(&sim), [("IPv4".to_owned(), vec!["10.2.3.4 true".to_owned()], ports)]);
    assert_eq!(slices(&sim)[0].label("x"), None);
    for patch in [json!({"metadata": {"labels": {"endpointslice.kubernetes.io/skip-mirror": "true"}}}), json!({"metadata": {"labels": null}})] {
        let skips = patch["metadata"]["labels"].is_object();
        sim.patch(&Resource::ENDPOINTS, "web", "", patch);
        sim.settle();
        assert_eq!(mirrored(&sim).is_empty(), skips);
    }
    sim.patch(&Resource::SERVICES, "web", "", json!({"spec": {"selector": {"app": "nobody"}}}));
    sim.settle();
    assert!(
        slices(&sim).iter().all(|s| s.label("endpointslice.kubernetes.io/managed-by") == Some("endpointslice-controller.k8s.io")),
        "a selector says it now"
    );
    sim.patch(&Resource::SERVICES, "web", "", json!({"spec": {"selector": null}}));
    sim.delete(&Resource::ENDPOINTS, "web", None);
    sim.settle();
    assert!(mirrored(&sim).iter().all(|(_, endpoints, _)| endpoints.is_empty()));
}

const OWN_ANNOTATION: &str = "kubectl.kubernetes.io/last-applied-configuration";

#[test]
fn what_a_selector_says_is_not_mirrored() {
    let mut sim = Sim::new(vec![Box::new(EndpointSlices), Box::new(LegacyEndpoints), Box::new(MirroredEndpoints)]);
    service(&mut sim, web());
    pod(&mut sim, "p1", "10.0.0.1", true);
    sim.settle();
    assert_eq!(slices(&sim).len(), 1);
    sim.create(
        json!({"apiVersion": "v1", "kind": "Endpoints", "metadata": {"name": "nobody", "namespace": "a"}, "subsets": [{"addresses": [{"ip": "10.1.1.1"}]}]}),
    );
    sim.settle();
    assert_eq!(slices(&sim).len(), 1, "without a Service there is nothing to reach");
}
