//! What is refused of admission webhooks, policies and their bindings.
use super::fixture::{check_kind, check_kind_status, merge};
use serde_json::{Value, json};

const GROUP: &str = "admissionregistration.k8s.io";

fn rule(change: Value) -> Value {
    let mut rule = json!({"apiGroups": ["apps"], "apiVersions": ["v1"], "resources": ["deployments"], "operations": ["CREATE"]});
    merge(&mut rule, change);
    rule
}
fn of(mut base: Value, change: Value) -> Value {
    merge(&mut base, change);
    json!({"metadata": {"name": "x.y"}, "spec": base})
}
fn policy(change: Value) -> Value {
    of(json!({"matchConstraints": {"resourceRules": [rule(json!({}))]}, "validations": [{"expression": "true"}]}), change)
}
fn mutating(change: Value) -> Value {
    let mutation = json!({"patchType": "JSONPatch", "jsonPatch": {"expression": "[]"}});
    of(json!({"matchConstraints": {"resourceRules": [rule(json!({}))]}, "mutations": [mutation], "reinvocationPolicy": "Never"}), change)
}

#[test]
fn rules() {
    let with = |change: Value| policy(json!({"matchConstraints": {"resourceRules": [rule(change)]}}));
    let named = |names: &[&str]| with(json!({ "resources": names }));
    let at = "spec.matchConstraints.resourceRules[0]";
    check_kind(
        GROUP,
        "validatingadmissionpolicies",
        vec![
            (with(json!({})), ""),
            (named(&["*", "pods/log"]), ""),
            (with(json!({"operations": []})), &format!("{at}.operations: Required value")),
            (
                with(json!({"operations": ["*", "CREATE"]})),
                &format!("{at}.operations: Invalid value: [\"*\",\"CREATE\"]: if '*' is present, must not specify other operations"),
            ),
            (
                with(json!({"operations": ["X"]})),
                &format!("{at}.operations[0]: Unsupported value: \"X\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"DELETE\", \"UPDATE\""),
            ),
            (with(json!({"apiVersions": [""]})), &format!("{at}.apiVersions[0]: Required value")),
            (with(json!({"scope": "X"})), &format!("{at}.scope: Unsupported value: \"X\": supported values: \"*\", \"Cluster\", \"Namespaced\"")),
            (
                with(json!({"resourceNames": ["a/b", "c", "c"]})),
                &format!("{at}.resourceNames[0]: Invalid value: \"a/b\": may not contain '/' | {at}.resourceNames[2]: Duplicate value: \"c\""),
            ),
            (named(&[]), &format!("{at}.resources: Required value")),
            (named(&[""]), &format!("{at}.resources[0]: Required value")),
            (named(&["*/*", "a"]), &format!("{at}.resources: Invalid value: [\"*/*\",\"a\"]: if '*/*' is present, must not specify other resources")),
            (
                named(&["*", "a"]),
                &format!("{at}.resources: Invalid value: [\"*\",\"a\"]: if '*' is present, must not specify other resources without subresources"),
            ),
            (named(&["a/*", "a/x"]), &format!("{at}.resources[1]: Invalid value: \"a/x\": if 'a/*' is present, must not specify a/x")),
            (named(&["*/x", "a/x"]), &format!("{at}.resources[1]: Invalid value: \"a/x\": if '*/x' is present, must not specify a/x")),
        ],
    );
}

#[test]
fn policies() {
    let validation = |change: Value| {
        let mut validation = json!({"expression": "true"});
        merge(&mut validation, change);
        policy(json!({"validations": [validation]}))
    };
    let variable = |name: &str| policy(json!({"variables": [{"name": name, "expression": "1"}]}));
    let noted = |annotation: Value| policy(json!({"auditAnnotations": [annotation]}));
    let either = "validations or auditAnnotations must contain at least one item";
    check_kind(
        GROUP,
        "validatingadmissionpolicies",
        vec![
            (policy(json!({"paramKind": {"apiVersion": "a.b/v1", "kind": "Kind"}})), ""),
            (policy(json!({"matchConstraints": null})), "spec.matchConstraints: Required value"),
            (policy(json!({"matchConstraints": {"resourceRules": []}})), "spec.matchConstraints.resourceRules: Required value"),
            (policy(json!({"failurePolicy": "X"})), "spec.failurePolicy: Unsupported value: \"X\": supported values: \"Fail\", \"Ignore\""),
            (policy(json!({"validations": []})), &format!("spec.validations: Required value: {either} | spec.auditAnnotations: Required value: {either}")),
            (
                policy(json!({"paramKind": {"apiVersion": "a/b/c", "kind": "K"}})),
                "spec.paramKind.apiVersion: Invalid value: \"a/b/c\": unexpected GroupVersion string: a/b/c",
            ),
            (policy(json!({"paramKind": {"apiVersion": "a/", "kind": "K"}})), "spec.paramKind.apiVersion: Invalid value: \"a/\": version must be specified"),
            (
                policy(json!({"paramKind": {"apiVersion": "v1", "kind": "K_"}})),
                "spec.paramKind.kind: Invalid value: \"K_\": may have mixed case, but should otherwise match: a DNS-1035 label…",
            ),
            (policy(json!({"paramKind": {"apiVersion": ""}})), "spec.paramKind.apiVersion: Required value | spec.paramKind.kind: Required value"),
            (variable("a_1"), ""),
            (variable(" "), "spec.variables[0].name: Required value: name is not specified"),
            (variable("for"), "spec.variables[0].name: Invalid value: \"for\": must be a valid CEL identifier"),
            (variable("1a"), "spec.variables[0].name: Invalid value: \"1a\": must be a valid CEL identifier"),
            (validation(json!({"expression": " "})), "spec.validations[0].expression: Required value: expression is not specified"),
            (validation(json!({"message": " "})), "spec.validations[0].message: Invalid value: \" \": must be non-empty if specified"),
            (validation(json!({"message": "a\nb"})), "spec.validations[0].message: Invalid value: \"a\\nb\": must not contain line breaks"),
            (
                validation(json!({"reason": "X"})),
                "spec.validations[0].reason: Unsupported value: \"X\": supported values: \"Forbidden\", \"Invalid\", \"RequestEntityTooLarge\"",
            ),
            (noted(json!({"key": "a", "valueExpression": "'x'"})), ""),
            (noted(json!({"key": "a", "valueExpression": " "})), "spec.auditAnnotations[0].valueExpression: Required value: valueExpression is not specified"),
            (noted(json!({"key": "-", "valueExpression": "'x'"})), "spec.auditAnnotations[0].key: Invalid value: \"x.y/-\": name part must consist…"),
        ],
    );
    let condition = json!({"type": "A", "status": "True", "reason": "", "lastTransitionTime": "2026-01-01T00:00:00Z"});
    check_kind_status(
        GROUP,
        "validatingadmissionpolicies",
        vec![
            (policy(json!({})), json!({"status": {"conditions": [condition]}}), "status.conditions[0].reason: Required value"),
            (
                policy(json!({})),
                json!({"status": {"typeChecking": {"expressionWarnings": [{"fieldRef": "spec", "warning": ""}]}}}),
                "status.typeChecking.expressionWarnings[0].warning: Required value",
            ),
        ],
    );
}

#[test]
fn mutations() {
    let mutation = |mutation: Value| mutating(json!({"mutations": [mutation]}));
    let patch = json!({"expression": "[]"});
    check_kind(
        GROUP,
        "mutatingadmissionpolicies",
        vec![
            (mutating(json!({})), ""),
            (mutating(json!({"mutations": []})), "spec.mutations: Required value: mutations must contain at least one item"),
            (mutating(json!({"reinvocationPolicy": ""})), "spec.reinvocationPolicy: Required value"),
            (
                mutation(json!({"patchType": "X"})),
                "spec.mutations[0].patchType: Unsupported value: \"X\": supported values: \"ApplyConfiguration\", \"JSONPatch\"",
            ),
            (mutation(json!({"patchType": "JSONPatch"})), "spec.mutations[0].jsonPatch: Required value: must be specified when patchType is JSONPatch"),
            (
                mutation(json!({"patchType": "ApplyConfiguration", "jsonPatch": patch, "applyConfiguration": {"expression": ""}})),
                "spec.mutations[0].applyConfiguration.expression: Required value | spec.mutations[0].jsonPatch: Invalid value: \"{jsonPatch}\": must not be specified when patchType is ApplyConfiguration",
            ),
            (
                mutating(json!({"matchConstraints": {"resourceRules": [rule(json!({"operations": ["DELETE"]}))]}})),
                "spec.matchConstraints.resourceRules.operations: Unsupported value: \"DELETE\": supported values: \"*\", \"CONNECT\", \"CREATE\", \"UPDATE\"",
            ),
        ],
    );
}

#[test]
fn bindings() {
    let binding = |change: Value| of(json!({"policyName": "p", "validationActions": ["Deny"]}), change);
    let parameters = |parameters: Value| binding(json!({ "paramRef": parameters }));
    check_kind(
        GROUP,
        "validatingadmissionpolicybindings",
        vec![
            (binding(json!({"validationActions": ["Audit", "Warn"]})), ""),
            (binding(json!({"policyName": ""})), "spec.policyName: Required value"),
            (
                binding(json!({"validationActions": ["Deny", "Warn"]})),
                "spec.validationActions: Invalid value: [\"Deny\",\"Warn\"]: must not contain both Deny and Warn…",
            ),
            (
                binding(json!({"validationActions": ["X"]})),
                "spec.validationActions[0]: Unsupported value: \"X\": supported values: \"Audit\", \"Deny\", \"Warn\"",
            ),
            (parameters(json!({"name": "a", "parameterNotFoundAction": "Deny"})), ""),
            (parameters(json!({"parameterNotFoundAction": "Deny"})), "spec.paramRef: Required value: one of name or selector must be specified"),
            (
                parameters(json!({"name": "a", "selector": {}, "parameterNotFoundAction": "X"})),
                "spec.paramRef.name: Forbidden: name and selector are mutually exclusive | spec.paramRef.selector: Forbidden: name and selector are mutually exclusive | spec.paramRef.parameterNotFoundAction: Unsupported value: \"X\": supported values: \"Deny\", \"Allow\"",
            ),
        ],
    );
}

#[test]
fn webhooks() {
    let with = |change: Value| {
        let mut webhook = json!({"name": "a.b.c", "sideEffects": "None", "admissionReviewVersions": ["v1"], "clientConfig": {"url": "https://a.b/c"}});
        merge(&mut webhook, change);
        json!({"metadata": {"name": "x"}, "webhooks": [webhook]})
    };
    let url = |url: &str| with(json!({"clientConfig": {"url": url}}));
    let service = |change: Value| {
        let mut service = json!({"name": "a", "namespace": "b"});
        merge(&mut service, change);
        with(json!({"clientConfig": {"url": null, "service": service}}))
    };
    let at = "webhooks[0].clientConfig";
    let form = "; desired format: https://host[/path]";
    for resource in ["validatingwebhookconfigurations", "mutatingwebhookconfigurations"] {
        check_kind(
            GROUP,
            resource,
            vec![
                (with(json!({})), ""),
                (with(json!({"name": "a.b"})), "webhooks[0].name: Invalid value: \"a.b\": should be a domain with at least three segments separated by dots"),
                (with(json!({"name": ""})), "webhooks[0].name: Required value"),
                (with(json!({"sideEffects": null})), "webhooks[0].sideEffects: Required value: must specify one of None, NoneOnDryRun"),
                (with(json!({"sideEffects": "Some"})), "webhooks[0].sideEffects: Unsupported value: \"Some\": supported values: \"None\", \"NoneOnDryRun\""),
                (with(json!({"admissionReviewVersions": ["v1", "v1"]})), "webhooks[0].admissionReviewVersions[1]: Invalid value: \"v1\": duplicate version"),
                (
                    with(json!({"admissionReviewVersions": ["v9"]})),
                    "webhooks[0].admissionReviewVersions: Invalid value: [\"v9\"]: must include at least one of v1, v1beta1",
                ),
                (with(json!({"timeoutSeconds": 31})), "webhooks[0].timeoutSeconds: Invalid value: 31: the timeout value must be between 1 and 30 seconds"),
                (with(json!({"clientConfig": {"url": null}})), &format!("{at}: Required value: exactly one of url or service is required")),
                (url("http://a"), &format!("{at}.url: Invalid value: \"http\": 'https' is the only allowed URL scheme{form}")),
                (url("https://"), &format!("{at}.url: Invalid value: \"\": host must be specified{form}")),
                (url("https://u@a"), &format!("{at}.url: Invalid value: \"u\": user information is not permitted in the URL")),
                (
                    url("https://a?b#c"),
                    &format!(
                        "{at}.url: Invalid value: \"c\": fragments are not permitted in the URL | {at}.url: Invalid value: \"b\": query parameters are not permitted in the URL"
                    ),
                ),
                (service(json!({"path": "/a/b/"})), ""),
                (service(json!({"name": ""})), &format!("{at}.service.namespace: Required value")),
                (
                    service(json!({"port": 65536})),
                    &format!("{at}.service.port: Invalid value: 65536: port is not valid: must be between 1 and 65535, inclusive"),
                ),
                (
                    service(json!({"path": "a"})),
                    &format!(
                        "{at}.service.path: Invalid value: \"a\": must start with a '/' | {at}.service.path: Invalid value: \"a\": segment[0] may not be empty"
                    ),
                ),
                (service(json!({"path": "/a//b"})), &format!("{at}.service.path: Invalid value: \"/a//b\": segment[1] may not be empty")),
                (service(json!({"path": "//"})), &format!("{at}.service.path: Invalid value: \"//\": segment[0] may not be empty")),
            ],
        );
    }
}
