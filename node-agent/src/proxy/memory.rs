//! Keeps the last known Services on the node's disk. When a node starts without the cluster, its containers get the same environment variables and reach the
//! same addresses as before.
use super::Ruleset;
use crate::nft::{self, NftError};
use model::{Key, Object, Stored};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The services, once they are known.
pub type Services = Option<Arc<Vec<Arc<Stored>>>>;

/// What was applied and known last.
pub struct ServiceCache {
    rules: PathBuf,
    list: PathBuf,
    applied: Option<Ruleset>,
    services: Services,
}

impl ServiceCache {
    /// Reads what an agent before knew, and applies its rules: the table may be there still, or the machine may have started anew.
    pub async fn open(data: &Path) -> Self {
        let (rules, list) = (data.join("rules.json"), data.join("services.json"));
        let services = std::fs::read(&list).ok().and_then(|json| parse(&json));
        let mut memory = Self { rules, list, applied: None, services: services.map(Arc::new) };
        let kept = std::fs::read(&memory.rules).ok().and_then(|json| serde_json::from_slice::<Ruleset>(&json).ok());
        if let Some(kept) = kept {
            let restored = match nft::apply(&kept.after(&kept)).await {
                Ok(()) => Ok(()),
                Err(_) => nft::apply(&kept.whole()).await,
            };
            match restored {
                Ok(()) => memory.applied = Some(kept),
                Err(error) => tracing::warn!(%error, "the services' rules of before could not be restored"),
            }
        }
        memory
    }

    /// The services as last known.
    pub fn services(&self) -> Services {
        self.services.clone()
    }

    /// Makes the table so.
    ///
    /// # Errors
    /// When nftables refuses.
    pub async fn apply(&mut self, wanted: Ruleset) -> Result<(), NftError> {
        if self.applied.as_ref() == Some(&wanted) {
            return Ok(());
        }
        // Until it is done, nobody knows what is there.
        let changed = match self.applied.take() {
            Some(before) => nft::apply(&wanted.after(&before)).await.inspect_err(|error| tracing::info!(%error, "the services' table is made anew")),
            None => nft::apply(&wanted.whole()).await,
        };
        if changed.is_err() {
            nft::apply(&wanted.whole()).await?;
        }
        match serde_json::to_vec(&wanted) {
            Ok(json) => keep(&self.rules, &json),
            Err(error) => tracing::warn!(%error, "the services' rules can't be written"),
        }
        self.applied = Some(wanted);
        Ok(())
    }

    /// Keeps the services for the next start.
    pub fn remember(&mut self, services: &Arc<Vec<Arc<Stored>>>) {
        let revisions = |list: &[Arc<Stored>]| list.iter().map(|s| (s.key.clone(), s.revision)).collect::<Vec<_>>();
        if self.services.as_ref().is_none_or(|known| revisions(known) != revisions(services)) {
            let objects: Vec<&[u8]> = services.iter().map(|s| s.json().as_ref()).collect();
            keep(&self.list, &[b"[", objects.join(&b","[..]).as_slice(), b"]"].concat());
            self.services = Some(services.clone());
        }
    }
}

fn keep(path: &Path, json: &[u8]) {
    if let Err(error) = crate::disk::keep(path, json) {
        tracing::warn!(path = %path.display(), %error, "it could not be kept on disk");
    }
}

fn parse(json: &[u8]) -> Option<Vec<Arc<Stored>>> {
    let values: Vec<serde_json::Value> = serde_json::from_slice(json).ok()?;
    let stored = |value| {
        let object = Object::from_value(value).ok()?;
        let key = Key::new("", "services", object.namespace(), object.name());
        Stored::from_object(key, object).ok().map(Arc::new)
    };
    values.into_iter().map(stored).collect()
}
