//! What the verb `create` is asked for: an object or a review, or an action on an object: a binding, an eviction, a token.
use crate::authz::{Attributes, Target};
use crate::meta;
use crate::pipeline::Pipeline;
use crate::reply::{json_reply, success};
use crate::request_context::{self, RequestContext};
use crate::subresource::{binding, token};
use crate::verbs::update::Proposal;
use model::{ApiError, Subresource};
use state_client::{Body, Reply};

impl Pipeline {
    /// Does what a request of this verb asks for.
    pub(crate) async fn create(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        match call.sub {
            None if self.is_review(call) => {
                let mut given = request_context::object(body)?;
                meta::check_kind(&call.kind, &mut given)?;
                self.review(call, &self.admit_action(call, None, given).await?)
            }
            None => self.create_object(call, body).await,
            Some(Subresource::BINDING) => self.bind(call, body).await,
            Some(Subresource::EVICTION) => Box::pin(self.evict(call, body)).await,
            Some(Subresource::TOKEN) => self.token(call, body).await,
            Some(sub) => self.connect(call, sub, body).await,
        }
    }

    async fn bind(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let binding = self.admit_action(call, Some(Subresource::BINDING), request_context::object(body)?).await?;
        self.change(call, Proposal::Worked(&|_, old| binding::apply(&binding, old, call.now))).await?;
        Ok(success(201, None))
    }

    /// Whether the user was given the right to tokens of this account for an audience.
    fn may_request(&self, call: &RequestContext, audience: &str) -> bool {
        let target = Target::Resource { group: "", resource: audience, subresource: "", namespace: &call.namespace, name: &call.name };
        self.authorizer().allows(&Attributes { user: &call.user, verb: "request-serviceaccounts-token-audience", target, bound_to: None })
    }

    async fn token(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let request = self.admit_action(call, Some(Subresource::TOKEN), request_context::object(body)?).await?;
        let tokens = self.tokens().ok_or_else(|| ApiError::unavailable("this cluster has no key to sign tokens with"))?;
        self.store().barrier("", "pods").await?;
        let account = self.store().get(&call.key(&call.name)).ok_or_else(|| call.not_found(&call.name))?;
        let id = uuid::Uuid::new_v4().to_string();
        let granted = |audience: &str| self.may_request(call, audience);
        let asked =
            token::TokenQuestion { user: &call.user, request: &request, account: account.object(), granted: &granted, view: self.store(), now: call.now, id };
        Ok(json_reply(&tokens.issue(&request, &token::claims(&asked)?)?, 201))
    }
}
