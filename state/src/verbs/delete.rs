//! Delete and deletecollection: a plan for each object, carried out by compare-and-swap.
use crate::admission::Admit;
use crate::deletion::{self, DeletionOptions, DeletionPlan};
use crate::pipeline::Pipeline;
use crate::reply::{object_reply, success};
use crate::request_context::{self, RequestContext};
use crate::selection::Selection;
use crate::store::StoreOp;
use futures::StreamExt;
use model::{ApiError, Stored};
use serde_json::{Value, json};
use state_client::{Body, Reply};
use std::sync::Arc;

/// How many deletions of a collection are under way at once.
const AT_ONCE: usize = 256;

/// What a deletion left.
pub(crate) enum Deleted {
    /// Nothing; the object's last form.
    Gone(Arc<Stored>),
    /// The object, marked.
    Marked(Arc<Stored>),
}

fn asked(call: &RequestContext, body: Body) -> Result<DeletionOptions, ApiError> {
    let body = request_context::optional_object(body)?.map(|o| Value::Object(o.0));
    DeletionOptions::of(&call.options, body.as_ref())
}

impl Pipeline {
    pub(crate) async fn delete(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let asked = asked(call, body)?;
        match self.delete_one(call, &call.name, &asked).await? {
            Deleted::Gone(object) if !returns_object(call) => {
                let details = json!({"name": &*call.name, "kind": &*call.kind.resource, "uid": object.uid()});
                Ok(success(200, Some((&call.kind.group, details))))
            }
            Deleted::Gone(object) | Deleted::Marked(object) => Ok(object_reply(self.outward_stored(call, object).await?, false, Vec::new())),
        }
    }

    /// Deletes one object, or marks it.
    ///
    /// # Errors
    /// 404, 409 when a precondition fails, or a refusal.
    pub(crate) async fn delete_one(&self, call: &RequestContext, name: &str, asked: &DeletionOptions) -> Result<Deleted, ApiError> {
        self.guarded(call, name, |old| self.try_delete(call, old, asked)).await
    }

    async fn try_delete(&self, call: &RequestContext, old: Arc<Stored>, asked: &DeletionOptions) -> Result<Option<Deleted>, ApiError> {
        deletion::check_preconditions(&call.row, old.object(), asked)?;
        let request = Admit { user: &call.user, kind: &call.row, subresource: call.sub, old: Some(old.object()), view: self.store(), entropy: 0 };
        self.admission().admit_delete(&request, old.object()).map_err(|r| r.error)?;
        self.admit_removal(call, old.object()).await?;
        match deletion::plan(&call.row, old.object(), asked, call.now) {
            DeletionPlan::Pending => Ok(Some(Deleted::Marked(old))),
            DeletionPlan::Mark(object) => Ok(self.swap(call, old, StoreOp::Put(object), asked.dry_run).await?.map(Deleted::Marked)),
            DeletionPlan::Remove(object) => Ok(self.swap(call, old, StoreOp::Delete(object), asked.dry_run).await?.map(Deleted::Gone)),
        }
    }

    pub(crate) async fn delete_collection(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let asked = asked(call, body)?;
        let selection = Selection::parse(&call.kind, &call.options)?;
        // each deletion takes a place of its own, so that a long collection lets others go between
        call.admitted.give_up_seat();
        let list = self.selected(call, &selection).await?;
        let names: Vec<String> = list.items.iter().map(|s| s.key.name.to_string()).collect();
        let mut deletions = futures::stream::iter(names).map(|name| self.delete_named(call, name, &asked)).buffer_unordered(AT_ONCE);
        let mut failed = None;
        while let Some(result) = deletions.next().await {
            failed = failed.or(result.err().filter(|e| !e.is_not_found()));
        }
        failed.map_or(Ok(Reply::List(list)), Err)
    }

    async fn delete_named(&self, call: &RequestContext, name: String, asked: &DeletionOptions) -> Result<Deleted, ApiError> {
        let _place = call.admitted.seat().await?;
        self.delete_one(call, &name, asked).await
    }
}

/// The kinds whose deletion answers with the object instead of a Status, as Kubernetes has it.
fn returns_object(call: &RequestContext) -> bool {
    call.row.group.is_empty() && matches!(&*call.row.resource, "pods" | "services" | "serviceaccounts")
}
