//! Looks up images. Those who ask for the same image at about the same time share one answer: pods of a rollout, or a pod's sandbox and its containers.
use crate::runtime::{Image, Runtime, RuntimeError};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::OnceCell;

/// How long an answer counts: from the making of a sandbox to the start of the first containers. A tag that moves is seen by whoever asks later.
const FRESH: Duration = Duration::from_millis(500);

struct CachedLookup {
    at: Instant,
    answer: Arc<OnceCell<Image>>,
}

/// Questions of the last moment and their answers.
#[derive(Default)]
pub struct Lookups(Mutex<HashMap<String, CachedLookup>>);

impl Lookups {
    /// An image that is present. That one is absent is not remembered.
    ///
    /// # Errors
    /// What the runtime says.
    pub async fn find(&self, runtime: &dyn Runtime, name: &str) -> Result<Option<Image>, RuntimeError> {
        let ask = || async { runtime.image(name).await.map_err(Some)?.ok_or(None) };
        match self.ask(name).get_or_try_init(ask).await {
            Ok(image) => Ok(Some(image.clone())),
            Err(None) => Ok(None),
            Err(Some(e)) => Err(e),
        }
    }

    fn ask(&self, name: &str) -> Arc<OnceCell<Image>> {
        let mut asked = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        asked.retain(|_, a| a.at.elapsed() < FRESH);
        asked.entry(name.to_owned()).or_insert_with(|| CachedLookup { at: Instant::now(), answer: Arc::default() }).answer.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::runtime::hollow::Hollow;

    #[tokio::test]
    async fn who_asks_at_once_shares_an_answer_for_a_moment() {
        let (lookups, runtime) = (Lookups::default(), Hollow::default());
        assert!(lookups.find(&runtime, "a").await.unwrap().is_some());
        let first = lookups.ask("a");
        assert!(first.get().is_some() && Arc::ptr_eq(&first, &lookups.ask("a")));
        assert!(lookups.ask("b").get().is_none());
        tokio::time::sleep(FRESH).await;
        assert!(lookups.ask("a").get().is_none(), "asked again after that");
    }
}
