//! Reviews: questions that are created and answered, never stored.
use crate::authz::review;
use crate::meta;
use crate::pipeline::Pipeline;
use crate::reply::json_reply;
use crate::request_context::{self, RequestContext};
use model::{ApiError, time};
use state_client::{Body, Reply};

impl Pipeline {
    /// Whether a kind is one of reviews.
    pub(crate) fn is_review(&self, call: &RequestContext) -> bool {
        matches!(&*call.kind.group, "authorization.k8s.io" | "authentication.k8s.io")
    }

    /// Answers a review.
    pub(crate) async fn review(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let mut given = request_context::object(body)?;
        meta::check_kind(&call.kind, &mut given)?;
        let given = self.admit_action(call, None, given).await?;
        let (authorizer, user) = (self.authorizer(), &call.user);
        let answer = match &*call.kind.resource {
            "selfsubjectaccessreviews" => review::own_access(authorizer, user, &given)?,
            "subjectaccessreviews" => review::access_of(authorizer, None, &given)?,
            "localsubjectaccessreviews" => review::access_of(authorizer, Some(&call.namespace), &given)?,
            "selfsubjectrulesreviews" => review::own_rules(authorizer, user, &given)?,
            "selfsubjectreviews" => review::whoami(user, &time::format(call.now)),
            "tokenreviews" if given.str_at(&["spec", "token"]).is_empty() => {
                return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
            }
            "tokenreviews" => {
                let tokens = self.tokens().ok_or_else(|| ApiError::unavailable("this cluster has no key to verify tokens with"))?;
                tokens.review(self.store(), &given, call.now)
            }
            other => return Err(ApiError::internal(format!("{other} can't be answered"))),
        };
        Ok(json_reply(&answer, 201))
    }
}
