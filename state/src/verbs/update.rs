//! Update and patch: what a client makes of the present object, checked, and written when it differs.
use super::check;
use super::webhooks::Drafted;
use crate::admission::Effects;
use crate::authz::Attributes;
use crate::claims::Made;
use crate::deletion;
use crate::form;
use crate::meta;
use crate::pipeline::Pipeline;
use crate::reply::{Written, object_reply};
use crate::request_context::{self, RequestContext};
use crate::store::StoreOp;
use crate::subresource::scale;
use crate::write::{self, WriteOf};
use model::{ApiError, Cause, Kind, Object, Reason, Stored, Subresource, managed, patch};
use state_client::{Body, PatchKind, Reply};
use std::sync::{Arc, Mutex, PoisonError};

/// The definition of a Scale.
pub(super) const SCALE: &str = "io.k8s.api.autoscaling.v1.Scale";

/// How a client's change makes the next object from the present one.
type Propose<'a> = &'a (dyn Fn(&WriteOf<'_>, &Object) -> Result<Object, ApiError> + Send + Sync);

/// The same, with the form in which both are.
#[derive(Clone, Copy)]
pub(crate) enum Proposal<'a> {
    /// That which is worked on.
    Worked(Propose<'a>),
    /// That which the client sees.
    Shown(Propose<'a>),
}

impl Pipeline {
    pub(crate) async fn update(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let json = check::json(&body);
        let mut given = request_context::object(body)?;
        if call.sub == Some(Subresource::SCALE) {
            let scaled = self.change(call, Proposal::Worked(&|_, old| scale::apply(&call.row, &given, old))).await?;
            return self.scale_reply(call, &scaled.stored).await;
        }
        let mut warnings = accept(call, &mut given, json.as_deref())?;
        let given = form::inward(&call.kind, given);
        let written = self.change(call, Proposal::Worked(&|_, old| built_on(call, &given, old))).await;
        let (written, created) = match written {
            Err(absent) if absent.is_not_found() && self.is_made_by_put(call) => (self.create_by_put(call, given).await?, true),
            written => (written?, false),
        };
        warnings.extend(written.warnings);
        Ok(object_reply(self.outward_stored(call, written.stored).await?, created, warnings))
    }

    fn is_made_by_put(&self, call: &RequestContext) -> bool {
        call.sub.is_none() && call.row.strategy.create_on_update() && self.store().get(&call.key(&call.name)).is_none()
    }

    /// Makes what a PUT found absent, for one who may create it.
    pub(super) async fn create_by_put(&self, call: &RequestContext, given: Object) -> Result<Written, ApiError> {
        call.attributes(|what| self.authorizer().require(&Attributes { verb: "create", ..*what }))??;
        check::not_yet_stored(&given)?;
        self.create_once(call, given).await
    }

    pub(crate) async fn patch(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let json = check::json(&body);
        let Body::Patch(how, bytes) = body else { return Err(ApiError::bad_request("the request's body is not a patch")) };
        if how == PatchKind::Apply {
            return self.apply(call, &bytes).await;
        }
        if call.sub == Some(Subresource::SCALE) {
            let propose = |_: &WriteOf<'_>, old: &Object| scale::apply(&call.row, &patched(call, how, &bytes, &scale::of(&call.row, old), Some(SCALE))?, old);
            let scaled = self.change(call, Proposal::Worked(&propose)).await?;
            return self.scale_reply(call, &scaled.stored).await;
        }
        let warnings = Mutex::new(Vec::new());
        let propose = |_: &WriteOf<'_>, shown: &Object| {
            let mut next = patched(call, how, &bytes, shown, call.kind.schema.builtin())?;
            let found = accept(call, &mut next, json.as_deref())?;
            *warnings.lock().unwrap_or_else(PoisonError::into_inner) = found;
            Ok(next)
        };
        let written = self.change(call, Proposal::Shown(&propose)).await?;
        let mut warnings = warnings.into_inner().unwrap_or_else(PoisonError::into_inner);
        warnings.extend(written.warnings);
        Ok(object_reply(self.outward_stored(call, written.stored).await?, false, warnings))
    }

    /// Changes the object that `call` names. Returns it as it is afterwards: the same revision when nothing changed.
    ///
    /// # Errors
    /// What the proposal answers, a refusal, or 409 when others keep on writing.
    pub(crate) async fn change(&self, call: &RequestContext, proposal: Proposal<'_>) -> Result<Written, ApiError> {
        self.guarded(call, &call.name, |old| self.try_change(call, old, proposal)).await
    }

    async fn proposed(&self, call: &RequestContext, present: &Object, proposal: Proposal<'_>) -> Result<Object, ApiError> {
        match proposal {
            Proposal::Worked(propose) => self.with_forms(call, |of| propose(of, present)).await?,
            Proposal::Shown(propose) if call.kind.stored_as.is_none() => self.with_forms(call, |of| propose(of, present)).await?,
            Proposal::Shown(propose) => {
                let shown = self.outward(call, &call.kind, present).await?;
                Ok(form::inward(&call.kind, self.with_forms(call, |of| propose(of, &shown)).await??))
            }
        }
    }

    async fn try_change(&self, call: &RequestContext, old: Arc<Stored>, proposal: Proposal<'_>) -> Result<Option<Written>, ApiError> {
        let (new, mut held) = {
            let present = self.current(call, &old).await?;
            let proposed = self.proposed(call, &present, proposal).await?;
            self.prepare(call, proposed, &present).await?
        };
        let new = self.to_store(call, new).await?;
        let warnings = std::mem::take(&mut held.warnings);
        let made = if call.options.dry_run { Some(Made::default()) } else { self.claim(&old.key, &new, Some(old.object())).await? };
        let Some(made) = made else { return Ok(None) };
        let written = if deletion::due(&call.row, &new) {
            self.swap(call, old, StoreOp::Delete(new), call.options.dry_run).await
        } else if meta::unchanged(&new, old.object()) {
            Ok(Some(old))
        } else {
            self.swap(call, old, StoreOp::Put(new), call.options.dry_run).await
        };
        drop(held);
        // whether it was written is not always known: then the claim stays until the sweep
        if matches!(&written, Ok(None)) || written.as_ref().is_err_and(|e| e.reason != Reason::Timeout) {
            self.unclaim(made).await;
        }
        Ok(written?.map(|stored| Written { stored, warnings }))
    }

    /// Makes a proposal what may be written: with all that the client may not change, admitted and checked.
    async fn prepare(&self, call: &RequestContext, mut new: Object, old: &Object) -> Result<(Object, Effects), ApiError> {
        let of = call.write();
        let owners = managed::before(&mut new, Some(old), call.sub.is_some() && !call.applies);
        write::propose_change(&of, &mut new, old)?;
        self.admit_proposed(call, &new, old)?;
        let mut new = write::cover(&of, new, old);
        self.record(call, &mut new, Some(old), owners).await?;
        let held = self.admit(call, &mut new, Some(old)).await?;
        let held = self.mutate(call, Drafted { object: &mut new, old: Some(old), generated: false }, held).await?;
        write::prepare_change(&of, &mut new, old);
        write::check_change(&of, &new, old)?;
        write::count_change(&of, &mut new, old);
        let held = self.judge(call, &new, Some(old), held).await?;
        let held = self.validate(call, &new, Some(old), held).await?;
        Ok((new, held))
    }
}

/// Checks what a client sent, or what its patch makes, in the form that the client sees. Returns warnings.
pub(super) fn accept(call: &RequestContext, given: &mut Object, json: Option<&[u8]>) -> Result<Vec<String>, ApiError> {
    meta::check_kind(&call.kind, given)?;
    let warnings = check::shape(call, given, json)?;
    meta::check_name(given, &call.name)?;
    meta::check_namespace(&call.kind, given, &call.namespace)?;
    Ok(warnings)
}

fn unsupported(kind: &Kind) -> ApiError {
    let why = format!("the body of the request was in an unknown format - accepted media types include: {}", patch::media_types(kind).join(", "));
    ApiError::new(Reason::UnsupportedMediaType, why)
}

fn patched(call: &RequestContext, how: PatchKind, bytes: &[u8], old: &Object, schema: Option<&str>) -> Result<Object, ApiError> {
    match how {
        PatchKind::Json => patch::apply_json(old, bytes),
        PatchKind::Merge => patch::apply_merge(old, bytes),
        PatchKind::Strategic => match schema {
            Some(schema) => patch::apply_strategic(old, bytes, schema),
            // custom resources have no strategic merge: their schemas don't say how
            None => Err(unsupported(&call.kind)),
        },
        PatchKind::Apply => Err(unsupported(&call.kind)),
    }
}

/// What a PUT proposes in place of `old`.
fn built_on(call: &RequestContext, given: &Object, old: &Object) -> Result<Object, ApiError> {
    if call.sub.is_none() && !call.row.strategy.unconditional_update() && matches!(given.resource_version(), "" | "0") {
        let cause = Cause::invalid("metadata.resourceVersion", &0.into(), "must be specified for an update");
        return Err(ApiError::invalid(&call.kind.group, &call.kind.kind, old.name(), vec![cause]));
    }
    Ok(given.clone())
}
