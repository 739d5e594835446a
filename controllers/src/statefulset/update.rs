//! A rolling update: pods of another revision go, the highest ordinals first, as many at a time as may be unavailable, and come back as they are to be.
use super::Look;
use crate::amount::scaled;
use crate::revisions::POD_LABEL;
use crate::runtime::{Item, Plan};
use std::sync::Arc;

impl Look<'_> {
    /// Deletes what is to be replaced now; returns how many of them were of the current revision.
    pub(super) fn roll(&self, plan: &mut Plan) -> i64 {
        if self.set.object().str_at(&["spec", "updateStrategy", "type"]) != "RollingUpdate" {
            return 0;
        }
        let going = self.going();
        going.iter().for_each(|item| self.delete(item, plan));
        let outdated = going.iter().filter(|item| item.label(POD_LABEL) == Some(self.current.name())).count();
        i64::try_from(outdated).unwrap_or_default()
    }

    /// So many of the pods that are wanted may be unavailable.
    fn max_unavailable(&self) -> usize {
        let all = i64::try_from(self.replicas.len()).unwrap_or(i64::MAX);
        let most = self.rolling("maxUnavailable").map_or(1, |value| scaled(value, all, false));
        usize::try_from(most).unwrap_or_default().max(1)
    }

    fn going(&self) -> Vec<&Arc<Item>> {
        let missing = self.replicas.iter().filter(|replica| !replica.pod.is_some_and(|item| self.available(item))).count();
        let room = self.max_unavailable().saturating_sub(missing);
        let kept = usize::try_from(self.partition().unwrap_or_default()).unwrap_or(usize::MAX);
        let outdated = |item: &&Arc<Item>| item.label(POD_LABEL) != Some(self.update.name()) && !item.deleting();
        let candidates: Vec<&Arc<Item>> = self.replicas.iter().skip(kept).rev().filter_map(|replica| replica.pod).filter(outdated).collect();
        if self.ordered {
            return candidates.into_iter().take(room).collect();
        }
        // what doesn't serve anyway goes at once, and takes nothing of the room
        let (serving, idle): (Vec<_>, Vec<_>) = candidates.into_iter().partition(|item| self.available(item));
        idle.into_iter().chain(serving.into_iter().take(room)).collect()
    }
}
