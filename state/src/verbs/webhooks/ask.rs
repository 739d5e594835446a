//! One webhook is asked about one write.
use crate::admission::{AuditAnnotation, Effects};
use crate::pipeline::Pipeline;
use crate::warnings;
use crate::webhooks::conditions;
use crate::webhooks::matching;
use crate::webhooks::question::{Concerned, Question, Shown};
use crate::webhooks::services::Endpoints;
use crate::webhooks::table::Purpose;
use model::{ApiError, Object};
use serde_json::Value;
use std::time::Duration;
use webhooks::review::{self, AdmissionRequest, Answer};
use webhooks::{FailurePolicy, Webhook};

impl Pipeline {
    /// Those webhooks whose rules concern what is asked; others aren't asked.
    pub(super) fn concerned(&self, purpose: Purpose, question: &Question<'_>) -> Vec<Concerned> {
        let all = self.webhooks().table.of(purpose);
        if all.is_empty() { Vec::new() } else { matching::concerned(&all, &self.kinds(), question.call, question.operation) }
    }

    /// Asks one webhook. Returns its answer where it admits; nothing where it isn't concerned, or can't be asked and needn't be.
    ///
    /// # Errors
    /// Its refusal, or 500 when it can't be asked and must be.
    pub(super) async fn ask(&self, to: &Concerned, question: &Question<'_>, purpose: Purpose) -> Result<Option<Answer>, ApiError> {
        Ok(self.ask_showing(to, question, purpose).await?.map(|(answer, _)| answer))
    }

    /// The same, with the objects as the webhook has seen them.
    pub(super) async fn ask_showing<'a>(&self, to: &Concerned, question: &Question<'a>, purpose: Purpose) -> Result<Option<(Answer, Shown<'a>)>, ApiError> {
        let webhook = &to.webhook;
        if !self.is_selected(to, question).await? {
            return Ok(None);
        }
        if question.call.options.dry_run && !webhook.dry_run {
            return Err(ApiError::bad_request(format!("admission webhook {:?} does not support dry run", webhook.name)));
        }
        let shown = match self.shown(to, question).await {
            Ok(shown) => shown,
            Err(e) => return failed(webhook, &e.message).map(|()| None),
        };
        let request = question.request(to, &shown, uuid::Uuid::new_v4().to_string());
        match conditions::hold(self.authorizer(), question, to, &request) {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(why) => return conditions::without_value(webhook, question, &why).map(|()| None),
        }
        let left = question.call.admitted.left_of(question.call.patience);
        if left.is_zero() {
            return Err(ApiError::timeout("Timeout: request did not complete within requested timeout - context deadline exceeded"));
        }
        match self.ask_remote(to, &request, purpose, left).await {
            Ok(answer) if answer.allowed => Ok(Some((answer, shown))),
            Ok(answer) => {
                let refusal = ApiError::passed_on(Value::Object(review::refusal(&webhook.name, answer.status).0));
                Err(refusal.with_warnings(warnings::bounded(answer.warnings)))
            }
            Err(why) => failed(webhook, &why).map(|()| None),
        }
    }

    /// The namespace of what is asked about may be newer than the cache.
    async fn is_selected(&self, to: &Concerned, question: &Question<'_>) -> Result<bool, ApiError> {
        match matching::selected(to, question, self.store()) {
            Err(absent) if absent.is_not_found() => {
                self.store().barrier("", "namespaces").await?;
                matching::selected(to, question, self.store())
            }
            selected => selected,
        }
    }

    /// The objects of a question in the form that a webhook sees.
    async fn shown<'a>(&self, to: &Concerned, question: &Question<'a>) -> Result<Shown<'a>, ApiError> {
        let mut shown = Shown { object: None, old: None };
        for (of, place) in [(question.object, &mut shown.object), (question.old, &mut shown.old)] {
            if let Some(object) = of {
                *place = Some(self.show(question.call, &to.form, object).await?);
            }
        }
        Ok(shown)
    }

    async fn ask_remote(&self, to: &Concerned, request: &AdmissionRequest<'_>, purpose: Purpose, left: Duration) -> Result<Answer, String> {
        let webhook = &to.webhook;
        let version = webhook.version.ok_or("webhook does not accept known AdmissionReview versions (v1, v1beta1)")?;
        let client = webhook.client.as_ref().map_err(Clone::clone)?;
        let body = request.review(version)?;
        let asked = self.webhooks().client.post(client, &Endpoints(self.store()), webhook.timeout.min(left), body).await;
        let answer = asked.map_err(|e| format!("failed to call webhook: {e}"))?;
        review::answer(version, &request.uid, purpose == Purpose::Mutating, &answer)
    }
}

/// Keeps what a webhook says beside its decision.
pub(super) fn keep(held: &mut Effects, webhook: &Webhook, answer: &mut Answer) {
    held.warnings.append(&mut answer.warnings);
    let notes = answer.audit.drain(..).map(|(key, value)| AuditAnnotation { key: format!("{}/{key}", webhook.name).into(), value });
    held.notes.extend(notes);
}

/// What becomes of a write whose webhook can't be asked.
pub(super) fn failed(webhook: &Webhook, why: &str) -> Result<(), ApiError> {
    let said = format!("failed calling webhook {:?}: {why}", webhook.name);
    match webhook.failure_policy {
        FailurePolicy::Fail => Err(ApiError::internal(said)),
        FailurePolicy::Ignore => {
            tracing::warn!(configuration = &*webhook.configuration, "{said}");
            Ok(())
        }
    }
}

/// The object that a webhook's patch makes, in the form in which it saw it; `None` where it changes nothing.
pub(super) fn patched(webhook: &Webhook, shown: Option<&Object>, patch: &[u8]) -> Result<Option<Object>, ApiError> {
    if serde_json::from_slice::<Vec<serde::de::IgnoredAny>>(patch).is_ok_and(|operations| operations.is_empty()) {
        return Ok(None);
    }
    let Some(object) = shown else {
        let why = format!("admission webhook {:?} attempted to modify the object, which is not supported for this operation", webhook.name);
        return Err(ApiError::internal(why));
    };
    let next = model::patch::apply_json(object, patch).map_err(|e| ApiError::internal(e.message))?;
    Ok(Some(next).filter(|next| next != object))
}
