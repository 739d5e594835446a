//! Which webhooks a request concerns, by their rules and selectors.
use super::form::Form;
use super::question::{Concerned, Question};
use super::table::GROUP;
use crate::lookup::ObjectLookup;
use crate::request_context::RequestContext;
use model::{ApiError, Key, Kind, Kinds, Object, Subresource};
use std::sync::Arc;
use webhooks::Webhook;
use webhooks::rules::{Operation, Subject};

/// Those of `webhooks` whose rules concern a request. Who configures webhooks isn't stopped by them: none is asked about their configurations.
pub fn concerned(webhooks: &[Arc<Webhook>], kinds: &Kinds, call: &RequestContext, operation: Operation) -> Vec<Concerned> {
    if &*call.row.group == GROUP {
        return Vec::new();
    }
    webhooks.iter().filter_map(|webhook| by_rules(webhook, kinds, call, operation)).collect()
}

fn by_rules(webhook: &Arc<Webhook>, kinds: &Kinds, call: &RequestContext, operation: Operation) -> Option<Concerned> {
    let concerns = |kind: &Kind| webhook.concerns(&subject(call, kind, operation));
    let kind = if concerns(&call.kind) {
        call.kind.clone()
    } else {
        let others = if webhook.equivalent { kinds.forms(&call.stored) } else { Vec::new() };
        others.into_iter().find(|kind| concerns(kind))?.clone()
    };
    let form = Form::of(&kind, call.sub);
    Some(Concerned { webhook: webhook.clone(), kind, form })
}

fn subject<'a>(call: &RequestContext, kind: &'a Kind, operation: Operation) -> Subject<'a> {
    Subject {
        operation,
        group: &kind.group,
        version: &kind.version,
        resource: &kind.resource,
        subresource: call.sub.map_or("", Subresource::name),
        namespaced: !call.namespace.is_empty(),
    }
}

/// Whether a webhook's selectors select what is asked about: its namespace's labels, and its own, before or after.
///
/// # Errors
/// 404 when the namespace doesn't exist.
pub fn selected(concerned: &Concerned, question: &Question<'_>, view: &dyn ObjectLookup) -> Result<bool, ApiError> {
    let of = |object: Option<&Object>| object.is_some_and(|object| concerned.webhook.object_selector.matches(object.labels()));
    let by_object = concerned.webhook.object_selector.is_empty() || of(question.object) || of(question.old);
    Ok(by_object && by_namespace(&concerned.webhook, question, view)?)
}

fn by_namespace(webhook: &Webhook, question: &Question<'_>, view: &dyn ObjectLookup) -> Result<bool, ApiError> {
    let (selector, call) = (&webhook.namespace_selector, question.call);
    let of_namespaces = call.row.group.is_empty() && &*call.row.resource == "namespaces";
    if selector.is_empty() || (call.namespace.is_empty() && !of_namespaces) {
        return Ok(true);
    }
    let written = question.object.filter(|_| of_namespaces && call.sub.is_none());
    if let Some(namespace) = written {
        return Ok(selector.matches(namespace.labels()));
    }
    let name = if of_namespaces { question.name } else { &call.namespace };
    match view.get(&Key::new("", "namespaces", "", name)) {
        Some(stored) => Ok(stored.read(|namespace| selector.matches(namespace.labels()))),
        None => Err(ApiError::not_found("", "namespaces", name)),
    }
}
