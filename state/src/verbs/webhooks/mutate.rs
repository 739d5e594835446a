//! Mutating webhooks: each may change what is written, one after the other. When one did, the cluster's own steps look at it again, and then once more those
//! webhooks that ask for it.
use super::ask::{keep, patched};
use crate::admission::Effects;
use crate::pipeline::Pipeline;
use crate::request_context::RequestContext;
use crate::warnings;
use crate::webhooks::question::{Concerned, Question};
use crate::webhooks::table::Purpose;
use crate::write;
use model::subresource::Effect;
use model::{ApiError, Object, Subresource};
use std::borrow::Cow;
use webhooks::rules::Operation;

/// What is written, as far as webhooks have brought it.
struct Draft<'a> {
    call: &'a RequestContext,
    operation: Operation,
    object: Object,
    old: Option<&'a Object>,
    generated: bool,
}

impl Draft<'_> {
    /// What webhooks see of it: a new object gets what only the system writes, and a name that it has to be given, after they have seen it.
    fn seen(&self) -> Cow<'_, Object> {
        if self.operation != Operation::Create || is_action(self.call) {
            return Cow::Borrowed(&self.object);
        }
        let mut object = self.object.clone();
        let generated = self.generated.then_some("name");
        for field in ["uid", "creationTimestamp", "generation"].into_iter().chain(generated) {
            object.remove(&["metadata", field]);
        }
        Cow::Owned(object)
    }

    fn question<'b>(&'b self, seen: &'b Object) -> Question<'b> {
        let (call, operation, old) = (self.call, self.operation, self.old);
        let name = if call.name.is_empty() { seen.name() } else { &call.name };
        Question { call, operation, name, object: Some(seen), old }
    }
}

/// Whether it does something with an object, of which webhooks were asked by what the request carries.
pub(super) fn is_action(call: &RequestContext) -> bool {
    call.sub.is_some_and(|sub| matches!(sub.effect(), Effect::Action | Effect::Connection))
}

/// A write that webhooks may change.
pub(crate) struct Drafted<'a> {
    /// What it is to be.
    pub object: &'a mut Object,
    /// What it is; `None` for a create.
    pub old: Option<&'a Object>,
    /// Whether its name was made from `generateName`.
    pub generated: bool,
}

/// A refusal that comes after these warnings.
pub(super) fn warned(refusal: ApiError, before: &[String]) -> ApiError {
    let own = refusal.details.as_ref().map(|details| details.warnings.clone()).unwrap_or_default();
    refusal.with_warnings(warnings::bounded([before, &own].concat()))
}

impl Pipeline {
    /// Asks the webhooks that may change a create or an update which the cluster's own steps have admitted.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) async fn mutate(&self, call: &RequestContext, drafted: Drafted<'_>, held: Effects) -> Result<Effects, ApiError> {
        let Drafted { object, old, generated } = drafted;
        if self.webhooks().table.of(Purpose::Mutating).is_empty() || is_action(call) {
            return Ok(held);
        }
        let operation = if old.is_some() { Operation::Update } else { Operation::Create };
        let concerned = self.concerned(Purpose::Mutating, &Question { call, operation, name: &call.name, object: Some(object), old });
        if concerned.is_empty() {
            return Ok(held);
        }
        let mut draft = Draft { call, operation, object: std::mem::take(object), old, generated };
        let held = Box::pin(self.mutate_by(&concerned, &mut draft, held)).await?;
        *object = draft.object;
        Ok(held)
    }

    async fn mutate_by(&self, concerned: &[Concerned], draft: &mut Draft<'_>, mut held: Effects) -> Result<Effects, ApiError> {
        let (mut asked, mut due, mut changed): (Vec<&Concerned>, Vec<&Concerned>, bool) = Default::default();
        for to in concerned {
            if self.ask_to_change(to, draft, &mut held).await? {
                (changed, due) = (true, asked.clone());
            }
            asked.extend(to.webhook.reinvoked.then_some(to));
        }
        if !changed {
            return Ok(held);
        }
        // what the steps hold for the object as it was is given up before they look at what it is
        let Effects { warnings, notes, .. } = held;
        let before = draft.object.clone();
        let mut held = self.admit(draft.call, &mut draft.object, draft.old).await?;
        held.warnings.extend(warnings);
        held.notes.extend(notes);
        if draft.object != before {
            due = asked;
        }
        for to in due {
            self.ask_to_change(to, draft, &mut held).await?;
        }
        Ok(held)
    }

    /// Asks one webhook, and makes the change that it wants. Returns whether there is one.
    async fn ask_to_change(&self, to: &Concerned, draft: &mut Draft<'_>, held: &mut Effects) -> Result<bool, ApiError> {
        let seen = draft.seen();
        let asked = draft.call.admitted.without_seat(self.ask_showing(to, &draft.question(&seen), Purpose::Mutating)).await?;
        // whoever is refused is warned of what the others said as well
        let Some((mut answer, shown)) = asked.map_err(|refusal| warned(refusal, &held.warnings))? else { return Ok(false) };
        keep(held, &to.webhook, &mut answer);
        let Some(patch) = answer.patch else { return Ok(false) };
        let (call, of) = (draft.call, draft.call.write());
        let Some(next) = patched(&to.webhook, shown.object.as_deref(), &patch)? else { return Ok(false) };
        let stored = self.take(call, &to.form, next, &draft.object).await?;
        let next = write::taken(&of, stored, &draft.object, draft.old)?;
        let changed = next != draft.object;
        draft.object = next;
        Ok(changed)
    }

    /// Asks the webhooks about what a request does with an object, by what it carries: a Binding, the options of a connection; or about a review. Returns that
    /// as they make it.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) async fn admit_action(&self, call: &RequestContext, sub: Option<Subresource>, body: Object) -> Result<Object, ApiError> {
        if self.webhooks().table.is_empty() {
            return Ok(body);
        }
        let operation = if sub.is_some_and(Subresource::connects) { Operation::Connect } else { Operation::Create };
        let mut draft = Draft { call, operation, object: body, old: None, generated: false };
        for to in self.concerned(Purpose::Mutating, &draft.question(&draft.object)) {
            self.ask_to_change(&to, &mut draft, &mut Effects::default()).await?;
        }
        self.validate_question(&draft.question(&draft.object), &mut Effects::default()).await?;
        Ok(draft.object)
    }

    /// Asks the webhooks about a stream to a pod, by its options. What they make of these is not asked of the pod's node.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) async fn admit_connection(&self, call: &RequestContext, sub: Subresource, options: &Object) -> Result<(), ApiError> {
        let Some(exchanged) = sub.exchanged() else { return Ok(()) };
        if self.webhooks().table.is_empty() {
            return Ok(());
        }
        let mut document = options.clone();
        document.set(&["apiVersion"], "v1");
        document.set(&["kind"], exchanged.kind);
        let admitted = Box::pin(self.admit_action(call, Some(sub), document.clone())).await?;
        let changed = || ApiError::internal("a webhook attempted to modify the options of a connection, which is not supported for this operation");
        if admitted == document { Ok(()) } else { Err(changed()) }
    }

    /// Asks the webhooks about a deletion of `old`. None can change it.
    ///
    /// # Errors
    /// The first refusal.
    pub(crate) async fn admit_removal(&self, call: &RequestContext, old: &Object) -> Result<(), ApiError> {
        // an eviction was asked about as what it is
        if self.webhooks().table.is_empty() || is_action(call) { Ok(()) } else { Box::pin(self.ask_of_removal(call, old)).await }
    }

    async fn ask_of_removal(&self, call: &RequestContext, old: &Object) -> Result<(), ApiError> {
        let question = Question { call, operation: Operation::Delete, name: old.name(), object: None, old: Some(old) };
        for to in self.concerned(Purpose::Mutating, &question) {
            let answer = call.admitted.without_seat(self.ask(&to, &question, Purpose::Mutating)).await??;
            if let Some(patch) = answer.and_then(|answer| answer.patch) {
                patched(&to.webhook, None, &patch)?;
            }
        }
        self.validate_question(&question, &mut Effects::default()).await
    }
}
