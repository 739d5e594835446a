//! Secrets of type `kubernetes.io/service-account-token`: filled for their account, and gone with it.
use crate::runtime::{Controller, Guard, Input, Item, Moment, Output, Part, Plan, Resource, View, ViewChange, WriteOp};
use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::Key;
use model::token_secret::{ACCOUNT, ACCOUNT_UID, TYPE};
use serde_json::{Map, Value, json};

/// Fills and ends token Secrets.
pub struct TokenSecrets {
    /// The CA's certificate as the Secrets have it: PEM in base64.
    ca: String,
}

impl TokenSecrets {
    /// For a cluster with this CA, PEM.
    pub fn new(ca_pem: &str) -> Self {
        Self { ca: BASE64_STANDARD.encode(ca_pem) }
    }
}

impl Controller for TokenSecrets {
    fn name(&self) -> &'static str {
        "serviceaccount-token-controller"
    }

    fn inputs(&self) -> Vec<Input> {
        vec![
            Input::new(Resource::SECRETS, |_, change| change.new.filter(|s| account(s).is_some()).map(|s| s.key().clone()).into_iter().collect()),
            Input::new(Resource::SERVICE_ACCOUNTS, secrets_of),
        ]
    }

    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::SECRETS, Part::Whole, "of type kubernetes.io/service-account-token")]
    }

    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(secret) = view.at(key).filter(|s| !s.deleting()) else { return plan };
        let Some(name) = account(secret) else { return plan };
        let meant = secret.object().annotation(ACCOUNT_UID).unwrap_or_default();
        match view.get(&Resource::SERVICE_ACCOUNTS, secret.namespace(), name) {
            Some(account) if meant.is_empty() || meant == account.uid() => {
                let patch = self.missing(secret, account);
                if !patch.is_empty() {
                    plan.merge_as_seen(secret, "", Value::Object(patch));
                }
            }
            _ => {
                let op = WriteOp::Delete { uid: secret.uid().to_owned(), revision: secret.revision(), propagation: None, grace: None };
                let gone = Guard::Absent { key: Resource::SERVICE_ACCOUNTS.key(secret.namespace(), name), uid: meant.to_owned() };
                plan.write(secret.key().clone(), op).guard(gone);
            }
        }
        plan
    }
}

impl TokenSecrets {
    /// What the Secret lacks. The token itself comes with any write that names the account's UID: `state` has the key.
    fn missing(&self, secret: &Item, account: &Item) -> Map<String, Value> {
        let object = secret.object();
        let mut patch = Map::new();
        let namespace = BASE64_STANDARD.encode(secret.namespace());
        let data: Map<String, Value> = [("ca.crt", &self.ca), ("namespace", &namespace)]
            .into_iter()
            .filter(|(key, _)| object.str_at(&["data", key]).is_empty())
            .map(|(key, value)| (key.to_owned(), json!(value)))
            .collect();
        let bound = object.annotation(ACCOUNT_UID) == Some(account.uid());
        if !data.is_empty() {
            patch.insert("data".to_owned(), Value::Object(data));
        }
        if !bound || !patch.is_empty() || object.str_at(&["data", "token"]).is_empty() {
            patch.insert("metadata".to_owned(), json!({"annotations": {(ACCOUNT_UID): account.uid()}}));
        }
        patch
    }
}

/// The account that a token Secret names.
fn account(secret: &Item) -> Option<&str> {
    let object = secret.object();
    object.annotation(ACCOUNT).filter(|name| !name.is_empty() && object.str_at(&["type"]) == TYPE)
}

/// The Secrets that name an account that came, went or was made anew.
fn secrets_of(view: &View, change: ViewChange<'_>) -> Vec<Key> {
    if let (Some(old), Some(new)) = (change.old, change.new)
        && old.uid() == new.uid()
    {
        return Vec::new();
    }
    let Some(item) = change.item() else { return Vec::new() };
    view.in_namespace(&Resource::SECRETS, item.namespace()).filter(|s| account(s) == Some(item.name())).map(|s| s.key().clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sim;

    fn secret(name: &str, account: &str) -> Value {
        json!({"apiVersion": "v1", "kind": "Secret", "type": TYPE, "metadata": {"name": name, "namespace": "a", "annotations": {ACCOUNT: account}}})
    }

    #[test]
    fn a_secret_is_filled_for_its_account_and_goes_with_it() {
        let mut sim = Sim::new(vec![Box::new(TokenSecrets::new("PEM"))]);
        let app = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": "a"}});
        let uid = sim.create(app).object().uid().to_owned();
        sim.create(secret("t", "app"));
        sim.create(json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other", "namespace": "a"}}));
        sim.settle();
        let filled = sim.get(&Resource::SECRETS, "t").unwrap();
        assert_eq!(filled.annotation(ACCOUNT_UID), Some(&*uid));
        assert_eq!((filled.str_at(&["data", "ca.crt"]), filled.str_at(&["data", "namespace"])), ("UEVN", "YQ=="));
        sim.patch(&Resource::SECRETS, "t", "", json!({"data": {"token": "eA=="}}));
        sim.settle();
        sim.delete(&Resource::SERVICE_ACCOUNTS, "app", None);
        sim.settle();
        assert_eq!(sim.names(&Resource::SECRETS), ["other"]);
    }

    #[test]
    fn a_secret_of_no_account_goes() {
        let mut sim = Sim::new(vec![Box::new(TokenSecrets::new("PEM"))]);
        sim.create(secret("t", "nobody"));
        sim.settle();
        assert_eq!(sim.names(&Resource::SECRETS), Vec::<String>::new());
    }
}
