//! Match conditions: what must hold of a request, in expressions, for a webhook to be asked about it.
use super::question::{Concerned, Question};
use crate::authz::policy::Verdict;
use crate::authz::{Attributes, Authorizer, Target};
use model::match_conditions::{self, Check, Decision, Input};
use model::{ApiError, Subresource};
use state_client::User;
use state_client::identity::{AUTHENTICATED, SERVICE_ACCOUNTS, user};
use webhooks::review::AdmissionRequest;
use webhooks::{FailurePolicy, Webhook};

/// The authorizer, as expressions ask it.
struct Asking<'a> {
    authorizer: &'a Authorizer,
    user: &'a User,
}

impl match_conditions::Authorizer for Asking<'_> {
    fn decide(&self, check: &Check) -> Decision {
        let account = check.service_account.as_ref().map(|(namespace, name)| {
            let groups = [SERVICE_ACCOUNTS, &format!("{SERVICE_ACCOUNTS}:{namespace}"), AUTHENTICATED];
            user(format!("system:serviceaccount:{namespace}:{name}"), &groups)
        });
        let target = match &check.path {
            Some(path) => Target::Path(path),
            None => Target::Resource {
                group: &check.group,
                resource: &check.resource,
                subresource: &check.subresource,
                namespace: &check.namespace,
                name: &check.name,
            },
        };
        let what = Attributes { user: account.as_ref().unwrap_or(self.user), verb: &check.verb, target, bound_to: None };
        match self.authorizer.verdict(&what) {
            Verdict::Allowed(why) => Decision { allowed: true, reason: why.into(), error: None },
            Verdict::Denied(why) => Decision { reason: why.into(), ..Decision::default() },
        }
    }
}

/// Whether the conditions of a webhook hold of a request.
///
/// # Errors
/// Why they have no value.
pub fn hold(authorizer: &Authorizer, question: &Question<'_>, to: &Concerned, request: &AdmissionRequest<'_>) -> Result<bool, String> {
    let conditions = &to.webhook.conditions;
    if conditions.is_empty() {
        return Ok(true);
    }
    let call = question.call;
    let resource = Check {
        group: (&*call.kind.group).into(),
        resource: (&*call.kind.resource).into(),
        subresource: call.sub.map_or("", Subresource::name).into(),
        namespace: (&*call.namespace).into(),
        name: question.name.into(),
        ..Check::default()
    };
    let asking = Asking { authorizer, user: &call.user };
    let value = request.value()?;
    let input = Input { object: request.object, old_object: request.old_object, request: &value, authorizer: &asking, resource };
    conditions.matches(&input).map_err(|e| e.to_string())
}

/// What becomes of a write for which conditions have no value.
///
/// # Errors
/// 403, unless the webhook's failures are ignored.
pub fn without_value(webhook: &Webhook, question: &Question<'_>, why: &str) -> Result<(), ApiError> {
    match webhook.failure_policy {
        FailurePolicy::Fail => Err(ApiError::forbidden(&question.call.kind.group, &question.call.kind.resource, question.name, why)),
        FailurePolicy::Ignore => {
            tracing::warn!(webhook = webhook.name, why, "a webhook wasn't asked, as its match conditions have no value");
            Ok(())
        }
    }
}
