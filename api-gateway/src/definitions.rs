//! Custom resources: where `state` runs in another process, their definitions are watched from here, and the table of kinds changes with them.
use crate::auth;
use arc_swap::ArcSwap;
use model::{Kinds, custom};
use state_client::{Change, Client, Reflector, Request, Verb};
use std::sync::Arc;

/// Keeps the table current with the definitions that `state` has.
pub async fn follow(client: Client, kinds: Arc<ArcSwap<Kinds>>) {
    let (group, resource) = custom::DEFINITIONS;
    let request = Request { user: Some(auth::own()), ..Request::new(Verb::Watch, group, resource, "", "") };
    let mut reflector = Reflector::new(client, request);
    loop {
        let changes = reflector.next().await;
        let mut table = Kinds::clone(&kinds.load());
        for change in &changes {
            table = match change {
                Change::Applied { new, .. } => new.read(|crd| custom::with_definition(&table, crd)),
                Change::Deleted(last) => custom::without_definition(&table, &last.key.name),
                Change::Synced => continue,
            };
        }
        if !changes.is_empty() {
            kinds.store(Arc::new(table));
        }
    }
}
