//! Create: what a client asks for, named, defaulted, admitted and checked, and written where nothing is.
use super::check;
use super::webhooks::Drafted;
use crate::admission::Effects;
use crate::claims;
use crate::form;
use crate::meta;
use crate::pipeline::Pipeline;
use crate::quota::{Counted, Refusal};
use crate::reply::{Written, object_reply};
use crate::request_context::{self, RequestContext};
use crate::store::{CommitError, StoreOp, Write};
use crate::write;
use model::{ApiError, Key, Object, Reason, Stored, managed};
use state_client::{Body, Reply};
use std::sync::Arc;

/// How many names are tried for a `generateName`, as in Kubernetes.
const NAMES: usize = 8;
/// How often addresses are chosen anew because another process was quicker.
const CLAIMS: usize = 16;

impl Pipeline {
    /// Creates an object; one without a name gets one, and another one when that is taken.
    pub(crate) async fn create_object(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let json = check::json(&body);
        let mut given = request_context::object(body)?;
        meta::check_kind(&call.kind, &mut given)?;
        let mut warnings = check::shape(call, &mut given, json.as_deref())?;
        meta::check_namespace(&call.kind, &mut given, &call.namespace)?;
        check::not_yet_stored(&given)?;
        let mut given = form::inward(&call.kind, given);
        let mut attempts = if given.name().is_empty() { NAMES } else { 1 };
        loop {
            attempts -= 1;
            let spare = (attempts > 0).then(|| given.clone());
            match (self.create_once(call, given).await, spare) {
                (Err(e), Some(spare)) if e.is_already_exists() => given = spare,
                (Err(e), _) => return Err(e),
                (Ok(written), _) => {
                    warnings.extend(written.warnings);
                    return Ok(object_reply(self.outward_stored(call, written.stored).await?, true, warnings));
                }
            }
        }
    }

    /// Creates an object, unless its name is taken. Addresses that another process was quicker to claim are chosen anew.
    pub(crate) async fn create_once(&self, call: &RequestContext, object: Object) -> Result<Written, ApiError> {
        let attempts = if claims::concerns(&call.key("")) { CLAIMS } else { 1 };
        for object in std::iter::repeat_n(object, attempts) {
            if let Some(written) = self.try_create(call, object).await? {
                return Ok(written);
            }
        }
        Err(ApiError::unavailable("others take each address that is chosen; try again"))
    }

    /// `None` when somebody else has claimed what was chosen.
    async fn try_create(&self, call: &RequestContext, mut object: Object) -> Result<Option<Written>, ApiError> {
        let of = call.write();
        let (owners, generated) = (managed::before(&mut object, None, false), object.name().is_empty());
        write::propose_new(&of, &mut object, rand::random(), &uuid::Uuid::new_v4().to_string(), call.now);
        self.record(call, &mut object, None, owners).await?;
        let held = match self.admit(call, &mut object, None).await {
            Ok(held) => held,
            Err(refusal) => return Err(self.exists(call, &call.key(object.name())).await?.unwrap_or(refusal)),
        };
        let held = self.mutate(call, Drafted { object: &mut object, old: None, generated }, held).await?;
        write::prepare_new(&of, &mut object);
        write::check_new(&of, &object)?;
        let held = self.judge(call, &object, None, held).await?;
        let mut held = self.validate(call, &object, None, held).await?;
        let warnings = std::mem::take(&mut held.warnings);
        let object = self.to_store(call, object).await?;
        let written = |stored| Some(Written { stored, warnings });
        if call.options.dry_run {
            return self.put_new(call, object, held).await.map(written);
        }
        let Some(made) = self.claim(&call.key(object.name()), &object, None).await? else { return Ok(None) };
        let outcome = self.put_new(call, object, held).await;
        // whether it was written is not always known: then the claim stays until the sweep
        if outcome.as_ref().is_err_and(|e| e.reason != Reason::Timeout) {
            self.unclaim(made).await;
        }
        outcome.map(written)
    }

    /// A Service that exists is refused for that, rather than for what it has being taken.
    async fn exists(&self, call: &RequestContext, key: &Key) -> Result<Option<ApiError>, ApiError> {
        if !claims::concerns(key) {
            return Ok(None);
        }
        self.store().barrier(&key.group, &key.resource).await?;
        Ok(self.store().get(key).map(|_| ApiError::already_exists(&call.kind.group, &call.kind.resource, &key.name)))
    }

    async fn put_new(&self, call: &RequestContext, object: Object, held: Effects) -> Result<Arc<Stored>, ApiError> {
        let key = call.key(object.name());
        let taken = || ApiError::already_exists(&call.kind.group, &call.kind.resource, &key.name);
        let write = Write { key: key.clone(), expect: 0, op: StoreOp::Put(object) };
        let counted = Counted { write, old: None, refusable: true };
        if call.options.dry_run {
            let exists = self.store().get(&key).is_some();
            return if exists { Err(taken()) } else { self.quotas().try_out(&key, counted) };
        }
        let committed = self.quotas().commit(counted).await;
        // given back only now: the cache shows what was taken, or it was not taken
        drop(held);
        match committed {
            Ok(stored) => {
                self.refresh(&key);
                Ok(stored)
            }
            Err(Refusal::Commit(CommitError::Conflict)) => Err(taken()),
            Err(other) => Err(other.to_api(&key, true)),
        }
    }
}
