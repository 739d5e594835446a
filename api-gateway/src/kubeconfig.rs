//! A kubeconfig with everything embedded, so that it can be copied to where `kubectl` is.
use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

/// YAML of a kubeconfig whose only context is `cluster`, with a client certificate and its key, all PEM.
pub fn render(cluster: &str, server: &str, ca: &str, (cert, key): (&str, &str)) -> String {
    let name = quoted(cluster);
    let (ca, cert, key) = (BASE64_STANDARD.encode(ca), BASE64_STANDARD.encode(cert), BASE64_STANDARD.encode(key));
    let server = quoted(server);
    format!(
        "apiVersion: v1
kind: Config
current-context: {name}
clusters:
- name: {name}
  cluster:
    server: {server}
    certificate-authority-data: {ca}
contexts:
- name: {name}
  context:
    cluster: {name}
    user: admin
users:
- name: admin
  user:
    client-certificate-data: {cert}
    client-key-data: {key}
"
    )
}

/// A JSON string is a YAML string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}
