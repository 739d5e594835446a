//! Get, list and connect.
use crate::flow_control::Seat;
use crate::form;
use crate::list_options;
use crate::pipeline::Pipeline;
use crate::reply::{json_reply, object_reply};
use crate::request_context::{self, RequestContext};
use crate::selection::Selection;
use crate::store::{Matches, PageRequest};
use crate::subresource::scale;
use model::subresource::Effect;
use model::{ApiError, Kind, Object, Stored, Subresource};
use serde_json::Value;
use state_client::connect::{self, Target};
use state_client::{Body, ListReply, Reply, Verb};
use std::sync::Arc;

/// How old a read may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Freshness {
    /// As new as the log.
    Latest,
    /// Whatever the cache has.
    Any,
    /// At least this revision.
    NotOlderThan(u64),
    /// Exactly this revision.
    Exact(u64),
}

fn freshness(call: &RequestContext) -> Result<Freshness, ApiError> {
    let options = &call.options;
    let many = call.verb != Verb::Get;
    match (options.resource_version.as_str(), options.resource_version_match.as_str()) {
        ("", _) => Ok(Freshness::Latest),
        ("0", _) => Ok(Freshness::Any),
        (text, "Exact") if many => Ok(Freshness::Exact(revision(text)?)),
        (text, "") if options.limit > 0 && many => Ok(Freshness::Exact(revision(text)?)),
        (text, _) => Ok(Freshness::NotOlderThan(revision(text)?)),
    }
}

/// A `resourceVersion` as a number.
///
/// # Errors
/// 400 when it is none.
pub fn revision(text: &str) -> Result<u64, ApiError> {
    let why = || format!("invalid resource version: resourceVersion: Invalid value: {text:?}: strconv.ParseUint: parsing {text:?}: invalid syntax");
    text.parse().map_err(|_| ApiError::bad_request(why()))
}

impl Pipeline {
    async fn freshen(&self, kind: &Kind, wanted: Freshness) -> Result<(), ApiError> {
        match wanted {
            Freshness::Latest => Ok(self.store().barrier(&kind.group, &kind.resource).await?),
            Freshness::Any => Ok(()),
            Freshness::NotOlderThan(revision) | Freshness::Exact(revision) => self.store().reach(&kind.group, &kind.resource, revision).await,
        }
    }

    pub(crate) async fn get(&self, call: &RequestContext) -> Result<Reply, ApiError> {
        self.freshen(&call.row, freshness(call)?).await?;
        self.allow_again(call).await?;
        let stored = self.store().get(&call.key(&call.name)).ok_or_else(|| call.not_found(&call.name))?;
        self.check_read(call, &stored)?;
        match call.sub.map(|sub| (sub, sub.effect())) {
            None | Some((_, Effect::Part(_))) => Ok(object_reply(self.outward_stored(call, stored).await?, false, Vec::new())),
            Some((_, Effect::View)) => {
                let stored = stored.own();
                self.scale_reply(call, &stored).await
            }
            Some((sub, Effect::Action | Effect::Connection)) => connected(sub, stored, Object::default()),
        }
    }

    /// Answers with the Scale of an object of the log.
    pub(super) async fn scale_reply(&self, call: &RequestContext, stored: &Stored) -> Result<Reply, ApiError> {
        Ok(json_reply(&Value::Object(scale::of(&call.row, &*self.current(call, stored).await?).0), 200))
    }

    /// Answers a request for a stream with the pod, once the stream may be opened.
    pub(crate) async fn connect(&self, call: &RequestContext, sub: Subresource, body: Body) -> Result<Reply, ApiError> {
        self.allow_fresh(call).await?;
        let pod = self.store().get(&call.key(&call.name)).ok_or_else(|| call.not_found(&call.name))?;
        let options = request_context::optional_object(body)?.unwrap_or_default();
        self.admit_connection(call, sub, &options).await?;
        connected(sub, pod, options)
    }

    /// Waits until the cache has what the log has, and asks again whether the call is allowed.
    pub(super) async fn allow_fresh(&self, call: &RequestContext) -> Result<(), ApiError> {
        self.freshen(&call.row, Freshness::Latest).await?;
        self.allow_again(call).await
    }

    pub(crate) async fn list(&self, call: &RequestContext) -> Result<Reply, ApiError> {
        let selection = Selection::parse(&call.kind, &call.options)?.limited(self.limit(call)?);
        self.selected(call, &selection).await.map(Reply::List)
    }

    /// What a call selects of a resource, as new as it asks for.
    pub(crate) async fn selected(&self, call: &RequestContext, selection: &Selection) -> Result<ListReply, ApiError> {
        list_options::check_list(&call.options)?;
        let going_on = !call.options.continue_token.is_empty();
        if going_on && !matches!(call.options.resource_version.as_str(), "" | "0") {
            return Err(ApiError::bad_request("specifying resource version is not allowed when using continue"));
        }
        let wanted = if going_on { Freshness::Any } else { freshness(call)? };
        self.freshen(&call.row, wanted).await?;
        self.allow_again(call).await?;
        let at = if let Freshness::Exact(revision) = wanted { Some(revision) } else { None };
        self.page(call, selection, at).await
    }

    /// Waits for a turn to look through what there is.
    pub(crate) async fn search(&self, call: &RequestContext) -> Result<Seat, ApiError> {
        self.searches().same_flow(&call.admitted).seat().await
    }

    /// One page of what a call selects, as the cache has it, or had it at a revision.
    pub(crate) async fn page(&self, call: &RequestContext, selection: &Selection, at: Option<u64>) -> Result<ListReply, ApiError> {
        let options = &call.options;
        let request = PageRequest { namespace: call.namespace.to_string(), limit: options.limit, continue_token: options.continue_token.clone(), at };
        let matches = |s: &Stored| match &call.kind.stored_as {
            Some(other) => s.read(|stored| selection.matches(&other.conversion.outward(stored))),
            None => selection.selects(s),
        };
        // what only a webhook can show is selected when it has
        let selects_later = !selection.is_everything() && form::is_remote(&call.kind);
        let filter: Option<Matches<'_>> = if selection.is_everything() || selects_later { None } else { Some(&matches) };
        let _turn = if filter.is_some() { Some(self.search(call).await?) } else { None };
        let page = self.store().list_page(&call.row.group, &call.row.resource, &request, filter).await?;
        let mut items = self.outward_all(call, page.items).await?;
        if selects_later {
            items.retain(|shown| selection.selects(shown));
        }
        let remaining = page.remaining.filter(|_| !selects_later);
        Ok(ListReply { items, revision: page.revision, continue_token: page.continue_token, remaining })
    }
}

fn connected(sub: Subresource, pod: Arc<Stored>, options: Object) -> Result<Reply, ApiError> {
    let target: Target = options.to_typed()?;
    let pod = pod.own();
    connect::check(sub, pod.object(), &target.container)?;
    Ok(object_reply(pod, false, Vec::new()))
}
