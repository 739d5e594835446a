//! A request that has been parsed and checked: who asks, for what, and of which kind.
use crate::authz::{Attributes, Target, node};
use crate::flow_control::InFlightRequest;
use crate::form;
use crate::identity;
use crate::node_name;
use crate::write::{RecordedAs, WriteOf};
use model::managed::{Forms, NoForms, Rows};
use model::selector::{FieldSelector, LabelSelector};
use model::storage::DIRECTORY_NODE;
use model::{ApiError, Cause, Key, Kind, Kinds, Object, Subresource};
use state_client::{Body, Options, PatchKind, Request, User, Verb};
use std::sync::Arc;
use std::time::Duration;

/// For how long others may be asked about a request of the cluster's own parts, and of a user's.
const OWN_PATIENCE: Duration = Duration::from_secs(27);
const USERS_PATIENCE: Duration = Duration::from_secs(55);
/// Most bytes of a field manager's name.
const MANAGER_MAX: usize = 128;

/// A request with its user and kind found.
pub struct RequestContext {
    /// For whom.
    pub user: User,
    /// Its stay here.
    pub admitted: InFlightRequest,
    /// The kind as the client sees it.
    pub kind: Arc<Kind>,
    /// The kind in whose form objects are worked on: the stored one. Where only a webhook converts between the versions of a custom resource, that is the
    /// client's, as what he wrote is judged as he wrote it.
    pub row: Arc<Kind>,
    /// The kind as it is stored: another one where [`Kind::stored_as`] says so.
    pub stored: Arc<Kind>,
    /// The rows that show the same objects, where there is more than one.
    pub forms: Rows,
    /// The subresource.
    pub sub: Option<Subresource>,
    /// What.
    pub verb: Verb,
    /// Namespace.
    pub namespace: Arc<str>,
    /// Name.
    pub name: Arc<str>,
    /// Parameters.
    pub options: Options,
    /// Whether it applies a configuration.
    pub applies: bool,
    /// When it came.
    pub now: jiff::Timestamp,
    /// For how long after it came it is worth asking others about it: a little less than its sender waits.
    pub patience: Duration,
}

impl RequestContext {
    /// Finds what `request` is about. Returns its body beside it.
    ///
    /// # Errors
    /// 404 for what isn't served, 405 for what can't be done with it, 400 for a namespace on a cluster-scoped kind.
    pub fn resolve(kinds: &Kinds, user: User, admitted: InFlightRequest, request: Request, now: jiff::Timestamp) -> Result<(Self, Body), ApiError> {
        let kind = match &*request.version {
            "" => kinds.resource(&request.group, &request.resource),
            version => kinds.served(&request.group, version, &request.resource),
        };
        let kind = kind.ok_or_else(ApiError::not_served)?.clone();
        let sub = match &*request.subresource {
            "" => None,
            name => Some(kind.subresource(name).ok_or_else(ApiError::not_served)?),
        };
        if !allowed(&kind, sub, request.verb) {
            return Err(ApiError::not_allowed());
        }
        if !kind.namespaced() && !request.namespace.is_empty() {
            return Err(ApiError::bad_request(format!("{} is not namespaced", kind.resource)));
        }
        let stored = match &kind.stored_as {
            Some(other) => kinds.resource(&other.group, &other.resource).ok_or_else(ApiError::not_served)?.clone(),
            None => kind.clone(),
        };
        let row = if form::webhook(&kind).is_some() { kind.clone() } else { stored.clone() };
        let forms = kinds.forms(&stored);
        let forms = Rows(if forms.len() > 1 { forms.into_iter().cloned().collect() } else { Vec::new() });
        let applies = matches!(request.body, Body::Patch(PatchKind::Apply, _));
        let Request { verb, namespace, name, options, .. } = &request;
        let (verb, namespace, name, options) = (*verb, namespace.clone(), name.clone(), options.clone());
        let call = Self { user, admitted, kind, row, stored, forms, sub, verb, namespace, name, options, applies, now, patience: OWN_PATIENCE };
        call.check_address()?;
        call.check_manager()?;
        Ok((call, request.body))
    }

    /// Whoever asks through a gateway waits for longer.
    #[must_use]
    pub fn of_user(mut self) -> Self {
        self.patience = USERS_PATIENCE;
        self
    }

    /// Refuses a request for one object that doesn't say which.
    fn check_address(&self) -> Result<(), ApiError> {
        let many = matches!(self.verb, Verb::List | Verb::Watch | Verb::DeleteCollection) || (self.verb == Verb::Create && self.sub.is_none());
        if !many && self.name.is_empty() {
            return Err(ApiError::bad_request("the request names no object"));
        }
        if self.kind.namespaced() && self.namespace.is_empty() && !matches!(self.verb, Verb::List | Verb::Watch) {
            return Err(ApiError::bad_request("an empty namespace may not be set when a resource name is provided"));
        }
        Ok(())
    }

    /// Refuses names of field managers that Kubernetes refuses; who applies says in whose name.
    fn check_manager(&self) -> Result<(), ApiError> {
        let name = &self.options.field_manager;
        if self.verb == Verb::Patch && self.options.force && !self.applies {
            let cause = Cause::forbidden("force", "may not be specified for non-apply patch");
            return Err(ApiError::invalid("meta.k8s.io", "PatchOptions", "", vec![cause]));
        }
        let cause = match name.as_str() {
            "" if self.applies => Cause::required("fieldManager", "is required for apply patch"),
            text if text.len() > MANAGER_MAX => Cause::too_long("fieldManager", MANAGER_MAX),
            text if text.chars().any(char::is_control) => Cause::invalid("fieldManager", &text.into(), "should only contain printable characters"),
            _ => return Ok(()),
        };
        let options = if self.verb == Verb::Create {
            "CreateOptions"
        } else if self.verb == Verb::Update {
            "UpdateOptions"
        } else {
            "PatchOptions"
        };
        Err(ApiError::invalid("meta.k8s.io", options, "", vec![cause]))
    }

    /// In whose name fields are owned: the manager that the request names, or what the user is.
    pub fn manager(&self) -> &str {
        let user = self.user.name.as_str();
        match self.options.field_manager.as_str() {
            "" if identity::node(&self.user).is_some() => "kubelet",
            "" => user.strip_prefix("system:").unwrap_or(user),
            named => named,
        }
    }

    /// How the owners of fields record it; `time` is when it came.
    pub fn recorded_as<'a>(&'a self, time: &'a str) -> RecordedAs<'a> {
        RecordedAs { manager: self.manager(), time, applies: self.applies }
    }

    /// What it writes, for the pure halves of the verbs.
    pub fn write(&self) -> WriteOf<'_> {
        let forms: &dyn Forms = if self.forms.0.is_empty() { &NoForms } else { &self.forms };
        WriteOf { kind: &self.kind, row: &self.row, sub: self.sub, forms }
    }

    /// The key of the stored object of this name.
    pub fn key(&self, name: &str) -> Key {
        Key::new(self.row.group.clone(), self.row.resource.clone(), self.namespace.clone(), name)
    }

    /// 404 for this kind.
    pub fn not_found(&self, name: &str) -> ApiError {
        ApiError::not_found(&self.kind.group, &self.kind.resource, name)
    }

    /// Kubernetes' verb for what is done. Streams are authorised as their effect: reading a log is a `get`, running something a `create`.
    fn rbac_verb(&self) -> &'static str {
        match (self.verb, self.sub) {
            // a method without a verb is allowed by rules for all of them only
            (Verb::Connect, Some(sub)) if sub.is_proxy() => "",
            (Verb::Connect, Some(sub)) => sub.connection_verb(),
            (verb, _) => verb.name(),
        }
    }

    /// Says to `ask` what the user wants to do. A field selector for one name makes a list or watch one of that name; what is created or deleted in
    /// numbers has none, as its address doesn't say it.
    ///
    /// # Errors
    /// 400 for a bad field selector.
    pub fn attributes<T>(&self, ask: impl FnOnce(&Attributes<'_>) -> T) -> Result<T, ApiError> {
        let fields = FieldSelector::parse(&self.options.field_selector, &self.kind)?;
        let name = match self.verb {
            Verb::List | Verb::Watch => fields.exact("metadata.name").unwrap_or_default(),
            Verb::DeleteCollection => "",
            Verb::Create if self.sub.is_none() => "",
            _ => &*self.name,
        };
        let one_namespace = &*self.kind.resource == "namespaces" && self.kind.group.is_empty();
        let target = Target::Resource {
            group: &self.kind.group,
            resource: &self.kind.resource,
            subresource: self.sub.map_or("", Subresource::name),
            namespace: if one_namespace { name } else { &self.namespace },
            name,
        };
        let labels = if self.of_volumes() { LabelSelector::parse(&self.options.label_selector)? } else { LabelSelector::everything() };
        let bound_to = if self.of_pods() { fields.exact(node_name::FIELD) } else { labels.exact(DIRECTORY_NODE) };
        Ok(ask(&Attributes { user: &self.user, verb: self.rbac_verb(), target, bound_to }))
    }

    /// Whether it is about volumes.
    fn of_volumes(&self) -> bool {
        self.kind.group.is_empty() && &*self.kind.resource == "persistentvolumes"
    }

    /// Whether it is about pods.
    pub fn of_pods(&self) -> bool {
        self.kind.group.is_empty() && &*self.kind.resource == "pods"
    }

    /// The node that asks for something that follows from its pods.
    pub fn node(&self) -> Option<&str> {
        identity::node(&self.user).filter(|_| node::follows_pods(&self.kind.group, &self.kind.resource))
    }
}

/// Whether a kind, or its subresource, can be used with a verb.
fn allowed(kind: &Kind, sub: Option<Subresource>, verb: Verb) -> bool {
    match sub {
        None => kind.verbs.contains(&verb.name()),
        Some(sub) if sub.is_proxy() => verb == Verb::Connect || sub.verbs().contains(&verb.name()),
        Some(sub) if sub.connects() => matches!(verb, Verb::Connect | Verb::Get | Verb::Create),
        Some(sub) => sub.verbs().contains(&verb.name()),
    }
}

/// The body as an object.
///
/// # Errors
/// 400 when it is none, or nests deeper than it could be read again.
pub fn object(body: Body) -> Result<Object, ApiError> {
    match body {
        Body::Object(object) if object.nests_too_deep() => Err(ApiError::bad_request("the object provided nests too deep")),
        Body::Object(object) => Ok(*object),
        Body::Json(json) => Object::from_json(&json),
        Body::None => Err(ApiError::bad_request("the request has no body")),
        Body::Patch(..) => Err(ApiError::bad_request("a patch is not an object")),
    }
}

/// The body as an object, if there is one.
///
/// # Errors
/// 400 when it isn't JSON.
pub fn optional_object(body: Body) -> Result<Option<Object>, ApiError> {
    match body {
        Body::None => Ok(None),
        Body::Json(json) if json.is_empty() => Ok(None),
        other => object(other).map(Some),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flow_control::{FlowControl, PriorityLevels};
    use bus::{Caller, Role};
    use model::Stored;
    use model::object::MAX_DEPTH;
    use serde_json::{Value, json};

    /// RBAC's `resourceNames` hold for what the address says, whatever a body or the wire says beside it.
    #[test]
    fn what_is_asked_for_by_which_name() {
        let kinds = model::kinds::builtin();
        let cases = [
            (Verb::Get, "pods", "", "a", "", "web/a", None),
            (Verb::List, "pods", "", "a", "", "web/", None),
            (Verb::List, "pods", "", "", "metadata.name=b", "web/b", None),
            (Verb::Watch, "pods", "", "", "metadata.name=b,spec.nodeName=n1", "web/b", Some("n1")),
            (Verb::Watch, "pods", "", "", "metadata.name!=b,spec.nodeName!=n1", "web/", None),
            (Verb::DeleteCollection, "pods", "", "a", "metadata.name=b", "web/", None),
            (Verb::Create, "pods", "", "a", "", "web/", None),
            (Verb::Create, "pods", "binding", "a", "", "web/a", None),
            (Verb::Get, "namespaces", "", "a", "", "a/a", None),
        ];
        for (verb, resource, sub, name, selector, want, node) in cases {
            let namespace = if resource == "namespaces" { "" } else { "web" };
            let mut request = Request::new(verb, "", resource, namespace, name).subresource(sub);
            request.options.field_selector = selector.to_owned();
            let admitted = FlowControl::new(PriorityLevels::of_requests()).uncounted(&Caller::new(Role::Gateway, "g"), &User::default());
            let (call, _) = RequestContext::resolve(&kinds, User::default(), admitted, request, jiff::Timestamp::UNIX_EPOCH).unwrap();
            let got = call.attributes(|what| {
                let Target::Resource { namespace, name, .. } = what.target else { panic!("{what:?}") };
                (format!("{namespace}/{name}"), what.bound_to.map(str::to_owned))
            });
            assert_eq!(got, Ok((want.to_owned(), node.map(str::to_owned))), "{verb:?} {name} {selector}");
        }
    }

    #[test]
    fn what_could_not_be_read_again_is_refused() {
        for (nested, taken) in [(MAX_DEPTH - 2, true), (MAX_DEPTH - 1, true), (MAX_DEPTH, false), (MAX_DEPTH + 1, false)] {
            let data = (0..nested).fold(Value::from(1), |inner, _| json!([inner]));
            let given = Object::from_value(json!({"metadata": {"name": "a"}, "data": data})).unwrap();
            let stored = Stored::decode(Key::new("", "x", "", "a"), 1, &Stored::encode(&given).unwrap()).unwrap();
            assert_eq!(object(Body::Object(Box::new(given))).is_ok(), taken, "{nested}");
            assert_eq!(stored.object().name() == "a", taken, "a depth of {nested} can be read");
        }
    }
}
