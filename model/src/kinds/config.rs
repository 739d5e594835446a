//! ConfigMaps and Secrets: keyed data of bounded size that may be made immutable.
use super::fields::Checks;
use crate::error::Cause;
use crate::names;
use crate::object::Object;
use crate::strategy::Strategy;
use crate::token_secret;
use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Map, Value};

/// Most bytes of all values together.
const MAX: usize = 1 << 20;

/// The rules of ConfigMaps.
pub static CONFIG_MAP: ConfigMap = ConfigMap;
/// The rules of Secrets.
pub static SECRET: Secret = Secret;

/// The rules of ConfigMaps.
pub struct ConfigMap;
/// The rules of Secrets.
pub struct Secret;

fn data<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.at(&[key]).and_then(Value::as_object).into_iter().flatten()
}
fn length(value: &Value) -> usize {
    value.as_str().map_or(0, str::len)
}
/// Length of what base64 text stands for.
fn decoded(value: &Value) -> usize {
    value.as_str().map_or(0, |t| t.len() / 4 * 3 - t.bytes().rev().take_while(|b| *b == b'=').count().min(t.len() / 4 * 3))
}

fn keys(checks: &mut Checks, object: &Object, field: &str) {
    for (key, _) in data(object, field) {
        checks.all(format_args!("{field}[{key}]"), key, names::config_key(key));
    }
}

fn immutable(new: &Object, old: &Object, fields: &[&str]) -> Vec<Cause> {
    let why = "field is immutable when `immutable` is set";
    if old.at(&["immutable"]) != Some(&Value::Bool(true)) {
        return Vec::new();
    }
    let mut causes = Vec::new();
    if new.at(&["immutable"]) != Some(&Value::Bool(true)) {
        causes.push(Cause::forbidden("immutable", why));
    }
    let empty = Value::Object(Map::new());
    let of = |o: &Object, f: &str| o.at(&[f]).filter(|v| !v.is_null()).unwrap_or(&empty).clone();
    causes.extend(fields.iter().filter(|f| of(new, f) != of(old, f)).map(|f| Cause::forbidden(*f, why)));
    causes
}

impl Strategy for ConfigMap {
    fn validate(&self, map: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        keys(&mut checks, map, "data");
        keys(&mut checks, map, "binaryData");
        for (key, _) in data(map, "data").filter(|(key, _)| map.at(&["binaryData", key]).is_some()) {
            checks.add(Cause::invalid(format!("data[{key}]"), &key.as_str().into(), "duplicate of key present in binaryData"));
        }
        let size: usize = data(map, "data").map(|(_, v)| length(v)).chain(data(map, "binaryData").map(|(_, v)| decoded(v))).sum();
        if size > MAX {
            checks.add(Cause::too_long("", MAX));
        }
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        immutable(new, old, &["data", "binaryData"])
    }
}

impl Strategy for Secret {
    fn default(&self, secret: &mut Object) {
        if secret.str_at(&["type"]).is_empty() {
            secret.set(&["type"], "Opaque");
        }
        if let Some(Value::Object(plain)) = secret.remove(&["stringData"]) {
            for (key, value) in plain {
                let text = value.as_str().unwrap_or_default();
                secret.set(&["data", &key], STANDARD.encode(text));
            }
        }
    }
    fn validate(&self, secret: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        keys(&mut checks, secret, "data");
        if data(secret, "data").map(|(_, v)| decoded(v)).sum::<usize>() > MAX {
            checks.add(Cause::too_long("data", MAX));
        }
        typed(&mut checks, secret);
        checks.0
    }
    fn validate_update(&self, new: &Object, old: &Object) -> Vec<Cause> {
        let mut checks = Checks::default();
        checks.immutable("type", new.at(&["type"]), old.at(&["type"]));
        checks.extend(immutable(new, old, &["data"]));
        checks.0
    }
}

/// What a secret of a known type must hold.
fn typed(checks: &mut Checks, secret: &Object) {
    let has = |key: &str| secret.at(&["data", key]).is_some();
    let mut need = |key: &str| {
        if !has(key) {
            checks.required(format_args!("data[{key}]"), "");
        }
    };
    match secret.str_at(&["type"]) {
        token_secret::TYPE if secret.annotation(token_secret::ACCOUNT).unwrap_or_default().is_empty() => {
            checks.required(format_args!("metadata.annotations[{}]", token_secret::ACCOUNT), "");
        }
        "kubernetes.io/dockercfg" => {
            need(".dockercfg");
            json_file(checks, secret, ".dockercfg");
        }
        "kubernetes.io/dockerconfigjson" => {
            need(".dockerconfigjson");
            json_file(checks, secret, ".dockerconfigjson");
        }
        "kubernetes.io/ssh-auth" if secret.str_at(&["data", "ssh-privatekey"]).is_empty() => checks.required("data[ssh-privatekey]", ""),
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].into_iter().for_each(need),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            checks.required("data[username]", "");
            checks.required("data[password]", "");
        }
        _ => {}
    }
}

/// The file is to be a JSON object. What it says is secret, so nobody is told where it is wrong.
fn json_file(checks: &mut Checks, secret: &Object, key: &str) {
    let Some(bytes) = secret.at(&["data", key]).and_then(Value::as_str).and_then(|text| STANDARD.decode(text).ok()) else { return };
    let why = match serde_json::from_slice::<Value>(&bytes) {
        Ok(Value::Object(_) | Value::Null) => return,
        Ok(other) => format!("json: cannot unmarshal {} into Go value of type map[string]interface {{}}", json_type(&other)),
        Err(e) if e.is_eof() => "unexpected end of JSON input".to_owned(),
        Err(_) => "invalid character in the JSON document".to_owned(),
    };
    checks.add(Cause::invalid(format_args!("data[{key}]"), &"<secret contents redacted>".into(), why));
}

fn json_type(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::fixture::{check, check_change};
    use serde_json::json;

    #[test]
    fn secrets() {
        let of = |kind: &str, data: Value| json!({"type": format!("kubernetes.io/{kind}"), "stringData": data});
        let redacted = "Invalid value: \"<secret contents redacted>\"";
        let go = "into Go value of type map[string]interface {}";
        check(
            &SECRET,
            vec![
                (json!({"data": {"a.b_C-1": "YQ=="}}), ""),
                (json!({"type": "mine/own"}), ""),
                (json!({"data": {"a/b": ""}}), "data[a/b]: Invalid value: \"a/b\": a valid config key must…"),
                (json!({"data": {"..": ""}}), "data[..]: Invalid value: \"..\": must not be '..'"),
                (json!({"data": {"..a": ""}}), "data[..a]: Invalid value: \"..a\": must not start with '..'"),
                (json!({"stringData": {"a": "x".repeat(MAX)}}), ""),
                (json!({"stringData": {"a": "x".repeat(MAX), "b": "x"}}), "data: Too long: may not be more than 1048576 bytes"),
                (of("dockercfg", json!({".dockercfg": "{}"})), ""),
                (of("dockercfg", json!({})), "data[.dockercfg]: Required value"),
                (of("dockercfg", json!({".dockercfg": "[]"})), &format!("data[.dockercfg]: {redacted}: json: cannot unmarshal array {go}")),
                (of("dockerconfigjson", json!({".dockerconfigjson": "{\"auths\": {}}"})), ""),
                (of("dockerconfigjson", json!({})), "data[.dockerconfigjson]: Required value"),
                (
                    of("dockerconfigjson", json!({".dockerconfigjson": "\"a\""})),
                    &format!("data[.dockerconfigjson]: {redacted}: json: cannot unmarshal string {go}"),
                ),
                (of("dockerconfigjson", json!({".dockerconfigjson": "{"})), &format!("data[.dockerconfigjson]: {redacted}: unexpected end of JSON input")),
                (of("dockerconfigjson", json!({".dockerconfigjson": "x"})), &format!("data[.dockerconfigjson]: {redacted}: invalid character…")),
                (of("basic-auth", json!({"username": ""})), ""),
                (of("basic-auth", json!({"password": "p"})), ""),
                (of("basic-auth", json!({})), "data[username]: Required value | data[password]: Required value"),
                (of("ssh-auth", json!({"ssh-privatekey": "k"})), ""),
                (of("ssh-auth", json!({"ssh-privatekey": ""})), "data[ssh-privatekey]: Required value"),
                (of("tls", json!({"tls.crt": "", "tls.key": ""})), ""),
                (of("tls", json!({})), "data[tls.crt]: Required value | data[tls.key]: Required value"),
                (of("service-account-token", json!({})), "metadata.annotations[kubernetes.io/service-account.name]: Required value"),
                (json!({"type": token_secret::TYPE, "metadata": {"annotations": {token_secret::ACCOUNT: "a"}}}), ""),
            ],
        );
    }

    #[test]
    fn config_maps() {
        let key = "data[a]: Invalid value: \"a\": duplicate of key present in binaryData";
        check(
            &CONFIG_MAP,
            vec![
                (json!({"data": {"a": "x"}, "binaryData": {"b": "YQ=="}}), ""),
                (json!({"data": {"a b": "x"}}), "data[a b]: Invalid value: \"a b\": a valid config key must…"),
                (json!({"binaryData": {".": ""}}), "binaryData[.]: Invalid value: \".\": must not be '.'"),
                (json!({"data": {"a": ""}, "binaryData": {"a": ""}}), key),
                (json!({"data": {"a": "x".repeat(MAX - 1)}, "binaryData": {"b": "YQ=="}}), ""),
                (json!({"data": {"a": "x".repeat(MAX)}, "binaryData": {"b": "YQ=="}}), ": Too long: may not be more than 1048576 bytes"),
            ],
        );
    }

    #[test]
    fn what_stays() {
        let why = "Forbidden: field is immutable when `immutable` is set";
        let fixed = |data: &str| json!({"immutable": true, "data": {"a": data}});
        let rows = |binary: bool| {
            let mut rows = vec![
                (fixed("YQ=="), fixed("YQ=="), String::new()),
                (json!({"data": {"a": "YQ=="}}), fixed("Yg=="), String::new()),
                (fixed("YQ=="), fixed("Yg=="), format!("data: {why}")),
                (fixed("YQ=="), json!({"data": {"a": "YQ=="}}), format!("immutable: {why}")),
            ];
            if binary {
                rows.push((fixed(""), json!({"immutable": true, "data": {"a": ""}, "binaryData": {"b": ""}}), format!("binaryData: {why}")));
            }
            rows
        };
        for (strategy, rows) in [(&CONFIG_MAP as &dyn Strategy, rows(true)), (&SECRET, rows(false))] {
            check_change(strategy, rows.iter().map(|(old, new, expected)| (old.clone(), new.clone(), expected.as_str())).collect());
        }
        let of = |kind: &str| json!({ "type": kind });
        check_change(&SECRET, vec![(of("a/b"), of("a/b"), ""), (of(""), of("a/b"), "type: Invalid value: \"a/b\": field is immutable")]);
    }
}
