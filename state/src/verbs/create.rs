//! Create, and the actions that are created: bindings, evictions, tokens.
use super::check;
use crate::admission::{Admit, Effects, Missing, Refusal};
use crate::audit;
use crate::authz::{Attributes, Target};
use crate::claims;
use crate::deletion::DeletionOptions;
use crate::form;
use crate::meta;
use crate::pipeline::Pipeline;
use crate::reply::{Written, json_reply, object_reply, success};
use crate::request_context::{self, RequestContext};
use crate::store::{CommitError, StoreOp, WatchFrom, Write};
use crate::subresource::{binding, token};
use model::kind::Subresource;
use model::{ApiError, Key, Object, Reason, Stored, time};
use state_client::{Body, Reply};
use std::sync::Arc;

/// How many names are tried for a `generateName`, as in Kubernetes.
const NAMES: usize = 8;
/// How often addresses are chosen anew because another process was quicker.
const CLAIMS: usize = 16;

impl Pipeline {
    pub(crate) async fn create(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        match call.sub {
            None if self.is_review(call) => self.review(call, body),
            None => self.create_object(call, body).await,
            Some(Subresource::Binding) => self.bind(call, body).await,
            Some(Subresource::Eviction) => self.evict(call, body).await,
            Some(Subresource::Token) => self.token(call, body).await,
            Some(sub) => self.connect(call, sub, body).await,
        }
    }

    async fn create_object(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
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
                    return Ok(object_reply(form::outward(&call.kind, written.stored)?, true, warnings));
                }
            }
        }
    }

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
        meta::generate_name(&mut object, rand::random());
        meta::stamp(&call.row, &mut object, &uuid::Uuid::new_v4().to_string(), &time::format(call.now));
        call.row.strategy.default(&mut object);
        let held = match self.admit(call, &mut object, None).await {
            Ok(held) => held,
            Err(refusal) => return Err(self.exists(call, &call.key(object.name())).await?.unwrap_or(refusal)),
        };
        call.row.strategy.prepare_create(&mut object);
        check::new_object(call, &object)?;
        let mut held = self.judge(call, &object, None, held).await?;
        let warnings = std::mem::take(&mut held.warnings);
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
        if call.options.dry_run {
            let exists = self.store().get(&key).is_some();
            return if exists { Err(taken()) } else { Ok(Arc::new(Stored::from_object(key, object)?)) };
        }
        let committed = self.store().commit(Write { key: key.clone(), expect: 0, op: StoreOp::Put(object) }).await;
        // given back only now: the cache shows what was taken, or it was not taken
        drop(held);
        match committed {
            Ok(stored) => {
                self.authorizer().refresh(&key);
                Ok(stored)
            }
            Err(CommitError::Conflict) => Err(taken()),
            Err(other) => Err(other.to_api(&key, true)),
        }
    }

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

    async fn bind(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let binding = request_context::object(body)?;
        self.change(call, &|old| binding::apply(&binding, old.object(), call.now)).await?;
        Ok(success(201, None))
    }

    /// An eviction is a deletion that the pod's disruption budgets would have a say in.
    async fn evict(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let eviction = request_context::optional_object(body)?.unwrap_or_default();
        if !eviction.name().is_empty() && eviction.name() != &*call.name {
            return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
        }
        let asked = DeletionOptions::of(&call.options, eviction.at(&["deleteOptions"]).filter(|v| !v.is_null()))?;
        self.delete_one(call, &call.name, &asked).await?;
        Ok(success(201, None))
    }

    /// Whether the user was given the right to tokens of this account for an audience.
    fn may_request(&self, call: &RequestContext, audience: &str) -> bool {
        let target = Target::Resource { group: "", resource: audience, subresource: "", namespace: &call.namespace, name: &call.name };
        self.authorizer().allows(&Attributes { user: &call.user, verb: "request-serviceaccounts-token-audience", target, bound_to: None })
    }

    async fn token(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let request = request_context::object(body)?;
        let tokens = self.tokens().ok_or_else(|| ApiError::unavailable("this cluster has no key to sign tokens with"))?;
        self.store().barrier("", "pods").await?;
        let account = self.store().get(&call.key(&call.name)).ok_or_else(|| call.not_found(&call.name))?;
        let id = uuid::Uuid::new_v4().to_string();
        let granted = |audience: &str| self.may_request(call, audience);
        let asked =
            token::TokenQuestion { user: &call.user, request: &request, account: account.object(), granted: &granted, view: self.store(), now: call.now, id };
        Ok(json_reply(&tokens.issue(&request, &token::claims(&asked)?)?, 201))
    }
}
