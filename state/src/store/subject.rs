//! Keys as NATS subjects, and back: `<prefix>.<group>.<resource>.<namespace>.<name>`.
//!
//! NATS gives meaning to `.`, `*`, `>` and white space, has no empty tokens, and its key-value buckets take few other characters. Each part is therefore
//! one token as [`bus::subject::escape`] writes it. Each key has one subject and each subject at most one key.
use bus::subject::{escape, unescape};
use model::Key;
use std::borrow::Cow;

/// The subject of `key` under `prefix`.
pub fn of(prefix: &str, key: &Key) -> String {
    let parts = [&key.group, &key.resource, &key.namespace, &key.name];
    let mut out = String::with_capacity(prefix.len() + 8 + parts.iter().map(|p| p.len()).sum::<usize>());
    out.push_str(prefix);
    for part in parts {
        out.push('.');
        out.push_str(&escape(part));
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
    let mut next = || unescape(tokens.next()?);
    let parts = Parts { group: next()?, resource: next()?, namespace: next()?, name: next()? };
    tokens.next().is_none().then_some(parts)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn back(subject: &str) -> Option<Key> {
        let p = parse("$KV.c", subject)?;
        Some(Key::new(&*p.group, &*p.resource, &*p.namespace, &*p.name))
    }

    #[test]
    fn examples() {
        for (key, subject) in [
            (Key::new("", "pods", "default", "web-0"), "$KV.c.=.pods.default.web-0"),
            (Key::new("apps", "deployments", "a", "b.c"), "$KV.c.apps.deployments.a.b=2Ec"),
            (Key::new("rbac.authorization.k8s.io", "clusterroles", "", "system:node"), "$KV.c.rbac=2Eauthorization=2Ek8s=2Eio.clusterroles.=.system=3Anode"),
            (Key::new("", "x", "_", "*"), "$KV.c.=.x._.=2A"),
        ] {
            assert_eq!(of("$KV.c", &key), subject);
            assert_eq!(back(subject), Some(key));
        }
    }

    #[test]
    fn subjects_that_no_key_has() {
        for subject in [
            "",
            "$KV.c",
            "$KV.c.=.pods.d",
            "$KV.c.=.pods.d.n.x",
            "$KV.c.=.pods..n",
            "$KV.c.=.pods.d.=41",
            "$KV.c.=.pods.d.=2e",
            "$KV.c.=.pods.d.=2",
            "$KV.c.=.pods.d.=FF",
            "$KV.cc._.pods.d.n",
        ] {
            assert_eq!(back(subject), None, "{subject}");
        }
    }

    proptest! {
        #[test]
        fn round_trip(group in ".{0,12}", resource in ".{0,12}", namespace in "[ -~]{0,12}", name in "\\PC{0,20}") {
            let key = Key::new(group, resource, namespace, name);
            let subject = of("$KV.c", &key);
            prop_assert!(subject.bytes().all(|b| b.is_ascii_alphanumeric() || b"$-_=.".contains(&b)));
            prop_assert_eq!(subject.split('.').count(), 6);
            prop_assert!(subject.split('.').all(|t| !t.is_empty()));
            prop_assert_eq!(back(&subject), Some(key));
        }

        #[test]
        fn only_canonical_subjects_parse(tail in "[a=._0-9A-F-]{0,24}") {
            let subject = format!("$KV.c.{tail}");
            if let Some(key) = back(&subject) {
                prop_assert_eq!(of("$KV.c", &key), subject);
            }
        }
    }
}
