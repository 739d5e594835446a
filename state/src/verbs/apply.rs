//! Server-side apply: a configuration is merged into the object by its schema, or becomes one where there is none.
use super::update::{Proposal, accept};
use crate::pipeline::Pipeline;
use crate::reply::{json_reply, object_reply};
use crate::request_context::RequestContext;
use crate::subresource::scale;
use crate::write;
use model::{ApiError, Object, Subresource, managed, time};
use serde_json::Value;
use state_client::Reply;

impl Pipeline {
    /// Applies a configuration.
    pub(crate) async fn apply(&self, call: &RequestContext, configuration: &[u8]) -> Result<Reply, ApiError> {
        let mut configuration = parsed(configuration)?;
        if call.sub == Some(Subresource::SCALE) {
            let wanted = scale::configuration(&call.row, &configuration)?;
            let scaled = self.change(call, Proposal::Stored(&|old| merged(call, Some(old), &wanted))).await?;
            return Ok(json_reply(&Value::Object(scale::of(&call.row, scaled.stored.object()).0), 200));
        }
        let mut warnings = accept(call, &mut configuration, None)?;
        let configuration = self.inward(call, configuration).await?;
        let written = self.change(call, Proposal::Stored(&|old| merged(call, Some(old), &configuration))).await;
        let (written, created) = match written {
            Err(absent) if absent.is_not_found() && call.sub.is_none() => (self.create_by_put(call, merged(call, None, &configuration)?).await?, true),
            written => (written?, false),
        };
        warnings.extend(written.warnings);
        Ok(object_reply(self.outward_stored(call, written.stored).await?, created, warnings))
    }
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

/// What a configuration makes of an object, or of nothing.
fn merged(call: &RequestContext, old: Option<&Object>, configuration: &Object) -> Result<Object, ApiError> {
    let of = call.write();
    let node = of.row.schema.node().ok_or_else(|| ApiError::internal(format!("no schema of {}", of.row.kind)))?;
    let (now, api_version) = (time::format(call.now), of.row.api_version());
    let writer = write::writer(&of, &call.recorded_as(&now), &api_version);
    managed::applied(old, configuration, node, &writer, call.options.force).map_err(|e| e.to_api())
}
