//! Validating webhooks: all that are concerned are asked at the same time about what is going to be written.
use super::ask::keep;
use super::mutate::{is_action, warned};
use crate::admission::Effects;
use crate::pipeline::Pipeline;
use crate::request_context::RequestContext;
use crate::webhooks::question::Question;
use crate::webhooks::table::Purpose;
use futures::future::join_all;
use model::{ApiError, Object};
use webhooks::rules::Operation;

/// So many webhooks are asked about one write at once.
const AT_ONCE: usize = 16;

impl Pipeline {
    /// Asks the webhooks about a create or an update that is right by its kind's rules; `held` comes back with what they have to say of it.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) async fn validate(&self, call: &RequestContext, object: &Object, old: Option<&Object>, mut held: Effects) -> Result<Effects, ApiError> {
        if self.webhooks().table.of(Purpose::Validating).is_empty() || is_action(call) {
            return Ok(held);
        }
        let operation = if old.is_some() { Operation::Update } else { Operation::Create };
        let name = if call.name.is_empty() { object.name() } else { &call.name };
        Box::pin(self.validate_question(&Question { call, operation, name, object: Some(object), old }, &mut held)).await?;
        Ok(held)
    }

    pub(super) async fn validate_question(&self, question: &Question<'_>, held: &mut Effects) -> Result<(), ApiError> {
        let concerned = self.concerned(Purpose::Validating, question);
        if concerned.is_empty() {
            return Ok(());
        }
        let mut answers = Vec::with_capacity(concerned.len());
        for some in concerned.chunks(AT_ONCE) {
            let asked: Vec<_> = some.iter().map(|to| self.ask(to, question, Purpose::Validating)).collect();
            answers.extend(question.call.admitted.without_seat(join_all(asked)).await?);
        }
        for (to, answer) in concerned.iter().zip(answers) {
            let Some(mut answer) = answer.map_err(|refusal| warned(refusal, &held.warnings))? else { continue };
            keep(held, &to.webhook, &mut answer);
        }
        Ok(())
    }
}
