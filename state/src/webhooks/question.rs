//! What a webhook is asked about a write, as the document that it gets.
use super::form::Form;
use crate::request_context::RequestContext;
use model::{Kind, Object, Subresource};
use serde_json::{Value, json};
use state_client::{Options, Propagation, User};
use std::borrow::Cow;
use std::sync::Arc;
use webhooks::Webhook;
use webhooks::review::{AdmissionRequest, GroupVersionKind, GroupVersionResource};
use webhooks::rules::Operation;

/// A webhook that a request concerns.
#[derive(Clone, Debug)]
pub struct Concerned {
    /// The webhook.
    pub webhook: Arc<Webhook>,
    /// The row that its rule names: the client's, or another one of the same objects.
    pub kind: Arc<Kind>,
    /// In which form it sees what is written.
    pub form: Form,
}

/// A write that webhooks are asked about. Its objects are in their stored form.
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The request.
    pub call: &'a RequestContext,
    /// What is done.
    pub operation: Operation,
    /// The object's name.
    pub name: &'a str,
    /// What it is to be; for an action or a connection what the request carries; `None` for a deletion.
    pub object: Option<&'a Object>,
    /// What it is; `None` for a create and a connection.
    pub old: Option<&'a Object>,
}

/// Objects in the form that a webhook sees.
pub struct Shown<'a> {
    /// What it is to be.
    pub object: Option<Cow<'a, Object>>,
    /// What it is.
    pub old: Option<Cow<'a, Object>>,
}

impl<'a> Question<'a> {
    /// The document that a webhook gets, but for its frame.
    pub fn request<'b>(&'b self, to: &'b Concerned, shown: &'b Shown<'a>, uid: String) -> AdmissionRequest<'b> {
        let call = self.call;
        let sub = call.sub.map_or("", Subresource::name);
        let of_namespaces = call.row.group.is_empty() && &*call.row.resource == "namespaces";
        AdmissionRequest {
            uid,
            kind: kind_of(&to.kind, call.sub),
            resource: resource_of(&to.kind),
            sub_resource: sub,
            request_kind: kind_of(&call.kind, call.sub),
            request_resource: resource_of(&call.kind),
            request_sub_resource: sub,
            name: self.name,
            namespace: if of_namespaces { self.name } else { &call.namespace },
            operation: self.operation.name(),
            user_info: user_info(&call.user),
            object: shown.object.as_ref().map(|object| &object.0),
            old_object: shown.old.as_ref().map(|object| &object.0),
            dry_run: call.options.dry_run,
            options: options(self.operation, &call.options),
        }
    }
}

fn kind_of(kind: &Kind, sub: Option<Subresource>) -> GroupVersionKind<'_> {
    let own = GroupVersionKind { group: &kind.group, version: &kind.version, kind: &kind.kind };
    match sub.and_then(Subresource::exchanged) {
        Some(exchanged) => {
            let (group, version) = exchanged.group_version.unwrap_or((own.group, own.version));
            GroupVersionKind { group, version, kind: exchanged.kind }
        }
        None => own,
    }
}

fn resource_of(kind: &Kind) -> GroupVersionResource<'_> {
    GroupVersionResource { group: &kind.group, version: &kind.version, resource: &kind.resource }
}

/// Kubernetes' `UserInfo`.
fn user_info(user: &User) -> Value {
    let mut info = json!({"username": user.name, "groups": user.groups});
    if !user.uid.is_empty() {
        info["uid"] = json!(user.uid);
    }
    if !user.extra.is_empty() {
        info["extra"] = json!(user.extra);
    }
    info
}

/// The request's options, as the document that Kubernetes makes of them: a patch, too, creates or updates.
fn options(operation: Operation, options: &Options) -> Option<Value> {
    let kind = match operation {
        Operation::Connect => return None,
        Operation::Delete => "DeleteOptions",
        Operation::Update => "UpdateOptions",
        Operation::Create => "CreateOptions",
    };
    let mut document = json!({"kind": kind, "apiVersion": "meta.k8s.io/v1"});
    if options.dry_run {
        document["dryRun"] = json!(["All"]);
    }
    if operation == Operation::Delete {
        deletion_options(options, &mut document);
        return Some(document);
    }
    for (key, text) in [("fieldManager", &options.field_manager), ("fieldValidation", &options.field_validation)] {
        if !text.is_empty() {
            document[key] = json!(text);
        }
    }
    Some(document)
}

fn deletion_options(options: &Options, document: &mut Value) {
    if let Some(seconds) = options.grace_period_seconds {
        document["gracePeriodSeconds"] = json!(seconds);
    }
    match options.propagation {
        Some(Propagation::Orphan) => document["propagationPolicy"] = json!("Orphan"),
        Some(Propagation::Background) => document["propagationPolicy"] = json!("Background"),
        Some(Propagation::Foreground) => document["propagationPolicy"] = json!("Foreground"),
        None => {}
    }
    for (key, text) in [("uid", &options.precondition_uid), ("resourceVersion", &options.precondition_resource_version)] {
        if !text.is_empty() {
            document["preconditions"][key] = json!(text);
        }
    }
}
