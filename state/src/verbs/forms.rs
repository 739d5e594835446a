//! Objects get the form in which a client sees them, and the one in which they are stored. Mostly these are the same; else it follows from the object, or a
//! webhook has to be asked, which the definition of a custom resource names.
use crate::form::{self, Conversion};
use crate::pipeline::Pipeline;
use crate::request_context::RequestContext;
use crate::store::RecordedChange;
use crate::subresource::scale;
use crate::webhooks::form::Form;
use crate::webhooks::services::Endpoints;
use model::{ApiError, Kind, Object, Reason, Stored, schema};
use state_client::Verb;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use webhooks::conversion::ConversionRequest;
use webhooks::{ClientConfig, ReviewVersion};

/// How long a conversion may take, as in Kubernetes.
const PATIENCE: Duration = Duration::from_secs(30);
/// So many objects are converted by one question at most.
const AT_ONCE: usize = 500;
/// And so many bytes of JSON, though always one object.
const BYTES: usize = 2 << 20;

impl Pipeline {
    /// An object in the form in which it is stored; `object` is of the form that is worked on.
    pub(crate) async fn to_store(&self, call: &RequestContext, object: Object) -> Result<Object, ApiError> {
        if form::webhook(&call.stored).is_none() || object.api_version() == call.stored.api_version() {
            return Ok(object);
        }
        Box::pin(self.convert_one(call, &call.stored, object)).await
    }

    /// An object as one of `kind`.
    pub(crate) async fn outward<'a>(&self, call: &RequestContext, kind: &Kind, object: &'a Object) -> Result<Cow<'a, Object>, ApiError> {
        match form::conversion(kind, object.api_version()) {
            Conversion::None => Ok(Cow::Borrowed(object)),
            Conversion::Here => Ok(Cow::Owned(form::outward(kind, object))),
            Conversion::Remote => Box::pin(self.convert_one(call, kind, object.clone())).await.map(Cow::Owned),
        }
    }

    /// An object of the log in the form that is worked on.
    pub(crate) async fn current<'a>(&self, call: &RequestContext, stored: &'a Stored) -> Result<Cow<'a, Object>, ApiError> {
        if form::is_as_stored(&call.row) {
            return Ok(Cow::Borrowed(stored.object()));
        }
        let mut object = self.outward(call, &call.row, stored.object()).await?;
        if form::may_be_incomplete(&call.row, stored.revision) {
            form::complete(&call.row, object.to_mut(), stored.revision);
        }
        Ok(object)
    }

    /// An object of the log as the client sees it.
    pub(crate) async fn outward_stored(&self, call: &RequestContext, stored: Arc<Stored>) -> Result<Arc<Stored>, ApiError> {
        if form::is_as_stored(&call.kind) {
            return Ok(stored);
        }
        let mut shown = Box::pin(self.outward_all(call, vec![stored])).await?;
        shown.pop().ok_or_else(|| ApiError::internal("an object was lost while it was converted"))
    }

    /// The same of many, which stay in their order.
    pub(crate) async fn outward_all(&self, call: &RequestContext, mut all: Vec<Arc<Stored>>) -> Result<Vec<Arc<Stored>>, ApiError> {
        let kind = &call.kind;
        if form::is_as_stored(kind) {
            return Ok(all);
        }
        let mut remote: Vec<(usize, usize, Object)> = Vec::new();
        for (at, stored) in all.iter_mut().enumerate() {
            match form::conversion(kind, stored.api_version()) {
                Conversion::None if !form::may_be_incomplete(kind, stored.revision) => {}
                Conversion::None => completed(kind, stored)?,
                Conversion::Here => *stored = shown(kind, stored, stored.read(|object| form::outward(kind, object)))?,
                Conversion::Remote => remote.push((at, stored.json().len(), stored.read(Object::clone))),
            }
        }
        while !remote.is_empty() {
            let some = next_chunk(&mut remote);
            let (places, objects): (Vec<usize>, Vec<Object>) = some.into_iter().map(|(at, _, object)| (at, object)).unzip();
            for (at, object) in places.into_iter().zip(self.convert(call, kind, &objects).await?) {
                if let Some(stored) = all.get_mut(at) {
                    *stored = shown(kind, stored, object)?;
                }
            }
        }
        Ok(all)
    }

    /// A change as the client sees it.
    pub(crate) async fn outward_change(&self, call: &RequestContext, change: &RecordedChange) -> Result<RecordedChange, ApiError> {
        let objects = change.old.iter().chain([&change.new]).cloned().collect();
        let mut shown = self.outward_all(call, objects).await?.into_iter().rev();
        let new = shown.next().ok_or_else(|| ApiError::internal("an object was lost while it was converted"))?;
        Ok(RecordedChange { old: shown.next(), new, deleted: change.deleted, revision: change.revision })
    }

    /// An object in the form in which a webhook of admission sees it.
    pub(crate) async fn show<'a>(&self, call: &RequestContext, form: &Form, object: &'a Object) -> Result<Cow<'a, Object>, ApiError> {
        match form {
            Form::Kind(kind) => self.outward(call, kind, object).await,
            Form::Scale => Ok(Cow::Owned(scale::of(&call.row, object))),
            Form::Body => Ok(Cow::Borrowed(object)),
        }
    }

    /// What a webhook of admission made of `object`, in the form that is worked on. What the kind doesn't know is dropped.
    ///
    /// # Errors
    /// 400 for what can't be read as one of the kind.
    pub(crate) async fn take(&self, call: &RequestContext, form: &Form, mut changed: Object, object: &Object) -> Result<Object, ApiError> {
        match form {
            Form::Kind(kind) => {
                schema::validate_and_prune(kind, &mut changed)?;
                match form::webhook(kind) {
                    Some(_) => self.outward(call, &call.row, &changed).await.map(Cow::into_owned),
                    None => Ok(kind.inward(changed)),
                }
            }
            Form::Scale => scale::apply(&call.row, &changed, object),
            Form::Body => Ok(changed),
        }
    }

    async fn convert_one(&self, call: &RequestContext, to: &Kind, object: Object) -> Result<Object, ApiError> {
        let converted = self.convert(call, to, &[object]).await?;
        converted.into_iter().next().ok_or_else(|| ApiError::internal("an object was lost while it was converted"))
    }

    /// Asks the webhook of a custom resource for objects in the version of `to`.
    async fn convert(&self, call: &RequestContext, to: &Kind, objects: &[Object]) -> Result<Vec<Object>, ApiError> {
        let from = objects.first().map(Object::api_version).unwrap_or_default();
        let failed = |why: String| ApiError::new(Reason::InternalError, format!("conversion webhook for {from}, Kind={} {why}", to.kind));
        // a watch has no end of its own
        let left = if call.verb == Verb::Watch { PATIENCE } else { call.admitted.left_of(call.patience) };
        let many = matches!(call.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        let config = form::webhook(to).ok_or_else(|| failed("is not configured".to_owned()))?;
        let version = ReviewVersion::first_of(&config["conversionReviewVersions"]).ok_or_else(|| failed("failed: no known review version".to_owned()))?;
        let client = ClientConfig::parse(&config["clientConfig"]).map_err(|e| failed(format!("failed: {e}")))?;
        let (uid, desired, objects): (_, _, Vec<&Object>) = (uuid::Uuid::new_v4().to_string(), to.api_version(), objects.iter().collect());
        let request = ConversionRequest { version, uid: &uid, desired: &desired, objects: &objects, many };
        let body = request.review().map_err(|e| failed(format!("failed: {e}")))?;
        let services = Endpoints(self.store());
        let asking = self.webhooks().client.post(&client, &services, PATIENCE.min(left), body);
        // a watch has no seat to give up
        let answer = if call.verb == Verb::Watch { asking.await } else { call.admitted.without_seat(asking).await? };
        let answer = answer.map_err(|e| failed(format!("failed: {e}")))?;
        request.answer(&answer).map_err(|e| failed(if e.starts_with("returned") { e } else { format!("failed: {e}") }))
    }
}

/// Takes the first ones that one question has room for.
fn next_chunk(all: &mut Vec<(usize, usize, Object)>) -> Vec<(usize, usize, Object)> {
    let mut bytes = 0;
    let fit = all.iter().take(AT_ONCE).take_while(|(_, size, _)| {
        bytes += size;
        bytes <= BYTES
    });
    let fit = fit.count().max(1);
    all.drain(..fit.min(all.len())).collect()
}

/// A stored object with what it lacks.
fn completed(kind: &Kind, stored: &mut Arc<Stored>) -> Result<(), ApiError> {
    let mut object = stored.read(Object::clone);
    if form::complete(kind, &mut object, stored.revision) {
        *stored = shown(kind, stored, object)?;
    }
    Ok(())
}

/// What is shown of a stored object as one of `kind`.
fn shown(kind: &Kind, stored: &Stored, mut object: Object) -> Result<Arc<Stored>, ApiError> {
    form::complete(kind, &mut object, stored.revision);
    let mut key = stored.key.clone();
    (key.group, key.resource) = (kind.group.clone(), kind.resource.clone());
    Ok(Arc::new(Stored::from_object(key, object)?))
}
