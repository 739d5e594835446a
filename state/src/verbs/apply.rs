//! Server-side apply: a configuration is merged into the object by its schema, or becomes one where there is none.
use super::check;
use super::update::Proposal;
use crate::form;
use crate::meta;
use crate::pipeline::Pipeline;
use crate::reply::object_reply;
use crate::request_context::RequestContext;
use crate::subresource::scale;
use crate::write::{self, WriteOf};
use model::{ApiError, Kind, Object, Subresource, managed, schema, time};
use state_client::Reply;

impl Pipeline {
    /// Applies a configuration.
    pub(crate) async fn apply(&self, call: &RequestContext, configuration: &[u8]) -> Result<Reply, ApiError> {
        let configuration = parsed(configuration)?;
        if call.sub == Some(Subresource::SCALE) {
            let wanted = scale::configuration(&call.row, &configuration)?;
            let scaled = self.change(call, Proposal::Worked(&|of, old| merged(call, of, &call.row, Some(old), &wanted))).await?;
            return self.scale_reply(call, &scaled.stored).await;
        }
        let (configuration, mut warnings) = accepted(call, configuration)?;
        let written = self.change(call, Proposal::Shown(&|of, shown| merged(call, of, &call.kind, Some(shown), &configuration))).await;
        let (written, created) = match written {
            Err(absent) if absent.is_not_found() && call.sub.is_none() => {
                let made = form::inward(&call.kind, merged(call, &call.write(), &call.kind, None, &configuration)?);
                (self.create_by_put(call, made).await?, true)
            }
            written => (written?, false),
        };
        warnings.extend(written.warnings);
        Ok(object_reply(self.outward_stored(call, written.stored).await?, created, warnings))
    }
}

/// Checks a configuration: first whether it is what the schema says, which merging needs to know. It stays as its client wrote it. Returns warnings with it.
fn accepted(call: &RequestContext, mut configuration: Object) -> Result<(Object, Vec<String>), ApiError> {
    meta::check_kind(&call.kind, &mut configuration)?;
    meta::check_name(&mut configuration, &call.name)?;
    meta::check_namespace(&call.kind, &mut configuration, &call.namespace)?;
    if let Some(node) = call.kind.schema.node() {
        managed::check(&configuration, node).map_err(|e| e.to_api())?;
    }
    let warnings = check::shape(call, &mut configuration.clone(), None)?;
    Ok((configuration, warnings))
}

/// A configuration says of what it is, and nothing of who owns it.
fn parsed(configuration: &[u8]) -> Result<Object, ApiError> {
    let object = Object::from_json(configuration)?;
    if object.api_version().is_empty() || object.kind().is_empty() {
        return Err(ApiError::bad_request("invalid object type: an applied configuration must have apiVersion and kind"));
    }
    if object.at(&["metadata", "managedFields"]).is_some_and(|owners| !owners.is_null()) {
        return Err(ApiError::bad_request("metadata.managedFields must be nil"));
    }
    Ok(object)
}

/// What a configuration makes of an object, or of nothing; all are of the form of `kind`.
fn merged(call: &RequestContext, of: &WriteOf<'_>, kind: &Kind, old: Option<&Object>, configuration: &Object) -> Result<Object, ApiError> {
    let node = kind.schema.node().ok_or_else(|| ApiError::internal(format!("no schema of {}", kind.kind)))?;
    let (now, api_version) = (time::format(call.now), kind.api_version());
    let writer = write::writer(of, &call.recorded_as(&now), &api_version);
    let mut object = managed::applied(old, configuration, node, &writer, call.options.force).map_err(|e| e.to_api())?;
    schema::validate_and_prune(kind, &mut object)?;
    managed::same_time(&mut object, old);
    Ok(object)
}
