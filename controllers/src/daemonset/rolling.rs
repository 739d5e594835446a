//! A rolling update: which old pods go, or which nodes get a new pod beside the old one, within the bounds that the DaemonSet sets.
use super::{Changes, Daemon, Place};
use crate::runtime::Item;
use std::sync::Arc;

/// The one pod of the new revision on a node, and the one of an old revision.
#[derive(Clone, Copy)]
struct Pair<'a> {
    new: Option<&'a Arc<Item>>,
    old: Option<&'a Arc<Item>>,
}

impl<'a> Daemon<'a> {
    /// The next step of a rolling update; nothing where pods are replaced on deletion only.
    pub(super) fn roll(&self) -> Changes<'a> {
        if !self.limits.rolls {
            return Changes::default();
        }
        let wanted = self.places.values().filter(|place| place.verdict.run).count();
        let (surge, unavailable) = (self.limits.surge(wanted), self.limits.unavailable(wanted));
        if surge > 0 {
            return self.surge(surge, wanted);
        }
        // nothing would move with neither
        self.replace(unavailable.max(usize::from(wanted > 0)))
    }

    /// The pods on a node by their revision, leaving out those that go; `None` where there are several of one.
    fn pair(&self, place: &Place<'a>) -> Option<Pair<'a>> {
        let mut pair = Pair { new: None, old: None };
        for item in place.pods.iter().filter(|item| !item.deleting()) {
            let of = if self.version.has(item) { &mut pair.new } else { &mut pair.old };
            if of.replace(item).is_some() {
                return None;
            }
        }
        Some(pair)
    }

    /// The nodes that an update looks at: those that are meant, and those that have pods.
    fn concerned(&self) -> impl Iterator<Item = (&Arc<str>, &Place<'a>)> {
        self.places.iter().filter(|(_, place)| place.verdict.run || !place.pods.is_empty())
    }

    /// Without a surge old pods go first, and the nodes that lack one get a new one. Old pods that aren't available go at once.
    fn replace(&self, most: usize) -> Changes<'a> {
        let (mut missing, mut useless, mut candidates) = (0, Vec::new(), Vec::new());
        for (_, place) in self.concerned() {
            match self.pair(place) {
                Some(Pair { new: Some(new), old: None }) => missing += usize::from(!self.available(new)),
                Some(Pair { new: None, old: Some(old) }) if self.available(old) => candidates.push(old),
                Some(Pair { new: None, old: Some(old) }) => {
                    useless.push(old);
                    missing += 1;
                }
                _ => missing += 1,
            }
        }
        candidates.truncate(most.saturating_sub(missing));
        Changes { create: Vec::new(), delete: useless.into_iter().chain(candidates).collect() }
    }

    /// With a surge new pods come first, and old ones go once those are available.
    fn surge(&self, most: usize, wanted: usize) -> Changes<'a> {
        let (mut surging, mut available) = (0, 0);
        let (mut changes, mut candidates, mut leaving) = (Changes::default(), Vec::new(), Vec::new());
        for (name, place) in self.concerned() {
            let Some(Pair { new, old }) = self.pair(place) else {
                surging += 1;
                continue;
            };
            available += usize::from(old.or(new).is_some_and(|item| self.available(item)));
            let Some(old) = old else { continue };
            match new {
                Some(new) if self.available(new) => changes.delete.push(old),
                Some(_) => surging += 1,
                None => match (self.available(old), place.verdict.run) {
                    (false, false) => changes.delete.push(old),
                    (false, true) => changes.create.push(name.clone()),
                    (true, false) => leaving.push(old),
                    (true, true) => candidates.push(name.clone()),
                },
            }
        }
        candidates.truncate(most.saturating_sub(surging));
        changes.create.extend(candidates);
        // what serves on nodes that are no longer meant goes only as others serve in its place
        leaving.truncate(available.saturating_sub(wanted));
        changes.delete.extend(leaving);
        changes
    }
}
