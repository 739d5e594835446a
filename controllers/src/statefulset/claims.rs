//! The claims of a StatefulSet's pods: made before their pod, kept after it or going with it or with the set, as the set's retention policy says. Who goes
//! with whom is said by owners; the garbage collector does the rest.
use super::identity::{claim_name, new_claim};
use crate::ownership::{controller_reference, references};
use crate::runtime::{Item, Plan, Resource, View};
use crate::status::list;
use model::OwnerReference;
use serde_json::{Value, json};
use std::sync::Arc;

/// What a set has with its claims.
pub struct Claims<'a> {
    set: &'a Item,
    view: &'a View,
    templates: &'a [Value],
    /// They go with the set.
    deleted_with_set: bool,
    /// They go with a pod that is scaled away.
    deleted_with_pod: bool,
}

/// A pod to whom claims belong: it may not be there yet.
#[derive(Clone, Copy)]
pub struct Holder<'a> {
    /// Its ordinal.
    pub ordinal: i64,
    /// Its name.
    pub name: &'a str,
    /// The pod.
    pub pod: Option<&'a Item>,
    /// Whether the set wants it.
    pub wanted: bool,
}

/// How it is with the claims of one pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// All are there.
    There,
    /// The plan makes those that lack.
    Made,
    /// One is on its way out.
    Going,
}

impl<'a> Claims<'a> {
    /// The claims of a set.
    pub fn of(view: &'a View, set: &'a Item) -> Self {
        let object = set.object();
        let deletes = |when| object.str_at(&["spec", "persistentVolumeClaimRetentionPolicy", when]) == "Delete";
        let templates = object.list_at(&["spec", "volumeClaimTemplates"]);
        Self { set, view, templates, deleted_with_set: deletes("whenDeleted"), deleted_with_pod: deletes("whenScaled") }
    }

    fn all(&self, ordinal: i64) -> impl Iterator<Item = (&'a Value, Option<&'a Arc<Item>>)> + use<'_, 'a> {
        let there = move |template: &Value| self.view.get(&Resource::CLAIMS, self.set.namespace(), &claim_name(template, self.set.name(), ordinal));
        self.templates.iter().map(move |template| (template, there(template)))
    }

    /// Makes the claims that lack.
    pub fn ensure(&self, holder: Holder<'_>, plan: &mut Plan) -> ClaimState {
        let mut state = ClaimState::There;
        for (template, claim) in self.all(holder.ordinal) {
            match claim {
                Some(claim) if claim.deleting() => return self.going(holder, claim, plan),
                Some(_) => {}
                None => {
                    state = ClaimState::Made;
                    self.create(holder, template, plan);
                }
            }
        }
        state
    }

    fn going(&self, holder: Holder<'_>, claim: &Item, plan: &mut Plan) -> ClaimState {
        if holder.pod.is_none() {
            let what = format!("Create Pod {} in StatefulSet {} failed error: pvc {} is being deleted", holder.name, self.set.name(), claim.name());
            plan.warn(self.set, "FailedCreate", what);
        }
        ClaimState::Going
    }

    fn create(&self, holder: Holder<'_>, template: &Value, plan: &mut Plan) {
        let (set, pod) = (self.set.name(), holder.name);
        let claim = new_claim(self.set, holder.ordinal, template, self.owners(holder));
        let name = claim.name().to_owned();
        let done = format!("Create Claim {name} Pod {pod} in StatefulSet {set} success");
        let failed = format!("Create Claim {name} for Pod {pod} in StatefulSet {set} failed error: {{}}");
        plan.create(&Resource::CLAIMS, claim).says(self.set, ("SuccessfulCreate", done), ("FailedCreate", failed));
    }

    /// Whether a claim of a pod that isn't there goes with the pod of that name that was there before: a new pod waits for its end.
    pub fn stale(&self, holder: Holder<'_>) -> bool {
        let of_pod = |claim: &Arc<Item>| claim.owners().iter().any(|owner| names_pod(owner, holder.name));
        self.deleted_with_pod && self.all(holder.ordinal).any(|(_, claim)| claim.is_some_and(of_pod))
    }

    /// The owners that a claim has by the policy.
    fn owners(&self, holder: Holder<'_>) -> Vec<Value> {
        match (self.deleted_with_set, self.deleted_with_pod && !holder.wanted) {
            (_, true) => holder.pod.map(controller_reference).into_iter().collect(),
            (true, false) => vec![controller_reference(self.set)],
            (false, false) => Vec::new(),
        }
    }

    /// Brings the owners of a pod's claims to where the policy wants them; whether all were there already.
    pub fn own(&self, holder: Holder<'_>, plan: &mut Plan) -> bool {
        let before = plan.writes.len();
        for claim in self.all(holder.ordinal).filter_map(|(_, claim)| claim) {
            if let Some(owners) = self.corrected(holder, claim, plan) {
                plan.merge_as_seen(claim, "", json!({"metadata": {"ownerReferences": list(owners)}}));
            }
        }
        plan.writes.len() == before
    }

    /// The owners that a claim gets; `None` where they are right, or where somebody else's are not to be touched.
    fn corrected(&self, holder: Holder<'_>, claim: &Item, plan: &mut Plan) -> Option<Vec<Value>> {
        let uid = holder.pod.map(Item::uid).unwrap_or_default();
        let named = |owner: &OwnerReference| names_set(owner, self.set.name()) || names_pod(owner, holder.name);
        let ours = |owner: &OwnerReference| owner.uid == self.set.uid() || (!uid.is_empty() && owner.uid == uid);
        let owners = claim.owners();
        if owners.iter().any(|owner| named(owner) && !ours(owner)) {
            // of a set or a pod that was there before: the garbage collector decides
            return None;
        }
        let rest = || references(claim).into_iter().zip(owners).filter(|(_, owner)| !named(owner)).map(|(value, _)| value);
        let retains = !self.deleted_with_set && !self.deleted_with_pod;
        if !retains && owners.iter().any(|owner| !named(owner) && owner.controller == Some(true)) {
            let loses = owners.iter().any(ours);
            if loses || holder.pod.is_none() {
                let what = "has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim";
                plan.warn(self.set, "ConflictingController", format!("PersistentVolumeClaim {} {what}", claim.name()));
            }
            return loses.then(|| rest().collect());
        }
        let wanted = self.owners(holder);
        let has: Vec<&OwnerReference> = owners.iter().filter(|owner| ours(owner)).collect();
        let right = has.len() == wanted.len() && has.iter().all(|owner| owner.controller == Some(true) && wanted.iter().any(|w| w["uid"] == owner.uid));
        (!right).then(|| rest().chain(wanted).collect())
    }
}

fn names_set(owner: &OwnerReference, name: &str) -> bool {
    (&*owner.api_version, &*owner.kind, &*owner.name) == ("apps/v1", "StatefulSet", name)
}

fn names_pod(owner: &OwnerReference, name: &str) -> bool {
    (&*owner.api_version, &*owner.kind, &*owner.name) == ("v1", "Pod", name)
}
