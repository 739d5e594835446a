use super::*;
use crate::lookup::fixture::MapLookup;
use model::kinds;
use serde_json::json;
use state_client::User;

fn cluster() -> MapLookup {
    let namespace = |name: &str, labels: Value| json!({"metadata": {"name": name, "labels": labels}});
    let label = |mode: &str| format!("pod-security.kubernetes.io/{mode}");
    MapLookup::default()
        .with("", "namespaces", namespace("free", json!({})))
        .with("", "namespaces", namespace("strict", json!({label("enforce"): "restricted"})))
        .with(
            "",
            "namespaces",
            namespace(
                "based",
                json!({label("enforce"): "baseline", label("audit"): "restricted", label("warn"): "restricted", label("warn-version"): "v1.24"}),
            ),
        )
        .with("", "namespaces", namespace("broken", json!({label("enforce"): "what"})))
}

/// What comes of a write.
#[derive(Debug, PartialEq)]
struct Outcome {
    refused: Option<String>,
    warnings: Vec<String>,
    notes: Vec<(String, String)>,
}

struct Write<'a> {
    config: PodSecurity,
    view: MapLookup,
    user: &'a str,
    resource: &'a str,
    subresource: Option<Subresource>,
    old: Option<Value>,
    new: Value,
}

impl<'a> Write<'a> {
    fn new(resource: &'a str, new: Value) -> Self {
        Self { config: PodSecurity::default(), view: cluster(), user: "alice", resource, subresource: None, old: None, new }
    }
    fn run(self) -> Outcome {
        let object = |v: Value| Object::from_value(v).unwrap();
        let (kinds, old, user) = (kinds::builtin(), self.old.map(object), User { name: self.user.to_owned(), ..User::default() });
        let kind = kinds.rows().iter().find(|k| &*k.resource == self.resource).unwrap();
        let request = Admit { user: &user, kind, subresource: self.subresource, old: old.as_ref(), view: &self.view, entropy: 7 };
        let (new, mut held) = (object(self.new), Effects::default());
        let refused = PodSecurityAdmission(Arc::new(self.config)).judge(&request, &new, &mut held).err().map(|r| r.error.message);
        Outcome {
            refused,
            warnings: held.warnings,
            notes: held.notes.into_iter().map(|n| (n.key.trim_start_matches("pod-security.kubernetes.io/").to_owned(), n.value)).collect(),
        }
    }
}

fn pod(namespace: &str, spec: Value) -> Value {
    json!({"metadata": {"namespace": namespace, "name": "x"}, "spec": spec})
}

fn privileged() -> Value {
    json!({"containers": [{"name": "c", "image": "i", "securityContext": {"privileged": true}}]})
}

const NOTHING: Outcome = Outcome { refused: None, warnings: Vec::new(), notes: Vec::new() };

#[test]
fn pods() {
    assert_eq!(Write::new("pods", pod("free", privileged())).run(), NOTHING);
    let strict = Write::new("pods", pod("strict", json!({"hostPID": true, "containers": []}))).run();
    assert_eq!(strict.refused.as_deref(), Some("pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": host namespaces (hostPID=true)"));
    assert_eq!((strict.warnings.len(), strict.notes), (0, vec![("enforce-policy".to_owned(), "restricted:latest".to_owned())]));

    let reported = Write::new(
        "pods",
        pod("based", json!({"containers": [{"name": "c"}], "securityContext": {"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}}})),
    )
    .run();
    let rest = r#"allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"])"#;
    assert_eq!(reported.refused, None);
    assert_eq!(reported.warnings, [format!("would violate PodSecurity \"restricted:v1.24\": {rest}")]);
    assert_eq!(reported.notes, [("audit-violations".to_owned(), format!("would violate PodSecurity \"restricted:latest\": {rest}"))]);

    let refused = Write::new("pods", pod("based", privileged())).run();
    assert_eq!((refused.warnings.len(), refused.notes.len()), (0, 2), "who is refused isn't warned as well");
    let broken = Write::new("pods", pod("broken", privileged())).run();
    assert!(broken.refused.is_some_and(|r| r.contains("violates PodSecurity \"restricted:latest\"")));
    assert!(broken.notes[0].1.starts_with("Failed to parse policy: metadata.labels[pod-security.kubernetes.io/enforce]"), "{:?}", broken.notes);
    let nowhere = Write::new("pods", pod("none", privileged())).run();
    assert_eq!(nowhere.refused.as_deref(), Some("Internal error occurred: failed to lookup namespace \"none\""));
}

#[test]
fn updates_of_pods() {
    let update = |subresource, old: Value, new: Value| Write { subresource, old: Some(pod("strict", old)), ..Write::new("pods", pod("strict", new)) }.run();
    let with_image = |image: &str| json!({"containers": [{"name": "c", "image": image, "securityContext": {"privileged": true}}]});
    let debugged = |image: &str| json!({"containers": [], "ephemeralContainers": [{"name": "e", "image": image}]});
    assert_eq!(update(None, privileged(), privileged()), NOTHING, "labels and the like");
    assert!(update(None, with_image("a"), with_image("b")).refused.is_some());
    assert!(update(None, json!({"containers": []}), debugged("a")).refused.is_some());
    assert!(update(None, debugged("a"), debugged("b")).refused.is_some());
    assert_eq!(update(None, debugged("a"), debugged("a")), NOTHING);
    assert_eq!(update(Some(Subresource::STATUS), with_image("a"), with_image("b")), NOTHING);
}

#[test]
fn templates_are_only_reported() {
    let deployment = |namespace: &str| json!({"metadata": {"namespace": namespace, "name": "x"}, "spec": {"template": {"metadata": {}, "spec": privileged()}}});
    let strict = Write::new("deployments", deployment("strict")).run();
    assert_eq!((strict.refused, strict.notes), (None, vec![]));
    assert!(
        strict.warnings[0]
            .starts_with("would violate PodSecurity \"restricted:latest\": privileged (container \"c\" must not set securityContext.privileged=true), ")
    );
    let based = Write::new("replicasets", deployment("based")).run();
    assert_eq!((based.refused, based.warnings.len(), based.notes.len()), (None, 1, 1));
    assert_eq!(Write::new("deployments", deployment("free")).run(), NOTHING);
    assert_eq!(
        Write { subresource: Some(Subresource::SCALE), old: Some(deployment("strict")), ..Write::new("deployments", deployment("strict")) }.run(),
        NOTHING
    );
    assert_eq!(
        Write::new("configmaps", json!({"metadata": {"namespace": "strict", "name": "x"}, "spec": {"template": {"spec": privileged()}}})).run(),
        NOTHING
    );
}

#[test]
fn exemptions_and_defaults() {
    let config = |document: Value| serde_json::from_value::<PodSecurity>(document).unwrap();
    let exempt = config(json!({"exemptions": {"usernames": ["root"], "namespaces": ["strict"], "runtimeClasses": ["vm"]}}));
    let of = |why: &str| Outcome { notes: vec![("exempt".to_owned(), why.to_owned())], ..NOTHING };
    let base = |namespace: &str, spec: Value| Write { config: exempt.clone(), ..Write::new("pods", pod(namespace, spec)) };
    assert_eq!(Write { user: "root", ..base("based", privileged()) }.run(), of("user"));
    assert_eq!(base("strict", privileged()).run(), of("namespace"));
    let mut vm = privileged();
    vm["runtimeClassName"] = json!("vm");
    assert_eq!(base("based", vm).run(), of("runtimeClass"));
    assert!(base("based", privileged()).run().refused.is_some());

    let defaults = config(json!({"defaults": {"enforce": "baseline", "warn": "baseline"}}));
    let free = Write { config: defaults.clone(), ..Write::new("pods", pod("free", privileged())) }.run();
    assert_eq!(
        free.refused.as_deref(),
        Some(r#"pods "x" is forbidden: violates PodSecurity "baseline:latest": privileged (container "c" must not set securityContext.privileged=true)"#)
    );

    let labelled =
        json!({"metadata": {"name": "strict", "labels": {"pod-security.kubernetes.io/enforce": "restricted", "pod-security.kubernetes.io/warn": "baseline"}}});
    let told = Write { config: exempt, ..Write::new("namespaces", labelled) }.run().warnings;
    assert_eq!(told, [r#"namespace "strict" is exempt from Pod Security, and the policy (enforce=restricted:latest, warn=baseline:latest) will be ignored"#]);
}

fn namespace(labels: Value) -> Value {
    let labels = labels.as_object().unwrap().iter().map(|(k, v)| (format!("pod-security.kubernetes.io/{k}"), v.clone())).collect::<serde_json::Map<_, _>>();
    json!({"metadata": {"name": "here", "labels": labels}})
}

#[test]
fn labels_of_namespaces() {
    let create = |labels: Value| Write::new("namespaces", namespace(labels)).run();
    let update = |old: Value, new: Value| Write { old: Some(namespace(old)), ..Write::new("namespaces", namespace(new)) }.run();
    assert_eq!(create(json!({"enforce": "baseline", "warn": "restricted", "audit-version": "v1.20"})), NOTHING);
    assert_eq!(
        create(json!({"enforce": "Baseline"})).refused.as_deref(),
        Some(
            "Namespace \"here\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"Baseline\": must be one of privileged, baseline, restricted"
        )
    );
    assert!(update(json!({}), json!({"warn-version": "1.2"})).refused.is_some());
    assert!(update(json!({"enforce": "x"}), json!({"enforce": "y"})).refused.is_some());
    assert_eq!(update(json!({"enforce": "x"}), json!({"enforce": "x"})), NOTHING, "what was wrong may stay");
    assert_eq!(update(json!({"enforce": "x"}), json!({"enforce": "privileged"})), NOTHING);
}

#[test]
fn pods_that_are_there_already() {
    let owned = |uid: &str, name: String, spec: Value| json!({"metadata": {"namespace": "here", "name": name, "ownerReferences": [{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": uid, "uid": uid, "controller": true}]}, "spec": spec});
    let with = |view: MapLookup, pod: Value| view.with("", "pods", pod);
    let relabel =
        |view: MapLookup, old: Value, new: Value| Write { view, old: Some(namespace(old)), ..Write::new("namespaces", namespace(new)) }.run().warnings;
    let crowd = || {
        let mut view = cluster();
        for i in 0..3_500 {
            view = with(view, owned("a", format!("a{i:04}"), json!({"containers": []})));
        }
        view = with(view, owned("z", "z2".to_owned(), privileged()));
        view = with(view, owned("z", "z1".to_owned(), privileged()));
        with(view, json!({"metadata": {"namespace": "here", "name": "zz"}, "spec": {"hostPID": true}}))
    };
    assert_eq!(
        relabel(crowd(), json!({}), json!({"enforce": "baseline"})),
        [
            "new PodSecurity enforce level only checked against the first 3000 of 3503 existing pods",
            "existing pods in namespace \"here\" violate the new PodSecurity enforce level \"baseline:latest\"",
            "z1: privileged",
            "zz: host namespaces",
        ]
    );
    let few = || {
        with(
            with(with(cluster(), owned("z", "z1".to_owned(), privileged())), owned("z", "z2".to_owned(), privileged())),
            owned("z", "z0".to_owned(), privileged()),
        )
    };
    assert_eq!(relabel(few(), json!({}), json!({"enforce": "baseline"}))[1..], ["z0 (and 2 other pods): privileged"]);
    assert_eq!(relabel(few(), json!({"enforce": "restricted"}), json!({"enforce": "baseline"})), Vec::<String>::new(), "less is asked for");
    assert_eq!(relabel(few(), json!({"enforce": "baseline"}), json!({"enforce": "baseline", "enforce-version": "v1.1"})).len(), 2);
    assert_eq!(relabel(few(), json!({}), json!({"warn": "restricted", "audit": "restricted"})), Vec::<String>::new());
    assert_eq!(relabel(few(), json!({"enforce": "baseline"}), json!({"enforce": "privileged", "enforce-version": "v1.1"})), Vec::<String>::new());
}
