//! The node authorizer against a plain model of what a node may do, in random clusters. `PROPTEST_CASES` says in how many.
use super::*;
use crate::lookup::fixture::MapLookup;
use proptest::prelude::*;
use proptest::sample::select;
use rights::{Ask, Pod, Use, WAYS, may};
use state_client::User;

#[path = "../../tests/pipeline/rights.rs"]
mod rights;

const NODES: [&str; 3] = ["n1", "n2", "n3"];
const PLACES: [&str; 3] = ["a", "b", "kube-node-lease"];
const VERBS: [&str; 9] = ["get", "list", "watch", "create", "update", "patch", "delete", "deletecollection", "escalate"];
const SUBRESOURCES: [&str; 11] = ["", "", "", "status", "token", "eviction", "binding", "log", "exec", "finalize", "scale"];
const RESOURCES: [(&str, &str); 22] = [
    ("", "pods"),
    ("", "pods"),
    ("", "secrets"),
    ("", "secrets"),
    ("", "configmaps"),
    ("", "serviceaccounts"),
    ("", "nodes"),
    ("", "events"),
    ("", "services"),
    ("", "endpoints"),
    ("", "namespaces"),
    ("apps", "deployments"),
    ("apps", "secrets"),
    ("events.k8s.io", "events"),
    ("discovery.k8s.io", "endpointslices"),
    ("coordination.k8s.io", "leases"),
    ("rbac.authorization.k8s.io", "clusterroles"),
    ("authentication.k8s.io", "tokenreviews"),
    ("authorization.k8s.io", "subjectaccessreviews"),
    ("authorization.k8s.io", "localsubjectaccessreviews"),
    ("authorization.k8s.io", "selfsubjectaccessreviews"),
    ("scheduling.k8s.io", "priorityclasses"),
];

fn object_name() -> impl Strategy<Value = String> {
    select(vec!["x", "y", "z"]).prop_map(str::to_owned)
}

fn one_use() -> impl Strategy<Value = Use> {
    (any::<bool>(), select(WAYS.to_vec()), object_name()).prop_map(|(secret, way, name)| Use { secret, way, name })
}

fn pod() -> impl Strategy<Value = Pod> {
    let account = select(vec!["", "x", "y"]);
    let node = select(vec!["", "n1", "n1", "n2"]);
    (select(PLACES.to_vec()), select(vec!["p", "q", "x"]), node, prop::bool::weighted(0.2), account, prop::collection::vec(one_use(), 0..4)).prop_map(
        |(namespace, name, node, mirror, account, uses)| Pod {
            namespace: namespace.into(),
            name: name.into(),
            node: node.into(),
            mirror,
            account: account.into(),
            uses,
        },
    )
}

/// Pods of different names.
fn cluster() -> impl Strategy<Value = Vec<Pod>> {
    prop::collection::vec(pod(), 0..8).prop_map(|mut pods| {
        pods.sort_by_key(|pod| (pod.namespace.clone(), pod.name.clone()));
        pods.dedup_by_key(|pod| (pod.namespace.clone(), pod.name.clone()));
        pods
    })
}

type Words = ((&'static str, &'static str), &'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

fn request() -> impl Strategy<Value = Words> {
    let names = select(vec!["", "p", "q", "x", "y", "z", "n1", "n2"]);
    let nodes = [NODES.as_slice(), &[""]].concat();
    let places = [PLACES.as_slice(), &[""]].concat();
    (select(RESOURCES.to_vec()), select(VERBS.to_vec()), select(SUBRESOURCES.to_vec()), select(places), names, select(nodes.clone()), select(nodes))
}

fn world(pods: &[Pod]) -> Authorizer {
    Authorizer::new(Arc::new(pods.iter().fold(MapLookup::default(), |view, pod| view.with("", "pods", pod.json()))))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn a_node_may_what_the_model_lets_it(pods in cluster(), requests in prop::collection::vec(request(), 400)) {
        let authorizer = world(&pods);
        for ((group, resource), verb, subresource, namespace, name, node, selected) in requests {
            let user = User { name: format!("system:node:{node}"), groups: vec!["system:nodes".into()], ..User::default() };
            let bound_to = Some(selected).filter(|n| !n.is_empty());
            let what = Attributes { user: &user, verb, target: Target::Resource { group, resource, subresource, namespace, name }, bound_to };
            let ask = Ask { node, verb, group, resource, subresource, namespace, name, selected };
            prop_assert_eq!(authorizer.allows(&what), may(&pods, &ask), "{:?} in {:?}", ask, pods);
            // and of who only calls himself one, or is another
            let other = User { groups: Vec::new(), ..user.clone() };
            let claimed = authorizer.allows(&Attributes { user: &other, ..what });
            prop_assert!(!claimed, "{:?} of no node", ask);
        }
    }
}

fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(64)
}
