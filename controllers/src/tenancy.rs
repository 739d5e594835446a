//! Creates what every namespace must have: the default ServiceAccount, and a ConfigMap with the CA by which pods verify the API server.
use crate::runtime::{Controller, Input, Moment, Output, Part, Plan, Resource, View, ViewChange};
use model::{Key, Object};
use serde_json::{Value, json};

const DEFAULT: &str = "default";
const ROOT_CA: &str = "kube-root-ca.crt";

/// Gives each namespace its default ServiceAccount.
pub struct DefaultServiceAccounts;

impl Controller for DefaultServiceAccounts {
    fn name(&self) -> &'static str {
        "service-account-controller"
    }
    fn inputs(&self) -> Vec<Input> {
        vec![Input::itself(Resource::NAMESPACES), Input::new(Resource::SERVICE_ACCOUNTS, |_, change| namespace_of(change, DEFAULT))]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::SERVICE_ACCOUNTS, Part::Whole, "default")]
    }
    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        if lives(view, key) && view.get(&Resource::SERVICE_ACCOUNTS, &key.name, DEFAULT).is_none() {
            plan.create(&Resource::SERVICE_ACCOUNTS, named("ServiceAccount", &key.name, DEFAULT));
        }
        plan
    }
}

/// Puts the cluster's CA in each namespace.
pub struct RootCa {
    pem: String,
}

impl RootCa {
    /// For this certificate, PEM.
    pub fn new(pem: impl Into<String>) -> Self {
        Self { pem: pem.into() }
    }
}

impl Controller for RootCa {
    fn name(&self) -> &'static str {
        "root-ca-certificate-publisher-controller"
    }
    fn inputs(&self) -> Vec<Input> {
        vec![Input::itself(Resource::NAMESPACES), Input::new(Resource::CONFIG_MAPS, |_, change| namespace_of(change, ROOT_CA))]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::CONFIG_MAPS, Part::Whole, ROOT_CA)]
    }
    fn plan(&self, view: &View, key: &Key, _at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        if !lives(view, key) {
            return plan;
        }
        let wanted = json!({"ca.crt": self.pem});
        match view.get(&Resource::CONFIG_MAPS, &key.name, ROOT_CA) {
            None => {
                let mut object = named("ConfigMap", &key.name, ROOT_CA);
                object.set(&["data"], wanted);
                plan.create(&Resource::CONFIG_MAPS, object);
            }
            Some(map) if map.object().at(&["data"]) != Some(&wanted) && !map.deleting() => {
                // what else was put there goes
                let mut data = map.object().at(&["data"]).cloned().filter(Value::is_object).unwrap_or_else(|| json!({}));
                data.as_object_mut().into_iter().flatten().for_each(|(_, v)| *v = Value::Null);
                data["ca.crt"] = json!(self.pem);
                plan.merge(map, "", json!({"data": data}));
            }
            Some(_) => {}
        }
        plan
    }
}

fn lives(view: &View, namespace: &Key) -> bool {
    view.at(namespace).is_some_and(|n| !n.deleting())
}

fn namespace_of(change: ViewChange<'_>, name: &str) -> Vec<Key> {
    change.item().filter(|i| i.name() == name).map(|i| Resource::NAMESPACES.key("", i.namespace())).into_iter().collect()
}

fn named(kind: &str, namespace: &str, name: &str) -> Object {
    let mut object = Object::default();
    object.set(&["apiVersion"], "v1");
    object.set(&["kind"], kind);
    object.set(&["metadata"], json!({"name": name, "namespace": namespace}));
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Sim;

    #[test]
    fn every_namespace_gets_both_and_keeps_them() {
        let mut sim = Sim::new(vec![Box::new(DefaultServiceAccounts), Box::new(RootCa::new("PEM"))]);
        sim.create(json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "a"}}));
        sim.settle();
        assert_eq!((sim.names(&Resource::SERVICE_ACCOUNTS), sim.names(&Resource::CONFIG_MAPS)), (vec![DEFAULT.to_owned()], vec![ROOT_CA.to_owned()]));
        sim.delete(&Resource::SERVICE_ACCOUNTS, DEFAULT, None);
        sim.patch(&Resource::CONFIG_MAPS, ROOT_CA, "", json!({"data": {"ca.crt": "forged", "more": "x"}}));
        sim.settle();
        assert_eq!(sim.names(&Resource::SERVICE_ACCOUNTS), [DEFAULT]);
        assert_eq!(sim.get(&Resource::CONFIG_MAPS, ROOT_CA).unwrap().at(&["data"]), Some(&json!({"ca.crt": "PEM"})));
    }
}
