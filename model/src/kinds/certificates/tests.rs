//! What is refused of requests for certificates, and of bundles of them.
use super::der;
use crate::kinds::fixture::{check_kind, check_kind_change, check_kind_status, merge};
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

const GROUP: &str = "certificates.k8s.io";
const KIND: &str = "certificatesigningrequests";

fn armoured(label: &str, content: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", STANDARD.encode(content))
}
fn block(label: &str) -> String {
    armoured(label, &if label == "CERTIFICATE" { der::made::certificate(true) } else { der::made::request() })
}
fn of(change: Value) -> Value {
    let mut spec = json!({"request": STANDARD.encode(block("CERTIFICATE REQUEST")), "signerName": "a.b/c", "usages": ["client auth"]});
    merge(&mut spec, change);
    json!({"metadata": {"name": "X:y"}, "spec": spec})
}

#[test]
fn requests() {
    let pem = |label: &str| of(json!({"request": STANDARD.encode(block(label))}));
    let signer = |name: &str| of(json!({ "signerName": name }));
    let kind = "PEM block type must be CERTIFICATE REQUEST";
    check_kind(
        GROUP,
        KIND,
        vec![
            (of(json!({})), ""),
            (of(json!({"request": null})), &format!("spec.request: Invalid value: null: {kind}")),
            (of(json!({"request": "AAAA"})), &format!("spec.request: Invalid value: \"AAAA\": {kind}")),
            (pem("CERTIFICATE"), &format!("spec.request: Invalid value: \"{}\": {kind}", STANDARD.encode(block("CERTIFICATE")))),
            (of(json!({"request": STANDARD.encode(armoured("CERTIFICATE REQUEST", &[0]))})), "spec.request: Invalid value: …"),
            (of(json!({"usages": []})), "spec.usages: Required value"),
            (of(json!({"usages": ["any", "any"]})), "spec.usages[1]: Duplicate value: \"any\""),
            (of(json!({"usages": ["X"]})), "spec.usages[0]: Unsupported value: \"X\": supported values: \"any\", \"cert sign\"…"),
            (
                of(json!({"expirationSeconds": 599})),
                "spec.expirationSeconds: Invalid value: 599: may not specify a duration less than 600 seconds (10 minutes)",
            ),
            (signer(""), "spec.signerName: Required value"),
            (
                signer("kubernetes.io/legacy-unknown"),
                "spec.signerName: Invalid value: \"kubernetes.io/legacy-unknown\": the legacy signerName is not allowed via this API version",
            ),
            (signer("a.b"), "spec.signerName: Invalid value: \"a.b\": must be a fully qualified domain and path of the form 'example.com/signer-name'"),
            (signer("a.b/c/d"), "spec.signerName: Invalid value: \"a.b/c/d\": must be a fully qualified domain…"),
            (signer("a/b"), "spec.signerName: Invalid value: \"a\": should be a domain with at least two segments separated by dots"),
            (signer("a.B/c"), "spec.signerName: Invalid value: \"a.B\": validating label \"B\": a lowercase RFC 1123 label…"),
            (signer("a.b/C"), "spec.signerName: Invalid value: \"C\": validating label \"C\": a lowercase RFC 1123 subdomain…"),
        ],
    );
}

#[test]
fn decisions() {
    let status = |conditions: Value, certificate: &str| {
        let mut request = of(json!({}));
        request["status"] = json!({"conditions": conditions, "certificate": STANDARD.encode(certificate)});
        request
    };
    let with = |kinds: &[&str]| status(kinds.iter().map(|kind| json!({"type": kind, "status": "True"})).collect(), "");
    let certified = |text: &str| status(json!([]), text);
    let forbidden = "status.conditions: Forbidden: updates may not";
    check_kind_status(
        GROUP,
        KIND,
        vec![
            (with(&["Approved"]), with(&["Approved", "Failed"]), ""),
            (with(&[]), with(&["Approved"]), &format!("{forbidden} add a condition of type \"Approved\"")),
            (with(&["Denied"]), with(&[]), &format!("{forbidden} remove a condition of type \"Denied\"")),
            (with(&[]), with(&["X", "X"]), "status.conditions[1].type: Duplicate value: \"X\""),
            (
                with(&[]),
                status(json!([{"type": "Failed", "status": "False"}]), ""),
                "status.conditions[0].status: Unsupported value: \"False\": supported values: \"True\"",
            ),
            (with(&[]), status(json!([{}]), ""), "status.conditions[0].type: Required value | status.conditions[0].status: Required value"),
            (certified(""), certified(&block("CERTIFICATE")), ""),
            (
                certified(""),
                certified(&armoured("CERTIFICATE", &[0])),
                "status.certificate: Invalid value: \"<certificate data>\": x509: malformed certificate",
            ),
            (certified(""), certified("x"), "status.certificate: Invalid value: \"<certificate data>\": must contain at least one CERTIFICATE PEM block"),
            (
                certified(""),
                certified(&block("X")),
                "status.certificate: Invalid value: \"<certificate data>\": only CERTIFICATE PEM blocks are allowed, found \"X\"",
            ),
            (certified(&block("CERTIFICATE")), certified(""), "status.certificate: Forbidden: updates may not modify existing certificate content"),
        ],
    );
    // through `approval`, nothing is kept before
    check_kind_change(GROUP, KIND, vec![(with(&["Approved"]), of(json!({"usages": []})), "")]);
}

#[test]
fn bundles() {
    let named = |name: &str, signer: &str, text: &str| json!({"metadata": {"name": name}, "spec": {"signerName": signer, "trustBundle": text}});
    let one = block("CERTIFICATE");
    let at = "spec.trustBundle: Invalid value: \"<value omitted>\"";
    check_kind(
        GROUP,
        "clustertrustbundles",
        vec![
            (named("a", "", &one), ""),
            (named("a.b:c:d", "a.b/c", &one), ""),
            (named("d", "a.b/c", &one), "metadata.name: Invalid value: \"d\": ClusterTrustBundle for signerName a.b/c must be named with prefix a.b:c:"),
            (named("a:b", "", &one), "metadata.name: Invalid value: \"a:b\": ClusterTrustBundle without signer name must not have \":\" in its name"),
            (named("a", "", &armoured("CERTIFICATE", &[0])), &format!("{at}: entry 0 does not parse as X.509")),
            (named("a", "", &armoured("CERTIFICATE", &der::made::certificate(false))), &format!("{at}: entry 0 does not have the CA bit set")),
            (named("a", "", "x"), &format!("{at}: at least one trust anchor must be provided")),
            (named("a", "", &one.repeat(2)), &format!("{at}: duplicate trust anchor (indices [0 1])")),
            (named("a", "", &block("X")), &format!("{at}: entry 0 has bad block type: X")),
            (named("a", "", "-----BEGIN CERTIFICATE-----\na: b\n\nAAAA\n-----END CERTIFICATE-----"), &format!("{at}: entry 0 has PEM block headers")),
        ],
    );
}

fn for_pod(change: Value) -> Value {
    let mut spec = json!({"signerName": "a.b/c", "podName": "p", "podUID": "1", "serviceAccountName": "s", "serviceAccountUID": "2",
        "nodeName": "n", "nodeUID": "3", "stubPKCS10Request": "AAAA"});
    merge(&mut spec, change);
    json!({"metadata": {"name": "x"}, "spec": spec})
}

#[test]
fn certificates_of_pods() {
    let one = "exactly one of (stubPKCS10Request) or (pkixPublicKey, proofOfPossession) must be set";
    check_kind(
        GROUP,
        "podcertificaterequests",
        vec![
            (for_pod(json!({})), ""),
            (for_pod(json!({"podUID": ""})), "spec.podUID: Invalid value: \"\": must not be empty"),
            (for_pod(json!({"nodeUID": "x".repeat(129)})), "spec.nodeUID: Too long: may not be more than 128 bytes"),
            (for_pod(json!({"maxExpirationSeconds": 60})), "spec.maxExpirationSeconds: Invalid value: 60: must be in the range [3600, 7862400]"),
            (
                for_pod(json!({"signerName": "kubernetes.io/x", "maxExpirationSeconds": 86_401})),
                "spec.maxExpirationSeconds: Invalid value: 86401: must be in the range [3600, 86400]",
            ),
            (for_pod(json!({"pkixPublicKey": "AAAA"})), &format!("spec: Invalid value: {one}")),
            (
                for_pod(json!({"unverifiedUserAnnotations": {"a": "b"}})),
                "spec.unverifiedUserAnnotations: Invalid value: \"a\": must be a domain-prefixed key (such as \"acme.io/foo\")",
            ),
        ],
    );
}

#[test]
fn decisions_on_certificates_of_pods() {
    let status = |kind: &str, more: Value| {
        let condition = json!({"type": kind, "status": "True", "reason": "R", "lastTransitionTime": "2026-01-01T00:00:00Z"});
        let mut request = for_pod(json!({}));
        request["status"] = json!({"conditions": [condition]});
        merge(&mut request["status"], more);
        request
    };
    let issued = json!({"certificateChain": block("CERTIFICATE"), "notBefore": "2026-01-01T00:00:00Z", "notAfter": "2026-01-02T00:00:00Z",
        "beginRefreshAt": "2026-01-01T12:00:00Z"});
    let at = |time: &str| {
        let mut issued = issued.clone();
        issued["beginRefreshAt"] = time.into();
        status("Issued", issued)
    };
    check_kind_status(
        GROUP,
        "podcertificaterequests",
        vec![
            (for_pod(json!({})), status("Issued", issued.clone()), ""),
            (for_pod(json!({})), status("Denied", json!({})), ""),
            (
                for_pod(json!({})),
                status("X", json!({})),
                "status.conditions.[0].type: Unsupported value: \"X\": supported values: \"Issued\", \"Denied\", \"Failed\"",
            ),
            (
                for_pod(json!({})),
                status("Denied", issued.clone()),
                "status: Invalid value: non-condition status fields must be empty when denying or failing the PodCertificateRequest",
            ),
            (
                for_pod(json!({})),
                status("Issued", json!({})),
                "status.certificateChain: Invalid value: \"\": issued certificate chain must contain at least one certificate",
            ),
            (
                for_pod(json!({})),
                at("2026-01-01T00:01:00Z"),
                "status.beginRefreshAt: Invalid value: \"2026-01-01T00:01:00Z\": must be at least 10 minutes after status.notBefore",
            ),
            (
                status("Denied", json!({})),
                status("Failed", json!({})),
                "status: Invalid value: immutable after PodCertificateRequest is issued, denied, or failed",
            ),
        ],
    );
}
