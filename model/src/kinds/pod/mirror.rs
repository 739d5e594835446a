//! Mirror pods. A node creates them to show the pods that it runs by itself. A pod is a mirror pod from its creation on, or never.
use crate::error::Cause;
use crate::kinds::fields::Checks;
use crate::object::Object;

/// The annotation of the pods that show what a node runs by itself.
pub const ANNOTATION: &str = "kubernetes.io/config.mirror";
const PATH: &str = "metadata.annotations[kubernetes.io/config.mirror]";

/// What is a mirror pod stays one, of the same configuration.
pub(super) fn validate_update(checks: &mut Checks, new: &Object, old: &Object) {
    match (old.annotation(ANNOTATION), new.annotation(ANNOTATION)) {
        (None, Some(_)) => checks.add(Cause::forbidden(PATH, "may not add mirror pod annotation")),
        (before, after) if before != after => checks.add(Cause::forbidden(PATH, "may not remove or update mirror pod annotation")),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn pod(annotations: Value, node: &str) -> Object {
        Object::from_value(json!({"metadata": {"name": "p", "annotations": annotations}, "spec": {"nodeName": node}})).unwrap()
    }

    fn mirror(hash: &str) -> Object {
        pod(json!({ANNOTATION: hash, "other": "x"}), "n")
    }

    fn said(check: impl FnOnce(&mut Checks)) -> Vec<String> {
        let mut checks = Checks::default();
        check(&mut checks);
        checks.0.iter().map(|c| format!("{}: {}", c.field, c.message)).collect()
    }

    #[test]
    fn nothing_becomes_or_ceases_to_be_one() {
        let (plain, changed) = (|| pod(json!({"other": "y"}), "n"), "Forbidden: may not remove or update mirror pod annotation");
        let cases = [
            (plain(), pod(json!({}), "n"), None),
            (mirror("a"), mirror("a"), None),
            (mirror("a"), mirror("b"), Some(changed)),
            (mirror("a"), plain(), Some(changed)),
            (plain(), mirror("a"), Some("Forbidden: may not add mirror pod annotation")),
        ];
        for (old, new, want) in cases {
            let want: Vec<String> = want.iter().map(|why| format!("{PATH}: {why}")).collect();
            assert_eq!(said(|checks| validate_update(checks, &new, &old)), want);
        }
    }
}
