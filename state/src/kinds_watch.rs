//! Custom resources: their definitions are watched, and the table of kinds changes with them.
use crate::pipeline::Pipeline;
use crate::store::{Store, WatchFrom};
use arc_swap::ArcSwap;
use model::{Kinds, custom};
use std::sync::Arc;

/// Brings the table to what the cache has.
pub(crate) fn load(store: &Store, kinds: &ArcSwap<Kinds>) {
    let (group, resource) = custom::DEFINITIONS;
    let all = store.list(group, resource, "").items;
    let table = all.iter().fold(custom::without_definitions(&kinds.load()), |table, stored| stored.read(|crd| custom::with_definition(&table, crd)));
    kinds.store(Arc::new(table));
}

/// Keeps the table current with the definitions in the log.
pub(crate) async fn follow(store: Store, pipeline: Pipeline) {
    let kinds = pipeline.table();
    let (group, resource) = custom::DEFINITIONS;
    loop {
        let mut feed = match store.watch(group, resource, "", WatchFrom::Now) {
            Ok(feed) => feed,
            Err(error) => {
                tracing::warn!(%error, "definitions of custom resources can't be followed");
                return;
            }
        };
        // between the last look and the new feed something may have changed
        load(&store, kinds);
        pipeline.definitions_changed();
        let error = loop {
            match feed.next().await {
                Ok(changes) => {
                    let mut table = Kinds::clone(&kinds.load());
                    for change in &changes {
                        table = if change.deleted {
                            custom::without_definition(&table, &change.new.key.name)
                        } else {
                            change.new.read(|crd| custom::with_definition(&table, crd))
                        };
                    }
                    kinds.store(Arc::new(table));
                    pipeline.definitions_changed();
                }
                Err(error) => break error,
            }
        };
        if error.reason != model::Reason::Expired {
            tracing::info!(%error, "definitions of custom resources are no longer followed");
            return;
        }
    }
}
