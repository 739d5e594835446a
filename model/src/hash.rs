//! Hashes that are the same on every run and platform, for names that derive from content.
use serde_json::{Value, json};

/// Letters that form no words and are safe in names.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// 64-bit FNV-1a: stable over versions and machines, which is all that a name needs.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, b| (hash ^ u64::from(*b)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// Encodes a 32-bit number as at most ten letters, one for each of its decimal digits.
pub fn safe_encode(number: u32) -> String {
    number.to_string().bytes().filter_map(|b| ALPHABET.get(usize::from(b) % ALPHABET.len())).map(|b| char::from(*b)).collect()
}

/// The value of the label `pod-template-hash`: the same for templates with the same JSON, whatever the order of keys; another one after each
/// collision.
pub fn pod_template_hash(template: &Value, collisions: i64) -> String {
    match collisions {
        0 => content_hash(template),
        n => content_hash(&json!([template, n])),
    }
}

/// The hash of any JSON content, as letters that are safe in names and labels.
pub fn content_hash(content: &Value) -> String {
    let mut text = String::new();
    canonical(content, &mut text);
    let hash = fnv(text.as_bytes());
    safe_encode(((hash >> 32) ^ (hash & 0xffff_ffff)) as u32)
}

/// JSON with sorted keys, without what is empty: a client that leaves a field out and one that sends it empty mean the same.
fn canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, v)| !is_empty(v)).collect();
            entries.sort_unstable_by_key(|(k, _)| *k);
            out.push('{');
            for (key, value) in entries {
                out.push_str(key);
                out.push(':');
                canonical(value, out);
                out.push(',');
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for item in items {
                canonical(item, out);
                out.push(',');
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// Whether a value says nothing. An empty map does say something: `emptyDir: {}`.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stable() {
        let a = json!({"metadata": {"labels": {"a": "b"}, "creationTimestamp": null}, "spec": {"containers": [{"name": "c", "image": "i"}], "volumes": []}});
        let b = json!({"spec": {"containers": [{"image": "i", "name": "c"}]}, "metadata": {"labels": {"a": "b"}}});
        assert_eq!(pod_template_hash(&a, 0), pod_template_hash(&b, 0));
        assert_ne!(pod_template_hash(&a, 0), pod_template_hash(&json!({"spec": {"containers": [{"image": "j", "name": "c"}]}}), 0));
        // names in stored objects derive from this: it must never change
        assert_eq!(pod_template_hash(&json!({"spec": {}}), 0), "74d4f766b5");
    }

    #[test]
    fn alphabet() {
        assert_eq!(safe_encode(1_234_567_890), "56789bcdf4");
        assert!(safe_encode(u32::MAX).bytes().all(|b| ALPHABET.contains(&b)));
    }
}
