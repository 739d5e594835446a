//! What is declared and what strategies say of the kinds that have no file of tests of their own.
use super::fixture::{check_defaults, check_kind, check_kind_change, check_kind_status, merge};
use crate::object::Object;
use serde_json::{Value, json};

/// A template of pods with these labels.
fn template(restart: &str) -> Value {
    json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}], "restartPolicy": restart}})
}
/// `{"spec": base + change}`, with a name.
fn with(mut base: Value, change: Value) -> Value {
    merge(&mut base, change);
    json!({"metadata": {"name": "x", "uid": "u"}, "spec": base})
}

#[test]
fn cron_jobs() {
    let cron = |change: Value| with(json!({"schedule": "*/5 * * * *", "jobTemplate": {"spec": {"template": template("OnFailure")}}}), change);
    let selector = json!({"jobTemplate": {"spec": {"selector": {"matchLabels": {"a": "b"}}}}});
    check_kind(
        "batch",
        "cronjobs",
        vec![
            (cron(json!({"timeZone": "Europe/Berlin"})), ""),
            (cron(json!({"schedule": ""})), "spec.schedule: Required value"),
            (cron(json!({"schedule": "61 * * * *"})), "spec.schedule: Invalid value: \"61 * * * *\": end of range (61) above maximum (59): 61"),
            (
                cron(json!({"schedule": "TZ=UTC * * * * *"})),
                "spec.schedule: Invalid value: \"TZ=UTC * * * * *\": cannot use TZ or CRON_TZ in schedule, use timeZone field instead",
            ),
            (cron(json!({"timeZone": "Nowhere/At_All"})), "spec.timeZone: Invalid value: \"Nowhere/At_All\": unknown time zone Nowhere/At_All"),
            (cron(json!({"timeZone": "../etc"})), "spec.timeZone: Invalid value: \"../etc\": unknown time zone ../etc"),
            (cron(json!({"concurrencyPolicy": "X"})), "spec.concurrencyPolicy: Unsupported value: \"X\": supported values: \"Allow\", \"Forbid\", \"Replace\""),
            (cron(selector), "spec.jobTemplate.spec.selector: Invalid value: {\"matchLabels\":{\"a\":\"b\"}}: `selector` will be auto-generated"),
        ],
    );
}

fn set(change: Value) -> Value {
    with(json!({"selector": {"matchLabels": {"a": "b"}}, "template": template("Always")}), change)
}

#[test]
fn stateful_sets() {
    let claims = json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}}}],
        "template": {"spec": {"containers": [{"name": "c", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/data"}]}]}}});
    check_kind(
        "apps",
        "statefulsets",
        vec![
            (set(json!({})), ""),
            (set(claims), ""),
            (set(json!({"template": {"spec": {"hostname": "A", "subdomain": "B"}}})), ""),
            (
                set(json!({"selector": null})),
                r#"spec.selector: Required value | spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`"#,
            ),
            (
                set(json!({"volumeClaimTemplates": [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]})),
                "spec.volumeClaimTemplates[0].spec.resources[storage]: Required value",
            ),
            (set(json!({"ordinals": {"start": -1}})), "spec.ordinals.start: Invalid value: -1: must be greater than or equal to 0"),
            (
                set(json!({"updateStrategy": {"type": "X"}})),
                "spec.updateStrategy: Invalid value: {\"Type\":\"X\",\"RollingUpdate\":null}: must be 'RollingUpdate' or 'OnDelete'",
            ),
            (set(json!({"replicas": -1})), "spec.replicas: Invalid value: -1: must be greater than or equal to 0"),
            (set(json!({"podManagementPolicy": "X"})), "spec.podManagementPolicy: Invalid value: \"X\": must be 'OrderedReady' or 'Parallel'"),
            (set(json!({"serviceName": "A"})), "spec.serviceName: Invalid value: \"A\": a lowercase…"),
            (
                set(json!({"updateStrategy": {"type": "OnDelete", "rollingUpdate": {}}})),
                "spec.updateStrategy.rollingUpdate: Invalid value: {}: only allowed for updateStrategy 'RollingUpdate'",
            ),
            (
                set(json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}})),
                "spec.updateStrategy.rollingUpdate.maxUnavailable: Invalid value: 0: cannot be 0",
            ),
            (set(json!({"selector": {"matchLabels": null}})), "spec.selector: Invalid value: {}: empty selector is invalid for statefulset"),
            (
                set(json!({"persistentVolumeClaimRetentionPolicy": {"whenScaled": "X"}})),
                "spec.persistentVolumeClaimRetentionPolicy.whenScaled: Unsupported value: \"X\": supported values: \"Retain\", \"Delete\"",
            ),
        ],
    );
    check_kind_change(
        "apps",
        "statefulsets",
        vec![
            (set(json!({})), set(json!({"replicas": 4})), ""),
            (set(json!({"serviceName": "a"})), set(json!({"serviceName": "b"})), "spec.serviceName: Invalid value: \"b\": field is immutable"),
        ],
    );
}

#[test]
fn daemon_sets_and_replication_controllers() {
    let rolling = |rolling: Value| set(json!({"updateStrategy": {"rollingUpdate": rolling}}));
    check_kind(
        "apps",
        "daemonsets",
        vec![
            (set(json!({})), ""),
            (rolling(json!({"maxUnavailable": 0, "maxSurge": "10%"})), ""),
            (rolling(json!({"maxSurge": 1})), "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero"),
            (rolling(json!({"maxUnavailable": 0})), "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0"),
            (
                set(json!({"template": {"spec": {"activeDeadlineSeconds": 5}}})),
                "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in DaemonSet is not Supported",
            ),
        ],
    );
    check_kind_status(
        "apps",
        "daemonsets",
        vec![(json!({}), json!({"status": {"numberReady": -1}}), "status.numberReady: Invalid value: -1: must be greater than or equal to 0")],
    );
    let controller = |change: Value| with(json!({"template": template("Always")}), change);
    check_kind(
        "",
        "replicationcontrollers",
        vec![
            (controller(json!({})), ""),
            (
                controller(json!({"selector": {"a": "c"}})),
                "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
            ),
        ],
    );
}

fn scaler(change: Value) -> Value {
    with(json!({"maxReplicas": 3, "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "d"}}), change)
}

#[test]
fn autoscalers() {
    check_kind(
        "autoscaling",
        "horizontalpodautoscalers",
        vec![
            (scaler(json!({})), ""),
            (scaler(json!({"scaleTargetRef": {"apiVersion": "v1", "kind": "ReplicationController"}})), ""),
            (
                scaler(json!({"scaleTargetRef": {"apiVersion": "v1"}})),
                "spec.scaleTargetRef.apiVersion: Invalid value: \"v1\": apiVersion must specify API group",
            ),
            (
                scaler(json!({"scaleTargetRef": {"apiVersion": "a/b/c"}})),
                "spec.scaleTargetRef.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
            ),
            (
                scaler(json!({"maxReplicas": 0})),
                "spec.maxReplicas: Required value | spec.maxReplicas: Invalid value: 0: must be greater than or equal to `minReplicas`",
            ),
            (scaler(json!({"minReplicas": -1})), "spec.minReplicas: Invalid value: -1: must be greater than or equal to 0"),
            (
                scaler(json!({"minReplicas": 0})),
                "spec.metrics: Forbidden: must specify at least one Object or External metric to support scaling to zero replicas",
            ),
            (
                scaler(json!({"behavior": {"scaleDown": {"policies": [{"type": "X", "periodSeconds": 1801}], "tolerance": "-1"}}})),
                "spec.behavior.scaleDown.policies[0].type: Unsupported value: \"X\": supported values: \"Percent\", \"Pods\" | spec.behavior.scaleDown.policies[0].value: Invalid value: 0: must be greater than zero | spec.behavior.scaleDown.policies[0].periodSeconds: Invalid value: 1801: must be less than or equal to 1800 | spec.behavior.scaleDown.tolerance: Invalid value: \"-1\": must be greater than or equal to 0",
            ),
            (
                scaler(json!({"behavior": {"scaleDown": {"policies": []}}})),
                "spec.behavior.scaleDown.policies: Required value: must specify at least one Policy",
            ),
            (scaler(json!({"minReplicas": 5})), "spec.maxReplicas: Invalid value: 3: must be greater than or equal to `minReplicas`"),
            (
                scaler(json!({"behavior": {"scaleUp": {"stabilizationWindowSeconds": 4000}}})),
                "spec.behavior.scaleUp.stabilizationWindowSeconds: Invalid value: 4000: must be less than or equal to 3600",
            ),
        ],
    );
}

#[test]
fn metrics() {
    let metric = |metric: Value| scaler(json!({"metrics": [metric]}));
    check_kind(
        "autoscaling",
        "horizontalpodautoscalers",
        vec![
            (
                metric(json!({"type": "Pods", "resource": {"name": "cpu", "target": {"type": "X", "averageUtilization": 0}}})),
                "spec.metrics[0].resource.target.type: Invalid value: \"X\": must be either Utilization, Value, or AverageValue | spec.metrics[0].resource.target.averageUtilization: Invalid value: 0: must be greater than 0 | spec.metrics[0].pods: Required value: must populate information for the given metric source",
            ),
            (
                metric(
                    json!({"type": "ContainerResource", "containerResource": {"name": "x", "container": "A", "target": {"type": "Value", "averageValue": "1"}}}),
                ),
                "spec.metrics[0].containerResource.name: Invalid value: \"x\": must be a standard resource type or fully qualified | spec.metrics[0].containerResource.name: Invalid value: \"x\": must be a standard resource for containers | spec.metrics[0].containerResource.container: Invalid value: \"A\": a lowercase RFC 1123 label…",
            ),
            (
                metric(
                    json!({"type": "External", "external": {"metric": {"name": "a/b"}, "target": {"type": "Value", "value": "0", "averageValue": "1"}}, "pods": {}}),
                ),
                "spec.metrics[0].external.metric.name: Invalid value: \"a/b\": may not contain '/' | spec.metrics[0].external.target.value: Invalid value: \"0\": must be positive | spec.metrics[0].external.target.value: Forbidden: may not set both a target value for metric and a per-pod target | spec.metrics[0].pods: Forbidden: must populate the given metric source only",
            ),
            (
                metric(
                    json!({"type": "Object", "object": {"describedObject": {"kind": "Service", "name": "s"}, "metric": {"name": "a"}, "target": {"type": "Value"}}}),
                ),
                "spec.metrics[0].object.target.averageValue: Required value: must set either a target value or averageValue",
            ),
            (
                metric(json!({"type": "X"})),
                "spec.metrics[0].type: Unsupported value: \"X\": supported values: \"ContainerResource\", \"External\", \"Object\", \"Pods\", \"Resource\"",
            ),
            (metric(json!({"type": "Pods"})), "spec.metrics[0].pods: Required value: must populate information for the given metric source"),
            (
                metric(json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization"}}})),
                "spec.metrics[0].resource.target.averageUtilization: Required value: must set either a target raw value or a target utilization",
            ),
        ],
    );
}

#[test]
fn the_older_form_of_autoscalers() {
    let (v1, v2) = {
        let kinds = super::builtin();
        let row = |version: &str| kinds.served("autoscaling", version, "horizontalpodautoscalers").unwrap().clone();
        (row("v1"), row("v2"))
    };
    assert!(v2.stored_as.is_none());
    let old = json!({"apiVersion": "autoscaling/v1", "kind": "HorizontalPodAutoscaler", "metadata": {"name": "h"},
        "spec": {"maxReplicas": 3, "scaleTargetRef": {"kind": "Deployment", "name": "d"}, "targetCPUUtilizationPercentage": 50}});
    let old = Object::from_value(old).unwrap();
    let new = v1.inward(old.clone());
    assert_eq!(
        new.at(&["spec", "metrics"]),
        Some(&json!([{"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}}]))
    );
    assert_eq!(v1.outward(&new), Some(old));
    // what the older form has no field for survives it
    let mut rich = new;
    rich.set(&["spec", "behavior"], json!({"scaleUp": {"selectPolicy": "Max"}}));
    let pods = json!({"type": "Pods", "pods": {"metric": {"name": "hits"}, "target": {"type": "AverageValue", "averageValue": "10"}}});
    let mut metrics = rich.list_at(&["spec", "metrics"]).to_vec();
    metrics.push(pods);
    rich.set(&["spec", "metrics"], metrics);
    let mut back = v1.inward(v1.outward(&rich).unwrap());
    back.remove(&["metadata", "annotations"]);
    assert_eq!(back, rich);
}

#[test]
fn budgets() {
    let budget = |spec: Value| with(json!({"selector": {"matchLabels": {"a": "b"}}}), spec);
    check_kind(
        "policy",
        "poddisruptionbudgets",
        vec![
            (budget(json!({"minAvailable": "50%"})), ""),
            (budget(json!({"minAvailable": 1, "maxUnavailable": 1})), "spec: Invalid value: …"),
            (budget(json!({"maxUnavailable": "101%"})), "spec.maxUnavailable: Invalid value: \"101%\": must not be greater than 100%"),
            (
                budget(json!({"unhealthyPodEvictionPolicy": "X"})),
                "spec.unhealthyPodEvictionPolicy: Unsupported value: \"X\": supported values: \"AlwaysAllow\", \"IfHealthyBudget\"",
            ),
        ],
    );
}

#[test]
fn quotas() {
    let quota = |hard: Value| json!({"spec": {"hard": hard}});
    let scoped = |change: Value| {
        let mut quota = quota(json!({"cpu": "1"}));
        merge(&mut quota["spec"], change);
        quota
    };
    check_kind(
        "",
        "resourcequotas",
        vec![
            (quota(json!({"pods": "10", "requests.cpu": "1", "count/jobs.batch": "2"})), ""),
            (quota(json!({"a.b/gpu": "500m"})), "spec.hard[a.b/gpu]: Invalid value: \"500m\": must be an integer"),
            (
                scoped(json!({"scopes": ["BestEffort", "NotBestEffort", "X"]})),
                "spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"X\"]: unsupported scope applied to resource | spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"X\"]: unsupported scope | spec.scopes: Invalid value: [\"BestEffort\",\"NotBestEffort\",\"X\"]: conflicting scopes",
            ),
            (
                scoped(json!({"scopeSelector": {"matchExpressions": [{"scopeName": "Terminating", "operator": "In", "values": []}]}})),
                "spec.scopeSelector.matchExpressions.operator: Invalid value: \"In\": must be 'Exists' when scope is any of… | spec.scopeSelector.matchExpressions.values: Required value: must be at least one value when `operator` is 'In' or 'NotIn' for scope selector",
            ),
            (
                scoped(json!({"scopeSelector": {"matchExpressions": [{"scopeName": "PriorityClass", "operator": "Exists", "values": ["a"]}]}})),
                "spec.scopeSelector.matchExpressions.values: Invalid value: [\"a\"]: must be no value when `operator` is 'Exist' or 'DoesNotExist' for scope selector",
            ),
            (quota(json!({"pods": "1500m"})), "spec.hard[pods]: Invalid value: \"1500m\": must be an integer"),
            (
                quota(json!({"things": "1"})),
                "spec.hard[things]: Invalid value: \"things\": must be a standard resource type or fully qualified | spec.hard[things]: Invalid value: \"things\": must be a standard resource for quota",
            ),
        ],
    );
}

#[test]
fn limits() {
    let limit = |limit: Value| json!({"spec": {"limits": [limit]}});
    check_kind(
        "",
        "limitranges",
        vec![
            (limit(json!({"type": "Container", "max": {"cpu": "1"}, "min": {"cpu": "100m"}})), ""),
            (
                limit(json!({"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "2"}})),
                "spec.limits[0].min[cpu]: Invalid value: \"2\": min value 2 is greater than max value 1",
            ),
            (limit(json!({"type": "Pod", "default": {"cpu": "1"}})), "spec.limits[0].default: Forbidden: may not be specified when `type` is 'Pod'"),
            (
                limit(json!({"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "2"}, "defaultRequest": {"cpu": "3"}})),
                "spec.limits[0].defaultRequest[cpu]: Invalid value: \"3\": default request value 3 is greater than max value 1 | spec.limits[0].defaultRequest[cpu]: Invalid value: \"3\": default request value 3 is greater than default limit value 2 | spec.limits[0].default[cpu]: Invalid value: \"1\": default value 2 is greater than max value 1",
            ),
            (
                limit(json!({"type": "Pod", "max": {"cpu": "1"}, "min": {"cpu": "500m"}, "maxLimitRequestRatio": {"cpu": "3"}})),
                "spec.limits[0].maxLimitRequestRatio[cpu]: Invalid value: \"3\": ratio 3 is greater than max/min = 2.000000",
            ),
            (
                limit(json!({"type": "Pod", "max": {"a.b/gpu": "1"}, "min": {"things": "1"}})),
                "spec.limits[0].min[things]: Invalid value: \"things\": must be a standard resource type or fully qualified | spec.limits[0].min[things]: Invalid value: \"things\": must be a standard resource for containers",
            ),
            (
                limit(json!({"type": "PersistentVolumeClaim"})),
                "spec.limits[0].limits: Required value: either minimum or maximum storage value is required, but neither was provided",
            ),
            (limit(json!({"type": "X"})), "spec.limits[0].type: Invalid value: \"X\": must be a standard limit type or fully qualified"),
        ],
    );
    check_defaults(
        "",
        "limitranges",
        limit(json!({"type": "Container", "max": {"cpu": "1"}})),
        limit(json!({"type": "Container", "max": {"cpu": "1"}, "default": {"cpu": "1"}, "defaultRequest": {"cpu": "1"}})),
    );
}

#[test]
fn webhooks() {
    let hook = |change: Value| {
        let mut hook = json!({"name": "a.b.c", "clientConfig": {"url": "https://x/y"}, "admissionReviewVersions": ["v1"], "sideEffects": "None"});
        merge(&mut hook, change);
        json!({"webhooks": [hook]})
    };
    check_kind(
        "admissionregistration.k8s.io",
        "validatingwebhookconfigurations",
        vec![
            (hook(json!({})), ""),
            (hook(json!({"name": "a.b"})), "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots"),
            (hook(json!({"sideEffects": "Some"})), "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\""),
            (hook(json!({"timeoutSeconds": 31})), "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"),
            (
                hook(json!({"clientConfig": {"url": "http://x"}})),
                "webhooks[0].clientConfig.url: Invalid value: \"http\": 'https' is the only allowed URL scheme; desired format: https://host[/path]",
            ),
            (hook(json!({"clientConfig": {"url": null}})), "webhooks[0].clientConfig: Required value: exactly one of url or service is required"),
            (
                hook(json!({"rules": [{"operations": ["*", "CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["pods"]}]})),
                "webhooks[0].rules[0].operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations",
            ),
        ],
    );
}
