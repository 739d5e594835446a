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
        token_secret::TYPE => {
            if secret.annotation(token_secret::ACCOUNT).unwrap_or_default().is_empty() {
                checks.required(format_args!("metadata.annotations[{}]", token_secret::ACCOUNT), "");
            }
        }
        "kubernetes.io/dockercfg" => need(".dockercfg"),
        "kubernetes.io/dockerconfigjson" => {
            need(".dockerconfigjson");
            json_file(checks, secret, ".dockerconfigjson");
        }
        "kubernetes.io/ssh-auth" => need("ssh-privatekey"),
        "kubernetes.io/tls" => ["tls.crt", "tls.key"].into_iter().for_each(need),
        "kubernetes.io/basic-auth" if !has("username") && !has("password") => {
            checks.required("data[username]", "");
            checks.required("data[password]", "");
        }
        _ => {}
    }
}

fn json_file(checks: &mut Checks, secret: &Object, key: &str) {
    let Some(text) = secret.at(&["data", key]).and_then(Value::as_str) else { return };
    let json = STANDARD.decode(text).ok().filter(|bytes| serde_json::from_slice::<Value>(bytes).is_ok());
    if json.is_none() {
        checks.add(Cause::invalid(format!("data[{key}]"), &"<secret contents redacted>".into(), "invalid character in the JSON document"));
    }
}
