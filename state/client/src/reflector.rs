//! A copy of one resource in memory, kept current by one watch. The scheduler, controllers and agents use it.
//!
//! A stream that breaks is resumed at the last revision seen. When the server no longer holds that revision, the reflector lists again and reports the
//! differences as ordinary changes, so that its users need not know about the interruption.
use crate::api::{Event, Request, Verb, WatchRequest};
use crate::client::{Client, Watch};
use bus::Backoff;
use model::{ApiError, Reason, Stored};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// One difference between the copy before and after.
#[derive(Clone, Debug)]
pub enum Change {
    /// New or changed; `old` is what the copy held before.
    Applied {
        /// Before.
        old: Option<Arc<Stored>>,
        /// Now.
        new: Arc<Stored>,
    },
    /// Gone; the last object known.
    Deleted(Arc<Stored>),
    /// The copy is complete up to now. Comes once after the start and after each synchronisation.
    Synced,
}

const BACKOFF_MIN: Duration = Duration::from_millis(50);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

type Name = (Arc<str>, Arc<str>);

enum Phase {
    /// No watch; the next one starts at this revision, or with a synchronisation where there is none.
    Idle,
    /// Initial events come; these names were seen so far.
    Syncing(Watch, BTreeSet<Name>),
    /// Changes come.
    Following(Watch),
}

/// The copy and the watch that keeps it.
pub struct Reflector {
    client: Client,
    request: Request,
    objects: BTreeMap<Name, Arc<Stored>>,
    revision: Option<u64>,
    phase: Phase,
    backoff: Backoff,
}

impl Reflector {
    /// A reflector of what `request` selects (its verb and revision are set here). Nothing happens before [`Reflector::next`].
    pub fn new(client: Client, request: Request) -> Self {
        let request = Request { verb: Verb::Watch, ..request };
        Self { client, request, objects: BTreeMap::new(), revision: None, phase: Phase::Idle, backoff: Backoff::new(BACKOFF_MIN, BACKOFF_MAX) }
    }

    /// A reflector of a whole resource, in one namespace or (`""`) in all.
    pub fn of(client: Client, group: &str, resource: &str, namespace: &str) -> Self {
        Self::new(client, Request::new(Verb::Watch, group, resource, namespace, ""))
    }

    /// One object of the copy.
    pub fn get(&self, namespace: &str, name: &str) -> Option<&Arc<Stored>> {
        self.objects.get(&(namespace.into(), name.into()))
    }

    /// The whole copy, ordered by namespace and name.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Stored>> {
        self.objects.values()
    }

    /// Up to which revision the copy is current; `None` before the first synchronisation.
    pub fn revision(&self) -> Option<u64> {
        self.revision
    }

    /// Waits for the next changes, as many as came together; possibly none, when only the revision moved.
    /// Never fails: it reconnects with backoff. Cancel-safe.
    pub async fn next(&mut self) -> Vec<Change> {
        loop {
            match self.step().await {
                Ok(Some(changes)) => {
                    self.backoff.reset();
                    return changes;
                }
                Ok(None) => {}
                Err(e) => self.failed(&e).await,
            }
        }
    }

    async fn failed(&mut self, error: &ApiError) {
        if matches!(error.reason, Reason::Expired | Reason::Gone) {
            self.revision = None;
        }
        self.phase = Phase::Idle;
        tracing::debug!(resource = %self.request.resource, %error, "watch ended, starting again");
        tokio::time::sleep(self.backoff.pause()).await;
    }

    /// One step of the state machine; `None` when only the phase moved.
    async fn step(&mut self) -> Result<Option<Vec<Change>>, ApiError> {
        let events = match &mut self.phase {
            Phase::Idle => {
                self.phase = self.connect().await?;
                return Ok(None);
            }
            Phase::Syncing(watch, _) | Phase::Following(watch) => watch.next_batch().await?,
        };
        let Some(events) = events else {
            self.phase = Phase::Idle;
            return Ok(None);
        };
        let mut changes = Vec::with_capacity(events.len());
        for event in events {
            self.apply(event, &mut changes)?;
        }
        Ok(Some(changes))
    }

    async fn connect(&self) -> Result<Phase, ApiError> {
        let mut request = self.request.clone();
        request.options.resource_version = self.revision.map(|r| r.to_string()).unwrap_or_default();
        let initial_events = self.revision.is_none().then_some(true);
        let watch = self.client.watch(WatchRequest::new(request, initial_events)).await?;
        Ok(if self.revision.is_none() { Phase::Syncing(watch, BTreeSet::new()) } else { Phase::Following(watch) })
    }

    fn apply(&mut self, event: Event, changes: &mut Vec<Change>) -> Result<(), ApiError> {
        match event {
            Event::Added(new) | Event::Modified(new) => {
                let name = (new.key.namespace.clone(), new.key.name.clone());
                match &mut self.phase {
                    Phase::Syncing(_, seen) => _ = seen.insert(name.clone()),
                    _ => self.revision = Some(new.revision),
                }
                let old = self.objects.insert(name, new.light());
                if old.as_ref().is_none_or(|o| o.revision != new.revision) {
                    changes.push(Change::Applied { old, new });
                }
            }
            Event::Deleted(last) => {
                if matches!(self.phase, Phase::Following(_)) {
                    self.revision = Some(last.revision);
                }
                if self.objects.remove(&(last.key.namespace.clone(), last.key.name.clone())).is_some() {
                    changes.push(Change::Deleted(last));
                }
            }
            Event::Bookmark { revision, initial_events_end } => {
                if initial_events_end {
                    self.synced(changes);
                }
                if matches!(self.phase, Phase::Following(_)) {
                    self.revision = Some(revision);
                }
            }
            Event::Error(e) => return Err(e),
        }
        Ok(())
    }

    /// The initial events are complete: what they didn't name is gone.
    fn synced(&mut self, changes: &mut Vec<Change>) {
        let Phase::Syncing(watch, seen) = std::mem::replace(&mut self.phase, Phase::Idle) else { return };
        let gone: Vec<Name> = self.objects.keys().filter(|name| !seen.contains(*name)).cloned().collect();
        changes.extend(gone.iter().filter_map(|name| self.objects.remove(name)).map(Change::Deleted));
        changes.push(Change::Synced);
        self.phase = Phase::Following(watch);
    }
}
