//! Reviews: questions that are created and answered, never stored.
use crate::authz::review;
use crate::pipeline::Pipeline;
use crate::reply::json_reply;
use crate::request_context::RequestContext;
use model::{ApiError, Object, time};
use state_client::Reply;

impl Pipeline {
    /// Whether a kind is one of reviews.
    pub(crate) fn is_review(&self, call: &RequestContext) -> bool {
        matches!(&*call.kind.group, "authorization.k8s.io" | "authentication.k8s.io")
    }

    /// Answers a review.
    pub(crate) fn review(&self, call: &RequestContext, given: &Object) -> Result<Reply, ApiError> {
        let (authorizer, user) = (self.authorizer(), &call.user);
        let answer = match &*call.kind.resource {
            "selfsubjectaccessreviews" => review::own_access(authorizer, user, given)?,
            "subjectaccessreviews" => review::access_of(authorizer, None, given)?,
            "localsubjectaccessreviews" => review::access_of(authorizer, Some(&call.namespace), given)?,
            "selfsubjectrulesreviews" => review::own_rules(authorizer, user, given)?,
            "selfsubjectreviews" => review::whoami(user, &time::format(call.now)),
            "tokenreviews" if given.str_at(&["spec", "token"]).is_empty() => {
                return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
            }
            "tokenreviews" => {
                let tokens = self.tokens().ok_or_else(|| ApiError::unavailable("this cluster has no key to verify tokens with"))?;
                tokens.review(self.store(), given, call.now)
            }
            other => return Err(ApiError::internal(format!("{other} can't be answered"))),
        };
        Ok(json_reply(&answer, 201))
    }
}
