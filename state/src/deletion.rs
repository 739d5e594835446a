//! Decides what a deletion does to an object: it is left as it is, marked as being deleted, or removed. The verbs carry it out.
use model::{ApiError, Kind, Object, time};
use serde::Deserialize;
use serde_json::Value;
use state_client::{Options, Propagation};

/// Keeps an object until its dependents were let go.
pub const ORPHAN: &str = "orphan";
/// Keeps an object until its dependents are gone.
pub const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion asks for: `DeleteOptions` as far as they matter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeletionOptions {
    /// `gracePeriodSeconds`.
    pub grace: Option<i64>,
    /// `propagationPolicy`, or what `orphanDependents` means.
    pub propagation: Option<Propagation>,
    /// `preconditions.uid`.
    pub uid: String,
    /// `preconditions.resourceVersion`.
    pub resource_version: String,
    /// `dryRun`.
    pub dry_run: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Preconditions {
    uid: Option<String>,
    resource_version: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct DeleteOptions {
    grace_period_seconds: Option<i64>,
    propagation_policy: Option<String>,
    orphan_dependents: Option<bool>,
    preconditions: Option<Preconditions>,
    dry_run: Vec<String>,
}

impl DeletionOptions {
    /// From a request's parameters and its body, which comes first.
    ///
    /// # Errors
    /// 400 for a body that is no `DeleteOptions` or an unknown policy.
    pub fn of(options: &Options, body: Option<&Value>) -> Result<Self, ApiError> {
        let mut asked = Self {
            grace: options.grace_period_seconds,
            propagation: options.propagation,
            uid: options.precondition_uid.clone(),
            resource_version: options.precondition_resource_version.clone(),
            dry_run: options.dry_run,
        };
        let Some(body) = body else { return asked.checked() };
        let given = DeleteOptions::deserialize(body).map_err(|e| ApiError::bad_request(format!("unable to decode DeleteOptions: {e}")))?;
        asked.grace = given.grace_period_seconds.or(asked.grace);
        asked.dry_run |= !given.dry_run.is_empty();
        asked.propagation = match (given.propagation_policy.as_deref(), given.orphan_dependents) {
            (Some(_), Some(_)) => return Err(ApiError::bad_request("orphanDependents and deletionPropagation cannot be both set")),
            (Some(policy), None) => Some(propagation(policy)?),
            (None, Some(true)) => Some(Propagation::Orphan),
            (None, Some(false)) => Some(Propagation::Background),
            (None, None) => asked.propagation,
        };
        if let Some(p) = given.preconditions {
            asked.uid = p.uid.unwrap_or(asked.uid);
            asked.resource_version = p.resource_version.unwrap_or(asked.resource_version);
        }
        asked.checked()
    }

    fn checked(mut self) -> Result<Self, ApiError> {
        // a negative grace period means the smallest one
        self.grace = self.grace.map(|g| if g < 0 { 1 } else { g });
        Ok(self)
    }
}

fn propagation(policy: &str) -> Result<Propagation, ApiError> {
    match policy {
        "Orphan" => Ok(Propagation::Orphan),
        "Background" => Ok(Propagation::Background),
        "Foreground" => Ok(Propagation::Foreground),
        other => Err(ApiError::bad_request(format!("invalid DeleteOptions: propagationPolicy: Unsupported value: {other:?}"))),
    }
}

/// What becomes of the object.
#[derive(Clone, Debug, PartialEq)]
pub enum DeletionPlan {
    /// It goes now; this is its last form.
    Remove(Object),
    /// It stays for the time being, and looks like this.
    Mark(Object),
    /// Its deletion is under way already.
    Pending,
}

/// Refuses a deletion whose preconditions don't hold.
///
/// # Errors
/// 409 in Kubernetes' words.
pub fn check_preconditions(kind: &Kind, object: &Object, asked: &DeletionOptions) -> Result<(), ApiError> {
    let conflict = |why: String| Err(ApiError::conflict(&kind.group, &kind.resource, object.name(), why));
    if !asked.uid.is_empty() && asked.uid != object.uid() {
        return conflict(format!(
            "the UID in the precondition ({}) does not match the UID in record ({}). The object might have been deleted and then recreated",
            asked.uid,
            object.uid()
        ));
    }
    if !asked.resource_version.is_empty() && asked.resource_version != object.resource_version() {
        let (want, have) = (&asked.resource_version, object.resource_version());
        return conflict(format!(
            "the ResourceVersion in the precondition ({want}) does not match the ResourceVersion in record ({have}). The object might have been modified"
        ));
    }
    Ok(())
}

/// The finalizers that make garbage collection treat dependents as asked.
fn finalizers(kind: &Kind, object: &Object, asked: &DeletionOptions) -> Vec<String> {
    let had = |finalizer: &str| object.finalizers().any(|f| f == finalizer);
    let (orphan, foreground) = match asked.propagation {
        Some(policy) => (policy == Propagation::Orphan, policy == Propagation::Foreground),
        None => (had(ORPHAN) || (!had(FOREGROUND) && kind.strategy.orphans_dependents()), had(FOREGROUND)),
    };
    let others = object.finalizers().filter(|f| *f != ORPHAN && *f != FOREGROUND).map(str::to_owned);
    let ours = [(orphan, ORPHAN), (foreground, FOREGROUND)].into_iter().filter(|(wanted, _)| *wanted).map(|(_, name)| name.to_owned());
    let first = object.deletion_timestamp().is_none();
    let cleanup = kind.strategy.cleanup_finalizer().filter(|f| first && !had(f)).map(str::to_owned);
    others.chain(ours).chain(cleanup).collect()
}

/// Whether nothing keeps an object that is being deleted: no finalizer, no grace left to give, nothing of its kind's own.
pub fn due(kind: &Kind, object: &Object) -> bool {
    let grace = object.int_at(&["metadata", "deletionGracePeriodSeconds"]).unwrap_or_default();
    object.deletion_timestamp().is_some() && grace == 0 && object.finalizers().next().is_none() && !kind.strategy.held(object)
}

/// Decides a deletion at `now`.
pub fn plan(kind: &Kind, object: &Object, asked: &DeletionOptions, now: jiff::Timestamp) -> DeletionPlan {
    let mut next = object.clone();
    let wanted = finalizers(kind, object, asked);
    if wanted.is_empty() {
        next.remove(&["metadata", "finalizers"]);
    } else {
        next.set(&["metadata", "finalizers"], wanted);
    }
    let grace = kind.strategy.grace_seconds(object, asked.grace).unwrap_or_default().max(0);
    match object.deletion_timestamp().and_then(time::parse) {
        None => mark(&mut next, grace, now),
        Some(at) => shorten(&mut next, at, grace, asked),
    }
    kind.strategy.prepare_delete(&mut next);
    if due(kind, &next) {
        DeletionPlan::Remove(next)
    } else if next == *object {
        DeletionPlan::Pending
    } else {
        DeletionPlan::Mark(next)
    }
}

fn set_deadline(object: &mut Object, at: jiff::Timestamp, grace: i64) {
    object.set(&["metadata", "deletionTimestamp"], time::format(at));
    object.set(&["metadata", "deletionGracePeriodSeconds"], grace);
}

fn mark(next: &mut Object, grace: i64, now: jiff::Timestamp) {
    let at = now.checked_add(jiff::SignedDuration::from_secs(grace)).unwrap_or(now);
    set_deadline(next, at, grace);
    if next.generation() > 0 {
        next.set(&["metadata", "generation"], next.generation() + 1);
    }
}

/// A second deletion can only shorten the grace that the first one gave.
fn shorten(next: &mut Object, at: jiff::Timestamp, grace: i64, asked: &DeletionOptions) {
    let given = next.int_at(&["metadata", "deletionGracePeriodSeconds"]).unwrap_or_default();
    if asked.grace.is_some() && grace < given {
        let at = at.checked_sub(jiff::SignedDuration::from_secs(given - grace)).unwrap_or(at);
        set_deadline(next, at, grace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::kinds;
    use serde_json::json;

    /// What became of an object: `gone`, `pending`, or the deadline, the grace and the finalizers.
    fn outcome(resource: &str, object: Value, options: Value) -> String {
        let kinds = kinds::builtin();
        let kind = kinds.rows().iter().find(|k| &*k.resource == resource).unwrap();
        let asked = DeletionOptions::of(&Options::default(), Some(&options)).unwrap();
        match plan(kind, &Object::from_value(object).unwrap(), &asked, "2026-01-01T00:00:00Z".parse().unwrap()) {
            DeletionPlan::Remove(_) => "gone".to_owned(),
            DeletionPlan::Pending => "pending".to_owned(),
            DeletionPlan::Mark(o) => {
                let time = o.deletion_timestamp().unwrap().trim_start_matches("2026-01-01T").to_owned();
                let grace = o.int_at(&["metadata", "deletionGracePeriodSeconds"]).unwrap();
                format!("{time} {grace} [{}]", o.finalizers().collect::<Vec<_>>().join(","))
            }
        }
    }

    #[test]
    fn the_matrix() {
        let plain = json!({"metadata": {"name": "a"}});
        let held = json!({"metadata": {"name": "a", "finalizers": ["x/y"]}});
        let deleting = json!({"metadata": {"name": "a", "finalizers": ["x/y"], "deletionTimestamp": "2026-01-01T00:00:00Z", "deletionGracePeriodSeconds": 0}});
        let bound = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Running"}});
        let ending = json!({"metadata": {"name": "a", "deletionTimestamp": "2026-01-01T00:00:30Z", "deletionGracePeriodSeconds": 30}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}});
        let unbound = json!({"metadata": {"name": "a"}, "spec": {"terminationGracePeriodSeconds": 30}});
        let done = json!({"metadata": {"name": "a"}, "spec": {"nodeName": "n", "terminationGracePeriodSeconds": 30}, "status": {"phase": "Succeeded"}});
        let namespace = json!({"metadata": {"name": "a"}, "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}});
        let cases = [
            ("configmaps", &plain, json!({}), "gone"),
            ("configmaps", &plain, json!({"gracePeriodSeconds": 30}), "gone"),
            ("configmaps", &plain, json!({"propagationPolicy": "Foreground"}), "00:00:00Z 0 [foregroundDeletion]"),
            ("configmaps", &plain, json!({"orphanDependents": true}), "00:00:00Z 0 [orphan]"),
            ("configmaps", &plain, json!({"propagationPolicy": "Background"}), "gone"),
            ("replicationcontrollers", &plain, json!({}), "00:00:00Z 0 [orphan]"),
            ("replicationcontrollers", &plain, json!({"propagationPolicy": "Background"}), "gone"),
            ("configmaps", &held, json!({}), "00:00:00Z 0 [x/y]"),
            ("configmaps", &held, json!({"propagationPolicy": "Orphan"}), "00:00:00Z 0 [x/y,orphan]"),
            ("configmaps", &deleting, json!({}), "pending"),
            ("configmaps", &deleting, json!({"propagationPolicy": "Foreground"}), "00:00:00Z 0 [x/y,foregroundDeletion]"),
            ("pods", &bound, json!({}), "00:00:30Z 30 []"),
            ("pods", &bound, json!({"gracePeriodSeconds": 5}), "00:00:05Z 5 []"),
            ("pods", &bound, json!({"gracePeriodSeconds": 0}), "gone"),
            ("pods", &bound, json!({"gracePeriodSeconds": -1}), "00:00:01Z 1 []"),
            ("pods", &ending, json!({}), "pending"),
            ("pods", &ending, json!({"gracePeriodSeconds": 60}), "pending"),
            ("pods", &ending, json!({"gracePeriodSeconds": 10}), "00:00:10Z 10 []"),
            ("pods", &ending, json!({"gracePeriodSeconds": 0}), "gone"),
            ("pods", &unbound, json!({}), "gone"),
            ("pods", &done, json!({}), "gone"),
            ("namespaces", &namespace, json!({}), "00:00:00Z 0 []"),
        ];
        for (resource, object, options, want) in cases {
            assert_eq!(outcome(resource, object.clone(), options.clone()), want, "{resource} {object} {options}");
        }
    }

    #[test]
    fn preconditions() {
        let kinds = kinds::builtin();
        let kind = kinds.resource("", "configmaps").unwrap();
        let object = Object::from_value(json!({"metadata": {"name": "a", "uid": "u", "resourceVersion": "5"}})).unwrap();
        for (given, holds) in [
            (json!({"uid": "u"}), true),
            (json!({"uid": "v"}), false),
            (json!({"resourceVersion": "5"}), true),
            (json!({"resourceVersion": "4"}), false),
            (json!({}), true),
        ] {
            let asked = DeletionOptions::of(&Options::default(), Some(&json!({"preconditions": given}))).unwrap();
            assert_eq!(check_preconditions(kind, &object, &asked).is_ok(), holds);
        }
        assert!(DeletionOptions::of(&Options::default(), Some(&json!({"propagationPolicy": "x"}))).is_err());
        assert!(DeletionOptions::of(&Options::default(), Some(&json!({"gracePeriodSeconds": "x"}))).is_err());
    }
}
