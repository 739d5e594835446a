//! What becomes of a released volume: it is kept, or whoever made it removes it. Volumes aren't recycled.
use super::phase::phase;
use crate::runtime::{Item, Plan};
use jiff::Timestamp;
use model::storage::PROVISIONED_BY;

/// What is to become of a volume whose claim is gone.
pub fn policy(volume: &Item) -> &str {
    volume.object().str_at(&["spec", "persistentVolumeReclaimPolicy"])
}

/// Plans what follows the release of a volume.
pub fn plan(volume: &Item, now: Timestamp, plan: &mut Plan) {
    let failed = match policy(volume) {
        "Retain" => return,
        "Delete" if volume.object().annotation(PROVISIONED_BY).is_some() => return,
        "Delete" => {
            let why = format!("error getting deleter volume plugin for volume {:?}: no deletable volume plugin matched", volume.name());
            ("VolumeFailedDelete", why)
        }
        "Recycle" => ("VolumeFailedRecycle", "No recycler plugin found for the volume!".to_owned()),
        _ => ("VolumeUnknownReclaimPolicy", "Volume has unrecognized PersistentVolumeReclaimPolicy".to_owned()),
    };
    if phase(volume, "Failed", &failed.1, now, plan).is_some() {
        plan.warn(volume, failed.0, failed.1);
    }
}
