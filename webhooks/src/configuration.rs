//! What a MutatingWebhookConfiguration or ValidatingWebhookConfiguration says, read once for all writes that it concerns.
use crate::client_config::ClientConfig;
use crate::review::ReviewVersion;
use crate::rules::{Rule, Subject};
use model::Object;
use model::match_conditions::MatchConditions;
use model::selector::LabelSelector;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// How long a webhook is waited for whose configuration doesn't say it.
const TIMEOUT: u64 = 10;
/// The longest that a configuration may ask for.
const TIMEOUT_MAX: u64 = 30;

/// What becomes of a write when its webhook can't be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePolicy {
    /// It is admitted.
    Ignore,
    /// It is refused.
    Fail,
}

/// One webhook of a configuration.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The configuration's name.
    pub configuration: Arc<str>,
    /// Its own name, unique within the configuration.
    pub name: String,
    /// Where it is; or why that can't be read, which is a failure of each call.
    pub client: Result<ClientConfig, String>,
    rules: Vec<Rule>,
    /// Whether a rule also concerns other versions of what it names.
    pub equivalent: bool,
    /// What becomes of a write when it can't be asked.
    pub failure_policy: FailurePolicy,
    /// Of the namespace of what is written.
    pub namespace_selector: LabelSelector,
    /// Of what is written, before or after.
    pub object_selector: LabelSelector,
    /// How long it is waited for.
    pub timeout: Duration,
    /// Whether it is asked once more when something changed the object after it.
    pub reinvoked: bool,
    /// Whether it may be asked of a write that is only tried: it has no effects beside its answer then.
    pub dry_run: bool,
    /// The version of the reviews that it understands; none for one that understands no known version.
    pub version: Option<ReviewVersion>,
    /// What must hold of a request, in expressions, for it to be asked.
    pub conditions: Arc<MatchConditions>,
}

impl Webhook {
    /// The webhooks of a configuration in their order.
    pub fn of(configuration: &Object) -> Vec<Self> {
        let name: Arc<str> = configuration.name().into();
        configuration.list_at(&["webhooks"]).iter().map(|webhook| Self::parse(&name, webhook)).collect()
    }

    fn parse(configuration: &Arc<str>, webhook: &Value) -> Self {
        let text = |key: &str| webhook[key].as_str().unwrap_or_default();
        // a selector that can't be read selects everything: nothing passes unasked because of it
        let selector = |key: &str| webhook.get(key).filter(|s| !s.is_null()).and_then(|s| LabelSelector::from_json(s).ok());
        let selector = |key: &str| selector(key).unwrap_or_else(LabelSelector::everything);
        let seconds = webhook["timeoutSeconds"].as_u64().unwrap_or(TIMEOUT).clamp(1, TIMEOUT_MAX);
        Self {
            configuration: configuration.clone(),
            name: text("name").to_owned(),
            client: ClientConfig::parse(&webhook["clientConfig"]),
            rules: webhook["rules"].as_array().into_iter().flatten().map(Rule::parse).collect(),
            equivalent: text("matchPolicy") != "Exact",
            failure_policy: if text("failurePolicy") == "Ignore" { FailurePolicy::Ignore } else { FailurePolicy::Fail },
            namespace_selector: selector("namespaceSelector"),
            object_selector: selector("objectSelector"),
            timeout: Duration::from_secs(seconds),
            reinvoked: text("reinvocationPolicy") == "IfNeeded",
            dry_run: matches!(text("sideEffects"), "None" | "NoneOnDryRun"),
            version: ReviewVersion::first_of(&webhook["admissionReviewVersions"]),
            conditions: Arc::new(MatchConditions::of(webhook)),
        }
    }

    /// Whether one of its rules concerns it.
    pub fn concerns(&self, subject: &Subject<'_>) -> bool {
        self.rules.iter().any(|rule| rule.matches(subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn what_a_configuration_says() {
        let configuration = Object::from_value(json!({"metadata": {"name": "c"}, "webhooks": [
            {"name": "a", "clientConfig": {"url": "https://a"}, "sideEffects": "None", "admissionReviewVersions": ["v9", "v1beta1", "v1"]},
            {"name": "b", "clientConfig": {}, "sideEffects": "Some", "matchPolicy": "Exact", "failurePolicy": "Ignore", "timeoutSeconds": 99,
             "reinvocationPolicy": "IfNeeded", "admissionReviewVersions": ["v9"]},
        ]}));
        let webhooks = Webhook::of(&configuration.unwrap());
        let [a, b] = webhooks.as_slice() else { panic!("{webhooks:?}") };
        assert_eq!((a.equivalent, a.failure_policy, a.timeout.as_secs(), a.reinvoked, a.dry_run), (true, FailurePolicy::Fail, 10, false, true));
        assert_eq!((b.equivalent, b.failure_policy, b.timeout.as_secs(), b.reinvoked, b.dry_run), (false, FailurePolicy::Ignore, 30, true, false));
        assert_eq!((a.version, b.version), (Some(ReviewVersion::V1Beta1), None));
        assert!(a.client.is_ok() && b.client.is_err() && &*a.configuration == "c");
    }
}
