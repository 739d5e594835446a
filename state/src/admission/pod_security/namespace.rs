//! Labels of namespaces: wrong ones are refused, and who asks for more is told of the pods that are there already.
use super::check::check;
use super::config::PodSecurity;
use super::policy::{Level, Policy, Standard};
use super::violation::reasons;
use crate::admission::step::{Admit, Effects, Refusal};
use crate::lookup::ObjectLookup;
use model::{ApiError, Object, Stored};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// Most pods that are judged for one change of labels.
const JUDGED: usize = 3_000;
/// Most pods that are looked at to find those that differ.
const SEEN: usize = 10_000;

pub(super) fn judge(config: &PodSecurity, request: &Admit<'_>, namespace: &Object, held: &mut Effects) -> Result<(), Refusal> {
    let name = namespace.name();
    let (new, wrong) = Policy::of(namespace.labels(), &config.defaults);
    let before = request.old.map(|old| Policy::of(old.labels(), &config.defaults));
    if !wrong.is_empty() && before.as_ref().is_none_or(|(_, were)| wrong != *were) {
        return Err(ApiError::invalid("", "Namespace", name, wrong).into());
    }
    if before.as_ref().is_some_and(|(old, _)| !asks_for_more(new.enforce, old.enforce)) {
        return Ok(());
    }
    if config.namespaces.contains(name) {
        held.warnings.extend(ignored(config, namespace, &new));
    } else if before.is_some() {
        held.warnings.extend(existing(config, request.view, name, new.enforce));
    }
    Ok(())
}

/// Whether what was right may be wrong now.
fn asks_for_more(new: Standard, old: Standard) -> bool {
    new != old && new.level != Level::Privileged && (new.version != old.version || new.level > old.level)
}

/// That the labels of an exempt namespace mean nothing.
fn ignored(config: &PodSecurity, namespace: &Object, policy: &Policy) -> Option<String> {
    let says_nothing = policy.allows_anything() || policy.is_like(&config.defaults);
    let set = policy.set_by(namespace.labels());
    (!says_nothing).then(|| format!("namespace \"{}\" is exempt from Pod Security, and the policy ({set}) will be ignored", namespace.name()))
}

/// Pods that are wrong in the same way.
#[derive(Default)]
struct Alike {
    /// The first of their names.
    name: String,
    others: usize,
}

impl Alike {
    fn add(&mut self, name: &str) {
        if self.name.is_empty() {
            name.clone_into(&mut self.name);
            return;
        }
        self.others += 1;
        if name < self.name.as_str() {
            name.clone_into(&mut self.name);
        }
    }
    fn told(&self, what: &str) -> String {
        match self.others {
            0 => format!("{}: {what}", self.name),
            1 => format!("{} (and 1 other pod): {what}", self.name),
            n => format!("{} (and {n} other pods): {what}", self.name),
        }
    }
}

/// What to say of the pods of a namespace in which `standard` is to hold. Of a controller's pods, which are alike, the first one is judged
/// before the others are.
fn existing(config: &PodSecurity, view: &dyn ObjectLookup, namespace: &str, standard: Standard) -> Vec<String> {
    let all = view.list("", "pods", namespace);
    let mut survey = Survey { config, standard, alike: BTreeMap::new(), judged: 0, exempt: 0 };
    let mut controllers = HashSet::new();
    let mut rest = Vec::new();
    for pod in all.iter().take(SEEN) {
        let first = pod.read(|o| controller(o).is_none_or(|uid| controllers.insert(uid)));
        if first { survey.judge(pod) } else { rest.push(pod) }
    }
    rest.into_iter().for_each(|pod| survey.judge(pod));
    survey.told(namespace, all.len())
}

struct Survey<'a> {
    config: &'a PodSecurity,
    standard: Standard,
    alike: BTreeMap<String, Alike>,
    judged: usize,
    exempt: usize,
}

impl Survey<'_> {
    fn judge(&mut self, pod: &Arc<Stored>) {
        if self.judged == JUDGED {
            return;
        }
        let nothing = serde_json::Value::Null;
        let why = pod.read(|o| {
            let spec = o.at(&["spec"]).unwrap_or(&nothing);
            (!self.config.is_exempt_class(spec)).then(|| reasons(&check(self.standard, o.at(&["metadata"]).unwrap_or(&nothing), spec)))
        });
        let Some(why) = why else {
            self.exempt += 1;
            return;
        };
        self.judged += 1;
        if !why.is_empty() {
            self.alike.entry(why).or_default().add(&pod.key.name);
        }
    }

    fn told(self, namespace: &str, all: usize) -> Vec<String> {
        let (judged, total) = (self.judged, all.saturating_sub(self.exempt));
        let part = (judged < total).then(|| format!("new PodSecurity enforce level only checked against the first {judged} of {total} existing pods"));
        let head = (!self.alike.is_empty())
            .then(|| format!("existing pods in namespace \"{namespace}\" violate the new PodSecurity enforce level \"{}\"", self.standard));
        let mut kinds: Vec<String> = self.alike.iter().map(|(what, pods)| pods.told(what)).collect();
        kinds.sort();
        part.into_iter().chain(head).chain(kinds).collect()
    }
}

/// The controller that made a pod.
fn controller(pod: &Object) -> Option<String> {
    pod.owner_references().into_iter().find(|o| o.controller == Some(true)).map(|o| o.uid)
}
