//! Discovery documents, all derived from the table of kinds.
use model::{Kind, Kinds, Subresource};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;

/// The API level: that of the types in `k8s-openapi`, by its feature.
const MINOR: u32 = 37;

/// `/version`: the Kubernetes level that is served.
pub fn version() -> Value {
    json!({
        "major": "1", "minor": MINOR.to_string(),
        "gitVersion": format!("v1.{MINOR}.0+whalesong-{}", env!("CARGO_PKG_VERSION")),
        "gitCommit": "", "gitTreeState": "clean", "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "", "compiler": "rustc", "platform": format!("{}/{}", std::env::consts::OS, platform()),
    })
}

/// Go's name of this processor.
fn platform() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// How versions are ordered: the newest stable one first, then beta, then alpha ones, then names of another form; as Kubernetes documents it for custom
/// resources.
fn order_of(version: &str) -> (u8, std::cmp::Reverse<u64>, std::cmp::Reverse<u64>, String) {
    let parsed = version.strip_prefix('v').and_then(|rest| {
        let digits = rest.len() - rest.trim_start_matches(|c: char| c.is_ascii_digit()).len();
        let (major, suffix) = rest.split_at(digits);
        let (stage, minor) = [(0, ""), (1, "beta"), (2, "alpha")].into_iter().rev().find_map(|(stage, word)| Some((stage, suffix.strip_prefix(word)?)))?;
        let minor = if stage == 0 { minor.is_empty().then_some(0)? } else { minor.parse().ok()? };
        Some((stage, major.parse().ok()?, minor))
    });
    let (stage, major, minor) = parsed.unwrap_or((3, 0, 0));
    (stage, std::cmp::Reverse(major), std::cmp::Reverse(minor), version.to_owned())
}

/// All groups with their versions, the preferred one first.
fn groups(kinds: &Kinds) -> Vec<(Arc<str>, Vec<Arc<str>>)> {
    let mut groups: Vec<(Arc<str>, Vec<Arc<str>>)> = Vec::new();
    let mut places: HashMap<&Arc<str>, usize> = HashMap::new();
    for kind in kinds.rows().iter().filter(|kind| kind.is_served()) {
        let at = *places.entry(&kind.group).or_insert_with(|| {
            groups.push((kind.group.clone(), Vec::new()));
            groups.len() - 1
        });
        groups.get_mut(at).into_iter().for_each(|(_, versions)| versions.push(kind.version.clone()));
    }
    for (_, versions) in &mut groups {
        versions.sort_by_cached_key(|version| order_of(version));
        versions.dedup();
    }
    groups
}

/// `v1` or `apps/v1`.
pub fn group_version(group: &str, version: &str) -> String {
    if group.is_empty() { version.to_owned() } else { format!("{group}/{version}") }
}

/// All groups' versions, the core group's first: `v1`, `apps/v1`.
pub fn group_versions(kinds: &Kinds) -> Vec<(Arc<str>, Arc<str>)> {
    let mut all: Vec<_> = groups(kinds).into_iter().flat_map(|(g, versions)| versions.into_iter().map(move |v| (g.clone(), v))).collect();
    all.sort_by_key(|(group, _)| !group.is_empty());
    all
}

/// `/api`. `address` is what the client reached, `host:port`.
pub fn core_versions(kinds: &Kinds, address: &str) -> Value {
    let versions: Vec<Arc<str>> = groups(kinds).into_iter().find(|(g, _)| g.is_empty()).map(|(_, v)| v).unwrap_or_default();
    json!({"kind": "APIVersions", "versions": versions, "serverAddressByClientCIDRs": [{"clientCIDR": "0.0.0.0/0", "serverAddress": address}]})
}

fn group_entry(group: &str, versions: &[Arc<str>]) -> Value {
    let entry = |v: &Arc<str>| json!({"groupVersion": group_version(group, v), "version": v});
    json!({"name": group, "versions": versions.iter().map(entry).collect::<Vec<_>>(), "preferredVersion": versions.first().map(entry)})
}

/// `/apis`.
pub fn group_list(kinds: &Kinds) -> Value {
    let entries: Vec<Value> = groups(kinds).iter().filter(|(g, _)| !g.is_empty()).map(|(g, v)| group_entry(g, v)).collect();
    json!({"kind": "APIGroupList", "apiVersion": "v1", "groups": entries})
}

/// `/apis/G`; `None` when the group isn't served.
pub fn group(kinds: &Kinds, name: &str) -> Option<Value> {
    let (_, versions) = groups(kinds).into_iter().find(|(g, _)| !g.is_empty() && **g == *name)?;
    let mut group = group_entry(name, &versions);
    group["kind"] = "APIGroup".into();
    group["apiVersion"] = "v1".into();
    Some(group)
}

/// Group and version, where they aren't the resource's, and kind of what a subresource answers.
fn answered(kind: &Kind, sub: Subresource) -> (Option<(&'static str, &'static str)>, &str) {
    sub.exchanged().map_or((None, &*kind.kind), |exchanged| (exchanged.group_version, exchanged.kind))
}

/// `/api/v1` and `/apis/G/V`; `None` when nothing is served there.
pub fn resources(kinds: &Kinds, group: &str, version: &str) -> Option<Value> {
    let mut entries = Vec::new();
    for kind in kinds.served_in(group, version) {
        entries.push(resource_entry(kind));
        entries.extend(kind.subresources.iter().map(|sub| sub_entry(kind, *sub)));
    }
    if entries.is_empty() {
        return None;
    }
    Some(json!({"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": group_version(group, version), "resources": entries}))
}

fn resource_entry(kind: &Kind) -> Value {
    let mut entry = json!({
        "name": kind.resource, "singularName": kind.singular, "namespaced": kind.namespaced(), "kind": kind.kind, "verbs": kind.verbs,
    });
    if !kind.short_names.is_empty() {
        entry["shortNames"] = json!(kind.short_names);
    }
    if !kind.categories.is_empty() {
        entry["categories"] = json!(kind.categories);
    }
    entry
}

fn sub_entry(kind: &Kind, sub: Subresource) -> Value {
    let (group_version, answered) = answered(kind, sub);
    let mut entry = json!({
        "name": format!("{}/{}", kind.resource, sub.name()), "singularName": "", "namespaced": kind.namespaced(), "kind": answered, "verbs": sub.verbs(),
    });
    if let Some((group, version)) = group_version {
        entry["group"] = group.into();
        entry["version"] = version.into();
    }
    entry
}

/// Aggregated discovery (`apidiscovery.k8s.io/v2`): of the core group for `/api`, of the others for `/apis`.
pub fn aggregated(kinds: &Kinds, core: bool) -> Value {
    let items: Vec<Value> = groups(kinds).iter().filter(|(g, _)| g.is_empty() == core).map(|(g, v)| aggregated_group(kinds, g, v)).collect();
    json!({"kind": "APIGroupDiscoveryList", "apiVersion": "apidiscovery.k8s.io/v2", "metadata": {}, "items": items})
}

fn aggregated_group(kinds: &Kinds, group: &str, versions: &[Arc<str>]) -> Value {
    let version = |version: &Arc<str>| {
        let resources: Vec<Value> = kinds.served_in(group, version).map(|k| aggregated_resource(k, group, version)).collect();
        json!({"version": version, "resources": resources, "freshness": "Current"})
    };
    let mut metadata = json!({});
    if !group.is_empty() {
        metadata["name"] = group.into();
    }
    json!({"metadata": metadata, "versions": versions.iter().map(version).collect::<Vec<_>>()})
}

fn aggregated_resource(kind: &Kind, group: &str, version: &str) -> Value {
    let subs = kind.subresources.iter().map(|sub| {
        let (group_version, answered) = answered(kind, *sub);
        let (group, version) = group_version.unwrap_or((group, version));
        let response = json!({"group": group, "version": version, "kind": answered});
        json!({"subresource": sub.name(), "responseKind": response, "verbs": sub.verbs()})
    });
    let mut entry = json!({
        "resource": kind.resource, "responseKind": {"group": group, "version": version, "kind": kind.kind},
        "scope": if kind.namespaced() { "Namespaced" } else { "Cluster" }, "singularResource": kind.singular, "verbs": kind.verbs,
    });
    let subs: Vec<Value> = subs.collect();
    for (name, list) in [("shortNames", json!(kind.short_names)), ("categories", json!(kind.categories)), ("subresources", Value::Array(subs))] {
        if list.as_array().is_some_and(|l| !l.is_empty()) {
            entry[name] = list;
        }
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::pods_kind;

    fn kinds() -> Kinds {
        let deployments = Kind {
            group: "apps".into(),
            kind: "Deployment".into(),
            resource: "deployments".into(),
            singular: "deployment".into(),
            subresources: vec![Subresource::SCALE],
            ..pods_kind()
        };
        Kinds::new([deployments, pods_kind()])
    }

    #[test]
    fn versions_are_ordered() {
        let mut versions = ["foo10", "v1", "v3beta1", "v10", "v11alpha2", "v12alpha1", "v10beta3", "v2", "foo1", "v3beta11"];
        versions.sort_by_key(|v| order_of(v));
        assert_eq!(versions, ["v10", "v2", "v1", "v10beta3", "v3beta11", "v3beta1", "v12alpha1", "v11alpha2", "foo1", "foo10"]);
    }

    #[test]
    fn a_group_of_many_versions() {
        let kinds = Kinds::new((1..=1_000).map(|n| Kind { group: "many.example.com".into(), version: format!("v{n}").into(), ..pods_kind() }));
        let group = group(&kinds, "many.example.com").unwrap();
        assert_eq!((group["versions"].as_array().unwrap().len(), &group["preferredVersion"]["version"]), (1_000, &json!("v1000")));
        let versions = &aggregated(&kinds, false)["items"][0]["versions"];
        assert!(versions.as_array().unwrap().iter().all(|version| version["resources"].as_array().unwrap().len() == 1));
        assert_eq!(resources(&kinds, "many.example.com", "v7").unwrap()["resources"][0]["name"], "pods");
    }

    #[test]
    fn classic() {
        let kinds = kinds();
        assert_eq!(core_versions(&kinds, "a:1")["versions"], json!(["v1"]));
        assert_eq!(group_list(&kinds)["groups"][0]["preferredVersion"]["groupVersion"], "apps/v1");
        assert_eq!(group(&kinds, "apps").unwrap()["kind"], "APIGroup");
        assert!(group(&kinds, "nope").is_none() && group(&kinds, "").is_none());
        let list = resources(&kinds, "apps", "v1").unwrap();
        assert_eq!(list["resources"][1]["name"], "deployments/scale");
        assert_eq!(list["resources"][1]["group"], "autoscaling");
        assert!(resources(&kinds, "apps", "v2").is_none());
        assert_eq!(group_versions(&kinds).first().map(|(g, v)| group_version(g, v)), Some("v1".to_owned()));
    }

    #[test]
    fn aggregated_form() {
        let kinds = kinds();
        let core = aggregated(&kinds, true);
        assert_eq!(core["items"][0]["versions"][0]["resources"][0]["resource"], "pods");
        assert_eq!(core["items"].as_array().unwrap().len(), 1);
        let others = aggregated(&kinds, false);
        assert_eq!(others["items"][0]["metadata"]["name"], "apps");
        let deployment = &others["items"][0]["versions"][0]["resources"][0];
        assert_eq!(deployment["subresources"][0]["responseKind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
        assert_eq!(version()["major"], "1");
    }
}
