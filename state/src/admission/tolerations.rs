//! DefaultTolerationSeconds: a pod outlives the trouble of its node by five minutes unless it says otherwise. An update that leaves these tolerations out
//! keeps them.
use super::step::{Admit, Effects, Refusal, Step};
use model::Object;
use serde_json::{Value, json};

const SECONDS: i64 = 300;
const TAINTS: [&str; 2] = ["node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"];

/// The step.
pub struct DefaultTolerationSeconds;

impl Step for DefaultTolerationSeconds {
    fn admit(&self, request: &Admit<'_>, object: &mut Object, _held: &mut Effects) -> Result<(), Refusal> {
        if !request.of("", "pods") {
            return Ok(());
        }
        let mut all = object.list_at(&["spec", "tolerations"]).to_vec();
        let missing: Vec<&str> = TAINTS.into_iter().filter(|taint| !all.iter().any(|t| tolerates(t, taint))).collect();
        if !missing.is_empty() {
            all.extend(missing.iter().map(|t| json!({"key": t, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": SECONDS})));
            object.set(&["spec", "tolerations"], all);
        }
        Ok(())
    }
}

fn tolerates(toleration: &Value, taint: &str) -> bool {
    let text = |field: &str| toleration.get(field).and_then(Value::as_str).unwrap_or_default();
    matches!(text("effect"), "" | "NoExecute") && (text("key").is_empty() || text("key") == taint)
}
