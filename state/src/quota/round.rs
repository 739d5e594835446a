//! One round of a namespace's quotas: who takes what of them, in turn, and what is written then.
use crate::store::{StoreOp, Write};
use model::quantity::Quantity;
use model::quota::{Quota, Taken};
use model::resource_list::ResourceList;
use model::{Key, Object, Stored};
use std::sync::Arc;

/// What a write asks of the quotas.
pub(super) struct Asked<'a> {
    /// Of which object.
    pub(super) key: &'a Key,
    /// As it is.
    pub(super) old: Option<&'a Object>,
    /// As it is to be; `None` when it goes.
    pub(super) new: Option<&'a Object>,
    /// Whether it is refused where there is no room.
    pub(super) refusable: bool,
}

impl<'a> Asked<'a> {
    /// What it takes before and after.
    pub(super) fn taken(&self) -> (Option<Taken<'a>>, Option<Taken<'a>>) {
        let key = self.key;
        let by = |object| Taken::by(&key.group, &key.resource, object);
        (self.old.map(by), self.new.map(by))
    }
}

/// Whether quotas count less once a write is done. Then it goes before them in their group: a quota that counts too much for a while does no harm.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Share {
    /// They count less.
    Less,
    /// They count more, or the same.
    More,
}

/// A quota, and whether it has to be written.
struct Limit {
    stored: Arc<Stored>,
    quota: Quota,
}

/// The quotas of a namespace, while writes take of them.
pub(super) struct Limits(Vec<Limit>);

impl Limits {
    pub(super) fn new(quotas: impl Iterator<Item = (Arc<Stored>, Quota)>) -> Self {
        Self(quotas.map(|(stored, quota)| Limit { stored, quota }).collect())
    }

    /// Takes what a write needs of each quota; nothing when one of them refuses.
    ///
    /// # Errors
    /// The sentence of the first quota that has no room, or wants to know more.
    pub(super) fn take(&mut self, asked: &Asked<'_>) -> Result<Share, String> {
        let (old, new) = asked.taken();
        let mut changes: Vec<ResourceList> = Vec::with_capacity(self.0.len());
        for Limit { quota, .. } in &self.0 {
            if let Some(new) = new.as_ref().filter(|_| old.is_none() && asked.refusable) {
                quota.check_constraints(new)?;
            }
            let change = quota.change(old.as_ref(), new.as_ref());
            if asked.refusable {
                quota.check_room(&change)?;
            }
            changes.push(change);
        }
        let more = changes.iter().flat_map(|change| change.0.values()).any(|amount| *amount > Quantity::ZERO);
        self.0.iter_mut().zip(&changes).for_each(|(limit, change)| limit.quota.add(change));
        Ok(if more { Share::More } else { Share::Less })
    }

    /// The writes of quotas that say something new, but for those that `others` write.
    pub(super) fn writes<'a>(&self, others: impl Iterator<Item = &'a Write> + Clone) -> Vec<Write> {
        let written = |limit: &&Limit| others.clone().any(|write| write.key == limit.stored.key);
        let changed = self.0.iter().filter(|limit| !written(limit)).filter_map(|limit| {
            let (before, status) = (limit.stored.object(), limit.quota.status());
            (before.at(&["status"]) != Some(&status)).then(|| {
                let mut object = before.clone();
                object.set(&["status"], status);
                Write { key: limit.stored.key.clone(), expect: limit.stored.revision, op: StoreOp::Put(object) }
            })
        });
        changed.collect()
    }
}
