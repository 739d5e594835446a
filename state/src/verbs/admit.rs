//! How a write passes admission: with the cache as it is, and once more with a current one when a step misses something.
use crate::admission::{Admit, Effects, Missing, Refusal};
use crate::audit;
use crate::pipeline::Pipeline;
use crate::request_context::RequestContext;
use crate::store::WatchFrom;
use model::{ApiError, Object};

impl Pipeline {
    /// A write as admission sees it.
    fn asked<'a>(&'a self, call: &'a RequestContext, old: Option<&'a Object>) -> Admit<'a> {
        Admit { user: &call.user, kind: &call.row, subresource: call.sub, old, view: self.store(), entropy: rand::random() }
    }

    /// Passes a write through admission. When a step misses something, the cache is brought up to date before its refusal counts.
    pub(crate) async fn admit(&self, call: &RequestContext, object: &mut Object, old: Option<&Object>) -> Result<Effects, ApiError> {
        let request = self.asked(call, old);
        let refusal = match self.admission().admit(&request, object) {
            Ok(held) => return Ok(held),
            Err(refusal) => refusal,
        };
        let Some(missing) = refusal.missing else { return Err(refusal.error) };
        self.admit_late(call, &request, object, missing).await
    }

    /// Passes an update as its client proposes it.
    pub(crate) fn admit_proposed(&self, call: &RequestContext, object: &Object, old: &Object) -> Result<(), ApiError> {
        let request = Admit { user: &call.user, kind: &call.row, subresource: call.sub, old: Some(old), view: self.store(), entropy: 0 };
        self.admission().admit_proposed(&request, object).map_err(|refusal| refusal.error)
    }

    /// Once more with a current cache, and as long as it is worth waiting; others have the place meanwhile. Steps are idempotent: those before the one
    /// that refused find their work done.
    async fn admit_late(&self, call: &RequestContext, request: &Admit<'_>, object: &mut Object, missing: Missing) -> Result<Effects, ApiError> {
        let aside = call.admitted.park()?;
        let mut feed = self.store().watch(missing.group, missing.resource, "", WatchFrom::Now)?;
        self.store().barrier(missing.group, missing.resource).await?;
        let end = tokio::time::Instant::now() + missing.patience;
        loop {
            let refusal = match self.admission().admit(request, object) {
                Ok(held) => {
                    drop(aside);
                    call.admitted.take_seat().await?;
                    return Ok(held);
                }
                Err(refusal) => refusal,
            };
            if refusal.missing != Some(missing) || tokio::time::timeout_at(end, feed.next()).await.is_err() {
                return Err(refusal.error);
            }
        }
    }

    /// Passes what is right by its kind's rules through admission once more; `held` comes back with what there is to say of it.
    pub(crate) async fn judge(&self, call: &RequestContext, object: &Object, old: Option<&Object>, mut held: Effects) -> Result<Effects, ApiError> {
        let request = self.asked(call, old);
        let (warnings, notes) = (held.warnings.len(), held.notes.len());
        let mut outcome = self.admission().judge(&request, object, &mut held);
        if let Err(Refusal { missing: Some(missing), .. }) = &outcome {
            self.store().barrier(missing.group, missing.resource).await?;
            held.warnings.truncate(warnings);
            held.notes.truncate(notes);
            outcome = self.admission().judge(&request, object, &mut held);
        }
        audit::record(call, object, &held.notes, outcome.is_ok());
        outcome.map(|()| held).map_err(|refusal| refusal.error)
    }
}
