//! Namespaces say by their labels how much pods may do; what a pod says of itself is checked.
use crate::fixture::{ACCOUNTS, Cluster, DEPLOYMENTS, NAMESPACES, PODS, Speaker, account, deployment, pod};
use model::{ApiError, Key, Object};
use serde_json::{Value, json};
use state::store::{StoreOp, Write};
use state_client::{Body, Options, PatchKind, Reply, Request, Verb};

async fn namespace(admin: &Speaker, name: &str, labels: Value) -> Result<(), ApiError> {
    let labels = labels.as_object().unwrap().iter().map(|(mode, level)| (format!("pod-security.kubernetes.io/{mode}"), level.clone()));
    let object = json!({"metadata": {"name": name, "labels": labels.collect::<serde_json::Map<_, _>>()}});
    admin.create(NAMESPACES, "", object).await?;
    admin.create(ACCOUNTS, name, account("default")).await.map(drop)
}

/// The warnings that a write is answered with.
async fn warned(speaker: &Speaker, request: Request, body: Value) -> Result<Vec<String>, ApiError> {
    match speaker.send(request.body(Body::Json(body.to_string().into_bytes().into()))).await? {
        Reply::Object { warnings, .. } => Ok(warnings),
        other => panic!("not an object: {other:?}"),
    }
}

fn hardened(name: &str) -> Value {
    let mut made = pod(name);
    made["spec"]["securityContext"] = json!({"runAsNonRoot": true, "seccompProfile": {"type": "RuntimeDefault"}});
    made["spec"]["containers"][0]["securityContext"] = json!({"allowPrivilegeEscalation": false, "capabilities": {"drop": ["ALL"]}});
    made
}

const BARE: &str = r#"allowPrivilegeEscalation != false (container "c" must set securityContext.allowPrivilegeEscalation=false), unrestricted capabilities (container "c" must set securityContext.capabilities.drop=["ALL"]), runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true), seccompProfile (pod or container "c" must set securityContext.seccompProfile.type to "RuntimeDefault" or "Localhost")"#;

#[tokio::test(flavor = "multi_thread")]
async fn labels_decide_what_pods_may_do() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    namespace(&admin, "strict", json!({"enforce": "restricted"})).await.unwrap();
    namespace(&admin, "watched", json!({"enforce": "baseline", "warn": "restricted"})).await.unwrap();

    let refused = admin.create(PODS, "strict", pod("a")).await.unwrap_err();
    assert_eq!((refused.code(), refused.message), (403, format!("pods \"a\" is forbidden: violates PodSecurity \"restricted:latest\": {BARE}")));
    let create = |at, namespace: &str| admin.ask(Verb::Create, at, namespace, "");
    assert_eq!(warned(&admin, create(PODS, "strict"), hardened("a")).await.unwrap(), Vec::<String>::new());
    let would = format!("would violate PodSecurity \"restricted:latest\": {BARE}");
    assert_eq!(warned(&admin, create(DEPLOYMENTS, "strict"), deployment("web")).await.unwrap(), [would.as_str()], "a template is only warned of");
    let dry = Request { options: Options { dry_run: true, ..Options::default() }, ..create(PODS, "watched") };
    assert_eq!(warned(&admin, dry, pod("a")).await.unwrap(), [would.as_str()]);
    let mut unknown = pod("a");
    unknown["spec"]["foo"] = json!(1);
    assert_eq!(warned(&admin, create(PODS, "watched"), unknown).await.unwrap(), ["unknown field \"spec.foo\"", would.as_str()]);

    let mut typo = pod("a");
    typo["spec"]["securityContext"] = json!({"seccompProfile": {"type": "runtimeDefault"}});
    let wrong = admin.create(PODS, "strict", typo).await.unwrap_err();
    assert!(wrong.code() == 422 && wrong.message.contains("Unsupported value: \"runtimeDefault\""), "what is wrong by itself is said first: {wrong}");

    let mut powerful = pod("b");
    powerful["spec"]["initContainers"] = json!([{"name": "i", "image": "i", "securityContext": {"privileged": true}}]);
    let refused = admin.create(PODS, "watched", powerful.clone()).await.unwrap_err().message;
    assert_eq!(
        refused,
        r#"pods "b" is forbidden: violates PodSecurity "baseline:latest": privileged (container "i" must not set securityContext.privileged=true)"#
    );

    let image = json!({"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "other"}]}}}});
    let patch = admin.ask(Verb::Patch, DEPLOYMENTS, "strict", "web").body(Body::Patch(PatchKind::Merge, image.to_string().into_bytes().into()));
    assert!(matches!(admin.send(patch).await.unwrap(), Reply::Object { warnings, .. } if warnings == [would.as_str()]));
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_for_more_is_told_of_what_is_there() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    namespace(&admin, "free", json!({})).await.unwrap();
    admin.create(PODS, "free", pod("plain")).await.unwrap();
    let mut shared = pod("shared");
    shared["spec"]["hostNetwork"] = json!(true);
    admin.create(PODS, "free", shared).await.unwrap();
    let relabel = |labels: Value| {
        let patch = json!({"metadata": {"labels": labels}}).to_string().into_bytes();
        admin.send(admin.ask(Verb::Patch, NAMESPACES, "", "free").body(Body::Patch(PatchKind::Merge, patch.into())))
    };
    let Reply::Object { warnings, .. } = relabel(json!({"pod-security.kubernetes.io/enforce": "baseline"})).await.unwrap() else { panic!("not an object") };
    assert_eq!(warnings, ["existing pods in namespace \"free\" violate the new PodSecurity enforce level \"baseline:latest\"", "shared: host namespaces"]);
    let wrong = relabel(json!({"pod-security.kubernetes.io/enforce": "strictest"})).await.unwrap_err();
    assert_eq!(
        (wrong.code(), wrong.message.as_str()),
        (
            422,
            "Namespace \"free\" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: \"strictest\": must be one of privileged, baseline, restricted"
        )
    );
    assert_eq!(namespace(&admin, "wrong", json!({"warn-version": "1"})).await.unwrap_err().code(), 422);
    let changed = admin.patch(PODS, "", "free", "shared", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    assert_eq!(changed.object().label("a"), Some("b"), "what is there already can still be changed, but for its images");
    let image = json!({"spec": {"containers": [{"name": "c", "image": "other"}]}}).to_string().into_bytes();
    let patch = admin.ask(Verb::Patch, PODS, "free", "shared").body(Body::Patch(PatchKind::Strategic, image.into()));
    let refused = admin.send(patch).await.unwrap_err();
    assert!(refused.message.contains("violates PodSecurity \"baseline:latest\": host namespaces (hostNetwork=true)"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_lead_out_are_refused_and_what_was_stored_before_stays() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    admin.create(ACCOUNTS, "default", account("default")).await.unwrap();
    let with_secret = |name: &str| {
        let mut made = pod("a");
        made["spec"]["containers"][0]["env"] = json!([{"name": "A", "valueFrom": {"secretKeyRef": {"name": name, "key": "k"}}}]);
        made
    };
    let refused = admin.create(PODS, "default", with_secret("../../../../etc/passwd")).await.unwrap_err();
    assert_eq!(refused.code(), 422);
    assert_eq!(refused.details.unwrap().causes[0].field, "spec.containers[0].env[0].valueFrom.secretKeyRef.name");

    let made = admin.create(PODS, "default", with_secret("right")).await.unwrap();
    let earlier = String::from_utf8(made.json().to_vec()).unwrap().replace("\"right\"", "\"../wrong\"");
    let earlier = Object::from_json(earlier.as_bytes()).unwrap();
    let key = Key::new("", "pods", "default", "a");
    cluster.store().await.commit(Write { key, expect: made.revision, op: StoreOp::Put(earlier) }).await.unwrap();
    assert!(String::from_utf8_lossy(admin.get(PODS, "default", "a").await.unwrap().json()).contains("../wrong"));
    let patched = admin.patch(PODS, "", "default", "a", json!({"metadata": {"labels": {"a": "b"}}})).await.unwrap();
    assert_eq!(patched.object().label("a"), Some("b"));
    let worse = admin.patch(PODS, "", "default", "a", json!({"spec": {"nodeName": "../.."}})).await.unwrap_err();
    assert_eq!(worse.code(), 422);
    admin.delete(PODS, "default", "a", json!({})).await.unwrap();
    assert!(admin.get(PODS, "default", "a").await.unwrap_err().is_not_found());
}

/// A pod made to be slow to check: each thing is compared with all others of its kind.
#[tokio::test(flavor = "multi_thread")]
async fn much_of_anything_is_checked_quickly() {
    let cluster = Cluster::start().await;
    let admin = cluster.admin();
    namespace(&admin, "strict", json!({"warn": "restricted", "audit": "baseline"})).await.unwrap();
    let many = |of: fn(usize) -> Value| (0..20_000).map(of).collect::<Vec<_>>();
    let mut heavy = pod("a");
    heavy["spec"]["containers"][0]["volumeMounts"] = many(|i| json!({"name": format!("v{i}"), "mountPath": format!("/{i}")})).into();
    heavy["spec"]["volumes"] = many(|i| json!({"name": format!("v{i}"), "hostPath": {"path": "/"}})).into();
    heavy["spec"]["tolerations"] = many(|i| json!({"key": format!("k{i}"), "operator": "Exists"})).into();
    heavy["spec"]["topologySpreadConstraints"] = many(|i| json!({"maxSkew": 1, "topologyKey": format!("k{i}"), "whenUnsatisfiable": "DoNotSchedule"})).into();
    heavy["spec"]["securityContext"] = json!({"sysctls": many(|i| json!({"name": format!("a.b{i}"), "value": "1"}))});
    let dry = Request { options: Options { dry_run: true, ..Options::default() }, ..admin.ask(Verb::Create, PODS, "strict", "") };
    let warnings = tokio::time::timeout(std::time::Duration::from_secs(20), warned(&admin, dry, heavy)).await.unwrap().unwrap();
    assert!(warnings.iter().map(String::len).sum::<usize>() <= 4_096, "a header has a bound");
    assert!(warnings[0].starts_with("would violate PodSecurity \"restricted:latest\": "));
}
