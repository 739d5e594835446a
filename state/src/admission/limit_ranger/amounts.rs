//! What containers and pods ask for, by resource.
use model::Object;
use model::quantity::Quantity;
use serde_json::Value;
use std::collections::BTreeMap;

/// Amounts by resource.
pub type Amounts<'a> = BTreeMap<&'a str, Quantity>;

/// What is asked for: at least, and at most.
#[derive(Debug, Default)]
pub struct Asked<'a> {
    /// Requests.
    pub requests: Amounts<'a>,
    /// Limits.
    pub limits: Amounts<'a>,
}

/// The amounts in a field of `parent`.
pub fn of<'a>(parent: &'a Value, field: &str) -> Amounts<'a> {
    let amounts = parent[field].as_object().into_iter().flatten();
    amounts.filter_map(|(resource, amount)| Some((resource.as_str(), Quantity::from_json(amount).ok()?))).collect()
}

impl<'a> Asked<'a> {
    /// By one container.
    pub fn of(container: &'a Value) -> Self {
        let resources = &container["resources"];
        Self { requests: of(resources, "requests"), limits: of(resources, "limits") }
    }
    /// By a pod as a whole.
    pub fn of_pod(pod: &'a Object) -> Self {
        Self { requests: total(pod, "requests"), limits: total(pod, "limits") }
    }
}

/// Init containers run one after the other beside the sidecars started so far; then the containers run beside all sidecars. What the pod asks for as a whole
/// counts instead.
fn total<'a>(pod: &'a Object, field: &str) -> Amounts<'a> {
    let (mut all, mut sidecars, mut initial) = (Amounts::new(), Amounts::new(), Amounts::new());
    for container in pod.list_at(&["spec", "containers"]) {
        add(&mut all, &of(&container["resources"], field));
    }
    for container in pod.list_at(&["spec", "initContainers"]) {
        let own = of(&container["resources"], field);
        if container["restartPolicy"] == "Always" {
            add(&mut all, &own);
            add(&mut sidecars, &own);
            raise(&mut initial, &sidecars);
        } else {
            let mut at_once = own;
            add(&mut at_once, &sidecars);
            raise(&mut initial, &at_once);
        }
    }
    raise(&mut all, &initial);
    if let Some(whole) = pod.at(&["spec", "resources"]) {
        all.extend(of(whole, field).into_iter().filter(|(resource, _)| matches!(*resource, "cpu" | "memory")));
    }
    all
}

fn add<'a>(to: &mut Amounts<'a>, more: &Amounts<'a>) {
    for (resource, amount) in more {
        *to.entry(*resource).or_insert(Quantity::ZERO) += *amount;
    }
}

fn raise<'a>(to: &mut Amounts<'a>, least: &Amounts<'a>) {
    for (resource, amount) in least {
        let now = to.entry(*resource).or_insert(*amount);
        *now = (*now).max(*amount);
    }
}
