//! Keys as NATS subjects, and back: `<prefix>.<group>.<resource>.<namespace>.<name>`.
//!
//! NATS gives meaning to `.`, `*`, `>` and white space, and has no empty tokens. A token is therefore written with everything but
//! letters, digits, `-`, `_`, `:` and `@` as `%` and two upper-case hexadecimal digits; an empty token is `_`, and a lone `_` is `%5F`.
//! Each key has one subject and each subject at most one key.
use model::Key;
use std::borrow::Cow;
use std::fmt::Write;

const EMPTY: &str = "_";

fn plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b':' | b'@')
}

/// Appends `text` as one token.
fn push_token(out: &mut String, text: &str) {
    match text {
        "" => out.push_str(EMPTY),
        EMPTY => out.push_str("%5F"),
        _ => text.bytes().for_each(|byte| push_byte(out, byte)),
    }
}

fn push_byte(out: &mut String, byte: u8) {
    if plain(byte) {
        out.push(char::from(byte));
    } else {
        // Writing to a String can't fail.
        _ = write!(out, "%{byte:02X}");
    }
}

/// The text of a token; `None` when [`push_token`] would not have written it so.
fn token(text: &str) -> Option<Cow<'_, str>> {
    match text {
        "" => None,
        EMPTY => Some(Cow::Borrowed("")),
        "%5F" => Some(Cow::Borrowed(EMPTY)),
        _ if text.bytes().all(plain) => Some(Cow::Borrowed(text)),
        _ => escaped(text).map(Cow::Owned),
    }
}

fn escaped(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let value = hex(rest.next()?)? << 4 | hex(rest.next()?)?;
            if plain(value) {
                return None;
            }
            bytes.push(value);
        } else if plain(byte) {
            bytes.push(byte);
        } else {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    }
}

/// The subject of `key` under `prefix`.
pub fn of(prefix: &str, key: &Key) -> String {
    let parts = [&key.group, &key.resource, &key.namespace, &key.name];
    let mut out = String::with_capacity(prefix.len() + 8 + parts.iter().map(|p| p.len()).sum::<usize>());
    out.push_str(prefix);
    for part in parts {
        out.push('.');
        push_token(&mut out, part);
    }
    out
}

/// The parts of a key, as a subject names them.
#[derive(Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// API group.
    pub group: Cow<'a, str>,
    /// Plural resource name.
    pub resource: Cow<'a, str>,
    /// Namespace.
    pub namespace: Cow<'a, str>,
    /// Name.
    pub name: Cow<'a, str>,
}

/// What `subject` names under `prefix`; `None` when [`of`] makes no such subject.
pub fn parse<'a>(prefix: &str, subject: &'a str) -> Option<Parts<'a>> {
    let mut tokens = subject.strip_prefix(prefix)?.strip_prefix('.')?.split('.');
    let mut next = || token(tokens.next()?);
    let parts = Parts { group: next()?, resource: next()?, namespace: next()?, name: next()? };
    tokens.next().is_none().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(subject: &str) -> Option<Key> {
        let p = parse("ws.c.log", subject)?;
        Some(Key::new(&*p.group, &*p.resource, &*p.namespace, &*p.name))
    }

    #[test]
    fn examples() {
        for (key, subject) in [
            (Key::new("", "pods", "default", "web-0"), "ws.c.log._.pods.default.web-0"),
            (Key::new("apps", "deployments", "a", "b.c"), "ws.c.log.apps.deployments.a.b%2Ec"),
            (Key::new("rbac.authorization.k8s.io", "clusterroles", "", "system:node"), "ws.c.log.rbac%2Eauthorization%2Ek8s%2Eio.clusterroles._.system:node"),
            (Key::new("", "x", "_", "*"), "ws.c.log._.x.%5F.%2A"),
        ] {
            assert_eq!(of("ws.c.log", &key), subject);
            assert_eq!(back(subject), Some(key));
        }
    }

    #[test]
    fn subjects_that_no_key_has() {
        for subject in [
            "",
            "ws.c.log",
            "ws.c.log._.pods.d",
            "ws.c.log._.pods.d.n.x",
            "ws.c.log._.pods..n",
            "ws.c.log._.pods.d.%41",
            "ws.c.log._.pods.d.%2e",
            "ws.c.log._.pods.d.%2",
            "ws.c.log._.pods.d.%FF",
            "ws.c.logs._.pods.d.n",
        ] {
            assert_eq!(back(subject), None, "{subject}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(group in ".{0,12}", resource in ".{0,12}", namespace in "[ -~]{0,12}", name in "\\PC{0,20}") {
            let key = Key::new(group, resource, namespace, name);
            let subject = of("ws.c.log", &key);
            prop_assert!(subject.bytes().all(|b| b.is_ascii_graphic() && b != b'*' && b != b'>'));
            prop_assert_eq!(subject.split('.').count(), 7);
            prop_assert!(subject.split('.').all(|t| !t.is_empty()));
            prop_assert_eq!(back(&subject), Some(key));
        }

        #[test]
        fn only_canonical_subjects_parse(tail in "[a%._0-9A-F-]{0,24}") {
            let subject = format!("ws.c.log.{tail}");
            if let Some(key) = back(&subject) {
                prop_assert_eq!(of("ws.c.log", &key), subject);
            }
        }
    }
}
