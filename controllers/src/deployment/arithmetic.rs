//! How many pods of which revision: the numbers of a rollout, as Kubernetes computes them.
use crate::amount::scaled;
use crate::runtime::Item;
use serde_json::{Value, json};

/// What a Deployment asks for, with percentages resolved.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spec {
    /// `replicas`.
    pub replicas: i64,
    /// `paused`.
    pub paused: bool,
    /// Strategy `Recreate`.
    pub recreate: bool,
    /// So many pods above `replicas` at most.
    pub max_surge: i64,
    /// So many pods below `replicas` may be unavailable.
    pub max_unavailable: i64,
    /// `minReadySeconds`.
    pub min_ready: i64,
    /// `progressDeadlineSeconds`; `None` where there is no deadline.
    pub deadline: Option<i64>,
    /// `revisionHistoryLimit`; `None`: everything is kept.
    pub history_limit: Option<i64>,
}

impl Spec {
    /// What `deployment` asks for.
    pub fn of(deployment: &Item) -> Self {
        let object = deployment.object();
        let replicas = object.int_at(&["spec", "replicas"]).unwrap_or(1);
        let recreate = object.str_at(&["spec", "strategy", "type"]) == "Recreate";
        let rolling = |field| object.at(&["spec", "strategy", "rollingUpdate", field]);
        let (surge, unavailable) = fenceposts(rolling("maxSurge"), rolling("maxUnavailable"), replicas);
        Self {
            replicas,
            paused: object.at(&["spec", "paused"]) == Some(&Value::Bool(true)),
            recreate,
            max_surge: if recreate { 0 } else { surge },
            max_unavailable: if recreate || replicas == 0 { 0 } else { unavailable.min(replicas) },
            min_ready: object.int_at(&["spec", "minReadySeconds"]).unwrap_or_default(),
            deadline: object.int_at(&["spec", "progressDeadlineSeconds"]).filter(|s| *s != i64::from(i32::MAX)),
            history_limit: object.int_at(&["spec", "revisionHistoryLimit"]).filter(|n| *n != i64::from(i32::MAX)),
        }
    }

    /// The size of the new ReplicaSet, now `new` of `total` pods of all revisions: as large as the surge allows.
    pub fn new_size(&self, new: i64, total: i64) -> i64 {
        if self.recreate {
            return self.replicas;
        }
        let room = self.replicas + self.max_surge - total;
        if room <= 0 { new } else { new + room.min(self.replicas - new) }
    }

    /// So many pods must be available.
    pub fn min_available(&self) -> i64 {
        self.replicas - self.max_unavailable
    }
}

/// Surge rounded up and unavailability rounded down; one of them is at least 1, so that a rollout can move.
fn fenceposts(surge: Option<&Value>, unavailable: Option<&Value>, replicas: i64) -> (i64, i64) {
    let quarter = json!("25%");
    let surge = scaled(surge.unwrap_or(&quarter), replicas, true);
    let unavailable = scaled(unavailable.unwrap_or(&quarter), replicas, false);
    if surge == 0 && unavailable == 0 { (0, 1) } else { (surge, unavailable) }
}

/// A ReplicaSet in a Deployment that is scaled while it rolls.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sized {
    /// Its size.
    pub replicas: i64,
    /// The most pods that the Deployment might have had when the set was last sized.
    pub max_replicas: i64,
}

/// New sizes of active sets when their Deployment's size changes in the middle of a rollout: each in proportion, the rest to the first.
/// `sets` is ordered largest first.
pub fn proportions(spec: &Spec, sets: &[Sized]) -> Vec<i64> {
    let allowed = if spec.replicas > 0 { spec.replicas + spec.max_surge } else { 0 };
    let to_add = allowed - sets.iter().map(|s| s.replicas).sum::<i64>();
    let mut added = 0;
    let mut sizes: Vec<i64> = Vec::with_capacity(sets.len());
    for set in sets {
        let share = if set.replicas == 0 || to_add == added { 0 } else { portion(spec, set, to_add - added) };
        added += share;
        sizes.push(set.replicas + share);
    }
    if let Some(first) = sizes.first_mut() {
        *first = (*first + to_add - added).max(0);
    }
    sizes
}

/// What one set grows (or shrinks) by, of `left` that are left to add (or, below 0, to remove).
fn portion(spec: &Spec, set: &Sized, left: i64) -> i64 {
    let fraction = if spec.replicas == 0 || set.max_replicas == 0 {
        -set.replicas
    } else {
        // rounded to the nearest
        let product = set.replicas * (spec.replicas + spec.max_surge);
        (2 * product + set.max_replicas) / (2 * set.max_replicas) - set.replicas
    };
    if left > 0 { fraction.clamp(0, left) } else { fraction.clamp(left, 0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn surge_rounds_up_and_unavailability_down() {
        for (surge, unavailable, replicas, expected) in [
            (json!("25%"), json!("25%"), 10, (3, 2)),
            (json!("25%"), json!("25%"), 3, (1, 0)),
            (json!("25%"), json!("25%"), 1, (1, 0)),
            (json!(0), json!("10%"), 5, (0, 1)),
            (json!(0), json!(0), 5, (0, 1)),
            (json!("100%"), json!(2), 4, (4, 2)),
            (json!("50%"), json!("50%"), 0, (0, 1)),
        ] {
            assert_eq!(fenceposts(Some(&surge), Some(&unavailable), replicas), expected, "{surge} {unavailable} of {replicas}");
        }
        assert_eq!(fenceposts(None, None, 8), (2, 2));
    }

    #[test]
    fn the_new_set_grows_into_the_surge() {
        let spec = Spec { replicas: 10, max_surge: 3, ..Spec::default() };
        assert_eq!(spec.new_size(0, 10), 3);
        assert_eq!(spec.new_size(3, 13), 3);
        assert_eq!(spec.new_size(9, 10), 10, "never beyond what is asked for");
        assert_eq!(spec.new_size(0, 0), 10);
    }

    #[test]
    fn scaling_in_the_middle_keeps_proportions() {
        let spec = |replicas, max_surge| Spec { replicas, max_surge, ..Spec::default() };
        let set = |replicas, max_replicas| Sized { replicas, max_replicas };
        for (spec, sets, expected) in [
            // from 10 (surge 3) to 15 (surge 3), old 8 and new 5
            (spec(15, 3), vec![set(8, 13), set(5, 13)], vec![11, 7]),
            // from 10 to 20, the leftover goes to the first
            (spec(20, 0), vec![set(5, 10), set(5, 10)], vec![10, 10]),
            (spec(5, 0), vec![set(6, 10), set(4, 10)], vec![3, 2]),
            (spec(0, 0), vec![set(6, 10), set(4, 10)], vec![0, 0]),
            (spec(10, 0), vec![set(6, 10), set(4, 10)], vec![6, 4]),
        ] {
            assert_eq!(proportions(&spec, &sets), expected, "{spec:?} {sets:?}");
        }
    }
}
