//! Eviction: a deletion in which the pod's disruption budget has a say. What it takes of the budget and what becomes of the pod are written together.
use crate::admission::Admit;
use crate::deletion::{self, DeletionOptions, DeletionPlan};
use crate::eviction::{self, BUDGETS, Eviction};
use crate::lookup::ObjectLookup;
use crate::pipeline::Pipeline;
use crate::reply::success;
use crate::request_context::{self, RequestContext};
use crate::store::{CommitError, Group, StoreOp, Write};
use model::{ApiError, Object, Stored, Subresource};
use smallvec::smallvec;
use state_client::{Body, Reply};
use std::sync::Arc;
use std::time::Duration;

/// How often an eviction is tried while others change the same budget or pod.
const ATTEMPTS: u32 = 20;
/// How long it waits between two attempts, at most: the first times, and in the end.
const FIRST_PAUSE: Duration = Duration::from_millis(10);
const LAST_PAUSE: Duration = Duration::from_millis(500);

/// What became of an attempt.
enum Attempt {
    Done,
    /// Somebody else changed the pod, or the budget of this name.
    Overtaken(Option<String>),
}

impl Pipeline {
    pub(super) async fn evict(&self, call: &RequestContext, body: Body) -> Result<Reply, ApiError> {
        let eviction = request_context::optional_object(body)?.unwrap_or_default();
        let eviction = self.admit_action(call, Some(Subresource::EVICTION), eviction).await?;
        if eviction.name() != &*call.name {
            return Err(ApiError::bad_request("name in URL does not match name in Eviction object"));
        }
        let asked = DeletionOptions::of(&call.options, eviction.at(&["deleteOptions"]).filter(|v| !v.is_null()))?;
        // a budget that was made elsewhere counts, and pods are in the same log
        self.store().barrier(BUDGETS.0, BUDGETS.1).await?;
        let mut pause = FIRST_PAUSE;
        let mut budget = None;
        for _ in 0..ATTEMPTS {
            let pod = self.store().get(&call.key(&call.name)).ok_or_else(|| call.not_found(&call.name))?;
            match self.try_evict(call, pod, &asked).await? {
                Attempt::Done => return Ok(success(201, None)),
                Attempt::Overtaken(by) => budget = by,
            }
            let pausing = pause.mul_f64(rand::random::<f64>());
            call.admitted.without_seat(tokio::time::sleep(pausing)).await?;
            pause = LAST_PAUSE.min(pause * 2);
        }
        Err(budget.map_or_else(|| ApiError::modified(&call.kind.group, &call.kind.resource, &call.name), |name| eviction::contended(&name)))
    }

    async fn try_evict(&self, call: &RequestContext, pod: Arc<Stored>, asked: &DeletionOptions) -> Result<Attempt, ApiError> {
        deletion::check_preconditions(&call.row, pod.object(), asked)?;
        let request = Admit { user: &call.user, kind: &call.row, subresource: call.sub, old: Some(pod.object()), view: self.store(), entropy: 0 };
        self.admission().admit_delete(&request, pod.object()).map_err(|refusal| refusal.error)?;
        let budgets = ObjectLookup::list(self.store(), BUDGETS.0, BUDGETS.1, &pod.key.namespace);
        let verdict = eviction::judge(pod.object(), &budgets, call.now)?;
        if asked.dry_run {
            return Ok(Attempt::Done);
        }
        let Eviction::Counted(next) = verdict else { return self.end(call, pod, asked).await };
        match budgets.into_iter().find(|budget| &*budget.key.name == next.name()) {
            Some(budget) => self.end_counted(call, pod, (budget, *next), asked).await,
            None => Ok(Attempt::Overtaken(None)),
        }
    }

    /// Ends a pod in which no budget has a say.
    async fn end(&self, call: &RequestContext, pod: Arc<Stored>, asked: &DeletionOptions) -> Result<Attempt, ApiError> {
        let op = match eviction::ending(&call.row, pod.object(), asked, call.now) {
            DeletionPlan::Pending => return Ok(Attempt::Done),
            DeletionPlan::Mark(marked) => StoreOp::Put(marked),
            DeletionPlan::Remove(last) => StoreOp::Delete(last),
        };
        let done = self.swap(call, pod, op, false).await?;
        Ok(done.map_or(Attempt::Overtaken(None), |_| Attempt::Done))
    }

    /// Ends a pod whose budget becomes `next` by it.
    async fn end_counted(&self, call: &RequestContext, pod: Arc<Stored>, budget: (Arc<Stored>, Object), asked: &DeletionOptions) -> Result<Attempt, ApiError> {
        let (marked, removed) = match eviction::ending(&call.row, pod.object(), asked, call.now) {
            DeletionPlan::Pending => return Ok(Attempt::Done),
            DeletionPlan::Mark(marked) => (marked, false),
            // what leaves at once leaves its quotas too, which the deletion sees to: before, the pod says that it is evicted
            DeletionPlan::Remove(_) => (eviction::announced(pod.object(), call.now), true),
        };
        let ((budget, next), key, expect) = (budget, pod.key.clone(), pod.revision);
        drop(pod);
        // the budget comes first: it may say of a pod that it is going which isn't, but not the other way round
        let name = budget.key.name.to_string();
        let group: Group = smallvec![
            Write { key: budget.key.clone(), expect: budget.revision, op: StoreOp::Put(next) },
            Write { key: key.clone(), expect, op: StoreOp::Put(marked) }
        ];
        let mut written = None;
        for result in self.store().commit_group(group).await {
            match result {
                Ok(stored) => written = Some(stored),
                Err(CommitError::Conflict) => return Ok(Attempt::Overtaken(Some(name))),
                Err(other) => return Err(other.to_api(&key, false)),
            }
        }
        if let Some(announced) = written.filter(|_| removed) {
            let named = !asked.resource_version.is_empty();
            let resource_version = if named { announced.revision.to_string() } else { String::new() };
            let uid = announced.uid().to_owned();
            self.delete_one(call, &call.name, &DeletionOptions { uid, resource_version, ..asked.clone() }).await?;
        }
        Ok(Attempt::Done)
    }
}
