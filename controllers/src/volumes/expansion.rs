//! Claims that ask for more than they have. A directory of the built-in provisioner grows as its node lets it; of others somebody else is waited for.
use super::index::{BY_VOLUME, volume};
use crate::runtime::{Controller, Input, Item, Moment, Output, Part, Plan, Resource, View};
use crate::status;
use jiff::Timestamp;
use model::Key;
use model::quantity::Quantity;
use model::storage::{self, DIRECTORY_SIZE};
use serde_json::{Map, Value, json};

/// Grows volumes.
pub struct Expansion;

impl Controller for Expansion {
    fn name(&self) -> &'static str {
        "volume_expand"
    }
    fn inputs(&self) -> Vec<Input> {
        vec![
            Input::itself(Resource::CLAIMS),
            Input::new(Resource::VOLUMES, |view, change| {
                let named = |volume: &Item| view.with_field(&Resource::CLAIMS, BY_VOLUME, volume.name()).map(|claim| claim.key().clone()).collect();
                change.new.map(named).unwrap_or_default()
            }),
        ]
    }
    fn outputs(&self) -> Vec<Output> {
        vec![Output::new(Resource::CLAIMS, Part::Status, "capacity"), Output::new(Resource::VOLUMES, Part::Portion, "capacity")]
    }
    fn plan(&self, view: &View, key: &Key, at: &Moment<'_>) -> Plan {
        let mut plan = Plan::nothing();
        let Some(claim) = view.at(key).filter(|claim| claim.object().str_at(&["status", "phase"]) == "Bound") else { return plan };
        let wanted = storage::requested(claim.object());
        let Some(volume) = volume(view, claim).filter(|_| wanted > size(claim.object().at(&["status", "capacity", "storage"]))) else { return plan };
        if volume.object().str_at(&["spec", "claimRef", "uid"]) != claim.uid() {
            return plan;
        }
        if storage::is_directory(volume.object()) {
            grow(claim, volume, &wanted, at.now, &mut plan);
        } else if status::find(claim.object().list_at(&["status", "conditions"]), "Resizing").is_none() {
            plan.tell(claim, "ExternalExpanding", "waiting for an external controller to expand this PVC");
        }
        plan
    }
}

fn size(value: Option<&Value>) -> Quantity {
    value.and_then(|size| Quantity::from_json(size).ok()).unwrap_or(Quantity::ZERO)
}

/// The volume becomes as large as is asked for, then its directory, and then the claim has it.
fn grow(claim: &Item, volume: &Item, wanted: &Quantity, now: Timestamp, plan: &mut Plan) {
    let object = claim.object();
    let asked = object.at(&["spec", "resources", "requests", "storage"]).cloned().unwrap_or_default();
    let mut conditions = object.list_at(&["status", "conditions"]).to_vec();
    let made = volume.object().annotation(DIRECTORY_SIZE).map_or(Quantity::ZERO, |text| size(Some(&json!(text))));
    if storage::capacity(volume.object()) >= *wanted && made >= *wanted {
        conditions.retain(|condition| condition["type"] != "Resizing");
        let fields = [
            ("capacity", json!({"storage": volume.object().at(&["spec", "capacity", "storage"])})),
            ("allocatedResources", json!({"storage": asked})),
            ("allocatedResourceStatuses", Value::Null),
            ("conditions", status::list(conditions)),
        ];
        report(claim, fields, plan);
        return plan.tell(claim, "VolumeResizeSuccessful", "Resize volume succeeded");
    }
    if storage::capacity(volume.object()) < *wanted {
        plan.merge_as_seen(volume, "", json!({"spec": {"capacity": {"storage": asked}}}));
    }
    if status::set(&mut conditions, json!({"type": "Resizing", "status": "True"}), now, false) {
        plan.tell(claim, "Resizing", format!("External resizer is resizing volume {}", volume.name()));
    }
    let fields = [
        ("allocatedResources", json!({"storage": asked})),
        ("allocatedResourceStatuses", json!({"storage": "ControllerResizeInProgress"})),
        ("conditions", status::list(conditions)),
    ];
    report(claim, fields, plan);
}

fn report<const N: usize>(claim: &Item, fields: [(&str, Value); N], plan: &mut Plan) {
    let fields: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
    if let Some(patch) = status::difference(claim.object().at(&["status"]), fields) {
        plan.merge_as_seen(claim, "status", json!({"status": patch}));
    }
}
