//! How many pods a budget can count on: what those who control its pods want.
use crate::amount;
use crate::runtime::{Item, View};
use model::{Kind, Object, OwnerReference, Subresource, scale};
use serde_json::Value;
use std::collections::BTreeMap;
use std::sync::Arc;

/// What a budget counts with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// So many pods there should be.
    pub pods: i64,
    /// So many of them must be healthy.
    pub healthy: i64,
    /// Whether nobody controls some of them.
    pub unmanaged: bool,
}

/// What a budget counts with when it has these pods.
///
/// # Errors
/// Why that can't be known.
pub fn expected(view: &View, budget: &Object, pods: &[&Arc<Item>]) -> Result<Expected, String> {
    let said = |field: &str| budget.at(&["spec", field]).filter(|value| !value.is_null());
    match (said("maxUnavailable"), said("minAvailable")) {
        (Some(most), _) => {
            let wanted = wanted(view, pods)?;
            Ok(Expected { healthy: (wanted.pods - scaled(most, wanted.pods)?).max(0), ..wanted })
        }
        (None, Some(least @ Value::String(_))) => {
            let wanted = wanted(view, pods)?;
            Ok(Expected { healthy: scaled(least, wanted.pods)?, ..wanted })
        }
        (None, Some(least)) => {
            Ok(Expected { pods: i64::try_from(pods.len()).unwrap_or(i64::MAX), healthy: least.as_i64().unwrap_or_default(), unmanaged: false })
        }
        (None, None) => Ok(Expected::default()),
    }
}

fn scaled(value: &Value, of: i64) -> Result<i64, String> {
    match value {
        Value::String(text) if text.strip_suffix('%').is_none_or(|number| number.parse::<i64>().is_err()) => {
            Err("invalid value for IntOrString: invalid type: string is not a percentage".to_owned())
        }
        value => Ok(amount::scaled(value, of, true)),
    }
}

/// The replicas of all who control these pods, together.
fn wanted(view: &View, pods: &[&Arc<Item>]) -> Result<Expected, String> {
    let (mut scales, mut unmanaged) = (BTreeMap::new(), false);
    for pod in pods {
        let Some(controller) = pod.controller() else {
            unmanaged = true;
            continue;
        };
        if scales.contains_key(&*controller.uid) {
            continue;
        }
        let (workload, replicas) = workload(view, pod.namespace(), controller)?.ok_or_else(|| format!("found no controllers for pod {:?}", pod.name()))?;
        scales.insert(workload.uid(), replicas);
    }
    Ok(Expected { pods: scales.into_values().sum(), healthy: 0, unmanaged })
}

/// What a controller of pods is, or is a part of, and its replicas. `None` when it isn't there or has none.
fn workload<'a>(view: &'a View, namespace: &str, controller: &OwnerReference) -> Result<Option<(&'a Arc<Item>, i64)>, String> {
    let OwnerReference { api_version, kind, .. } = controller;
    let row = view.kinds().of(api_version, kind).ok_or_else(|| format!("no matches for kind {kind:?} in version {api_version:?}"))?;
    if !row.has(Subresource::SCALE) {
        let dot = if row.group.is_empty() { "" } else { "." };
        return Err(format!("{}{dot}{} does not implement the scale subresource", row.resource, row.group));
    }
    let Some(owner) = view.owner(namespace, controller) else { return Ok(None) };
    // a Deployment's ReplicaSets count together
    let above = owner.controller().filter(|above| kind == "ReplicaSet" && above.kind == "Deployment");
    let above = above.and_then(|above| Some((view.owner(namespace, above)?, view.kinds().of(&above.api_version, &above.kind)?)));
    let (workload, row) = above.unwrap_or((owner, row));
    Ok(replicas(row, workload).map(|replicas| (workload, replicas)))
}

/// How many pods an object wants.
pub fn replicas(kind: &Kind, item: &Item) -> Option<i64> {
    item.read(|object| scale::desired(&kind.scale, object))
}
