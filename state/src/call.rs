//! A request that is understood: who asks for what, of which kind.
use crate::authz::{Attributes, Target};
use crate::identity;
use model::kind::Subresource;
use model::selector::FieldSelector;
use model::{ApiError, Key, Kind, Kinds, Object, Reason};
use state_client::{Body, Options, Request, User, Verb};
use std::sync::Arc;

/// A request with its user and kind found.
pub struct Call {
    /// For whom.
    pub user: User,
    /// The kind as the client sees it.
    pub kind: Arc<Kind>,
    /// The kind as it is stored: another one where [`Kind::stored_as`] says so.
    pub row: Arc<Kind>,
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
    /// When it came.
    pub now: jiff::Timestamp,
}

fn unknown() -> ApiError {
    ApiError::new(Reason::NotFound, "the server could not find the requested resource")
}

impl Call {
    /// Finds what `request` is about. Returns its body beside it.
    ///
    /// # Errors
    /// 404 for what isn't served, 405 for what can't be done with it, 400 for a namespace on a cluster-scoped kind.
    pub fn resolve(kinds: &Kinds, user: User, request: Request, now: jiff::Timestamp) -> Result<(Self, Body), ApiError> {
        let kind = kinds.resource(&request.group, &request.resource).ok_or_else(unknown)?.clone();
        if !request.version.is_empty() && !kind.versions.contains(&request.version) {
            return Err(unknown());
        }
        let sub = match &*request.subresource {
            "" => None,
            name => Some(Subresource::from_name(name).filter(|s| kind.has(*s)).ok_or_else(unknown)?),
        };
        if !allowed(&kind, sub, request.verb) {
            return Err(ApiError::new(Reason::MethodNotAllowed, "the server does not allow this method on the requested resource"));
        }
        if !kind.namespaced() && !request.namespace.is_empty() {
            return Err(ApiError::bad_request(format!("{} is not namespaced", kind.resource)));
        }
        let row = match &kind.stored_as {
            Some((group, resource)) => kinds.resource(group, resource).ok_or_else(unknown)?.clone(),
            None => kind.clone(),
        };
        let call = Self { user, kind, row, sub, verb: request.verb, namespace: request.namespace, name: request.name, options: request.options, now };
        call.check_address()?;
        Ok((call, request.body))
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
            (Verb::Connect, Some(Subresource::Log)) => "get",
            (Verb::Connect, _) => "create",
            (verb, _) => verb.name(),
        }
    }

    /// Asks `allow` whether the user may do this. A field selector for one name makes a list or watch one of that name.
    ///
    /// # Errors
    /// What `allow` answers; 400 for a bad field selector.
    pub fn authorize(&self, allow: impl FnOnce(&Attributes<'_>) -> Result<(), ApiError>) -> Result<(), ApiError> {
        let fields = FieldSelector::parse(&self.options.field_selector, &self.kind)?;
        let many = matches!(self.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        let name = if many { fields.exact("metadata.name").unwrap_or_default() } else { &*self.name };
        let one_namespace = &*self.kind.resource == "namespaces" && self.kind.group.is_empty();
        let target = Target::Resource {
            group: &self.kind.group,
            resource: &self.kind.resource,
            subresource: self.sub.map_or("", Subresource::name),
            namespace: if one_namespace { name } else { &self.namespace },
            name,
        };
        let what = Attributes { user: &self.user, verb: self.rbac_verb(), target };
        allow(&what)?;
        // a node sees its own pods only: those of others are a selector away
        let node = identity::node(&self.user).filter(|_| many && name.is_empty() && &*self.kind.resource == "pods" && self.kind.group.is_empty());
        match node {
            Some(node) if fields.exact("spec.nodeName") != Some(node) => {
                Err(crate::authz::refusal(&what, "can only list/watch pods with spec.nodeName field selector"))
            }
            _ => Ok(()),
        }
    }
}

/// Whether a kind, or its subresource, can be used with a verb.
fn allowed(kind: &Kind, sub: Option<Subresource>, verb: Verb) -> bool {
    use Subresource as S;
    use Verb as V;
    match sub {
        None => kind.verbs.contains(&verb.name()),
        Some(S::Status | S::Scale) => matches!(verb, V::Get | V::Update | V::Patch),
        Some(S::Finalize) => verb == V::Update,
        Some(S::Binding | S::Eviction | S::Token) => verb == V::Create,
        Some(S::Log | S::Exec | S::Attach | S::Portforward) => matches!(verb, V::Connect | V::Get | V::Create),
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
    use model::Stored;
    use model::object::MAX_DEPTH;
    use serde_json::{Value, json};

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
