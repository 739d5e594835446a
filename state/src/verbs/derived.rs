//! Get and list of kinds whose objects are made when they are read, and what these are made of.
use crate::derived::Source;
use crate::list_options;
use crate::pipeline::Pipeline;
use crate::reply::object_reply;
use crate::request_context::RequestContext;
use crate::selection::Selection;
use crate::store::{Matches, PageRequest};
use bus::{Incoming, Role};
use model::kind::DerivedFrom;
use model::{ApiError, Key, Kind, Stored};
use state_client::usage::NodeUsage;
use state_client::{ListReply, Reply, Verb};
use std::sync::Arc;
use tokio::sync::mpsc;

impl Pipeline {
    /// Takes in what nodes say that they use. Only a node's own agent says it of that node.
    pub(crate) async fn follow_usages(self, mut said: mpsc::Receiver<Incoming<NodeUsage>>) {
        while let Some(Incoming { message, caller }) = said.recv().await {
            if caller.role == Role::Agent {
                self.usages().insert(&caller.name, message);
            }
        }
    }

    /// What makes the objects of a derived kind.
    fn source(&self, kind: &Kind) -> Result<&dyn Source, ApiError> {
        match &*kind.group {
            "metrics.k8s.io" => Ok(self.usages()),
            _ => Err(ApiError::internal(format!("nothing makes {}", kind.resource))),
        }
    }

    /// Answers a read of a kind whose objects are made of those of another row.
    pub(crate) async fn read_derived(&self, call: &RequestContext, of: &DerivedFrom) -> Result<Reply, ApiError> {
        match call.verb {
            Verb::Get => self.get_derived(call, of),
            Verb::List => self.list_derived(call, of).await.map(Reply::List),
            _ => Err(ApiError::not_allowed()),
        }
    }

    fn get_derived(&self, call: &RequestContext, of: &DerivedFrom) -> Result<Reply, ApiError> {
        let key = Key::new(of.group.clone(), of.resource.clone(), call.namespace.clone(), call.name.clone());
        let made = self.store().get(&key).map(|stored| self.derive(call, &stored)).transpose()?.flatten();
        let made = made.ok_or(self.source(&call.kind)?.not_found(&call.kind, &call.namespace, &call.name))?;
        Ok(object_reply(made, false, Vec::new()))
    }

    /// A page of the objects that are selected; those of which nothing is known are left out.
    async fn list_derived(&self, call: &RequestContext, of: &DerivedFrom) -> Result<ListReply, ApiError> {
        list_options::check_list(&call.options)?;
        let selection = Selection::parse(&call.kind, &call.options)?;
        let options = &call.options;
        let request = PageRequest { namespace: call.namespace.to_string(), limit: options.limit, continue_token: options.continue_token.clone(), at: None };
        let matches = |stored: &Stored| selection.selects(stored);
        let filter: Option<Matches<'_>> = if selection.is_everything() { None } else { Some(&matches) };
        let _turn = if filter.is_some() { Some(self.search(call).await?) } else { None };
        let page = self.store().list_page(&of.group, &of.resource, &request, filter).await?;
        let made = page.items.iter().map(|stored| self.derive(call, stored));
        let items = made.filter_map(Result::transpose).collect::<Result<_, ApiError>>()?;
        Ok(ListReply { items, revision: page.revision, continue_token: page.continue_token, remaining: None })
    }

    fn derive(&self, call: &RequestContext, stored: &Stored) -> Result<Option<Arc<Stored>>, ApiError> {
        let Some(object) = self.source(&call.kind)?.make(&call.kind, stored, call.now) else { return Ok(None) };
        let key = Key::new(call.kind.group.clone(), call.kind.resource.clone(), stored.key.namespace.clone(), stored.key.name.clone());
        Stored::from_object(key, object).map(|made| Some(Arc::new(made)))
    }
}
